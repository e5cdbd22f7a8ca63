//! Matrix products on one thread.
//!
//! The right-hand side is packed into *panels*: 16 columns side by side, row after row, so that the innermost loop
//! reads it in one stream. The left-hand side is read where it lies. A tile of [`Arithmetic::TILE_ROWS`] rows and
//! one or two panels of the result stays in registers while the sum over the depth is formed; the panels stay in a near
//! cache while all rows pass by, and the next ones are fetched meanwhile.
//!
//! Each number of the result is one sum in the order of the depth, whatever the sizes of tiles: cutting a product into
//! pieces along rows or columns does not change a bit of it.

mod bf16;
mod pack;
mod product;
mod right;
#[cfg(test)]
mod tests;
mod view;

pub use bf16::Bf16Unit;
pub(crate) use pack::{Panels, Tiles, pack_columns, pack_tiles, packed_len};
pub(crate) use product::{Base, Finish, Lhs, product};
pub(crate) use right::{PanelFormat, Right, sum_of_transposed};
pub(crate) use view::{Rows, RowsMut};

/// Columns of a panel.
pub(crate) const PANEL: usize = 16;

/// Longest sum formed in registers: a panel of this depth fills most of a nearest-level cache.
const DEPTH: usize = 768;
