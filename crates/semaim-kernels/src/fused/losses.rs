//! The loss of each row: one pass over memory forward, one backward.

use super::matmul::Rows;
use super::parallel;
use super::rows::{dot, sum_of};
use super::scratch::UninitBuf;
use super::simd::{Arithmetic, multiversion};
use crate::types::Loss;

/// Lengths below this count as this, as in PyTorch's `normalize`.
const SHORTEST: f32 = 1e-12;

/// Rows per task.
const ROWS: usize = 256;

/// The loss of each row of `[rows, width]`.
pub(crate) fn forward(loss: Loss, predictions: &[f32], targets: &[f32], width: usize) -> Vec<f32> {
    let size = ROWS * width.max(1);
    let tasks: Vec<_> = predictions.chunks(size).zip(targets.chunks(size)).collect();
    let losses = parallel::results(tasks, |(predictions, targets)| {
        let (predictions, targets) = (Rows::dense(predictions, width), Rows::dense(targets, width));
        (0..predictions.count)
            .map(|i| match loss {
                Loss::L1 => l1(predictions.row(i), targets.row(i)) / width as f32,
                Loss::L2 => l2(predictions.row(i), targets.row(i)) / width as f32,
                Loss::NormalizedL2 => {
                    let [p, t] = [predictions.row(i), targets.row(i)];
                    normalized_l2(p, t, inv_norms(p, t))
                }
            })
            .collect::<Vec<f32>>()
    });
    losses.concat()
}

/// The gradient of the predictions, from the gradient of each row's loss.
pub(crate) fn backward(
    loss: Loss,
    predictions: &[f32],
    targets: &[f32],
    dlosses: &[f32],
    width: usize,
) -> Vec<f32> {
    let size = ROWS * width.max(1);
    let mut out = UninitBuf::new(predictions.len());
    let tasks: Vec<_> = predictions
        .chunks(size)
        .zip(targets.chunks(size))
        .zip(dlosses.chunks(ROWS))
        .zip(out.pieces(size))
        .collect();
    parallel::each(tasks, |(((predictions, targets), dlosses), out)| {
        let (predictions, targets) = (Rows::dense(predictions, width), Rows::dense(targets, width));
        for ((i, &dloss), out) in dlosses
            .iter()
            .enumerate()
            .zip(out.zeros().chunks_mut(width.max(1)))
        {
            let (p, t) = (predictions.row(i), targets.row(i));
            match loss {
                Loss::L1 => l1_backward(p, t, dloss / width as f32, out),
                Loss::L2 => l2_backward(p, t, 2.0 * dloss / width as f32, out),
                Loss::NormalizedL2 => normalized_l2_backward(p, t, inv_norms(p, t), dloss, out),
            }
        }
    });
    // SAFETY: each task has filled its piece.
    unsafe { out.filled() }
}

/// One over the lengths of a prediction and of a target; 1e12 where a row is too short to have a direction.
fn inv_norms(p: &[f32], t: &[f32]) -> [f32; 2] {
    [p, t].map(|row| 1.0 / dot(row, row).sqrt().max(SHORTEST))
}

multiversion! {
    fn l1 = l1_body(p: &[f32], t: &[f32]) -> f32;
}

#[inline(always)]
fn l1_body<A: Arithmetic>(p: &[f32], t: &[f32]) -> f32 {
    let t = &t[..p.len()];
    sum_of(p.len(), |i, sum| sum + (p[i] - t[i]).abs())
}

multiversion! {
    fn l2 = l2_body(p: &[f32], t: &[f32]) -> f32;
}

#[inline(always)]
fn l2_body<A: Arithmetic>(p: &[f32], t: &[f32]) -> f32 {
    let t = &t[..p.len()];
    sum_of(p.len(), |i, sum| {
        let difference = p[i] - t[i];
        A::mul_add(difference, difference, sum)
    })
}

multiversion! {
    fn normalized_l2 = normalized_l2_body(p: &[f32], t: &[f32], inv_norms: [f32; 2]) -> f32;
}

#[inline(always)]
fn normalized_l2_body<A: Arithmetic>(p: &[f32], t: &[f32], [inv_p, inv_t]: [f32; 2]) -> f32 {
    let t = &t[..p.len()];
    sum_of(p.len(), |i, sum| {
        let difference = p[i] * inv_p - t[i] * inv_t;
        A::mul_add(difference, difference, sum)
    })
}

multiversion! {
    fn l1_backward = l1_backward_body(p: &[f32], t: &[f32], factor: f32, out: &mut [f32]);
}

#[inline(always)]
fn l1_backward_body<A: Arithmetic>(p: &[f32], t: &[f32], factor: f32, out: &mut [f32]) {
    for ((out, &p), &t) in out.iter_mut().zip(p).zip(t) {
        let difference = p - t;
        *out = if difference == 0.0 {
            0.0
        } else {
            factor * difference.signum()
        };
    }
}

multiversion! {
    fn l2_backward = l2_backward_body(p: &[f32], t: &[f32], factor: f32, out: &mut [f32]);
}

#[inline(always)]
fn l2_backward_body<A: Arithmetic>(p: &[f32], t: &[f32], factor: f32, out: &mut [f32]) {
    for ((out, &p), &t) in out.iter_mut().zip(p).zip(t) {
        *out = factor * (p - t);
    }
}

multiversion! {
    fn normalized_l2_backward = normalized_l2_backward_body(p: &[f32], t: &[f32], inv_norms: [f32; 2], dloss: f32, out: &mut [f32]);
}

/// With u = p / |p| and v the target's direction, the loss is |u - v|², and its gradient
/// `2 ((u - v) - u (u · (u - v))) / |p|`. A prediction shorter than [`SHORTEST`] is only scaled, by a constant.
#[inline(always)]
fn normalized_l2_backward_body<A: Arithmetic>(
    p: &[f32],
    t: &[f32],
    [inv_p, inv_t]: [f32; 2],
    dloss: f32,
    out: &mut [f32],
) {
    let count = p.len();
    let (t, out) = (&t[..count], &mut out[..count]);
    let too_short = inv_p >= 1.0 / SHORTEST;
    let along = sum_of(count, |i, sum| {
        let u = p[i] * inv_p;
        A::mul_add(u, u - t[i] * inv_t, sum)
    });
    let along = if too_short { 0.0 } else { along };
    let factor = 2.0 * dloss * inv_p;
    for i in 0..count {
        let u = p[i] * inv_p;
        out[i] = factor * (u - t[i] * inv_t - u * along);
    }
}
