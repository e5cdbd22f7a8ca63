//! What a trainer trains: pre-training by SemAIM or by masking, fine-tuning, probes, detectors, segmenters.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use semaim::batch_norm::BatchStatistics;
use semaim_data::{Batch, ClassTarget};

use crate::error::TrainError;
pub use crate::feed::{Sender, SentImages};
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

    /// Whether the classes of images are part of what is learned. To pre-training they mean nothing.
    const LEARNS_CLASSES: bool = true;

    /// The mean loss of the images of a micro-batch.
    ///
    /// # Errors
    /// A device that fails, or images that cannot be used.
    fn loss(
        &self,
        micro_batch: MicroBatch<'_, Self::Model, Self::Target>,
    ) -> Result<Loss, TrainError>;

    /// What sends the images of batches to the device ahead of their steps, where the run does not wait for its steps; `None`
    /// leaves that to [`Task::loss`].
    fn sender(&self) -> Option<Sender<Self::Target>> {
        None
    }

    /// Writes what others read of the model; called after every checkpoint.
    ///
    /// # Errors
    /// A device or the file system.
    fn export(&self, run: &RunDir, state: &TrainState<Self::Model>) -> Result<(), TrainError>;
}

/// What is descended, and the parts that it is the sum of.
#[derive(Clone, Debug)]
pub struct Loss {
    /// The loss itself, `[1]`.
    pub total: Tensor<1>,
    /// Its parts by the names that the log has for them, `[1]` each, always the same; none where it has only one.
    pub parts: Vec<(&'static str, Tensor<1>)>,
    /// What batch norms measured, which the model's running statistics follow; nothing for models without batch norm.
    pub statistics: BatchStatistics,
}

impl From<Tensor<1>> for Loss {
    /// A loss without parts.
    fn from(total: Tensor<1>) -> Self {
        Self {
            total,
            parts: Vec::new(),
            statistics: BatchStatistics::default(),
        }
    }
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
    /// The images, where the task's [sender](Task::sender) has sent them.
    pub sent: Option<&'a SentImages>,
}

impl<M, T> MicroBatch<'_, M, T> {
    /// The images on a device as they were prepared, `[batch, channels, height, width]`, without gradients; sent now unless
    /// [`views_sender`]'s have been sent before.
    pub fn images(&self, shape: [usize; 3], device: &Device) -> Tensor<4> {
        match self.sent {
            Some(SentImages::Views(views)) => views.clone(),
            Some(SentImages::Bytes(_)) | None => images(self.batch, shape, device),
        }
    }
}

/// What sends images of shape `[channels, height, width]` to a device as they were prepared.
pub fn views_sender<T>(shape: [usize; 3], device: &Device) -> Sender<T> {
    let device = device.clone();
    Box::new(move |batch| Ok(SentImages::Views(images(batch, shape, &device))))
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
