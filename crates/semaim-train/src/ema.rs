//! The EMA copy of a model: `ema ← d·ema + (1−d)·model` after every step.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use semaim::parameters::{FlatWeight, NamedMapper, flat_weights, map_in_place};
use semaim_kernels::{UnreadStep, moving_average};

/// Moves an EMA copy towards the model, on the CPU in place. After a step that nobody has read and that was left out it stays.
pub fn update<M: Module>(ema: &mut M, model: &M, decay: f64, unread: Option<&UnreadStep>) {
    let mut blend = Blend {
        model: flat_weights(model),
        decay,
        unread,
    };
    map_in_place(ema, &mut blend);
}

struct Blend<'a> {
    model: BTreeMap<String, FlatWeight>,
    decay: f64,
    unread: Option<&'a UnreadStep>,
}

impl NamedMapper for Blend<'_> {
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(model) = self.model.remove(name) else {
            return param;
        };
        let decay = self.decay;
        param.map(|ema| {
            let model = model.values.reshape(ema.dims());
            let before = self.unread.map(|step| (step, ema.clone()));
            let after = moving_average(ema, model, decay);
            match before {
                Some((step, before)) => step.choose(after, before),
                None => after,
            }
        })
    }
}
