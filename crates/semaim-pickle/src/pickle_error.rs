//! What can be wrong with a pickle.

use crate::budget::OverBudget;
use crate::layout::LayoutError;

/// A pickle is damaged or holds what is not read.
#[derive(Debug, thiserror::Error)]
#[error("opcode {opcode} at byte {offset}: {fault}")]
pub struct PickleError {
    /// Where the opcode stands, from the start of the pickle's bytes (a legacy file's own start).
    pub offset: usize,
    /// The name of the opcode by CPython's `pickletools`, or `?` where there is none.
    pub opcode: &'static str,
    /// What is wrong.
    pub fault: PickleFault,
}

/// Why an opcode could not be carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PickleFault {
    /// The bytes end before the pickle does.
    #[error("the bytes end here")]
    Truncated,
    /// No protocol has this opcode.
    #[error("no opcode has the number {byte:#04x}")]
    UnknownOpcode {
        /// The byte.
        byte: u8,
    },
    /// The opcode needs something outside the file.
    #[error("{what} are not read")]
    Outside {
        /// What it needs.
        what: &'static str,
    },
    /// A protocol that does not exist yet.
    #[error("protocol {version} is not known, the newest is 5")]
    Protocol {
        /// Its number.
        version: u8,
    },
    /// The opcode takes more off the stack than there is.
    #[error("the stack holds too little")]
    StackEmpty,
    /// The opcode needs a mark that is not there.
    #[error("there is no mark on the stack")]
    NoMark,
    /// Nothing was kept under this number.
    #[error("nothing was kept under number {index}")]
    NoMemo {
        /// The number.
        index: u32,
    },
    /// Text that is not text.
    #[error("the text is not valid {encoding}")]
    Text {
        /// What it should be.
        encoding: &'static str,
    },
    /// Digits that are no number.
    #[error("`{text}` is no {expected}")]
    Number {
        /// The text, shortened.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
    /// An integer of too many digits.
    #[error("an integer of {bytes} bytes; up to {limit} are read")]
    LongInteger {
        /// Its size.
        bytes: usize,
        /// The largest size that is read.
        limit: usize,
    },
    /// The opcode got another kind of object than it takes.
    #[error("takes {expected}, found {found}")]
    Operand {
        /// What it takes.
        expected: &'static str,
        /// What it got.
        found: &'static str,
    },
    /// Keys and values do not come in pairs.
    #[error("a key without a value")]
    OddItems,
    /// One storage has two types or sizes.
    #[error("storage `{key}` has two types or sizes")]
    StorageTwice {
        /// Its key, shortened.
        key: String,
    },
    /// A view of a storage reaches beyond it.
    #[error("a view of {length} elements from {offset} on, in a storage of {elements}")]
    StorageView {
        /// Where the view starts, in elements.
        offset: usize,
        /// Its number of elements.
        length: usize,
        /// The storage's number of elements.
        elements: usize,
    },
    /// A tensor does not fit its storage.
    #[error("a tensor {0}")]
    Layout(#[from] LayoutError),
    /// The objects are out of proportion to the file.
    #[error(transparent)]
    Memory(#[from] OverBudget),
}
