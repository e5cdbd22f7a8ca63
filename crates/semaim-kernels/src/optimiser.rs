//! The optimiser's arithmetic: AdamW, the moving average of weights, and the norm of gradients.

use burn::backend::Flex;
use burn::tensor::Tensor;

use crate::choice::{Kernels, chosen};
use crate::fused::graph::numbers;
use crate::fused::update;

/// One step of AdamW (Loshchilov and Hutter, 2019) for one weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Learning rate of this weight at this step.
    pub lr: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Decay of the running means of the gradient and of its square, in [0, 1).
    pub betas: [f64; 2],
    /// Added to the root of the second mean.
    pub epsilon: f64,
    /// Steps taken with this one, at least 1.
    pub count: u64,
    /// The gradient is multiplied by this first: clipping.
    pub gradient_factor: f64,
}

impl AdamWStep {
    fn power(&self) -> i32 {
        self.count.min(i32::MAX as u64) as i32
    }

    /// What a weight is multiplied by.
    pub(crate) fn keep(&self) -> f64 {
        1.0 - self.lr * self.weight_decay
    }

    /// The learning rate over the share of the first mean that there is by now.
    pub(crate) fn size(&self) -> f64 {
        self.lr / (1.0 - self.betas[0].powi(self.power()))
    }

    /// The root of the share of the second mean that there is by now.
    pub(crate) fn root(&self) -> f64 {
        (1.0 - self.betas[1].powi(self.power())).sqrt()
    }
}

/// The running means of a gradient and of its square, `[values]`.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Of the gradient.
    pub first: Tensor<1>,
    /// Of its square.
    pub second: Tensor<1>,
}

/// Moves a weight one step against its gradient `[values]`; `moments` are `None` before the first step.
///
/// On the CPU this happens in place where nobody else holds the tensors.
pub fn adamw<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<1>,
    moments: Option<Moments>,
    step: AdamWStep,
) -> (Tensor<D>, Moments) {
    let moments = moments.unwrap_or_else(|| Moments {
        first: gradient.zeros_like(),
        second: gradient.zeros_like(),
    });
    if chosen() == Kernels::Fused
        && let (Some(mut w), Some(mut first), Some(mut second)) = (
            update::owned(&weight),
            update::owned(&moments.first),
            update::owned(&moments.second),
        )
        && let Ok(gradient) = gradient.clone().try_into_primitive::<Flex>()
    {
        // The other handles must be gone, or writing would copy.
        drop((weight, moments));
        let gradient = gradient.to_contiguous();
        let (m, v) = (first.storage_mut::<f32>(), second.storage_mut::<f32>());
        update::adamw(w.storage_mut::<f32>(), numbers(&gradient), m, v, step);
        let moments = Moments {
            first: Tensor::from_primitive::<Flex>(first),
            second: Tensor::from_primitive::<Flex>(second),
        };
        return (Tensor::from_primitive::<Flex>(w), moments);
    }
    let [beta1, beta2] = step.betas;
    let gradient = gradient * step.gradient_factor;
    let moments = Moments {
        first: moments.first * beta1 + gradient.clone() * (1.0 - beta1),
        second: moments.second * beta2 + gradient.powi_scalar(2) * (1.0 - beta2),
    };
    let change = moments.first.clone() * step.size()
        / (moments.second.clone().sqrt() / step.root() + step.epsilon);
    let shape = weight.dims();
    (weight * step.keep() - change.reshape(shape), moments)
}

/// `average ← decay · average + (1 − decay) · value`, in place on the CPU where nobody else holds `average`.
pub fn moving_average<const D: usize>(
    average: Tensor<D>,
    value: Tensor<D>,
    decay: f64,
) -> Tensor<D> {
    if chosen() == Kernels::Fused
        && let (Some(mut mean), Some(value)) = (update::owned(&average), update::owned(&value))
    {
        drop(average);
        update::blend(mean.storage_mut::<f32>(), numbers(&value), decay);
        return Tensor::from_primitive::<Flex>(mean);
    }
    average * decay + value * (1.0 - decay)
}

/// The sum of a tensor's squares, `[1]`.
pub fn sum_of_squares(values: Tensor<1>) -> Tensor<1> {
    if chosen() == Kernels::Fused
        && let Ok(values) = values.clone().try_into_primitive::<Flex>()
    {
        let values = values.to_contiguous();
        let device = burn::tensor::Device::flex();
        return Tensor::from_floats([update::sum_of_squares(numbers(&values)) as f32], &device);
    }
    values.powi_scalar(2).sum()
}
