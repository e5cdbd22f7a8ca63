//! What the loaders deliver.

use crate::source::ClassTarget;

/// Views of some images, ready for the model. `T` is what is to be learnt about an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<T = ClassTarget> {
    /// The epoch, from 0. 0 in evaluation.
    pub epoch: u64,
    /// The number of this batch within the epoch, from 0.
    pub index: u64,
    /// The views, `[items.len(), channels, height, width]`, normalized.
    pub images: Vec<f32>,
    /// Rows and columns of each view, from its top left, that show the image; the rest is padding. As many as `items`.
    pub valid_sizes: Vec<[usize; 2]>,
    /// The numbers in the source of the images that were used, in the order of `images`.
    pub items: Vec<u64>,
    /// The target of each image of `items`.
    pub targets: Vec<T>,
    /// The images that could not be used.
    pub bad: Vec<BadImage>,
}

impl<T> Default for Batch<T> {
    /// No images.
    fn default() -> Self {
        Self {
            epoch: 0,
            index: 0,
            images: Vec::new(),
            valid_sizes: Vec::new(),
            items: Vec::new(),
            targets: Vec::new(),
            bad: Vec::new(),
        }
    }
}

/// An image that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadImage {
    /// Its number in the source.
    pub item: u64,
    /// What the source calls it.
    pub name: String,
    /// What is wrong with it.
    pub error: String,
}
