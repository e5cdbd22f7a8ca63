//! The grid of patches of an image.

use serde::{Deserialize, Serialize};

/// How many patches lie in a column (`rows`) and in a row (`columns`) of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// Patches from top to bottom.
    pub rows: usize,
    /// Patches from left to right.
    pub columns: usize,
}

impl Grid {
    /// Number of patches, `rows * columns`.
    pub fn patches(self) -> usize {
        self.rows * self.columns
    }

    /// Row and column of a patch, counted row by row from the top left.
    pub fn place(self, patch: usize) -> (usize, usize) {
        (patch / self.columns, patch % self.columns)
    }

    /// (row, column) of every patch, row by row.
    pub fn places(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.patches()).map(move |patch| self.place(patch))
    }
}
