//! Pre-training: what a batch costs, by SemAIM and by masking. The loop is the [trainer's](crate::trainer).

use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use semaim::drop_path::DropPath;
use semaim::mae::Mae;
use semaim::model::Semaim;
use semaim::order::{OrderNoise, Orderer};
use semaim::pass::Pass;
use semaim::pretrained::Pretrained;
use semaim::target::Target;
use semaim_checkpoint::encoder::write_encoder;
use semaim_data::{Batch, Source};

use crate::config::{Method, OrderSource, PretrainConfig};
use crate::error::TrainError;
use crate::optimiser::Optimiser;
use crate::run_dir::RunDir;
use crate::state::{Counts, TrainState};
use crate::task::{Part, Task, images};
use crate::trainer::{Ending, Images, train};
use crate::watch::Watcher;

/// Pre-trains in a run directory, from its newest checkpoint if it has one.
///
/// # Errors
/// [`TrainError`]; whatever was saved before stays.
pub fn pretrain<W>(
    config: &PretrainConfig,
    source: Arc<dyn Source>,
    run: &RunDir,
    device: &Device,
    watcher: &mut W,
) -> Result<Ending, TrainError>
where
    W: Watcher<Semaim> + Watcher<Mae>,
{
    let images = Images {
        source,
        augment: config.augment(),
    };
    let settings = config.run();
    let target = config.target();
    match config.method {
        Method::Semaim => {
            let model = config.semaim().init(&target, config.seed, device)?;
            let task = ByOrder {
                config,
                orderer: Orderer::new(config.order.kind, config.model.grid(), device),
                target,
                device,
            };
            let fresh = fresh(config, model);
            train(&task, fresh, &settings, images, run, device, watcher)
        }
        Method::Mae => {
            let model = config
                .mae
                .init(&config.model, &target, config.seed, device)?;
            let task = ByMask {
                config,
                target,
                device,
            };
            let fresh = fresh(config, model);
            train(&task, fresh, &settings, images, run, device, watcher)
        }
    }
}

/// The state that a run begins with.
fn fresh<M: Module>(config: &PretrainConfig, model: M) -> TrainState<M> {
    TrainState {
        ema: config.train.ema.then(|| model.clone()),
        model,
        optimiser: Optimiser::AdamW(config.adamw()),
        counts: Counts::default(),
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
struct ByOrder<'a> {
    config: &'a PretrainConfig,
    target: Target,
    orderer: Orderer,
    device: &'a Device,
}

impl ByOrder<'_> {
    /// Rank keys of images, from one encoding without gradient where the order needs any.
    fn order(&self, images: &Tensor<4>, part: &Part<'_, Semaim>) -> Tensor<2> {
        let order = self.config.order;
        let grid = self.config.model.grid();
        let (epoch, items) = (part.batch.epoch, &part.batch.items);
        let noise = OrderNoise::draw(self.config.seed, epoch, items, grid, self.device);
        let similarity = order.kind.needs_similarity().then(|| {
            let source = match (order.source, &part.state.ema) {
                (OrderSource::Ema, Some(ema)) => ema,
                _ => &part.state.model,
            };
            order.similarity.of(&source.encoder, images.clone())
        });
        self.orderer.rank_keys(similarity, &noise)
    }
}

impl Task for ByOrder<'_> {
    type Model = Semaim;

    fn loss(&self, part: Part<'_, Semaim>) -> Result<Tensor<1>, TrainError> {
        let images = images(part.batch, image_shape(self.config), self.device);
        let rank_keys = self.order(&images, &part);
        let drop_path = drop_path(self.config, part.batch);
        let pass = Pass {
            drop_path: drop_path.as_ref(),
            recompute: self.config.train.recompute,
        };
        let images = Tensor::from_inner(images);
        let output = part.model.forward(images, rank_keys, &self.target, pass)?;
        Ok(output.loss)
    }

    fn export(&self, run: &RunDir, state: &TrainState<Semaim>) -> Result<(), TrainError> {
        export(self.config, run, state)
    }
}

/// The masked autoencoder: removed patches from the kept ones.
struct ByMask<'a> {
    config: &'a PretrainConfig,
    target: Target,
    device: &'a Device,
}

impl Task for ByMask<'_> {
    type Model = Mae;

    fn loss(&self, part: Part<'_, Mae>) -> Result<Tensor<1>, TrainError> {
        let (config, batch) = (self.config, part.batch);
        let grid = config.model.grid();
        let noise = OrderNoise::draw(config.seed, batch.epoch, &batch.items, grid, self.device);
        let drop_path = drop_path(config, batch);
        let pass = Pass {
            drop_path: drop_path.as_ref(),
            recompute: config.train.recompute,
        };
        let images = Tensor::from_inner(images(batch, image_shape(config), self.device));
        let output = part
            .model
            .forward(images, noise.patches, &self.target, pass)?;
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
