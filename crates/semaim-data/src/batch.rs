//! What the loaders deliver.

/// Views of some images, ready for the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The epoch, from 0. 0 in evaluation.
    pub epoch: u64,
    /// The number of this batch within the epoch, from 0.
    pub index: u64,
    /// The views, `[items.len(), channels, height, width]`, normalised.
    pub images: Vec<f32>,
    /// The numbers in the source of the images that were used, in the order of `images`.
    pub items: Vec<u64>,
    /// The class of each image of `items`, where it has one.
    pub labels: Vec<Option<u32>>,
    /// The images that could not be used.
    pub bad: Vec<BadImage>,
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
