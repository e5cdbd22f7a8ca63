//! What can be wrong with an archive.

use crate::budget::OverBudget;

/// What is wrong with an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It has no directory at its end, as happens when a download was cut short.
    #[error("it has no directory at its end; the file may have been cut short")]
    NoDirectory,
    /// The directory does not lie where it should.
    #[error("its directory does not lie within the file")]
    Directory,
    /// An entry of the directory is cut short or of no known form.
    #[error("the directory is damaged at byte {offset}")]
    DirectoryEntry {
        /// Where the entry starts.
        offset: usize,
    },
    /// The archive is one of several parts.
    #[error("it is one part of an archive of several")]
    Parts,
    /// An entry does not lie where the directory says, or not wholly within the file.
    #[error("entry `{name}` does not lie where the directory says")]
    Entry {
        /// Its name, shortened.
        name: String,
    },
    /// Two entries have one name.
    #[error("entry `{name}` stands twice")]
    Duplicate {
        /// Their name, shortened.
        name: String,
    },
    /// Two entries share bytes.
    #[error("entry `{name}` overlaps another")]
    Overlap {
        /// The name of the one that starts later, shortened.
        name: String,
    },
    /// An entry is encrypted or compressed in a way that is not read.
    #[error("entry `{name}` is {how}, which is not read")]
    Method {
        /// Its name, shortened.
        name: String,
        /// What it is.
        how: &'static str,
    },
    /// An entry does not inflate to the size that the directory gives.
    #[error("entry `{name}` does not inflate to {size} bytes")]
    Inflate {
        /// Its name, shortened.
        name: String,
        /// The size by the directory.
        size: usize,
    },
    /// An entry's bytes are not those that were written.
    #[error("entry `{name}` is damaged: its check sum is {found:08x}, it should be {expected:08x}")]
    Checksum {
        /// Its name, shortened.
        name: String,
        /// The sum of the bytes.
        found: u32,
        /// The sum by the directory.
        expected: u32,
    },
    /// There is no `data.pkl`, or more than one.
    #[error("it holds {count} entries `*/data.pkl`, a checkpoint holds one")]
    Pickles {
        /// How many there are.
        count: usize,
    },
    /// The entry `byteorder` says neither `little` nor `big`.
    #[error("entry `byteorder` says neither `little` nor `big`")]
    ByteOrder,
    /// The entries are out of proportion to the file.
    #[error(transparent)]
    Memory(#[from] OverBudget),
}
