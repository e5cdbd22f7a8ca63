//! One step: the losses and gradients of a batch, clipping, the update.
//!
//! On the CPU loss and gradient norm are known before the update, elsewhere when the log wants them ([`crate::unread`]).

use std::path::PathBuf;
use std::time::Duration;

use burn::module::Module;
use semaim::batch_norm::BatchStatistics;
use semaim::parameters::device_of;
use semaim_data::Dataset;
use semaim_kernels::{Kernels, UnreadStep, with_precision};
use serde_json::json;

use super::Trainer;
use super::saver::Saver;
use crate::callbacks::{StepNumbers, StepReport};
use crate::config::OnNan;
use crate::ema;
use crate::error::TrainError;
use crate::exchange::{ShardedSum, Told};
use crate::feed::Fed;
use crate::gradients::{Gradients, clip_factor};
use crate::loss_values::LossValues;
use crate::state::TrainState;
use crate::task::{Loss, MicroBatch, Task};
use crate::unread::{Before, UnreadLoss};

/// Before the names of running statistics, where what batch norms measured travels with gradients.
const MEASURED: &str = "measured.";

/// What the parts of a step's batch gave, added up.
#[derive(Default)]
struct Sums {
    gradients: Gradients,
    statistics: BatchStatistics,
}

/// The loss of a step, where it is.
enum StepLoss {
    Read(LossValues),
    Unread(Box<UnreadLoss>),
}

impl<T: Task + Sync, D: Dataset<Target = T::Target> + ?Sized> Trainer<'_, T, D> {
    /// One optimizer step.
    pub(super) fn step(
        &mut self,
        batches: &[Fed<T::Target>],
        saver: &mut Saver<'_, '_, T>,
    ) -> Result<StepReport, TrainError> {
        let epoch = self.state.counts.step / self.steps_per_epoch;
        let epochs = self.state.counts.step as f64 / self.steps_per_epoch as f64;
        let lr = self.lr_schedule.at(epochs);
        if self.ranks.count() > 1 {
            return self.step_together(batches, lr, epoch, saver);
        }
        let mut sums = Sums::default();
        let mut loss = match self.kernels {
            Kernels::Fused => StepLoss::Read(LossValues::default()),
            Kernels::Composed => StepLoss::Unread(Box::default()),
        };
        for batch in batches {
            let share = batch.items.len() as f64 / self.settings.train.batch_size as f64;
            let of_batch = self.loss_and_gradients(batch, share, &mut sums)?;
            match &mut loss {
                StepLoss::Read(sum) => sum.add(&LossValues::of(of_batch)?, share),
                StepLoss::Unread(sum) => sum.add(of_batch, share),
            }
        }
        let numbers = match loss {
            StepLoss::Read(loss) => Some(self.update_by_numbers(sums, loss, lr, epoch, saver)?),
            StepLoss::Unread(loss) => {
                self.update_unread(sums, *loss, lr, epoch);
                None
            }
        };
        self.state.counts.step += 1;
        Ok(StepReport {
            progress: self.progress(),
            numbers,
            lr,
            images: batches.iter().map(|batch| batch.items.len()).sum(),
            time: Duration::ZERO,
            bad: batches.iter().flat_map(|batch| batch.bad.clone()).collect(),
        })
    }

    /// The same of several ranks, of whom each has some of the parts.
    fn step_together(
        &mut self,
        batches: &[Fed<T::Target>],
        lr: f64,
        epoch: u64,
        saver: &mut Saver<'_, '_, T>,
    ) -> Result<StepReport, TrainError> {
        let (count, parts) = (self.ranks.count(), self.settings.train.grad_accum_steps);
        let batch_size = self.settings.train.batch_size as f64;
        let mut shards = ShardedSum::default();
        let (mut loss, mut images, mut bad) = (LossValues::default(), 0, Vec::new());
        let mut names = Vec::new();
        for round in 0..parts.div_ceil(count) {
            let own = match batches.get(round) {
                None => None,
                Some(batch) => {
                    let share = batch.items.len() as f64 / batch_size;
                    let mut own = Sums::default();
                    let of_batch = self.loss_and_gradients(batch, share, &mut own)?;
                    let measured = own.statistics.by_name(&self.state.model);
                    for (name, measured) in measured {
                        own.gradients.put(format!("{MEASURED}{name}"), measured);
                    }
                    let of_batch = LossValues::of(of_batch)?;
                    names = of_batch.parts.iter().map(|(name, _)| *name).collect();
                    let told = Told::new(&of_batch, batch.items.len(), &batch.bad);
                    Some((own.gradients, told))
                }
            };
            let in_round = (parts - round * count).min(count);
            for told in shards.add(&*self.ranks, own, in_round)? {
                loss.add(&told.loss(&names), told.images as f64 / batch_size);
                images += told.images;
                bad.extend(told.bad_images());
            }
        }
        let device = device_of(&self.state.model);
        let (mut gradients, together) = shards.finish(&*self.ranks, &device);
        self.window.together.waiting += together.waiting;
        self.window.together.exchange += together.exchange;
        let sums = Sums {
            statistics: BatchStatistics::of_names(&self.state.model, |name| {
                gradients.remove(&format!("{MEASURED}{name}"))
            }),
            gradients,
        };
        let numbers = self.update_by_numbers(sums, loss, lr, epoch, saver)?;
        self.state.counts.step += 1;
        Ok(StepReport {
            progress: self.progress(),
            numbers: Some(numbers),
            lr,
            images,
            time: Duration::ZERO,
            bad,
        })
    }

    /// The loss of a part of the step's batch. Its gradients times `share` and what batch norms measured are added to the sums.
    fn loss_and_gradients(
        &self,
        batch: &Fed<T::Target>,
        share: f64,
        sums: &mut Sums,
    ) -> Result<Loss, TrainError> {
        let model = self.state.model.clone();
        let model = self.state.optimizer.learning(model).train();
        let micro_batch = MicroBatch {
            model: &model,
            state: &self.state,
            batch,
            sent: batch.sent.as_ref(),
        };
        let precision = self.settings.train.precision;
        let mut loss = with_precision(precision, || self.task.loss(micro_batch))?;
        let gradients = (loss.total.clone() * share).backward();
        sums.gradients.add(Gradients::of(&model, gradients));
        sums.statistics
            .add(std::mem::take(&mut loss.statistics), share);
        Ok(loss)
    }

    /// Updates where the loss is known before, unless it or the gradient norm is not finite.
    fn update_by_numbers(
        &mut self,
        sums: Sums,
        loss: LossValues,
        lr: f64,
        epoch: u64,
        saver: &mut Saver<'_, '_, T>,
    ) -> Result<StepNumbers, TrainError> {
        let numbers = StepNumbers {
            grad_norm: sums.gradients.norm()?,
            loss,
        };
        if numbers.not_finite().is_some() {
            let step = self.state.counts.step + 1;
            self.not_finite(step, &numbers, saver)?;
            return Ok(numbers);
        }
        let clip_norm = self.settings.train.clip_norm;
        let factor = if clip_norm > 0.0 {
            clip_factor(numbers.grad_norm, clip_norm)
        } else {
            1.0
        };
        let Sums {
            gradients,
            statistics,
        } = sums;
        let TrainState {
            model, optimizer, ..
        } = &mut self.state;
        optimizer.step(model, gradients, factor, lr);
        self.follow(statistics, None, epoch);
        Ok(numbers)
    }

    /// Updates by numbers that nobody has read.
    fn update_unread(&mut self, sums: Sums, loss: UnreadLoss, lr: f64, epoch: u64) {
        let before = Before {
            step: self.state.counts.step,
            bad_images: self.state.counts.bad_images,
            optimizer_steps: self.state.optimizer.steps(),
        };
        let (clip_norm, on_nan) = (self.settings.train.clip_norm, self.settings.train.on_nan);
        let Sums {
            gradients,
            statistics,
        } = sums;
        let gathered = self.state.optimizer.gather(&self.state.model, gradients);
        let norm = gathered.unread_norm();
        if let Some(step) = self.unread.take(before, loss, norm, clip_norm, on_nan) {
            let TrainState {
                model, optimizer, ..
            } = &mut self.state;
            optimizer.step_unread(model, gathered, &step, lr);
            self.follow(statistics, Some(&step), epoch);
        }
    }

    /// What follows the weights that have moved: running statistics and the EMA copy.
    fn follow(&mut self, statistics: BatchStatistics, unread: Option<&UnreadStep>, epoch: u64) {
        let TrainState { model, ema, .. } = &mut self.state;
        statistics.update(model, unread);
        if let Some(ema) = ema {
            let decay = self.settings.train.ema_decay().at(epoch);
            ema::update(ema, model, decay, unread);
        }
    }

    /// Reads what the steps since the last reading came to; gives that of the last of them, if there are any.
    pub(super) fn read_steps(
        &mut self,
        saver: &mut Saver<'_, '_, T>,
    ) -> Result<Option<StepNumbers>, TrainError> {
        let mut last = None;
        for step in self.unread.read()? {
            let numbers = StepNumbers {
                loss: step.loss,
                grad_norm: step.grad_norm,
            };
            if numbers.not_finite().is_some() {
                let state = &mut self.state;
                let stops = self.settings.train.on_nan == OnNan::Stop;
                // Later steps were left out as well, where the run stops: the weights are those from before this one.
                let left_out = match stops {
                    true => state.optimizer.steps() - step.before.optimizer_steps,
                    false => 1,
                };
                state.optimizer.forget_steps(left_out);
                if stops {
                    state.counts.step = step.before.step;
                    state.counts.bad_images = step.before.bad_images;
                }
                self.not_finite(step.before.step + 1, &numbers, saver)?;
            }
            self.state.counts.unlogged.add(&numbers.loss);
            last = Some(numbers);
        }
        Ok(last)
    }

    /// Ends a run most steps of which were left out: its weights are those of the few others, and every further step of theirs is
    /// likely to be left out as well.
    pub(super) fn check_skipped(&mut self, saver: &mut Saver<'_, '_, T>) -> Result<(), TrainError> {
        if self.mostly_skipped().is_none() {
            return Ok(());
        }
        // No checkpoint without knowing that it is a good one.
        self.read_steps(saver)?;
        self.save_at_the_end(saver)?;
        self.mostly_skipped().map_or(Ok(()), Err)
    }

    /// The error of a run most steps of which were left out.
    pub(super) fn mostly_skipped(&self) -> Option<TrainError> {
        let (total, counts) = (self.progress().total_steps, &self.state.counts);
        (2 * counts.skipped > total).then(|| TrainError::MostlySkipped {
            step: counts.step,
            skipped: counts.skipped,
            total,
            clip_norm: self.settings.train.clip_norm,
            saved: self.run.checkpoint(counts.step),
        })
    }

    /// Saves what a run that ends by an error leaves; says where.
    fn save_at_the_end(&self, saver: &mut Saver<'_, '_, T>) -> Result<PathBuf, TrainError> {
        self.save(saver)?;
        self.wait_for(saver)?;
        // Nobody ends the others before it is there.
        self.ranks.barrier();
        Ok(self.run.checkpoint(self.state.counts.step))
    }

    /// What follows from a loss or a gradient norm that is not finite: the end of the run, or a step that is left out.
    fn not_finite(
        &mut self,
        step: u64,
        numbers: &StepNumbers,
        saver: &mut Saver<'_, '_, T>,
    ) -> Result<(), TrainError> {
        let Some((what, value)) = numbers.not_finite() else {
            return Ok(());
        };
        match self.settings.train.on_nan {
            OnNan::Stop => Err(TrainError::NotFinite {
                step,
                what,
                value,
                clip_norm: self.settings.train.clip_norm,
                saved: self.save_at_the_end(saver)?,
            }),
            OnNan::Skip => {
                self.state.counts.skipped += 1;
                let details = json!({"what": what, "value": value.to_string()});
                self.log.event(step, "step_skipped", details)?;
                tracing::warn!("step {step}: the {what} is {value}; the step is left out");
                Ok(())
            }
        }
    }
}
