//! GELU with the error function: `x · (1 + erf(x / √2)) / 2` (Hendrycks and Gimpel, 2016).

use std::f32::consts::FRAC_1_SQRT_2;

use burn::tensor::{Device, Tensor, activation};

/// GELU of each number, with exact gradients on every device.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if x.device() == Device::flex() {
        activation::gelu(x)
    } else {
        by_erf(x)
    }
}

/// burn 0.22.1 has a backward pass for its GELU that is that of the approximation by tanh (`gelu_backward` of
/// burn-backend); the CPU backend alone replaces it. Gradients of a network are off by up to 1e-4 by it, so elsewhere the
/// formula is written out, and differentiated step by step.
fn by_erf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let twice = (x.clone() * FRAC_1_SQRT_2).erf() + 1.0;
    x * twice * 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula for other devices gives the CPU's values and gradients.
    #[test]
    fn the_formula_is_the_cpus_gelu_and_so_is_its_gradient() {
        let device = Device::flex().autodiff();
        let values: Vec<f32> = (-60..=60).map(|i| i as f32 / 10.0).collect();
        let of = |gelu: fn(Tensor<1>) -> Tensor<1>| {
            let x = Tensor::<1>::from_floats(values.as_slice(), &device).require_grad();
            let y = gelu(x.clone());
            let gradients = y.clone().sum().backward();
            let gradient = x.grad(&gradients).unwrap();
            [y.inner(), gradient].map(|tensor| tensor.into_data().try_to_vec::<f32>().unwrap())
        };
        for (ours, theirs) in of(by_erf).iter().zip(of(activation::gelu)) {
            for ((x, ours), theirs) in values.iter().zip(ours).zip(theirs) {
                assert!((ours - theirs).abs() < 1e-6, "at {x}: {ours} {theirs}");
            }
        }
    }
}
