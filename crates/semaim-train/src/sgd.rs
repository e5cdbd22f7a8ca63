//! Stochastic gradient descent with momentum over named weights, as PyTorch's `SGD`: weight decay is added to the
//! gradient.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use semaim::parameters::{NamedMapper, WeightError, Weights, from_host, map_in_place, to_host};

use crate::gradients::Gradients;
use crate::param_groups::ParamGroups;

/// The optimiser and its state.
#[derive(Clone, Debug)]
pub struct Sgd {
    /// Share of the last step's update that is kept.
    pub momentum: f64,
    /// How fast each weight learns and how it decays.
    pub param_groups: ParamGroups,
    steps: u64,
    momentum_buffers: BTreeMap<String, Tensor<1>>,
}

impl Sgd {
    /// An optimiser that has taken no step yet.
    pub fn new(momentum: f64, param_groups: ParamGroups) -> Self {
        Self {
            momentum,
            param_groups,
            steps: 0,
            momentum_buffers: BTreeMap::new(),
        }
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Moves a model's weights one step against their gradients, each multiplied by `factor` first.
    pub fn step<M: Module>(&mut self, model: &mut M, gradients: Gradients, factor: f64, lr: f64) {
        self.steps += 1;
        let mut update = Update {
            optimiser: self,
            gradients,
            factor,
            lr,
        };
        map_in_place(model, &mut update);
    }

    /// The last update of every weight, by its name.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend fails.
    pub fn state(&self) -> Result<Weights, WeightError> {
        let host = |(name, tensor): (&String, &Tensor<1>)| {
            Ok((name.clone(), to_host(name, tensor.clone())?))
        };
        self.momentum_buffers.iter().map(host).collect()
    }

    /// Takes up a state that [`Sgd::state`] gave after `steps` steps.
    pub fn restore(&mut self, steps: u64, state: &Weights, device: &Device) {
        self.steps = steps;
        let on_device = |(name, weight)| (String::clone(name), from_host(weight, device));
        self.momentum_buffers = state.iter().map(on_device).collect();
    }
}

struct Update<'a> {
    optimiser: &'a mut Sgd,
    gradients: Gradients,
    factor: f64,
    lr: f64,
}

impl NamedMapper for Update<'_> {
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove(name) else {
            return param;
        };
        let group = self.optimiser.param_groups.of(name, D);
        let lr = self.lr * group.lr_scale;
        param.map(|weight| {
            let trained = weight.is_require_grad();
            let weight = weight.detach();
            let shape = weight.dims();
            let mut update = gradient * self.factor;
            if group.weight_decay > 0.0 {
                let values = shape.iter().product::<usize>();
                update = update + weight.clone().reshape([values]) * group.weight_decay;
            }
            if let Some(last) = self.optimiser.momentum_buffers.remove(name) {
                update = last * self.optimiser.momentum + update;
            }
            self.optimiser
                .momentum_buffers
                .insert(name.to_string(), update.clone());
            (weight - update.reshape(shape) * lr).set_require_grad(trained)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Module;

    #[derive(Module, Debug)]
    struct One {
        weight: Param<Tensor<1>>,
    }

    /// PyTorch: SGD(lr=0.1, momentum=0.9, weight_decay=0.5) on w = 2 with gradient 3w, two steps, by hand:
    /// g = 6 + 1 = 7, w = 1.3; g = 3.9 + 0.65 = 4.55, d = 6.3 + 4.55 = 10.85, w = 0.215.
    #[test]
    fn momentum_and_decay_are_those_of_pytorch() {
        let device = Device::flex();
        let mut model = One {
            weight: Param::from_tensor(Tensor::from_floats([2.0], &device)),
        };
        let param_groups = ParamGroups::Uniform { weight_decay: 0.5 };
        let mut sgd = Sgd::new(0.9, param_groups.clone());
        for expected in [1.3, 0.215] {
            // A resumed optimiser goes on as the one it was saved from.
            let (steps, state) = (sgd.steps(), sgd.state().unwrap());
            sgd = Sgd::new(0.9, param_groups.clone());
            sgd.restore(steps, &state, &device);
            let tracked = model.clone().train();
            let loss = (tracked.weight.val().powi_scalar(2) * 1.5).sum();
            let gradients = Gradients::of(&tracked, loss.backward());
            drop(tracked);
            sgd.step(&mut model, gradients, 1.0, 0.1);
            let found = to_host("weight", model.weight.val()).unwrap().values[0];
            assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }
}
