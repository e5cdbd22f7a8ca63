//! Steps that are taken without waiting for what they come to.
//!
//! A number that is read off a device waits for all that the device has been asked for. So loss and gradient norm of a step stay
//! where they are, with the factor of clipping and with the decision whether the step is left out because one of them is not
//! finite; they are read together, once for each line of the log.

use burn::tensor::{Bool, Tensor};
use semaim::parameters::{WeightError, to_host};
use semaim_kernels::UnreadStep;

use crate::config::OnNan;
use crate::gradients::unread_clip_factor;
use crate::loss_values::{LossValues, flat};
use crate::task::Loss;

/// A loss that is on its device.
#[derive(Default)]
pub(crate) struct UnreadLoss {
    names: Vec<&'static str>,
    /// The total and its parts, `[1 + parts]`.
    values: Option<Tensor<1>>,
}

impl UnreadLoss {
    /// Adds another loss `share` over.
    pub(crate) fn add(&mut self, loss: Loss, share: f64) {
        let (names, values) = flat(loss);
        let values = values * share;
        self.names = names;
        self.values = Some(match self.values.take() {
            Some(sum) => sum + values,
            None => values,
        });
    }
}

/// Where a run stood before a step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Before {
    pub(crate) step: u64,
    pub(crate) bad_images: u64,
    pub(crate) optimizer_steps: u64,
}

/// A step that was taken.
struct Taken {
    before: Before,
    names: Vec<&'static str>,
    /// The loss, its parts, the gradient norm, `[2 + parts]`.
    values: Tensor<1>,
}

/// What a step came to.
pub(crate) struct ReadStep {
    pub(crate) before: Before,
    pub(crate) loss: LossValues,
    pub(crate) grad_norm: f64,
}

/// Steps that nobody has read yet, in their order.
#[derive(Default)]
pub(crate) struct UnreadSteps {
    taken: Vec<Taken>,
    /// `[1]`: whether one was left out after which the run is to stop.
    stopped: Option<Tensor<1, Bool>>,
}

impl UnreadSteps {
    /// Most steps that wait to be read, so that a run whose log is far apart does not go on for hours by numbers that are none.
    pub(crate) const MOST: usize = 1000;

    /// How a step is taken that had this loss and, if anything is trained, this gradient norm. It is left out if one of the two
    /// is not finite; where the run is to stop then, all later ones are, too. `clip_norm` 0: no clipping.
    pub(crate) fn take(
        &mut self,
        before: Before,
        loss: UnreadLoss,
        norm: Option<Tensor<1>>,
        clip_norm: f64,
        on_nan: OnNan,
    ) -> Option<UnreadStep> {
        let UnreadLoss { names, values } = loss;
        let values = values?;
        let norm = norm.unwrap_or_else(|| values.clone().narrow(0, 0, 1).zeros_like());
        // The sum of the two is finite if both are.
        let both = values.clone().narrow(0, 0, 1) + norm.clone();
        let mut left_out = both.is_finite().bool_not();
        if on_nan == OnNan::Stop {
            if let Some(stopped) = self.stopped.take() {
                left_out = left_out.bool_or(stopped);
            }
            self.stopped = Some(left_out.clone());
        }
        self.taken.push(Taken {
            before,
            names,
            values: Tensor::cat(vec![values, norm.clone()], 0),
        });
        let factor = if clip_norm > 0.0 {
            unread_clip_factor(norm, clip_norm)
        } else {
            norm.ones_like()
        };
        Some(UnreadStep { factor, left_out })
    }

    /// Steps that nobody has read.
    pub(crate) fn len(&self) -> usize {
        self.taken.len()
    }

    /// Reads all of them at once; they are done with.
    pub(crate) fn read(&mut self) -> Result<Vec<ReadStep>, WeightError> {
        self.stopped = None;
        let taken = std::mem::take(&mut self.taken);
        let values: Vec<_> = taken.iter().map(|step| step.values.clone()).collect();
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let values = to_host("losses and gradient norms", Tensor::cat(values, 0))?.values;
        let mut rest = values.as_slice();
        let steps = taken.into_iter().map(|step| {
            let (loss, after) = rest.split_at((1 + step.names.len()).min(rest.len()));
            let (norm, after) = after.split_at(after.len().min(1));
            rest = after;
            ReadStep {
                before: step.before,
                loss: LossValues::from_flat(&step.names, loss),
                grad_norm: norm.first().copied().map_or(f64::NAN, f64::from),
            }
        });
        Ok(steps.collect())
    }
}
