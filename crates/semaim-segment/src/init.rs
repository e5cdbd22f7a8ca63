//! First weights of what an encoder does not bring, as published: convolutions by He et al. (2015), classifiers nearly
//! zero, transposed convolutions as PyTorch begins them.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use semaim::parameters::{NamedMapper, map_named};
use semaim_random::{KeyedRng, Stream};

/// Standard deviation of a classifier's first weights.
const CLASSIFIER: f64 = 0.01;

/// Draws the first weights of a segmenter's head; the encoder stays as it is. Each depends on the seed and its own name
/// alone.
pub fn initialize<M: Module>(model: M, seed: u64) -> M {
    map_named(model, &mut Initializer { seed })
}

struct Initializer {
    seed: u64,
}

impl NamedMapper for Initializer {
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.val().dims();
        let &[outputs, inputs, ref kernel @ ..] = shape.as_slice() else {
            return param;
        };
        if !name.starts_with("head.") {
            return param;
        }
        let kernel: usize = kernel.iter().product();
        let mut rng = KeyedRng::named(self.seed, name, Stream::Init);
        let mut draw: Box<dyn FnMut() -> f64> = if name.starts_with("head.neck.") {
            // The second axis counts as the inputs, although it is the outputs of a transposed convolution.
            let bound = 1.0 / ((inputs * kernel) as f64).sqrt();
            Box::new(move || rng.between(-bound, bound))
        } else if name.ends_with("classifier.weight") {
            Box::new(move || CLASSIFIER * rng.normal())
        } else {
            let deviation = (2.0 / (outputs * kernel) as f64).sqrt();
            Box::new(move || deviation * rng.normal())
        };
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| draw() as f32).collect();
        param.map(|old| Tensor::from_data(TensorData::new(values, shape), &old.device()))
    }
}
