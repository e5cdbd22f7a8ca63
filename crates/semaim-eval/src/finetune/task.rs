//! The loss of a batch for a classifier: cross-entropy with soft targets of mixed images.

use burn::tensor::{Device, Tensor, TensorData, activation};
use semaim::classifier::Classifier;
use semaim::drop_path::DropPath;
use semaim::vit::ForwardOptions;
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::model_file::{ModelFile, ModelKind};
use semaim_data::{AugmentError, Batch, ClassTarget, MixOp, MixupCutmix};
use semaim_random::Key;
use semaim_train::error::TrainError;
use semaim_train::run_dir::RunDir;
use semaim_train::state::TrainState;
use semaim_train::task::{Loss, MicroBatch, Sender, SentImages, Task};

use super::config::FinetuneConfig;

pub(super) struct FinetuneTask<'a> {
    pub(super) config: &'a FinetuneConfig,
    pub(super) encoder: &'a Encoder,
    pub(super) classes: &'a [String],
    pub(super) device: &'a Device,
}

/// How the images of batches are mixed, and where they go then.
#[derive(Clone)]
struct Mixing {
    mix: MixupCutmix,
    seed: u64,
    /// `[channels, height, width]` of an image.
    shape: [usize; 3],
    device: Device,
}

impl Mixing {
    /// What is done with the images of a batch.
    fn op(&self, batch: &Batch) -> MixOp {
        let [_, height, width] = self.shape;
        let key = Key::new(self.seed, batch.epoch, batch.index);
        self.mix.draw([height, width], key)
    }

    /// Mixed images `[batch, channels, height, width]`.
    fn images(&self, batch: &Batch) -> Result<Tensor<4>, TrainError> {
        let [channels, height, width] = self.shape;
        let shape = [batch.items.len(), channels, height, width];
        let mut images = batch.images.clone();
        self.op(batch).images(&mut images, shape).map_err(failed)?;
        Ok(Tensor::from_data(
            TensorData::new(images, shape),
            &self.device,
        ))
    }

    /// The targets of mixed images, `[batch, classes]`.
    fn targets(&self, batch: &Batch, classes: usize) -> Result<Tensor<2>, TrainError> {
        let labels: Vec<u32> = batch.targets.iter().copied().flatten().collect();
        let mut targets = vec![0.0; batch.items.len() * classes];
        let smoothing = self.mix.label_smoothing;
        self.op(batch)
            .targets(&labels, classes, smoothing, &mut targets)
            .map_err(failed)?;
        let targets = TensorData::new(targets, [batch.items.len(), classes]);
        Ok(Tensor::from_data(targets, &self.device))
    }
}

fn failed(error: AugmentError) -> TrainError {
    TrainError::Internal(error.to_string())
}

impl FinetuneTask<'_> {
    fn mixing(&self) -> Mixing {
        let vit = &self.encoder.config;
        let [height, width] = vit.image_size;
        Mixing {
            mix: self.config.augment.mixup_cutmix(),
            seed: self.config.seed,
            shape: [vit.channels, height, width],
            device: self.device.clone(),
        }
    }
}

impl Task for FinetuneTask<'_> {
    type Model = Classifier;
    type Target = ClassTarget;

    fn loss(&self, micro_batch: MicroBatch<'_, Classifier>) -> Result<Loss, TrainError> {
        let (config, batch) = (self.config, micro_batch.batch);
        let mixing = self.mixing();
        let images = match micro_batch.sent {
            Some(SentImages::Views(images)) => images.clone(),
            Some(SentImages::Bytes(_)) | None => mixing.images(batch)?,
        };
        let targets = mixing.targets(batch, self.classes.len())?;
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

    fn sender(&self) -> Option<Sender<ClassTarget>> {
        let mixing = self.mixing();
        Some(Box::new(move |batch| {
            Ok(SentImages::Views(mixing.images(batch)?))
        }))
    }

    fn export(&self, run: &RunDir, state: &TrainState<Classifier>) -> Result<(), TrainError> {
        let path = run.path().join(ModelKind::Classifier.file_name());
        ModelFile::of_classifier(self.encoder, self.classes, &state.model)?.write(&path)?;
        Ok(())
    }
}
