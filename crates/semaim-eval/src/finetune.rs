//! Fine-tuning: an encoder and a head trained as a whole on labeled images.
//!
//! The loss of a batch is in `finetune/task.rs`, everything that can be set in [`config`], and the loop is the one that
//! pre-trains ([`semaim_train::trainer`]): it resumes bit for bit, logs and checkpoints in the same way.

pub mod config;
mod evaluator;
mod task;

use std::path::Path;

use burn::tensor::Device;
use semaim::classifier::Classifier;
use semaim::init::initialize;
use semaim::vit::Vit;
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::error::EncoderError;
use semaim_data::{Augment, AugmentError, OpenOptions};
use semaim_train::callbacks::{Callbacks, Observer};
use semaim_train::error::TrainError;
use semaim_train::freeze::with_frozen_blocks;
use semaim_train::param_groups::{ParamGroups, layer};
use semaim_train::run_dir::RunDir;
use semaim_train::state::{TrainCounters, TrainState};
use semaim_train::trainer::{Images, RunOutcome, train};

use crate::classify::{Classification, ClassifyError};
use crate::results::{self, ResultsError};
use crate::run_start::{EvaluatedImages, StartError, StartingEncoder};
use crate::splits::{LabeledSplits, SplitsError};
use crate::unreadable::Unreadable;
use config::FinetuneConfig;
use evaluator::FinetuneEvaluator;
use task::FinetuneTask;

/// What fine-tuning came to; the best by top-1.
pub type Results = results::Results<Classification>;

/// Why fine-tuning could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum FinetuneError {
    /// The encoder cannot be used.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// The run cannot start from the encoder, or go on with it.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The labeled images cannot be used.
    #[error(transparent)]
    Labeled(#[from] SplitsError),
    /// The run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The images cannot be augmented as asked.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// The classifier could not be evaluated.
    #[error(transparent)]
    Classify(#[from] ClassifyError),
    /// The results of a finished run cannot be read.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// An encoder ready to be fine-tuned on labeled images.
#[derive(Clone, Debug)]
pub struct Prepared {
    start: StartingEncoder,
    sets: LabeledSplits,
}

impl Prepared {
    /// The training and the test split.
    pub fn sets(&self) -> &LabeledSplits {
        &self.sets
    }

    /// The encoder's file, its position table resized to the size of the images.
    pub fn encoder(&self) -> &Encoder {
        &self.start.encoder
    }
}

/// Reads the encoder first, then opens the images in the form that it takes. Where the encoder's file is gone, a run that is there
/// in the directory `run` goes on without it.
///
/// # Errors
/// [`FinetuneError`].
pub fn prepare(
    config: &FinetuneConfig,
    run: &Path,
    device: &Device,
) -> Result<Prepared, FinetuneError> {
    let mut start = StartingEncoder::read(&config.encoder, run, device)?;
    if let Some(size) = config.encoder.image_size {
        start = start.resized(size)?;
    }
    let encoder = &mut start.encoder;
    if config.from_scratch {
        encoder.vit = initialize(
            Vit::zeros_as(&encoder.config, &encoder.vit.arch_options(), device),
            config.seed,
        );
    }
    let options = OpenOptions {
        unit_floats: encoder.normalization.is_a_convention(),
        ..config.data.open_options(
            encoder.config.image_size,
            encoder.config.channels,
            config.seed,
        )
    };
    let sets = LabeledSplits::for_training(&config.data, &options, config.seed)?;
    Ok(Prepared { start, sets })
}

/// Fine-tunes in a run directory, from its latest checkpoint if it has one; with the encoder and the test images that it began with.
///
/// # Errors
/// [`FinetuneError`]; whatever was saved before stays.
pub fn finetune(
    config: &FinetuneConfig,
    prepared: Prepared,
    run: &RunDir,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<(RunOutcome, Results), FinetuneError> {
    let Prepared { start, sets } = prepared;
    let tested = EvaluatedImages::of(&*sets.test.as_source());
    start.hold(run, tested, observer)?;
    Results::so_far(run)?;
    let encoder = start.encoder;
    let augment = augment(config, &encoder);
    augment.check()?;
    let classes = sets.train.source.classes().to_vec();
    let param_groups = ParamGroups::LayerDecay {
        weight_decay: config.optimizer.weight_decay,
        decay: config.layer_decay,
        depth: encoder.config.depth,
    };
    let model = Classifier::new(
        encoder.vit.clone(),
        config.pool,
        classes.len(),
        config.seed,
        device,
    );
    let (frozen, depth) = (config.train.freeze_blocks, encoder.config.depth);
    let model = with_frozen_blocks(model, frozen, depth, layer)?;
    let initial_state = TrainState {
        model,
        ema: None,
        optimizer: config.optimizer.adamw(param_groups),
        counts: TrainCounters::default(),
    };
    let task = FinetuneTask {
        config,
        encoder: &encoder,
        classes: &classes,
        device,
    };
    let mut evaluator = FinetuneEvaluator {
        config,
        encoder: &encoder,
        classes: &classes,
        images: &sets.test,
        augment: &augment,
        run,
        unreadable: Unreadable::of(run),
    };
    let images = Images {
        source: sets.train.as_source(),
        augment: augment.clone(),
    };
    let callbacks = Callbacks {
        observer,
        evaluator: &mut evaluator,
    };
    let outcome = train(&task, initial_state, config.run(), images, run, callbacks)?;
    Ok((outcome, Results::read(run)?))
}

/// How images are shown while fine-tuning.
fn augment(config: &FinetuneConfig, encoder: &Encoder) -> Augment {
    let vit = &encoder.config;
    Augment {
        // An encoder sees images as it learned to see them.
        normalization: encoder.normalization.clone(),
        rand_augment: config.augment.rand_augment(),
        erase: config.augment.random_erasing(),
        ..config.data.augment(vit.image_size, vit.channels)
    }
}
