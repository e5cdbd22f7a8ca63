//! Files of vectors, read back a part at a time.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use semaim_checkpoint::archive::{Header, TensorType, read_header};

use super::VectorError;
use crate::knn::Labeled;

/// Vectors with labels, from a `.safetensors` file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabeledVectors {
    /// `[images, width]`, row by row.
    pub features: Vec<f32>,
    /// The class of each image.
    pub labels: Vec<u32>,
}

impl LabeledVectors {
    /// A view of them.
    pub fn view(&self) -> Labeled<'_> {
        Labeled {
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
pub fn read_labeled(path: &Path) -> Result<LabeledVectors, VectorError> {
    let reading = |source| reading(path, source);
    let content = |message: String| content(path, message);
    if path
        .extension()
        .is_none_or(|extension| extension != "safetensors")
    {
        return Err(content(
            "vectors with their labels are read from .safetensors files (semaim embed --out FILE.safetensors)".into(),
        ));
    }
    let (mut file, header) = open(path)?;
    let data = header.end;
    let features = entry(&header, "features", TensorType::F32).map_err(content)?;
    let labels = entry(&header, "labels", TensorType::I64).map_err(content)?;
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
    Ok(LabeledVectors {
        features: numbers,
        labels: classes,
    })
}

/// A `.safetensors` file after its header.
pub(super) fn open(path: &Path) -> Result<(BufReader<File>, Header), VectorError> {
    let file = File::open(path).map_err(|source| reading(path, source))?;
    let total = file
        .metadata()
        .map_err(|source| reading(path, source))?
        .len();
    let mut file = BufReader::with_capacity(1 << 20, file);
    let header = read_header(&mut file, total).map_err(|message| content(path, message))?;
    Ok((file, header))
}

fn reading(path: &Path, source: io::Error) -> VectorError {
    VectorError::Io {
        action: "reading",
        path: path.to_path_buf(),
        source,
    }
}

fn content(path: &Path, message: String) -> VectorError {
    VectorError::Content {
        path: path.to_path_buf(),
        message,
    }
}

/// Where a tensor stands.
struct Entry {
    start: u64,
    numbers: usize,
    rows: usize,
}

fn entry(header: &Header, name: &str, dtype: TensorType) -> Result<Entry, String> {
    let info = header
        .metadata
        .info(name)
        .ok_or_else(|| format!("no tensor `{name}`, as semaim embed writes it"))?;
    if info.dtype != dtype {
        return Err(format!(
            "`{name}` has type {:?}, expected {dtype:?}",
            info.dtype
        ));
    }
    Ok(Entry {
        start: info.data_offsets.0 as u64,
        numbers: info.shape.iter().product(),
        rows: info.shape.first().copied().unwrap_or(0),
    })
}
