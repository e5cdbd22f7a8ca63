//! The loop: one step after the other until the schedule ends, whatever is trained.

mod saver;
mod step;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use semaim::parameters::device_of;
use semaim_data::{Augment, Dataset, LoaderOptions, Position, Source, TrainingLoader, Turns};
use semaim_kernels::{Kernels, kernels_on};
use serde_json::json;

use crate::callbacks::{Callbacks, Evaluator, Observer, Progress, StepReport};
use crate::config::RunSettings;
use crate::error::TrainError;
use crate::feed::{Fed, Feed};
use crate::log::{LOSS, LogPosition, RunLog};
use crate::loss_values::{TogetherTime, UnloggedLoss, Window};
use crate::ranks::{self, Ranks};
use crate::run_dir::RunDir;
use crate::schedule::LrSchedule;
use crate::state::{DataDigest, TrainState};
use crate::task::Task;
use crate::unread::UnreadSteps;
use saver::{Saver, is_kept};

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
pub fn train<T: Task + Sync, D: Dataset<Target = T::Target> + ?Sized>(
    task: &T,
    initial_state: TrainState<T::Model>,
    settings: RunSettings<'_>,
    images: Images<D>,
    run: &RunDir,
    callbacks: Callbacks<'_, T::Model>,
) -> Result<RunOutcome, TrainError> {
    Trainer::new(task, initial_state, settings, images, run)?.run(callbacks)
}

/// Lets the first rank do something before the others, who find what it has left.
fn in_turn<V>(
    ranks: &dyn Ranks,
    act: impl FnOnce() -> Result<V, TrainError>,
) -> Result<V, TrainError> {
    if ranks.is_root() {
        let done = act()?;
        ranks.barrier();
        return Ok(done);
    }
    ranks.barrier();
    act()
}

/// Numbers as the log takes them.
fn named(line: &[(String, f64)]) -> Vec<(&str, f64)> {
    let line = line.iter();
    line.map(|(name, value)| (name.as_str(), *value)).collect()
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
    /// Whether steps are waited for: where operations are composed they are not.
    kernels: Kernels,
    unread: UnreadSteps,
    window: Window,
    /// Lines of the log in a row whose steps waited for images; `None` once that was said.
    slow_lines: Option<u32>,
    ranks: Rc<dyn Ranks>,
}

impl<'a, T: Task + Sync, D: Dataset<Target = T::Target> + ?Sized> Trainer<'a, T, D> {
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
        let data = DataDigest::of(&*images.source, T::LEARNS_CLASSES);
        initial_state.counts.data_len = data_len;
        initial_state.counts.data = Some(data);
        let ranks = ranks::current();
        if ranks.count() > settings.train.grad_accum_steps {
            return Err(TrainError::ManyRanks {
                ranks: ranks.count(),
                parts: settings.train.grad_accum_steps,
            });
        }
        let saved = in_turn(&*ranks, || run.latest_checkpoint(&initial_state))?;
        let resumed = saved.is_some();
        let mut state = saved.unwrap_or(initial_state);
        let then = &state.counts;
        if then.data_len != data_len {
            return Err(TrainError::DataChanged {
                then: then.data_len,
                now: data_len,
            });
        }
        if let Some(what) = then.data.and_then(|then| data.difference(&then)) {
            return Err(TrainError::OtherImages {
                images: data_len,
                what,
            });
        }
        state.counts.data = Some(data);
        if ranks.is_root() {
            match state.counts.step < steps_per_epoch * settings.train.total_epochs() {
                true => run.accept()?,
                // It was not made with what may have changed since.
                false => run.accept_finished()?,
            }
        }
        let at = resumed.then_some(LogPosition {
            step: state.counts.step,
            line: state.counts.unlogged.after,
        });
        let log = match ranks.is_root() {
            true => RunLog::open(run, at, settings.log.tensorboard)?,
            false => RunLog::silent(run),
        };
        Ok(Self {
            task,
            settings,
            images,
            run,
            lr_schedule: settings.lr_schedule(),
            steps_per_epoch,
            resumed,
            kernels: kernels_on(&device_of(&state.model)),
            state,
            log,
            unread: UnreadSteps::default(),
            window: Window::default(),
            slow_lines: Some(0),
            ranks,
        })
    }

    /// Whether loss and gradient norm of a step are known when it is taken: on the CPU, and where they are exchanged.
    fn reads_steps(&self) -> bool {
        self.kernels == Kernels::Fused || self.ranks.count() > 1
    }

    /// Which parts of a step's batch are this rank's.
    fn turns(&self) -> Turns {
        Turns {
            of: self.settings.train.grad_accum_steps as u64,
            first: self.ranks.rank() as u64,
            every: self.ranks.count() as u64,
        }
    }

    fn progress(&self) -> Progress {
        Progress {
            step: self.state.counts.step,
            total_steps: self.steps_per_epoch * self.settings.train.total_epochs(),
            steps_per_epoch: self.steps_per_epoch,
        }
    }

    fn feed(&self) -> Result<Feed<D>, TrainError> {
        let grad_accum_steps = self.settings.train.grad_accum_steps as u64;
        let step = self.state.counts.step;
        let options = LoaderOptions {
            batch_size: self.settings.train.micro_batch(),
            batches_per_epoch: self.steps_per_epoch * grad_accum_steps,
            epochs: self.settings.train.total_epochs(),
            workers: self.settings.loading.workers,
            queue: self.settings.loading.queue,
            seed: self.settings.seed,
            turns: self.turns(),
        };
        let from = Position {
            epoch: step / self.steps_per_epoch,
            batch: step % self.steps_per_epoch * grad_accum_steps,
        };
        let source = Arc::clone(&self.images.source);
        let loader = TrainingLoader::start(source, self.images.augment.clone(), options, from);
        let sender = match self.kernels {
            Kernels::Fused => None,
            Kernels::Composed => self.task.sender(),
        };
        Feed::start(loader, sender)
    }

    fn run(mut self, callbacks: Callbacks<'_, T::Model>) -> Result<RunOutcome, TrainError> {
        let outcome = std::thread::scope(|scope| {
            let mut saver = Saver {
                scope,
                task: self.task,
                run: self.run,
                keep_every: self.keep_every(),
                no_room: false,
                writing: None,
            };
            let outcome = self.steps(callbacks, &mut saver);
            let saved = self.wait_for(&mut saver);
            let outcome = outcome?;
            saved.map(|()| outcome)
        })?;
        // What the first rank wrote is there for all.
        self.ranks.barrier();
        Ok(outcome)
    }

    fn steps(
        &mut self,
        callbacks: Callbacks<'_, T::Model>,
        saver: &mut Saver<'_, '_, T>,
    ) -> Result<RunOutcome, TrainError> {
        let Callbacks {
            observer,
            evaluator,
        } = callbacks;
        // The same command does not go on by a step at a time to an end without an error.
        if let Some(error) = self.mostly_skipped() {
            return Err(error);
        }
        if self.progress().step >= self.progress().total_steps {
            // A kill between the last checkpoint and the export leaves that to be done.
            if self.ranks.is_root() {
                self.task.export(self.run, &self.state)?;
            }
            return Ok(RunOutcome::AlreadyFinished);
        }
        observer.started(self.progress());
        if let Some(few) = self.settings.few_steps(self.images.source.len()) {
            observer.say(&format!("warning: {few}"));
        }
        if !self.resumed {
            self.evaluate(evaluator, observer)?;
        }
        if device_of(&self.state.model) != Device::flex() {
            observer.doing("first steps: the device tunes its kernels");
        }
        let mut feed = self.feed()?;
        let mut last_save = Instant::now();
        let mut last_step = Instant::now();
        while self.progress().step < self.progress().total_steps {
            let batches = self.batches(&mut feed)?;
            let mut report = self.step(&batches, saver)?;
            if self.is_logged() || self.unread.len() >= UnreadSteps::MOST {
                // Before the time is taken, as it waits for the device.
                report.numbers = self.read_steps(saver)?.or(report.numbers);
            }
            report.time = last_step.elapsed();
            last_step = Instant::now();
            self.count_bad(&report)?;
            let waited = self.note(&report)?;
            self.check_skipped(saver)?;
            observer.stepped(&report);
            if let Some(line) = waited.and_then(|share| self.slow_images(share)) {
                observer.say(&line);
            }
            let [stop, save] =
                self.agreed([observer.stop_requested(), self.is_time_to_save(last_save)]);
            let progress = self.progress();
            let finished = progress.step == progress.total_steps;
            // Before saving: what is saved has been evaluated, also when a kill comes in between.
            if finished || self.is_time_to_evaluate() {
                report.numbers = self.read_steps(saver)?.or(report.numbers);
                self.evaluate(evaluator, observer)?;
                last_step = Instant::now();
            }
            if stop || save {
                // No checkpoint without knowing that it is a good one.
                report.numbers = self.read_steps(saver)?.or(report.numbers);
                if stop {
                    self.note_stop(&report)?;
                }
                self.save(saver)?;
                last_save = Instant::now();
            }
            if stop && !finished {
                return Ok(RunOutcome::Stopped);
            }
        }
        Ok(RunOutcome::Finished)
    }

    /// Evaluates the model: the first rank, while the others wait.
    fn evaluate(
        &mut self,
        evaluator: &mut dyn Evaluator<T::Model>,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        if !self.ranks.is_root() {
            return Ok(());
        }
        let progress = self.progress();
        ranks::by_itself(|| evaluator.evaluate(&self.state, progress, &mut self.log, observer))
    }

    /// What all ranks do: stop when any of them is asked to, save when the first says that it is time.
    fn agreed(&self, [stop, save]: [bool; 2]) -> [bool; 2] {
        if self.ranks.count() == 1 {
            return [stop, save];
        }
        [
            self.ranks.any(stop),
            self.ranks.any(save && self.ranks.is_root()),
        ]
    }

    /// This rank's parts of the next step's batch.
    fn batches(&mut self, feed: &mut Feed<D>) -> Result<Vec<Fed<T::Target>>, TrainError> {
        let queue = self.settings.loading.queue.max(1);
        self.window.queue_fill += feed.ready() as f64 / queue as f64;
        let start = Instant::now();
        let batches = (0..self.turns().per_step()).map(|_| feed.next()).collect();
        self.window.data += start.elapsed();
        batches
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

    /// Whether a line of the log is due.
    fn is_logged(&self) -> bool {
        let progress = self.progress();
        progress.step.is_multiple_of(self.settings.log.every_steps)
            || progress.step == progress.total_steps
    }

    /// Notes a step in the log; where a line is due, gives the share of the time since the last in which images were waited for.
    fn note(&mut self, report: &StepReport) -> Result<Option<f64>, TrainError> {
        self.window.steps += 1;
        self.window.images += report.images;
        self.window.time += report.time;
        // Losses that were read later than their step was taken are in it already.
        if let (true, Some(numbers)) = (self.reads_steps(), &report.numbers) {
            self.state.counts.unlogged.add(&numbers.loss);
        }
        if !self.is_logged() {
            return Ok(None);
        }
        let step = report.progress.step;
        let line = self.line(report);
        self.log
            .scalars(step, report.progress.epoch(), &named(&line))?;
        self.state.counts.unlogged = UnloggedLoss::starting_after(step);
        let window = std::mem::take(&mut self.window);
        Ok(Some(window.data.as_secs_f64() / window.time.as_secs_f64()))
    }

    /// Notes where a run stops between two lines of the log. Sums go on: the line is for whoever looks until the run does.
    fn note_stop(&mut self, report: &StepReport) -> Result<(), TrainError> {
        if self.is_logged() {
            return Ok(());
        }
        let progress = report.progress;
        let line = self.line(report);
        self.log
            .stop(progress.step, progress.epoch(), &named(&line))
    }

    /// What a line of the log after a step tells of those since the last.
    fn line(&self, report: &StepReport) -> Vec<(String, f64)> {
        let (window, unlogged) = (&self.window, &self.state.counts.unlogged);
        let losses = (report.progress.step - unlogged.after) as f64;
        let grad_norm = report
            .numbers
            .as_ref()
            .map_or(f64::NAN, |numbers| numbers.grad_norm);
        let mut line = vec![(LOSS.to_string(), unlogged.total / losses)];
        let parts = unlogged.parts.iter();
        line.extend(parts.map(|(name, sum)| (format!("train/{name}"), sum / losses)));
        let steps = f64::from(window.steps);
        let mut others = vec![
            ("train/lr", report.lr),
            ("train/grad_norm", grad_norm),
            (
                "train/images_per_second",
                window.images as f64 / window.time.as_secs_f64(),
            ),
            ("time/data", window.data.as_secs_f64() / steps),
            ("time/queue_fill", window.queue_fill / steps),
            ("train/skipped_steps", self.state.counts.skipped as f64),
            ("train/bad_images", self.state.counts.bad_images as f64),
        ];
        if self.ranks.count() > 1 {
            let TogetherTime { waiting, exchange } = window.together;
            others.extend([
                ("time/ranks", waiting.as_secs_f64() / steps),
                ("time/exchange", exchange.as_secs_f64() / steps),
            ]);
        }
        let others = others.into_iter();
        line.extend(others.map(|(name, value)| (name.to_string(), value)));
        line
    }

    /// What to say, once, where the images are the limit: more than half of the time of some lines in a row went by without them.
    fn slow_images(&mut self, share: f64) -> Option<String> {
        const LINES: u32 = 3;
        let lines = self.slow_lines?;
        self.slow_lines = match share > 0.5 {
            true if lines + 1 == LINES => None,
            true => Some(lines + 1),
            false => Some(0),
        };
        self.slow_lines.is_none().then(|| {
            format!(
                "images are the limit: {:.0} % of the time goes by waiting for them (time/data and time/queue_fill in the log); \
                 a faster disk, smaller images or more data.workers help",
                100.0 * share
            )
        })
    }

    fn is_time_to_save(&self, last: Instant) -> bool {
        let progress = self.progress();
        let every = self.settings.checkpoint.every_steps;
        progress.step == progress.total_steps
            || (every > 0 && progress.step.is_multiple_of(every))
            || is_kept(progress.step, self.keep_every())
            || last.elapsed().as_secs_f64() >= 60.0 * self.settings.checkpoint.every_minutes
    }

    /// Every so many steps a checkpoint is kept for good; 0: none is.
    fn keep_every(&self) -> u64 {
        self.settings.checkpoint.keep_every_epochs * self.steps_per_epoch
    }

    fn is_time_to_evaluate(&self) -> bool {
        let every = self.settings.evaluate_every_epochs * self.steps_per_epoch;
        every > 0 && self.state.counts.step.is_multiple_of(every)
    }

    /// Starts to write the checkpoint, and what others read.
    fn save(&self, saver: &mut Saver<'_, '_, T>) -> Result<(), TrainError> {
        if !self.ranks.is_root() {
            return Ok(());
        }
        self.unwatched(|| saver.save(&self.state))
    }

    /// Waits until what was saved is on the disk.
    fn wait_for(&self, saver: &mut Saver<'_, '_, T>) -> Result<(), TrainError> {
        self.unwatched(|| saver.wait())
    }

    /// Does what a disk may hold up for long.
    fn unwatched<V>(&self, act: impl FnOnce() -> V) -> V {
        self.ranks.set_watched(false);
        let done = act();
        self.ranks.set_watched(true);
        done
    }
}
