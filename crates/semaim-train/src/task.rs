//! What a trainer trains: pre-training by SemAIM or by masking, fine-tuning, probing.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use semaim_data::{Batch, ClassTarget};

use crate::error::TrainError;
use crate::run_dir::RunDir;
use crate::state::TrainState;

/// A model, the loss of a batch, and what is left for others to read. Everything else (batches, gradients, updates,
/// checkpoints, logs) is the [trainer's](crate::trainer).
pub trait Task {
    /// What is trained.
    type Model: Module;

    /// What is to be learnt about an image, as the data set gives it: [`ClassTarget`] for folders of classes, for images
    /// without labels too.
    type Target;

    /// The mean loss of the images of a micro-batch, `[1]`.
    ///
    /// # Errors
    /// A device that fails, or images that cannot be used.
    fn loss(
        &self,
        micro_batch: MicroBatch<'_, Self::Model, Self::Target>,
    ) -> Result<Tensor<1>, TrainError>;

    /// Writes what others read of the model; called after every checkpoint.
    ///
    /// # Errors
    /// A device or the file system.
    fn export(&self, run: &RunDir, state: &TrainState<Self::Model>) -> Result<(), TrainError>;
}

/// Images that are computed together: a step's batch, or a part of it.
#[derive(Debug)]
pub struct MicroBatch<'a, M, T = ClassTarget> {
    /// The model, its gradients recorded.
    pub model: &'a M,
    /// The run's state; its models record no gradients.
    pub state: &'a TrainState<M>,
    /// The images and their targets.
    pub batch: &'a Batch<T>,
}

/// A batch's images on a device, `[batch, channels, height, width]`, without gradients.
pub fn images<T>(
    batch: &Batch<T>,
    [channels, height, width]: [usize; 3],
    device: &Device,
) -> Tensor<4> {
    let shape = [batch.items.len(), channels, height, width];
    Tensor::from_data(TensorData::new(batch.images.clone(), shape), device)
}
