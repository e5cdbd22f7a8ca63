//! Updates of weights in place, and the sum of squares: one pass over memory each.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Device, Tensor};
use rayon::prelude::*;

use super::graph::{as_f32_slice, sizes, tensor as new_tensor};
use super::simd::{Arithmetic, multiversion};
use crate::types::{AdamWStep, Moments};

/// Numbers per task.
const CHUNK: usize = 1 << 15;

/// The tensor's storage, if it is one on the CPU backend without gaps.
fn owned<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
    let tensor = tensor.clone().try_into_primitive::<Flex>().ok()?;
    let whole = |tensor: &FlexTensor| {
        tensor.layout().contiguous_offsets() == Some((0, tensor.storage::<f32>().len()))
    };
    (tensor.dtype() == DType::F32 && whole(&tensor)).then_some(tensor)
}

/// The tensor's numbers without gaps, if they are of 32 bits and on the CPU backend.
fn contiguous(tensor: &Tensor<1>) -> Option<FlexTensor> {
    let tensor = tensor.clone().try_into_primitive::<Flex>().ok()?;
    (tensor.dtype() == DType::F32).then(|| tensor.to_contiguous())
}

/// A weight, its moments and its gradient, to be updated in place.
pub(crate) struct InPlace {
    weight: FlexTensor,
    first: FlexTensor,
    second: FlexTensor,
    gradient: FlexTensor,
}

/// The tensor's own storage, or a copy of a part of another's: the update is the same to the bit, whether a weight is a view or not.
pub(crate) fn owned_or_copied<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
    if let Some(owned) = owned(tensor) {
        return Some(owned);
    }
    let view = tensor.clone().try_into_primitive::<Flex>().ok()?;
    (view.dtype() == DType::F32).then(|| {
        let shape = sizes(&view);
        let numbers = as_f32_slice(&view.to_contiguous()).to_vec();
        new_tensor(numbers, &shape)
    })
}

impl InPlace {
    pub(crate) fn of<const D: usize>(
        weight: &Tensor<D>,
        gradient: &Tensor<1>,
        moments: &Moments,
    ) -> Option<Self> {
        Some(Self {
            weight: owned_or_copied(weight)?,
            first: owned_or_copied(&moments.first)?,
            second: owned_or_copied(&moments.second)?,
            gradient: contiguous(gradient)?,
        })
    }

    /// Takes one AdamW step.
    pub(crate) fn adamw<const D: usize>(mut self, step: AdamWStep) -> (Tensor<D>, Moments) {
        let moments = [&mut self.first, &mut self.second].map(FlexTensor::storage_mut::<f32>);
        let weight = self.weight.storage_mut::<f32>();
        adamw(weight, as_f32_slice(&self.gradient), moments, step);
        let moments = Moments {
            first: Tensor::from_primitive::<Flex>(self.first),
            second: Tensor::from_primitive::<Flex>(self.second),
        };
        (Tensor::from_primitive::<Flex>(self.weight), moments)
    }
}

fn adamw(weight: &mut [f32], gradient: &[f32], [first, second]: [&mut [f32]; 2], step: AdamWStep) {
    weight
        .par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks(CHUNK))
        .zip(first.par_chunks_mut(CHUNK))
        .zip(second.par_chunks_mut(CHUNK))
        .for_each(|(((weight, gradient), first), second)| {
            adamw_chunk(weight, gradient, first, second, step)
        });
}

multiversion! {
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
    let (decay, step_size) = (step.decay() as f32, step.step_size() as f32);
    let inv_correction = (1.0 / step.bias_correction2_sqrt()) as f32;
    let epsilon = step.epsilon as f32;
    let moments = first.iter_mut().zip(second);
    for ((weight, &gradient), (first, second)) in weight.iter_mut().zip(gradient).zip(moments) {
        let gradient = gradient * factor;
        *first = A::mul_add(*first, beta1, gradient * new1);
        *second = A::mul_add(*second, beta2, gradient * gradient * new2);
        *weight = A::mul_add(
            *weight,
            decay,
            -(*first * step_size / A::mul_add(second.sqrt(), inv_correction, epsilon)),
        );
    }
}

/// See [`crate::moving_average`].
pub(crate) fn moving_average<const D: usize>(
    mut average: FlexTensor,
    value: &FlexTensor,
    decay: f64,
) -> Tensor<D> {
    let (keep, new) = (decay as f32, (1.0 - decay) as f32);
    average
        .storage_mut::<f32>()
        .par_chunks_mut(CHUNK)
        .zip(as_f32_slice(value).par_chunks(CHUNK))
        .for_each(|(average, value)| blend_chunk(average, value, keep, new));
    Tensor::from_primitive::<Flex>(average)
}

multiversion! {
    fn blend_chunk = blend_body(average: &mut [f32], value: &[f32], keep: f32, new: f32);
}

#[inline(always)]
fn blend_body<A: Arithmetic>(average: &mut [f32], value: &[f32], keep: f32, new: f32) {
    for (average, &value) in average.iter_mut().zip(value) {
        *average = A::mul_add(*average, keep, value * new);
    }
}

/// See [`crate::sum_of_squares`]; summed in `f64`, chunk by chunk.
pub(crate) fn sum_of_squares(values: &Tensor<1>) -> Option<Tensor<1>> {
    let values = contiguous(values)?;
    let chunks: Vec<f64> = as_f32_slice(&values)
        .par_chunks(CHUNK)
        .map(squares)
        .collect();
    let sum = chunks.into_iter().sum::<f64>() as f32;
    Some(Tensor::from_floats([sum], &Device::flex()))
}

multiversion! {
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
