//! AdamW (Loshchilov and Hutter, 2019) over named weights.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use semaim::parameters::{NamedMapper, WeightError, Weights, from_host, map_named, to_host};

use crate::gradients::Gradients;
use crate::groups::Grouping;

/// The optimiser and its state.
#[derive(Clone, Debug)]
pub struct AdamW {
    /// Decay of the running means of the gradient and of its square.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Which weights decay and how fast each learns.
    pub grouping: Grouping,
    steps: u64,
    moments: BTreeMap<String, Moments>,
}

/// Running means of a gradient and its square, `[values]`.
#[derive(Clone, Debug)]
struct Moments {
    first: Tensor<1>,
    second: Tensor<1>,
}

impl AdamW {
    /// An optimiser that has taken no step yet.
    pub fn new(betas: [f64; 2], epsilon: f64, grouping: Grouping) -> Self {
        Self {
            betas,
            epsilon,
            grouping,
            steps: 0,
            moments: BTreeMap::new(),
        }
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Moves a model's weights one step against their gradients.
    pub fn step<M: Module>(&mut self, model: M, gradients: &Gradients, lr: f64) -> M {
        self.steps += 1;
        map_named(
            model,
            &mut Update {
                optimiser: self,
                gradients,
                lr,
            },
        )
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
    gradients: &'a Gradients,
    lr: f64,
}

impl NamedMapper for Update<'_> {
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.get(name).cloned() else {
            return param;
        };
        let AdamW {
            betas: [beta1, beta2],
            epsilon,
            grouping,
            steps,
            ref mut moments,
        } = *self.optimiser;
        let group = grouping.of(name, D);
        let lr = self.lr * group.lr_scale;
        let moments = match moments.remove(name) {
            Some(Moments { first, second }) => Moments {
                first: first * beta1 + gradient.clone() * (1.0 - beta1),
                second: second * beta2 + gradient.powi_scalar(2) * (1.0 - beta2),
            },
            None => Moments {
                first: gradient.clone() * (1.0 - beta1),
                second: gradient.powi_scalar(2) * (1.0 - beta2),
            },
        };
        let power = steps.min(i32::MAX as u64) as i32;
        let step_size = lr / (1.0 - beta1.powi(power));
        let root = (1.0 - beta2.powi(power)).sqrt();
        let change =
            moments.first.clone() * step_size / (moments.second.clone().sqrt() / root + epsilon);
        self.optimiser.moments.insert(name.to_string(), moments);
        param.map(|weight| {
            let shape = weight.dims();
            let trained = weight.is_require_grad();
            let weight = weight.detach().reshape([shape.iter().product::<usize>()]);
            let weight = weight * (1.0 - lr * group.weight_decay) - change;
            weight.reshape(shape).set_require_grad(trained)
        })
    }
}
