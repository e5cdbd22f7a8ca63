//! Why a model cannot be written as ONNX.

use semaim::parameters::WeightError;

/// Why a model cannot be written as ONNX.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The weights could not be read off their device.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// A weight that the model does not have.
    #[error("`{name}` is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// Something that cannot be computed for images of any size.
    #[error(
        "{what} cannot be written for images of any size; leave --dynamic-size out and give --image-size"
    )]
    NotDynamic {
        /// What.
        what: &'static str,
    },
    /// Images of fewer patches than the head needs.
    #[error(
        "UPerNet cannot be written for images of {rows}x{columns} patches; it needs 2 in each direction"
    )]
    FewPatches {
        /// Rows of patches.
        rows: usize,
        /// Columns of patches.
        columns: usize,
    },
    /// More bytes than a protocol-buffer message may have.
    #[error("the model is of {bytes} bytes; ONNX files of one piece have less than 2147483648")]
    TooLarge {
        /// Bytes of its weights.
        bytes: usize,
    },
}
