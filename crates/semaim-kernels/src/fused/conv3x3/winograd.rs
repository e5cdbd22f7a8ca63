//! The 3×3 convolution with fewer products: two neighboring outputs of a row from four sums of inputs (Winograd's F(2, 3),
//! along the rows alone; Lavin and Gray, CVPR 2016). Of 9 products of channels per position 6 are left.
//!
//! With inputs `d0 … d3` of a row and kernels `g0, g1, g2`, the outputs are `y0 = m0 + m1 + m2` and `y1 = m1 − m2 − m3`, where
//! `m0 = (d0 − d2) g0`, `m1 = (d1 + d2) (g0 + g1 + g2)/2`, `m2 = (d2 − d1) (g0 − g1 + g2)/2`, `m3 = (d1 − d3) g2`. The three rows of
//! a kernel are added up as they are, so that a row of kernels beyond the map costs nothing. The factors are ½ and 1: results
//! are as near as those of nine products, which the two-dimensional form's are not.

use super::super::affine::{Affine, Packed, Side};
use super::super::matmul::{
    Finish, PanelFormat, Panels, Rows, RowsMut, Tiles, pack_columns, pack_tiles, packed_len,
    product,
};
use super::super::parallel;
use super::super::scratch::{UninitBuf, with_scratch};
use super::super::simd::{Arithmetic, multiversion};
use super::Maps;

/// The four products.
const TERMS: usize = 4;

/// Pairs of outputs that a task of a convolution has, about.
const PAIRS: usize = 128;

/// Pairs of outputs that are gathered at a time, for the gradient of the kernels.
const GRADIENT_PAIRS: usize = 192;

/// Outputs of the kernels' gradient that one task is given.
const GRADIENT_OUTPUTS: usize = 128;

/// Whether fewer products outweigh the sums around them.
pub(super) fn pays(x: Maps<'_>, outputs: usize) -> bool {
    x.columns >= 2 && x.channels >= 32 && outputs >= 32
}

/// The first and the second input of each term, counted from the one on the left, and whether the second is taken away.
const INPUTS: [(usize, usize, bool); TERMS] =
    [(0, 2, true), (1, 2, false), (2, 1, true), (1, 3, true)];

multiversion! {
    /// One term of each pair of a row: `row [columns, channels]`, `out [pairs, channels]`.
    fn sum_inputs = sum_inputs_body(row: &[f32], channels: usize, term: usize, out: &mut [f32]);
}

#[inline(always)]
fn sum_inputs_body<A: Arithmetic>(row: &[f32], channels: usize, term: usize, out: &mut [f32]) {
    let (first, second, minus) = INPUTS[term];
    let sign = if minus { -1.0 } else { 1.0 };
    for (pair, out) in out.chunks_exact_mut(channels).enumerate() {
        let first = column(row, channels, 2 * pair + first);
        let second = column(row, channels, 2 * pair + second);
        match (first, second) {
            (Some(first), Some(second)) => {
                for ((out, first), second) in out.iter_mut().zip(first).zip(second) {
                    *out = A::mul_add(sign, *second, *first);
                }
            }
            (Some(first), None) => out.copy_from_slice(first),
            (None, Some(second)) => {
                for (out, second) in out.iter_mut().zip(second) {
                    *out = sign * second;
                }
            }
            (None, None) => out.fill(0.0),
        }
    }
}

/// The channels of a column, which are counted from the one before the first; `None` outside the row.
#[inline(always)]
fn column(row: &[f32], channels: usize, column: usize) -> Option<&[f32]> {
    let start = column.checked_sub(1)? * channels;
    row.get(start..start + channels)
}

/// What a term adds to the two outputs of a pair, as factors.
const OUTPUTS: [[f32; 2]; TERMS] = [[1.0, 0.0], [1.0, 1.0], [1.0, -1.0], [0.0, -1.0]];

multiversion! {
    /// Adds a term of each pair, `terms [pairs, channels]`, to a row of outputs, `[columns, channels]`.
    fn add_term = add_term_body(terms: &[f32], channels: usize, term: usize, row: &mut [f32]);
}

#[inline(always)]
fn add_term_body<A: Arithmetic>(terms: &[f32], channels: usize, term: usize, row: &mut [f32]) {
    let factors = OUTPUTS[term];
    let pairs = row.chunks_mut(2 * channels);
    for (term, pair) in terms.chunks_exact(channels).zip(pairs) {
        for (out, factor) in pair.chunks_exact_mut(channels).zip(factors) {
            if factor != 0.0 {
                for (out, value) in out.iter_mut().zip(term) {
                    *out = A::mul_add(factor, *value, *out);
                }
            }
        }
    }
}

multiversion! {
    /// The gradient of one term of each pair, of the channels from `first`, from that of a row of outputs `[columns, channels]`:
    /// `out [pairs, taken]`.
    fn term_gradient = term_gradient_body(
        row: &[f32], channels: usize, first: usize, taken: usize, term: usize, out: &mut [f32],
    );
}

#[inline(always)]
fn term_gradient_body<A: Arithmetic>(
    row: &[f32],
    channels: usize,
    first: usize,
    taken: usize,
    term: usize,
    out: &mut [f32],
) {
    let [left, right] = OUTPUTS[term];
    let pairs = row.chunks(2 * channels);
    for (pair, out) in pairs.zip(out.chunks_exact_mut(taken)) {
        for (out, value) in out.iter_mut().zip(&pair[first..first + taken]) {
            *out = left * value;
        }
        if right != 0.0 && pair.len() > channels {
            let second = &pair[channels + first..][..taken];
            for (out, value) in out.iter_mut().zip(second) {
                *out = A::mul_add(right, *value, *out);
            }
        }
    }
}

/// The kernels of each term, `[out, 3 · in]`, from `layer [out, 3 · 3 · in]`.
fn sum_kernels(layer: &[f32], outputs: usize, inputs: usize) -> [Vec<f32>; TERMS] {
    let mut terms = [(); TERMS].map(|()| vec![0.0; outputs * 3 * inputs]);
    for (place, taps) in layer.chunks_exact(3 * inputs).enumerate() {
        for i in 0..inputs {
            let [g0, g1, g2] = [taps[i], taps[inputs + i], taps[2 * inputs + i]];
            let of = [g0, 0.5 * (g0 + g2 + g1), 0.5 * (g0 + g2 - g1), g2];
            for (term, value) in terms.iter_mut().zip(of) {
                term[place * inputs + i] = value;
            }
        }
    }
    terms
}

/// Rows of one map that a task computes, by their numbers among the rows of all maps.
#[derive(Clone, Copy)]
struct Stripe {
    begin: usize,
    end: usize,
    /// The map's rows.
    map: [usize; 2],
}

impl Stripe {
    /// The rows of inputs that its outputs look at.
    fn inputs(&self) -> [usize; 2] {
        let [begin, end] = self.map;
        [self.begin.max(begin + 1) - 1, (self.end + 1).min(end)]
    }

    /// Its rows whose neighbor `down` rows below the one above them is on the map.
    fn with_neighbor(&self, down: usize) -> [usize; 2] {
        let [begin, end] = self.map;
        match down {
            0 => [self.begin.max(begin + 1), self.end],
            1 => [self.begin, self.end],
            _ => [self.begin, self.end.min(end - 1)],
        }
    }
}

/// The rows from `begin` to `end` of maps of `rows` rows, map by map.
fn stripes(begin: usize, end: usize, rows: usize) -> Vec<Stripe> {
    let first_map = begin / rows;
    (first_map..end.div_ceil(rows))
        .map(|map| Stripe {
            begin: begin.max(map * rows),
            end: end.min((map + 1) * rows),
            map: [map * rows, (map + 1) * rows],
        })
        .collect()
}

/// Rows that a task is given: whole maps where they are small.
fn rows_of_a_task(rows: usize, pairs: usize) -> usize {
    let wanted = PAIRS.div_ceil(pairs);
    if wanted > rows {
        wanted / rows * rows
    } else {
        wanted
    }
}

/// `layer [out, 3 · 3 · in]` at every position.
pub(super) fn convolve(x: Maps<'_>, layer: Affine<'_>) -> Vec<f32> {
    let (inputs, outputs) = (x.channels, layer.outputs());
    let terms = sum_kernels(layer.weight, outputs, inputs);
    let zeros = vec![0.0; outputs];
    let layers = terms.each_ref().map(|weight| Affine {
        weight,
        bias: &zeros,
    });
    let packed = Packed::of(&layers, Side::Forward, PanelFormat::F32);
    let (width, pairs) = (x.columns * inputs, x.columns.div_ceil(2));
    let rows = rows_of_a_task(x.rows, pairs);
    let mut out = UninitBuf::new(x.positions() * outputs);
    let out_width = x.columns * outputs;
    let tasks: Vec<_> = (0..)
        .step_by(rows)
        .zip(out.pieces(rows * out_width))
        .collect();
    parallel::each(tasks, |(begin, out)| {
        let out = out.zeros();
        let count = out.len() / out_width;
        let stripes = stripes(begin, begin + count, x.rows);
        for position in out.chunks_exact_mut(outputs) {
            position.copy_from_slice(layer.bias);
        }
        let gathered = stripes.iter().map(|stripe| {
            let [begin, end] = stripe.inputs();
            end - begin
        });
        let gathered: usize = gathered.sum();
        let sizes = [gathered * pairs * inputs, count * pairs * outputs];
        with_scratch(sizes, |[sums, products]| {
            for term in 0..TERMS {
                let mut places = sums.chunks_exact_mut(pairs * inputs);
                for stripe in &stripes {
                    let [begin, end] = stripe.inputs();
                    for (row, sums) in (begin..end).zip(&mut places) {
                        sum_inputs(&x.values[row * width..][..width], inputs, term, sums);
                    }
                }
                // The middle row first: it is there for every row of outputs.
                for down in [1, 0, 2] {
                    let kernels = packed.layer(term).rows(down * inputs, inputs);
                    let finish = match down {
                        1 => Finish::PLAIN,
                        _ => Finish::ADD,
                    };
                    let mut first = 0;
                    for stripe in &stripes {
                        let [begin, end] = stripe.with_neighbor(down);
                        let [input, input_end] = stripe.inputs();
                        if begin < end {
                            let from = (first + begin + down - 1 - input) * pairs * inputs;
                            let sums = &sums[from..][..(end - begin) * pairs * inputs];
                            let to = (begin - stripes[0].begin) * pairs * outputs;
                            let products = &mut products[to..][..(end - begin) * pairs * outputs];
                            product(
                                Rows::dense(sums, inputs),
                                kernels,
                                finish,
                                &mut RowsMut::dense(products, outputs),
                            );
                        }
                        first += input_end - input;
                    }
                }
                let rows = out.chunks_exact_mut(out_width);
                for (row, products) in rows.zip(products.chunks_exact(pairs * outputs)) {
                    add_term(products, outputs, term, row);
                }
            }
        });
    });
    // SAFETY: each task has filled its piece.
    unsafe { out.filled() }
}

/// The gradient of the kernels, `[out, in, 3, 3]`.
pub(super) fn kernel_gradient(x: Maps<'_>, dout: &[f32], outputs: usize) -> Vec<f32> {
    let (inputs, pairs) = (x.channels, x.columns.div_ceil(2));
    let (width, out_width) = (x.columns * inputs, x.columns * outputs);
    let count = |output: usize| GRADIENT_OUTPUTS.min(outputs - output);
    let slices: Vec<(usize, usize, usize)> = (0..TERMS)
        .flat_map(|term| (0..3).map(move |down| (term, down)))
        .flat_map(|(term, down)| {
            (0..outputs)
                .step_by(GRADIENT_OUTPUTS)
                .map(move |output| (term, down, output))
        })
        .collect();
    let mut terms = UninitBuf::new(TERMS * 3 * outputs * inputs);
    let pieces = terms.pieces_of(slices.iter().map(|&(.., output)| count(output) * inputs));
    let tasks: Vec<_> = slices.iter().copied().zip(pieces).collect();
    parallel::each(tasks, |((term, down, output), piece)| {
        let count = count(output);
        let mut gradient = RowsMut::dense(piece.zeros(), inputs);
        let rows: Vec<usize> = stripes(0, x.positions() / x.columns, x.rows)
            .iter()
            .flat_map(|stripe| {
                let [begin, end] = stripe.with_neighbor(down);
                begin..end
            })
            .collect();
        for rows in rows.chunks(GRADIENT_PAIRS.div_ceil(pairs)) {
            let taken = rows.len() * pairs;
            let sizes = [
                taken * inputs,
                packed_len(taken, inputs),
                taken * count,
                taken * count,
            ];
            with_scratch(sizes, |[sums, panels, gradients, tiles]| {
                let places = sums.chunks_exact_mut(pairs * inputs);
                let gradient_places = gradients.chunks_exact_mut(pairs * count);
                for ((row, sums), gradients) in rows.iter().zip(places).zip(gradient_places) {
                    let from = (row + down - 1) * width;
                    sum_inputs(&x.values[from..][..width], inputs, term, sums);
                    let dout = &dout[row * out_width..][..out_width];
                    term_gradient(dout, outputs, output, count, term, gradients);
                }
                pack_columns(Rows::dense(sums, inputs), panels);
                pack_tiles(Rows::dense(gradients, count), tiles);
                product(
                    Tiles::new(tiles, taken, count),
                    Panels::new(panels, taken, inputs),
                    Finish::ADD,
                    &mut gradient,
                );
            });
        }
    });
    // SAFETY: each task has filled its piece.
    let terms = unsafe { terms.filled() };
    let weights = outputs * inputs;
    let mut kernels = vec![0.0; 9 * weights];
    for down in 0..3 {
        let of = |term: usize| &terms[(term * 3 + down) * weights..][..weights];
        let [first, sum, difference, last] = [0, 1, 2, 3].map(of);
        for (i, kernel) in kernels.chunks_exact_mut(9).enumerate() {
            let half = 0.5 * (sum[i] + difference[i]);
            kernel[down * 3..][..3].copy_from_slice(&[
                first[i] + half,
                0.5 * (sum[i] - difference[i]),
                half + last[i],
            ]);
        }
    }
    kernels
}
