//! Named tensors out of any file that people have: safetensors, and what `torch.save` wrote (`.pth`, `.pt`, `.bin`).
//!
//! The kind is told by the content, not by the name. Nothing of a pickle is executed (see [`semaim_pickle`]), and a
//! tensor is widened to `f32` only when it is asked for.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use half::{bf16, f16};
use safetensors::SafeTensors;
use semaim::parameters::Weight;
use semaim_pickle::{Checkpoint, Dtype};

use crate::tensors::{CHECKSUM, TensorFileError, checksum};

/// A file's tensors by name.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// The tensors. In nested containers keys are joined by dots.
    pub tensors: BTreeMap<String, Stored>,
    /// Free text by key, of a safetensors file.
    pub metadata: BTreeMap<String, String>,
    /// Classes of objects that a pickle holds beside tensors and plain containers; they were not made.
    pub opaque: Vec<String>,
}

/// A tensor as it lies in a file.
#[derive(Clone, Debug)]
pub struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    /// Part of a file that is in memory, as little-endian numbers.
    Part(Arc<Vec<u8>>, Range<usize>),
    /// A tensor of a pickle, with strides of its own.
    Pickled(semaim_pickle::Tensor),
}

impl Stored {
    /// The type of its numbers.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Sizes of its axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many numbers it holds.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Its numbers in `f32`, last axis fastest.
    ///
    /// # Errors
    /// What is wrong with it, for a tensor whose numbers cannot be read.
    pub fn to_f32(&self) -> Result<Weight, String> {
        let values = match &self.content {
            Content::Pickled(tensor) => tensor.to_f32().map_err(|error| error.to_string())?,
            Content::Part(file, range) => widened(self.dtype, &file[range.clone()]),
        };
        Ok(Weight {
            shape: self.shape.clone(),
            values,
        })
    }
}

/// Little-endian numbers as `f32`.
fn widened(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|b| number(*b))
            .collect()
    }
    match dtype {
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::Bf16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
        Dtype::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
        Dtype::I16 => each(bytes, |b| f32::from(i16::from_le_bytes(b))),
        Dtype::I8 => each(bytes, |b: [u8; 1]| f32::from(b[0] as i8)),
        Dtype::U8 => each(bytes, |b: [u8; 1]| f32::from(b[0])),
        Dtype::Bool => each(bytes, |b: [u8; 1]| f32::from(u8::from(b[0] != 0))),
    }
}

impl Archive {
    /// Reads a file; where it holds a checksum of ours, verifies it.
    ///
    /// # Errors
    /// [`TensorFileError`], each with the path.
    pub fn read(path: &Path) -> Result<Self, TensorFileError> {
        let failed = |source| TensorFileError::Io {
            action: "reading",
            path: path.to_path_buf(),
            source,
        };
        // Reading a pipe might never end.
        if !fs::metadata(path).map_err(failed)?.is_file() {
            return Err(failed(io::Error::other("is no file")));
        }
        let content = fs::read(path).map_err(failed)?;
        // A header's length, and a brace that opens it.
        if content.get(8) == Some(&b'{') {
            Self::of_safetensors(path, content)
        } else {
            Self::of_pickle(path, content)
        }
    }

    fn of_safetensors(path: &Path, content: Vec<u8>) -> Result<Self, TensorFileError> {
        let damaged = |message: String| TensorFileError::Damaged {
            path: path.to_path_buf(),
            message,
        };
        // The offsets are checked against each other and the file's length.
        let (length, header) =
            SafeTensors::read_metadata(&content).map_err(|e| damaged(e.to_string()))?;
        let file = Arc::new(content);
        let mut tensors = BTreeMap::new();
        for (name, info) in header.tensors() {
            let dtype = dtype(info.dtype).ok_or_else(|| TensorFileError::Dtype {
                path: path.to_path_buf(),
                name: name.clone(),
                dtype: format!("{:?}", info.dtype),
            })?;
            let (start, end) = info.data_offsets;
            let stored = Stored {
                dtype,
                shape: info.shape.clone(),
                content: Content::Part(Arc::clone(&file), 8 + length + start..8 + length + end),
            };
            tensors.insert(name, stored);
        }
        let mut archive = Self {
            tensors,
            metadata: header
                .metadata()
                .clone()
                .unwrap_or_default()
                .into_iter()
                .collect(),
            opaque: Vec::new(),
        };
        if let Some(expected) = archive.metadata.remove(CHECKSUM) {
            let mut weights = BTreeMap::new();
            for (name, stored) in &archive.tensors {
                weights.insert(name.clone(), stored.to_f32().map_err(damaged)?);
            }
            let found = checksum(weights.iter());
            if found != expected {
                return Err(damaged(format!(
                    "its checksum is {found}, it should be {expected}"
                )));
            }
        }
        Ok(archive)
    }

    fn of_pickle(path: &Path, content: Vec<u8>) -> Result<Self, TensorFileError> {
        let checkpoint =
            Checkpoint::from_bytes(content).map_err(|source| TensorFileError::Pickle {
                path: path.to_path_buf(),
                source: Box::new(source),
            })?;
        let tensors = checkpoint.tensors().into_iter().map(|(name, tensor)| {
            let stored = Stored {
                dtype: tensor.dtype(),
                shape: tensor.shape().to_vec(),
                content: Content::Pickled(tensor.clone()),
            };
            (name, stored)
        });
        let mut opaque: Vec<String> = checkpoint
            .opaque()
            .into_iter()
            .map(|(_, object)| format!("{}.{}", object.module, object.name))
            .collect();
        opaque.sort();
        opaque.dedup();
        Ok(Self {
            tensors: tensors.collect(),
            metadata: BTreeMap::new(),
            opaque,
        })
    }
}

/// The type of a tensor in safetensors; `None` for what is no plain number.
fn dtype(dtype: safetensors::Dtype) -> Option<Dtype> {
    use safetensors::Dtype as Theirs;
    Some(match dtype {
        Theirs::F64 => Dtype::F64,
        Theirs::F32 => Dtype::F32,
        Theirs::F16 => Dtype::F16,
        Theirs::BF16 => Dtype::Bf16,
        Theirs::I64 => Dtype::I64,
        Theirs::I32 => Dtype::I32,
        Theirs::I16 => Dtype::I16,
        Theirs::I8 => Dtype::I8,
        Theirs::U8 => Dtype::U8,
        Theirs::BOOL => Dtype::Bool,
        _ => return None,
    })
}
