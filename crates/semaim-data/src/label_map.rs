//! The class of every pixel, as a segmenter is taught it.

/// A label that says nothing about its pixel.
pub const IGNORED: u8 = 255;

/// The class of every pixel of a view: the target of semantic segmentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMap {
    /// Rows and columns.
    pub size: [usize; 2],
    /// Indices into the set's classes, or [`IGNORED`], `[rows, columns]` row by row; padding is ignored.
    pub labels: Vec<u8>,
}
