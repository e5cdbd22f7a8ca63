//! An update by numbers that are on a device and that nobody waits for.
//!
//! Whoever reads a number of a device waits until it has computed everything before. So where operations are composed
//! ([`crate::kernels_on`]) the factor of clipping stays on the device, and so does the decision whether a step is left out because
//! its loss or its gradients are not finite.

use burn::tensor::{Bool, Tensor};

use crate::composed;
use crate::types::{AdamWStep, Moments};

/// What is done with a step's gradients, as numbers that nobody has read.
#[derive(Clone, Debug)]
pub struct UnreadStep {
    /// What gradients are multiplied by, `[1]`: clipping.
    pub factor: Tensor<1>,
    /// Whether the step is left out, `[1]`: everything then stays as it was.
    pub left_out: Tensor<1, Bool>,
}

impl UnreadStep {
    /// The gradient of a weight, `[values]`, times the factor.
    pub fn scaled(&self, gradient: Tensor<1>) -> Tensor<1> {
        gradient * self.factor.clone()
    }

    /// `new`, or `old` where the step is left out. Of the other nothing comes through, not a number that is none either.
    pub fn choose<const D: usize>(&self, new: Tensor<D>, old: Tensor<D>) -> Tensor<D> {
        // Choosing spreads the decision: spread before, it would be an operation of its own between those that a device puts together.
        new.mask_where(self.left_out.clone().reshape([1; D]), old)
    }

    /// As [`crate::adamw`], by the factor of this step and not by that of `step`.
    pub fn adamw<const D: usize>(
        &self,
        weight: Tensor<D>,
        gradient: Tensor<1>,
        moments: Option<Moments>,
        step: AdamWStep,
    ) -> (Tensor<D>, Moments) {
        let old = moments.unwrap_or_else(|| Moments::zeros(&gradient));
        // All of one shape, which a device puts together.
        let shape = weight.dims();
        let weight = weight.reshape([gradient.dims()[0]]);
        let step = AdamWStep {
            gradient_factor: 1.0,
            ..step
        };
        let gradient = self.scaled(gradient);
        let (moved, new) = composed::adamw(weight.clone(), gradient, old.clone(), step);
        let moments = Moments {
            first: self.choose(new.first, old.first),
            second: self.choose(new.second, old.second),
        };
        (self.choose(moved, weight).reshape(shape), moments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    fn unread(factor: f32, left_out: bool) -> UnreadStep {
        let device = Device::flex();
        UnreadStep {
            factor: Tensor::from_floats([factor], &device),
            left_out: Tensor::<1>::from_floats([f32::from(u8::from(left_out))], &device)
                .greater_elem(0.5),
        }
    }

    const STEP: AdamWStep = AdamWStep {
        lr: 0.1,
        weight_decay: 0.5,
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        count: 3,
        gradient_factor: 0.25,
    };

    fn state() -> (Tensor<2>, Moments) {
        let device = Device::flex();
        let moments = Moments {
            first: Tensor::from_floats([0.5, -1.0], &device),
            second: Tensor::from_floats([0.1, 2.0], &device),
        };
        (Tensor::from_floats([[2.0], [-3.0]], &device), moments)
    }

    #[test]
    fn the_step_is_that_of_a_factor_that_was_read() {
        let (weight, moments) = state();
        let gradient = Tensor::from_floats([4.0, -8.0], &Device::flex());
        let (expected, expected_moments) =
            composed::adamw(weight.clone(), gradient.clone(), moments.clone(), STEP);
        let (found, found_moments) =
            unread(0.25, false).adamw(weight, gradient, Some(moments), STEP);
        assert_eq!(numbers(found), numbers(expected));
        assert_eq!(
            numbers(found_moments.first),
            numbers(expected_moments.first)
        );
        let second = numbers(expected_moments.second);
        assert_eq!(numbers(found_moments.second), second);
    }

    #[test]
    fn nothing_of_a_step_that_is_left_out_comes_through() {
        let (weight, moments) = state();
        let gradient = Tensor::from_floats([f32::NAN, f32::INFINITY], &Device::flex());
        let (found, after) =
            unread(f32::NAN, true).adamw(weight.clone(), gradient, Some(moments.clone()), STEP);
        assert_eq!(numbers(found), numbers(weight));
        assert_eq!(numbers(after.first), numbers(moments.first));
        assert_eq!(numbers(after.second), numbers(moments.second));
    }
}
