//! Pre-training: the loss of a batch, by SemAIM and by masking. The loop is the [trainer's](crate::trainer).

mod mae_task;
mod semaim_task;
mod view_form;

use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use semaim::drop_path::DropPath;
use semaim::mae::Mae;
use semaim::model::Semaim;
use semaim::pretrained::Pretrained;
use semaim::teacher::Teacher;
use semaim_checkpoint::encoder::{Encoder, write_encoder};
use semaim_data::{Batch, MappedImages, SimilarityMap, Source, Split, open_all};

use crate::callbacks::{Callbacks, Evaluator, Observer};
use crate::config::{Method, OrderSource, Positions, PretrainConfig, QueryStart};
use crate::error::TrainError;
use crate::freeze::with_frozen_blocks;
use crate::param_groups::layer;
use crate::ranks;
use crate::run_dir::{RunDir, checkpoints};
use crate::start::{initial_encoder, keep_teacher};
use crate::state::{TrainCounters, TrainState};
use crate::trainer::{Images, RunOutcome, steps_per_epoch, train};
use mae_task::MaeTask;
use semaim_task::SemaimTask;
use view_form::ViewForm;

/// The file of the EMA copy's encoder in the directory of a run that keeps one.
pub const EMA_ENCODER: &str = "encoder_ema.safetensors";

/// Networks that a run reads before its first step.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    /// The teacher, where there is one.
    pub teacher: Option<Encoder>,
    /// The encoder to start from, where the run starts from weights and has not begun.
    pub start: Option<Encoder>,
}

impl Networks {
    /// Reads what a run needs. Where it starts from weights, these are read before its first step alone, and its directory
    /// keeps where they came from.
    ///
    /// # Errors
    /// A file that cannot be read, or a network that does not fit.
    pub fn read(
        config: &PretrainConfig,
        run: &RunDir,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let teacher = teacher(config, device)?;
        let has_begun = !checkpoints(run.path())?.is_empty();
        if let Some(teacher) = &teacher {
            keep_teacher(run.path(), &config.teacher.weights, teacher, has_begun)?;
        }
        let start = match has_begun {
            true => None,
            false => initial_encoder(config, device)?,
        };
        let start = match start {
            Some((encoder, record)) => {
                if ranks::current().is_root() {
                    record.write(run.path())?;
                }
                Some(encoder)
            }
            None => None,
        };
        Ok(Self { teacher, start })
    }
}

/// The images of a run, with the similarity maps that its order follows where they are given from outside.
///
/// # Errors
/// Images or maps that cannot be opened, or that do not belong together.
pub fn training_images(config: &PretrainConfig) -> Result<Arc<MappedImages>, TrainError> {
    let (specs, options) = (config.data.path.as_slice(), config.open_options());
    let grid = config.model.grid();
    let grid = [grid.rows, grid.columns];
    let images = || open_all(specs, Split::Train, &options);
    let images = match config.order_source() {
        Some(OrderSource::Maps) => MappedImages::with_files(images()?, &config.order.maps, grid)?,
        Some(OrderSource::Masks) => MappedImages::with_masks(specs, &options, grid)?,
        _ => MappedImages::plain(images()?),
    };
    Ok(Arc::new(images))
}

/// Pre-trains in a run directory, from its latest checkpoint if it has one. `images` is what [`training_images`] gives, `networks` what
/// [`Networks::read`] does.
///
/// # Errors
/// [`TrainError`]; whatever was saved before stays.
pub fn pretrain<E>(
    config: &PretrainConfig,
    images: Arc<MappedImages>,
    run: &RunDir,
    networks: Networks,
    device: &Device,
    observer: &mut dyn Observer,
    evaluator: &mut E,
) -> Result<RunOutcome, TrainError>
where
    E: Evaluator<Semaim> + Evaluator<Mae>,
{
    let Networks { teacher, start } = networks;
    let steps_per_epoch = steps_per_epoch(config.train.batch_size, images.len())?;
    let views = ViewForm::of(config, device);
    let images = Images {
        source: images,
        augment: views.augment(config),
    };
    let target = config.target(teacher.as_ref().map(|teacher| teacher.vit.width()));
    match config.method {
        Method::Semaim => {
            let model = config.semaim().init(&target, config.seed, device)?;
            let task = SemaimTask::new(config, target, teacher, views, device)?;
            let copies_queries = config.query_start == QueryStart::Encoder;
            let model = match start {
                Some(encoder) if copies_queries => model
                    .with_encoder(encoder.vit)
                    .with_queries_from_encoder()?,
                Some(encoder) => model.with_encoder(encoder.vit),
                None => model,
            };
            let state = initial_state(config, model, steps_per_epoch)?;
            let callbacks = Callbacks {
                observer,
                evaluator,
            };
            train(&task, state, config.run(), images, run, callbacks)
        }
        Method::Mae => {
            let model =
                config
                    .mae
                    .init(&config.model, &config.arch, &target, config.seed, device)?;
            let task = MaeTask {
                config,
                target,
                views,
                device,
            };
            let model = match start {
                Some(encoder) => model.with_encoder(encoder.vit),
                None => model,
            };
            let state = initial_state(config, model, steps_per_epoch)?;
            let callbacks = Callbacks {
                observer,
                evaluator,
            };
            train(&task, state, config.run(), images, run, callbacks)
        }
    }
}

/// Reads the teacher of a run that has one. Any teacher sees gray images; as gray ones, whatever its channels are.
///
/// # Errors
/// A file that cannot be read, or a teacher of images with other channels where the model's have several.
pub fn teacher(config: &PretrainConfig, device: &Device) -> Result<Option<Encoder>, TrainError> {
    if !config.needs_teacher() {
        return Ok(None);
    }
    let teacher = config.teacher.encoder(device)?;
    let (own, student) = (teacher.config.channels, config.model.channels);
    if own != student && student != 1 {
        return Err(TrainError::TeacherChannels {
            path: config.teacher.weights.clone(),
            teacher: own,
            student,
        });
    }
    Ok(Some(teacher))
}

/// A teacher that sees images as a run's model does, and answers on its grid.
pub fn teacher_of_images(config: &PretrainConfig, teacher: Encoder, device: &Device) -> Teacher {
    let (own, student) = (teacher.normalization, config.augment().normalization);
    let (size, grid) = (teacher.config.image_size, config.model.grid());
    Teacher::new(teacher.vit.no_grad(), size, &own, &student, grid, device)
}

/// The state that a run begins with: the model, with what of it learns.
fn initial_state<M: Pretrained>(
    config: &PretrainConfig,
    model: M,
    steps_per_epoch: u64,
) -> Result<TrainState<M>, TrainError> {
    let mut encoder = model.encoder().clone();
    let trained = config.positions == Positions::Trained;
    encoder.pos_embed = encoder.pos_embed.set_require_grad(trained);
    let model = with_frozen_blocks(
        model.with_encoder(encoder),
        config.train.freeze_blocks,
        config.model.depth,
        layer,
    )?;
    Ok(TrainState {
        ema: config.train.ema.then(|| model.clone()),
        model,
        optimizer: config.adamw(steps_per_epoch),
        counts: TrainCounters::default(),
    })
}

/// The branches that are left out for a batch.
fn drop_path(config: &PretrainConfig, batch: &Batch<SimilarityMap>) -> Option<DropPath> {
    let (rate, depth) = (config.train.drop_path, config.model.depth);
    DropPath::draw(rate, depth, config.seed, batch.epoch, &batch.items)
}

/// Sizes of an image, `[channels, height, width]`.
fn image_shape(config: &PretrainConfig) -> [usize; 3] {
    let [height, width] = config.model.image_size;
    [config.model.channels, height, width]
}

/// Writes the encoder, and that of the EMA copy where there is one.
fn export<M: Pretrained>(
    config: &PretrainConfig,
    run: &RunDir,
    state: &TrainState<M>,
) -> Result<(), TrainError> {
    let normalization = config.augment().normalization;
    let write = |path: &Path, model: &M| {
        write_encoder(path, model.encoder(), &config.model, &normalization)
    };
    write(&run.encoder(), &state.model)?;
    if let Some(ema) = &state.ema {
        write(&run.path().join(EMA_ENCODER), ema)?;
    }
    Ok(())
}
