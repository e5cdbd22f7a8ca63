//! Files of vectors, written as they come and read a part at a time.
//!
//! * `.safetensors`: `features [images, …]` as F32 and `labels [images]` as I64, -1 where there is none; what they are of
//!   ([`VectorOrigin`]) as metadata.
//! * `.npy`: the features alone, as NumPy reads them.
//! * `.parquet`: columns `path`, `label`, `class` and `features`, a list of floats.
//!
//! Beside each stands a `.csv` with one line per image: `path,label,class`.

mod names;
mod origin;
mod parquet;
mod plain;
mod read;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use semaim_checkpoint::atomic::Unfinished;

use parquet::Parquet;
use plain::{Form, Plain};

pub use names::shared_images;
pub use origin::VectorOrigin;
pub use read::{LabeledVectors, read_labeled};

/// Why vectors could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// A name that does not say what form the file is to have.
    #[error("{path}: vectors are written as .safetensors, .npy or .parquet")]
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
    /// Numbers of one image's vector.
    width: usize,
    body: Body,
    names: BufWriter<File>,
    /// Both files, until they have their names.
    unfinished: [Unfinished; 2],
    count: usize,
}

/// The file of vectors in its form.
#[derive(Debug)]
enum Body {
    Plain(Plain),
    Parquet(Box<Parquet>),
}

impl VectorWriter {
    /// Starts a file for vectors of this shape.
    ///
    /// # Errors
    /// [`VectorError::Form`] and [`VectorError::Io`].
    pub fn create(path: &Path, shape: Vec<usize>) -> Result<Self, VectorError> {
        let extension = path.extension().and_then(OsStr::to_str);
        if !matches!(extension, Some("safetensors" | "npy" | "parquet")) {
            return Err(VectorError::Form {
                path: path.to_path_buf(),
            });
        }
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(writing(folder))?;
        }
        let start = |path: &Path| {
            let unfinished = Unfinished::create(path)?;
            Ok((unfinished.file()?, unfinished))
        };
        let (vectors, unfinished_vectors) = start(path).map_err(writing(path))?;
        let names = Self::names_of(path);
        let (names, unfinished_names) = start(&names).map_err(writing(&names))?;
        let mut names = BufWriter::with_capacity(1 << 20, names);
        let started = match extension {
            Some("parquet") => Parquet::start(&shape, vectors).map(|p| Body::Parquet(Box::new(p))),
            Some("npy") => Plain::start(Form::Npy, &shape, vectors).map(Body::Plain),
            _ => Plain::start(Form::Safetensors, &shape, vectors).map(Body::Plain),
        };
        let body = started.map_err(writing(path))?;
        names
            .write_all(b"path,label,class\n")
            .map_err(writing(path))?;
        Ok(Self {
            path: path.to_path_buf(),
            width: shape.iter().product(),
            body,
            names,
            unfinished: [unfinished_vectors, unfinished_names],
            count: 0,
        })
    }

    /// Says what the vectors are of, in forms that have room for it.
    #[must_use]
    pub fn of(mut self, origin: VectorOrigin) -> Self {
        if let Body::Plain(plain) = &mut self.body {
            plain.origin = Some(origin);
        }
        self
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
        if vector.len() != self.width {
            return Err(VectorError::Width {
                path: self.path.clone(),
                expected: self.width,
                found: vector.len(),
            });
        }
        let (number, class) = match label {
            Some((number, class)) => (number.to_string(), class),
            None => (String::new(), ""),
        };
        let added = match &mut self.body {
            Body::Plain(plain) => plain.add(vector, label.map(|(number, _)| number)),
            Body::Parquet(parquet) => parquet.add(vector, name, label),
        };
        added
            .and_then(|()| {
                let (name, class) = (csv_field(name), csv_field(class));
                writeln!(self.names, "{name},{number},{class}")
            })
            .map_err(writing(&self.path))?;
        self.count += 1;
        Ok(())
    }

    /// Completes both files and gives them their names; returns the number of images.
    ///
    /// # Errors
    /// [`VectorError::Io`].
    pub fn finish(self) -> Result<usize, VectorError> {
        let complete = |body: Body, mut names: BufWriter<File>, unfinished: [Unfinished; 2]| {
            match body {
                Body::Plain(plain) => plain.finish()?,
                Body::Parquet(parquet) => parquet.finish()?,
            };
            names.flush()?;
            unfinished.into_iter().try_for_each(Unfinished::finish)
        };
        complete(self.body, self.names, self.unfinished).map_err(writing(&self.path))?;
        Ok(self.count)
    }

    /// Images that have been added.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The file of names beside a file of vectors.
    pub fn names_of(vectors: &Path) -> PathBuf {
        vectors.with_extension("csv")
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

/// A field of a CSV file, in quotes where it has to be (RFC 4180).
pub fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_string()
    }
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
        let read = read_labeled(&path).unwrap();
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
    fn parquet_holds_every_column() {
        use ::parquet::file::reader::{FileReader, SerializedFileReader};
        use ::parquet::record::{ListAccessor, RowAccessor};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.parquet");
        let mut writer = VectorWriter::create(&path, vec![2, 3]).unwrap();
        // More rows than a group holds.
        let rows = 3 * parquet::rows_of_group(6) / 2;
        for i in 0..rows {
            let vector: Vec<f32> = (0..6).map(|k| (i * 6 + k) as f32).collect();
            let label = (i % 3 != 0).then_some((i as u32 % 5, "ü, x"));
            writer.add(&vector, &format!("{i}.jpg"), label).unwrap();
        }
        assert_eq!(writer.finish().unwrap(), rows);
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
        let mut count = 0;
        for (i, row) in reader.get_row_iter(None).unwrap().enumerate() {
            let row = row.unwrap();
            assert_eq!(row.get_string(0).unwrap(), &format!("{i}.jpg"));
            let features = row.get_list(3).unwrap();
            assert_eq!(features.len(), 6);
            assert_eq!(features.get_float(5).unwrap(), (i * 6 + 5) as f32);
            if i % 3 == 0 {
                assert!(row.get_int(1).is_err() && row.get_string(2).is_err());
            } else {
                assert_eq!(row.get_int(1).unwrap(), i as i32 % 5);
                assert_eq!(row.get_string(2).unwrap(), "ü, x");
            }
            count += 1;
        }
        assert_eq!(count, rows);
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
            assert!(read_labeled(&path).is_err(), "{cut}");
        }
        let mut unlabeled = VectorWriter::create(&path, vec![2]).unwrap();
        unlabeled.add(&[1.0, 2.0], "a", None).unwrap();
        unlabeled.finish().unwrap();
        let error = read_labeled(&path).unwrap_err().to_string();
        assert!(error.contains("image 0 has no label"), "{error}");
    }
}
