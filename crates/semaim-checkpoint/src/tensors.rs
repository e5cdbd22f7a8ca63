//! A file of named tensors, written as safetensors.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use half::{bf16, f16};
use semaim::parameters::Weights;
use semaim_pickle::{Array, write_arrays};
use serde_json::{Map, Value, json};

use crate::archive::Archive;
use crate::atomic;
use crate::checksum::{CHECKSUM, Checksum};
use crate::error::TensorFileError;

/// Numbers that are turned into bytes together.
const CHUNK: usize = 1 << 14;

/// Named tensors with metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorFile {
    /// The tensors.
    pub weights: Weights,
    /// Free text by key; `crc32c` is the file's own.
    pub metadata: BTreeMap<String, String>,
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// IEEE single precision.
    #[default]
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
}

impl Precision {
    /// The type's name in safetensors.
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    /// The type's name on the command line.
    fn told(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// A type for numbers that are too large for this one.
    fn wider(self) -> Self {
        match self {
            Self::F16 => Self::Bf16,
            Self::Bf16 | Self::F32 => Self::F32,
        }
    }

    /// Bytes of a number.
    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Numbers as they are written, rounded to the nearest; ties to even.
    fn bytes(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => bytes(values),
            Self::F16 => values
                .iter()
                .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                .collect(),
            Self::Bf16 => values
                .iter()
                .flat_map(|v| bf16::from_f32(*v).to_le_bytes())
                .collect(),
        }
    }

    /// Numbers as they come back.
    fn rounded(self, values: &[f32]) -> Vec<f32> {
        match self {
            Self::F32 => values.to_vec(),
            Self::F16 => values.iter().map(|v| f16::from_f32(*v).to_f32()).collect(),
            Self::Bf16 => values.iter().map(|v| bf16::from_f32(*v).to_f32()).collect(),
        }
    }
}

impl TensorFile {
    /// Writes the file, whole or not at all. Equal contents give equal bytes.
    ///
    /// # Errors
    /// [`TensorFileError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), TensorFileError> {
        self.write_as(path, Precision::F32)
    }

    /// As [`write`](Self::write), the numbers in another precision.
    ///
    /// # Errors
    /// [`TensorFileError::Io`], and [`TensorFileError::TooLarge`] for a number that would become infinite.
    pub fn write_as(&self, path: &Path, precision: Precision) -> Result<(), TensorFileError> {
        let shapes = self.weights.iter();
        let shapes = shapes.map(|(name, weight)| (name.as_str(), weight.shape.as_slice()));
        let values = |name: &str| {
            let weight = self.weights.get(name);
            Ok(weight.map_or(&[][..], |weight| &weight.values).into())
        };
        write_tensors(path, precision, &self.metadata, shapes, values)
    }

    /// Writes the tensors as a pickle of NumPy arrays, in the form of the models that detectron2 publishes, which its
    /// checkpointer reads. Metadata have no place in it but the author's name.
    ///
    /// # Errors
    /// [`TensorFileError::Io`].
    pub fn write_pickle(&self, path: &Path, author: &str) -> Result<(), TensorFileError> {
        let arrays = self.weights.iter().map(|(name, weight)| Array {
            name,
            shape: &weight.shape,
            values: &weight.values,
        });
        let written = atomic::write(path, |file| write_arrays(file, arrays, author));
        written.map_err(|source| TensorFileError::Io {
            action: "writing",
            path: path.to_path_buf(),
            source,
        })
    }

    /// Reads all tensors of a file, widened to `f32`; where it holds a checksum of ours, verifies it. Nothing but the
    /// numbers themselves is held in memory.
    ///
    /// # Errors
    /// [`TensorFileError`], each with the path.
    pub fn read(path: &Path) -> Result<Self, TensorFileError> {
        let mut archive = Archive::open(path).map_err(|error| match error {
            // A file of ours is safetensors: one that does not even begin so is a damaged one.
            TensorFileError::Pickle { path, source } => TensorFileError::Damaged {
                path,
                message: source.to_string(),
            },
            other => other,
        })?;
        let expected = archive.metadata.remove(CHECKSUM);
        let mut checksum = Checksum::default();
        let mut weights = Weights::new();
        for (name, stored) in archive.tensors {
            let weight = stored.read().map_err(|message| TensorFileError::Damaged {
                path: path.to_path_buf(),
                message: format!("tensor `{name}`: {message}"),
            })?;
            if expected.is_some() {
                checksum.tensor(&name, &weight.shape);
                checksum.values(&weight.values);
            }
            weights.insert(name, weight);
        }
        if let Some(expected) = expected {
            checksum.check(path, &expected)?;
        }
        Ok(Self {
            weights,
            metadata: archive.metadata,
        })
    }
}

/// Writes a file of tensors that come one at a time, whole or not at all: `shapes` names them, sorted by name, and `values` gives the
/// numbers of each. It is asked for all of them twice, as the checksum stands before them.
///
/// # Errors
/// [`TensorFileError::Io`], also where `values` fails, and [`TensorFileError::TooLarge`] for a number that would become infinite.
pub fn write_tensors<'a, 'v>(
    path: &Path,
    precision: Precision,
    metadata: &BTreeMap<String, String>,
    shapes: impl Iterator<Item = (&'a str, &'a [usize])> + Clone,
    values: impl Fn(&str) -> io::Result<Cow<'v, [f32]>>,
) -> Result<(), TensorFileError> {
    let failed = |source| TensorFileError::Io {
        action: "writing",
        path: path.to_path_buf(),
        source,
    };
    let mut checksum = Checksum::default();
    let mut tensors = Map::new();
    let mut end = 0;
    for (name, shape) in shapes.clone() {
        // Over the numbers as they are read again.
        let values = values(name).map_err(failed)?;
        checksum.tensor(name, shape);
        for chunk in values.chunks(CHUNK) {
            let rounded = precision.rounded(chunk);
            if let Some(value) = overflow(chunk, &rounded) {
                return Err(TensorFileError::TooLarge {
                    path: path.to_path_buf(),
                    name: name.to_string(),
                    value,
                    precision: precision.told(),
                    holds: precision.wider().told(),
                });
            }
            checksum.values(&rounded);
        }
        let start = end;
        end += precision.size() * values.len();
        let entry = json!({
            "dtype": precision.name(), "shape": shape, "data_offsets": [start, end],
        });
        tensors.insert(name.to_string(), entry);
    }
    let mut metadata = metadata.clone();
    metadata.insert(CHECKSUM.into(), checksum.text());
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!(metadata));
    header.extend(tensors);
    let mut header = Value::Object(header).to_string();
    // Padding with spaces keeps the data aligned to 8 bytes, as the format asks.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    atomic::write(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        for (name, _) in shapes {
            for chunk in values(name)?.chunks(CHUNK) {
                file.write_all(&precision.bytes(chunk))?;
            }
        }
        Ok(())
    })
    .map_err(failed)
}

/// The first finite number that is none any more.
fn overflow(values: &[f32], rounded: &[f32]) -> Option<f32> {
    let mut both = values.iter().zip(rounded);
    both.find(|(value, rounded)| value.is_finite() && !rounded.is_finite())
        .map(|(value, _)| *value)
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim::parameters::Weight;
    use std::fs;

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
    fn numbers_that_a_type_does_not_hold_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let with = |value: f32| {
            let mut file = example();
            if let Some(weight) = file.weights.get_mut("b") {
                weight.values[4] = value;
            }
            file
        };
        let error = with(1e6).write_as(&path, Precision::F16).unwrap_err();
        for part in ["`b`", "1e6", "f16", "bf16"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(!path.exists());
        assert!(with(f32::MAX).write_as(&path, Precision::Bf16).is_err());
        // What is infinite before stays so.
        for (value, precision) in [
            (1e6, Precision::Bf16),
            (65504.0, Precision::F16),
            (f32::INFINITY, Precision::F16),
        ] {
            with(value).write_as(&path, precision).unwrap();
        }
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
