//! Memory of a worker that is used again for every image.

use crate::decode::DecodeBuffers;
use crate::resample::Resampler;

/// Buffers of a worker that are used again for every image.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) decoding: DecodeBuffers,
    pub(crate) resampler: Resampler,
    /// Room for augmentation to work in.
    pub(crate) augmentation: Vec<u8>,
}

impl Scratch {
    /// Empty buffers; they grow to the largest image seen.
    pub fn new() -> Self {
        Self::default()
    }
}
