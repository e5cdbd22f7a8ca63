//! Matrix products in bf16: both sides are rounded to the upper 16 bits of an `f32`, sums are formed in `f32`.
//!
//! As with products in `f32`, each number of the result is one sum in the order of the depth, so that cutting a product into
//! pieces along rows or columns does not change a bit of it. Sums differ by rounding from one [`Bf16Unit`] to another.

mod pack;
#[cfg(test)]
mod tests;
mod tile;
mod unit;

pub(crate) use pack::{pack_columns, pack_rows, packed_len, round_panels};
pub use unit::Bf16Unit;

use self::pack::{left_len, pack_left};
use self::tile::{Sums, Tiles, add_tile};
use super::PANEL;
use super::product::{Base, Finish, Lhs};
use super::view::RowsMut;
use crate::fused::scratch::with_scratch;
use crate::fused::simd::{Arithmetic, F32x16, multiversion};

/// Rows of a tile of the left-hand side.
const TILE: usize = 16;

/// Numbers along the depth that a tile holds of each row.
const DEPTH_BLOCK: usize = 32;

/// The right-hand side of a product, `[depth, columns]`, in panels of pairs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panels<'a> {
    words: &'a [u32],
    pub(super) depth: usize,
    pub(super) columns: usize,
    /// Words from one panel to the next.
    stride: usize,
}

impl<'a> Panels<'a> {
    /// Panels as [`pack_columns`] or [`pack_rows`] laid them out.
    ///
    /// # Panics
    /// If there are not enough words for them.
    pub(crate) fn new(words: &'a [u32], depth: usize, columns: usize) -> Self {
        assert!(packed_len(depth, columns) <= words.len());
        let stride = packed_len(depth, PANEL);
        Self {
            words,
            depth,
            columns,
            stride,
        }
    }

    /// Only `depth` rows from `row`, which begins a block unless none are wanted. What follows them in the last block is
    /// multiplied by zeros.
    pub(super) fn rows(&self, row: usize, depth: usize) -> Self {
        assert!(row + depth <= self.depth);
        let row = if depth == 0 { 0 } else { row };
        assert!(row.is_multiple_of(DEPTH_BLOCK));
        Self {
            words: &self.words[(row / 2 * PANEL).min(self.words.len())..],
            depth,
            ..*self
        }
    }

    /// Only `columns` columns from `column`, which begins a panel.
    pub(super) fn columns(&self, column: usize, columns: usize) -> Self {
        assert!(column.is_multiple_of(PANEL) && column + columns <= self.columns);
        Self {
            words: &self.words[(column / PANEL * self.stride).min(self.words.len())..],
            columns,
            ..*self
        }
    }

    fn panel(&self, i: usize) -> &'a [u32] {
        &self.words[i * self.stride..][..packed_len(self.depth, PANEL)]
    }
}

/// `left [rows, depth]`, which is rounded first, times `right [depth, columns]`.
///
/// # Panics
/// If shapes do not match.
pub(super) fn product(
    unit: Bf16Unit,
    left: Lhs<'_>,
    right: Panels<'_>,
    finish: Finish<'_>,
    out: &mut RowsMut<'_>,
) {
    sum_of_products(unit, &[(left, right)], finish, out);
}

/// The sum of products of the same shape but for their depths, as one product along all depths.
///
/// # Panics
/// If shapes do not match.
pub(super) fn sum_of_products(
    unit: Bf16Unit,
    products: &[(Lhs<'_>, Panels<'_>)],
    finish: Finish<'_>,
    out: &mut RowsMut<'_>,
) {
    for (left, right) in products {
        let shape = (out.count, right.depth);
        assert_eq!(left.shape(), shape, "shapes of a product");
        assert_eq!(out.width, right.columns, "columns of a product");
    }
    assert!(
        finish.bias.is_empty() || finish.bias.len() == out.width,
        "bias of a product"
    );
    if let Base::Rows(base) = finish.base {
        assert_eq!(
            (base.count, base.width),
            (out.count, out.width),
            "base of a product"
        );
    }
    let sizes = products
        .iter()
        .map(|(left, right)| left_len(left.shape().0, right.depth));
    with_scratch([sizes.sum()], |[words]| {
        let mut rest = words_of(words);
        let packed: Vec<(&[u32], Panels<'_>)> = products
            .iter()
            .map(|&(left, right)| {
                let (rows, depth) = left.shape();
                let (words, after) = std::mem::take(&mut rest).split_at_mut(left_len(rows, depth));
                rest = after;
                pack_left(left, words);
                (&*words, right)
            })
            .collect();
        sweep(unit, &packed, finish, out);
    });
}

multiversion! {
    fn sweep = sweep_body(unit: Bf16Unit, products: &[(&[u32], Panels<'_>)], finish: Finish<'_>, out: &mut RowsMut<'_>);
}

/// Two panels of columns after the other, under all rows: panels stay in a near cache.
#[inline(always)]
fn sweep_body<A: Arithmetic>(
    unit: Bf16Unit,
    products: &[(&[u32], Panels<'_>)],
    finish: Finish<'_>,
    out: &mut RowsMut<'_>,
) {
    let (rows, columns) = (out.count, out.width);
    let tiles = Tiles::set_up(unit);
    for column in (0..columns).step_by(2 * PANEL) {
        // Beyond the last one the same again, whose sums are not used.
        let panel = column / PANEL;
        let panels = [panel, panel + usize::from(column + PANEL < columns)];
        for row in (0..rows).step_by(2 * TILE) {
            let first = row / TILE;
            let pair = [first, first + usize::from(row + TILE < rows)];
            let mut sums = Sums::ZERO;
            for (left, right) in products {
                let (blocks, size) = (
                    right.depth.div_ceil(DEPTH_BLOCK),
                    left_len(TILE, right.depth),
                );
                let a = pair.map(|i| &left[i * size..][..size]);
                add_tile(unit, a, panels.map(|i| right.panel(i)), blocks, &mut sums);
            }
            for i in 0..(2 * TILE).min(rows - row) {
                for (panel, sums) in sums.0[i].iter().enumerate() {
                    let column = column + panel * PANEL;
                    if column < columns {
                        store::<A>(sums, row + i, column, &finish, out);
                    }
                }
            }
        }
    }
    drop(tiles);
}

/// Writes up to 16 sums of a row, from `column`, as [`Finish`] says.
#[inline(always)]
fn store<A: Arithmetic>(
    sums: &[f32; PANEL],
    row: usize,
    column: usize,
    finish: &Finish<'_>,
    out: &mut RowsMut<'_>,
) {
    let bias = finish.bias.get(column..).unwrap_or_default();
    let base = match &finish.base {
        Base::Rows(base) => &base.row(row)[column..],
        Base::Zero | Base::Out => &[],
    };
    let adds = matches!(finish.base, Base::Out);
    let out = &mut out.row(row)[column..];
    let Some(whole) = out.first_chunk_mut::<PANEL>() else {
        for (j, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
            let before = if adds {
                *out
            } else {
                base.get(j).copied().unwrap_or(0.0)
            };
            *out = before + finish.scale * (sum + bias.get(j).copied().unwrap_or(0.0));
        }
        return;
    };
    // SAFETY: every address is that of an array of 16 numbers; this is compiled for the instruction set of `A`.
    unsafe {
        let load = |numbers: &[f32; PANEL]| A::Vector::load(numbers.as_ptr());
        let mut line = load(sums);
        if let Some(bias) = bias.first_chunk() {
            line = line.add(load(bias));
        }
        line = line.mul(A::Vector::splat(&finish.scale));
        if let Some(base) = base.first_chunk() {
            line = load(base).add(line);
        }
        if adds {
            line = load(whole).add(line);
        }
        line.store(whole.as_mut_ptr());
    }
}

/// Scratch as words.
pub(crate) fn words_of(numbers: &mut [f32]) -> &mut [u32] {
    // SAFETY: both have four bytes of the same alignment, and every value is allowed as either.
    unsafe { &mut *(std::ptr::from_mut(numbers) as *mut [u32]) }
}

/// The same, to be read.
pub(crate) fn words_within(numbers: &[f32]) -> &[u32] {
    // SAFETY: as in `words_of`.
    unsafe { &*(std::ptr::from_ref(numbers) as *const [u32]) }
}
