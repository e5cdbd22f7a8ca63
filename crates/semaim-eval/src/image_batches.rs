//! The loop of every evaluation: central views of images on a device, batch by batch.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use semaim_data::{Augment, BadImage, ClassTarget, EvaluationLoader, LoaderError, Source, spread};

/// How images are brought to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// Images per forward pass, at least 1.
    pub batch_size: usize,
    /// Threads that prepare images; 0: one per core.
    pub workers: usize,
}

/// The places of at most `limit` images of a set, spread evenly; 0 is no limit.
pub fn at_most(set: &(impl Source + ?Sized), limit: usize) -> Vec<u64> {
    spread(set.len(), limit).map(|item| item as u64).collect()
}

/// The central views of images, in batches: memory does not grow with their number.
#[derive(Debug)]
pub struct ImageBatches {
    loader: EvaluationLoader,
    shape: [usize; 3],
    device: Device,
}

/// Some images on a device.
#[derive(Debug)]
pub struct ImageBatch {
    /// Normalized views, `[items, channels, height, width]`; none where no image of the batch could be read.
    pub images: Option<Tensor<4>>,
    /// The numbers of the images in their source.
    pub items: Vec<u64>,
    /// Their targets.
    pub targets: Vec<ClassTarget>,
    /// Images that could not be read.
    pub bad: Vec<BadImage>,
}

impl ImageBatches {
    /// Starts on the images `items` of a source.
    pub fn start(
        source: &Arc<dyn Source>,
        items: impl IntoIterator<Item = u64>,
        augment: &Augment,
        options: BatchOptions,
        device: &Device,
    ) -> Self {
        let [height, width] = augment.image_size;
        let BatchOptions {
            batch_size,
            workers,
        } = options;
        let (source, views) = (Arc::clone(source), augment.clone());
        Self {
            loader: EvaluationLoader::start(source, views, items, batch_size, workers, 2),
            shape: [augment.channels(), height, width],
            device: device.clone(),
        }
    }
}

impl Iterator for ImageBatches {
    type Item = Result<ImageBatch, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.loader.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(error)),
        };
        let [channels, height, width] = self.shape;
        let count = batch.items.len();
        let images = (count > 0).then(|| {
            let data = TensorData::new(batch.images, [count, channels, height, width]);
            Tensor::from_data(data, &self.device)
        });
        Some(Ok(ImageBatch {
            images,
            items: batch.items,
            targets: batch.targets,
            bad: batch.bad,
        }))
    }
}
