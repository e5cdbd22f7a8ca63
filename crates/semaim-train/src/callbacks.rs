//! Callbacks of a run: progress, evaluation, stopping.

use std::time::Duration;

use semaim_data::BadImage;

use crate::error::TrainError;
use crate::log::RunLog;
use crate::loss_values::LossValues;
use crate::state::TrainState;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Optimizer steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Steps per epoch.
    pub steps_per_epoch: u64,
}

impl Progress {
    /// Epochs done, with fractions.
    pub fn epoch(&self) -> f64 {
        self.step as f64 / self.steps_per_epoch as f64
    }
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq)]
pub struct StepNumbers {
    /// Mean loss of the batch.
    pub loss: LossValues,
    /// Gradient norm before clipping.
    pub grad_norm: f64,
}

impl StepNumbers {
    /// The first of the two that is not finite, if one is, by name: the step was then left out.
    pub fn not_finite(&self) -> Option<(&'static str, f64)> {
        [("loss", self.loss.total), ("gradient norm", self.grad_norm)]
            .into_iter()
            .find(|(_, value)| !value.is_finite())
    }
}

/// One optimizer step.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// Where the run stands after the step.
    pub progress: Progress,
    /// What it came to; `None` where the device is not waited for and nobody has read it yet.
    pub numbers: Option<StepNumbers>,
    /// Learning rate used.
    pub lr: f64,
    /// Images in the batch.
    pub images: usize,
    /// From the end of the step before to the end of this one.
    pub time: Duration,
    /// Images that could not be read since the step before.
    pub bad: Vec<BadImage>,
}

/// Follows a run, step by step.
pub trait Observer {
    /// The run starts or goes on from here.
    fn started(&mut self, progress: Progress);
    /// A step was taken.
    fn stepped(&mut self, report: &StepReport);
    /// What is done between two steps, for a progress bar.
    fn doing(&mut self, what: &'static str);
    /// A line of the log for people.
    fn say(&mut self, line: &str);
    /// Whether the run should save and stop after this step.
    fn stop_requested(&self) -> bool;
}

/// What is measured of a model while it is trained.
pub trait Evaluator<M> {
    /// Evaluates the model, with its EMA copy beside it: before the first step, every so many epochs, and after the last step.
    ///
    /// # Errors
    /// What the evaluation met; it ends the run.
    fn evaluate(
        &mut self,
        state: &TrainState<M>,
        progress: Progress,
        log: &mut RunLog,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError>;
}

/// Measures nothing: that comes after the run.
#[derive(Clone, Copy, Debug)]
pub struct NoEvaluation;

impl<M> Evaluator<M> for NoEvaluation {
    fn evaluate(
        &mut self,
        _: &TrainState<M>,
        _: Progress,
        _: &mut RunLog,
        _: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        Ok(())
    }
}

/// The callbacks of a run.
pub struct Callbacks<'a, M> {
    /// Told of every step.
    pub observer: &'a mut dyn Observer,
    /// What is measured.
    pub evaluator: &'a mut dyn Evaluator<M>,
}
