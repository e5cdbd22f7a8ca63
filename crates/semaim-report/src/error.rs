//! What can keep a figure from being drawn.

/// A figure could not be drawn or encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// There is nothing to show: no sample, no class.
    #[error("a figure needs at least one row")]
    NoRows,
    /// A picture's bytes do not fit its size, or it has no pixels.
    #[error("a picture of {width} by {height} pixels cannot have {found} bytes")]
    PictureLength {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// Bytes given.
        found: usize,
    },
    /// The grid has no patches.
    #[error("the grid of {height} by {width} has no patches")]
    EmptyGrid {
        /// Patches down.
        height: usize,
        /// Patches across.
        width: usize,
    },
    /// A map does not have one number per patch.
    #[error("{map} of row {row} has {found} numbers, but the grid has {expected} patches")]
    MapLength {
        /// Which row, from 0.
        row: usize,
        /// `similarity` or `ranks`.
        map: &'static str,
        /// Patches of the grid.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// A confusion matrix does not have one count for each pair of classes.
    #[error("{classes} classes need {expected} counts, there are {found}")]
    CountsLength {
        /// Classes given.
        classes: usize,
        /// Pairs of them.
        expected: usize,
        /// Counts given.
        found: usize,
    },
    /// The cell size is out of range.
    #[error("cells of {cell} pixels are outside {min} to {max}")]
    CellSize {
        /// The size asked for.
        cell: u32,
        /// The smallest one.
        min: u32,
        /// The largest one.
        max: u32,
    },
    /// The figure would be too large to be of use.
    #[error("the figure would have {width} by {height} pixels; the limit is {limit} a side")]
    TooLarge {
        /// Pixels across.
        width: u64,
        /// Pixels down.
        height: u64,
        /// The largest side.
        limit: u64,
    },
    /// The PNG encoder refused.
    #[error("cannot encode the figure as PNG: {0}")]
    Png(#[from] image::ImageError),
}
