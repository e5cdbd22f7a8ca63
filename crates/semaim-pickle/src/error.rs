//! What can be wrong with a checkpoint file.

use std::path::PathBuf;

use crate::archive_error::ArchiveError;
use crate::budget::OverBudget;
use crate::pickle_error::PickleError;

/// A checkpoint file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The path names a folder, a pipe or a device.
    #[error("{} is no regular file", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// The file was read, but its content is not what it should be.
    #[error("{}: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ContentError>,
    },
}

/// The bytes of a file are no checkpoint that can be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The file is of a kind that is not read.
    #[error("this is {found}; checkpoints are read as torch.save writes them")]
    Refused {
        /// What it is.
        found: &'static str,
    },
    /// The archive is damaged.
    #[error("the archive is damaged: {0}")]
    Archive(#[from] ArchiveError),
    /// A pickle is damaged or holds what is not read.
    #[error("{part}: {source}")]
    Pickle {
        /// Which pickle of the file: the name of an archive entry, or what it is for in a legacy file.
        part: String,
        /// What is wrong with it.
        source: PickleError,
    },
    /// A pickle of a legacy file is whole, but is not what must stand there.
    #[error("{part} is not {expected}")]
    Unexpected {
        /// Which pickle.
        part: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A storage that a tensor needs is not in the file, or not as large as the tensor's pickle says.
    #[error("storage `{key}` {fault}")]
    Storage {
        /// The storage's key, shortened.
        key: String,
        /// What is wrong with it.
        fault: StorageFault,
    },
    /// The objects of the file do not form a tree that can be walked.
    #[error("at `{path}`: {fault}")]
    Structure {
        /// Where, as far as it was followed; empty at the root.
        path: String,
        /// What is wrong there.
        fault: StructureFault,
    },
}

/// What is wrong with a storage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageFault {
    /// It is not in the file.
    #[error("is not in the file")]
    Missing,
    /// A legacy file holds it, but no tensor tells its type; or its type is not read.
    #[error("has a type that is not read, or none")]
    Unknown,
    /// The file ends within it.
    #[error("takes {needed} bytes from byte {offset} on, beyond the end of the file")]
    Truncated {
        /// Where it starts.
        offset: usize,
        /// Its size.
        needed: u64,
    },
    /// It is smaller than the pickle says.
    #[error("holds {found} bytes; its pickle says {needed}")]
    Short {
        /// Its size.
        found: usize,
        /// The size by the pickle.
        needed: usize,
    },
    /// A legacy file gives another number of elements than its pickle.
    #[error("holds {found} elements; its pickle says {expected}")]
    Count {
        /// The number of elements that precedes the bytes.
        found: u64,
        /// The number by the pickle.
        expected: usize,
    },
}

/// What is wrong with the way objects hold each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StructureFault {
    /// An object holds itself.
    #[error("an object holds itself")]
    Cycle,
    /// Objects lie too deep in each other.
    #[error("objects lie more than {limit} deep in each other")]
    Depth {
        /// The most that is read.
        limit: usize,
    },
    /// A dictionary has a key twice.
    #[error("the key `{key}` stands twice")]
    DuplicateKey {
        /// The key, shortened.
        key: String,
    },
    /// Objects are shared so often that walking over all of them would not end.
    #[error(
        "objects are shared so often that there would be more than {limit} of them, or of bytes in their paths"
    )]
    Shared {
        /// The most that is read.
        limit: usize,
    },
    /// The objects are out of proportion to the file.
    #[error(transparent)]
    Memory(#[from] OverBudget),
}

/// The most characters of a name from a file that an error repeats.
const SHOWN: usize = 80;

/// A name from a file as an error shows it: without control characters, and not longer than a line.
pub(crate) fn shown(name: &str) -> String {
    let mut escaped = name.escape_debug();
    let mut short: String = escaped.by_ref().take(SHOWN).collect();
    if escaped.next().is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_short_and_without_control_characters() {
        assert_eq!(shown("blocks.0"), "blocks.0");
        assert_eq!(shown("a\u{1b}[2J\n"), "a\\u{1b}[2J\\n");
        let long = shown(&"x".repeat(1000));
        assert_eq!(long.chars().count(), SHOWN + 1);
        assert!(long.ends_with("x…"));
    }
}
