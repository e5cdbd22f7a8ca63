//! What can keep a figure from being drawn.

/// A figure could not be drawn or encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// There is nothing to show: no sample, no class.
    #[error("a figure needs at least one row")]
    NoRows,
    /// There is no column to show the rows in.
    #[error("a figure needs at least one column")]
    NoColumns,
    /// A row does not have one cell per column.
    #[error("row {row} has {found} cells, but there are {expected} columns")]
    CellCount {
        /// Which row, from 0.
        row: usize,
        /// Columns given.
        expected: usize,
        /// Cells given.
        found: usize,
    },
    /// A map in a cell does not have one entry per patch.
    #[error(
        "the map in row {row}, column {column} has {found} entries, but its grid has {expected} patches"
    )]
    PanelLength {
        /// Which row, from 0.
        row: usize,
        /// Which column, from 0.
        column: usize,
        /// Patches of the grid.
        expected: usize,
        /// Entries given.
        found: usize,
    },
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
    /// The number of frames is out of range.
    #[error("an animation of {frames} frames; there can be {min} to {max}")]
    FrameCount {
        /// Frames asked for or given.
        frames: usize,
        /// The fewest.
        min: usize,
        /// The most.
        max: usize,
    },
    /// A frame has another size than the first.
    #[error("frame {frame} has {found:?} pixels across and down, the first frame has {expected:?}")]
    FrameSize {
        /// Which frame, from 0.
        frame: usize,
        /// Size of the first, `[width, height]`.
        expected: [u32; 2],
        /// Its size, `[width, height]`.
        found: [u32; 2],
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
    /// The encoder of animations refused.
    #[error("cannot encode the animation as PNG: {0}")]
    Apng(#[from] ::png::EncodingError),
    /// The PNG encoder refused.
    #[error("cannot encode the figure as PNG: {0}")]
    Png(#[from] image::ImageError),
}
