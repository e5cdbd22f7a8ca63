//! One variant with one seed: its folder, and what has been measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use semaim::init::initialize;
use semaim::vit::Vit;
use semaim_checkpoint::encoder::{Encoder, write_encoder};
use semaim_checkpoint::file_lock::lock;
use semaim_data::Source;
use semaim_kernels::Kernels;
use semaim_train::callbacks::{NoEvaluation, Observer};
use semaim_train::config::{OrderSource, PretrainConfig};
use semaim_train::memory::Memory;
use semaim_train::pretrain::{Networks, pretrain, teacher, training_images};
use semaim_train::run_dir::{DataPlace, RunDir, checkpoints};
use semaim_train::start::{StartRecord, initial_encoder};
use semaim_train::state::{DataDigest, MODEL};
use semaim_train::trainer::{RunOutcome, steps_per_epoch};

use super::config::{CompareConfig, Variant};
use super::frozen::FrozenEvaluation;
use super::measure::{CurvePoint, Measure, Scores};
use super::record::{Record, measured_by};
use super::timing::steps_done;
use super::{CompareError, PlannedTrial, TrialName};
use crate::accuracy::Accuracy;
use crate::finetune::{FinetuneError, finetune, prepare};
use crate::run_start::EvaluatedImages;

/// One variant with one seed.
#[derive(Clone, Debug)]
pub struct Trial {
    variant: Variant,
    seed: u64,
    pretrain: PretrainConfig,
    /// The settings of the whole comparison on which its numbers depend, as JSON.
    settings: String,
    folder: PathBuf,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrialOutcome {
    /// Everything is measured.
    Finished,
    /// It was asked to stop, and saved.
    Stopped,
    /// Another process is at it.
    Elsewhere,
}

impl Trial {
    pub(super) fn new(
        config: &CompareConfig,
        variant: &Variant,
        seed: u64,
        out: &Path,
    ) -> Result<Self, CompareError> {
        let pretrain = config.pretrain(variant, seed)?;
        let measured = measured_by(config, variant);
        Ok(Self {
            variant: variant.clone(),
            seed,
            pretrain,
            settings: serde_json::json!(measured).to_string(),
            folder: out.join(&variant.name).join(format!("seed-{seed}")),
        })
    }

    pub(super) fn name(&self) -> TrialName {
        TrialName {
            variant: self.variant.name.clone(),
            seed: self.seed,
        }
    }

    pub(super) fn variant(&self) -> &str {
        &self.variant.name
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn is_pretrained(&self) -> bool {
        self.variant.pretrain
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn pretrain(&self) -> &PretrainConfig {
        &self.pretrain
    }

    /// Steps of pre-training that are saved.
    pub(super) fn steps_done(&self) -> u64 {
        steps_done(&self.folder.join("pretrain"))
    }

    /// The file of its record.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join("trial.json")
    }

    /// What has been measured so far.
    ///
    /// # Errors
    /// A record that cannot be read, or was made with other settings.
    pub fn record(&self) -> Result<Record, CompareError> {
        let empty = Record {
            variant: self.variant.name.clone(),
            seed: self.seed,
            settings: self.settings.clone(),
            ..Record::default()
        };
        Record::read(&self.path(), empty)
    }

    /// Does what is not done yet; `all` are the trials of the comparison, of which those of this variant are to have the same images.
    pub(super) fn run(
        &self,
        config: &CompareConfig,
        all: &[Trial],
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<TrialOutcome, CompareError> {
        let record = self.record()?;
        if self.is_finished(config, &record)? {
            self.say_of_missing_points(config, &record, 0, observer);
            return Ok(TrialOutcome::Finished);
        }
        if observer.stop_requested() {
            return Ok(TrialOutcome::Stopped);
        }
        create(&self.folder)?;
        let path = self.folder.join("trial.lock");
        let lock = lock(&path).map_err(|error| CompareError::File {
            action: "locking",
            path,
            message: error.to_string(),
        })?;
        let Some(_lock) = lock else {
            return Ok(TrialOutcome::Elsewhere);
        };
        // Whoever had it until now may have measured more.
        let mut record = self.record()?;
        if self.is_finished(config, &record)? {
            return Ok(TrialOutcome::Finished);
        }
        observer.say(&format!("{}, seed {}", self.variant.name, self.seed));
        if !record.encoded {
            record.cut_short |= self.variant.pretrain && self.steps_done() > record.timed_steps;
            let start = Instant::now();
            let outcome = self.encode(all, device, observer, &mut record)?;
            if self.variant.pretrain {
                record.pretrain_seconds += start.elapsed().as_secs_f64();
                record.timed_steps = self.steps_done();
            }
            record.encoded = outcome != RunOutcome::Stopped;
            record.write(&self.path())?;
            if outcome == RunOutcome::Stopped {
                return Ok(TrialOutcome::Stopped);
            }
        }
        let missing = record.scores.missing(&config.measures());
        let (tuned, frozen): (Vec<Measure>, Vec<Measure>) =
            missing.into_iter().partition(|m| *m == Measure::Finetune);
        if !frozen.is_empty() {
            if observer.stop_requested() {
                return Ok(TrialOutcome::Stopped);
            }
            observer.doing("evaluation");
            let encoder = Encoder::read(&self.encoder(), device)?;
            let frozen = FrozenEvaluation::new(config, &self.pretrain, device, frozen)?;
            self.keep_tested(all, &mut record, &frozen)?;
            let measured = frozen.measure(&[encoder], std::slice::from_mut(&mut record.scores));
            self.say(observer, &record.scores, &frozen.measures);
            record.write(&self.path())?;
            measured?;
        }
        let points = self.unmeasured_points(config, &record)?;
        self.say_of_missing_points(config, &record, points.len(), observer);
        if !points.is_empty() {
            if observer.stop_requested() {
                return Ok(TrialOutcome::Stopped);
            }
            observer.doing("evaluation of checkpoints");
            let trained = Encoder::read(&self.encoder(), device)?;
            let encoders: Vec<Encoder> = points
                .iter()
                .map(|(_, path)| trained.at(path, MODEL))
                .collect::<Result<_, _>>()?;
            let measures = config.curve_measures();
            let frozen = FrozenEvaluation::new(config, &self.pretrain, device, measures)?;
            self.keep_tested(all, &mut record, &frozen)?;
            let mut scores = vec![Scores::default(); encoders.len()];
            let measured = frozen.measure(&encoders, &mut scores);
            for ((step, _), scores) in points.iter().zip(scores) {
                record.add_point(*step, scores);
            }
            record.write(&self.path())?;
            measured?;
        }
        if !tuned.is_empty() {
            if observer.stop_requested() {
                return Ok(TrialOutcome::Stopped);
            }
            let accuracy = self.finetune(config, all, device, observer, &mut record)?;
            if let Some(accuracy) = accuracy {
                let key = Measure::Finetune.key();
                record.scores.accuracy.insert(key, accuracy);
                self.say(observer, &record.scores, &tuned);
            }
            record.write(&self.path())?;
            if accuracy.is_none() {
                return Ok(TrialOutcome::Stopped);
            }
        }
        Ok(TrialOutcome::Finished)
    }

    /// Whether everything has been measured.
    pub(super) fn is_finished(
        &self,
        config: &CompareConfig,
        record: &Record,
    ) -> Result<bool, CompareError> {
        Ok(record.encoded
            && record.scores.missing(&config.measures()).is_empty()
            && self.unmeasured_points(config, record)?.is_empty())
    }

    /// Says what was measured.
    fn say(&self, observer: &mut dyn Observer, scores: &Scores, measures: &[Measure]) {
        let (variant, seed) = (&self.variant.name, self.seed);
        for measure in measures {
            if let Some(share) = scores.get(*measure) {
                let name = measure.name();
                observer.say(&format!(
                    "{variant}, seed {seed}: {name} {:.2} %",
                    100.0 * share
                ));
            }
        }
    }

    /// Says which share of the curves cannot be measured any more, as checkpoints have been removed.
    fn say_of_missing_points(
        &self,
        config: &CompareConfig,
        record: &Record,
        unmeasured: usize,
        observer: &mut dyn Observer,
    ) {
        let wanted = config.curve_measures();
        let is_measured = |point: &&CurvePoint| point.scores.missing(&wanted).is_empty();
        let measured = record.curve.iter().filter(is_measured).count();
        let (points, there) = (self.points(), measured + unmeasured);
        if !wanted.is_empty() && there < points {
            observer.say(&format!(
                "warning: {}, seed {}: {} of the {points} checkpoints of its curve are no longer there, and are left out of it",
                self.variant.name,
                self.seed,
                points - there
            ));
        }
    }

    /// How many points the curves of a trial have.
    pub(super) fn points(&self) -> usize {
        let epochs = self.pretrain.train.total_epochs();
        match self.pretrain.checkpoint.keep_every_epochs {
            _ if !self.variant.pretrain => 0,
            0 => 1,
            every => epochs.div_ceil(every) as usize,
        }
    }

    /// The kept checkpoints of which something is not measured that the curves have, by step.
    pub(super) fn unmeasured_points(
        &self,
        config: &CompareConfig,
        record: &Record,
    ) -> Result<Vec<(u64, PathBuf)>, CompareError> {
        let wanted = config.curve_measures();
        let folder = self.folder.join("pretrain");
        if wanted.is_empty() || !self.variant.pretrain || !folder.join("checkpoints").is_dir() {
            return Ok(Vec::new());
        }
        // The newest two are there as well, of which the older belongs to no curve.
        let every = self.pretrain.checkpoint.keep_every_epochs
            * (record.steps / self.pretrain.train.total_epochs().max(1)).max(1);
        let is_kept = |step: u64| step == record.steps || every > 0 && step.is_multiple_of(every);
        let is_measured = |step: u64| {
            let point = record.curve.iter().find(|point| point.step == step);
            point.is_some_and(|point| point.scores.missing(&wanted).is_empty())
        };
        let all = checkpoints(&folder)?.into_iter();
        Ok(all
            .filter(|(step, _)| is_kept(*step) && !is_measured(*step))
            .collect())
    }

    /// What the trial would take.
    pub(super) fn plan(
        &self,
        config: &CompareConfig,
        kernels: Kernels,
        device: &Device,
    ) -> Result<PlannedTrial, CompareError> {
        let record = self.record()?;
        let (mut steps, mut memory) = (0, None);
        if self.variant.pretrain {
            let run = &self.pretrain;
            run.data.check_measured(run.model.channels)?;
            let images = training_images(run)?;
            steps = steps_per_epoch(run.train.batch_size, images.len())? * run.train.total_epochs();
            let teacher = teacher(run, device)?.map(|teacher| teacher.vit.width());
            memory = Some(Memory::estimate(run, teacher, kernels));
        }
        Ok(PlannedTrial {
            name: self.name(),
            steps,
            memory,
            finished: self.is_finished(config, &record)?,
        })
    }

    /// The encoder's file.
    fn encoder(&self) -> PathBuf {
        self.folder.join("pretrain/encoder.safetensors")
    }

    /// Pre-trains, or writes the first weights.
    fn encode(
        &self,
        all: &[Trial],
        device: &Device,
        observer: &mut dyn Observer,
        record: &mut Record,
    ) -> Result<RunOutcome, CompareError> {
        let config = &self.pretrain;
        config.data.check_measured(config.model.channels)?;
        let folder = self.folder.join("pretrain");
        if !self.variant.pretrain {
            create(&folder)?;
            // Weights depend on seed and name alone: these are what every variant begins with.
            let encoder = Vit::zeros_as(&config.model, &config.arch, device);
            let encoder = match initial_encoder(config, device)? {
                Some((start, from)) => {
                    self.keep_files(all, record, Some(from), None, None)?;
                    start.vit
                }
                None => initialize(encoder, config.seed),
            };
            let normalization = config.augment().normalization;
            write_encoder(&self.encoder(), &encoder, &config.model, &normalization)?;
            return Ok(RunOutcome::Finished);
        }
        let images = training_images(config)?;
        record.steps =
            steps_per_epoch(config.train.batch_size, images.len())? * config.train.total_epochs();
        let digest = DataDigest::of(&*images, false);
        record.images = Some(digest.names);
        self.check_images(all, record)?;
        let follows_maps = config.order_source() == Some(OrderSource::Maps);
        let maps = digest.objects.filter(|_| follows_maps);
        let maps = maps.map(|checksum| (checksum, images.len()));
        let run = RunDir::open(&folder, config, DataPlace::Recorded)?;
        let networks = Networks::read(config, &run, device)?;
        let start = StartRecord::read(run.path())?;
        self.keep_files(all, record, start, networks.teacher.as_ref(), maps)?;
        let nothing = &mut NoEvaluation;
        let outcome = pretrain(config, images, &run, networks, device, observer, nothing)?;
        Ok(outcome)
    }

    /// The accuracy at the end of the schedule, or `None` when asked to stop before.
    fn finetune(
        &self,
        config: &CompareConfig,
        all: &[Trial],
        device: &Device,
        observer: &mut dyn Observer,
        record: &mut Record,
    ) -> Result<Option<Accuracy>, CompareError> {
        let config = config.finetune(&self.encoder(), self.seed);
        let out = self.folder.join("finetune");
        let prepared = prepare(&config, &out, device)?;
        let tested = EvaluatedImages::of(&*prepared.sets().test.source);
        self.check_tested(all, tested, |record| record.finetune_tested)?;
        record.finetune_tested = Some(tested);
        record.write(&self.path())?;
        let run = RunDir::open(&out, &config, DataPlace::Recorded)?;
        let start = Instant::now();
        let ran = finetune(&config, prepared, &run, device, observer);
        record.finetune_seconds += start.elapsed().as_secs_f64();
        match ran {
            Ok((RunOutcome::Stopped, _)) => Ok(None),
            Ok((_, results)) => Ok(Some(results.last.scores.accuracy)),
            // Stopped before there was anything to read.
            Err(FinetuneError::Results(_)) if observer.stop_requested() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn create(folder: &Path) -> Result<(), CompareError> {
    fs::create_dir_all(folder).map_err(|error| CompareError::File {
        action: "creating",
        path: folder.to_path_buf(),
        message: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use semaim_config::Layers;

    use super::*;

    /// The published tables can be repeated as long as their files are read, and go on as long as their records are of the
    /// same settings.
    #[test]
    fn comparisons_of_this_repository_go_on_from_their_records() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let mut records = 0;
        for entry in fs::read_dir(root.join("comparisons")).unwrap() {
            let file = entry.unwrap().path();
            if file.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let config: CompareConfig = Layers::new().file(&file).unwrap().load().unwrap();
            let out = root
                .join("docs/results/trials")
                .join(file.file_stem().unwrap());
            for variant in &config.variants {
                for seed in 0..8 {
                    let trial = Trial::new(&config, variant, seed, &out).unwrap();
                    let record = trial.record().unwrap();
                    if trial.path().exists() {
                        assert_eq!(record.variant, variant.name);
                        assert_eq!(record.seed, seed);
                        records += 1;
                    }
                }
            }
        }
        assert!(records > 70, "{records} records were found");
    }
}
