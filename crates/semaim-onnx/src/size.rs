//! The size of the images that a graph takes.

use semaim::position::Interpolation;

/// The size of the images that a graph takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageSize {
    /// That of the network's position table.
    Fixed,
    /// Any whose sides are multiples of the patches': the graph resizes the position table, in the way of the encoder's
    /// library.
    Dynamic(Interpolation),
}
