//! How long a comparison will take on this machine: a few steps and a few images of each part, timed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use semaim::init::initialize;
use semaim::vit::Vit;
use semaim_checkpoint::encoder::{Encoder, write_encoder};
use semaim_random::{Key, KeyedRng, Stream};
use semaim_train::callbacks::{NoEvaluation, Observer, Progress, StepReport};
use semaim_train::config::PretrainConfig;
use semaim_train::pretrain::{Networks, pretrain, training_images};
use semaim_train::run_dir::{DataPlace, RunDir, checkpoints};
use semaim_train::trainer::steps_per_epoch;
use serde_json::json;
use tempfile::TempDir;

use super::config::CompareConfig;
use super::frozen::{check, embed_options, labeled};
use super::measure::Measure;
use super::trial::Trial;
use super::{CompareError, PlannedTrial, trials};
use crate::embed::embed;
use crate::finetune::{FinetuneError, finetune, prepare};
use crate::knn::{Labeled, knn};
use crate::probe::probe;
use crate::views::views;

/// Steps that are timed at most, and for how long about.
const STEPS: usize = 40;
const LONG_ENOUGH: Duration = Duration::from_millis(1_500);
/// Images, and vectors, that are timed at most.
const SAMPLE: usize = 256;

/// What remains of each trial in seconds, by trial; 0 for what is finished.
///
/// Steps of pre-training (once for each variant) and of fine-tuning are taken in a folder that is removed; images are embedded, and
/// vectors searched and probed, in small numbers. What one part costs a trial is taken for the same in all seeds, an
/// evaluation for the same of all encoders of one size.
///
/// # Errors
/// What the comparison itself would meet.
pub fn remaining(
    config: &CompareConfig,
    planned: &[PlannedTrial],
    out: &Path,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Vec<f64>, CompareError> {
    let mut steps: BTreeMap<String, f64> = BTreeMap::new();
    // Encoders of one size cost the same.
    let mut evaluations: BTreeMap<String, EvaluationCosts> = BTreeMap::new();
    let mut remaining = Vec::new();
    let trials = trials(config, out)?;
    if let Some((trial, _)) = trials.iter().zip(planned).find(|(_, plan)| !plan.finished) {
        check(config, trial.pretrain())?;
    }
    for (trial, plan) in trials.iter().zip(planned) {
        if plan.finished {
            remaining.push(0.0);
            continue;
        }
        let record = trial.record()?;
        let mut seconds = 0.0;
        if plan.steps > 0 && !record.encoded {
            let step = match steps.get(&plan.name.variant) {
                Some(step) => *step,
                None => {
                    observer.doing("steps of pre-training");
                    let step = pretraining_step(trial.pretrain(), device)?;
                    steps.insert(plan.name.variant.clone(), step);
                    step
                }
            };
            seconds += step * plan.steps.saturating_sub(trial.steps_done()) as f64;
        }
        let run = trial.pretrain();
        let costs = match evaluations.entry(json!([run.model, run.arch]).to_string()) {
            Entry::Occupied(costs) => costs.into_mut(),
            Entry::Vacant(place) => {
                observer.doing("evaluation");
                place.insert(EvaluationCosts::measure(config, trial, device)?)
            }
        };
        let final_ones = record.scores.missing(&config.measures());
        seconds += costs.of(&final_ones, 1, config);
        if plan.steps > 0 && !config.curve.is_empty() {
            let left = match record.encoded {
                true => trial.unmeasured_points(config, &record)?.len(),
                false => trial.points(),
            };
            seconds += costs.of(&config.curve_measures(), left, config);
        }
        remaining.push(seconds);
    }
    Ok(remaining)
}

/// Rounds in which every variant takes its turn, and of which the median counts.
const ROUNDS: usize = 3;

/// Seconds of a step of pre-training of each variant that is pre-trained, by its name: medians of rounds in which all take turns, so
/// that whatever else the machine does falls on all alike.
///
/// # Errors
/// What pre-training would meet.
pub fn step_times(
    config: &CompareConfig,
    out: &Path,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<BTreeMap<String, f64>, CompareError> {
    let trials = trials(config, out)?;
    // Seeds do not differ in time.
    let first = config.seeds.first();
    let timed = trials.iter().filter(|trial| Some(&trial.seed()) == first);
    let timed: Vec<&Trial> = timed.filter(|trial| trial.is_pretrained()).collect();
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for trial in &timed {
            observer.doing("steps of pre-training");
            let step = pretraining_step(trial.pretrain(), device)?;
            times
                .entry(trial.variant().to_owned())
                .or_default()
                .push(step);
        }
    }
    let median = |(variant, mut times): (String, Vec<f64>)| {
        times.sort_by(f64::total_cmp);
        (variant, times.get(times.len() / 2).copied().unwrap_or(0.0))
    };
    Ok(times.into_iter().map(median).collect())
}

/// What evaluations cost, in seconds.
struct EvaluationCosts {
    /// Preparing an image.
    image: f64,
    /// Preparing an image and embedding it.
    embedded: f64,
    /// Images that are embedded.
    images: f64,
    /// kNN of all queries.
    knn: f64,
    /// A probe on all vectors.
    probe: f64,
    /// Fine-tuning.
    finetune: f64,
}

impl EvaluationCosts {
    fn measure(
        config: &CompareConfig,
        trial: &Trial,
        device: &Device,
    ) -> Result<Self, CompareError> {
        let pretrain = trial.pretrain();
        let folder = temporary_folder()?;
        let file = folder.path().join("encoder.safetensors");
        let vit = initialize(
            Vit::zeros_as(&pretrain.model, &pretrain.arch, device),
            pretrain.seed,
        );
        let normalization = pretrain.augment().normalization;
        write_encoder(&file, &vit, &pretrain.model, &normalization)?;
        let encoder = Encoder::read(&file, device)?;
        let sets = labeled(config, pretrain)?;
        let (bank, queries) = (sets.train.items.len(), sets.test.items.len());

        let some = sets.train.clone().at_most(SAMPLE);
        let augment = views(&encoder.config, &encoder.normalization);
        let options = embed_options(config, pretrain);
        let (found, seconds) =
            timed(|| embed(&encoder.vit, &some.source, &some.items, &augment, options));
        let width = found?.width;
        let embedded = seconds / some.items.len().max(1) as f64;
        let (decoded, seconds) = timed(|| {
            let images = some.items.iter().take(SAMPLE / 8);
            images
                .filter(|item| some.source.image(**item as usize).is_ok())
                .count()
        });
        let image = seconds / decoded.max(1) as f64;

        let classes = sets.train.source.classes().len().max(2);
        let vectors = RandomVectors::new(bank, width, classes);
        let few = RandomVectors::new(queries.min(SAMPLE), width, classes);
        let (found, seconds) = timed(|| {
            knn(
                vectors.view(),
                few.view(),
                &[config.knn_k.min(bank)],
                config.knn_temperature,
                device,
            )
        });
        found?;
        let knn = seconds * queries as f64 / few.labels.len().max(1) as f64;
        let mut options = config.probe(0);
        options.epochs = 1;
        let (found, seconds) = timed(|| probe(vectors.view(), few.view(), &options, device));
        found?;
        let probe = seconds * config.probe_epochs as f64;

        let finetune = match config.measures().contains(&Measure::Finetune) {
            true => finetuning(config, &file, folder.path(), device)?,
            false => 0.0,
        };
        Ok(Self {
            image: image.min(embedded),
            embedded,
            images: (bank + queries) as f64,
            knn,
            probe,
            finetune,
        })
    }

    /// What some measurements of so many encoders of a trial cost.
    fn of(&self, measures: &[Measure], encoders: usize, config: &CompareConfig) -> f64 {
        if encoders == 0 {
            return 0.0;
        }
        let (count, network) = (encoders as f64, self.embedded - self.image);
        let mut seconds = 0.0;
        if measures.iter().any(|m| m.is_of_vectors()) {
            seconds += self.images * (self.image + count * network);
        }
        if measures.iter().any(|m| m.is_pointing()) {
            // Two passes through the encoder, and a mask is drawn as long as its image.
            let images = config.pointing_images as f64;
            seconds += images * (2.0 * self.image + count * 2.0 * network);
        }
        for measure in measures {
            seconds += match measure {
                Measure::Knn => count * self.knn,
                Measure::Probe { labels } => count * labels * self.probe,
                Measure::Finetune => self.finetune,
                Measure::Pointing(_) => 0.0,
            };
        }
        seconds
    }
}

/// Seconds of a step of pre-training.
fn pretraining_step(config: &PretrainConfig, device: &Device) -> Result<f64, CompareError> {
    let folder = temporary_folder()?;
    let images = training_images(config)?;
    let run = RunDir::open(&folder.path().join("run"), config, DataPlace::Recorded)?;
    let networks = Networks::read(config, &run, device)?;
    let mut watch = Stopwatch::default();
    pretrain(
        config,
        images,
        &run,
        networks,
        device,
        &mut watch,
        &mut NoEvaluation,
    )?;
    Ok(watch.step())
}

/// Seconds of fine-tuning an encoder's file.
fn finetuning(
    config: &CompareConfig,
    encoder: &Path,
    folder: &Path,
    device: &Device,
) -> Result<f64, CompareError> {
    let config = config.finetune(encoder, 0);
    let out = folder.join("finetune");
    let prepared = prepare(&config, &out, device)?;
    let images = prepared.sets().train.items.len();
    let steps = steps_per_epoch(config.train.batch_size, images)? * config.train.total_epochs();
    let run = RunDir::open(&out, &config, DataPlace::Recorded)?;
    let mut watch = Stopwatch::default();
    match finetune(&config, prepared, &run, device, &mut watch) {
        // Stopped before anything was evaluated, as it should be.
        Ok(_) | Err(FinetuneError::Results(_)) => Ok(steps as f64 * watch.step()),
        Err(error) => Err(error.into()),
    }
}

/// Times steps, and stops the run when there are enough.
#[derive(Default)]
struct Stopwatch {
    times: Vec<Duration>,
}

impl Stopwatch {
    /// The median time of a step in seconds; the first one prepares things.
    fn step(&self) -> f64 {
        let mut times = self.times.clone();
        if times.len() > 1 {
            times.remove(0);
        }
        times.sort_unstable();
        times
            .get(times.len() / 2)
            .map_or(0.0, Duration::as_secs_f64)
    }
}

impl Observer for Stopwatch {
    fn started(&mut self, _: Progress) {}

    fn stepped(&mut self, report: &StepReport) {
        self.times.push(report.time);
    }

    fn doing(&mut self, _: &'static str) {}

    fn say(&mut self, _: &str) {}

    fn stop_requested(&self) -> bool {
        let count = self.times.len();
        count >= STEPS || count >= 2 && self.times.iter().sum::<Duration>() >= LONG_ENOUGH
    }
}

/// Vectors as large as those of an encoder.
struct RandomVectors {
    features: Vec<f32>,
    labels: Vec<u32>,
}

impl RandomVectors {
    fn new(count: usize, width: usize, classes: usize) -> Self {
        let mut draw = KeyedRng::new(Key::default(), Stream::LabelShare);
        Self {
            features: (0..count * width).map(|_| draw.uniform() - 0.5).collect(),
            labels: (0..count).map(|item| (item % classes) as u32).collect(),
        }
    }

    fn view(&self) -> Labeled<'_> {
        Labeled {
            features: &self.features,
            labels: &self.labels,
        }
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed().as_secs_f64())
}

fn temporary_folder() -> Result<TempDir, CompareError> {
    tempfile::tempdir().map_err(|error| CompareError::File {
        action: "creating",
        path: std::env::temp_dir(),
        message: error.to_string(),
    })
}

/// Steps that a run in a folder has saved.
pub(super) fn steps_done(run: &Path) -> u64 {
    let saved = match run.join("checkpoints").is_dir() {
        true => checkpoints(run).unwrap_or_default(),
        false => Vec::new(),
    };
    saved.last().map_or(0, |(step, _)| *step)
}
