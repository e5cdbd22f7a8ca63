//! The two sides of a product in bf16, rounded to nearest, ties to even.
//!
//! Both sides hold *pairs*, two numbers that follow each other along the depth, as one word: what a unit multiplies and adds
//! in one go. Depths are filled up to whole [`DEPTH_BLOCK`]s with zeros.

use super::{Bf16Unit, DEPTH_BLOCK, TILE};
use crate::fused::matmul::PANEL;
use crate::fused::matmul::product::Lhs;
use crate::fused::matmul::view::Rows;
use crate::fused::simd::{Arithmetic, multiversion};

/// Pairs in a block along the depth.
const PAIRS: usize = DEPTH_BLOCK / 2;

/// Sixteen pairs side by side.
type Line = [u32; PANEL];

/// How numbers are rounded: to nearest, ties to even. Numbers below 2⁻¹²⁶ may become zero.
trait Rounding {
    /// 32 numbers along the depth, as pairs.
    fn along(numbers: &[f32; DEPTH_BLOCK]) -> [u32; PAIRS];

    /// Sixteen numbers and those that follow them along the depth.
    fn across(first: &[f32; PANEL], second: &[f32; PANEL]) -> Line;
}

/// By arithmetic on bits.
struct ByBits;

/// By the processor's own instruction.
#[cfg(target_arch = "x86_64")]
struct ByInstruction;

/// The upper half of a word: a number's bf16.
#[inline(always)]
fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    let to_even = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    // Rounding could turn a NaN into an infinity or zero.
    if x.is_nan() {
        bits | 0x0040_0000
    } else {
        to_even
    }
}

/// Two numbers that follow each other along the depth.
#[inline(always)]
fn pair(first: f32, second: f32) -> u32 {
    (rounded(first) >> 16) | (rounded(second) & 0xffff_0000)
}

impl Rounding for ByBits {
    #[inline(always)]
    fn along(numbers: &[f32; DEPTH_BLOCK]) -> [u32; PAIRS] {
        let (pairs, _) = numbers.as_chunks::<2>();
        let mut out = [0; PAIRS];
        for (to, &[first, second]) in out.iter_mut().zip(pairs) {
            *to = pair(first, second);
        }
        out
    }

    #[inline(always)]
    fn across(first: &[f32; PANEL], second: &[f32; PANEL]) -> Line {
        let mut line = [0; PANEL];
        for ((to, &first), &second) in line.iter_mut().zip(first).zip(second) {
            *to = pair(first, second);
        }
        line
    }
}

#[cfg(target_arch = "x86_64")]
impl Rounding for ByInstruction {
    #[inline(always)]
    fn along(numbers: &[f32; DEPTH_BLOCK]) -> [u32; PAIRS] {
        use std::arch::x86_64::{__m512bh, _mm512_cvtne2ps_pbh, _mm512_loadu_ps};
        // SAFETY: only functions compiled for AVX-512 BF16 use this, see `by_unit`; 32 numbers are read, and any 512 bits are
        // sixteen words.
        unsafe {
            let low = _mm512_loadu_ps(numbers.as_ptr());
            let high = _mm512_loadu_ps(numbers.as_ptr().add(PANEL));
            std::mem::transmute::<__m512bh, [u32; PAIRS]>(_mm512_cvtne2ps_pbh(high, low))
        }
    }

    #[inline(always)]
    fn across(first: &[f32; PANEL], second: &[f32; PANEL]) -> Line {
        use std::arch::x86_64::{
            __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_loadu_ps, _mm512_permutexvar_epi16,
        };
        /// Numbers 0, 16, 1, 17 and so on.
        const ALTERNATELY: [u16; 32] = {
            let mut places = [0; 32];
            let mut i = 0;
            while i < 32 {
                places[i] = (i / 2 + i % 2 * 16) as u16;
                i += 1;
            }
            places
        };
        // SAFETY: as in `along`.
        unsafe {
            let (first, second) = (
                _mm512_loadu_ps(first.as_ptr()),
                _mm512_loadu_ps(second.as_ptr()),
            );
            let both = _mm512_cvtne2ps_pbh(second, first);
            let both = std::mem::transmute::<__m512bh, __m512i>(both);
            let places = std::mem::transmute::<[u16; 32], __m512i>(ALTERNATELY);
            std::mem::transmute::<__m512i, Line>(_mm512_permutexvar_epi16(places, both))
        }
    }
}

/// Declares a function that runs a body `fn body<A: Arithmetic, R: Rounding>(…)` with the best rounding of the machine; it must be
/// `#[inline(always)]`, as for [`multiversion!`].
macro_rules! by_unit {
    ($(#[$doc:meta])* $vis:vis fn $name:ident = $body:ident($($arg:ident: $ty:ty),* $(,)?);) => {
        $(#[$doc])*
        $vis fn $name($($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::fused::simd::Fma512;
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma")]
                fn by_instruction($($arg: $ty),*) {
                    $body::<Fma512, ByInstruction>($($arg),*)
                }
                if let Some(Bf16Unit::Amx | Bf16Unit::Avx512) = Bf16Unit::get() {
                    // SAFETY: either unit has been detected, and both come with these instruction sets.
                    return unsafe { by_instruction($($arg),*) };
                }
            }
            #[inline(always)]
            fn by_bits<A: Arithmetic>($($arg: $ty),*) {
                $body::<A, ByBits>($($arg),*)
            }
            multiversion! {
                fn without_unit = by_bits($($arg: $ty),*);
            }
            without_unit($($arg),*)
        }
    };
}

/// Words that panels of this size take.
pub(crate) fn packed_len(depth: usize, columns: usize) -> usize {
    columns.div_ceil(PANEL) * PANEL * depth.next_multiple_of(DEPTH_BLOCK) / 2
}

/// Words that the left-hand side of a product takes.
pub(super) fn left_len(rows: usize, depth: usize) -> usize {
    rows.next_multiple_of(TILE) * depth.next_multiple_of(DEPTH_BLOCK) / 2
}

by_unit! {
    /// Packs `x [depth, columns]` as it stands: panels of 16 columns, in each a line of pairs after the other. `out` holds
    /// [`packed_len`] words.
    pub(crate) fn pack_columns = pack_columns_body(x: Rows<'_>, out: &mut [u32]);
}

#[inline(always)]
fn pack_columns_body<A: Arithmetic, R: Rounding>(x: Rows<'_>, out: &mut [u32]) {
    assert_eq!(out.len(), packed_len(x.count, x.width));
    let size = (x.count.next_multiple_of(DEPTH_BLOCK) / 2 * PANEL).max(1);
    for (panel, out) in out.chunks_exact_mut(size).enumerate() {
        let (lines, _) = out.as_chunks_mut::<PANEL>();
        for (p, line) in lines.iter_mut().enumerate() {
            *line = pairs_of::<R>(x, p, panel * PANEL);
        }
    }
}

/// The pairs of rows `2 p` and `2 p + 1` in 16 columns from `column`; zeros beyond the last.
#[inline(always)]
fn pairs_of<R: Rounding>(x: Rows<'_>, p: usize, column: usize) -> Line {
    let row = |i: usize| match i < x.count {
        true => &x.row(i)[column.min(x.width)..],
        false => &[],
    };
    let (first, second) = (row(2 * p), row(2 * p + 1));
    if let (Some(first), Some(second)) =
        (first.first_chunk::<PANEL>(), second.first_chunk::<PANEL>())
    {
        return R::across(first, second);
    }
    R::across(&filled_up(first), &filled_up(second))
}

/// The first numbers of a row, or all of them and zeros.
#[inline(always)]
fn filled_up<const N: usize>(row: &[f32]) -> [f32; N] {
    let mut out = [0.0; N];
    for (to, &x) in out.iter_mut().zip(row) {
        *to = x;
    }
    out
}

/// The 16 pairs from `depth` in a row of the left-hand side, or in a column of the right one; zeros beyond the last.
#[inline(always)]
fn pairs_along<R: Rounding>(row: &[f32], depth: usize) -> [u32; PAIRS] {
    let row = &row[depth.min(row.len())..];
    if let Some(numbers) = row.first_chunk::<DEPTH_BLOCK>() {
        return R::along(numbers);
    }
    R::along(&filled_up(row))
}

by_unit! {
    /// Packs the transpose of `x [columns, depth]`. `out` holds [`packed_len`] words.
    pub(crate) fn pack_rows = pack_rows_body(x: Rows<'_>, out: &mut [u32]);
}

#[inline(always)]
fn pack_rows_body<A: Arithmetic, R: Rounding>(x: Rows<'_>, out: &mut [u32]) {
    let (columns, depth) = (x.count, x.width);
    assert_eq!(out.len(), packed_len(depth, columns));
    let (blocks, _) = out.as_chunks_mut::<{ PANEL * PAIRS }>();
    let per_panel = depth.div_ceil(DEPTH_BLOCK).max(1);
    for (i, block) in blocks.iter_mut().enumerate() {
        let (column, depth) = (i / per_panel * PANEL, i % per_panel * DEPTH_BLOCK);
        let mut lines = [[0; PAIRS]; PANEL];
        for (j, line) in lines.iter_mut().enumerate().take(columns - column) {
            *line = pairs_along::<R>(x.row(column + j), depth);
        }
        A::transpose(&lines, block);
    }
}

by_unit! {
    /// Packs a left-hand side into tiles of 16 rows: in each, block after block along the depth, the 16 pairs of each row. `out`
    /// holds [`left_len`] words; rows that fill up the last tile are zeros.
    pub(super) fn pack_left = pack_left_body(left: Lhs<'_>, out: &mut [u32]);
}

#[inline(always)]
fn pack_left_body<A: Arithmetic, R: Rounding>(left: Lhs<'_>, out: &mut [u32]) {
    let (rows, depth) = left.shape();
    assert_eq!(out.len(), left_len(rows, depth));
    let (blocks, _) = out.as_chunks_mut::<{ TILE * PAIRS }>();
    let per_tile = depth.div_ceil(DEPTH_BLOCK).max(1);
    for (i, block) in blocks.iter_mut().enumerate() {
        let (row, depth) = (i / per_tile * TILE, i % per_tile * DEPTH_BLOCK);
        match left {
            Lhs::Rows(x) => {
                let (lines, _) = block.as_chunks_mut::<PAIRS>();
                for (j, line) in lines.iter_mut().enumerate() {
                    *line = match row + j < rows {
                        true => pairs_along::<R>(x.row(row + j), depth),
                        false => [0; PAIRS],
                    };
                }
            }
            Lhs::Transposed(x) => {
                let mut lines = [[0; TILE]; PAIRS];
                for (p, line) in lines.iter_mut().enumerate() {
                    *line = pairs_of::<R>(x, depth / 2 + p, row);
                }
                A::transpose(&lines, block);
            }
            // Tiles are for products in `f32`.
            Lhs::Tiles(_) => unreachable!("a left-hand side in tiles of f32"),
        }
    }
}

by_unit! {
    /// Rounds panels of `f32`, `depth` lines each, to panels of pairs.
    pub(crate) fn round_panels = round_panels_body(panels: &[f32], depth: usize, out: &mut [u32]);
}

#[inline(always)]
fn round_panels_body<A: Arithmetic, R: Rounding>(panels: &[f32], depth: usize, out: &mut [u32]) {
    let size = depth.next_multiple_of(DEPTH_BLOCK) / 2 * PANEL;
    assert_eq!(
        out.len() * depth * PANEL,
        panels.len() * size,
        "panels of two formats"
    );
    let panels = panels.chunks_exact((depth * PANEL).max(1));
    for (panel, out) in panels.zip(out.chunks_exact_mut(size.max(1))) {
        let (lines, _) = panel.as_chunks::<PANEL>();
        let (out, _) = out.as_chunks_mut::<PANEL>();
        let mut lines = lines.iter();
        for out in out {
            let (first, second) = (lines.next(), lines.next());
            for (j, to) in out.iter_mut().enumerate() {
                *to = pair(
                    first.map_or(0.0, |line| line[j]),
                    second.map_or(0.0, |line| line[j]),
                );
            }
        }
    }
}
