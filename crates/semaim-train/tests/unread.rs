//! Where operations are composed a run does not wait for its steps, and still comes to what one that waits comes to.
//!
//! Which form of the operations runs, and the count of reads, are the process's: these tests take turns.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use semaim::batch_norm::BatchStatistics;
use semaim::parameters::{reads, to_host};
use semaim_data::{MappedImages, Shapes, ShapesOptions, Source};
use semaim_kernels::{Kernels, choose};
use semaim_train::callbacks::{Callbacks, NoEvaluation, Observer, Progress, StepReport};
use semaim_train::config::{Method, OnNan, PretrainConfig};
use semaim_train::error::TrainError;
use semaim_train::optimizer::{Optimizer, UpdateRule};
use semaim_train::param_groups::ParamGroups;
use semaim_train::pretrain::{Networks, pretrain};
use semaim_train::run_dir::{DataPlace, RunDir};
use semaim_train::state::{TrainCounters, TrainState};
use semaim_train::task::{Loss, MicroBatch, Task};
use semaim_train::trainer::{Images, RunOutcome, train};

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Eight steps, logged after the third, the sixth and the last.
fn config() -> PretrainConfig {
    let mut config = PretrainConfig::default();
    config.model.image_size = [16, 16];
    config.model.embed_dim = 16;
    config.model.depth = 2;
    config.model.num_heads = 2;
    config.decoder.query_depth = 2;
    config.mae.decoder_depth = 1;
    config.mae.decoder_dim = 16;
    config.mae.decoder_heads = 2;
    config.train.epochs = 1;
    config.train.batch_size = 4;
    config.train.grad_accum_steps = 2;
    config.optimizer.warmup_epochs = 0.0;
    config.log.every_steps = 3;
    config.log.tensorboard = false;
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

/// Counts what was read off the device up to each step.
#[derive(Default)]
struct Reads(Vec<u64>);

impl Observer for Reads {
    fn started(&mut self, _: Progress) {
        self.0.push(reads());
    }
    fn stepped(&mut self, report: &StepReport) {
        self.0.push(reads());
        let logged = report.progress.step.is_multiple_of(3) || report.progress.step == 8;
        assert!(report.numbers.is_some() || !logged);
    }
    fn doing(&mut self, _: &'static str) {}
    fn say(&mut self, _: &str) {}
    fn stop_requested(&self) -> bool {
        false
    }
}

/// How many numbers of each line of the log.
fn logged(run: &RunDir, name: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(run.metrics()).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines
        .filter_map(|line| {
            line.get(name)
                .map(|value| value.as_f64().unwrap_or(f64::NAN))
        })
        .collect()
}

#[test]
fn a_run_reads_its_device_once_for_each_line_of_the_log() {
    let _turn = turn();
    for (method, ema) in [(Method::Semaim, true), (Method::Mae, false)] {
        let mut config = config();
        config.method = method;
        config.train.ema = ema;
        let folder = tempfile::tempdir().unwrap();
        let mut logs = Vec::new();
        for kernels in [Kernels::Fused, Kernels::Composed] {
            choose(kernels);
            let path = folder.path().join(format!("{kernels:?}"));
            let run = RunDir::open(&path, &config, DataPlace::Recorded).unwrap();
            let mut seen = Reads::default();
            let source = images(&config).source;
            let device = Device::flex();
            let mut nothing = NoEvaluation;
            let outcome = pretrain(
                &config,
                Arc::new(MappedImages::plain(source)),
                &run,
                Networks::default(),
                &device,
                &mut seen,
                &mut nothing,
            );
            assert_eq!(outcome.unwrap(), RunOutcome::Finished);
            if kernels == Kernels::Composed {
                let reads: Vec<u64> = seen.0.windows(2).map(|pair| pair[1] - pair[0]).collect();
                assert_eq!(reads, [0, 0, 1, 0, 0, 1, 0, 1], "{method:?}");
            }
            logs.push(["train/loss", "train/grad_norm"].map(|name| logged(&run, name)));
        }
        choose(Kernels::Fused);
        for (waited, unread) in logs[0].iter().zip(&logs[1]) {
            assert_eq!(waited.len(), 3);
            for (waited, unread) in waited.iter().zip(unread) {
                let close = (waited - unread).abs() < 1e-4 * waited.abs();
                assert!(close, "{method:?}: {waited} {unread}");
            }
        }
    }
}

#[derive(Module, Debug)]
struct Numbers {
    weight: Param<Tensor<1>>,
    /// Moved by what batches measure, not by gradients.
    running: Param<Tensor<1>>,
}

/// Descends the sum of squares; the loss of one step, or its gradient alone, is not a number.
struct Squares {
    wrong_step: u64,
    gradient_alone: bool,
}

impl Task for Squares {
    type Model = Numbers;
    type Target = semaim_data::ClassTarget;

    fn loss(&self, batch: MicroBatch<'_, Numbers>) -> Result<Loss, TrainError> {
        let weight = batch.model.weight.val();
        let mut total = weight.clone().powi_scalar(2).sum();
        let mut measured = weight.inner().mul_scalar(2.0);
        if batch.state.counts.step == self.wrong_step {
            measured = measured * f32::NAN;
            total = if self.gradient_alone {
                // The root has an infinite slope at 0.
                total.clone() + (total.clone() - total).sqrt()
            } else {
                total * f32::NAN
            };
        }
        let mut loss = Loss::from(total.clone());
        loss.parts = vec![("squares", total)];
        loss.statistics = BatchStatistics::of(&batch.model.running, measured);
        Ok(loss)
    }

    fn export(&self, _: &RunDir, _: &TrainState<Numbers>) -> Result<(), TrainError> {
        Ok(())
    }
}

fn state(rule: UpdateRule) -> TrainState<Numbers> {
    let device = Device::flex();
    let model = Numbers {
        weight: Param::from_tensor(Tensor::from_floats([2.0, -3.0, 0.5], &device)),
        running: Param::from_tensor(Tensor::from_floats([0.0; 3], &device)).set_require_grad(false),
    };
    TrainState {
        ema: Some(model.clone()),
        model,
        optimizer: Optimizer::new(rule, ParamGroups::Uniform { weight_decay: 0.1 }),
        counts: TrainCounters::default(),
    }
}

/// Runs, and gives how it ended with the latest checkpoint.
fn descend(
    path: &Path,
    task: &Squares,
    rule: UpdateRule,
    on_nan: OnNan,
) -> (Result<RunOutcome, TrainError>, TrainState<Numbers>, RunDir) {
    let mut config = config();
    config.train.on_nan = on_nan;
    config.train.grad_accum_steps = 1;
    let run = RunDir::open(path, &config, DataPlace::Recorded).unwrap();
    let mut seen = Reads::default();
    let callbacks = Callbacks {
        observer: &mut seen,
        evaluator: &mut NoEvaluation,
    };
    let outcome = train(
        task,
        state(rule),
        config.run(),
        images(&config),
        &run,
        callbacks,
    );
    let saved = run.latest_checkpoint(&state(rule)).unwrap().unwrap();
    (outcome, saved, run)
}

fn numbers(state: &TrainState<Numbers>) -> Vec<f32> {
    let ema = state.ema.as_ref().unwrap();
    let tensors = [&state.model.weight, &state.model.running, &ema.weight];
    let values = tensors.map(|param| to_host("numbers", param.val()).unwrap().values);
    values.concat()
}

const SGD: UpdateRule = UpdateRule::Sgd { momentum: 0.9 };
const ADAMW: UpdateRule = UpdateRule::AdamW {
    betas: [0.9, 0.95],
    epsilon: 1e-8,
};

/// The step in the middle of a line of the log that is not finite: the weights are those that a run that waits leaves.
#[test]
fn what_is_not_finite_leaves_nothing_behind() {
    let _turn = turn();
    for gradient_alone in [false, true] {
        let task = Squares {
            wrong_step: 3,
            gradient_alone,
        };
        for (rule, on_nan) in [(SGD, OnNan::Stop), (SGD, OnNan::Skip), (ADAMW, OnNan::Stop)] {
            let folder = tempfile::tempdir().unwrap();
            let [waited, unread] = [Kernels::Fused, Kernels::Composed].map(|kernels| {
                choose(kernels);
                let path = folder.path().join(format!("{kernels:?}"));
                let (outcome, saved, run) = descend(&path, &task, rule, on_nan);
                choose(Kernels::Fused);
                match (on_nan, outcome) {
                    (OnNan::Stop, Err(TrainError::NotFinite { step, what, .. })) => {
                        let expected = if gradient_alone {
                            "gradient norm"
                        } else {
                            "loss"
                        };
                        assert_eq!((step, what, saved.counts.step), (4, expected, 3));
                    }
                    (OnNan::Skip, Ok(RunOutcome::Finished)) => {
                        assert_eq!((saved.counts.step, saved.counts.skipped), (8, 1));
                        assert_eq!(logged(&run, "train/skipped_steps"), [0.0, 1.0, 1.0]);
                    }
                    (_, outcome) => panic!("{on_nan:?}: {outcome:?}"),
                }
                saved
            });
            assert_eq!(waited.optimizer.steps(), unread.optimizer.steps());
            for (waited, unread) in numbers(&waited).iter().zip(numbers(&unread)) {
                let close = (waited - unread).abs() < 1e-5 * waited.abs().max(1.0);
                assert!(close, "{rule:?} {on_nan:?}: {waited} {unread}");
            }
        }
    }
}
