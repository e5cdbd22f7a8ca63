//! Updates of weights in place, and the sum of squares: one pass over memory each.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Tensor};
use rayon::prelude::*;

use super::cpu::{Arithmetic, versions};
use crate::optimiser::AdamWStep;

/// Numbers per task.
const CHUNK: usize = 1 << 15;

/// The tensor's storage, if it is one on the CPU backend without gaps.
pub(crate) fn owned<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
    let tensor = tensor.clone().try_into_primitive::<Flex>().ok()?;
    let whole = |tensor: &FlexTensor| {
        tensor.layout().contiguous_offsets() == Some((0, tensor.storage::<f32>().len()))
    };
    (tensor.dtype() == DType::F32 && whole(&tensor)).then_some(tensor)
}

/// Takes one AdamW step.
pub(crate) fn adamw(
    weight: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    step: AdamWStep,
) {
    weight
        .par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks(CHUNK))
        .zip(first.par_chunks_mut(CHUNK))
        .zip(second.par_chunks_mut(CHUNK))
        .for_each(|(((weight, gradient), first), second)| {
            adamw_chunk(weight, gradient, first, second, step)
        });
}

versions! {
    fn adamw_chunk = adamw_body(
        weight: &mut [f32],
        gradient: &[f32],
        first: &mut [f32],
        second: &mut [f32],
        step: AdamWStep,
    );
}

#[inline(always)]
fn adamw_body<A: Arithmetic>(
    weight: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    step: AdamWStep,
) {
    let [beta1, beta2] = step.betas.map(|beta| beta as f32);
    let [new1, new2] = step.betas.map(|beta| (1.0 - beta) as f32);
    let factor = step.gradient_factor as f32;
    let (keep, size) = (step.keep() as f32, step.size() as f32);
    let (share, epsilon) = ((1.0 / step.root()) as f32, step.epsilon as f32);
    let moments = first.iter_mut().zip(second);
    for ((weight, &gradient), (first, second)) in weight.iter_mut().zip(gradient).zip(moments) {
        let gradient = gradient * factor;
        *first = A::mul_add(*first, beta1, gradient * new1);
        *second = A::mul_add(*second, beta2, gradient * gradient * new2);
        *weight = A::mul_add(
            *weight,
            keep,
            -(*first * size / A::mul_add(second.sqrt(), share, epsilon)),
        );
    }
}

/// `average = decay * average + (1 - decay) * value`.
pub(crate) fn blend(average: &mut [f32], value: &[f32], decay: f64) {
    let (keep, new) = (decay as f32, (1.0 - decay) as f32);
    average
        .par_chunks_mut(CHUNK)
        .zip(value.par_chunks(CHUNK))
        .for_each(|(average, value)| blend_chunk(average, value, keep, new));
}

versions! {
    fn blend_chunk = blend_body(average: &mut [f32], value: &[f32], keep: f32, new: f32);
}

#[inline(always)]
fn blend_body<A: Arithmetic>(average: &mut [f32], value: &[f32], keep: f32, new: f32) {
    for (average, &value) in average.iter_mut().zip(value) {
        *average = A::mul_add(*average, keep, value * new);
    }
}

/// The sum of squares, in `f64`, chunk by chunk.
pub(crate) fn sum_of_squares(values: &[f32]) -> f64 {
    let chunks: Vec<f64> = values.par_chunks(CHUNK).map(squares).collect();
    chunks.into_iter().sum()
}

versions! {
    fn squares = squares_body(values: &[f32]) -> f64;
}

#[inline(always)]
fn squares_body<A: Arithmetic>(values: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let (lanes, rest) = values.as_chunks::<8>();
    for chunk in lanes {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    let rest: f64 = rest.iter().map(|&value| f64::from(value).powi(2)).sum();
    sums.iter().sum::<f64>() + rest
}
