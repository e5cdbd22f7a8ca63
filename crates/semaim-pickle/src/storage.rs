//! The bytes behind tensors.

use std::ops::Range;
use std::sync::Arc;

use crate::dtype::Dtype;

/// A part of the file, or of something inflated from it.
#[derive(Clone, Debug)]
pub(crate) struct Bytes {
    whole: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Bytes {
    /// The bytes in `range`; nothing where that does not lie within.
    pub(crate) fn part(whole: &Arc<Vec<u8>>, range: Range<usize>) -> Self {
        Self {
            whole: Arc::clone(whole),
            range,
        }
    }

    /// All of it.
    pub(crate) fn all(whole: Vec<u8>) -> Self {
        let range = 0..whole.len();
        Self {
            whole: Arc::new(whole),
            range,
        }
    }

    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.whole.get(self.range.clone()).unwrap_or_default()
    }
}

/// Elements one after another, which tensors are views of.
#[derive(Debug)]
pub(crate) struct Storage {
    /// Their type.
    pub(crate) dtype: Dtype,
    /// Whether the most significant byte comes first.
    pub(crate) big_endian: bool,
    /// The elements.
    pub(crate) bytes: Bytes,
    /// The most bytes that a view may be turned into.
    pub(crate) limit: usize,
}

/// What a pickle says of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    /// Its name in the file.
    pub(crate) key: Arc<str>,
    /// The type of its elements.
    pub(crate) dtype: Dtype,
    /// Their number.
    pub(crate) elements: usize,
}

impl Declared {
    /// Its size in bytes, at most `usize::MAX`, which no file has.
    pub(crate) fn bytes(&self) -> usize {
        self.elements.saturating_mul(self.dtype.size())
    }
}
