//! One variant with one seed: its folder, and what has been measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use semaim::init::initialise;
use semaim::vit::Vit;
use semaim_checkpoint::atomic;
use semaim_checkpoint::encoder::{Encoder, write_encoder};
use semaim_data::{DataSpec, Source};
use semaim_kernels::Kernels;
use semaim_train::callbacks::{NoEvaluation, Observer};
use semaim_train::config::PretrainConfig;
use semaim_train::memory::Memory;
use semaim_train::pretrain::{Networks, pretrain, teacher, training_images};
use semaim_train::run_dir::{DataPlace, RunDir};
use semaim_train::start::initial_encoder;
use semaim_train::trainer::{RunOutcome, steps_per_epoch};
use serde::{Deserialize, Serialize};

use super::config::{CompareConfig, Evaluation, Variant};
use super::{CompareError, PlannedTrial};
use crate::accuracy::Accuracy;
use crate::embed::{EmbedOptions, embed};
use crate::finetune::{FinetuneError, finetune, prepare};
use crate::image_batches::BatchOptions;
use crate::knn::knn;
use crate::probe::probe;
use crate::splits::LabelledSplits;
use crate::vectors::LabelledVectors;
use crate::views::views;

/// What has been measured of a trial so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The variant.
    pub variant: String,
    /// The seed.
    pub seed: u64,
    /// The settings that it was made with.
    pub(super) settings: String,
    /// Whether the encoder is there.
    pub encoded: bool,
    /// Optimiser steps of pre-training.
    pub steps: u64,
    /// Time that pre-training took, over all sittings that were not cut short.
    pub pretrain_seconds: f64,
    /// Time that fine-tuning took, likewise.
    pub finetune_seconds: f64,
    /// Accuracy by evaluation ([`Evaluation::key`]).
    pub accuracy: BTreeMap<String, Accuracy>,
}

/// One variant with one seed.
#[derive(Clone, Debug)]
pub struct Trial {
    variant: Variant,
    seed: u64,
    pretrain: PretrainConfig,
    settings: String,
    folder: PathBuf,
}

impl Trial {
    pub(super) fn new(
        config: &CompareConfig,
        variant: &Variant,
        seed: u64,
        out: &Path,
    ) -> Result<Self, CompareError> {
        let pretrain = config.pretrain(variant, seed)?;
        // How many threads prepare images changes nothing that is measured.
        let mut common = config.clone();
        common.pretrain.data.workers = 0;
        common.finetune.data.workers = 0;
        for name in common.data.iter_mut() {
            *name = DataSpec::absolute(name);
        }
        let measured = CompareConfig {
            seeds: Vec::new(),
            variants: vec![variant.clone()],
            baseline: String::new(),
            evaluations: Vec::new(),
            ..common
        };
        Ok(Self {
            variant: variant.clone(),
            seed,
            pretrain,
            settings: serde_json::json!(measured).to_string(),
            folder: out.join(&variant.name).join(format!("seed-{seed}")),
        })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("trial.json")
    }

    /// What has been measured so far.
    ///
    /// # Errors
    /// A record that cannot be read, or was made with other settings.
    pub fn record(&self) -> Result<Record, CompareError> {
        let path = self.path();
        let failed = |message: String| CompareError::File {
            action: "reading",
            path: path.clone(),
            message,
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Record {
                    variant: self.variant.name.clone(),
                    seed: self.seed,
                    settings: self.settings.clone(),
                    ..Record::default()
                });
            }
            Err(error) => return Err(failed(error.to_string())),
        };
        let record: Record =
            serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        if record.settings != self.settings {
            return Err(CompareError::OtherSettings { path });
        }
        Ok(record)
    }

    fn write(&self, record: &Record) -> Result<(), CompareError> {
        let text = serde_json::json!(record).to_string();
        let path = self.path();
        let written = fs::create_dir_all(&self.folder)
            .and_then(|()| atomic::write_bytes(&path, text.as_bytes()));
        written.map_err(|error| CompareError::File {
            action: "writing",
            path,
            message: error.to_string(),
        })
    }

    /// Does what is not done yet.
    pub(super) fn run(
        &self,
        config: &CompareConfig,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<RunOutcome, CompareError> {
        let mut record = self.record()?;
        let missing = |record: &Record, evaluation: &Evaluation| {
            !record.accuracy.contains_key(evaluation.key())
        };
        if record.encoded && !config.evaluations.iter().any(|e| missing(&record, e)) {
            return Ok(RunOutcome::Finished);
        }
        if observer.stop_requested() {
            return Ok(RunOutcome::Stopped);
        }
        observer.say(&format!("{}, seed {}", self.variant.name, self.seed));
        if !record.encoded {
            let start = Instant::now();
            let outcome = self.encode(device, observer, &mut record)?;
            if self.variant.pretrain {
                record.pretrain_seconds += start.elapsed().as_secs_f64();
            }
            record.encoded = outcome != RunOutcome::Stopped;
            self.write(&record)?;
            if outcome == RunOutcome::Stopped {
                return Ok(RunOutcome::Stopped);
            }
        }
        let mut splits = None;
        for evaluation in &config.evaluations {
            if !missing(&record, evaluation) {
                continue;
            }
            if observer.stop_requested() {
                return Ok(RunOutcome::Stopped);
            }
            let accuracy = match evaluation {
                Evaluation::Finetune => {
                    match self.finetune(config, device, observer, &mut record)? {
                        Some(accuracy) => accuracy,
                        None => {
                            self.write(&record)?;
                            return Ok(RunOutcome::Stopped);
                        }
                    }
                }
                frozen => {
                    let splits = match &splits {
                        Some(splits) => splits,
                        None => splits.insert(self.embed(config, device)?),
                    };
                    self.frozen(*frozen, config, splits, device)?
                }
            };
            observer.say(&format!(
                "{}, seed {}: {} top-1 {:.2} %",
                self.variant.name,
                self.seed,
                evaluation.name(),
                100.0 * accuracy.top1
            ));
            record.accuracy.insert(evaluation.key().into(), accuracy);
            self.write(&record)?;
        }
        Ok(RunOutcome::Finished)
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
        let measured = |evaluation: &Evaluation| record.accuracy.contains_key(evaluation.key());
        Ok(PlannedTrial {
            variant: self.variant.name.clone(),
            seed: self.seed,
            steps,
            memory,
            finished: record.encoded && config.evaluations.iter().all(measured),
        })
    }

    /// The encoder's file.
    fn encoder(&self) -> PathBuf {
        self.folder.join("pretrain/encoder.safetensors")
    }

    /// Pre-trains, or writes the first weights.
    fn encode(
        &self,
        device: &Device,
        observer: &mut dyn Observer,
        record: &mut Record,
    ) -> Result<RunOutcome, CompareError> {
        let config = &self.pretrain;
        config.data.check_measured(config.model.channels)?;
        let folder = self.folder.join("pretrain");
        if !self.variant.pretrain {
            fs::create_dir_all(&folder).map_err(|error| CompareError::File {
                action: "creating",
                path: folder,
                message: error.to_string(),
            })?;
            // Weights depend on seed and name alone: these are what every variant begins with.
            let encoder = Vit::zeros_as(&config.model, &config.arch, device);
            let encoder = match initial_encoder(config, device)? {
                Some((start, _)) => start.vit,
                None => initialise(encoder, config.seed),
            };
            let normalisation = config.augment().normalisation;
            write_encoder(&self.encoder(), &encoder, &config.model, &normalisation)?;
            return Ok(RunOutcome::Finished);
        }
        let images = training_images(config)?;
        record.steps =
            steps_per_epoch(config.train.batch_size, images.len())? * config.train.total_epochs();
        let run = RunDir::open(&folder, config, DataPlace::Recorded)?;
        let networks = Networks::read(config, &run, device)?;
        let nothing = &mut NoEvaluation;
        let outcome = pretrain(config, images, &run, networks, device, observer, nothing)?;
        Ok(outcome)
    }

    /// Both splits of the data as vectors.
    fn embed(
        &self,
        config: &CompareConfig,
        device: &Device,
    ) -> Result<[LabelledVectors; 2], CompareError> {
        let encoder = Encoder::read(&self.encoder(), device)?;
        let (data, options) = (&self.pretrain.data, self.pretrain.open_options());
        let sets = LabelledSplits::for_training(data, &options, self.seed)?;
        let augment = views(&encoder.config, &encoder.normalisation);
        let options = EmbedOptions {
            representation: config.feature,
            batches: BatchOptions {
                batch_size: self.pretrain.eval.batch_size,
                workers: self.pretrain.data.workers,
            },
        };
        let vectors = |part: &crate::splits::ImageSubset| -> Result<LabelledVectors, CompareError> {
            let (source, items) = (&part.source, &part.items);
            let found = embed(&encoder.vit, source, items, &augment, options)?;
            Ok(found.labelled())
        };
        Ok([vectors(&sets.train)?, vectors(&sets.test)?])
    }

    fn frozen(
        &self,
        evaluation: Evaluation,
        config: &CompareConfig,
        [bank, queries]: &[LabelledVectors; 2],
        device: &Device,
    ) -> Result<Accuracy, CompareError> {
        if evaluation == Evaluation::Probe {
            let options = config.probe(self.seed);
            let found = probe(bank.view(), queries.view(), &options, device)?;
            return Ok(found.test);
        }
        let ks = [config.knn_k];
        let found = knn(
            bank.view(),
            queries.view(),
            &ks,
            config.knn_temperature,
            device,
        )?;
        Ok(found.first().copied().unwrap_or(Accuracy {
            top1: f64::NAN,
            top5: f64::NAN,
        }))
    }

    /// The accuracy at the end of the schedule, or `None` when asked to stop before.
    fn finetune(
        &self,
        config: &CompareConfig,
        device: &Device,
        observer: &mut dyn Observer,
        record: &mut Record,
    ) -> Result<Option<Accuracy>, CompareError> {
        let config = config.finetune(&self.encoder(), self.seed);
        let prepared = prepare(&config, device)?;
        let run = RunDir::open(&self.folder.join("finetune"), &config, DataPlace::Recorded)?;
        let start = Instant::now();
        let ran = finetune(&config, prepared, &run, device, observer);
        record.finetune_seconds += start.elapsed().as_secs_f64();
        match ran {
            Ok((RunOutcome::Stopped, _)) => Ok(None),
            Ok((_, results)) => Ok(Some(results.last.classification.accuracy)),
            // Stopped before there was anything to read.
            Err(FinetuneError::Results { .. }) if observer.stop_requested() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
