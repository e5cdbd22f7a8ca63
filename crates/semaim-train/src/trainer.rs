//! The loop: one step after the other until the schedule ends, whatever is trained.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::Tensor;
use semaim::batch_norm::BatchStatistics;
use semaim::parameters::{device_of, to_host};
use semaim_data::{
    Augment, Batch, Dataset, LoaderError, LoaderOptions, Position, Source, TrainingLoader,
};
use semaim_kernels::with_precision;
use serde_json::json;

use crate::callbacks::{Callbacks, Progress, StepReport};
use crate::config::{OnNan, RunSettings};
use crate::ema;
use crate::error::TrainError;
use crate::gradients::{Gradients, clip_factor};
use crate::log::RunLog;
use crate::run_dir::RunDir;
use crate::schedule::LrSchedule;
use crate::state::TrainState;
use crate::task::{Loss, MicroBatch, Task};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// The schedule is done.
    Finished,
    /// It was asked to stop, and saved.
    Stopped,
    /// It had been finished before; nothing was done.
    AlreadyFinished,
}

/// Steps per epoch: whole batches, the rest of the permutation is left for another epoch.
///
/// # Errors
/// [`TrainError::TooFewImages`].
pub fn steps_per_epoch(batch_size: usize, images: usize) -> Result<u64, TrainError> {
    match images / batch_size.max(1) {
        0 => Err(TrainError::TooFewImages { images, batch_size }),
        steps => Ok(steps as u64),
    }
}

/// The images of a run and how they are shown.
#[derive(Debug)]
pub struct Images<D: ?Sized = dyn Source> {
    /// Where they and their targets are.
    pub source: Arc<D>,
    /// How they are shown.
    pub augment: Augment,
}

/// Trains in a run directory, from its latest checkpoint if it has one, otherwise from `initial_state`.
///
/// # Errors
/// [`TrainError`]; whatever was saved before stays.
pub fn train<T: Task, D: Dataset<Target = T::Target> + ?Sized>(
    task: &T,
    initial_state: TrainState<T::Model>,
    settings: RunSettings<'_>,
    images: Images<D>,
    run: &RunDir,
    callbacks: Callbacks<'_, T::Model>,
) -> Result<RunOutcome, TrainError> {
    Trainer::new(task, initial_state, settings, images, run)?.run(callbacks)
}

struct Trainer<'a, T: Task, D: ?Sized> {
    task: &'a T,
    settings: RunSettings<'a>,
    images: Images<D>,
    run: &'a RunDir,
    lr_schedule: LrSchedule,
    steps_per_epoch: u64,
    resumed: bool,
    state: TrainState<T::Model>,
    log: RunLog,
}

/// Sums since the last line of the log.
#[derive(Default)]
struct Window {
    steps: u32,
    loss: LossValues,
    images: usize,
    time: Duration,
}

/// A loss as numbers.
#[derive(Clone, Debug, Default)]
struct LossValues {
    total: f64,
    parts: Vec<(&'static str, f64)>,
}

impl LossValues {
    /// Reads a loss off its device, all of it at once.
    fn of(loss: Loss) -> Result<Self, TrainError> {
        let (names, parts): (Vec<_>, Vec<_>) = loss.parts.into_iter().unzip();
        let all = std::iter::once(loss.total).chain(parts).map(Tensor::inner);
        let values = to_host("loss", Tensor::cat(all.collect(), 0))?.values;
        let mut values = values.into_iter().map(f64::from);
        Ok(Self {
            total: values.next().unwrap_or(f64::NAN),
            parts: names.into_iter().zip(values).collect(),
        })
    }

    /// Adds another loss `times` over.
    fn add(&mut self, other: &Self, times: f64) {
        self.total += times * other.total;
        if self.parts.is_empty() {
            self.parts = other.parts.iter().map(|(name, _)| (*name, 0.0)).collect();
        }
        for ((_, sum), (_, value)) in self.parts.iter_mut().zip(&other.parts) {
            *sum += times * value;
        }
    }
}

impl<'a, T: Task, D: Dataset<Target = T::Target> + ?Sized> Trainer<'a, T, D> {
    fn new(
        task: &'a T,
        mut initial_state: TrainState<T::Model>,
        settings: RunSettings<'a>,
        images: Images<D>,
        run: &'a RunDir,
    ) -> Result<Self, TrainError> {
        settings
            .train
            .precision
            .check(&device_of(&initial_state.model))?;
        let steps_per_epoch = steps_per_epoch(settings.train.batch_size, images.source.len())?;
        let data_len = images.source.len() as u64;
        initial_state.counts.data_len = data_len;
        let saved = run.latest_checkpoint(&initial_state)?;
        let resumed = saved.is_some();
        let state = saved.unwrap_or(initial_state);
        if state.counts.data_len != data_len {
            return Err(TrainError::DataChanged {
                then: state.counts.data_len,
                now: data_len,
            });
        }
        let log = RunLog::open(
            run,
            resumed.then_some(state.counts.step),
            settings.log.tensorboard,
        )?;
        Ok(Self {
            task,
            settings,
            images,
            run,
            lr_schedule: settings.lr_schedule(),
            steps_per_epoch,
            resumed,
            state,
            log,
        })
    }

    fn progress(&self) -> Progress {
        Progress {
            step: self.state.counts.step,
            total_steps: self.steps_per_epoch * self.settings.train.epochs,
            steps_per_epoch: self.steps_per_epoch,
        }
    }

    fn loader(&self) -> TrainingLoader<D> {
        let grad_accum_steps = self.settings.train.grad_accum_steps as u64;
        let step = self.state.counts.step;
        let options = LoaderOptions {
            batch_size: self.settings.train.micro_batch(),
            batches_per_epoch: self.steps_per_epoch * grad_accum_steps,
            epochs: self.settings.train.epochs,
            workers: self.settings.loading.workers,
            queue: self.settings.loading.queue,
            seed: self.settings.seed,
        };
        let from = Position {
            epoch: step / self.steps_per_epoch,
            batch: step % self.steps_per_epoch * grad_accum_steps,
        };
        let source = Arc::clone(&self.images.source);
        TrainingLoader::start(source, self.images.augment.clone(), options, from)
    }

    fn run(mut self, callbacks: Callbacks<'_, T::Model>) -> Result<RunOutcome, TrainError> {
        let Callbacks {
            observer,
            evaluator,
        } = callbacks;
        if self.progress().step >= self.progress().total_steps {
            // A kill between the last checkpoint and the export leaves that to be done.
            self.task.export(self.run, &self.state)?;
            return Ok(RunOutcome::AlreadyFinished);
        }
        observer.started(self.progress());
        if let Some(few) = self.settings.few_steps(self.images.source.len()) {
            observer.say(&format!("warning: {few}"));
        }
        if !self.resumed {
            let progress = self.progress();
            evaluator.evaluate(&self.state, progress, &mut self.log, observer)?;
        }
        let mut loader = self.loader();
        let mut window = Window::default();
        let mut last_save = Instant::now();
        let mut last_step = Instant::now();
        while self.progress().step < self.progress().total_steps {
            let batches = self.batches(&mut loader)?;
            let mut report = self.step(&batches)?;
            report.time = last_step.elapsed();
            last_step = Instant::now();
            self.count_bad(&report)?;
            self.note(&report, &mut window)?;
            observer.stepped(&report);
            let stop = observer.stop_requested();
            let progress = self.progress();
            let finished = progress.step == progress.total_steps;
            // Before saving: what is saved has been evaluated, also when a kill comes in between.
            if finished || self.is_time_to_evaluate() {
                evaluator.evaluate(&self.state, progress, &mut self.log, observer)?;
                last_step = Instant::now();
            }
            if stop || self.is_time_to_save(last_save) {
                self.save()?;
                last_save = Instant::now();
            }
            if stop && !finished {
                return Ok(RunOutcome::Stopped);
            }
        }
        Ok(RunOutcome::Finished)
    }

    /// The parts of the next step's batch.
    fn batches(&self, loader: &mut TrainingLoader<D>) -> Result<Vec<Batch<T::Target>>, TrainError> {
        let count = self.settings.train.grad_accum_steps;
        let batches: Result<Vec<_>, LoaderError> = loader.by_ref().take(count).collect();
        let batches = batches?;
        if batches.len() < count {
            return Err(TrainError::Internal(
                "the loader ended before the run".into(),
            ));
        }
        Ok(batches)
    }

    /// One optimiser step.
    fn step(&mut self, batches: &[Batch<T::Target>]) -> Result<StepReport, TrainError> {
        let step = self.state.counts.step;
        let epoch = step / self.steps_per_epoch;
        let mut gradients = Gradients::default();
        let mut statistics = BatchStatistics::default();
        let mut loss = LossValues::default();
        for batch in batches {
            let share = batch.items.len() as f64 / self.settings.train.batch_size as f64;
            let (of_batch, part_gradients, measured) = self.loss_and_gradients(batch, share)?;
            loss.add(&of_batch, share);
            gradients.add(part_gradients);
            statistics.add(measured, share);
        }
        let grad_norm = gradients.norm()?;
        let lr = self
            .lr_schedule
            .at(step as f64 / self.steps_per_epoch as f64);
        let not_finite = [("loss", loss.total), ("gradient norm", grad_norm)]
            .into_iter()
            .find(|(_, value)| !value.is_finite());
        match (not_finite, self.settings.train.on_nan) {
            (Some((what, value)), OnNan::Stop) => {
                let saved = self.save()?;
                return Err(TrainError::NotFinite {
                    step: step + 1,
                    what,
                    value,
                    saved,
                });
            }
            (Some((what, value)), OnNan::Skip) => {
                self.state.counts.skipped += 1;
                let details = json!({"what": what, "value": value.to_string()});
                self.log.event(step + 1, "step_skipped", details)?;
                tracing::warn!(
                    "step {}: the {what} is {value}; the step is left out",
                    step + 1
                );
            }
            (None, _) => self.update(gradients, statistics, grad_norm, lr, epoch),
        }
        self.state.counts.step += 1;
        Ok(StepReport {
            progress: self.progress(),
            loss: loss.total,
            loss_parts: loss.parts,
            lr,
            grad_norm,
            images: batches.iter().map(|batch| batch.items.len()).sum(),
            time: Duration::ZERO,
            skipped: not_finite.is_some(),
            bad: batches.iter().flat_map(|batch| batch.bad.clone()).collect(),
        })
    }

    /// The loss of a part of the step's batch, its gradients times `share`, and what batch norms measured.
    fn loss_and_gradients(
        &self,
        batch: &Batch<T::Target>,
        share: f64,
    ) -> Result<(LossValues, Gradients, BatchStatistics), TrainError> {
        let model = self.state.model.clone().train();
        let micro_batch = MicroBatch {
            model: &model,
            state: &self.state,
            batch,
        };
        let precision = self.settings.train.precision;
        let mut loss = with_precision(precision, || self.task.loss(micro_batch))?;
        let gradients = (loss.total.clone() * share).backward();
        let gradients = Gradients::of(&model, gradients);
        let statistics = std::mem::take(&mut loss.statistics);
        Ok((LossValues::of(loss)?, gradients, statistics))
    }

    fn update(
        &mut self,
        gradients: Gradients,
        statistics: BatchStatistics,
        grad_norm: f64,
        lr: f64,
        epoch: u64,
    ) {
        let clip_norm = self.settings.train.clip_norm;
        let factor = if clip_norm > 0.0 {
            clip_factor(grad_norm, clip_norm)
        } else {
            1.0
        };
        let TrainState {
            model,
            ema,
            optimiser,
            ..
        } = &mut self.state;
        optimiser.step(model, gradients, factor, lr);
        statistics.update(model);
        if let Some(ema) = ema {
            ema::update(ema, model, self.settings.train.ema_decay().at(epoch));
        }
    }

    fn count_bad(&mut self, report: &StepReport) -> Result<(), TrainError> {
        for bad in &report.bad {
            self.state.counts.bad_images += 1;
            let details = json!({"image": bad.name, "error": bad.error});
            self.log.event(report.progress.step, "bad_image", details)?;
            tracing::warn!("{}: {}; another image takes its place", bad.name, bad.error);
        }
        let (bad, good) = (
            self.state.counts.bad_images,
            self.state.counts.step * self.settings.train.batch_size as u64,
        );
        let seen = bad + good;
        let allowed = self.settings.loading.max_bad_fraction;
        // One bad image among the first few is no trend: judge by an epoch's worth at the least.
        let base = seen.max(self.state.counts.data_len);
        match report.bad.last() {
            Some(latest) if bad as f64 > allowed * base as f64 => {
                Err(TrainError::TooManyBadImages {
                    bad,
                    seen,
                    allowed,
                    latest: format!("{}: {}", latest.name, latest.error),
                })
            }
            _ => Ok(()),
        }
    }

    fn note(&mut self, report: &StepReport, window: &mut Window) -> Result<(), TrainError> {
        window.steps += 1;
        let loss = LossValues {
            total: report.loss,
            parts: report.loss_parts.clone(),
        };
        window.loss.add(&loss, 1.0);
        window.images += report.images;
        window.time += report.time;
        let step = report.progress.step;
        if !step.is_multiple_of(self.settings.log.every_steps)
            && step != report.progress.total_steps
        {
            return Ok(());
        }
        let steps = f64::from(window.steps);
        let part = |(name, sum): &(&str, f64)| (format!("train/{name}"), sum / steps);
        let parts: Vec<(String, f64)> = window.loss.parts.iter().map(part).collect();
        let mut scalars = vec![("train/loss", window.loss.total / steps)];
        scalars.extend(parts.iter().map(|(name, mean)| (name.as_str(), *mean)));
        scalars.extend([
            ("train/lr", report.lr),
            ("train/grad_norm", report.grad_norm),
            (
                "train/images_per_second",
                window.images as f64 / window.time.as_secs_f64(),
            ),
            ("train/skipped_steps", self.state.counts.skipped as f64),
            ("train/bad_images", self.state.counts.bad_images as f64),
        ]);
        *window = Window::default();
        self.log.scalars(step, report.progress.epoch(), &scalars)
    }

    fn is_time_to_save(&self, last: Instant) -> bool {
        let progress = self.progress();
        let every = self.settings.checkpoint.every_steps;
        progress.step == progress.total_steps
            || (every > 0 && progress.step.is_multiple_of(every))
            || self.is_kept(progress.step)
            || last.elapsed().as_secs_f64() >= 60.0 * self.settings.checkpoint.every_minutes
    }

    /// Whether the checkpoint of a step is kept for good.
    fn is_kept(&self, step: u64) -> bool {
        let every = self.settings.checkpoint.keep_every_epochs * self.steps_per_epoch;
        every > 0 && step > 0 && step.is_multiple_of(every)
    }

    fn is_time_to_evaluate(&self) -> bool {
        let every = self.settings.evaluate_every_epochs * self.steps_per_epoch;
        every > 0 && self.state.counts.step.is_multiple_of(every)
    }

    /// Writes the checkpoint, then what others read.
    fn save(&self) -> Result<PathBuf, TrainError> {
        let path = self.run.save(&self.state, |step| self.is_kept(step))?;
        self.task.export(self.run, &self.state)?;
        Ok(path)
    }
}
