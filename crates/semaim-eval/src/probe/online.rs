//! Probes trained on views that differ from epoch to epoch, by the trainer that trains everything else.
//!
//! The encoder is frozen: each batch goes through it once, and every head of the grid learns from the same tokens.
//! Tokens are normalized by the statistics of their batch while training, as batch normalization without affine parameters
//! does; for evaluation, by the statistics of all training images, each seen once without augmentation (where the
//! published code keeps a running mean).

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData, activation};
use semaim::parameters::{WeightError, device_of, to_host};
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::error::EncoderError;
use semaim_config::{Problems, Validate};
use semaim_data::{Augment, BadImage, ClassTarget, Framing, LoaderError};
use semaim_random::{Key, KeyedRng, Stream};
use semaim_train::callbacks::{Callbacks, Evaluator, Observer, Progress};
use semaim_train::config::{
    CheckpointConfig, DataConfig, DataNames, LogConfig, OptimizerConfig, RunSettings, TrainConfig,
};
use semaim_train::error::TrainError;
use semaim_train::log::RunLog;
use semaim_train::optimizer::{Optimizer, UpdateRule};
use semaim_train::param_groups::{ParamGroup, ParamGroups};
use semaim_train::run_dir::{RunConfig, RunDir};
use semaim_train::state::{TrainCounters, TrainState};
use semaim_train::task::{Loss, MicroBatch, Sender, Task, views_sender};
use semaim_train::trainer::{Images, RunOutcome, train};
use serde::{Deserialize, Serialize};

use super::head::{HeadKind, HeadSize, Heads};
use super::tally::{Score, Tally};
use super::{Probe, ProbeError, ProbeOptions, check_left, settings, validation_split};
use crate::image_batches::{BatchOptions, ImageBatches};
use crate::splits::{ImageSubset, LabeledSplits};
use crate::unreadable::said;
use crate::views::views;
use semaim::representation::Representation;

/// SGD's momentum.
const MOMENTUM: f64 = 0.9;
/// Added to variances.
const EPSILON: f32 = 1e-6;
/// A cross-entropy that no head comes back from.
const DIVERGED: f32 = 1e4;

/// A probe trained on images instead of vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OnlineProbe {
    /// The encoder's file.
    pub weights: PathBuf,
    /// The labeled images.
    pub data: DataNames,
    /// Patterns of images that are left out. Probes that began before there were such have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// The most images of each split; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// What is trained.
    pub head: HeadKind,
    /// What represents an image for a linear head.
    pub representation: Representation,
    /// Whether views are cut at random and mirrored; otherwise images are shown as for evaluation.
    pub augment: bool,
    /// Settings to choose from, passes and batches.
    pub options: ProbeOptions,
    /// Checksum of the encoder's weights: a probe does not go on with another encoder under the same name.
    pub encoder: String,
    /// Threads that prepare images; 0: one per core. They do not change what comes out.
    #[serde(skip)]
    pub workers: usize,
}

/// Why there is no probe.
#[derive(Debug, thiserror::Error)]
pub enum OnlineError {
    /// The options, or the images.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The encoder cannot be read.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// Images did not arrive.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] WeightError),
    /// It was asked to stop; the same command goes on.
    #[error("stopped and saved; the same command goes on")]
    Stopped,
}

impl Validate for OnlineProbe {
    fn check(&self, problems: &mut Problems) {
        let tables = Tables::of(self, self.options.batch_size);
        tables.run(self.options.seed).check(problems);
    }
}

impl RunConfig for OnlineProbe {
    fn data_sets(&mut self) -> Vec<&mut String> {
        self.data.iter_mut().collect()
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        vec![&mut self.weights]
    }
}

/// What the trainer reads.
struct Tables {
    data: DataConfig,
    train: TrainConfig,
    optimizer: OptimizerConfig,
    checkpoint: CheckpointConfig,
    log: LogConfig,
}

impl Tables {
    fn of(probe: &OnlineProbe, batch_size: usize) -> Self {
        Self {
            data: DataConfig {
                workers: probe.workers,
                ..DataConfig::default()
            },
            train: TrainConfig {
                epochs: probe.options.epochs as u64,
                batch_size,
                clip_norm: 0.0,
                ..TrainConfig::default()
            },
            optimizer: OptimizerConfig {
                // Each head multiplies this by its own.
                base_lr: 1.0,
                min_lr: 0.0,
                warmup_epochs: 0.0,
                ..OptimizerConfig::default()
            },
            checkpoint: CheckpointConfig::default(),
            log: LogConfig {
                tensorboard: false,
                ..LogConfig::default()
            },
        }
    }

    fn run(&self, seed: u64) -> RunSettings<'_> {
        RunSettings {
            seed,
            loading: self.data.loading(),
            train: &self.train,
            optimizer: &self.optimizer,
            evaluate_every_epochs: 0,
            checkpoint: &self.checkpoint,
            log: &self.log,
        }
    }
}

/// How training images are shown, where `usual` is how they are shown for evaluation.
fn training_views(usual: Augment, augment: bool) -> Augment {
    if augment {
        Augment {
            crop_scale: [0.08, 1.0],
            ..usual
        }
    } else {
        // What the test shows; a crop of the whole image would have another shape and another scale.
        Augment {
            framing: Framing::Center,
            flip: 0.0,
            ..usual
        }
    }
}

/// Trains a grid of heads and tests the best, in a run directory.
///
/// # Errors
/// [`OnlineError`]; whatever was saved before stays.
pub fn online_probe(
    probe: &OnlineProbe,
    encoder: &Encoder,
    sets: &LabeledSplits,
    run: &RunDir,
    observer: &mut dyn Observer,
) -> Result<Probe, OnlineError> {
    let options = &probe.options;
    options.check()?;
    let (kept, validation) = parts(&sets.train, options);
    if validation.items.is_empty() || sets.test.items.is_empty() {
        return Err(ProbeError::Empty {
            train: sets.train.items.len(),
            test: sets.test.items.len(),
        }
        .into());
    }
    check_left(kept.items.len(), sets.train.items.len())?;
    let frozen = Frozen {
        encoder,
        kind: probe.head,
        representation: probe.representation,
        device: device_of(&encoder.vit),
    };
    let grid = settings(options);
    let groups = grid
        .iter()
        .map(|&(base_lr, weight_decay)| ParamGroup::new(base_lr, weight_decay));
    let classes = sets.train.source.classes().len();
    let size = HeadSize {
        width: frozen.width(),
        num_heads: heads(frozen.width(), encoder.config.num_heads),
        classes,
    };
    let initial_state = TrainState {
        model: Heads::new(probe.head, size, grid.len(), options.seed, &frozen.device),
        ema: None,
        optimizer: Optimizer::new(
            UpdateRule::Sgd { momentum: MOMENTUM },
            ParamGroups::PerModule(groups.collect()),
        ),
        counts: TrainCounters::default(),
    };
    let task = ProbeTask { frozen: &frozen };
    let images = Images {
        source: kept.as_source(),
        augment: training_views(
            views(&encoder.config, &encoder.normalization),
            probe.augment,
        ),
    };
    let tables = Tables::of(probe, options.batch_size.min(kept.items.len()));
    let settings = tables.run(options.seed);
    let mut collecting = Collecting { last: None };
    let callbacks = Callbacks {
        observer: &mut *observer,
        evaluator: &mut collecting,
    };
    let outcome = train(
        &task,
        initial_state.clone(),
        settings,
        images,
        run,
        callbacks,
    )?;
    let heads = match (outcome, collecting.last) {
        (RunOutcome::Stopped, _) => return Err(OnlineError::Stopped),
        (_, Some(heads)) => heads,
        (_, None) => {
            // It had been finished before: what it came to is in the checkpoint.
            let saved = run.latest_checkpoint(&initial_state)?;
            saved.map_or(initial_state.model, |state| state.model)
        }
    };
    let batches = BatchOptions {
        batch_size: options.batch_size.min(256),
        workers: probe.workers,
    };
    let statistics = frozen.statistics(&kept, batches)?;
    let mut scores = |part: &ImageSubset| -> Result<_, OnlineError> {
        let (tallies, bad) = frozen.tallies(&heads, part, &statistics, batches)?;
        if let Some(text) = said(&bad.iter().collect::<Vec<_>>()) {
            observer.say(&text);
        }
        let counted = tallies.first().map_or(0, Tally::images);
        let scores: Vec<Score> = tallies.iter().map(Tally::score).collect();
        Ok((scores, counted))
    };
    let (of_validation, _) = scores(&validation)?;
    Probe::choose(&grid, &of_validation, kept.items.len(), || {
        scores(&sets.test)
    })
}

/// Divides images into those to train on and those to choose with.
fn parts(train: &ImageSubset, options: &ProbeOptions) -> (ImageSubset, ImageSubset) {
    let draw = |item| KeyedRng::new(Key::new(options.seed, 0, item), Stream::ValidationSplit);
    let items = train.items.iter().copied();
    let class = |item: u64| train.source.label(item as usize);
    let (kept, validation) = validation_split(items, draw, class, options.validation_every);
    let part = |items| ImageSubset {
        source: Arc::clone(&train.source),
        items,
    };
    (part(kept), part(validation))
}

/// The frozen encoder, and what heads see of it.
struct Frozen<'a> {
    encoder: &'a Encoder,
    kind: HeadKind,
    representation: Representation,
    device: Device,
}

/// Mean and deviation of each number of a token, `[1, 1, width]`.
struct Statistics {
    mean: Tensor<3>,
    deviation: Tensor<3>,
}

impl Statistics {
    fn normalize(&self, tokens: Tensor<3>) -> Tensor<3> {
        (tokens - self.mean.clone()) / self.deviation.clone()
    }
}

/// The most heads, up to the encoder's, that share a width evenly: tokens may have been projected to another one.
fn heads(width: usize, most: usize) -> usize {
    let even = (1..=most).rev().find(|&heads| width.is_multiple_of(heads));
    even.unwrap_or(1)
}

/// Numbers of a token that heads see.
pub fn token_width(encoder: &Encoder, kind: HeadKind, representation: Representation) -> usize {
    let embed_dim = encoder.vit.width();
    match (kind, representation) {
        (HeadKind::Linear, Representation::Both) => 2 * embed_dim,
        _ => embed_dim,
    }
}

impl Frozen<'_> {
    /// Numbers per token.
    fn width(&self) -> usize {
        token_width(self.encoder, self.kind, self.representation)
    }

    /// What heads see of images, `[batch, tokens, width]`.
    fn tokens(&self, images: Tensor<4>) -> Tensor<3> {
        let shown = match self.kind {
            HeadKind::Attentive => Representation::Patches,
            HeadKind::Linear => self.representation,
        };
        shown.of(self.encoder.vit.tokens(images))
    }

    fn shape(&self) -> [usize; 3] {
        let vit = &self.encoder.config;
        [vit.channels, vit.image_size[0], vit.image_size[1]]
    }

    /// Tokens of the central views of images, batch by batch, with their labels. Gives the images that could not be read.
    fn each(
        &self,
        part: &ImageSubset,
        batches: BatchOptions,
        mut visit: impl FnMut(Tensor<3>, &[Option<u32>]) -> Result<(), WeightError>,
    ) -> Result<Vec<BadImage>, OnlineError> {
        let augment = views(&self.encoder.config, &self.encoder.normalization);
        let items = part.items.iter().copied();
        let mut bad = Vec::new();
        for batch in ImageBatches::start(&part.source, items, &augment, batches, &self.device) {
            let batch = batch?;
            if let Some(images) = batch.images {
                visit(self.tokens(images), &batch.targets)?;
            }
            bad.extend(batch.bad);
        }
        Ok(bad)
    }

    fn statistics(
        &self,
        part: &ImageSubset,
        batches: BatchOptions,
    ) -> Result<Statistics, OnlineError> {
        let width = self.width();
        let mut sums = vec![[0.0_f64; 2]; width];
        let mut rows = 0_u64;
        self.each(part, batches, |tokens, _| {
            for row in to_host("tokens", tokens)?.values.chunks(width) {
                for (sum, &value) in sums.iter_mut().zip(row) {
                    sum[0] += f64::from(value);
                    sum[1] += f64::from(value).powi(2);
                }
                rows += 1;
            }
            Ok(())
        })?;
        let count = rows.max(1) as f64;
        let mean: Vec<f32> = sums.iter().map(|sum| (sum[0] / count) as f32).collect();
        let deviation: Vec<f32> = sums
            .iter()
            .map(|sum| {
                let variance = (sum[1] / count - (sum[0] / count).powi(2)).max(0.0);
                (variance + f64::from(EPSILON)).sqrt() as f32
            })
            .collect();
        let tensor =
            |values| Tensor::from_data(TensorData::new(values, [1, 1, width]), &self.device);
        Ok(Statistics {
            mean: tensor(mean),
            deviation: tensor(deviation),
        })
    }

    /// What is counted for each head, and the images that could not be read.
    fn tallies(
        &self,
        heads: &Heads,
        part: &ImageSubset,
        statistics: &Statistics,
        batches: BatchOptions,
    ) -> Result<(Vec<Tally>, Vec<BadImage>), OnlineError> {
        let mut tallies = Tally::of_each(heads.heads.len());
        let bad = self.each(part, batches, |tokens, labels| {
            let tokens = statistics.normalize(tokens);
            for (head, tally) in heads.heads.iter().zip(&mut tallies) {
                let logits = head.forward(tokens.clone());
                let [_, classes] = logits.dims();
                let logits = to_host("logits", logits)?.values;
                for (row, label) in logits.chunks(classes).zip(labels) {
                    if let Some(label) = label {
                        tally.add(row, *label as usize);
                    }
                }
            }
            Ok(())
        })?;
        Ok((tallies, bad))
    }
}

struct ProbeTask<'a> {
    frozen: &'a Frozen<'a>,
}

impl Task for ProbeTask<'_> {
    type Model = Heads;
    type Target = ClassTarget;

    fn loss(&self, micro_batch: MicroBatch<'_, Heads>) -> Result<Loss, TrainError> {
        let (frozen, batch) = (self.frozen, micro_batch.batch);
        let tokens = frozen.tokens(micro_batch.images(frozen.shape(), &frozen.device));
        let [count, per_image, width] = tokens.dims();
        let rows = tokens.clone().reshape([1, count * per_image, width]);
        let mean = rows.clone().mean_dim(1);
        let variance = (rows - mean.clone()).powi_scalar(2).mean_dim(1);
        let statistics = Statistics {
            mean,
            deviation: (variance + EPSILON).sqrt(),
        };
        let tokens = Tensor::from_inner(statistics.normalize(tokens));
        let labels = batch
            .targets
            .iter()
            .map(|label| i64::from(label.unwrap_or(0)));
        let labels: Vec<i64> = labels.collect();
        let labels = Tensor::<2, burn::tensor::Int>::from_data(
            TensorData::new(labels, [count, 1]),
            &tokens.device(),
        );
        let losses: Vec<Tensor<1>> = micro_batch
            .model
            .heads
            .iter()
            .map(|head| {
                let likelihood = activation::log_softmax(head.forward(tokens.clone()), 1);
                likelihood.gather(1, labels.clone()).mean().neg()
            })
            .collect();
        let values: Vec<Tensor<1>> = losses.iter().map(|loss| loss.clone().inner()).collect();
        let values = to_host("losses", Tensor::cat(values, 0))?.values;
        // The sum over heads: each learns as if it were alone. One that has diverged, at a rate too large for it, learns no
        // more, and does not take the others with it.
        let mut sum = None;
        for (loss, value) in losses.iter().zip(values) {
            if value < DIVERGED {
                let loss = loss.clone();
                sum = Some(match sum {
                    None => loss,
                    Some(sum) => sum + loss,
                });
            }
        }
        // Where every head has diverged there is nothing to learn: the trainer does what it does about losses that are no
        // number.
        let sum = sum.unwrap_or_else(|| Tensor::cat(losses, 0).sum() * f32::NAN);
        Ok(sum.into())
    }

    fn sender(&self) -> Option<Sender<ClassTarget>> {
        Some(views_sender(self.frozen.shape(), &self.frozen.device))
    }

    fn export(&self, _: &RunDir, _: &TrainState<Heads>) -> Result<(), TrainError> {
        // A probe measures; nobody uses its heads.
        Ok(())
    }
}

/// Keeps the heads of the end.
struct Collecting {
    last: Option<Heads>,
}

impl Evaluator<Heads> for Collecting {
    fn evaluate(
        &mut self,
        state: &TrainState<Heads>,
        progress: Progress,
        _: &mut RunLog,
        _: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        if progress.step == progress.total_steps {
            self.last = Some(state.model.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use semaim_data::{Pixels, Scratch, ViewPlan};

    use super::*;

    #[test]
    fn without_augmentation_heads_learn_from_what_they_are_tested_on() {
        let (width, height) = (60, 40);
        let samples: Vec<u8> = (0..width * height * 3)
            .map(|i| (i * 7 % 251) as u8)
            .collect();
        let image = Pixels::new(width, height, 3, samples).unwrap();
        let shown = |plan: ViewPlan<'_>, len: usize| {
            let mut view = vec![f32::NAN; len];
            plan.render_image(&image, &mut Scratch::new(), &mut view)
                .unwrap();
            view
        };
        let usual = Augment::new([16, 16], 3);
        let tested = shown(usual.evaluation_view([width, height]), usual.view_len());
        for (augment, equal) in [(false, true), (true, false)] {
            let views = training_views(usual.clone(), augment);
            for epoch in 0..3 {
                let plan = views.training_view([width, height], Key::new(0, epoch, 5));
                assert_eq!(shown(plan, views.view_len()) == tested, equal);
            }
        }
    }
}
