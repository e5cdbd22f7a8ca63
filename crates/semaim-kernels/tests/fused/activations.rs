//! Blocks with activations that only other people's encoders have.

use burn::tensor::Tensor;
use semaim_kernels::{
    Activation, BlockWeights, LAYER_NORM_EPSILON, LinearWeights, NormWeights, Projections,
    Recompute, block,
};

use crate::draw::Numbers;

const WIDTH: usize = 24;
const HIDDEN: usize = 20;

fn plain<const D: usize>(numbers: &mut Numbers, shape: [usize; D]) -> Tensor<D> {
    numbers.tensor(shape, 0.5).inner()
}

fn linear(numbers: &mut Numbers, outputs: usize, inputs: usize) -> LinearWeights {
    LinearWeights {
        weight: plain(numbers, [outputs, inputs]),
        bias: plain(numbers, [outputs]),
    }
}

fn norm(numbers: &mut Numbers) -> NormWeights {
    NormWeights {
        weight: plain(numbers, [WIDTH]),
        bias: plain(numbers, [WIDTH]),
        epsilon: LAYER_NORM_EPSILON,
    }
}

/// What is kept of a frozen encoder's answers is the same whatever other images were asked with.
#[test]
fn a_sample_is_computed_alike_in_every_batch() {
    for activation in [Activation::Gelu, Activation::QuickGelu, Activation::SwiGlu] {
        let numbers = &mut Numbers::new(4000);
        let gates = 1 + usize::from(activation == Activation::SwiGlu);
        let weights = BlockWeights {
            norm1: norm(numbers),
            norm2: norm(numbers),
            proj: linear(numbers, WIDTH, WIDTH),
            fc1: linear(numbers, gates * HIDDEN, WIDTH),
            activation,
            fc2: linear(numbers, WIDTH, HIDDEN),
            projections: Projections::Joint(Box::new(linear(numbers, 3 * WIDTH, WIDTH))),
            num_heads: 2,
        };
        let bits = |x: Tensor<3>| -> Vec<u32> {
            let out = block(x, None, None, weights.clone(), None, Recompute::None);
            let out: Vec<f32> = out.into_data().try_to_vec().unwrap();
            out.into_iter().map(f32::to_bits).collect()
        };
        let x: Tensor<3> = plain(numbers, [7, 5, WIDTH]);
        let together = bits(x.clone());
        for count in [1, 2, 3] {
            let alone: Vec<u32> = (0..7)
                .step_by(count)
                .flat_map(|first| bits(x.clone().narrow(0, first, count.min(7 - first))))
                .collect();
            assert!(alone == together, "{activation:?}, {count} at a time");
        }
    }
}
