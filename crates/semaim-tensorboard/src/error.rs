//! What can go wrong with an event file.

use std::path::PathBuf;

/// An event file could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `create`, `list`, `write` or `read`.
        action: &'static str,
        /// The file or folder it was tried on.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No free file name was found.
    #[error("every name for an event file in {} is taken", dir.display())]
    NoFreeName {
        /// The folder that was to hold the file.
        dir: PathBuf,
    },
    /// TensorBoard keeps steps in a signed 64-bit number, and this one does not fit.
    #[error(
        "step {step} is beyond the largest that an event can carry ({})",
        i64::MAX
    )]
    StepTooLarge {
        /// The step asked for.
        step: u64,
    },
    /// The bytes given as an image do not start like a PNG.
    #[error("the image for `{tag}` is not a PNG")]
    NotPng {
        /// The tag it was to be logged under.
        tag: String,
    },
    /// A record ends before its length says.
    #[error("{} ends within the record at byte {offset}", path.display())]
    Truncated {
        /// The event file.
        path: PathBuf,
        /// Where the record starts.
        offset: usize,
    },
    /// A checksum does not match what it covers.
    #[error("{} has a wrong checksum in the record at byte {offset}", path.display())]
    Checksum {
        /// The event file.
        path: PathBuf,
        /// Where the record starts.
        offset: usize,
    },
    /// A record is whole but its content is no event.
    #[error("{} has no valid event in the record at byte {offset}", path.display())]
    Malformed {
        /// The event file.
        path: PathBuf,
        /// Where the record starts.
        offset: usize,
    },
}
