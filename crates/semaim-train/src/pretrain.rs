//! Pre-training: what a batch costs, by SemAIM and by masking. The loop is the [trainer's](crate::trainer).

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use semaim::config::Normalisation;
use semaim::drop_path::DropPath;
use semaim::mae::Mae;
use semaim::model::Semaim;
use semaim::order::{OrderNoise, PredictionOrder};
use semaim::pretrained::Pretrained;
use semaim::target::Target;
use semaim::teacher::Teacher;
use semaim::vit::ForwardOptions;
use semaim_checkpoint::encoder::{Encoder, write_encoder};
use semaim_checkpoint::error::EncoderError;
use semaim_data::{Batch, ClassTarget, Source};

use crate::callbacks::{Callbacks, Evaluator, Observer};
use crate::config::{Method, OrderSource, PretrainConfig, TargetKind};
use crate::error::TrainError;
use crate::optimiser::Optimiser;
use crate::run_dir::RunDir;
use crate::state::{TrainCounters, TrainState};
use crate::task::{MicroBatch, Task, images};
use crate::teacher_cache::{AnswerSize, TeacherCache};
use crate::trainer::{Images, RunOutcome, train};

/// Pre-trains in a run directory, from its latest checkpoint if it has one.
///
/// # Errors
/// [`TrainError`]; whatever was saved before stays.
pub fn pretrain<E>(
    config: &PretrainConfig,
    source: Arc<dyn Source>,
    run: &RunDir,
    device: &Device,
    observer: &mut dyn Observer,
    evaluator: &mut E,
) -> Result<RunOutcome, TrainError>
where
    E: Evaluator<Semaim> + Evaluator<Mae>,
{
    let images = Images {
        source,
        augment: config.augment(),
    };
    let settings = config.run();
    let teacher = teacher(config, device)?;
    let target = config.target(teacher.as_ref().map(|teacher| teacher.vit.width()));
    match config.method {
        Method::Semaim => {
            let model = config.semaim().init(&target, config.seed, device)?;
            let task = SemaimTask {
                config,
                prediction_order: PredictionOrder::new(
                    config.order.kind,
                    config.model.grid(),
                    device,
                ),
                target,
                cache: match &teacher {
                    Some(teacher) => cache(config, teacher, device)?,
                    None => None,
                },
                teacher: teacher.map(|teacher| prepared(config, teacher, device)),
                device,
            };
            let initial_state = initial_state(config, model);
            let callbacks = Callbacks {
                observer,
                evaluator,
            };
            train(
                &task,
                initial_state,
                &settings,
                images,
                run,
                device,
                callbacks,
            )
        }
        Method::Mae => {
            let model = config
                .mae
                .init(&config.model, &target, config.seed, device)?;
            let task = MaeTask {
                config,
                target,
                device,
            };
            let initial_state = initial_state(config, model);
            let callbacks = Callbacks {
                observer,
                evaluator,
            };
            train(
                &task,
                initial_state,
                &settings,
                images,
                run,
                device,
                callbacks,
            )
        }
    }
}

/// Reads the teacher of a run that has one.
///
/// # Errors
/// A file that cannot be read, or a teacher of images with other channels.
pub fn teacher(config: &PretrainConfig, device: &Device) -> Result<Option<Encoder>, TrainError> {
    if !config.needs_teacher() {
        return Ok(None);
    }
    let path = Path::new(&config.teacher.weights);
    let options = config.teacher.read_options().map_err(EncoderError::from)?;
    let mut teacher = Encoder::read_with(path, &options, device)?;
    if let &[height, width] = config.teacher.image_size.as_slice() {
        teacher = teacher.resized([height, width])?;
    }
    if teacher.config.channels != config.model.channels {
        return Err(TrainError::TeacherChannels {
            path: path.to_path_buf(),
            teacher: teacher.config.channels,
            student: config.model.channels,
        });
    }
    Ok(Some(teacher))
}

/// Where what the teacher says is kept, if anywhere: in a file named after everything that its answers depend on beside
/// the view.
fn cache(
    config: &PretrainConfig,
    teacher: &Encoder,
    device: &Device,
) -> Result<Option<Mutex<TeacherCache>>, TrainError> {
    if config.teacher.cache.is_empty() {
        return Ok(None);
    }
    let (grid, augment) = (config.model.grid(), config.augment());
    let [height, width] = teacher.config.image_size;
    let size = AnswerSize {
        patches: grid.patches(),
        width: teacher.vit.width(),
    };
    let seen = format!(
        "{:?} {:?} {device:?} {:?}",
        augment.mean,
        augment.std,
        semaim_kernels::chosen()
    );
    let name = format!(
        "{}-{:08x}-{height}x{width}-{}x{}x{}",
        teacher.checksum()?,
        crc32c::crc32c(seen.as_bytes()),
        grid.rows,
        grid.columns,
        size.width
    );
    let folder = Path::new(&config.teacher.cache);
    Ok(Some(Mutex::new(TeacherCache::open(folder, &name, size)?)))
}

/// A teacher that sees a run's images.
fn prepared(config: &PretrainConfig, teacher: Encoder, device: &Device) -> Teacher {
    let augment = config.augment();
    let own = Normalisation {
        mean: teacher.mean,
        std: teacher.std,
    };
    let student = Normalisation {
        mean: augment.mean,
        std: augment.std,
    };
    let (size, grid) = (teacher.config.image_size, config.model.grid());
    Teacher::new(teacher.vit.no_grad(), size, &own, &student, grid, device)
}

/// The state that a run begins with.
fn initial_state<M: Module>(config: &PretrainConfig, model: M) -> TrainState<M> {
    TrainState {
        ema: config.train.ema.then(|| model.clone()),
        model,
        optimiser: Optimiser::AdamW(config.adamw()),
        counts: TrainCounters::default(),
    }
}

/// The branches that are left out for a batch.
fn drop_path(config: &PretrainConfig, batch: &Batch) -> Option<DropPath> {
    let (rate, depth) = (config.train.drop_path, config.model.depth);
    DropPath::draw(rate, depth, config.seed, batch.epoch, &batch.items)
}

/// Sizes of an image, `[channels, height, width]`.
fn image_shape(config: &PretrainConfig) -> [usize; 3] {
    let [height, width] = config.model.image_size;
    [config.model.channels, height, width]
}

/// SemAIM: every patch from those before it.
struct SemaimTask<'a> {
    config: &'a PretrainConfig,
    target: Target,
    prediction_order: PredictionOrder,
    teacher: Option<Teacher>,
    cache: Option<Mutex<TeacherCache>>,
    device: &'a Device,
}

/// What networks say of a batch before the step is taken; nothing of it has gradients.
#[derive(Default)]
struct Seen {
    /// How semantic each patch is, `[batch, patches]`, where the order needs to know.
    similarity: Option<Tensor<2>>,
    /// The tokens that are to be predicted, `[batch, patches, width]`, where tokens are.
    tokens: Option<Tensor<3>>,
}

impl SemaimTask<'_> {
    /// Whose tokens are predicted, where tokens are.
    fn target_source(&self) -> Option<OrderSource> {
        match self.config.target.kind {
            TargetKind::Pixels => None,
            TargetKind::Ema => Some(OrderSource::Ema),
            TargetKind::Own => Some(OrderSource::Model),
            TargetKind::Teacher => Some(OrderSource::Teacher),
        }
    }

    /// One encoding of each network that order or target need; where they need the same, it serves both.
    fn look(
        &self,
        images: &Tensor<4>,
        micro_batch: &MicroBatch<'_, Semaim>,
    ) -> Result<Seen, TrainError> {
        let order = self.config.order;
        let order_source = order.kind.needs_similarity().then_some(order.source);
        let target_source = self.target_source();
        let mut seen = Seen::default();
        for source in [OrderSource::Model, OrderSource::Ema, OrderSource::Teacher] {
            let (orders, targets) = (order_source == Some(source), target_source == Some(source));
            if !orders && !targets {
                continue;
            }
            let (similarity, tokens) =
                self.encode(source, images, micro_batch, [orders, targets])?;
            if orders {
                seen.similarity = similarity;
            }
            if targets {
                seen.tokens = tokens;
            }
        }
        Ok(seen)
    }

    /// Similarity and patch tokens by one network, of which at least one is wanted.
    fn encode(
        &self,
        source: OrderSource,
        images: &Tensor<4>,
        micro_batch: &MicroBatch<'_, Semaim>,
        [orders, targets]: [bool; 2],
    ) -> Result<(Option<Tensor<2>>, Option<Tensor<3>>), TrainError> {
        let model = match (source, &micro_batch.state.ema, &self.teacher) {
            (OrderSource::Teacher, _, Some(teacher)) => {
                let taught = match &self.cache {
                    None => teacher.forward(images.clone()),
                    Some(cache) => {
                        let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
                        let views = &micro_batch.batch.images;
                        cache.look(teacher, views, images.dims(), self.device)?
                    }
                };
                return Ok((Some(taught.similarity), Some(taught.tokens)));
            }
            (OrderSource::Ema, Some(ema), _) => ema,
            _ => &micro_batch.state.model,
        };
        let similarity = self.config.order.similarity;
        if !targets {
            return Ok((Some(similarity.of(&model.encoder, images.clone())), None));
        }
        let (tokens, similarity) = if orders {
            let (tokens, map) = similarity.with_tokens(&model.encoder, images.clone());
            (tokens, Some(map))
        } else {
            (model.encoder.tokens(images.clone()), None)
        };
        let [_, count, _] = tokens.dims();
        Ok((similarity, Some(tokens.narrow(1, 1, count - 1))))
    }
}

impl Task for SemaimTask<'_> {
    type Model = Semaim;
    type Target = ClassTarget;

    fn loss(&self, micro_batch: MicroBatch<'_, Semaim>) -> Result<Tensor<1>, TrainError> {
        let images = images(micro_batch.batch, image_shape(self.config), self.device);
        let seen = self.look(&images, &micro_batch)?;
        let (epoch, items) = (micro_batch.batch.epoch, &micro_batch.batch.items);
        let grid = self.config.model.grid();
        let noise = OrderNoise::draw(self.config.seed, epoch, items, grid, self.device);
        let rank_keys = self.prediction_order.rank_keys(seen.similarity, &noise);
        let patch_size = self.config.model.patch_size;
        let targets = seen
            .tokens
            .or_else(|| self.target.of_images(images.clone(), patch_size))
            .ok_or_else(|| TrainError::Internal("there is nothing to predict".into()))?;
        let drop_path = drop_path(self.config, micro_batch.batch);
        let options = ForwardOptions {
            drop_path: drop_path.as_ref(),
            recompute: self.config.train.recompute,
        };
        let (images, targets) = (Tensor::from_inner(images), Tensor::from_inner(targets));
        let output =
            micro_batch
                .model
                .forward(images, rank_keys, targets, &self.target, options)?;
        Ok(output.loss)
    }

    fn export(&self, run: &RunDir, state: &TrainState<Semaim>) -> Result<(), TrainError> {
        export(self.config, run, state)
    }
}

/// The masked autoencoder: removed patches from the kept ones.
struct MaeTask<'a> {
    config: &'a PretrainConfig,
    target: Target,
    device: &'a Device,
}

impl Task for MaeTask<'_> {
    type Model = Mae;
    type Target = ClassTarget;

    fn loss(&self, micro_batch: MicroBatch<'_, Mae>) -> Result<Tensor<1>, TrainError> {
        let (config, batch) = (self.config, micro_batch.batch);
        let grid = config.model.grid();
        let noise = OrderNoise::draw(config.seed, batch.epoch, &batch.items, grid, self.device);
        let drop_path = drop_path(config, batch);
        let options = ForwardOptions {
            drop_path: drop_path.as_ref(),
            recompute: config.train.recompute,
        };
        let images = images(batch, image_shape(config), self.device);
        let targets = self
            .target
            .of_images(images.clone(), config.model.patch_size)
            .ok_or_else(|| TrainError::Internal("there is nothing to predict".into()))?;
        let (images, targets) = (Tensor::from_inner(images), Tensor::from_inner(targets));
        let output =
            micro_batch
                .model
                .forward(images, noise.patches, targets, &self.target, options)?;
        Ok(output.loss)
    }

    fn export(&self, run: &RunDir, state: &TrainState<Mae>) -> Result<(), TrainError> {
        export(self.config, run, state)
    }
}

/// Writes the encoder, and that of the EMA copy where there is one.
fn export<M: Pretrained>(
    config: &PretrainConfig,
    run: &RunDir,
    state: &TrainState<M>,
) -> Result<(), TrainError> {
    let augment = config.augment();
    let write = |path: &Path, model: &M| {
        let (mean, std) = (&augment.mean, &augment.std);
        write_encoder(path, model.encoder(), &config.model, mean, std)
    };
    write(&run.encoder(), &state.model)?;
    if let Some(ema) = &state.ema {
        write(&run.path().join("encoder_ema.safetensors"), ema)?;
    }
    Ok(())
}
