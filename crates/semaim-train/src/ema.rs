//! The EMA copy of a model: `ema ← d·ema + (1−d)·model` after every step.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use semaim::parameters::{NamedMapper, NamedVisitor, map_in_place, visit_named};
use semaim_kernels::{UnreadStep, moving_average};

/// Moves an EMA copy towards the model, on the CPU in place. After a step that nobody has read and that was left out it stays.
pub fn update<M: Module>(ema: &mut M, model: &M, decay: f64, unread: Option<&UnreadStep>) {
    let mut by_name = ByName(BTreeMap::new());
    visit_named(model, &mut by_name);
    let model = by_name.0;
    let mut blend = Blend {
        model,
        decay,
        unread,
    };
    map_in_place(ema, &mut blend);
}

/// The model's weights, flattened.
struct ByName(BTreeMap<String, Tensor<1>>);

impl NamedVisitor for ByName {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        let value = param.val();
        let values = value.shape().num_elements();
        self.0.insert(name.to_string(), value.reshape([values]));
    }
}

struct Blend<'a> {
    model: BTreeMap<String, Tensor<1>>,
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
            let model = model.reshape(ema.dims());
            let before = self.unread.map(|step| (step, ema.clone()));
            let after = moving_average(ema, model, decay);
            match before {
                Some((step, before)) => step.choose(after, before),
                None => after,
            }
        })
    }
}
