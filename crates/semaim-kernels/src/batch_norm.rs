//! Batch norm of maps by the statistics of the batch (Ioffe and Szegedy, ICML 2015).

use burn::tensor::{Tensor, activation};

use crate::fused;
use crate::ops::fused;
use crate::types::NormWeights;

/// A normalized batch and what it was normalized by.
#[derive(Clone, Debug)]
pub struct BatchNormed {
    /// `[batch, positions, channels]`.
    pub out: Tensor<3>,
    /// Mean of each channel, `[channels]`; no part of a graph.
    pub mean: Tensor<1>,
    /// Variance of each channel (divided by the number of positions), `[channels]`; no part of a graph.
    pub variance: Tensor<1>,
}

/// Each channel of `x [batch, positions, channels]` with the mean and the variance that it has over batch and positions
/// taken away, scaled and shifted, and perhaps its positive part taken.
pub fn batch_norm(x: Tensor<3>, weights: NormWeights, relu: bool) -> BatchNormed {
    fused(|| fused::batch_norm::batch_norm(&x, &weights, relu))
        .unwrap_or_else(|| composed(x, weights, relu))
}

pub(crate) fn composed(x: Tensor<3>, weights: NormWeights, relu: bool) -> BatchNormed {
    let [batch, positions, channels] = x.dims();
    let x = x.reshape([batch * positions, channels]);
    let mean = x.clone().mean_dim(0);
    let centered = x - mean.clone();
    let variance = centered.clone().powi_scalar(2).mean_dim(0);
    let row = |tensor: Tensor<1>| tensor.reshape([1, channels]);
    let scale = row(weights.weight) / (variance.clone() + weights.epsilon).sqrt();
    let out = centered * scale + row(weights.bias);
    let out = if relu { activation::relu(out) } else { out };
    let measured = |tensor: Tensor<2>| {
        let tensor = if tensor.is_autodiff() {
            tensor.inner()
        } else {
            tensor
        };
        tensor.reshape([channels])
    };
    BatchNormed {
        out: out.reshape([batch, positions, channels]),
        mean: measured(mean),
        variance: measured(variance),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};
    use semaim_random::{Key, KeyedRng, Stream};

    fn random<const D: usize>(shape: [usize; D], item: u64) -> Vec<f32> {
        let mut rng = KeyedRng::new(Key::new(3, 0, item), Stream::Init);
        (0..shape.iter().product())
            .map(|_| rng.between(-1.0, 2.0) as f32)
            .collect()
    }

    fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
    }

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    /// Out, mean, variance, and the gradients of maps, scale and shift, of the sum of `out` times random numbers.
    fn run(
        fused_form: bool,
        shape: [usize; 3],
        relu: bool,
        given: &[Vec<f32>; 3],
    ) -> [Vec<f32>; 6] {
        let device = Device::flex().autodiff();
        let channels = [shape[2]];
        let x = tensor(&given[0], shape, &device).require_grad();
        let weight = tensor(&given[1], channels, &device).require_grad();
        let bias = tensor(&given[2], channels, &device).require_grad();
        let weights = NormWeights {
            weight: weight.clone(),
            bias: bias.clone(),
            epsilon: 1e-5,
        };
        let normed = if fused_form {
            fused::batch_norm::batch_norm(&x, &weights, relu).unwrap()
        } else {
            composed(x.clone(), weights, relu)
        };
        let factors = tensor(&random(shape, 9), shape, &device);
        let gradients = (normed.out.clone() * factors).sum().backward();
        [
            values(normed.out),
            values(normed.mean),
            values(normed.variance),
            values(x.grad(&gradients).unwrap()),
            values(weight.grad(&gradients).unwrap()),
            values(bias.grad(&gradients).unwrap()),
        ]
    }

    fn near(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
        let most = expected.iter().fold(1e-3_f32, |most, v| most.max(v.abs()));
        assert_eq!(found.len(), expected.len(), "{what}");
        for (found, expected) in found.iter().zip(expected) {
            let close = (found - expected).abs() <= tolerance * most;
            assert!(close, "{what}: {found} {expected}");
        }
    }

    fn given(shape: [usize; 3]) -> [Vec<f32>; 3] {
        let channels = [shape[2]];
        [random(shape, 0), random(channels, 1), random(channels, 2)]
    }

    #[test]
    fn the_fused_form_agrees_with_the_composed_one() {
        for (shape, relu) in [
            ([2, 7, 3], false),
            ([1, 9, 5], true),
            ([3, 700, 17], true),
            ([2, 1100, 33], false),
        ] {
            let given = given(shape);
            let found = run(true, shape, relu, &given);
            let expected = run(false, shape, relu, &given);
            let names = ["out", "mean", "variance", "dx", "dweight", "dbias"];
            for (name, (found, expected)) in names.iter().zip(found.iter().zip(&expected)) {
                near(&format!("{name} of {shape:?}"), found, expected, 2e-5);
            }
        }
    }

    /// The definition, in double precision.
    fn loss(shape: [usize; 3], [x, weight, bias]: &[Vec<f32>; 3]) -> f64 {
        let factors = random(shape, 9);
        let channels = shape[2];
        let mut loss = 0.0;
        for channel in 0..channels {
            let of = |i: usize| f64::from(x[i * channels + channel]);
            let rows = x.len() / channels;
            let mean = (0..rows).map(of).sum::<f64>() / rows as f64;
            let variance = (0..rows).map(|i| (of(i) - mean).powi(2)).sum::<f64>() / rows as f64;
            for i in 0..rows {
                let unit = (of(i) - mean) / (variance + 1e-5).sqrt();
                let y = unit * f64::from(weight[channel]) + f64::from(bias[channel]);
                loss += y * f64::from(factors[i * channels + channel]);
            }
        }
        loss
    }

    #[test]
    fn fused_gradients_agree_with_differences() {
        let shape = [2, 5, 3];
        let given = given(shape);
        let [.., dx, dweight, dbias] = run(true, shape, false, &given);
        for (part, gradient) in [dx, dweight, dbias].into_iter().enumerate() {
            for (i, found) in gradient.into_iter().enumerate() {
                let moved = |by: f32| {
                    let mut moved = given.clone();
                    moved[part][i] += by;
                    (f64::from(moved[part][i]), loss(shape, &moved))
                };
                let ((up, above), (down, below)) = (moved(1e-2), moved(-1e-2));
                let expected = (above - below) / (up - down);
                let close = (f64::from(found) - expected).abs() < 2e-3;
                assert!(close, "{part} {i}: {found} {expected}");
            }
        }
    }
}
