//! The EMA copy of a model: `ema ← d·ema + (1−d)·model` after every step.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use semaim::parameters::{NamedMapper, NamedVisitor, map_named, visit_named};

/// Moves an EMA copy towards the model.
pub fn update<M: Module>(ema: M, model: &M, decay: f64) -> M {
    let mut flat = Flat(BTreeMap::new());
    visit_named(model, &mut flat);
    map_named(
        ema,
        &mut Blend {
            model: flat.0,
            decay,
        },
    )
}

struct Flat(BTreeMap<String, Tensor<1>>);

impl NamedVisitor for Flat {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        let value = param.val();
        let values = value.shape().num_elements();
        self.0.insert(name.to_string(), value.reshape([values]));
    }
}

struct Blend {
    model: BTreeMap<String, Tensor<1>>,
    decay: f64,
}

impl NamedMapper for Blend {
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(model) = self.model.remove(name) else {
            return param;
        };
        let decay = self.decay;
        param.map(|ema| {
            let model = model.reshape(ema.dims());
            ema * decay + model * (1.0 - decay)
        })
    }
}
