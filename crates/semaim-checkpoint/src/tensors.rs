//! A safetensors file of `f32` tensors.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use semaim::parameters::{Weight, Weights};
use serde_json::{Map, Value, json};

use crate::atomic;

/// The metadata key under which the checksum stands.
const CHECKSUM: &str = "crc32c";

/// Named tensors with metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorFile {
    /// The tensors.
    pub weights: Weights,
    /// Free text by key; `crc32c` is the file's own.
    pub metadata: BTreeMap<String, String>,
}

/// Why a weight file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TensorFileError {
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
    /// The content is not what it should be.
    #[error("{path} is damaged: {message}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A tensor has a type that is not read here.
    #[error("{path}: tensor `{name}` has type {dtype}, expected F32")]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        dtype: String,
    },
}

impl TensorFile {
    /// Writes the file, whole or not at all. Equal contents give equal bytes.
    ///
    /// # Errors
    /// [`TensorFileError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), TensorFileError> {
        let failed = |source| TensorFileError::Io {
            action: "writing",
            path: path.to_path_buf(),
            source,
        };
        let mut metadata = self.metadata.clone();
        metadata.insert(CHECKSUM.into(), checksum(self.weights.iter()));
        let mut header = Map::new();
        header.insert("__metadata__".into(), json!(metadata));
        let mut end = 0;
        for (name, weight) in &self.weights {
            let start = end;
            end += 4 * weight.values.len();
            let entry =
                json!({"dtype": "F32", "shape": weight.shape, "data_offsets": [start, end]});
            header.insert(name.clone(), entry);
        }
        let mut header = Value::Object(header).to_string();
        // Padding with spaces keeps the data aligned to 8 bytes, as the format asks.
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        atomic::write(path, |file| {
            file.write_all(&(header.len() as u64).to_le_bytes())?;
            file.write_all(header.as_bytes())?;
            for weight in self.weights.values() {
                for chunk in weight.values.chunks(1 << 14) {
                    file.write_all(&bytes(chunk))?;
                }
            }
            Ok(())
        })
        .map_err(failed)
    }

    /// Reads a file of `f32` tensors; where it holds a checksum of ours, verifies it.
    ///
    /// # Errors
    /// [`TensorFileError`], each with the path.
    pub fn read(path: &Path) -> Result<Self, TensorFileError> {
        let damaged = |message: String| TensorFileError::Damaged {
            path: path.to_path_buf(),
            message,
        };
        let content = fs::read(path).map_err(|source| TensorFileError::Io {
            action: "reading",
            path: path.to_path_buf(),
            source,
        })?;
        let (_, header) =
            SafeTensors::read_metadata(&content).map_err(|e| damaged(e.to_string()))?;
        let tensors = SafeTensors::deserialize(&content).map_err(|e| damaged(e.to_string()))?;
        let mut weights = Weights::new();
        for (name, view) in tensors.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(TensorFileError::Dtype {
                    path: path.to_path_buf(),
                    name: name.to_string(),
                    dtype: format!("{:?}", view.dtype()),
                });
            }
            let values = view
                .data()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect();
            weights.insert(
                name.to_string(),
                Weight {
                    shape: view.shape().to_vec(),
                    values,
                },
            );
        }
        let mut metadata: BTreeMap<String, String> = header
            .metadata()
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect();
        if let Some(expected) = metadata.remove(CHECKSUM) {
            let found = checksum(weights.iter());
            if found != expected {
                return Err(damaged(format!(
                    "its checksum is {found}, it should be {expected}"
                )));
            }
        }
        Ok(Self { weights, metadata })
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Over names, shapes and values, so that a bit flipped anywhere shows.
pub(crate) fn checksum<'a>(weights: impl Iterator<Item = (&'a String, &'a Weight)>) -> String {
    let sum = weights.fold(0, |sum, (name, weight)| {
        let head = format!("{name}\0{:?}\0", weight.shape);
        let sum = crc32c::crc32c_append(sum, head.as_bytes());
        weight
            .values
            .chunks(1 << 14)
            .fold(sum, |sum, chunk| crc32c::crc32c_append(sum, &bytes(chunk)))
    });
    format!("{sum:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> TensorFile {
        let weight = |shape: &[usize], from: f32| Weight {
            shape: shape.to_vec(),
            values: (0..shape.iter().product::<usize>())
                .map(|i| from + i as f32)
                .collect(),
        };
        TensorFile {
            weights: Weights::from([
                ("b".to_string(), weight(&[2, 3], 0.5)),
                ("a".to_string(), weight(&[1], -3.0)),
                ("scalar".to_string(), weight(&[], 2.0)),
            ]),
            metadata: BTreeMap::from([("step".to_string(), "17".to_string())]),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        example().write(&path).unwrap();
        assert_eq!(TensorFile::read(&path).unwrap(), example());
        let first = fs::read(&path).unwrap();
        example().write(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        example().write(&path).unwrap();
        let good = fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bad).unwrap();
            // A flip in the metadata or in the name of a key changes what the file says, not its tensors.
            if let Ok(read) = TensorFile::read(&path) {
                assert_eq!(read.weights, example().weights, "bit {bit}");
            }
        }
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).unwrap();
            assert!(TensorFile::read(&path).is_err(), "length {length}");
        }
    }
}
