//! Training a segmenter: an encoder with a linear head or UPerNet, on images with the class of every pixel.
//!
//! The losses of a batch are in `segment/task.rs`, everything that can be set in [`config`], and the loop is the one that
//! pre-trains ([`semaim_train::trainer`]). [`label`] is a segmenter at work, [`score`](mod@score) what mIoU says of it.

pub mod config;
pub mod data;
mod evaluator;
mod feature_cache;
pub mod label;
pub mod memory;
pub mod score;
pub mod segmenter;
mod task;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use burn::tensor::Device;
use semaim::init::initialize;
use semaim::vit::Vit;
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::error::EncoderError;
use semaim_data::{AugmentError, DataError, LabelMapSet, Source};
use semaim_segment::config::{ConfigError, HeadKind};
use semaim_segment::error::SegmentError;
use semaim_segment::model::Segmenter;
use semaim_train::callbacks::{Callbacks, Observer};
use semaim_train::error::TrainError;
use semaim_train::freeze::with_frozen_blocks;
use semaim_train::param_groups::layer;
use semaim_train::run_dir::RunDir;
use semaim_train::state::{TrainCounters, TrainState};
use semaim_train::step_time::step_time;
use semaim_train::trainer::{Images, RunOutcome, train};

use crate::results::{self, ResultsError};
use crate::run_start::{EvaluatedImages, StartError, StartingEncoder};
use config::SegmentConfig;
use data::LabelSplits;
use evaluator::SegmentEvaluator;
pub use feature_cache::Caching;
use feature_cache::FeatureCache;
use score::SegmentationScores;
use segmenter::{SegmenterInfo, SegmenterSettings};
use task::{SegmentTask, param_groups};

/// What training came to.
pub type Results = results::Results<SegmentationScores>;

/// Why training a segmenter could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum SegmentRunError {
    /// The encoder cannot be used.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// The run cannot start from the encoder, or go on with it.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The images or their labels cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Settings that this encoder does not fit.
    #[error("{key} {message}", key = .0.key, message = .0.message)]
    Config(#[from] ConfigError),
    /// A crop that the encoder's patches do not fill.
    #[error(
        "augment.crop {crop} must be a multiple of the encoder's patch size {patch}, at least {least}"
    )]
    Crop {
        /// The setting.
        crop: usize,
        /// Side of a patch.
        patch: usize,
        /// The least that the head takes.
        least: usize,
    },
    /// The network.
    #[error(transparent)]
    Segment(SegmentError),
    /// The images cannot be shown as asked.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// The run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The results of a finished run cannot be read.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// An encoder ready to become a segmenter of some images.
#[derive(Debug)]
pub struct Prepared {
    start: StartingEncoder,
    train: Arc<LabelMapSet>,
    eval: Arc<LabelMapSet>,
    info: SegmenterInfo,
    model: Segmenter,
    caching: Caching,
}

impl Prepared {
    /// The images that are trained on.
    pub fn train(&self) -> &Arc<LabelMapSet> {
        &self.train
    }

    /// The images that are evaluated on.
    pub fn eval(&self) -> &Arc<LabelMapSet> {
        &self.eval
    }

    /// The encoder, for images as large as those trained on.
    pub fn encoder(&self) -> &Encoder {
        &self.start.encoder
    }

    /// The segmenter before its first step.
    pub fn model(&self) -> &Segmenter {
        &self.model
    }

    /// What the segmenter's file will say.
    pub fn info(&self) -> &SegmenterInfo {
        &self.info
    }

    /// Whether the encoder, where it is frozen, sees each training image once.
    pub fn caching(&self) -> &Caching {
        &self.caching
    }

    fn initial_state(&self, config: &SegmentConfig) -> Result<TrainState<Segmenter>, TrainError> {
        let depth = self.encoder().config.depth;
        let groups = param_groups(config, depth);
        let frozen = config.train.freeze_blocks;
        Ok(TrainState {
            model: with_frozen_blocks(self.model.clone(), frozen, depth, layer)?,
            ema: None,
            optimizer: config.optimizer.adamw(groups),
            counts: TrainCounters::default(),
        })
    }

    fn images(&self, config: &SegmentConfig) -> Result<Images<LabelMapSet>, AugmentError> {
        let augment = config.augment(&self.encoder().normalization);
        augment.check()?;
        Ok(Images {
            source: Arc::clone(&self.train),
            augment,
        })
    }
}

/// Reads the encoder first, then opens the images in the form that it takes. Where the encoder's file is gone, a run that is there
/// in the directory `run` goes on without it.
///
/// # Errors
/// [`SegmentRunError`].
pub fn prepare(
    config: &SegmentConfig,
    run: &Path,
    device: &Device,
) -> Result<Prepared, SegmentRunError> {
    let start = StartingEncoder::read(&config.encoder, run, device)?;
    let (vit, crop) = (&start.encoder.config, config.augment.crop);
    let patch = vit.patch_size;
    let least = match config.head {
        HeadKind::Linear => patch,
        // The coarsest map has half as many positions each way, and batch norm needs more than one value.
        HeadKind::Upernet if config.train.micro_batch() < 2 => 4 * patch,
        HeadKind::Upernet => 2 * patch,
    };
    if !crop.is_multiple_of(patch) || crop < least {
        return Err(SegmentRunError::Crop { crop, patch, least });
    }
    // Before images are opened, which may take long.
    config.segmenter(2).validate(vit.depth)?;
    let mut start = start.resized([crop; 2])?;
    let encoder = &mut start.encoder;
    if config.from_scratch {
        encoder.vit = initialize(
            Vit::zeros_as(&encoder.config, &encoder.vit.arch_options(), device),
            config.seed,
        );
    }
    let share = config.augment.max_class_share;
    let LabelSplits { train, eval } =
        config
            .data
            .open(&encoder.normalization, crop, share, config.seed)?;
    let segmenter = config.segmenter(train.classes().len());
    let settings = SegmenterSettings {
        segmenter: segmenter.clone(),
        size: config.test_size(),
        values: train.values().to_vec(),
        ignore_zero: config.data.ignore_zero,
    };
    let info = SegmenterInfo::new(encoder, train.classes().to_vec(), settings);
    let model = Segmenter::new(encoder.vit.clone(), segmenter, config.seed, device);
    let model = model.map_err(SegmentRunError::Segment)?;
    let maps = match config.head {
        HeadKind::Linear => 1,
        HeadKind::Upernet => 4,
    };
    let numbers = encoder.config.grid().patches() * encoder.config.embed_dim * maps;
    Ok(Prepared {
        caching: Caching::decide(config, train.len() as u64, numbers as u64),
        model: if config.freeze { model.frozen() } else { model },
        start,
        train: Arc::new(train),
        eval: Arc::new(eval),
        info,
    })
}

/// How long an optimizer step takes, measured on two images, or on one where batches hold no more; a frozen encoder is counted
/// with every image.
///
/// # Errors
/// [`SegmentRunError`].
pub fn time_of_step(
    config: &SegmentConfig,
    prepared: &Prepared,
    device: &Device,
) -> Result<Duration, SegmentRunError> {
    let task = SegmentTask {
        config,
        info: &prepared.info,
        device,
        cache: None,
    };
    let images = prepared.images(config)?;
    let state = prepared.initial_state(config)?;
    // Batch norm needs two where UPerNet pools to one value.
    let together = config.train.micro_batch().min(2);
    Ok(step_time(&task, state, config.run(), &images, together)?)
}

/// Trains in a run directory, from its latest checkpoint if it has one; with the encoder and the evaluation images that it began
/// with.
///
/// # Errors
/// [`SegmentRunError`]; whatever was saved before stays.
pub fn segment(
    config: &SegmentConfig,
    prepared: &Prepared,
    run: &RunDir,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<(RunOutcome, Results), SegmentRunError> {
    let evaluated = EvaluatedImages::of(&*prepared.eval);
    prepared.start.hold(run, evaluated, observer)?;
    Results::so_far(run)?;
    let info = &prepared.info;
    let task = SegmentTask {
        config,
        info,
        device,
        cache: matches!(prepared.caching, Caching::Once(_)).then(FeatureCache::new),
    };
    let images = prepared.images(config)?;
    let mut evaluator = SegmentEvaluator {
        config,
        info,
        set: &prepared.eval,
        run,
    };
    let callbacks = Callbacks {
        observer,
        evaluator: &mut evaluator,
    };
    let state = prepared.initial_state(config)?;
    let outcome = train(&task, state, config.run(), images, run, callbacks)?;
    Ok((outcome, Results::read(run)?))
}
