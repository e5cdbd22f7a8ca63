//! Batch norm in three passes over memory forward and two backward; of what it computes on the way only the moments of the
//! channels are kept.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::graph::{Gradient, Input, Saved, as_f32_slice, custom_op, sizes, tensor};
use super::matmul::{Rows, RowsMut};
use super::parallel;
use super::rows::add_columns;
use super::scratch::UninitBuf;
use super::simd::{Arithmetic, multiversion};
use crate::batch_norm::BatchNormed;
use crate::types::NormWeights;

/// Rows per task.
const ROWS: usize = 512;

/// What is done to each channel: `(x - mean) · scale + shift`.
#[derive(Clone, Copy)]
struct Channels<'a> {
    mean: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    relu: bool,
}

/// Sums of each channel, over all tasks in their order, in double precision.
fn totals(parts: Vec<Vec<f32>>, width: usize) -> Vec<f64> {
    let mut sums = vec![0.0; width];
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += f64::from(part);
        }
    }
    sums
}

/// Mean and variance of each column of `[rows, width]`.
fn moments(x: &[f32], width: usize) -> [Vec<f32>; 2] {
    let count = (x.len() / width) as f64;
    let over_rows = |add: &(dyn Fn(Rows<'_>, &mut [f32]) + Sync)| -> Vec<f32> {
        let parts = parallel::results(x.chunks(ROWS * width).collect(), |x: &[f32]| {
            let mut sums = vec![0.0; width];
            add(Rows::dense(x, width), &mut sums);
            sums
        });
        let totals = totals(parts, width).into_iter();
        totals.map(|sum| (sum / count) as f32).collect()
    };
    let mean = over_rows(&|x, sums| add_columns(x, sums));
    let variance = over_rows(&|x, sums| add_squares(x, &mean, sums));
    [mean, variance]
}

multiversion! {
    /// Adds the squares of each column's distances from its mean to `sums`.
    fn add_squares = add_squares_body(x: Rows<'_>, mean: &[f32], sums: &mut [f32]);
}

#[inline(always)]
fn add_squares_body<A: Arithmetic>(x: Rows<'_>, mean: &[f32], sums: &mut [f32]) {
    for i in 0..x.count {
        for ((sum, &x), mean) in sums.iter_mut().zip(x.row(i)).zip(mean) {
            let centered = x - mean;
            *sum = A::mul_add(centered, centered, *sum);
        }
    }
}

multiversion! {
    fn normalize = normalize_body(x: Rows<'_>, channels: Channels<'_>, out: &mut RowsMut<'_>);
}

#[inline(always)]
fn normalize_body<A: Arithmetic>(x: Rows<'_>, channels: Channels<'_>, out: &mut RowsMut<'_>) {
    let width = x.width;
    let (mean, scale) = (&channels.mean[..width], &channels.scale[..width]);
    let shift = &channels.shift[..width];
    let least = if channels.relu {
        0.0
    } else {
        f32::NEG_INFINITY
    };
    for i in 0..x.count {
        let (x, out) = (&x.row(i)[..width], &mut out.row(i)[..width]);
        for j in 0..width {
            let y = A::mul_add(x[j] - mean[j], scale[j], shift[j]);
            // Written so that what is no number stays none.
            out[j] = if y < least { least } else { y };
        }
    }
}

multiversion! {
    /// Adds each column of the gradient `dy` to `along`, and that of `dy · (x - mean)` to `across`.
    fn add_gradients = add_gradients_body(
        x: Rows<'_>,
        dy: Rows<'_>,
        channels: Channels<'_>,
        along: &mut [f32],
        across: &mut [f32],
    );
}

/// The gradient before ReLU.
#[inline(always)]
fn passed<A: Arithmetic>(centered: f32, dy: f32, scale: f32, shift: f32, relu: bool) -> f32 {
    if relu && A::mul_add(centered, scale, shift) <= 0.0 {
        0.0
    } else {
        dy
    }
}

#[inline(always)]
fn add_gradients_body<A: Arithmetic>(
    x: Rows<'_>,
    dy: Rows<'_>,
    channels: Channels<'_>,
    along: &mut [f32],
    across: &mut [f32],
) {
    let width = x.width;
    let (mean, scale) = (&channels.mean[..width], &channels.scale[..width]);
    let shift = &channels.shift[..width];
    let (along, across) = (&mut along[..width], &mut across[..width]);
    for i in 0..x.count {
        let (x, dy) = (&x.row(i)[..width], &dy.row(i)[..width]);
        for j in 0..width {
            let centered = x[j] - mean[j];
            let dy = passed::<A>(centered, dy[j], scale[j], shift[j], channels.relu);
            along[j] += dy;
            across[j] = A::mul_add(dy, centered, across[j]);
        }
    }
}

multiversion! {
    /// The gradient of the input: `scale · (dy - along - (x - mean) · across)`.
    fn input_gradient = input_gradient_body(
        x: Rows<'_>,
        dy: Rows<'_>,
        channels: Channels<'_>,
        along: &[f32],
        across: &[f32],
        out: &mut RowsMut<'_>,
    );
}

#[inline(always)]
fn input_gradient_body<A: Arithmetic>(
    x: Rows<'_>,
    dy: Rows<'_>,
    channels: Channels<'_>,
    along: &[f32],
    across: &[f32],
    out: &mut RowsMut<'_>,
) {
    let width = x.width;
    let (mean, scale) = (&channels.mean[..width], &channels.scale[..width]);
    let shift = &channels.shift[..width];
    let (along, across) = (&along[..width], &across[..width]);
    for i in 0..x.count {
        let (x, dy) = (&x.row(i)[..width], &dy.row(i)[..width]);
        let out = &mut out.row(i)[..width];
        for j in 0..width {
            let centered = x[j] - mean[j];
            let dy = passed::<A>(centered, dy[j], scale[j], shift[j], channels.relu);
            out[j] = scale[j] * A::mul_add(centered, -across[j], dy - along[j]);
        }
    }
}

/// See [`crate::batch_norm()`]; `None` if this is not for the CPU backend.
pub(crate) fn batch_norm(x: &Tensor<3>, weights: &NormWeights, relu: bool) -> Option<BatchNormed> {
    let [_, _, width] = x.dims();
    let inputs = vec![
        Input::of(x)?,
        Input::of(&weights.weight)?,
        Input::of(&weights.bias)?,
    ];
    let mut measured = [Vec::new(), Vec::new()];
    let out = custom_op(inputs, |inputs, wanted| {
        let values = as_f32_slice(&inputs[0]);
        measured = moments(values, width);
        let [mean, variance] = &measured;
        let inv_std: Vec<f32> = variance
            .iter()
            .map(|variance| (1.0 / (f64::from(*variance) + weights.epsilon).sqrt()) as f32)
            .collect();
        let saved = SavedNorm {
            inputs: inputs.to_vec(),
            mean: mean.clone(),
            scale: inv_std
                .iter()
                .zip(as_f32_slice(&inputs[1]))
                .map(|(inv_std, weight)| inv_std * weight)
                .collect(),
            inv_std,
            relu,
        };
        let mut out = UninitBuf::new(values.len());
        let size = ROWS * width;
        let tasks: Vec<_> = values.chunks(size).zip(out.pieces(size)).collect();
        parallel::each(tasks, |(x, out)| {
            let mut out = RowsMut::dense(out.zeros(), width);
            normalize(Rows::dense(x, width), saved.channels(), &mut out);
        });
        // SAFETY: each task has filled its piece.
        let out = tensor(unsafe { out.filled() }, &sizes(&inputs[0]));
        (out, wanted.then(|| Arc::new(saved) as Arc<dyn Saved>))
    });
    let [mean, variance] = measured.map(|values| {
        let device = burn::tensor::Device::flex();
        Tensor::<1>::from_floats(values.as_slice(), &device)
    });
    Some(BatchNormed {
        out,
        mean,
        variance,
    })
}

#[derive(Debug)]
struct SavedNorm {
    /// Maps, scale, shift.
    inputs: Vec<FlexTensor>,
    mean: Vec<f32>,
    inv_std: Vec<f32>,
    /// The given scale over the deviation.
    scale: Vec<f32>,
    relu: bool,
}

impl SavedNorm {
    fn channels(&self) -> Channels<'_> {
        Channels {
            mean: &self.mean,
            scale: &self.scale,
            shift: as_f32_slice(&self.inputs[2]),
            relu: self.relu,
        }
    }
}

impl Saved for SavedNorm {
    fn backward(&self, dout: &FlexTensor, wanted: &[bool]) -> Vec<Gradient> {
        let channels = self.channels();
        let (x, dy, width) = (
            as_f32_slice(&self.inputs[0]),
            as_f32_slice(dout),
            self.mean.len(),
        );
        let size = ROWS * width;
        let parts = parallel::results(x.chunks(size).zip(dy.chunks(size)).collect(), |(x, dy)| {
            let mut sums = vec![0.0; 2 * width];
            let (along, across) = sums.split_at_mut(width);
            let (x, dy) = (Rows::dense(x, width), Rows::dense(dy, width));
            add_gradients(x, dy, channels, along, across);
            sums
        });
        let sums = totals(parts, 2 * width);
        let (along, across) = sums.split_at(width);
        let dweight: Vec<f32> = across
            .iter()
            .zip(&self.inv_std)
            .map(|(across, inv_std)| (across * f64::from(*inv_std)) as f32)
            .collect();
        let dbias: Vec<f32> = along.iter().map(|along| *along as f32).collect();
        let dx = wanted[0].then(|| {
            let count = (x.len() / width) as f64;
            let along: Vec<f32> = along.iter().map(|sum| (sum / count) as f32).collect();
            let across: Vec<f32> = across
                .iter()
                .zip(&self.inv_std)
                .map(|(sum, inv_std)| (sum / count * f64::from(*inv_std).powi(2)) as f32)
                .collect();
            let mut out = UninitBuf::new(x.len());
            let tasks: Vec<_> = x
                .chunks(size)
                .zip(dy.chunks(size))
                .zip(out.pieces(size))
                .collect();
            parallel::each(tasks, |((x, dy), out)| {
                let mut out = RowsMut::dense(out.zeros(), width);
                let (x, dy) = (Rows::dense(x, width), Rows::dense(dy, width));
                input_gradient(x, dy, channels, &along, &across, &mut out);
            });
            // SAFETY: each task has filled its piece.
            tensor(unsafe { out.filled() }, &sizes(&self.inputs[0]))
        });
        vec![
            dx,
            Some(tensor(dweight, &[width])),
            Some(tensor(dbias, &[width])),
        ]
    }
}
