//! Files of vectors, written as they come and read a part at a time.
//!
//! * `.safetensors`: `features [images, …]` as F32 and `labels [images]` as I64, -1 where there is none.
//! * `.npy`: the features alone, as NumPy reads them.
//!
//! Beside either stands a `.csv` with one line per image: `path,label,class`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::knn::Labelled;

/// Room for a header that is written last.
const HEADER: usize = 1024;

/// The forms a file can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `.safetensors`.
    Safetensors,
    /// `.npy`.
    Npy,
}

/// Why vectors could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// A name that does not say what form the file is to have.
    #[error("{path}: vectors are written as .safetensors or .npy")]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{action} {path}: {source}")]
    Io {
        /// `reading` or `writing`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A row of another length than the ones before.
    #[error("{path}: {found} numbers for an image, {expected} for those before it")]
    Width {
        /// The file.
        path: PathBuf,
        /// Numbers per image.
        expected: usize,
        /// Numbers that came.
        found: usize,
    },
    /// The content is not what [`VectorWriter`] writes.
    #[error("{path}: {message}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

/// Writes vectors as they come. Nothing stands under the final name before [`VectorWriter::finish`].
#[derive(Debug)]
pub struct VectorWriter {
    path: PathBuf,
    form: Form,
    /// Sizes of one image's vector.
    shape: Vec<usize>,
    vectors: BufWriter<File>,
    names: BufWriter<File>,
    labels: Vec<i64>,
    finished: bool,
}

impl VectorWriter {
    /// Starts a file for vectors of this shape.
    ///
    /// # Errors
    /// [`VectorError::Form`] and [`VectorError::Io`].
    pub fn create(path: &Path, shape: Vec<usize>) -> Result<Self, VectorError> {
        let form = match path.extension().and_then(OsStr::to_str) {
            Some("safetensors") => Form::Safetensors,
            Some("npy") => Form::Npy,
            _ => {
                return Err(VectorError::Form {
                    path: path.to_path_buf(),
                });
            }
        };
        let create = |path: PathBuf| {
            let file = File::create(&path).map_err(writing(&path))?;
            Ok::<_, VectorError>(BufWriter::with_capacity(1 << 20, file))
        };
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(writing(folder))?;
        }
        let mut vectors = create(temporary(path))?;
        let mut names = create(temporary(&names_of(path)))?;
        vectors
            .write_all(&[b' '; HEADER])
            .and_then(|()| names.write_all(b"path,label,class\n"))
            .map_err(writing(path))?;
        Ok(Self {
            path: path.to_path_buf(),
            form,
            shape,
            vectors,
            names,
            labels: Vec::new(),
            finished: false,
        })
    }

    /// Adds one image: its vector, and what stands beside it.
    ///
    /// # Errors
    /// [`VectorError::Width`] and [`VectorError::Io`].
    pub fn add(
        &mut self,
        vector: &[f32],
        name: &str,
        label: Option<(u32, &str)>,
    ) -> Result<(), VectorError> {
        let expected = self.shape.iter().product();
        if vector.len() != expected {
            return Err(VectorError::Width {
                path: self.path.clone(),
                expected,
                found: vector.len(),
            });
        }
        let bytes: Vec<u8> = vector.iter().flat_map(|v| v.to_le_bytes()).collect();
        let (number, class) = match label {
            Some((number, class)) => (number.to_string(), class),
            None => (String::new(), ""),
        };
        self.labels
            .push(label.map_or(-1, |(number, _)| i64::from(number)));
        self.vectors
            .write_all(&bytes)
            .and_then(|()| {
                writeln!(
                    self.names,
                    "{},{number},{}",
                    csv_field(name),
                    csv_field(class)
                )
            })
            .map_err(writing(&self.path))
    }

    /// Completes both files and gives them their names; returns the number of images.
    ///
    /// # Errors
    /// [`VectorError::Io`].
    pub fn finish(mut self) -> Result<usize, VectorError> {
        let count = self.labels.len();
        let header = match self.form {
            Form::Safetensors => safetensors_header(count, &self.shape),
            Form::Npy => npy_header(count, &self.shape),
        };
        let path = self.path.clone();
        let failed = writing(&path);
        let complete = |writer: &mut Self| {
            if writer.form == Form::Safetensors {
                for label in &writer.labels {
                    writer.vectors.write_all(&label.to_le_bytes())?;
                }
            }
            writer.vectors.seek(SeekFrom::Start(0))?;
            writer.vectors.write_all(&header)?;
            writer.vectors.flush()?;
            writer.names.flush()?;
            writer.vectors.get_ref().sync_all()?;
            writer.names.get_ref().sync_all()?;
            fs::rename(temporary(&writer.path), &writer.path)?;
            fs::rename(temporary(&names_of(&writer.path)), names_of(&writer.path))
        };
        complete(&mut self).map_err(failed)?;
        self.finished = true;
        Ok(count)
    }

    /// The file of names beside the vectors.
    pub fn names_path(&self) -> PathBuf {
        names_of(&self.path)
    }
}

impl Drop for VectorWriter {
    fn drop(&mut self) {
        if !self.finished {
            // The error that matters is already in hand.
            let _ = fs::remove_file(temporary(&self.path));
            let _ = fs::remove_file(temporary(&names_of(&self.path)));
        }
    }
}

fn writing(path: &Path) -> impl Fn(io::Error) -> VectorError {
    let path = path.to_path_buf();
    move |source| VectorError::Io {
        action: "writing",
        path: path.clone(),
        source,
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    path.with_file_name(name)
}

fn names_of(path: &Path) -> PathBuf {
    path.with_extension("csv")
}

/// A field of a CSV file, in quotes where it has to be (RFC 4180).
pub fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_string()
    }
}

/// [`HEADER`] bytes: the length of the rest, JSON, spaces.
fn safetensors_header(count: usize, shape: &[usize]) -> Vec<u8> {
    let mut features = vec![count];
    features.extend_from_slice(shape);
    let end = 4 * features.iter().product::<usize>();
    let text = json!({
        "features": {"dtype": "F32", "shape": features, "data_offsets": [0, end]},
        "labels": {"dtype": "I64", "shape": [count], "data_offsets": [end, end + 8 * count]},
    });
    let mut header = ((HEADER - 8) as u64).to_le_bytes().to_vec();
    header.extend_from_slice(text.to_string().as_bytes());
    header.resize(HEADER, b' ');
    header
}

/// [`HEADER`] bytes of NumPy's format 1.0.
fn npy_header(count: usize, shape: &[usize]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!(", {size}")).collect();
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}{sizes}), }}");
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend_from_slice(&((HEADER - 10) as u16).to_le_bytes());
    header.extend_from_slice(text.as_bytes());
    header.resize(HEADER - 1, b' ');
    header.push(b'\n');
    header
}

/// Vectors with labels, from a `.safetensors` file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelledVectors {
    /// `[images, width]`, row by row.
    pub features: Vec<f32>,
    /// The class of each image.
    pub labels: Vec<u32>,
}

impl LabelledVectors {
    /// A view of them.
    pub fn view(&self) -> Labelled<'_> {
        Labelled {
            features: &self.features,
            labels: &self.labels,
        }
    }
}

/// Reads a `.safetensors` file of vectors whose images all have labels. Nothing but the numbers themselves is held in
/// memory.
///
/// # Errors
/// [`VectorError::Io`] and [`VectorError::Content`].
pub fn read_labelled(path: &Path) -> Result<LabelledVectors, VectorError> {
    let reading = |source| VectorError::Io {
        action: "reading",
        path: path.to_path_buf(),
        source,
    };
    let content = |message: String| VectorError::Content {
        path: path.to_path_buf(),
        message,
    };
    let file = File::open(path).map_err(reading)?;
    let total = file.metadata().map_err(reading)?.len();
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(reading)?;
    let header = u64::from_le_bytes(length);
    if header > total.saturating_sub(8) || header > 100_000_000 {
        return Err(content("no safetensors file".into()));
    }
    let mut text = vec![0; header as usize];
    file.read_exact(&mut text).map_err(reading)?;
    let entries: Value =
        serde_json::from_slice(&text).map_err(|_| content("no safetensors file".into()))?;
    let data = 8 + header;
    let features = entry(&entries, "features", "F32", 4, total - data).map_err(content)?;
    let labels = entry(&entries, "labels", "I64", 8, total - data).map_err(content)?;
    if features.rows != labels.numbers {
        return Err(content(format!(
            "{} vectors and {} labels",
            features.rows, labels.numbers
        )));
    }
    let mut numbers = Vec::with_capacity(features.numbers);
    let mut chunk = vec![0; 1 << 16];
    file.seek(SeekFrom::Start(data + features.start))
        .map_err(reading)?;
    let mut left = 4 * features.numbers;
    while left > 0 {
        let part = &mut chunk[..left.min(1 << 16)];
        file.read_exact(part).map_err(reading)?;
        numbers.extend(
            part.as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b)),
        );
        left -= part.len();
    }
    file.seek(SeekFrom::Start(data + labels.start))
        .map_err(reading)?;
    let mut classes = Vec::with_capacity(labels.numbers);
    for i in 0..labels.numbers {
        let mut bytes = [0; 8];
        file.read_exact(&mut bytes).map_err(reading)?;
        let label = u32::try_from(i64::from_le_bytes(bytes))
            .map_err(|_| content(format!("image {i} has no label")))?;
        classes.push(label);
    }
    Ok(LabelledVectors {
        features: numbers,
        labels: classes,
    })
}

/// Where a tensor stands.
struct Entry {
    start: u64,
    numbers: usize,
    rows: usize,
}

fn entry(
    entries: &Value,
    name: &str,
    dtype: &str,
    size: u64,
    available: u64,
) -> Result<Entry, String> {
    let entry = entries
        .get(name)
        .ok_or_else(|| format!("no tensor `{name}`, as semaim embed writes it"))?;
    if entry["dtype"] != dtype {
        return Err(format!(
            "`{name}` has type {}, expected {dtype}",
            entry["dtype"]
        ));
    }
    let list = |value: &Value| -> Option<Vec<u64>> {
        value.as_array()?.iter().map(Value::as_u64).collect()
    };
    let shape = list(&entry["shape"]);
    let offsets = list(&entry["data_offsets"]);
    let (Some(shape), Some([start, end])) = (shape, offsets.as_deref()) else {
        return Err(format!("`{name}` is damaged"));
    };
    let numbers = shape
        .iter()
        .try_fold(1_u64, |all, &size| all.checked_mul(size));
    let bytes = numbers.and_then(|numbers| numbers.checked_mul(size));
    if bytes != end.checked_sub(*start) || *end > available {
        return Err(format!("`{name}` does not fit in the file"));
    }
    Ok(Entry {
        start: *start,
        numbers: numbers.unwrap_or(0) as usize,
        rows: shape.first().copied().unwrap_or(0) as usize,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_back_with_labels_and_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/v.safetensors");
        let mut writer = VectorWriter::create(&path, vec![2]).unwrap();
        writer
            .add(&[1.0, -2.5], "a, \"b\".jpg", Some((3, "cat")))
            .unwrap();
        writer.add(&[0.0, 7.0], "c.jpg", Some((0, "dog"))).unwrap();
        assert!(matches!(
            writer.add(&[1.0], "d", None),
            Err(VectorError::Width {
                expected: 2,
                found: 1,
                ..
            })
        ));
        assert!(!path.exists());
        assert_eq!(writer.finish().unwrap(), 2);
        let read = read_labelled(&path).unwrap();
        assert_eq!(read.features, [1.0, -2.5, 0.0, 7.0]);
        assert_eq!(read.labels, [3, 0]);
        let names = fs::read_to_string(path.with_extension("csv")).unwrap();
        assert_eq!(
            names,
            "path,label,class\n\"a, \"\"b\"\".jpg\",3,cat\nc.jpg,0,dog\n"
        );
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2);
        // The reference reader of the format agrees.
        let bytes = fs::read(&path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.tensor("features").unwrap().shape(), [2, 2]);
    }

    #[test]
    fn numpys_header_says_shape_and_order() {
        let header = npy_header(5, &[3, 4]);
        assert_eq!(header.len(), HEADER);
        assert!(header.starts_with(b"\x93NUMPY\x01\x00\xf6\x03{'descr': '<f4', 'fortran_order': False, 'shape': (5, 3, 4), }"));
        assert_eq!(header.last(), Some(&b'\n'));
    }

    #[test]
    fn what_is_broken_off_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.npy");
        drop(VectorWriter::create(&path, vec![1]).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let other = folder.path().join("v.txt");
        assert!(matches!(
            VectorWriter::create(&other, vec![1]),
            Err(VectorError::Form { .. })
        ));
    }

    #[test]
    fn damaged_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.safetensors");
        let mut writer = VectorWriter::create(&path, vec![2]).unwrap();
        writer.add(&[1.0, 2.0], "a", Some((1, "x"))).unwrap();
        writer.finish().unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in [0, 4, 8, 100, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(read_labelled(&path).is_err(), "{cut}");
        }
        let mut unlabelled = VectorWriter::create(&path, vec![2]).unwrap();
        unlabelled.add(&[1.0, 2.0], "a", None).unwrap();
        unlabelled.finish().unwrap();
        let error = read_labelled(&path).unwrap_err().to_string();
        assert!(error.contains("image 0 has no label"), "{error}");
    }
}
