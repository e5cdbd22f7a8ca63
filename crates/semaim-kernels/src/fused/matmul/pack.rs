//! The two sides of a product, laid out so that the innermost loop reads each in one stream.

use super::PANEL;
use super::view::Rows;
use crate::fused::simd::{Arithmetic, multiversion};

/// The right-hand side of a product, `[depth, columns]`, in panels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panels<'a> {
    pub(super) values: &'a [f32],
    pub(super) depth: usize,
    pub(super) columns: usize,
    /// Numbers from one panel to the next.
    pub(super) stride: usize,
}

impl<'a> Panels<'a> {
    /// Panels as [`pack_columns`] or [`pack_rows`] laid them out.
    ///
    /// # Panics
    /// If `values` is too short for them.
    pub(crate) fn new(values: &'a [f32], depth: usize, columns: usize) -> Self {
        assert!(packed_len(depth, columns) <= values.len());
        Self {
            values,
            depth,
            columns,
            stride: depth * PANEL,
        }
    }

    /// Only `depth` rows from `row`.
    pub(crate) fn rows(&self, row: usize, depth: usize) -> Self {
        assert!(row + depth <= self.depth);
        Self {
            values: &self.values[(row * PANEL).min(self.values.len())..],
            depth,
            ..*self
        }
    }

    /// Only the first `columns` columns.
    pub(crate) fn first_columns(&self, columns: usize) -> Self {
        assert!(columns <= self.columns);
        Self { columns, ..*self }
    }

    /// Only `columns` columns from `column`, which begins a panel.
    pub(crate) fn columns(&self, column: usize, columns: usize) -> Self {
        assert!(column.is_multiple_of(PANEL) && column + columns <= self.columns);
        Self {
            values: &self.values[(column / PANEL * self.stride).min(self.values.len())..],
            columns,
            ..*self
        }
    }
}

/// Numbers that panels of this size take.
pub(crate) fn packed_len(depth: usize, columns: usize) -> usize {
    columns.div_ceil(PANEL) * PANEL * depth
}

/// Packs `x [depth, columns]` as it stands. `out` holds [`packed_len`] numbers; missing columns become zeros.
pub(crate) fn pack_columns(x: Rows<'_>, out: &mut [f32]) {
    let (depth, columns) = (x.count, x.width);
    assert_eq!(out.len(), packed_len(depth, columns));
    for r in 0..depth {
        let row = x.row(r);
        let (whole, rest) = row.as_chunks::<PANEL>();
        for (panel, values) in whole.iter().enumerate() {
            out[(panel * depth + r) * PANEL..][..PANEL].copy_from_slice(values);
        }
        if !rest.is_empty() {
            let last = &mut out[(whole.len() * depth + r) * PANEL..][..PANEL];
            last[..rest.len()].copy_from_slice(rest);
            last[rest.len()..].fill(0.0);
        }
    }
}

/// Packs the transpose of `x [columns, depth]`. `out` holds [`packed_len`] numbers; missing columns become zeros.
pub(crate) fn pack_rows(x: Rows<'_>, out: &mut [f32]) {
    let (columns, depth) = (x.count, x.width);
    assert_eq!(out.len(), packed_len(depth, columns));
    for (panel, out) in out.chunks_exact_mut((depth * PANEL).max(1)).enumerate() {
        pack_panel(
            x.part(panel * PANEL, PANEL.min(columns - panel * PANEL), 0, depth),
            out,
        );
    }
}

/// One panel of [`pack_rows`] from up to 16 rows.
fn pack_panel(x: Rows<'_>, out: &mut [f32]) {
    let (groups, _) = out.as_chunks_mut::<PANEL>();
    if x.count == PANEL {
        let rows: [&[f32]; PANEL] = std::array::from_fn(|i| x.row(i));
        for (p, group) in groups.iter_mut().enumerate() {
            for (to, row) in group.iter_mut().zip(rows) {
                *to = row[p];
            }
        }
    } else {
        for (p, group) in groups.iter_mut().enumerate() {
            *group = std::array::from_fn(|i| if i < x.count { x.row(i)[p] } else { 0.0 });
        }
    }
}

/// Numbers `[depth, rows]` whose transpose is a left-hand side, as [`pack_tiles`] laid them out: tile by tile, so that
/// a product reads each tile in one stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles<'a> {
    pub(super) values: &'a [f32],
    pub(super) depth: usize,
    pub(super) rows: usize,
}

impl<'a> Tiles<'a> {
    /// Tiles as [`pack_tiles`] laid them out.
    ///
    /// # Panics
    /// If there are not as many numbers.
    pub(crate) fn new(values: &'a [f32], depth: usize, rows: usize) -> Self {
        assert_eq!(values.len(), depth * rows);
        Self {
            values,
            depth,
            rows,
        }
    }
}

multiversion! {
    /// Packs `x [depth, rows]` into as many numbers, as [`Tiles`].
    pub(crate) fn pack_tiles = pack_tiles_body(x: Rows<'_>, out: &mut [f32]);
}

#[inline(always)]
fn pack_tiles_body<A: Arithmetic>(x: Rows<'_>, out: &mut [f32]) {
    let (depth, rows) = (x.count, x.width);
    assert_eq!(out.len(), depth * rows);
    for (row, size) in TileRows::of::<A>(rows) {
        let out = &mut out[row * depth..][..size * depth];
        match size {
            12 => pack_tile::<12>(x, row, out),
            6 => pack_tile::<6>(x, row, out),
            5 => pack_tile::<5>(x, row, out),
            4 => pack_tile::<4>(x, row, out),
            3 => pack_tile::<3>(x, row, out),
            2 => pack_tile::<2>(x, row, out),
            _ => pack_tile::<1>(x, row, out),
        }
    }
}

#[inline(always)]
fn pack_tile<const R: usize>(x: Rows<'_>, row: usize, out: &mut [f32]) {
    let (groups, _) = out.as_chunks_mut::<R>();
    let numbers = x.values[row.min(x.values.len())..].chunks(x.stride.max(1));
    for (group, numbers) in groups.iter_mut().zip(numbers) {
        if let Some(numbers) = numbers.first_chunk::<R>() {
            *group = *numbers;
        }
    }
}

/// The tiles that the rows of a result are cut into, first row and size.
pub(super) struct TileRows {
    row: usize,
    rows: usize,
    largest: usize,
}

impl TileRows {
    #[inline(always)]
    pub(super) fn of<A: Arithmetic>(rows: usize) -> Self {
        Self {
            row: 0,
            rows,
            largest: A::TILE_ROWS,
        }
    }
}

impl Iterator for TileRows {
    type Item = (usize, usize);

    // A closure would not be compiled for the instruction set of its caller.
    #[inline(always)]
    fn next(&mut self) -> Option<(usize, usize)> {
        let (row, rest) = (self.row, self.rows - self.row);
        let size = match rest {
            0 => return None,
            _ if rest >= self.largest => self.largest,
            6.. => 6,
            _ => rest,
        };
        self.row += size;
        Some((row, size))
    }
}
