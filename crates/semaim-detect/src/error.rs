//! What can go wrong.

use semaim::parameters::WeightError;

use crate::config::ConfigError;

/// Why a detector could not be made or run.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A tensor could not be moved between a model and the host.
    #[error(transparent)]
    Weight(#[from] WeightError),
    /// What the network gives is no number.
    #[error("what the detector gives for image {number} of the batch holds a NaN")]
    NotFinite {
        /// The image's number in the batch.
        number: usize,
    },
    /// An image does not fit the detector.
    #[error("image {number} of the batch: {message}")]
    Image {
        /// Its number in the batch.
        number: usize,
        /// What is wrong.
        message: String,
    },
    /// The objects of an image contradict each other or the image.
    #[error("objects of image {number} of the batch: {message}")]
    Instances {
        /// The image's number in the batch.
        number: usize,
        /// What is wrong.
        message: String,
    },
    /// The arguments of a batch are not of equal number.
    #[error("a batch of {images} images with {what} for {found}")]
    Batch {
        /// Images in the batch.
        images: usize,
        /// What there should be one of per image.
        what: &'static str,
        /// How many there are.
        found: usize,
    },
}
