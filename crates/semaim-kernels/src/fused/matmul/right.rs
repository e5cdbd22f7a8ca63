//! The right-hand side of a product, in either precision.

use super::bf16::{self, Bf16Unit, words_of, words_within};
use super::pack::{self, Panels, Tiles, pack_tiles};
use super::product::{Finish, Lhs, product};
use super::view::{Rows, RowsMut};
use crate::fused::scratch::with_scratch;

/// How right-hand sides are packed, and so in which precision products with them are formed. Panels lie in memory of `f32`
/// either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PanelFormat {
    F32,
    Bf16(Bf16Unit),
}

/// The right-hand side of a product, `[depth, columns]`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Right<'a> {
    F32(Panels<'a>),
    Bf16(Bf16Unit, bf16::Panels<'a>),
}

impl<'a> From<Panels<'a>> for Right<'a> {
    fn from(panels: Panels<'a>) -> Self {
        Self::F32(panels)
    }
}

impl Right<'_> {
    /// Only `depth` rows from `row`; in bf16 that must be a multiple of 32.
    pub(crate) fn rows(&self, row: usize, depth: usize) -> Self {
        match self {
            Self::F32(panels) => Self::F32(panels.rows(row, depth)),
            Self::Bf16(unit, panels) => Self::Bf16(*unit, panels.rows(row, depth)),
        }
    }

    /// Only `columns` columns from `column`, which begins a panel.
    pub(crate) fn columns(&self, column: usize, columns: usize) -> Self {
        match self {
            Self::F32(panels) => Self::F32(panels.columns(column, columns)),
            Self::Bf16(unit, panels) => Self::Bf16(*unit, panels.columns(column, columns)),
        }
    }
}

impl PanelFormat {
    /// Numbers of `f32` that panels of this size take the room of.
    pub(crate) fn packed_len(self, depth: usize, columns: usize) -> usize {
        match self {
            Self::F32 => pack::packed_len(depth, columns),
            Self::Bf16(_) => bf16::packed_len(depth, columns),
        }
    }

    /// Packs `x [depth, columns]` as it stands into [`PanelFormat::packed_len`] numbers.
    pub(crate) fn pack_columns(self, x: Rows<'_>, out: &mut [f32]) {
        match self {
            Self::F32 => pack::pack_columns(x, out),
            Self::Bf16(_) => bf16::pack_columns(x, words_of(out)),
        }
    }

    /// Packs the transpose of `x [columns, depth]` into [`PanelFormat::packed_len`] numbers.
    pub(crate) fn pack_rows(self, x: Rows<'_>, out: &mut [f32]) {
        match self {
            Self::F32 => pack::pack_rows(x, out),
            Self::Bf16(_) => bf16::pack_rows(x, words_of(out)),
        }
    }

    /// Fills panels `[depth, columns]` by what writes panels of `f32`.
    pub(crate) fn fill(
        self,
        [depth, columns]: [usize; 2],
        out: &mut [f32],
        write: impl FnOnce(&mut [f32]),
    ) {
        match self {
            Self::F32 => write(out),
            Self::Bf16(_) => with_scratch([pack::packed_len(depth, columns)], |[panels]| {
                write(panels);
                bf16::round_panels(panels, depth, words_of(out));
            }),
        }
    }

    /// Panels `[depth, columns]` that have been filled.
    pub(crate) fn panels(self, values: &[f32], depth: usize, columns: usize) -> Right<'_> {
        match self {
            Self::F32 => Right::F32(Panels::new(values, depth, columns)),
            Self::Bf16(unit) => Right::Bf16(
                unit,
                bf16::Panels::new(words_within(values), depth, columns),
            ),
        }
    }
}

/// `out += Σ leftᵀ right` over pairs of `left [depth, rows]` and `right [depth, columns]` of one format, in their order. In bf16 the
/// result is written once.
///
/// # Panics
/// If shapes do not match.
pub(crate) fn sum_of_transposed<'a>(
    pairs: impl Iterator<Item = (Rows<'a>, Right<'a>)>,
    out: &mut RowsMut<'_>,
) {
    let mut in_bf16 = Vec::new();
    let mut with = None;
    for (left, right) in pairs {
        match right {
            Right::F32(right) => with_scratch([left.count * left.width], |[tiles]| {
                pack_tiles(left, tiles);
                let tiles = Tiles::new(tiles, left.count, left.width);
                product(tiles, right, Finish::ADD, out);
            }),
            Right::Bf16(unit, right) => {
                with = Some(unit);
                in_bf16.push((Lhs::Transposed(left), right));
            }
        }
    }
    if let Some(unit) = with {
        bf16::sum_of_products(unit, &in_bf16, Finish::ADD, out);
    }
}
