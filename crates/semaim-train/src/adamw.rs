//! AdamW (Loshchilov and Hutter, 2019) over named weights.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use semaim::parameters::{NamedMapper, WeightError, Weights, from_host, map_in_place, to_host};
use semaim_kernels::{AdamWStep, Moments, adamw};

use crate::gradients::Gradients;
use crate::param_groups::ParamGroups;

/// The optimiser and its state.
#[derive(Clone, Debug)]
pub struct AdamW {
    /// Decay of the running means of the gradient and of its square.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Which weights decay and how fast each learns.
    pub param_groups: ParamGroups,
    steps: u64,
    moments: BTreeMap<String, Moments>,
}

impl AdamW {
    /// An optimiser that has taken no step yet.
    pub fn new(betas: [f64; 2], epsilon: f64, param_groups: ParamGroups) -> Self {
        Self {
            betas,
            epsilon,
            param_groups,
            steps: 0,
            moments: BTreeMap::new(),
        }
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Moves a model's weights one step against their gradients, each multiplied by `factor` first.
    ///
    /// On the CPU this happens in place, if nobody else holds a copy of the model.
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

    /// The state under names `first.<weight>` and `second.<weight>`.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend fails.
    pub fn state(&self) -> Result<Weights, WeightError> {
        let mut state = Weights::new();
        for (name, moments) in &self.moments {
            for (prefix, tensor) in [("first", &moments.first), ("second", &moments.second)] {
                let name = format!("{prefix}.{name}");
                let weight = to_host(&name, tensor.clone())?;
                state.insert(name, weight);
            }
        }
        Ok(state)
    }

    /// Takes up a state that [`AdamW::state`] gave after `steps` steps.
    ///
    /// # Errors
    /// [`WeightError::Missing`] when a weight has a first moment and no second.
    pub fn restore(
        &mut self,
        steps: u64,
        state: &Weights,
        device: &Device,
    ) -> Result<(), WeightError> {
        self.steps = steps;
        self.moments.clear();
        for (name, first) in state {
            let Some(name) = name.strip_prefix("first.") else {
                continue;
            };
            let second_name = format!("second.{name}");
            let second = state
                .get(&second_name)
                .ok_or_else(|| WeightError::Missing {
                    name: second_name.clone(),
                    expected: first.shape.clone(),
                })?;
            let moments = Moments {
                first: from_host(first, device),
                second: from_host(second, device),
            };
            self.moments.insert(name.to_string(), moments);
        }
        Ok(())
    }
}

struct Update<'a> {
    optimiser: &'a mut AdamW,
    gradients: Gradients,
    factor: f64,
    lr: f64,
}

impl NamedMapper for Update<'_> {
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove(name) else {
            return param;
        };
        let AdamW {
            betas,
            epsilon,
            ref param_groups,
            steps,
            ref mut moments,
        } = *self.optimiser;
        let group = param_groups.of(name, D);
        let step = AdamWStep {
            lr: self.lr * group.lr_scale,
            weight_decay: group.weight_decay,
            betas,
            epsilon,
            count: steps,
            gradient_factor: self.factor,
        };
        let before = moments.remove(name);
        param.map(|weight| {
            let trained = weight.is_require_grad();
            let (weight, after) = adamw(weight.detach(), gradient, before, step);
            moments.insert(name.to_string(), after);
            weight.set_require_grad(trained)
        })
    }
}
