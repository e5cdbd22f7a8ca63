//! What can go wrong.

use semaim::parameters::WeightError;

use crate::config::ConfigError;

/// Why a segmenter could not be made or run.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A tensor could not be moved between a model and the host.
    #[error(transparent)]
    Weight(#[from] WeightError),
    /// Images have too few patches for the maps of all scales, or do not fill whole ones.
    #[error("images of {height}×{width} pixels: {message}")]
    Images {
        /// Rows of pixels.
        height: usize,
        /// Columns of pixels.
        width: usize,
        /// What is wrong.
        message: String,
    },
    /// What the network gives is no number.
    #[error("what the segmenter gives for an image is not finite")]
    NotFinite,
    /// There are more or fewer labels than pixels.
    #[error("{found} labels for {expected} pixels")]
    LabelCount {
        /// Labels there should be.
        expected: usize,
        /// Labels there are.
        found: usize,
    },
    /// A label is no class.
    #[error(
        "label {label} of image {number} of the batch is neither one of {classes} classes nor 255"
    )]
    Label {
        /// The label.
        label: u8,
        /// The image's number in the batch.
        number: usize,
        /// Classes there are.
        classes: usize,
    },
    /// Batch norm has no variance of a single value.
    #[error(
        "a batch of one image leaves batch norm a single value per channel where the pooling scale is 1; \
         take at least two images at a time, or leave this scale out"
    )]
    SingleValue,
}
