//! First weights of what an encoder does not bring, as published.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use semaim::parameters::{NamedMapper, map_named};
use semaim_random::{KeyedRng, Stream};

/// Draws the first weights of a detector's pyramid and heads; the backbone stays as it is. Each depends on the seed and
/// its own name alone.
pub fn initialize<M: Module>(model: M, seed: u64) -> M {
    map_named(model, &mut Initializer { seed })
}

struct Initializer {
    seed: u64,
}

/// A distribution around zero.
enum Spread {
    /// Its deviation.
    Normal(f64),
    /// Its bound.
    Uniform(f64),
}

impl NamedMapper for Initializer {
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.val().dims();
        let Some(spread) = spread(name, &shape) else {
            return param;
        };
        let mut rng = KeyedRng::named(self.seed, name, Stream::Init);
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| match spread {
                Spread::Normal(deviation) => (deviation * rng.normal()) as f32,
                Spread::Uniform(bound) => rng.between(-bound, bound) as f32,
            })
            .collect();
        param.map(|old| Tensor::from_data(TensorData::new(values, shape), &old.device()))
    }
}

/// `None`: the weight keeps what it has (zeros, and ones in norms).
fn spread(name: &str, shape: &[usize]) -> Option<Spread> {
    let &[first, second, ref rest @ ..] = shape else {
        return None;
    };
    if name.starts_with("backbone.") {
        return None;
    }
    let kernel: usize = rest.iter().product();
    Some(match name {
        "box_predictor.bbox_pred.weight" | "mask_head.predictor.weight" => Spread::Normal(0.001),
        "box_predictor.cls_score.weight" => Spread::Normal(0.01),
        "box_head.fc1.weight" => Spread::Uniform((3.0 / second as f64).sqrt()),
        _ if name.starts_with("rpn_head.") => Spread::Normal(0.01),
        // For a transposed convolution, too, the first axis counts as the outputs.
        _ if name.starts_with("pyramid.") => {
            Spread::Uniform(1.0 / ((second * kernel) as f64).sqrt())
        }
        _ => Spread::Normal((2.0 / (first * kernel) as f64).sqrt()),
    })
}
