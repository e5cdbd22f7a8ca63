//! The masked autoencoder: removed patches from the kept ones.

use burn::tensor::{Device, Tensor};
use semaim::mae::Mae;
use semaim::order::OrderNoise;
use semaim::target::Target;
use semaim::vit::ForwardOptions;
use semaim_data::SimilarityMap;

use super::view_form::ViewForm;
use super::{drop_path, export, image_shape};
use crate::config::PretrainConfig;
use crate::error::TrainError;
use crate::run_dir::RunDir;
use crate::state::TrainState;
use crate::task::{Loss, MicroBatch, Sender, Task};

/// The masked autoencoder as a task.
pub(super) struct MaeTask<'a> {
    pub(super) config: &'a PretrainConfig,
    pub(super) target: Target,
    pub(super) views: ViewForm,
    pub(super) device: &'a Device,
}

impl Task for MaeTask<'_> {
    type Model = Mae;
    type Target = SimilarityMap;

    const LEARNS_CLASSES: bool = false;

    fn loss(&self, micro_batch: MicroBatch<'_, Mae, SimilarityMap>) -> Result<Loss, TrainError> {
        let (config, batch) = (self.config, micro_batch.batch);
        let grid = config.model.grid();
        let noise = OrderNoise::draw(config.seed, batch.epoch, &batch.items, grid, self.device);
        let drop_path = drop_path(config, batch);
        let options = ForwardOptions {
            drop_path: drop_path.as_ref(),
            recompute: config.train.recompute,
        };
        let shape = image_shape(config);
        let images = self.views.images(&micro_batch, shape, self.device);
        let targets = self
            .target
            .of_images(images.clone(), config.model.patch_size)
            .ok_or_else(|| TrainError::Internal("there is nothing to predict".into()))?;
        let (images, targets) = (Tensor::from_inner(images), Tensor::from_inner(targets));
        let output =
            micro_batch
                .model
                .forward(images, noise.patches, targets, &self.target, options)?;
        Ok(output.loss.into())
    }

    fn sender(&self) -> Option<Sender<SimilarityMap>> {
        Some(self.views.sender(image_shape(self.config), self.device))
    }

    fn export(&self, run: &RunDir, state: &TrainState<Mae>) -> Result<(), TrainError> {
        export(self.config, run, state)
    }
}
