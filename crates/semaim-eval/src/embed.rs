//! One vector per image, batch by batch.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use semaim::parameters::{WeightError, to_host};
use semaim::vit::Vit;
use semaim_data::{Augment, BadImage, EvaluationLoader, LoaderError, Source};
use semaim_train::config::Feature;
use serde::{Deserialize, Serialize};

use crate::vectors::LabelledVectors;

/// What represents an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Representation {
    /// The class token, `[embed_dim]`.
    Cls,
    /// The mean of the patch tokens, `[embed_dim]`.
    Mean,
    /// Both, the class token first, `[2 * embed_dim]`.
    Both,
    /// Every patch token, row by row, `[patches, embed_dim]`.
    Patches,
}

impl From<Feature> for Representation {
    fn from(feature: Feature) -> Self {
        match feature {
            Feature::Cls => Self::Cls,
            Feature::Mean => Self::Mean,
        }
    }
}

impl Representation {
    /// From final tokens `[batch, 1 + patches, embed_dim]` to `[batch, rows, width]`, rows being 1 but for patches.
    pub fn of(self, tokens: Tensor<3>) -> Tensor<3> {
        let [_, count, _] = tokens.dims();
        let class = tokens.clone().narrow(1, 0, 1);
        let patches = tokens.narrow(1, 1, count - 1);
        match self {
            Self::Cls => class,
            Self::Mean => patches.mean_dim(1),
            Self::Both => Tensor::cat(vec![class, patches.mean_dim(1)], 2),
            Self::Patches => patches,
        }
    }

    /// Sizes of what represents one image, without those of one.
    pub fn shape(self, patches: usize, embed_dim: usize) -> Vec<usize> {
        match self {
            Self::Cls | Self::Mean => vec![embed_dim],
            Self::Both => vec![2 * embed_dim],
            Self::Patches => vec![patches, embed_dim],
        }
    }
}

/// Embedded images.
#[derive(Clone, Debug, Default)]
pub struct Embeddings {
    /// Numbers per image.
    pub width: usize,
    /// `[images, width]`, row by row, not normalised.
    pub features: Vec<f32>,
    /// The numbers of the images in their source.
    pub items: Vec<u64>,
    /// The class of each image, where it has one.
    pub labels: Vec<Option<u32>>,
    /// Images that could not be read.
    pub bad: Vec<BadImage>,
}

impl Embeddings {
    /// Adds the images of another batch of the same encoder.
    pub fn append(&mut self, batch: Self) {
        self.width = self.width.max(batch.width);
        self.features.extend(batch.features);
        self.items.extend(batch.items);
        self.labels.extend(batch.labels);
        self.bad.extend(batch.bad);
    }

    /// The images that have a label.
    pub fn labelled(self) -> LabelledVectors {
        if self.labels.iter().all(Option::is_some) {
            return LabelledVectors {
                features: self.features,
                labels: self.labels.into_iter().flatten().collect(),
            };
        }
        let mut vectors = LabelledVectors::default();
        let rows = self.features.chunks(self.width.max(1));
        for (row, label) in rows.zip(self.labels) {
            if let Some(label) = label {
                vectors.features.extend_from_slice(row);
                vectors.labels.push(label);
            }
        }
        vectors
    }
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
    pub representation: Representation,
    /// Images per forward pass, at least 1.
    pub batch_size: usize,
    /// Threads that prepare images; 0: one per core.
    pub workers: usize,
}

/// Embeds the central views of images, a batch at each call of `next`: memory does not grow with their number.
///
/// Images that cannot be read are left out and listed with the batch they would have been in.
#[derive(Debug)]
pub struct Embedder<'a> {
    encoder: &'a Vit,
    loader: EvaluationLoader,
    shape: [usize; 3],
    representation: Representation,
    device: &'a Device,
}

impl<'a> Embedder<'a> {
    /// Starts on the images `items` of a source.
    pub fn start(
        encoder: &'a Vit,
        source: &Arc<dyn Source>,
        items: impl IntoIterator<Item = u64>,
        augment: &Augment,
        options: EmbedOptions,
        device: &'a Device,
    ) -> Self {
        let [height, width] = augment.image_size;
        let loader = EvaluationLoader::start(
            Arc::clone(source),
            augment.clone(),
            items,
            options.batch_size,
            options.workers,
            2,
        );
        Self {
            encoder,
            loader,
            shape: [augment.channels(), height, width],
            representation: options.representation,
            device,
        }
    }
}

impl Iterator for Embedder<'_> {
    type Item = Result<Embeddings, EmbedError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.loader.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(error.into())),
        };
        let mut embeddings = Embeddings {
            bad: batch.bad,
            ..Embeddings::default()
        };
        if batch.items.is_empty() {
            return Some(Ok(embeddings));
        }
        let count = batch.items.len();
        let [channels, height, width] = self.shape;
        let data = TensorData::new(batch.images, [count, channels, height, width]);
        let tokens = self.encoder.tokens(Tensor::from_data(data, self.device));
        match to_host("features", self.representation.of(tokens)) {
            Ok(features) => embeddings.features = features.values,
            Err(error) => return Some(Err(error.into())),
        }
        embeddings.width = embeddings.features.len() / count;
        embeddings.items = batch.items;
        embeddings.labels = batch.targets;
        Some(Ok(embeddings))
    }
}

/// Embeds the images `items` of a source, all in memory.
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
    let items = items.iter().copied();
    let mut all = Embeddings::default();
    for batch in Embedder::start(encoder, source, items, augment, options, device) {
        all.append(batch?);
    }
    Ok(all)
}
