//! A checkpoint and what is in it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::budget::Budget;
use crate::error::{ContentError, ReadError};
use crate::heap::{Heap, Item};
use crate::storage::Storage;
use crate::tensor::Tensor;
use crate::value::{Opaque, Value};
use crate::{freeze, legacy, paths, zipped};

/// What `torch.save` put into a file.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The object that was saved: most often a dictionary.
    pub root: Value,
}

impl Checkpoint {
    /// Reads a file, which is kept in memory as a whole as long as any of its tensors.
    ///
    /// Beside the file itself, at most 16 bytes per byte of it and 1 MiB are taken.
    ///
    /// # Errors
    ///
    /// [`ReadError`], each with the path.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let failed = |source| ReadError::Io {
            path: path.into(),
            source,
        };
        // Reading a pipe might never end.
        if !fs::metadata(path).map_err(failed)?.is_file() {
            return Err(ReadError::NoFile { path: path.into() });
        }
        let bytes = fs::read(path).map_err(failed)?;
        Self::from_bytes(bytes).map_err(|source| ReadError::Content {
            path: path.into(),
            source: Box::new(source),
        })
    }

    /// Reads the content of a file; otherwise as [`read`](Checkpoint::read).
    ///
    /// # Errors
    ///
    /// [`ContentError`] for anything that is no checkpoint, is damaged, or is out of proportion to its size.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ContentError> {
        let mut budget = Budget::for_file(bytes.len());
        let file = Arc::new(bytes);
        match Kind::of(&file) {
            Kind::Zip => zipped::read(&file, &mut budget),
            Kind::Pickle => legacy::read(&file, &mut budget),
            Kind::Other(found) => Err(ContentError::Refused { found }),
        }
    }

    /// All tensors with their paths, in the order of the file: keys of dictionaries, and places in lists and tuples,
    /// joined by dots, such as `model.blocks.0.norm1.weight`. What objects of unknown classes hold as attributes
    /// lies directly under them; what they were made of lies under `arguments`. A tensor that the file holds in
    /// several places is told in each. Two tensors have one path where keys hold dots.
    pub fn tensors(&self) -> Vec<(String, &Tensor)> {
        paths::tensors(&self.root)
    }

    /// The first object under a path of [`tensors`](Checkpoint::tensors), or of any other object; the empty path is
    /// the root's. `None` where there is none.
    pub fn get(&self, path: &str) -> Option<&Value> {
        paths::get(&self.root, path)
    }

    /// All objects, classes and functions that are known by name only, with their paths as for
    /// [`tensors`](Checkpoint::tensors).
    pub fn opaque(&self) -> Vec<(String, &Opaque)> {
        paths::opaque(&self.root)
    }
}

/// What kind of file some bytes are, by their first ones.
enum Kind {
    Zip,
    /// A legacy file, or a pickle of another origin.
    Pickle,
    Other(&'static str),
}

impl Kind {
    fn of(file: &[u8]) -> Self {
        match file {
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Self::Zip,
            // Protocols 2 to 5, and the number that a legacy file of protocol 0 or 1 starts with.
            [0x80, 0..=5, ..] | [b'L', b'1', ..] => Self::Pickle,
            [] => Self::Other("an empty file"),
            _ if file.get(257..262) == Some(b"ustar") => {
                Self::Other("a tar archive, as torch.save wrote before version 0.1.10")
            }
            [b'(' | b'}' | b']' | b'c', .., b'.'] => Self::Other(BARE_PICKLE),
            [_, _, _, _, _, _, _, _, b'{', ..] => Self::Other("a safetensors file"),
            _ => Self::Other("no file of PyTorch"),
        }
    }
}

/// A pickle that no storages follow.
pub(crate) const BARE_PICKLE: &str = "a pickle that torch.save did not write";

/// The checkpoint of a pickle's objects and the storages that it declared, in order.
pub(crate) fn assemble(
    heap: Heap<'_>,
    root: Item,
    storages: &[Arc<Storage>],
) -> Result<Checkpoint, ContentError> {
    let limit = heap.budget.limit();
    let root = freeze::freeze(heap, root, storages)?;
    paths::check(&root, limit).map_err(|fault| ContentError::Structure {
        path: String::new(),
        fault,
    })?;
    Ok(Checkpoint { root })
}
