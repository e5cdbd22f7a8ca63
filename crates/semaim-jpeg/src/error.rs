//! Why a file was not decoded.

/// A JPEG that is not decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JpegError {
    /// The file is of a kind that is not decoded. Nothing is wrong with it.
    #[error("{what}, which is not decoded")]
    Unsupported {
        /// The kind, such as `a JPEG with arithmetic coding`.
        what: String,
    },
    /// The file ends too early: the end marker is missing.
    #[error("the data are cut off, the end marker is missing")]
    CutOff,
    /// The file contradicts itself.
    #[error("{reason}")]
    Damaged {
        /// What is wrong.
        reason: String,
    },
}

impl JpegError {
    pub(crate) fn damaged(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Damaged { reason }
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        let what = what.into();
        Self::Unsupported { what }
    }
}
