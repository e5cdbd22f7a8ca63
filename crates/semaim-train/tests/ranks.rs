//! Several ranks end with the bytes of one process. Threads are the ranks here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Barrier, Mutex};

use burn::tensor::Device;
use semaim_data::{MappedImages, Shapes, ShapesOptions, Source};
use semaim_train::callbacks::{NoEvaluation, Observer, Progress, StepReport};
use semaim_train::config::{Method, PretrainConfig};
use semaim_train::error::TrainError;
use semaim_train::pretrain::{Networks, pretrain};
use semaim_train::ranks::{self, Ranks};
use semaim_train::run_dir::{DataPlace, RunDir};
use semaim_train::trainer::RunOutcome;

/// What a rank puts down for the others: bytes, or numbers with how many are for each.
#[derive(Clone, Debug, Default)]
struct Slot {
    bytes: Vec<u8>,
    numbers: Vec<f32>,
    lengths: Vec<usize>,
}

#[derive(Debug)]
struct Table {
    slots: Mutex<Vec<Slot>>,
    everybody: Barrier,
}

/// A thread as a rank.
#[derive(Debug)]
struct Seat {
    rank: usize,
    table: Arc<Table>,
}

impl Seat {
    fn exchange(&self, own: Slot) -> Vec<Slot> {
        self.table.slots.lock().unwrap()[self.rank] = own;
        self.table.everybody.wait();
        let all = self.table.slots.lock().unwrap().clone();
        self.table.everybody.wait();
        all
    }
}

impl Ranks for Seat {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.table.slots.lock().unwrap().len()
    }

    fn all_gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        let own = Slot {
            bytes: own.to_vec(),
            ..Slot::default()
        };
        let all = self.exchange(own).into_iter();
        all.map(|slot| slot.bytes).collect()
    }

    fn all_to_all(&self, numbers: &[f32], lengths: &[usize], received: &[usize]) -> Vec<f32> {
        assert_eq!(lengths.iter().sum::<usize>(), numbers.len());
        let own = Slot {
            numbers: numbers.to_vec(),
            lengths: lengths.to_vec(),
            ..Slot::default()
        };
        let all = self.exchange(own);
        let mut mine = Vec::new();
        for (slot, received) in all.iter().zip(received) {
            let start = slot.lengths[..self.rank].iter().sum::<usize>();
            let part = &slot.numbers[start..][..slot.lengths[self.rank]];
            assert_eq!(part.len(), *received);
            mine.extend(part);
        }
        mine
    }

    fn all_gather_numbers(&self, own: &[f32], lengths: &[usize]) -> Vec<f32> {
        assert_eq!(own.len(), lengths[self.rank]);
        let own = Slot {
            numbers: own.to_vec(),
            ..Slot::default()
        };
        let all = self.exchange(own);
        all.into_iter().flat_map(|slot| slot.numbers).collect()
    }
}

/// Eight steps of a batch in four parts.
fn config(method: Method) -> PretrainConfig {
    let mut config = PretrainConfig {
        method,
        ..PretrainConfig::default()
    };
    config.model.image_size = [16, 16];
    config.model.embed_dim = 16;
    config.model.depth = 2;
    config.model.num_heads = 2;
    config.decoder.query_depth = 2;
    config.mae.decoder_depth = 1;
    config.mae.decoder_dim = 16;
    config.mae.decoder_heads = 2;
    config.train.epochs = 2;
    config.train.batch_size = 8;
    config.train.grad_accum_steps = 4;
    config.train.ema = method == Method::Semaim;
    config.train.drop_path = 0.1;
    config.optimizer.warmup_epochs = 0.5;
    config.log.every_steps = 1;
    config.log.tensorboard = false;
    config
}

/// Stops after a step.
struct StopAfter(u64, bool);

impl Observer for StopAfter {
    fn started(&mut self, _: Progress) {}
    fn stepped(&mut self, report: &StepReport) {
        self.1 = report.progress.step >= self.0;
    }
    fn doing(&mut self, _: &'static str) {}
    fn say(&mut self, _: &str) {}
    fn stop_requested(&self) -> bool {
        self.1
    }
}

/// One rank's run; the last rank alone is asked to stop after a step.
fn run(path: &Path, config: &PretrainConfig, stop: u64) -> Result<RunOutcome, TrainError> {
    let ranks = ranks::current();
    let source: Arc<dyn Source> = Arc::new(
        Shapes::new(ShapesOptions {
            count: 4 * config.train.batch_size,
            image_size: [16, 16],
            ..ShapesOptions::default()
        })
        .unwrap(),
    );
    let run = RunDir::open(path, config, DataPlace::Recorded)?;
    let last = ranks.rank() + 1 == ranks.count();
    let mut observer = StopAfter(if last { stop } else { u64::MAX }, false);
    let networks = Networks::default();
    let device = Device::flex();
    let mut nothing = NoEvaluation;
    pretrain(
        config,
        Arc::new(MappedImages::plain(source)),
        &run,
        networks,
        &device,
        &mut observer,
        &mut nothing,
    )
}

/// Trains on so many ranks and gives how each ended.
fn together(
    count: usize,
    path: &Path,
    config: &PretrainConfig,
    stop: u64,
) -> Vec<Result<RunOutcome, TrainError>> {
    let table = Arc::new(Table {
        slots: Mutex::new(vec![Slot::default(); count]),
        everybody: Barrier::new(count),
    });
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|rank| {
                let table = Arc::clone(&table);
                scope.spawn(move || {
                    if count > 1 {
                        ranks::join(Rc::new(Seat { rank, table }));
                    }
                    run(path, config, stop)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

/// All that a run leaves but for times and places.
fn left(path: &Path) -> (Vec<Vec<u8>>, Vec<serde_json::Value>) {
    let files = [
        "encoder.safetensors",
        "checkpoints/step-000000008.safetensors",
    ];
    let files = files.map(|name| std::fs::read(path.join(name)).unwrap());
    let text = std::fs::read_to_string(path.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        let line_of = line.as_object_mut().unwrap();
        line_of.remove("train/images_per_second");
        line_of.retain(|name, _| !name.starts_with("time/"));
        line
    });
    (files.to_vec(), lines.collect())
}

#[test]
fn any_number_of_ranks_ends_with_the_same_bytes() {
    for (method, predict_fraction, downscale) in [
        (Method::Semaim, 1.0, 1),
        (Method::Semaim, 0.5, 2),
        (Method::Mae, 1.0, 1),
    ] {
        let mut config = config(method);
        config.decoder.predict_fraction = predict_fraction;
        config.order.downscale = downscale;
        if downscale > 1 {
            config.decoder.query_dim = 8;
        }
        config.model.patch_size = 8 / downscale;
        let folder = tempfile::tempdir().unwrap();
        let mut expected = None;
        for count in [1, 2, 3, 4] {
            let path = folder.path().join(count.to_string());
            for outcome in together(count, &path, &config, u64::MAX) {
                assert_eq!(outcome.unwrap(), RunOutcome::Finished);
            }
            let found = left(&path);
            assert_eq!(found.1.len(), 8);
            let expected = expected.get_or_insert_with(|| found.clone());
            assert!(found == *expected, "{count} ranks, {method:?}");
        }
    }
}

#[test]
fn what_some_ranks_began_others_go_on_with() {
    let config = config(Method::Semaim);
    let folder = tempfile::tempdir().unwrap();
    let [whole, changed] = ["whole", "changed"].map(|name| folder.path().join(name));
    together(1, &whole, &config, u64::MAX).remove(0).unwrap();
    for (count, stop) in [(2, 2), (4, 3), (1, 5), (3, u64::MAX)] {
        let expected = match stop {
            u64::MAX => RunOutcome::Finished,
            _ => RunOutcome::Stopped,
        };
        for outcome in together(count, &changed, &config, stop) {
            assert_eq!(outcome.unwrap(), expected);
        }
    }
    assert!(left(&changed) == left(&whole));
    for outcome in together(3, &changed, &config, u64::MAX) {
        assert_eq!(outcome.unwrap(), RunOutcome::AlreadyFinished);
    }
}

#[test]
fn ranks_without_a_part_of_the_batch_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for outcome in together(
        5,
        &folder.path().join("run"),
        &config(Method::Mae),
        u64::MAX,
    ) {
        let refused = outcome.unwrap_err();
        let is_it = matches!(refused, TrainError::ManyRanks { ranks: 5, parts: 4 });
        assert!(is_it, "{refused}");
    }
}
