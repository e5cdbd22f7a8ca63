//! Which rule moves the weights.

use burn::module::Module;
use burn::tensor::Device;
use semaim::parameters::{WeightError, Weights};

use crate::adamw::AdamW;
use crate::gradients::Gradients;
use crate::sgd::Sgd;

/// An optimiser with its state.
#[derive(Clone, Debug)]
pub enum Optimiser {
    /// Pre-training and fine-tuning.
    AdamW(AdamW),
    /// Probes.
    Sgd(Sgd),
}

impl Optimiser {
    /// Steps taken.
    pub fn steps(&self) -> u64 {
        match self {
            Self::AdamW(adamw) => adamw.steps(),
            Self::Sgd(sgd) => sgd.steps(),
        }
    }

    /// Moves a model's weights one step against their gradients, each multiplied by `factor` first.
    pub fn step<M: Module>(&mut self, model: &mut M, gradients: Gradients, factor: f64, lr: f64) {
        match self {
            Self::AdamW(adamw) => adamw.step(model, gradients, factor, lr),
            Self::Sgd(sgd) => sgd.step(model, gradients, factor, lr),
        }
    }

    /// The state by name.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend fails.
    pub fn state(&self) -> Result<Weights, WeightError> {
        match self {
            Self::AdamW(adamw) => adamw.state(),
            Self::Sgd(sgd) => sgd.state(),
        }
    }

    /// Takes up a state that [`Optimiser::state`] gave after `steps` steps.
    ///
    /// # Errors
    /// [`WeightError::Missing`] when a part of it is missing.
    pub fn restore(
        &mut self,
        steps: u64,
        state: &Weights,
        device: &Device,
    ) -> Result<(), WeightError> {
        match self {
            Self::AdamW(adamw) => adamw.restore(steps, state, device),
            Self::Sgd(sgd) => {
                sgd.restore(steps, state, device);
                Ok(())
            }
        }
    }
}
