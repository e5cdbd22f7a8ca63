//! What a prediction costs, per row: one pass over memory forward, one backward.

use super::cpu::{Arithmetic, versions};
use super::matmul::Rows;
use super::parallel;
use super::rows::{dot, sum_of};
use super::scratch::Blank;

/// How predictions are compared with the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Mean absolute difference.
    Absolute,
    /// Mean squared difference.
    Squared,
    /// Squared distance of the two directions: both are divided by their length first.
    Direction,
}

/// Lengths below this count as this, as in PyTorch's `normalize`.
const SHORTEST: f32 = 1e-12;

/// Rows per task.
const ROWS: usize = 256;

/// The cost of each row of `[rows, width]`.
pub(crate) fn forward(cost: Cost, predictions: &[f32], truth: &[f32], width: usize) -> Vec<f32> {
    let size = ROWS * width.max(1);
    let tasks: Vec<_> = predictions.chunks(size).zip(truth.chunks(size)).collect();
    let costs = parallel::results(tasks, |(predictions, truth)| {
        let (predictions, truth) = (Rows::dense(predictions, width), Rows::dense(truth, width));
        (0..predictions.count)
            .map(|i| match cost {
                Cost::Absolute => absolute(predictions.row(i), truth.row(i)) / width as f32,
                Cost::Squared => squared(predictions.row(i), truth.row(i)) / width as f32,
                Cost::Direction => {
                    let [p, t] = [predictions.row(i), truth.row(i)];
                    direction(p, t, shares(p, t))
                }
            })
            .collect::<Vec<f32>>()
    });
    costs.concat()
}

/// The gradient of the predictions, from the gradient of each row's cost.
pub(crate) fn backward(
    cost: Cost,
    predictions: &[f32],
    truth: &[f32],
    dcosts: &[f32],
    width: usize,
) -> Vec<f32> {
    let size = ROWS * width.max(1);
    let mut out = Blank::new(predictions.len());
    let tasks: Vec<_> = predictions
        .chunks(size)
        .zip(truth.chunks(size))
        .zip(dcosts.chunks(ROWS))
        .zip(out.pieces(size))
        .collect();
    parallel::each(tasks, |(((predictions, truth), dcosts), out)| {
        let (predictions, truth) = (Rows::dense(predictions, width), Rows::dense(truth, width));
        for ((i, &dcost), out) in dcosts
            .iter()
            .enumerate()
            .zip(out.zeros().chunks_mut(width.max(1)))
        {
            let (p, t) = (predictions.row(i), truth.row(i));
            match cost {
                Cost::Absolute => absolute_backward(p, t, dcost / width as f32, out),
                Cost::Squared => squared_backward(p, t, 2.0 * dcost / width as f32, out),
                Cost::Direction => direction_backward(p, t, shares(p, t), dcost, out),
            }
        }
    });
    // SAFETY: each task has filled its piece.
    unsafe { out.filled() }
}

/// One over the lengths of a prediction and of a truth; zero for the first where it is too short to have a direction.
fn shares(p: &[f32], t: &[f32]) -> [f32; 2] {
    [p, t].map(|row| 1.0 / dot(row, row).sqrt().max(SHORTEST))
}

versions! {
    fn absolute = absolute_body(p: &[f32], t: &[f32]) -> f32;
}

#[inline(always)]
fn absolute_body<A: Arithmetic>(p: &[f32], t: &[f32]) -> f32 {
    let t = &t[..p.len()];
    sum_of(p.len(), |i, sum| sum + (p[i] - t[i]).abs())
}

versions! {
    fn squared = squared_body(p: &[f32], t: &[f32]) -> f32;
}

#[inline(always)]
fn squared_body<A: Arithmetic>(p: &[f32], t: &[f32]) -> f32 {
    let t = &t[..p.len()];
    sum_of(p.len(), |i, sum| {
        let difference = p[i] - t[i];
        A::mul_add(difference, difference, sum)
    })
}

versions! {
    fn direction = direction_body(p: &[f32], t: &[f32], shares: [f32; 2]) -> f32;
}

#[inline(always)]
fn direction_body<A: Arithmetic>(p: &[f32], t: &[f32], [share_p, share_t]: [f32; 2]) -> f32 {
    let t = &t[..p.len()];
    sum_of(p.len(), |i, sum| {
        let difference = p[i] * share_p - t[i] * share_t;
        A::mul_add(difference, difference, sum)
    })
}

versions! {
    fn absolute_backward = absolute_backward_body(p: &[f32], t: &[f32], factor: f32, out: &mut [f32]);
}

#[inline(always)]
fn absolute_backward_body<A: Arithmetic>(p: &[f32], t: &[f32], factor: f32, out: &mut [f32]) {
    for ((out, &p), &t) in out.iter_mut().zip(p).zip(t) {
        let difference = p - t;
        *out = if difference == 0.0 {
            0.0
        } else {
            factor * difference.signum()
        };
    }
}

versions! {
    fn squared_backward = squared_backward_body(p: &[f32], t: &[f32], factor: f32, out: &mut [f32]);
}

#[inline(always)]
fn squared_backward_body<A: Arithmetic>(p: &[f32], t: &[f32], factor: f32, out: &mut [f32]) {
    for ((out, &p), &t) in out.iter_mut().zip(p).zip(t) {
        *out = factor * (p - t);
    }
}

versions! {
    fn direction_backward = direction_backward_body(p: &[f32], t: &[f32], shares: [f32; 2], dcost: f32, out: &mut [f32]);
}

/// With u = p / |p| and v the truth's direction, the cost is |u - v|², and its gradient
/// `2 ((u - v) - u (u · (u - v))) / |p|`. A prediction shorter than [`SHORTEST`] is only scaled, by a constant.
#[inline(always)]
fn direction_backward_body<A: Arithmetic>(
    p: &[f32],
    t: &[f32],
    [share_p, share_t]: [f32; 2],
    dcost: f32,
    out: &mut [f32],
) {
    let count = p.len();
    let (t, out) = (&t[..count], &mut out[..count]);
    let too_short = share_p >= 1.0 / SHORTEST;
    let along = sum_of(count, |i, sum| {
        let u = p[i] * share_p;
        A::mul_add(u, u - t[i] * share_t, sum)
    });
    let along = if too_short { 0.0 } else { along };
    let factor = 2.0 * dcost * share_p;
    for i in 0..count {
        let u = p[i] * share_p;
        out[i] = factor * (u - t[i] * share_t - u * along);
    }
}
