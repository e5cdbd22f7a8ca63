//! The loss of a batch for a classifier: cross-entropy with soft targets of mixed images.

use burn::tensor::{Device, Tensor, TensorData, activation};
use semaim::classifier::Classifier;
use semaim::drop_path::DropPath;
use semaim::vit::ForwardOptions;
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::model_file::{ModelFile, ModelKind};
use semaim_data::{Batch, ClassTarget};
use semaim_random::Key;
use semaim_train::error::TrainError;
use semaim_train::run_dir::RunDir;
use semaim_train::state::TrainState;
use semaim_train::task::{Loss, MicroBatch, Task};

use super::config::FinetuneConfig;

pub(super) struct FinetuneTask<'a> {
    pub(super) config: &'a FinetuneConfig,
    pub(super) encoder: &'a Encoder,
    pub(super) classes: &'a [String],
    pub(super) device: &'a Device,
}

impl FinetuneTask<'_> {
    /// Mixed images `[batch, channels, height, width]` and their targets `[batch, classes]`.
    fn mixed(&self, batch: &Batch) -> Result<(Tensor<4>, Tensor<2>), TrainError> {
        let mix = self.config.augment.mixup_cutmix();
        let vit = &self.encoder.config;
        let ([height, width], count) = (vit.image_size, batch.items.len());
        let shape = [count, vit.channels, height, width];
        let labels: Vec<u32> = batch.targets.iter().copied().flatten().collect();
        let mut images = batch.images.clone();
        let mut targets = vec![0.0; count * self.classes.len()];
        let key = Key::new(self.config.seed, batch.epoch, batch.index);
        let classes = self.classes.len();
        mix.apply(&mut images, shape, &labels, classes, &mut targets, key)
            .map_err(|error| TrainError::Internal(error.to_string()))?;
        Ok((
            Tensor::from_data(TensorData::new(images, shape), self.device),
            Tensor::from_data(TensorData::new(targets, [count, classes]), self.device),
        ))
    }
}

impl Task for FinetuneTask<'_> {
    type Model = Classifier;
    type Target = ClassTarget;

    fn loss(&self, micro_batch: MicroBatch<'_, Classifier>) -> Result<Loss, TrainError> {
        let (config, batch) = (self.config, micro_batch.batch);
        let (images, targets) = self.mixed(batch)?;
        let (rate, depth) = (config.train.drop_path, self.encoder.config.depth);
        let drop_path = DropPath::draw(rate, depth, config.seed, batch.epoch, &batch.items);
        let options = ForwardOptions {
            drop_path: drop_path.as_ref(),
            recompute: config.train.recompute,
        };
        let logits = micro_batch
            .model
            .forward(Tensor::from_inner(images), options);
        let likelihood = activation::log_softmax(logits, 1);
        let loss = (likelihood * Tensor::from_inner(targets))
            .sum_dim(1)
            .mean()
            .neg();
        Ok(loss.into())
    }

    fn export(&self, run: &RunDir, state: &TrainState<Classifier>) -> Result<(), TrainError> {
        let path = run.path().join(ModelKind::Classifier.file_name());
        ModelFile::of_classifier(self.encoder, self.classes, &state.model)?.write(&path)?;
        Ok(())
    }
}
