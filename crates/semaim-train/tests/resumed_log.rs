//! What the log of a run tells does not depend on how often it was interrupted, nor does a finished run change what it recorded.
//!
//! Which form of the operations runs is the process's: these tests take turns.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use semaim_data::{ClassTarget, Shapes, ShapesOptions, Source};
use semaim_kernels::{Kernels, choose};
use semaim_train::callbacks::{Callbacks, NoEvaluation, Observer, Progress, StepReport};
use semaim_train::config::PretrainConfig;
use semaim_train::error::TrainError;
use semaim_train::log::read_metrics;
use semaim_train::optimizer::{Optimizer, UpdateRule};
use semaim_train::param_groups::ParamGroups;
use semaim_train::run_dir::{DataPlace, RunDir};
use semaim_train::start::step_of;
use semaim_train::state::{TrainCounters, TrainState};
use semaim_train::task::{Loss, MicroBatch, Task};
use semaim_train::trainer::{Images, RunOutcome, train};
use serde_json::Value;

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Eight steps, logged after the third, the sixth and the last, saved after every second.
fn config() -> PretrainConfig {
    let mut config = PretrainConfig::default();
    config.model.image_size = [16, 16];
    config.train.epochs = 1;
    config.train.batch_size = 4;
    config.optimizer.warmup_epochs = 0.0;
    config.optimizer.base_lr = 1.0;
    config.log.every_steps = 3;
    config.log.tensorboard = false;
    config.checkpoint.every_steps = 2;
    config
}

fn images(config: &PretrainConfig) -> Images<dyn Source> {
    let source = Shapes::new(ShapesOptions {
        count: 8 * config.train.batch_size,
        image_size: [16, 16],
        ..ShapesOptions::default()
    });
    Images {
        source: Arc::new(source.unwrap()),
        augment: config.augment(),
    }
}

#[derive(Module, Debug)]
struct Numbers {
    weight: Param<Tensor<1>>,
}

/// Descends the sum of squares, up to the step after so many that is not taken, as where a process is killed.
struct Squares {
    killed_after: u64,
}

impl Task for Squares {
    type Model = Numbers;
    type Target = ClassTarget;

    fn loss(&self, batch: MicroBatch<'_, Numbers>) -> Result<Loss, TrainError> {
        if batch.state.counts.step == self.killed_after {
            return Err(TrainError::Internal("killed".into()));
        }
        let total = batch.model.weight.val().powi_scalar(2).sum();
        let mut loss = Loss::from(total.clone());
        loss.parts = vec![("squares", total)];
        Ok(loss)
    }

    fn export(&self, _: &RunDir, _: &TrainState<Numbers>) -> Result<(), TrainError> {
        Ok(())
    }
}

fn state() -> TrainState<Numbers> {
    let numbers = Tensor::from_floats([2.0, -3.0, 0.5], &Device::flex());
    TrainState {
        model: Numbers {
            weight: Param::from_tensor(numbers),
        },
        ema: None,
        optimizer: Optimizer::new(
            UpdateRule::Sgd { momentum: 0.9 },
            ParamGroups::Uniform { weight_decay: 0.1 },
        ),
        counts: TrainCounters::default(),
    }
}

/// Stops after a step, and keeps the losses of all that are known when they are taken.
#[derive(Default)]
struct Watch {
    stop_after: Option<u64>,
    step: u64,
    losses: Vec<f64>,
}

impl Observer for Watch {
    fn started(&mut self, _: Progress) {}
    fn stepped(&mut self, report: &StepReport) {
        self.step = report.progress.step;
        if let Some(numbers) = &report.numbers {
            self.losses.push(numbers.loss.total);
        }
    }
    fn doing(&mut self, _: &'static str) {}
    fn say(&mut self, _: &str) {}
    fn stop_requested(&self) -> bool {
        self.stop_after.is_some_and(|last| self.step >= last)
    }
}

/// How a sitting ends.
#[derive(Clone, Copy)]
enum End {
    Killed(u64),
    Stopped(u64),
    Finished,
}

/// One sitting; gives the losses that were known at once.
fn sit(path: &Path, config: &PretrainConfig, end: End) -> Vec<f64> {
    let run = RunDir::open(path, config, DataPlace::Recorded).unwrap();
    let mut watch = Watch::default();
    let mut task = Squares {
        killed_after: u64::MAX,
    };
    match end {
        End::Killed(after) => task.killed_after = after,
        End::Stopped(after) => watch.stop_after = Some(after),
        End::Finished => {}
    }
    let callbacks = Callbacks {
        observer: &mut watch,
        evaluator: &mut NoEvaluation,
    };
    let settings = config.run();
    let outcome = train(&task, state(), settings, images(config), &run, callbacks);
    match (end, outcome) {
        (End::Killed(_), Err(TrainError::Internal(_)))
        | (End::Stopped(_), Ok(RunOutcome::Stopped))
        | (End::Finished, Ok(RunOutcome::Finished)) => {}
        (_, outcome) => panic!("{outcome:?}"),
    }
    watch.losses
}

/// The log but for times.
fn log(path: &Path) -> Vec<Value> {
    let mut entries = read_metrics(&path.join("metrics.jsonl")).unwrap();
    for entry in &mut entries {
        let entry = entry.as_object_mut().unwrap();
        entry.retain(|name, _| !name.starts_with("time/") && name != "train/images_per_second");
    }
    entries
}

fn steps(log: &[Value]) -> Vec<u64> {
    log.iter()
        .map(|entry| entry["step"].as_u64().unwrap())
        .collect()
}

#[test]
fn lines_are_of_the_same_steps_however_often_a_run_is_interrupted() {
    let _turn = turn();
    let config = config();
    for kernels in [Kernels::Fused, Kernels::Composed] {
        choose(kernels);
        let folder = tempfile::tempdir().unwrap();
        let [whole, broken] = ["whole", "broken"].map(|name| folder.path().join(name));
        let losses = sit(&whole, &config, End::Finished);
        let expected = log(&whole);
        assert_eq!(steps(&expected), [3, 6, 8]);
        assert_ne!(expected[0]["train/squares"], expected[1]["train/squares"]);

        // It goes on from the fourth step, of which no line told.
        sit(&broken, &config, End::Killed(5));
        sit(&broken, &config, End::Stopped(5));
        let stopped = log(&broken);
        assert_eq!(steps(&stopped), [3, 5], "{kernels:?}");
        assert_eq!(stopped[0], expected[0]);
        assert!(stopped[1]["train/grad_norm"].is_number());
        assert_eq!(step_of(&broken), Some(5));
        if kernels == Kernels::Fused {
            let mean = (losses[3] + losses[4]) / 2.0;
            let found = stopped[1]["train/loss"].as_f64().unwrap();
            assert!((found - mean).abs() < 1e-12 * mean, "{found} {mean}");
        }
        sit(&broken, &config, End::Stopped(7));
        assert_eq!(steps(&log(&broken)), [3, 6, 7], "{kernels:?}");
        sit(&broken, &config, End::Finished);
        assert_eq!(log(&broken), expected, "{kernels:?}");
        let table = std::fs::read_to_string(broken.join("metrics.csv")).unwrap();
        assert_eq!(table.lines().count(), 4, "{table}");
    }
    choose(Kernels::Fused);
}

/// A stop after a step that has a line adds none.
#[test]
fn no_step_is_logged_twice() {
    let _turn = turn();
    let config = config();
    let folder = tempfile::tempdir().unwrap();
    sit(folder.path(), &config, End::Stopped(3));
    assert_eq!(steps(&log(folder.path())), [3]);
    sit(folder.path(), &config, End::Finished);
    assert_eq!(steps(&log(folder.path())), [3, 6, 8]);
}

#[test]
fn a_finished_run_keeps_what_it_recorded() {
    let _turn = turn();
    let mut config = config();
    let folder = tempfile::tempdir().unwrap();
    let recorded = || std::fs::read_to_string(folder.path().join("config.toml")).unwrap();
    sit(folder.path(), &config, End::Stopped(4));
    // One that goes on may be logged otherwise, and says so.
    let before = recorded();
    config.log.every_steps = 2;
    sit(folder.path(), &config, End::Finished);
    let finished = recorded();
    assert_ne!(finished, before);
    config.log.every_steps = 1;
    config.eval.every_epochs = 7;
    let run = RunDir::open(folder.path(), &config, DataPlace::Recorded).unwrap();
    let mut watch = Watch::default();
    let callbacks = Callbacks {
        observer: &mut watch,
        evaluator: &mut NoEvaluation,
    };
    let task = Squares {
        killed_after: u64::MAX,
    };
    let settings = config.run();
    let outcome = train(&task, state(), settings, images(&config), &run, callbacks);
    assert_eq!(outcome.unwrap(), RunOutcome::AlreadyFinished);
    assert_eq!(recorded(), finished);
}
