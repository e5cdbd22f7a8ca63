//! Everything that can be set, with its default; `check.rs` says what is allowed, `unused.rs` what a run does not look at.
//!
//! The defaults are a small encoder for images of one's own; recipes say what differs from them.

mod check;
mod data;
mod data_names;
mod run;
mod unused;

use std::path::PathBuf;

use burn::tensor::Tensor;
use semaim::config::{ArchOptions, Decoder, DecoderWeights, Head, SemaimConfig, VitConfig};
use semaim::mae::MaeConfig;
use semaim::order::Order;
use semaim::param_count::ParamCount;
use semaim::representation::Representation;
use semaim::similarity::Similarity;
use semaim::target::{Blur, PixelLoss, PixelTarget, Target};
use semaim::vit::Vit;
use semaim_checkpoint::weights_source::WeightsSource;
use semaim_data::{Augment, OpenOptions};
use serde::{Deserialize, Serialize};

use crate::optimizer::Optimizer;
use crate::param_groups::ParamGroups;
use crate::run_dir::RunConfig;

pub use data::{DataConfig, Loading};
pub use data_names::DataNames;
pub use run::{
    CheckpointConfig, LogConfig, OnNan, OptimizerConfig, RESUMABLE_KEYS, RunSettings, TrainConfig,
};
pub use unused::{Unused, setting, unused_counts, unused_of_own};

/// One pre-training experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PretrainConfig {
    /// How it learns.
    pub method: Method,
    /// Seed of every random draw: weights, order of the images, crops, order noise, drop path, `shapes`.
    pub seed: u64,
    /// The images.
    pub data: DataConfig,
    /// The encoder. Of a run that starts from weights these sizes are the weights', unless they are set.
    pub model: VitConfig,
    /// Where the encoder differs from SemAIM's own; of a run that starts from weights as the weights have it.
    pub arch: ArchOptions,
    /// Weights that the encoder starts from (`--init`); none: it starts from nothing. They are read before the first step
    /// alone.
    pub encoder: WeightsSource,
    /// What the query blocks start from.
    pub query_start: QueryStart,
    /// Whether the encoder's position table is trained.
    pub positions: Positions,
    /// Learning rate of a layer of the encoder over that of the layer above it, in (0, 1].
    pub layer_decay: f64,
    /// Epochs at the beginning in which only the parts learn that do not start from weights.
    pub new_parts_epochs: f64,
    /// The query stream, for `method = "semaim"`.
    pub decoder: Decoder,
    /// Mask and decoder, for `method = "mae"`.
    pub mae: MaeConfig,
    /// The order of prediction.
    pub order: OrderConfig,
    /// What is predicted.
    pub target: TargetConfig,
    /// A frozen network that gives order, target or both.
    pub teacher: WeightsSource,
    /// A folder in which what the teacher says of each view is kept, so that each is shown to it once; empty: none. Needs
    /// views that are fixed but for mirroring: `data.crop_scale = [1.0, 1.0]`.
    pub teacher_cache: PathBuf,
    /// The run.
    pub train: TrainConfig,
    /// The update.
    pub optimizer: OptimizerConfig,
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
            method: Method::Semaim,
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
            arch: ArchOptions::default(),
            encoder: WeightsSource::default(),
            query_start: QueryStart::default(),
            positions: Positions::default(),
            layer_decay: 1.0,
            new_parts_epochs: 0.0,
            decoder: Decoder {
                query_depth: 2,
                weights: DecoderWeights::Own,
                head: Head::Mlp,
                ..Decoder::default()
            },
            mae: MaeConfig::default(),
            order: OrderConfig::default(),
            target: TargetConfig::default(),
            teacher: WeightsSource::default(),
            teacher_cache: PathBuf::new(),
            train: TrainConfig::default(),
            optimizer: OptimizerConfig::default(),
            eval: EvalConfig::default(),
            checkpoint: CheckpointConfig::default(),
            log: LogConfig::default(),
        }
    }
}

/// How an encoder learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Predicting patches in an order; which order is a setting (`order.kind`).
    #[default]
    Semaim,
    /// Predicting removed patches: the masked autoencoder.
    Mae,
}

/// What the query blocks of a run that starts from weights start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueryStart {
    /// Nothing: first weights.
    #[default]
    Fresh,
    /// The weights of the encoder block whose output each of them reads.
    Encoder,
}

/// Whether the encoder's position table is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// It stays as it is: sines and cosines, or that of the weights the run starts from.
    #[default]
    Fixed,
    /// It learns with the rest.
    Trained,
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
    /// A frozen teacher's, by its class token; needs `teacher.weights`.
    Teacher,
    /// Nobody's: similarity maps from the files of `order.maps`.
    Maps,
    /// Nobody's: the share of each patch that the annotated objects of the image cover. For data with annotations (COCO, YOLO,
    /// `shapes`).
    Masks,
}

/// The order of prediction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrderConfig {
    /// Which order.
    pub kind: Order,
    /// How similarity is measured, for the orders that need it.
    pub similarity: Similarity,
    /// Whose features give it, or what else.
    pub source: OrderSource,
    /// The folder of similarity maps for `source = "maps"`: a gray image or an array (`.npy`) for each image, called as the image
    /// but for the ending (`7.png` or `cats/7.png` for `cats/7.jpg`), of any size; it is stretched over the image.
    pub maps: PathBuf,
    /// What the sides of images are divided by for the encoding that gives it, where that is by the model or its EMA copy; divides
    /// the rows and columns of patches. 2: a quarter of the patches.
    pub downscale: usize,
}

impl Default for OrderConfig {
    fn default() -> Self {
        Self {
            kind: Order::default(),
            similarity: Similarity::default(),
            source: OrderSource::default(),
            maps: PathBuf::new(),
            downscale: 1,
        }
    }
}

impl OrderConfig {
    /// The similarity map by an encoder without gradients that the order follows, `[batch, patches]`, where the order is the model's
    /// or its EMA copy's.
    pub fn similarity_by(&self, encoder: &Vit, images: Tensor<4>) -> Tensor<2> {
        self.similarity
            .of_downscaled(encoder, images, self.downscale)
    }
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
    /// Whether each patch is normalized.
    pub normalize: bool,
    /// The distance.
    pub loss: PixelLoss,
}

impl Default for TargetConfig {
    fn default() -> Self {
        let PixelTarget {
            blur,
            normalize,
            loss,
        } = PixelTarget::default();
        Self {
            kind: TargetKind::Pixels,
            blur_size: blur.map_or(0, |blur| blur.size),
            blur_sigma: blur.map_or(1.0, |blur| blur.sigma),
            normalize,
            loss,
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
    /// The tokens of the EMA copy; needs `train.ema`.
    Ema,
    /// The model's own tokens.
    #[serde(rename = "self")]
    Own,
    /// The tokens of a frozen teacher; needs `teacher.weights`.
    Teacher,
}

/// Evaluation during the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// Epochs between evaluations; 0: only before and after.
    pub every_epochs: u64,
    /// What represents an image in kNN: `cls`, `mean` or `both`.
    pub feature: Representation,
    /// Neighbors that vote.
    pub knn_k: usize,
    /// Temperature of the vote: a neighbor counts exp(cosine / temperature).
    pub knn_temperature: f64,
    /// Largest number of labeled images searched for neighbors; 0: all.
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
            feature: Representation::Mean,
            knn_k: 20,
            knn_temperature: 0.07,
            max_bank: 50_000,
            max_queries: 10_000,
            batch_size: 64,
            pictures: 8,
        }
    }
}

impl RunConfig for PretrainConfig {
    fn data_sets(&mut self) -> Vec<&mut String> {
        self.data.data_sets()
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        vec![
            &mut self.encoder.weights,
            &mut self.teacher.weights,
            &mut self.teacher_cache,
            &mut self.order.maps,
        ]
    }

    fn unset() -> Option<Self> {
        Some(Self::default())
    }
}

impl PretrainConfig {
    /// The model's sizes.
    pub fn semaim(&self) -> SemaimConfig {
        SemaimConfig {
            vit: self.model.clone(),
            arch: self.arch.clone(),
            decoder: self.decoder.clone(),
        }
    }

    /// Numbers of trained weights; `teacher` as for [`PretrainConfig::target`].
    pub fn parameters(&self, teacher: Option<usize>) -> ParamCount {
        let width = self.target(teacher).width(&self.model);
        let mut semaim = ParamCount::of(&self.semaim(), width);
        if self.positions == Positions::Trained {
            let rows = 1 + self.model.grid().patches();
            semaim.encoder += (rows * self.model.embed_dim) as u64;
        }
        match self.method {
            Method::Semaim => semaim,
            Method::Mae => ParamCount {
                decoder: self.mae.parameters(&self.model, width),
                ..semaim
            },
        }
    }

    /// The target; `teacher` is the width of the teacher's tokens, where there is one.
    pub fn target(&self, teacher: Option<usize>) -> Target {
        let TargetConfig {
            kind,
            blur_size,
            blur_sigma,
            normalize,
            loss,
        } = self.target;
        let width = match kind {
            TargetKind::Pixels => {
                return Target::Pixels(PixelTarget {
                    blur: (blur_size > 0).then_some(Blur {
                        size: blur_size,
                        sigma: blur_sigma,
                    }),
                    normalize,
                    loss,
                });
            }
            TargetKind::Teacher => teacher.unwrap_or(self.model.embed_dim),
            TargetKind::Ema | TargetKind::Own => self.model.embed_dim,
        };
        Target::Features { width }
    }

    /// What gives the similarity that the order of prediction follows, where it follows one.
    pub fn order_source(&self) -> Option<OrderSource> {
        let follows = self.method == Method::Semaim && self.order.kind.needs_similarity();
        follows.then_some(self.order.source)
    }

    /// Whose tokens are predicted, where tokens are.
    pub fn target_source(&self) -> Option<OrderSource> {
        match self.target.kind {
            TargetKind::Pixels => None,
            TargetKind::Ema => Some(OrderSource::Ema),
            TargetKind::Own => Some(OrderSource::Model),
            TargetKind::Teacher => Some(OrderSource::Teacher),
        }
    }

    /// Whether training needs the teacher.
    pub fn needs_teacher(&self) -> bool {
        let predicted = self.method == Method::Semaim && self.target.kind == TargetKind::Teacher;
        predicted || self.order_source() == Some(OrderSource::Teacher)
    }

    /// How images are shown to the model.
    pub fn augment(&self) -> Augment {
        self.data
            .augment(self.model.image_size, self.model.channels)
    }

    /// How data sets are opened.
    pub fn open_options(&self) -> OpenOptions {
        let VitConfig {
            image_size,
            channels,
            ..
        } = self.model;
        self.data.open_options(image_size, channels, self.seed)
    }

    /// What the trainer reads.
    pub fn run(&self) -> RunSettings<'_> {
        RunSettings {
            seed: self.seed,
            loading: self.data.loading(),
            train: &self.train,
            optimizer: &self.optimizer,
            evaluate_every_epochs: self.eval.every_epochs,
            checkpoint: &self.checkpoint,
            log: &self.log,
        }
    }

    /// The optimizer before its first step, for a run of so many steps per epoch.
    pub fn adamw(&self, steps_per_epoch: u64) -> Optimizer {
        self.optimizer.adamw(ParamGroups::Pretrain {
            weight_decay: self.optimizer.weight_decay,
            layer_decay: self.layer_decay,
            depth: self.model.depth,
            waits: (self.new_parts_epochs * steps_per_epoch as f64).round() as u64,
            queries_trained: self.query_start == QueryStart::Encoder,
        })
    }
}
