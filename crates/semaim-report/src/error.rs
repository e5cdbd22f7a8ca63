//! What can keep a picture from being drawn.

/// A picture could not be drawn or encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// There is nothing to show: no row, no column, no class.
    #[error("a figure needs at least one row and one column")]
    Empty,
    /// A row does not have one panel per column.
    #[error("row {row} has {found} panels, but there are {expected} columns")]
    PanelCount {
        /// Which row, from 0.
        row: usize,
        /// Columns of the sheet.
        expected: usize,
        /// Panels of the row.
        found: usize,
    },
    /// A map does not have one value per patch, or its grid has no patches.
    #[error(
        "the map in row {row}, column {column} has {found} values, but its grid is {height} by {width} patches"
    )]
    MapLength {
        /// Which row, from 0.
        row: usize,
        /// Which column, from 0.
        column: usize,
        /// Patches down.
        height: usize,
        /// Patches across.
        width: usize,
        /// Values given.
        found: usize,
    },
    /// An image's bytes do not fit its size, or it has no pixels.
    #[error("an image of {width} by {height} pixels cannot have {found} bytes")]
    ImageLength {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// Bytes given.
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
    /// The picture would be too large to be of use.
    #[error("the picture would have {width} by {height} pixels; the limit is {limit} a side")]
    TooLarge {
        /// Pixels across.
        width: u64,
        /// Pixels down.
        height: u64,
        /// The largest side.
        limit: u64,
    },
    /// The frames of an animation would have too many pixels together.
    #[error(
        "{frames} frames of {width} by {height} pixels are more than {limit} pixels together; take fewer or smaller ones"
    )]
    TooManyPixels {
        /// Frames asked for.
        frames: usize,
        /// Pixels across each.
        width: u32,
        /// Pixels down each.
        height: u32,
        /// The most pixels of all frames together.
        limit: u64,
    },
    /// A chart could not be drawn.
    #[error("cannot draw the chart: {0}")]
    Chart(String),
    /// The PNG encoder refused.
    #[error("cannot encode the picture as PNG: {0}")]
    Png(#[from] ::png::EncodingError),
}
