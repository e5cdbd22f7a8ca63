//! Named tensors out of any file that people have: safetensors, what `torch.save` wrote (`.pth`, `.pt`, `.bin`), and pickles of
//! arrays (`.pkl`), whole or in shards.
//!
//! The kind is told by the content, not by the name. Nothing of a pickle is executed (see [`semaim_pickle`]), and the
//! numbers of a tensor are read only when they are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use safetensors::tensor::Metadata;

/// The type of a tensor in a safetensors header.
pub use safetensors::Dtype as TensorType;
use semaim::parameters::Weight;
use semaim_pickle::{Checkpoint, Dtype};

use crate::checksum::{CHECKSUM, Checksum};
use crate::error::TensorFileError;

/// The longest header of a safetensors file, as the format says.
const LONGEST_HEADER: u64 = 100_000_000;
/// Bytes of numbers that are looked at together.
const CHUNK: usize = 1 << 20;

/// A file's tensors by name.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// The tensors. In nested containers keys are joined by dots.
    pub tensors: BTreeMap<String, Stored>,
    /// Free text by key, of a safetensors file.
    pub metadata: BTreeMap<String, String>,
    /// Classes of objects that a pickle holds beside tensors and plain containers; they were not made.
    pub opaque: Vec<String>,
    /// The length of the file, or of all shards, in bytes.
    pub len: u64,
    /// Whether `torch.save` wrote it.
    pub is_pickle: bool,
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
    /// So many bytes of a safetensors file from a place on.
    Part(Arc<Mutex<File>>, u64, usize),
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

    /// Reads its numbers as `f32`, last axis fastest.
    ///
    /// # Errors
    /// What is wrong with it, for a tensor whose numbers cannot be read.
    pub fn read(&self) -> Result<Weight, String> {
        let values = match &self.content {
            Content::Pickled(tensor) => tensor.read().map_err(|error| error.to_string())?,
            Content::Part(_, _, length) => {
                if !self.dtype.is_read() {
                    return Err(format!("has type {}, which is not read", self.dtype));
                }
                let size = self.dtype.size().unwrap_or(1);
                let mut values = Vec::with_capacity(length / size);
                self.each_chunk(&mut |numbers| values.extend(numbers))
                    .map_err(|error| error.to_string())?;
                values
            }
        };
        Ok(Weight {
            shape: self.shape.clone(),
            values,
        })
    }

    /// Reads a part of a safetensors file a piece at a time.
    fn each_chunk(&self, each: &mut dyn FnMut(Vec<f32>)) -> io::Result<()> {
        let Content::Part(file, start, length) = &self.content else {
            return Ok(());
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(*start))?;
        let mut bytes = vec![0; CHUNK.min(*length)];
        let mut left = *length;
        while left > 0 {
            let part = left.min(CHUNK);
            file.read_exact(&mut bytes[..part])?;
            each(self.dtype.to_f32(&bytes[..part], false));
            left -= part;
        }
        Ok(())
    }
}

impl Archive {
    /// Opens a file, or the index of a file in shards; reads what it says of its tensors and, where it holds a checksum of
    /// ours, verifies it.
    ///
    /// # Errors
    /// [`TensorFileError`], each with the path.
    pub fn read(path: &Path) -> Result<Self, TensorFileError> {
        let mut archive = Self::open(path)?;
        let Some(expected) = archive.metadata.remove(CHECKSUM) else {
            return Ok(archive);
        };
        let mut checksum = Checksum::default();
        for (name, stored) in &archive.tensors {
            checksum.tensor(name, &stored.shape);
            stored
                .each_chunk(&mut |numbers| checksum.values(&numbers))
                .map_err(|source| TensorFileError::reading(path, source))?;
        }
        checksum.check(path, &expected)?;
        Ok(archive)
    }

    /// As [`read`](Self::read), without looking at the checksum.
    pub(crate) fn open(path: &Path) -> Result<Self, TensorFileError> {
        let failed = |source| TensorFileError::reading(path, source);
        let metadata = fs::metadata(path).map_err(failed)?;
        // Reading a pipe might never end.
        if !metadata.is_file() {
            return Err(failed(io::Error::other("is no file")));
        }
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            return Self::of_shards(path);
        }
        let mut file = File::open(path).map_err(failed)?;
        let mut head = [0; 9];
        let read = file.read(&mut head).map_err(failed)?;
        // A header's length, and a brace that opens it.
        if read == head.len() && head[8] == b'{' {
            Self::of_safetensors(path, file, metadata.len())
        } else {
            Self::of_pickle(path, metadata.len())
        }
    }

    fn of_safetensors(path: &Path, mut file: File, len: u64) -> Result<Self, TensorFileError> {
        let damaged = |message: String| TensorFileError::Damaged {
            path: path.to_path_buf(),
            message,
        };
        let header = read_header(&mut file, len).map_err(damaged)?;
        let file = Arc::new(Mutex::new(file));
        let mut tensors = BTreeMap::new();
        for (name, info) in header.metadata.tensors() {
            let (start, end) = info.data_offsets;
            let stored = Stored {
                dtype: dtype(info.dtype),
                shape: info.shape.clone(),
                content: Content::Part(Arc::clone(&file), header.end + start as u64, end - start),
            };
            tensors.insert(name, stored);
        }
        let metadata = header.metadata.metadata().clone();
        Ok(Self {
            tensors,
            metadata: metadata.unwrap_or_default().into_iter().collect(),
            opaque: Vec::new(),
            len,
            is_pickle: false,
        })
    }

    fn of_pickle(path: &Path, len: u64) -> Result<Self, TensorFileError> {
        let checkpoint = Checkpoint::open(path).map_err(|source| TensorFileError::Pickle {
            path: path.to_path_buf(),
            source: Box::new(source),
        })?;
        let tensors = checkpoint.tensors.into_iter().map(|(name, tensor)| {
            let stored = Stored {
                dtype: tensor.dtype(),
                shape: tensor.shape().to_vec(),
                content: Content::Pickled(tensor),
            };
            (name, stored)
        });
        Ok(Self {
            tensors: tensors.collect(),
            metadata: BTreeMap::new(),
            opaque: checkpoint.classes,
            len,
            is_pickle: true,
        })
    }

    /// The shards that an index lists, which stand beside it: `model.safetensors.index.json` and the like.
    fn of_shards(path: &Path) -> Result<Self, TensorFileError> {
        let damaged = |message: String| TensorFileError::Damaged {
            path: path.to_path_buf(),
            message,
        };
        let text = fs::read(path).map_err(|source| TensorFileError::reading(path, source))?;
        let index: ShardIndex =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        let mut all = Self::default();
        let shards: BTreeSet<&String> = index.weight_map.values().collect();
        for shard in shards {
            // A shard lies beside its index, nowhere else.
            if Path::new(shard).components().count() != 1 || shard.ends_with(".json") {
                return Err(damaged(format!("names `{shard}` as a shard")));
            }
            let part = Self::read(&path.with_file_name(shard))?;
            all.len += part.len;
            all.is_pickle = part.is_pickle;
            all.metadata.extend(part.metadata);
            all.opaque.extend(part.opaque);
            for (name, stored) in part.tensors {
                if index.weight_map.get(&name) == Some(shard) {
                    all.tensors.insert(name, stored);
                }
            }
        }
        // Of each shard on its own, where there is one.
        all.metadata.remove(CHECKSUM);
        let absent = index
            .weight_map
            .iter()
            .find(|(name, _)| !all.tensors.contains_key(*name));
        match absent {
            Some((name, shard)) => Err(damaged(format!(
                "says that `{name}` is in {shard}, where it is not"
            ))),
            None => Ok(all),
        }
    }
}

/// What `transformers` writes beside shards.
#[derive(serde::Deserialize)]
struct ShardIndex {
    /// The file of each tensor.
    weight_map: BTreeMap<String, String>,
}

/// The header of a safetensors file.
#[derive(Debug)]
pub struct Header {
    /// The tensors and the free text.
    pub metadata: Metadata,
    /// Where the numbers start in the file.
    pub end: u64,
}

/// Reads the header of a safetensors file of `len` bytes; the offsets of its tensors are checked against each other, their
/// shapes and the file's length.
///
/// # Errors
/// What is wrong with it.
pub fn read_header(file: &mut (impl Read + Seek), len: u64) -> Result<Header, String> {
    file.rewind().map_err(|error| error.to_string())?;
    let mut length = [0; 8];
    file.read_exact(&mut length)
        .map_err(|error| error.to_string())?;
    let length = u64::from_le_bytes(length);
    let end = length
        .checked_add(8)
        .filter(|&end| end <= len && length <= LONGEST_HEADER);
    let end = end.ok_or("its header is longer than the file")?;
    let mut text = vec![0; length as usize];
    file.read_exact(&mut text)
        .map_err(|error| error.to_string())?;
    // Looks at offsets and shapes as it goes.
    let metadata: Metadata = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let last = metadata.data_len() as u64;
    match end.checked_add(last) == Some(len) {
        true => Ok(Header { metadata, end }),
        false => Err(format!(
            "its tensors end at byte {last} after the header, the file at {}",
            len - end
        )),
    }
}

/// The type of a tensor in safetensors.
fn dtype(dtype: safetensors::Dtype) -> Dtype {
    use safetensors::Dtype as Theirs;
    match dtype {
        Theirs::F64 => Dtype::F64,
        Theirs::F32 => Dtype::F32,
        Theirs::F16 => Dtype::F16,
        Theirs::BF16 => Dtype::Bf16,
        Theirs::I64 => Dtype::I64,
        Theirs::I32 => Dtype::I32,
        Theirs::I16 => Dtype::I16,
        Theirs::I8 => Dtype::I8,
        Theirs::U64 => Dtype::U64,
        Theirs::U32 => Dtype::U32,
        Theirs::U16 => Dtype::U16,
        Theirs::U8 => Dtype::U8,
        Theirs::BOOL => Dtype::Bool,
        Theirs::C64 => Dtype::Unread("complex64"),
        Theirs::F8_E4M3 => Dtype::Unread("float8_e4m3fn"),
        Theirs::F8_E5M2 => Dtype::Unread("float8_e5m2"),
        _ => Dtype::Unread("a type that is not known"),
    }
}
