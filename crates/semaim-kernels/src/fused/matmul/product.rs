//! The products: tiles of sums that stay in registers.

use super::bf16;
use super::pack::{Panels, TileRows, Tiles};
use super::right::Right;
use super::view::{Rows, RowsMut};
use super::{DEPTH, PANEL};
use crate::fused::simd::{Arithmetic, F32x16, multiversion};

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Base<'a> {
    /// Nothing.
    Zero,
    /// Other rows of the same shape.
    Rows(Rows<'a>),
    /// What the result holds already.
    Out,
}

/// How a product ends: `out = base + scale * (product + bias)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finish<'a> {
    pub(crate) base: Base<'a>,
    /// One number per column, or none at all.
    pub(crate) bias: &'a [f32],
    pub(crate) scale: f32,
}

impl Finish<'_> {
    /// `out = product`.
    pub(crate) const PLAIN: Self = Finish {
        base: Base::Zero,
        bias: &[],
        scale: 1.0,
    };

    /// `out += product`.
    pub(crate) const ADD: Self = Finish {
        base: Base::Out,
        bias: &[],
        scale: 1.0,
    };
}

impl<'a> Finish<'a> {
    /// `out = product + bias`.
    pub(crate) fn bias(bias: &'a [f32]) -> Self {
        Finish {
            bias,
            ..Finish::PLAIN
        }
    }
}

/// The left-hand side of a product, `[rows, depth]`, as it lies in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lhs<'a> {
    /// `[rows, depth]`.
    Rows(Rows<'a>),
    /// `[depth, rows]`.
    Transposed(Rows<'a>),
    /// `[depth, rows]` in tiles.
    Tiles(Tiles<'a>),
}

impl<'a> From<Rows<'a>> for Lhs<'a> {
    fn from(rows: Rows<'a>) -> Self {
        Self::Rows(rows)
    }
}

impl<'a> From<Tiles<'a>> for Lhs<'a> {
    fn from(tiles: Tiles<'a>) -> Self {
        Self::Tiles(tiles)
    }
}

impl Lhs<'_> {
    /// (rows, depth).
    pub(super) fn shape(&self) -> (usize, usize) {
        match self {
            Self::Rows(x) => (x.count, x.width),
            Self::Transposed(x) => (x.width, x.count),
            Self::Tiles(x) => (x.rows, x.depth),
        }
    }

    /// The first number, and how far the rows in memory are apart.
    fn memory(&self) -> (*const f32, usize) {
        match self {
            Self::Rows(x) | Self::Transposed(x) => (x.values.as_ptr(), x.stride),
            Self::Tiles(x) => (x.values.as_ptr(), x.rows),
        }
    }
}

/// `left [rows, depth]` times `right [depth, columns]`.
///
/// # Panics
/// If shapes do not match.
pub(crate) fn product<'a>(
    left: impl Into<Lhs<'a>>,
    right: impl Into<Right<'a>>,
    finish: Finish<'_>,
    out: &mut RowsMut<'_>,
) {
    match right.into() {
        Right::F32(right) => multiply(Task::new(left.into(), right, finish, out)),
        Right::Bf16(unit, right) => bf16::product(unit, left.into(), right, finish, out),
    }
}

/// A product whose bounds have been checked.
struct Task<'a> {
    rows: usize,
    depth: usize,
    columns: usize,
    left: Lhs<'a>,
    a: *const f32,
    a_stride: usize,
    b: *const f32,
    b_stride: usize,
    base: *const f32,
    base_stride: usize,
    bias: &'a [f32],
    scale: f32,
    c: *mut f32,
    c_stride: usize,
}

impl<'a> Task<'a> {
    /// The pointers are good for every access of [`tile`] and [`store`], because the views they come from have checked
    /// their lengths and the shapes are checked here.
    fn new(left: Lhs<'a>, right: Panels<'a>, finish: Finish<'a>, out: &mut RowsMut<'_>) -> Self {
        assert_eq!(
            left.shape(),
            (out.count, right.depth),
            "shapes of a product"
        );
        let (a, a_stride) = left.memory();
        let columns = right.columns;
        assert_eq!(out.width, columns, "columns of a product");
        assert!(
            finish.bias.is_empty() || finish.bias.len() == columns,
            "bias of a product"
        );
        let panels = columns.div_ceil(PANEL);
        let needed = panels
            .checked_sub(1)
            .map_or(0, |last| last * right.stride + right.depth * PANEL);
        assert!(needed <= right.values.len(), "panels of a product");
        // Before any other pointer into the result, which it would make invalid.
        let c = out.values.as_mut_ptr();
        let (base, base_stride) = match finish.base {
            Base::Zero => (std::ptr::null(), 0),
            Base::Rows(rows) => {
                assert_eq!(
                    (rows.count, rows.width),
                    (out.count, columns),
                    "base of a product"
                );
                (rows.values.as_ptr(), rows.stride)
            }
            Base::Out => (c.cast_const(), out.stride),
        };
        Self {
            rows: out.count,
            depth: right.depth,
            columns,
            left,
            a,
            a_stride,
            b: right.values.as_ptr(),
            b_stride: right.stride,
            base,
            base_stride,
            bias: finish.bias,
            scale: finish.scale,
            c,
            c_stride: out.stride,
        }
    }
}

multiversion! {
    /// Runs a checked product.
    fn multiply = multiply_body(task: Task<'_>);
}

#[inline(always)]
fn multiply_body<A: Arithmetic>(task: Task<'_>) {
    match task.left {
        Lhs::Rows(_) => sweep::<A, Straight>(&task),
        Lhs::Transposed(_) => sweep::<A, Transposed>(&task),
        Lhs::Tiles(_) => sweep::<A, Tiled>(&task),
    }
}

/// Where a tile finds its left-hand side, counted from its first number.
trait Layout {
    /// The first number of a tile of `size` rows from `row`, at `start` along the depth.
    fn tile(task: &Task<'_>, row: usize, size: usize, start: usize) -> usize;

    /// Row `i` of a tile of `size` rows, `p` along the depth.
    fn at(i: usize, p: usize, stride: usize, size: usize) -> usize;
}

struct Straight;
struct Transposed;
struct Tiled;

impl Layout for Straight {
    #[inline(always)]
    fn tile(task: &Task<'_>, row: usize, _size: usize, start: usize) -> usize {
        row * task.a_stride + start
    }

    #[inline(always)]
    fn at(i: usize, p: usize, stride: usize, _size: usize) -> usize {
        i * stride + p
    }
}

impl Layout for Transposed {
    #[inline(always)]
    fn tile(task: &Task<'_>, row: usize, _size: usize, start: usize) -> usize {
        start * task.a_stride + row
    }

    #[inline(always)]
    fn at(i: usize, p: usize, stride: usize, _size: usize) -> usize {
        p * stride + i
    }
}

impl Layout for Tiled {
    #[inline(always)]
    fn tile(task: &Task<'_>, row: usize, size: usize, start: usize) -> usize {
        row * task.depth + start * size
    }

    #[inline(always)]
    fn at(i: usize, p: usize, _stride: usize, size: usize) -> usize {
        p * size + i
    }
}

#[inline(always)]
fn sweep<A: Arithmetic, L: Layout>(task: &Task<'_>) {
    let mut start = 0;
    loop {
        let depth = DEPTH.min(task.depth - start);
        let mut column = 0;
        while column < task.columns {
            let place = Place {
                start,
                depth,
                column,
            };
            if A::TILE_PANELS == 2 && task.columns - column > PANEL {
                sweep_rows::<A, L, 2>(task, &place);
                column += 2 * PANEL;
            } else {
                sweep_rows::<A, L, 1>(task, &place);
                column += PANEL;
            }
        }
        start += depth;
        if start >= task.depth {
            return;
        }
    }
}

/// All rows of `P` panels.
#[inline(always)]
fn sweep_rows<A: Arithmetic, L: Layout, const P: usize>(task: &Task<'_>, place: &Place) {
    // Fetch the next panels while these are used, a share with each tile.
    let share = (place.depth * A::TILE_ROWS).div_ceil(task.rows.max(1));
    for (row, size) in TileRows::of::<A>(task.rows) {
        // A few rows are over before what is fetched for them would arrive.
        if size == A::TILE_ROWS && task.rows >= 4 * size {
            for panel in 0..P {
                prefetch_ahead(task, place, P + panel, row / size * share, share);
            }
        }
        match size {
            12 => tile_at::<A, L, 12, P>(task, place, row),
            6 => tile_at::<A, L, 6, P>(task, place, row),
            5 => tile_at::<A, L, 5, P>(task, place, row),
            4 => tile_at::<A, L, 4, P>(task, place, row),
            3 => tile_at::<A, L, 3, P>(task, place, row),
            2 => tile_at::<A, L, 2, P>(task, place, row),
            _ => tile_at::<A, L, 1, P>(task, place, row),
        }
    }
}

/// Which part of a product a tile belongs to.
struct Place {
    /// Where along the depth.
    start: usize,
    depth: usize,
    column: usize,
}

/// Asks for `count` lines of the panel that is `ahead` panels further, from line `from`.
#[inline(always)]
fn prefetch_ahead(task: &Task<'_>, place: &Place, ahead: usize, from: usize, count: usize) {
    let panel = place.column / PANEL + ahead;
    let next = task
        .b
        .wrapping_add(panel * task.b_stride + place.start * PANEL);
    for line in from..(from + count).min(place.depth) {
        prefetch(next.wrapping_add(line * PANEL));
    }
}

/// Asks for the line that holds `address`, which may be any.
#[inline(always)]
fn prefetch(address: *const f32) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: prefetching reads nothing; any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

#[inline(always)]
fn tile_at<A: Arithmetic, L: Layout, const R: usize, const P: usize>(
    task: &Task<'_>,
    place: &Place,
    row: usize,
) {
    // Wrapping, as views of no depth hold nothing: nothing is read there.
    let a = task.a.wrapping_add(L::tile(task, row, R, place.start));
    let b = task
        .b
        .wrapping_add(place.column / PANEL * task.b_stride + place.start * PANEL);
    // SAFETY: `row + R <= task.rows`, `place` and the `P` panels from it lie within depth and columns, and `Task::new`
    // has checked that the views hold all rows, columns and panels of the product.
    unsafe {
        let sums = tile::<A, L, R, P>(place.depth, (a, task.a_stride), (b, task.b_stride));
        for (panel, sums) in sums.iter().enumerate() {
            store::<A, R>(
                task,
                place.start == 0,
                row,
                place.column + panel * PANEL,
                sums,
            );
        }
    }
}

/// `R` rows of sums over the depth in each of `P` panels. Both sides come with their strides.
///
/// # Safety
/// `a` must be good for the numbers `a[L::at(i, p, stride, R)]` with `i < R` and `p < depth`, and `b` for
/// `depth * 16` numbers from each of `P` places a stride apart. The machine must have the instruction set.
#[inline(always)]
unsafe fn tile<A: Arithmetic, L: Layout, const R: usize, const P: usize>(
    depth: usize,
    (a, a_stride): (*const f32, usize),
    (b, b_stride): (*const f32, usize),
) -> [[A::Vector; R]; P] {
    // SAFETY: by this function's contract, in every block.
    let mut sums = [[unsafe { A::Vector::splat(&0.0) }; R]; P];
    for p in 0..depth {
        let mut right = [sums[0][0]; P];
        for (panel, right) in right.iter_mut().enumerate() {
            // SAFETY: as above.
            *right = unsafe { A::Vector::load(b.add(panel * b_stride + p * PANEL)) };
        }
        for i in 0..R {
            // SAFETY: as above.
            let left = unsafe { A::Vector::splat(a.add(L::at(i, p, a_stride, R))) };
            for (sums, right) in sums.iter_mut().zip(right) {
                // SAFETY: as above.
                sums[i] = unsafe { A::Vector::mul_add(left, right, sums[i]) };
            }
        }
    }
    sums
}

/// Writes a tile's sums in one panel as [`Finish`] says. `first` tells the first part along the depth, which the bias
/// and the base belong to; later parts are added.
///
/// # Safety
/// The rows from `row` and the panel's columns from `column` must lie within the task's result. The machine must have
/// the instruction set.
#[inline(always)]
unsafe fn store<A: Arithmetic, const R: usize>(
    task: &Task<'_>,
    first: bool,
    row: usize,
    column: usize,
    sums: &[A::Vector; R],
) {
    let width = PANEL.min(task.columns - column);
    let bias = if first { task.bias } else { &[] };
    let bias = bias.get(column..).unwrap_or_default();
    let (base, base_stride) = if first {
        (task.base, task.base_stride)
    } else {
        (task.c.cast_const(), task.c_stride)
    };
    let alone = first && task.base.is_null();
    // SAFETY: `row ..` are rows and `column .. column + width` are columns of the result and of the base, in every
    // block. A base that is not there is not read.
    unsafe {
        let c = task.c.add(row * task.c_stride + column);
        let base = base.wrapping_add(row * base_stride + column);
        let scale = A::Vector::splat(&task.scale);
        // One straight path for each case that is common: the sums stay in registers.
        match (bias.first_chunk::<PANEL>(), width) {
            (Some(bias), PANEL) if alone => {
                let bias = A::Vector::load(bias.as_ptr());
                for (i, sums) in sums.iter().enumerate() {
                    let finished = scale.mul(sums.add(bias));
                    finished.store(c.add(i * task.c_stride));
                }
            }
            (None, PANEL) if alone => {
                for (i, sums) in sums.iter().enumerate() {
                    scale.mul(*sums).store(c.add(i * task.c_stride));
                }
            }
            (Some(bias), PANEL) => {
                let bias = A::Vector::load(bias.as_ptr());
                for (i, sums) in sums.iter().enumerate() {
                    let finished = scale.mul(sums.add(bias));
                    let base = A::Vector::load(base.add(i * base_stride));
                    base.add(finished).store(c.add(i * task.c_stride));
                }
            }
            (None, PANEL) => {
                for (i, sums) in sums.iter().enumerate() {
                    let base = A::Vector::load(base.add(i * base_stride));
                    base.add(scale.mul(*sums)).store(c.add(i * task.c_stride));
                }
            }
            _ => {
                for (i, sums) in sums.iter().enumerate() {
                    let mut line = [0.0; PANEL];
                    sums.store(line.as_mut_ptr());
                    for (j, sum) in line.iter().enumerate().take(width) {
                        let mut value = task.scale * (sum + bias.get(j).copied().unwrap_or(0.0));
                        if !alone {
                            value += *base.add(i * base_stride + j);
                        }
                        *c.add(i * task.c_stride + j) = value;
                    }
                }
            }
        }
    }
}
