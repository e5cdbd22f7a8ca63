//! The 3×3 convolution on maps whose channels come last.

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, module};

use crate::fused;
use crate::ops::fused;

/// The convolution of `x [batch, rows · columns, in]` with `weight [out, in, 3, 3]` and zeros around the map:
/// `[batch, rows · columns, out]`. `map` is `[rows, columns]`.
pub fn conv3x3(
    x: Tensor<3>,
    map: [usize; 2],
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
) -> Tensor<3> {
    let [_, positions, inputs] = x.dims();
    let [_, weight_inputs, height, width] = weight.dims();
    assert_eq!(map[0] * map[1], positions, "positions of a map");
    assert_eq!([weight_inputs, height, width], [inputs, 3, 3], "a kernel");
    fused(|| fused::conv3x3::conv3x3(&x, map, &weight, bias.as_ref()))
        .unwrap_or_else(|| composed(x, map, weight, bias))
}

/// The framework's convolution, which has its channels first.
pub(crate) fn composed(
    x: Tensor<3>,
    [rows, columns]: [usize; 2],
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
) -> Tensor<3> {
    let [batch, positions, inputs] = x.dims();
    let outputs = weight.dims()[0];
    let x = x
        .reshape([batch, rows, columns, inputs])
        .permute([0, 3, 1, 2]);
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    module::conv2d(x, weight, bias, options)
        .permute([0, 2, 3, 1])
        .reshape([batch, positions, outputs])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};
    use semaim_random::{Key, KeyedRng, Stream};

    fn random<const D: usize>(shape: [usize; D], item: u64, device: &Device) -> Tensor<D> {
        let mut rng = KeyedRng::new(Key::new(2, 0, item), Stream::Init);
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| rng.between(-1.0, 1.0) as f32)
            .collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    fn near(what: &str, found: Vec<f32>, expected: Vec<f32>) {
        let most = expected.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        assert_eq!(found.len(), expected.len(), "{what}");
        for (found, expected) in found.iter().zip(&expected) {
            let close = (found - expected).abs() <= 2e-5 * most;
            assert!(close, "{what}: {found} {expected}");
        }
    }

    /// The result and the gradients of maps, kernels and bias.
    type Outcome = [Vec<f32>; 4];

    fn run(fused_form: bool, shape: [usize; 5], biased: bool) -> Outcome {
        let [batch, rows, columns, inputs, outputs] = shape;
        let device = Device::flex().autodiff();
        let x = random([batch, rows * columns, inputs], 0, &device).require_grad();
        let kernels = random([outputs, inputs, 3, 3], 1, &device).require_grad();
        let bias = random([outputs], 2, &device).require_grad();
        let given = biased.then(|| bias.clone());
        let map = [rows, columns];
        let out = if fused_form {
            fused::conv3x3::conv3x3(&x, map, &kernels, given.as_ref()).unwrap()
        } else {
            composed(x.clone(), map, kernels.clone(), given)
        };
        let weights = random([batch, rows * columns, outputs], 3, &device);
        let gradients = (out.clone() * weights).sum().backward();
        [
            values(out.inner()),
            values(x.grad(&gradients).unwrap()),
            values(kernels.grad(&gradients).unwrap()),
            bias.grad(&gradients).map(values).unwrap_or_default(),
        ]
    }

    const SHAPES: [[usize; 5]; 13] = [
        [1, 1, 1, 1, 1],
        [2, 1, 5, 3, 2],
        [3, 4, 1, 2, 17],
        [1, 2, 2, 5, 4],
        [2, 13, 11, 7, 33],
        [5, 7, 7, 32, 100],
        [1, 20, 20, 40, 16],
        // With enough channels to share products: rows of one map and of several, odd and even, at all their ends.
        [3, 1, 2, 32, 32],
        [2, 5, 3, 33, 40],
        [4, 14, 14, 40, 33],
        [1, 33, 66, 32, 32],
        [2, 3, 301, 32, 37],
        [1, 6, 6, 48, 260],
    ];

    #[test]
    fn fused_agrees_with_composed() {
        for shape in SHAPES {
            for biased in [true, false] {
                let found = run(true, shape, biased);
                let expected = run(false, shape, biased);
                for (what, (found, expected)) in ["out", "maps", "kernels", "bias"]
                    .iter()
                    .zip(found.into_iter().zip(expected))
                {
                    near(&format!("{what} of {shape:?}"), found, expected);
                }
            }
        }
    }

    /// The definition, in double precision.
    fn definition(x: &[f32], kernels: &[f32], bias: &[f32], shape: [usize; 5]) -> Vec<f64> {
        let [batch, rows, columns, inputs, outputs] = shape;
        let mut out = Vec::new();
        for image in 0..batch {
            for (row, column) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
                for output in 0..outputs {
                    let mut sum = f64::from(bias[output]);
                    for tap in 0..9 {
                        let (y, x_) = (row + tap / 3, column + tap % 3);
                        if (1..=rows).contains(&y) && (1..=columns).contains(&x_) {
                            let at = ((image * rows + y - 1) * columns + x_ - 1) * inputs;
                            for input in 0..inputs {
                                sum += f64::from(x[at + input])
                                    * f64::from(kernels[(output * inputs + input) * 9 + tap]);
                            }
                        }
                    }
                    out.push(sum);
                }
            }
        }
        out
    }

    /// The operation is linear in each of its inputs, so finite differences have no error but rounding.
    #[test]
    fn fused_gradients_agree_with_finite_differences() {
        for shape in [[2, 3, 4, 2, 3], [1, 1, 1, 2, 2]] {
            let [batch, rows, columns, inputs, outputs] = shape;
            let device = Device::flex();
            let given = [
                values(random([batch, rows * columns, inputs], 0, &device)),
                values(random([outputs, inputs, 3, 3], 1, &device)),
                values(random([outputs], 2, &device)),
            ];
            let weights = values(random([batch, rows * columns, outputs], 3, &device));
            let loss = |[x, kernels, bias]: &[Vec<f32>; 3]| -> f64 {
                let out = definition(x, kernels, bias, shape);
                out.iter()
                    .zip(&weights)
                    .map(|(v, w)| v * f64::from(*w))
                    .sum()
            };
            let [out, gradients @ ..] = run(true, shape, true);
            let [x, kernels, bias] = &given;
            let expected = definition(x, kernels, bias, shape);
            near("out", out, expected.iter().map(|&v| v as f32).collect());
            for (part, gradient) in gradients.into_iter().enumerate() {
                for (i, found) in gradient.into_iter().enumerate() {
                    let mut moved = [given.clone(), given.clone()];
                    moved[0][part][i] = 1.5;
                    moved[1][part][i] = -0.5;
                    let expected = (loss(&moved[0]) - loss(&moved[1])) / 2.0;
                    let close = (f64::from(found) - expected).abs() < 1e-4;
                    assert!(close, "{part} {i}: {found} {expected}");
                }
            }
        }
    }
}
