//! Everything that can be set, with its default; `check.rs` says what is allowed.
//!
//! The defaults are a small encoder for images of one's own; recipes say what differs from them.

mod check;

use semaim::config::{Decoder, DecoderWeights, Head, SemaimConfig, VitConfig};
use semaim::order::Order;
use semaim::similarity::Similarity;
use semaim::target::{Blur, PixelLoss, PixelTarget, Target};
use semaim_data::{Augment, OpenOptions, ShapesOptions};
use semaim_kernels::Recompute;
use serde::{Deserialize, Serialize};

use crate::adamw::AdamW;
use crate::groups::Grouping;
use crate::schedule::{LearningRate, scaled_to_batch};

/// One pre-training experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PretrainConfig {
    /// Seed of every random draw: weights, order of the images, crops, order noise, drop path, `shapes`.
    pub seed: u64,
    /// The images.
    pub data: DataConfig,
    /// The encoder.
    pub model: VitConfig,
    /// The query stream.
    pub decoder: Decoder,
    /// The order of prediction.
    pub order: OrderConfig,
    /// What is predicted.
    pub target: TargetConfig,
    /// The run.
    pub train: TrainConfig,
    /// The update.
    pub optimiser: OptimiserConfig,
    /// Evaluation during the run.
    pub eval: EvalConfig,
    /// What is kept on the disk.
    pub checkpoint: CheckpointConfig,
    /// What is logged.
    pub log: LogConfig,
}

impl Default for PretrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            data: DataConfig::default(),
            model: VitConfig {
                image_size: [64, 64],
                patch_size: 8,
                channels: 3,
                embed_dim: 128,
                depth: 4,
                num_heads: 4,
                mlp_ratio: 4.0,
            },
            decoder: Decoder {
                query_depth: 2,
                weights: DecoderWeights::Own,
                head: Head::Mlp,
            },
            order: OrderConfig::default(),
            target: TargetConfig::default(),
            train: TrainConfig::default(),
            optimiser: OptimiserConfig::default(),
            eval: EvalConfig::default(),
            checkpoint: CheckpointConfig::default(),
            log: LogConfig::default(),
        }
    }
}

/// The images and how they are shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// `shapes`, a folder, tar files, an IDX file or a list; see `semaim pretrain --help`.
    pub path: String,
    /// Labelled images for kNN, in any of the same forms; empty: the evaluation split of `path`, if it has labels.
    pub eval: String,
    /// Generated training images when `path` is `shapes`.
    pub shapes_count: usize,
    /// Generated evaluation images when `path` is `shapes`.
    pub shapes_eval_count: usize,
    /// Smallest and largest share of an image's area that a crop shows, within (0, 1].
    pub crop_scale: [f64; 2],
    /// Smallest and largest width-to-height ratio of a crop.
    pub crop_ratio: [f64; 2],
    /// Probability of mirroring, in [0, 1].
    pub flip: f64,
    /// Per channel, subtracted from values in [0, 1]; empty: ImageNet's for 1 and 3 channels, 0.5 for others.
    pub mean: Vec<f32>,
    /// Per channel, divided by after that; empty: ImageNet's for 1 and 3 channels, 0.25 for others.
    pub std: Vec<f32>,
    /// Largest image that is decoded, in pixels.
    pub max_pixels: u64,
    /// Share of unreadable images that stops the run.
    pub max_bad_fraction: f64,
    /// Threads that prepare images; 0: one per core.
    pub workers: usize,
    /// Batches prepared ahead.
    pub queue: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            path: "shapes".into(),
            eval: String::new(),
            shapes_count: 6_000,
            shapes_eval_count: 1_000,
            crop_scale: [0.2, 1.0],
            crop_ratio: [3.0 / 4.0, 4.0 / 3.0],
            flip: 0.5,
            mean: Vec::new(),
            std: Vec::new(),
            max_pixels: 100_000_000,
            max_bad_fraction: 0.01,
            workers: 0,
            queue: 4,
        }
    }
}

/// Whose features give the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderSource {
    /// The model's own.
    #[default]
    Model,
    /// Its EMA copy's; needs `train.ema`.
    Ema,
}

/// The order of prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrderConfig {
    /// Which order.
    pub kind: Order,
    /// How similarity is measured, for the orders that need it.
    pub similarity: Similarity,
    /// Whose features give it.
    pub source: OrderSource,
}

/// What is predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetConfig {
    /// Which kind of target.
    pub kind: TargetKind,
    /// Side of the blur's kernel in pixels; 0: no blur.
    pub blur_size: usize,
    /// Standard deviation of the blur in pixels.
    pub blur_sigma: f64,
    /// Whether each patch is normalised.
    pub normalise: bool,
    /// The distance.
    pub loss: PixelLoss,
}

impl Default for TargetConfig {
    fn default() -> Self {
        Self {
            kind: TargetKind::Pixels,
            blur_size: 9,
            blur_sigma: 1.0,
            normalise: true,
            loss: PixelLoss::L2,
        }
    }
}

/// The kinds of target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// The pixels of each patch.
    #[default]
    Pixels,
}

/// What to do about a loss or gradient that is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNan {
    /// Save the last good weights and stop.
    #[default]
    Stop,
    /// Leave the step out, count it and go on.
    Skip,
}

/// The run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the images.
    pub epochs: u64,
    /// Images per optimiser step.
    pub batch_size: usize,
    /// Parts that a batch is computed in, one after the other, to save memory; divides `batch_size`.
    pub accumulate: usize,
    /// What the backward pass computes again to save memory: `none`, the hidden layers of the MLPs (`mlp`), or all of
    /// each block (`block`). The results are the same to the bit. Only the fused operations of the CPU do this.
    pub recompute: Recompute,
    /// Largest gradient norm; larger gradients are scaled down. 0: no clipping.
    pub clip_norm: f64,
    /// Probability of leaving out a residual branch of the last block, in [0, 1).
    pub drop_path: f64,
    /// Whether an EMA copy is kept.
    pub ema: bool,
    /// What to do about a loss or gradient that is not finite.
    pub on_nan: OnNan,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch_size: 64,
            accumulate: 1,
            recompute: Recompute::None,
            clip_norm: 3.0,
            drop_path: 0.0,
            ema: false,
            on_nan: OnNan::Stop,
        }
    }
}

/// The update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimiserConfig {
    /// Peak learning rate per 256 images of the batch.
    pub base_lr: f64,
    /// Learning rate at the end.
    pub min_lr: f64,
    /// Length of the linear warm-up in epochs.
    pub warmup_epochs: f64,
    /// Decoupled weight decay; biases and norms have none.
    pub weight_decay: f64,
    /// Decay of AdamW's running means.
    pub betas: [f64; 2],
    /// AdamW's epsilon.
    pub epsilon: f64,
}

impl Default for OptimiserConfig {
    fn default() -> Self {
        Self {
            base_lr: 4e-3,
            min_lr: 0.0,
            warmup_epochs: 2.0,
            weight_decay: 0.05,
            betas: [0.9, 0.95],
            epsilon: 1e-8,
        }
    }
}

/// What represents an image in kNN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// The class token.
    Cls,
    /// The mean of the patch tokens.
    #[default]
    Mean,
}

/// Evaluation during the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// Epochs between evaluations; 0: only before and after.
    pub every_epochs: u64,
    /// What represents an image.
    pub feature: Feature,
    /// Neighbours that vote.
    pub knn_k: usize,
    /// Temperature of the vote: a neighbour counts exp(cosine / temperature).
    pub knn_temperature: f64,
    /// Largest number of labelled images searched for neighbours; 0: all.
    pub max_bank: usize,
    /// Largest number of images classified; 0: all.
    pub max_queries: usize,
    /// Images per forward pass.
    pub batch_size: usize,
    /// Images in the picture of the learned orders; 0: no picture.
    pub pictures: usize,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self {
            every_epochs: 5,
            feature: Feature::Mean,
            knn_k: 20,
            knn_temperature: 0.07,
            max_bank: 50_000,
            max_queries: 10_000,
            batch_size: 64,
            pictures: 8,
        }
    }
}

/// What is kept on the disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Longest time without a checkpoint, in minutes.
    pub every_minutes: f64,
    /// Steps between checkpoints; 0: by time, and at the end of the run.
    pub every_steps: u64,
    /// Keep the checkpoint of every n-th epoch beside the newest two; 0: only the newest two.
    pub keep_every_epochs: u64,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            every_minutes: 5.0,
            every_steps: 0,
            keep_every_epochs: 0,
        }
    }
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Steps between lines of `metrics.jsonl`.
    pub every_steps: u64,
    /// Whether TensorBoard event files are written.
    pub tensorboard: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            every_steps: 10,
            tensorboard: true,
        }
    }
}

/// Keys that may change when a run goes on: they do not change what it computes.
pub const VOLATILE_KEYS: &[&str] = &[
    "data.workers",
    "data.queue",
    "data.max_bad_fraction",
    "eval",
    "checkpoint",
    "log",
    "train.on_nan",
];

impl PretrainConfig {
    /// The model's sizes.
    pub fn semaim(&self) -> SemaimConfig {
        SemaimConfig {
            vit: self.model.clone(),
            decoder: self.decoder.clone(),
        }
    }

    /// The target.
    pub fn target(&self) -> Target {
        let TargetConfig {
            kind: TargetKind::Pixels,
            blur_size,
            blur_sigma,
            normalise,
            loss,
        } = self.target;
        Target::Pixels(PixelTarget {
            blur: (blur_size > 0).then_some(Blur {
                size: blur_size,
                sigma: blur_sigma,
            }),
            normalise,
            loss,
        })
    }

    /// How images are shown to the model.
    pub fn augment(&self) -> Augment {
        let usual = Augment::new(self.model.image_size, self.model.channels);
        let or_usual = |given: &[f32], usual: Vec<f32>| match given {
            [] => usual,
            given => given.to_vec(),
        };
        Augment {
            crop_scale: self.data.crop_scale,
            crop_ratio: self.data.crop_ratio,
            flip: self.data.flip,
            mean: or_usual(&self.data.mean, usual.mean.clone()),
            std: or_usual(&self.data.std, usual.std.clone()),
            ..usual
        }
    }

    /// How data sets are opened.
    pub fn open_options(&self) -> OpenOptions {
        let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
        OpenOptions {
            channels: self.model.channels,
            max_pixels: self.data.max_pixels,
            shapes: ShapesOptions {
                count: self.data.shapes_count,
                image_size: self.model.image_size.map(side),
                seed: self.seed,
                ..ShapesOptions::default()
            },
        }
    }

    /// The learning rate over the run.
    pub fn learning_rate(&self) -> LearningRate {
        LearningRate {
            peak: scaled_to_batch(self.optimiser.base_lr, self.train.batch_size),
            min: self.optimiser.min_lr,
            warmup_epochs: self.optimiser.warmup_epochs,
            epochs: self.train.epochs as f64,
        }
    }

    /// A fresh optimiser.
    pub fn adamw(&self) -> AdamW {
        let grouping = Grouping::Pretrain {
            weight_decay: self.optimiser.weight_decay,
        };
        AdamW::new(self.optimiser.betas, self.optimiser.epsilon, grouping)
    }

    /// Images per forward and backward pass.
    pub fn micro_batch(&self) -> usize {
        self.train.batch_size / self.train.accumulate
    }
}
