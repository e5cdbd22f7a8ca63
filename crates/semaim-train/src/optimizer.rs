//! The rules that move weights, over named weights: AdamW (Loshchilov and Hutter, 2019), and stochastic gradient descent
//! with momentum as PyTorch's `SGD`, which adds weight decay to the gradient.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use semaim::parameters::{NamedMapper, WeightError, Weights, from_host, map_in_place};
use semaim_kernels::{AdamWStep, Moments, UnreadStep, adamw};

use crate::freeze::frozen;
use crate::gradients::Gradients;
use crate::param_groups::{ParamGroup, ParamGroups};

mod together;

pub use together::Gathered;
use together::Part;

/// How a gradient moves a weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UpdateRule {
    /// Pre-training and fine-tuning.
    AdamW {
        /// Decay of the running means of the gradient and of its square.
        betas: [f64; 2],
        /// Added to the root of the second moment.
        epsilon: f64,
    },
    /// Probes.
    Sgd {
        /// Share of the last step's update that is kept.
        momentum: f64,
    },
}

/// What the gradients of a step are multiplied by.
#[derive(Clone, Copy, Debug)]
enum GradientScale<'a> {
    /// A number.
    Read(f64),
    /// A number that nobody has read, which may leave the whole step out.
    Unread(&'a UnreadStep),
}

/// What a rule remembers of a weight's gradients.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "all of a run are of one kind, and a box would be made anew for every weight at every step"
)]
enum Buffers {
    AdamW(Moments),
    Sgd(Tensor<1>),
}

/// An optimizer with its state.
#[derive(Clone, Debug)]
pub struct Optimizer {
    rule: UpdateRule,
    param_groups: ParamGroups,
    steps: u64,
    buffers: BTreeMap<String, Buffers>,
    /// Moments of weights that move together, which are in `buffers` then no more.
    joint: BTreeMap<Vec<Part>, Moments>,
}

impl Optimizer {
    /// An optimizer that has taken no step yet.
    pub fn new(rule: UpdateRule, param_groups: ParamGroups) -> Self {
        Self {
            rule,
            param_groups,
            steps: 0,
            buffers: BTreeMap::new(),
            joint: BTreeMap::new(),
        }
    }

    /// The rule's name in checkpoints.
    pub fn name(&self) -> &'static str {
        match self.rule {
            UpdateRule::AdamW { .. } => "adamw",
            UpdateRule::Sgd { .. } => "sgd",
        }
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The model as it learns in the next step: weights that still wait record no gradients.
    pub fn learning<M: Module>(&self, model: M) -> M {
        if !self.param_groups.some_wait() {
            return model;
        }
        frozen(model, |name, axes| {
            self.param_groups.of(name, axes).waits > self.steps
        })
    }

    /// Moves a model's weights one step against their gradients, each multiplied by `factor`.
    ///
    /// On the CPU AdamW does this in place, if nobody else holds a copy of the model.
    pub fn step<M: Module>(&mut self, model: &mut M, gradients: Gradients, factor: f64, lr: f64) {
        self.take_apart();
        self.steps += 1;
        let mut update = Update {
            optimizer: self,
            gradients,
            moved: BTreeMap::new(),
            scale: GradientScale::Read(factor),
            lr,
        };
        map_in_place(model, &mut update);
    }

    /// The same by a factor that nobody has read, many weights at a time.
    pub fn step_unread<M: Module>(
        &mut self,
        model: &mut M,
        gathered: Gathered,
        step: &UnreadStep,
        lr: f64,
    ) {
        self.steps += 1;
        let moved = self.move_pieces(model, gathered.pieces, step, lr);
        let mut update = Update {
            optimizer: self,
            gradients: gathered.single,
            moved,
            scale: GradientScale::Unread(step),
            lr,
        };
        map_in_place(model, &mut update);
    }

    /// The state, `[values]` of each weight: for AdamW under names `first.<weight>` and `second.<weight>`, for SGD under each
    /// weight's own.
    pub fn state(&self) -> BTreeMap<String, Tensor<1>> {
        let mut state = BTreeMap::new();
        for (name, buffers) in &self.buffers {
            match buffers {
                Buffers::AdamW(moments) => {
                    state.insert(format!("first.{name}"), moments.first.clone());
                    state.insert(format!("second.{name}"), moments.second.clone());
                }
                Buffers::Sgd(momentum) => {
                    state.insert(name.clone(), momentum.clone());
                }
            }
        }
        for (parts, moments) in &self.joint {
            for part in parts {
                let moments = part.moments(moments);
                state.insert(format!("first.{}", part.name), moments.first);
                state.insert(format!("second.{}", part.name), moments.second);
            }
        }
        state
    }

    /// A copy on another device.
    pub(crate) fn on(&self, device: &Device) -> Self {
        let moved = |tensor: &Tensor<1>| tensor.clone().to_device(device);
        let both = |moments: &Moments| Moments {
            first: moved(&moments.first),
            second: moved(&moments.second),
        };
        let buffers = self.buffers.iter().map(|(name, buffers)| {
            let buffers = match buffers {
                Buffers::AdamW(moments) => Buffers::AdamW(both(moments)),
                Buffers::Sgd(momentum) => Buffers::Sgd(moved(momentum)),
            };
            (name.clone(), buffers)
        });
        let joint = self.joint.iter();
        let joint = joint.map(|(parts, moments)| (parts.clone(), both(moments)));
        Self {
            joint: joint.collect(),
            buffers: buffers.collect(),
            rule: self.rule,
            param_groups: self.param_groups.clone(),
            steps: self.steps,
        }
    }

    /// How many numbers its state has.
    pub(crate) fn numbers(&self) -> u64 {
        let numbers = self.state().into_values();
        numbers
            .map(|values| values.shape().num_elements() as u64)
            .sum()
    }

    /// Counts steps that were taken for it and turned out to be left out no more.
    pub fn forget_steps(&mut self, left_out: u64) {
        self.steps = self.steps.saturating_sub(left_out);
    }

    /// Takes up a state that [`Optimizer::state`] gave after `steps` steps.
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
        self.buffers.clear();
        self.joint.clear();
        for (key, weight) in state {
            let (name, buffers) = match self.rule {
                UpdateRule::Sgd { .. } => (key.as_str(), Buffers::Sgd(from_host(weight, device))),
                UpdateRule::AdamW { .. } => {
                    let Some(name) = key.strip_prefix("first.") else {
                        continue;
                    };
                    let second = format!("second.{name}");
                    let second = state.get(&second).ok_or_else(|| WeightError::Missing {
                        name: second.clone(),
                        expected: weight.shape.clone(),
                    })?;
                    let moments = Moments {
                        first: from_host(weight, device),
                        second: from_host(second, device),
                    };
                    (name, Buffers::AdamW(moments))
                }
            };
            self.buffers.insert(name.to_string(), buffers);
        }
        Ok(())
    }
}

struct Update<'a> {
    optimizer: &'a mut Optimizer,
    gradients: Gradients,
    /// Weights that have moved with others, `[values]`.
    moved: BTreeMap<String, Tensor<1>>,
    scale: GradientScale<'a>,
    lr: f64,
}

impl NamedMapper for Update<'_> {
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if let Some(moved) = self.moved.remove(name) {
            return param.map(|weight| {
                let trained = weight.is_require_grad();
                moved.reshape(weight.dims()).set_require_grad(trained)
            });
        }
        let Some(gradient) = self.gradients.remove(name) else {
            return param;
        };
        let ParamGroup {
            lr_scale,
            weight_decay,
            waits,
        } = self.optimizer.param_groups.of(name, D);
        // Of the steps in which it learns: the running means begin with the first of them.
        let count = self.optimizer.steps.saturating_sub(waits);
        if count == 0 {
            return param;
        }
        let (lr, scale) = (self.lr * lr_scale, self.scale);
        let before = self.optimizer.buffers.remove(name);
        let rule = self.optimizer.rule;
        param.map(|weight| {
            let trained = weight.is_require_grad();
            let weight = weight.detach();
            let (weight, after) = match rule {
                UpdateRule::AdamW { betas, epsilon } => {
                    let moments = match before {
                        Some(Buffers::AdamW(moments)) => Some(moments),
                        _ => None,
                    };
                    let mut step = AdamWStep {
                        lr,
                        weight_decay,
                        betas,
                        epsilon,
                        count,
                        gradient_factor: 1.0,
                    };
                    let (weight, moments) = match scale {
                        GradientScale::Read(factor) => {
                            step.gradient_factor = factor;
                            adamw(weight, gradient, moments, step)
                        }
                        GradientScale::Unread(unread) => {
                            unread.adamw(weight, gradient, moments, step)
                        }
                    };
                    (weight, Buffers::AdamW(moments))
                }
                UpdateRule::Sgd { momentum } => {
                    let before = match before {
                        Some(Buffers::Sgd(last)) => Some(last),
                        _ => None,
                    };
                    let rule = Sgd {
                        lr,
                        weight_decay,
                        momentum,
                    };
                    let (weight, update) = rule.step(weight, gradient, before, scale);
                    (weight, Buffers::Sgd(update))
                }
            };
            self.optimizer.buffers.insert(name.to_string(), after);
            weight.set_require_grad(trained)
        })
    }
}

/// One step of stochastic gradient descent for one weight.
struct Sgd {
    lr: f64,
    weight_decay: f64,
    momentum: f64,
}

impl Sgd {
    /// The weight after it, and the update that it was moved by.
    fn step<const D: usize>(
        &self,
        weight: Tensor<D>,
        gradient: Tensor<1>,
        last: Option<Tensor<1>>,
        scale: GradientScale<'_>,
    ) -> (Tensor<D>, Tensor<1>) {
        let shape = weight.dims();
        let before = match scale {
            GradientScale::Read(_) => None,
            GradientScale::Unread(step) => {
                let last = last.clone().unwrap_or_else(|| gradient.zeros_like());
                Some((step, weight.clone(), last))
            }
        };
        let mut update = match scale {
            GradientScale::Read(factor) => gradient * factor,
            GradientScale::Unread(step) => step.scaled(gradient),
        };
        if self.weight_decay > 0.0 {
            let values = shape.iter().product::<usize>();
            update = update + weight.clone().reshape([values]) * self.weight_decay;
        }
        if let Some(last) = last {
            update = last * self.momentum + update;
        }
        let weight = weight - update.clone().reshape(shape) * self.lr;
        match before {
            None => (weight, update),
            Some((step, old, last)) => (step.choose(weight, old), step.choose(update, last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim::parameters::to_host;

    #[derive(Module, Debug)]
    struct One {
        weight: Param<Tensor<1>>,
    }

    /// A weight of 2 with the gradient 3w, two steps at a rate of 0.1. The optimizer is saved and restored before each
    /// step: it must go on as the one it was saved from.
    fn two_steps(rule: UpdateRule, weight_decay: f64) -> [f32; 2] {
        let device = Device::flex();
        let mut model = One {
            weight: Param::from_tensor(Tensor::from_floats([2.0], &device)),
        };
        let groups = ParamGroups::Uniform { weight_decay };
        let mut optimizer = Optimizer::new(rule, groups.clone());
        [(); 2].map(|()| {
            let (steps, state) = (optimizer.steps(), optimizer.state());
            let state = state.into_iter().map(|(name, values)| {
                let weight = to_host(&name, values).unwrap();
                (name, weight)
            });
            let state = state.collect();
            optimizer = Optimizer::new(rule, groups.clone());
            optimizer.restore(steps, &state, &device).unwrap();
            let tracked = model.clone().train();
            let loss = (tracked.weight.val().powi_scalar(2) * 1.5).sum();
            let gradients = Gradients::of(&tracked, loss.backward());
            drop(tracked);
            optimizer.step(&mut model, gradients, 1.0, 0.1);
            to_host("weight", model.weight.val()).unwrap().values[0]
        })
    }

    /// PyTorch: SGD(lr=0.1, momentum=0.9, weight_decay=0.5) on w = 2 with gradient 3w, two steps, by hand:
    /// g = 6 + 1 = 7, w = 1.3; g = 3.9 + 0.65 = 4.55, d = 6.3 + 4.55 = 10.85, w = 0.215.
    #[test]
    fn momentum_and_decay_are_those_of_pytorch() {
        let found = two_steps(UpdateRule::Sgd { momentum: 0.9 }, 0.5);
        for (found, expected) in found.into_iter().zip([1.3, 0.215]) {
            assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }

    /// PyTorch: AdamW(lr=0.1, betas=(0.9, 0.999), weight_decay=0.5), by hand: w = 2 · 0.95 − 0.1 = 1.8; then
    /// m = 0.9 · 0.6 + 0.1 · 5.4 = 1.08 over 0.19, v = 0.999 · 0.036 + 0.001 · 29.16 = 0.065124 over 0.001999:
    /// w = 1.8 · 0.95 − 0.1 · 5.684211 / 5.707739 = 1.610412.
    #[test]
    fn adamw_is_that_of_pytorch() {
        let rule = UpdateRule::AdamW {
            betas: [0.9, 0.999],
            epsilon: 1e-8,
        };
        for (found, expected) in two_steps(rule, 0.5).into_iter().zip([1.8, 1.610_412]) {
            assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }
}
