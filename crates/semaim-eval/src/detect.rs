//! Training a detector: an encoder with pyramid and heads, on images with boxes and masks (ViTDet's Mask R-CNN).
//!
//! The losses of a batch are in `detect/task.rs`, everything that can be set in [`config`], and the loop is the one that
//! pre-trains ([`semaim_train::trainer`]). [`find`] is a detector at work, [`score`](mod@score) what COCO's numbers say of it.

pub mod config;
pub mod data;
pub mod detector;
mod evaluator;
pub mod file;
pub mod find;
pub mod memory;
pub mod score;
mod start;
mod task;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use burn::module::Module;
use burn::tensor::Device;
use semaim::init::initialize;
use semaim::vit::Vit;
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::error::EncoderError;
use semaim_checkpoint::model_file::ModelFile;
use semaim_data::{AugmentError, DataError, ObjectSet, Source};
use semaim_detect::config::{ConfigError, DetectorConfig};
use semaim_detect::error::DetectError;
use semaim_detect::model::MaskRcnn;
use semaim_detect::names::layer;
use semaim_train::callbacks::{Callbacks, Observer};
use semaim_train::error::TrainError;
use semaim_train::freeze::with_frozen_blocks;
use semaim_train::run_dir::RunDir;
use semaim_train::state::{TrainCounters, TrainState};
use semaim_train::step_time::step_time;
use semaim_train::trainer::{Images, RunOutcome, train};

use crate::results::{self, ResultsError};
use crate::run_start::{EvaluatedImages, StartError, StartingEncoder};

use config::DetectConfig;
use data::ObjectSplits;
use detector::{DetectorInfo, DetectorSettings};
use evaluator::DetectEvaluator;
use file::{DetectorFile, DetectorFileError};
use score::ObjectScores;
use start::{Started, started};
use task::{DetectTask, param_groups};

/// What training came to.
pub type Results = results::Results<ObjectScores>;

/// Why training a detector could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum DetectRunError {
    /// The encoder cannot be used.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// The run cannot start from the encoder, or go on with it.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The detector that is to be trained on cannot be used.
    #[error(transparent)]
    File(#[from] DetectorFileError),
    /// A way of reading encoders is told for a detector.
    #[error("{path} is a detector, which encoder.{key} says nothing of; leave it out")]
    NotOfADetector {
        /// The file.
        path: PathBuf,
        /// The setting.
        key: &'static str,
    },
    /// What a detector's file does not say is told of an encoder.
    #[error(
        "{path} is no detector, and {key} (--classes, where that is detectron2.classes) says what a detector's file does not; leave it out"
    )]
    NoDetector {
        /// The file.
        path: PathBuf,
        /// The setting.
        key: &'static str,
    },
    /// The images or their objects cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Settings that this encoder does not fit.
    #[error("detector.{key} {message}", key = .0.key, message = .0.message)]
    Config(#[from] ConfigError),
    /// The network.
    #[error(transparent)]
    Detect(DetectError),
    /// The images cannot be shown as asked.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// Nothing to learn.
    #[error("{set}: there is no object to learn from")]
    NoObjects {
        /// The training split.
        set: String,
    },
    /// The run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The results of a finished run cannot be read.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// An encoder ready to become a detector of the objects of some images.
#[derive(Debug)]
pub struct Prepared {
    start: StartingEncoder,
    train: Arc<ObjectSet>,
    eval: Arc<ObjectSet>,
    info: DetectorInfo,
    model: MaskRcnn,
    said: Vec<String>,
}

impl Prepared {
    /// What is to be said of the first weights, where they are those of another detector.
    pub fn said(&self) -> &[String] {
        &self.said
    }

    /// The images that are trained on.
    pub fn train(&self) -> &Arc<ObjectSet> {
        &self.train
    }

    /// The images that are evaluated on.
    pub fn eval(&self) -> &Arc<ObjectSet> {
        &self.eval
    }

    /// The encoder.
    pub fn encoder(&self) -> &Encoder {
        &self.start.encoder
    }

    /// The detector before its first step.
    pub fn model(&self) -> &MaskRcnn {
        &self.model
    }

    /// What the detector's file will say.
    pub fn info(&self) -> &DetectorInfo {
        &self.info
    }

    fn initial_state(&self, config: &DetectConfig) -> Result<TrainState<MaskRcnn>, TrainError> {
        let depth = self.encoder().config.depth;
        let groups = param_groups(&self.model, config, depth)?;
        let frozen = config.train.freeze_blocks;
        Ok(TrainState {
            model: with_frozen_blocks(self.model.clone(), frozen, depth, layer)?,
            ema: None,
            optimizer: config.optimizer.adamw(groups),
            counts: TrainCounters::default(),
        })
    }

    fn images(&self, config: &DetectConfig) -> Result<Images<ObjectSet>, AugmentError> {
        let augment = config.augment(&self.encoder().normalization);
        augment.check()?;
        Ok(Images {
            source: Arc::clone(&self.train),
            augment,
        })
    }
}

/// The encoder of a whole detector, as what a run starts from.
fn of_detector(
    detector: &DetectorFile,
    named: &Path,
    device: &Device,
) -> Result<StartingEncoder, EncoderError> {
    let layout = match ModelFile::kind_at(&detector.path) {
        Some(_) => "semaim",
        None => "detectron2",
    };
    StartingEncoder::new(detector.encoder(device)?, &detector.path, layout, named)
}

/// Reads the encoder or the detector that training starts from first, then opens the images in the form that it takes. Where its
/// file is gone, a run that is there in the directory `run` goes on without it.
///
/// # Errors
/// [`DetectRunError`].
pub fn prepare(
    config: &DetectConfig,
    run: &Path,
    device: &Device,
) -> Result<Prepared, DetectRunError> {
    let detector = config.starting_detector()?;
    let mut start = match &detector {
        Some(detector) => of_detector(detector, &config.encoder.weights, device)?,
        None => config.starting_encoder(run, device)?,
    };
    let encoder = &mut start.encoder;
    if config.from_scratch {
        encoder.vit = initialize(
            Vit::zeros_as(&encoder.config, &encoder.vit.arch_options(), device),
            config.seed,
        );
    }
    let (vit, canvas) = (&encoder.config, config.detector.canvas);
    // Before images are opened, which may take long.
    config.detector.validate(vit.patch_size, vit.depth)?;
    let ObjectSplits { train, eval } =
        config
            .data
            .open(&encoder.normalization, canvas, config.seed)?;
    let objects = train.count_objects();
    if objects.all == 0 {
        return Err(DetectRunError::NoObjects {
            set: train.describe(),
        });
    }
    let heads = DetectorConfig {
        classes: train.classes().len(),
        ..config.detector.clone()
    };
    let settings = DetectorSettings {
        detector: heads.clone(),
        category_ids: train.category_ids().to_vec(),
        masks: objects.with_masks > 0,
    };
    let info = DetectorInfo::new(encoder, train.classes().to_vec(), settings);
    let model = MaskRcnn::new(encoder.vit.clone(), heads, config.seed, device);
    let model = model.map_err(DetectRunError::Detect)?;
    let Started { mut model, said } = match &detector {
        Some(from) if !config.from_scratch => {
            started(model, from, train.classes(), config.encoder_only)?
        }
        _ => Started {
            model,
            said: Vec::new(),
        },
    };
    if config.freeze {
        model.backbone = model.backbone.no_grad();
    }
    Ok(Prepared {
        start,
        train: Arc::new(train),
        eval: Arc::new(eval),
        info,
        model,
        said,
    })
}

/// How long an optimizer step takes, measured on one image.
///
/// # Errors
/// [`DetectRunError`].
pub fn time_of_step(
    config: &DetectConfig,
    prepared: &Prepared,
    device: &Device,
) -> Result<Duration, DetectRunError> {
    let task = DetectTask {
        config,
        info: &prepared.info,
        device,
    };
    let state = prepared.initial_state(config)?;
    let images = prepared.images(config)?;
    Ok(step_time(&task, state, config.run(), &images, 1)?)
}

/// Trains in a run directory, from its latest checkpoint if it has one; with the encoder and the evaluation images that it began
/// with.
///
/// # Errors
/// [`DetectRunError`]; whatever was saved before stays.
pub fn detect(
    config: &DetectConfig,
    prepared: &Prepared,
    run: &RunDir,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<(RunOutcome, Results), DetectRunError> {
    let evaluated = EvaluatedImages::of(&*prepared.eval);
    prepared.start.hold(run, evaluated, observer)?;
    Results::so_far(run)?;
    let info = &prepared.info;
    let initial_state = prepared.initial_state(config)?;
    let images = prepared.images(config)?;
    let task = DetectTask {
        config,
        info,
        device,
    };
    let mut evaluator = DetectEvaluator {
        config,
        info,
        set: &prepared.eval,
        run,
    };
    let callbacks = Callbacks {
        observer,
        evaluator: &mut evaluator,
    };
    let outcome = train(&task, initial_state, config.run(), images, run, callbacks)?;
    Ok((outcome, Results::read(run)?))
}
