//! First weights: Xavier-uniform for every linear layer, zero biases, norms 1 and 0, class and mask token N(0, 0.02²).

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use semaim_random::{KeyedRng, Stream};

use crate::parameters::{NamedMapper, map_named};

/// Draws the first weights of a model. Each depends on the seed and its own name alone, so that adding a part
/// to a model leaves the others as they are.
pub fn initialize<M: Module>(model: M, seed: u64) -> M {
    map_named(model, &mut Initializer { seed })
}

struct Initializer {
    seed: u64,
}

impl NamedMapper for Initializer {
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.val().dims();
        let mut draw = KeyedRng::named(self.seed, name, Stream::Init);
        let count = shape.iter().product();
        let values: Vec<f32> = if matches!(name, "cls_token" | "mask_token" | "reg_token") {
            (0..count).map(|_| (0.02 * draw.normal()) as f32).collect()
        } else if name.ends_with(".weight") && D >= 2 {
            // The patch embedding counts as the linear layer that it is: [out, everything else].
            let (outputs, inputs) = (shape[0], count / shape[0].max(1));
            let bound = (6.0 / (inputs + outputs) as f64).sqrt();
            (0..count)
                .map(|_| draw.between(-bound, bound) as f32)
                .collect()
        } else {
            return param;
        };
        param.map(|old| Tensor::from_data(TensorData::new(values, shape), &old.device()))
    }
}
