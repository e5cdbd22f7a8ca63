//! ROIAlign by rows and columns: what a bin averages over is a rectangle, so rows are summed first, then columns.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::graph::{Gradient, Input, Saved, as_f32_slice, custom_op, tensor};
use super::parallel;
use super::scratch::{UninitBuf, with_scratch};
use super::simd::{Arithmetic, multiversion};
use crate::roi_align::{Region, RoiAlign, Taps};

/// Regions that one task is given.
const REGIONS: usize = 8;

/// Rows of a map whose gradient one task is given.
const BAND: usize = 8;

/// A region's taps and the columns that they lie in.
#[derive(Debug)]
struct Cut {
    image: usize,
    rows: Vec<Taps>,
    columns: Vec<Taps>,
    /// First column, and one past the last.
    span: (usize, usize),
}

impl Cut {
    fn new(region: &Region, form: &RoiAlign) -> Self {
        let [rows, columns] = form.taps(region);
        let taken = || columns.iter().filter(|taps| !taps.weights.is_empty());
        let first = taken().map(|taps| taps.start).min().unwrap_or(0);
        let last = taken().map(Taps::end).max().unwrap_or(0);
        Self {
            image: region.image,
            rows,
            columns,
            span: (first, last.max(first)),
        }
    }

    fn columns(&self) -> usize {
        self.span.1 - self.span.0
    }
}

/// Sizes of the maps.
#[derive(Clone, Copy, Debug)]
struct Shape {
    batch: usize,
    rows: usize,
    columns: usize,
    channels: usize,
}

impl Shape {
    /// Where the numbers of a position begin.
    fn at(&self, image: usize, row: usize, column: usize) -> usize {
        ((image * self.rows + row) * self.columns + column) * self.channels
    }
}

multiversion! {
    /// `out += weight * x`.
    fn add_scaled = add_scaled_body(x: &[f32], weight: f32, out: &mut [f32]);
}

#[inline(always)]
fn add_scaled_body<A: Arithmetic>(x: &[f32], weight: f32, out: &mut [f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = A::mul_add(*x, weight, *out);
    }
}

/// One region's bins, `[bins · bins, channels]`, which are zeros before. `line` holds its columns of one row of bins.
fn cut_out(features: &[f32], shape: Shape, cut: &Cut, line: &mut [f32], out: &mut [f32]) {
    let c = shape.channels;
    let mut bins = out.chunks_exact_mut(c);
    for row in &cut.rows {
        line.fill(0.0);
        for (y, weight) in (row.start..).zip(&row.weights) {
            let x = &features[shape.at(cut.image, y, cut.span.0)..][..line.len()];
            add_scaled(x, *weight, line);
        }
        for (column, out) in cut.columns.iter().zip(&mut bins) {
            for (x, weight) in (column.start..).zip(&column.weights) {
                add_scaled(&line[(x - cut.span.0) * c..][..c], *weight, out);
            }
        }
    }
}

/// Adds one region's share to the gradient of the rows of its image from `first` on.
fn put_back(
    dout: &[f32],
    shape: Shape,
    cut: &Cut,
    line: &mut [f32],
    first: usize,
    gradient: &mut [f32],
) {
    let (c, stride) = (shape.channels, shape.columns * shape.channels);
    let end = first + gradient.len() / stride;
    let mut bins = dout.chunks_exact(c * cut.columns.len());
    for (row, dout) in cut.rows.iter().zip(&mut bins) {
        if row.start >= end || row.end() <= first {
            continue;
        }
        line.fill(0.0);
        for (column, dout) in cut.columns.iter().zip(dout.chunks_exact(c)) {
            for (x, weight) in (column.start..).zip(&column.weights) {
                add_scaled(dout, *weight, &mut line[(x - cut.span.0) * c..][..c]);
            }
        }
        for (y, weight) in (row.start..).zip(&row.weights) {
            if (first..end).contains(&y) {
                let to = (y - first) * stride + cut.span.0 * c;
                add_scaled(line, *weight, &mut gradient[to..][..line.len()]);
            }
        }
    }
}

fn forward(features: &[f32], shape: Shape, cuts: &[Cut], bins: usize) -> Vec<f32> {
    let size = bins * bins * shape.channels;
    let mut out = UninitBuf::new(cuts.len() * size);
    let tasks: Vec<_> = cuts
        .chunks(REGIONS)
        .zip(out.pieces(REGIONS * size))
        .collect();
    parallel::each(tasks, |(cuts, out)| {
        for (cut, out) in cuts.iter().zip(out.zeros().chunks_exact_mut(size)) {
            with_scratch([cut.columns() * shape.channels], |[line]| {
                cut_out(features, shape, cut, line, out);
            });
        }
    });
    // SAFETY: each task has filled its piece.
    unsafe { out.filled() }
}

/// Each task goes through all regions of an image in their order, so that the sums do not depend on the tasks.
fn backward(dout: &[f32], shape: Shape, cuts: &[Cut], bins: usize) -> Vec<f32> {
    let stride = shape.columns * shape.channels;
    let size = bins * bins * shape.channels;
    let bands: Vec<(usize, usize, usize)> = (0..shape.batch)
        .flat_map(|image| {
            (0..shape.rows)
                .step_by(BAND)
                .map(move |first| (image, first, BAND.min(shape.rows - first)))
        })
        .collect();
    let mut gradient = UninitBuf::new(shape.batch * shape.rows * stride);
    let pieces = gradient.pieces_of(bands.iter().map(|&(_, _, rows)| rows * stride));
    let tasks: Vec<_> = bands.iter().copied().zip(pieces).collect();
    parallel::each(tasks, |((image, first, _), gradient)| {
        let gradient = gradient.zeros();
        for (cut, dout) in cuts.iter().zip(dout.chunks_exact(size)) {
            if cut.image == image {
                with_scratch([cut.columns() * shape.channels], |[line]| {
                    put_back(dout, shape, cut, line, first, gradient);
                });
            }
        }
    });
    // SAFETY: each task has filled its piece.
    unsafe { gradient.filled() }
}

/// See [`crate::roi_align()`]; `None` if this is not for the CPU backend.
pub(crate) fn roi_align(
    features: &Tensor<3>,
    regions: &[Region],
    form: &RoiAlign,
) -> Option<Tensor<3>> {
    let inputs = vec![Input::of(features)?];
    let [batch, _, channels] = features.dims();
    let shape = Shape {
        batch,
        rows: form.map[0],
        columns: form.map[1],
        channels,
    };
    let bins = form.bins;
    let cuts: Vec<Cut> = regions
        .iter()
        .map(|region| Cut::new(region, form))
        .collect();
    Some(custom_op(inputs, move |inputs, wanted| {
        let out = forward(as_f32_slice(&inputs[0]), shape, &cuts, bins);
        let out = tensor(out, &[cuts.len(), bins * bins, shape.channels]);
        let saved = wanted.then(|| Arc::new(SavedCuts { cuts, shape, bins }) as Arc<dyn Saved>);
        (out, saved)
    }))
}

#[derive(Debug)]
struct SavedCuts {
    cuts: Vec<Cut>,
    shape: Shape,
    bins: usize,
}

impl Saved for SavedCuts {
    fn backward(&self, dout: &FlexTensor, _wanted: &[bool]) -> Vec<Gradient> {
        let Shape {
            batch,
            rows,
            columns,
            channels,
        } = self.shape;
        let gradient = backward(as_f32_slice(dout), self.shape, &self.cuts, self.bins);
        vec![Some(tensor(gradient, &[batch, rows * columns, channels]))]
    }
}
