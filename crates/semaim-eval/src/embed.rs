//! One vector per image.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use semaim::parameters::{WeightError, to_host};
use semaim::vit::Vit;
use semaim_data::{Augment, BadImage, EvaluationLoader, LoaderError, Source};
use semaim_train::config::Feature;

/// Embedded images.
#[derive(Clone, Debug, Default)]
pub struct Embeddings {
    /// Numbers per image.
    pub width: usize,
    /// `[images, width]`, row by row, not normalised.
    pub features: Vec<f32>,
    /// The class of each image, where it has one.
    pub labels: Vec<Option<u32>>,
    /// Images that could not be read.
    pub bad: Vec<BadImage>,
}

/// Why images could not be embedded.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The images did not arrive.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// The features did not come off the device.
    #[error(transparent)]
    Weights(#[from] WeightError),
}

/// How images are embedded.
#[derive(Clone, Copy, Debug)]
pub struct EmbedOptions {
    /// What represents an image.
    pub feature: Feature,
    /// Images per forward pass, at least 1.
    pub batch_size: usize,
    /// Threads that prepare images; 0: one per core.
    pub workers: usize,
}

/// Embeds the central view of the images `items` of a source.
///
/// # Errors
/// [`EmbedError`]. Images that cannot be read are left out and listed.
pub fn embed(
    encoder: &Vit,
    source: &Arc<dyn Source>,
    items: &[u64],
    augment: &Augment,
    options: EmbedOptions,
    device: &Device,
) -> Result<Embeddings, EmbedError> {
    let [height, width] = augment.image_size;
    let mut embeddings = Embeddings::default();
    let loader = EvaluationLoader::start(
        Arc::clone(source),
        augment.clone(),
        items.iter().copied(),
        options.batch_size,
        options.workers,
        2,
    );
    for batch in loader {
        let batch = batch?;
        embeddings.bad.extend(batch.bad);
        if batch.items.is_empty() {
            continue;
        }
        let shape = [batch.items.len(), augment.channels(), height, width];
        let images = Tensor::from_data(TensorData::new(batch.images, shape), device);
        let features = to_host("features", feature(encoder.tokens(images), options.feature))?;
        embeddings.width = features.shape.last().copied().unwrap_or(0);
        embeddings.features.extend(features.values);
        embeddings.labels.extend(batch.labels);
    }
    Ok(embeddings)
}

/// From tokens `[batch, 1 + patches, embed_dim]` to one vector per image, `[batch, embed_dim]`.
fn feature(tokens: Tensor<3>, feature: Feature) -> Tensor<2> {
    let [_, count, _] = tokens.dims();
    match feature {
        Feature::Cls => tokens.narrow(1, 0, 1).squeeze_dim(1),
        Feature::Mean => tokens.narrow(1, 1, count - 1).mean_dim(1).squeeze_dim(1),
    }
}
