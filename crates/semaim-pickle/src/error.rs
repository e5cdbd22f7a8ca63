//! What can be wrong with a checkpoint.

use std::io;

use crate::dtype::Dtype;

/// Why a file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Another kind of file.
    #[error("is {found}, no checkpoint of PyTorch")]
    NotPytorch {
        /// What it is.
        found: &'static str,
    },
    /// An archive that is not whole.
    #[error("the archive is damaged: {0}")]
    Archive(#[from] zip::result::ZipError),
    /// Parts that do not fit together.
    #[error("is damaged: {0}")]
    Damaged(String),
    /// A pickle that is not one, or one that asks for too much.
    #[error("{part}: opcode {} at byte {at}: {message}", opcode.escape_ascii())]
    Pickle {
        /// Which of the file's pickles.
        part: String,
        /// The instruction.
        opcode: u8,
        /// Where it stands in the pickle.
        at: u64,
        /// What is wrong with it.
        message: String,
    },
    /// A storage that is not as its pickle says.
    #[error("storage `{key}` {message}")]
    Storage {
        /// Its key.
        key: String,
        /// What is wrong with it.
        message: String,
    },
}

/// Why the numbers of a tensor could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TensorError {
    /// Its type is not read.
    #[error("has type {0}, which is not read")]
    Unread(Dtype),
    /// It says that one number stands in very many places.
    #[error("has {elements} elements, out of proportion to the file")]
    TooLarge {
        /// Their number.
        elements: usize,
    },
    /// Its storage is damaged, or the file system refused.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
}
