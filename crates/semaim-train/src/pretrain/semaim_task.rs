//! SemAIM: every patch from those before it, in an order that a network gives.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};
use semaim::model::Semaim;
use semaim::order::{OrderNoise, PredictionOrder, without_ties};
use semaim::predicted::PredictedPlaces;
use semaim::target::Target;
use semaim::teacher::Teacher;
use semaim::vit::ForwardOptions;
use semaim_checkpoint::encoder::Encoder;
use semaim_data::{Batch, SimilarityMap};

use super::view_form::ViewForm;
use super::{drop_path, export, image_shape, teacher_of_images};
use crate::config::{OrderSource, PretrainConfig};
use crate::error::TrainError;
use crate::run_dir::RunDir;
use crate::state::TrainState;
use crate::task::{Loss, MicroBatch, Sender, Task};
use crate::teacher_cache::{AnswerSize, TeacherCache};

/// SemAIM as a task.
pub(super) struct SemaimTask<'a> {
    config: &'a PretrainConfig,
    target: Target,
    prediction_order: PredictionOrder,
    networks: Vec<Network>,
    teacher: Option<FrozenTeacher>,
    views: ViewForm,
    device: &'a Device,
}

/// A network that is asked before each step, and for what.
#[derive(Clone, Copy)]
struct Network {
    source: OrderSource,
    /// Its similarity gives the order.
    orders: bool,
    /// Its tokens are predicted.
    targets: bool,
}

/// The teacher and where its answers are kept, if anywhere.
struct FrozenTeacher {
    model: Teacher,
    cache: Option<Mutex<TeacherCache>>,
}

/// What networks give for a batch before the step is taken; nothing of it has gradients.
#[derive(Default)]
struct Features {
    /// How semantic each patch is, `[batch, patches]`, where the order needs to know.
    similarity: Option<Tensor<2>>,
    /// The tokens that are to be predicted, `[batch, patches, width]`, where tokens are.
    tokens: Option<Tensor<3>>,
}

impl<'a> SemaimTask<'a> {
    pub(super) fn new(
        config: &'a PretrainConfig,
        target: Target,
        teacher: Option<Encoder>,
        views: ViewForm,
        device: &'a Device,
    ) -> Result<Self, TrainError> {
        let teacher = match teacher {
            Some(teacher) => Some(FrozenTeacher {
                cache: cache(config, &teacher, device)?,
                model: teacher_of_images(config, teacher, device),
            }),
            None => None,
        };
        Ok(Self {
            config,
            target,
            prediction_order: PredictionOrder::new(config.order.kind, config.model.grid(), device),
            networks: networks(config),
            teacher,
            views,
            device,
        })
    }

    /// One encoding by each network that order or target need; where they need the same, it serves both.
    fn features(
        &self,
        images: &Tensor<4>,
        micro_batch: &MicroBatch<'_, Semaim, SimilarityMap>,
    ) -> Result<Features, TrainError> {
        let mut features = Features {
            similarity: self.given_maps(micro_batch.batch),
            tokens: None,
        };
        for &network in &self.networks {
            let found = self.encode(network, images, micro_batch)?;
            if network.orders {
                features.similarity = found.similarity;
            }
            if network.targets {
                features.tokens = found.tokens;
            }
        }
        Ok(features)
    }

    /// The maps that came with the images, `[batch, patches]`, where the order follows such.
    fn given_maps(&self, batch: &Batch<SimilarityMap>) -> Option<Tensor<2>> {
        match self.config.order_source()? {
            OrderSource::Model | OrderSource::Ema | OrderSource::Teacher => None,
            OrderSource::Maps | OrderSource::Masks => {
                let maps = batch.targets.iter().zip(&batch.items);
                let ranked = maps
                    .flat_map(|(map, &item)| without_ties(map, self.config.seed, batch.epoch, item))
                    .collect::<Vec<f32>>();
                let shape = [batch.items.len(), self.config.model.grid().patches()];
                Some(Tensor::from_data(
                    TensorData::new(ranked, shape),
                    self.device,
                ))
            }
        }
    }

    /// What one network gives.
    fn encode(
        &self,
        network: Network,
        images: &Tensor<4>,
        micro_batch: &MicroBatch<'_, Semaim, SimilarityMap>,
    ) -> Result<Features, TrainError> {
        let model = match (network.source, &micro_batch.state.ema, &self.teacher) {
            (OrderSource::Teacher, _, Some(teacher)) => {
                let taught = match &teacher.cache {
                    None => teacher.model.forward(images.clone()),
                    Some(cache) => {
                        let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
                        let views = &micro_batch.batch.images;
                        cache.look(&teacher.model, views, images.dims(), self.device)?
                    }
                };
                return Ok(Features {
                    similarity: Some(taught.similarity),
                    tokens: Some(taught.tokens),
                });
            }
            (OrderSource::Ema, Some(ema), _) => ema,
            _ => &micro_batch.state.model,
        };
        if !network.targets {
            let order = &self.config.order;
            return Ok(Features {
                similarity: Some(order.similarity_by(&model.encoder, images.clone())),
                tokens: None,
            });
        }
        let similarity = self.config.order.similarity;
        let (tokens, similarity) = if network.orders {
            let (tokens, map) = similarity.with_tokens(&model.encoder, images.clone());
            (tokens, Some(map))
        } else {
            (model.encoder.tokens(images.clone()), None)
        };
        let [_, count, _] = tokens.dims();
        Ok(Features {
            similarity,
            tokens: Some(tokens.narrow(1, 1, count - 1)),
        })
    }
}

impl Task for SemaimTask<'_> {
    type Model = Semaim;
    type Target = SimilarityMap;

    const LEARNS_CLASSES: bool = false;

    fn loss(&self, micro_batch: MicroBatch<'_, Semaim, SimilarityMap>) -> Result<Loss, TrainError> {
        let shape = image_shape(self.config);
        let images = self.views.images(&micro_batch, shape, self.device);
        let features = self.features(&images, &micro_batch)?;
        let (epoch, items) = (micro_batch.batch.epoch, &micro_batch.batch.items);
        let grid = self.config.model.grid();
        let noise = OrderNoise::draw(self.config.seed, epoch, items, grid, self.device);
        let rank_keys = self.prediction_order.rank_keys(features.similarity, &noise);
        let patch_size = self.config.model.patch_size;
        let targets = features
            .tokens
            .or_else(|| self.target.of_images(images.clone(), patch_size))
            .ok_or_else(|| TrainError::Internal("there is nothing to predict".into()))?;
        let drop_path = drop_path(self.config, micro_batch.batch);
        let (decoder, seed) = (&self.config.decoder, self.config.seed);
        let predicted = PredictedPlaces::draw(decoder, grid.patches(), seed, epoch, items);
        let options = ForwardOptions {
            drop_path: drop_path.as_ref(),
            recompute: self.config.train.recompute,
        };
        let (images, targets) = (Tensor::from_inner(images), Tensor::from_inner(targets));
        let output = micro_batch.model.forward(
            images,
            rank_keys,
            predicted.as_ref(),
            targets,
            &self.target,
            options,
        )?;
        Ok(output.loss.into())
    }

    fn sender(&self) -> Option<Sender<SimilarityMap>> {
        Some(self.views.sender(image_shape(self.config), self.device))
    }

    fn export(&self, run: &RunDir, state: &TrainState<Semaim>) -> Result<(), TrainError> {
        export(self.config, run, state)
    }
}

/// The networks that give order or target of a run.
fn networks(config: &PretrainConfig) -> Vec<Network> {
    let order_source = config.order_source();
    let target_source = config.target_source();
    [OrderSource::Model, OrderSource::Ema, OrderSource::Teacher]
        .into_iter()
        .map(|source| Network {
            source,
            orders: order_source == Some(source),
            targets: target_source == Some(source),
        })
        .filter(|network| network.orders || network.targets)
        .collect()
}

/// Where what the teacher says is kept, if anywhere: in a file named after everything that its answers depend on beside
/// the view.
fn cache(
    config: &PretrainConfig,
    teacher: &Encoder,
    device: &Device,
) -> Result<Option<Mutex<TeacherCache>>, TrainError> {
    if config.teacher_cache.as_os_str().is_empty() {
        return Ok(None);
    }
    let (grid, normalization) = (config.model.grid(), config.augment().normalization);
    let [height, width] = teacher.config.image_size;
    let size = AnswerSize {
        patches: grid.patches(),
        width: teacher.vit.width(),
    };
    let seen = format!(
        "{:?} {:?} {device:?} {:?} {:?} {:?}",
        normalization.mean,
        normalization.std,
        semaim_kernels::kernels_on(device),
        semaim_kernels::Cpu::get(),
        config.train.precision
    );
    let name = format!(
        "{}-{:08x}-{height}x{width}-{}x{}x{}",
        teacher.checksum()?,
        crc32c::crc32c(seen.as_bytes()),
        grid.rows,
        grid.columns,
        size.width
    );
    let folder = &config.teacher_cache;
    Ok(Some(Mutex::new(TeacherCache::open(folder, &name, size)?)))
}
