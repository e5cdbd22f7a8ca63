//! One vector per image, batch by batch.

mod message;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use semaim::parameters::{WeightError, device_of, to_host};
use semaim::representation::Representation;
use semaim::vit::Vit;
use semaim_data::{Augment, BadImage, LoaderError, Source};
use semaim_train::ranks::{self, Ranks};

use crate::image_batches::{BatchOptions, ImageBatch, ImageBatches};
use crate::vectors::LabeledVectors;
pub use message::MessageError;

/// Embedded images.
#[derive(Clone, Debug, Default)]
pub struct Embeddings {
    /// Numbers per image.
    pub width: usize,
    /// `[images, width]`, row by row, not normalized.
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
    pub fn labeled(self) -> LabeledVectors {
        if self.labels.iter().all(Option::is_some) {
            return LabeledVectors {
                features: self.features,
                labels: self.labels.into_iter().flatten().collect(),
            };
        }
        let mut vectors = LabeledVectors::default();
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
    /// The network gives no numbers: its weights hold NaN or infinity, or grew until they overflowed.
    #[error(
        "the vector of image {item} holds a NaN or an infinity: the encoder's weights are damaged or have diverged"
    )]
    NotFinite {
        /// The image's number in its source.
        item: u64,
    },
    /// The features did not come off the device.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// What another process sent.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// How images are embedded.
#[derive(Clone, Copy, Debug)]
pub struct EmbedOptions {
    /// What represents an image.
    pub representation: Representation,
    /// How images are brought to the network.
    pub batches: BatchOptions,
}

/// Embeds the central views of images, a batch at each call of `next`: memory does not grow with their number.
///
/// Images that cannot be read are left out and listed with the batch they would have been in. Several [ranks] embed the batches in
/// turn, and each of them gets all, in the order of one process; they have to ask equally often.
#[derive(Debug)]
pub struct Embedder<'a> {
    encoder: &'a Vit,
    /// Those of this rank.
    batches: ImageBatches,
    representation: Representation,
    ranks: Rc<dyn Ranks>,
    /// Batches of all ranks that have not been embedded.
    left: usize,
    /// Those that have been, and were not asked for yet.
    embedded: VecDeque<Embeddings>,
}

impl<'a> Embedder<'a> {
    /// Starts on the images `items` of a source.
    pub fn start(
        encoder: &'a Vit,
        source: &Arc<dyn Source>,
        items: impl IntoIterator<Item = u64>,
        augment: &Augment,
        options: EmbedOptions,
    ) -> Self {
        let EmbedOptions {
            representation,
            batches,
        } = options;
        let device = device_of(encoder);
        let ranks = ranks::current();
        let items: Vec<u64> = items.into_iter().collect();
        // Without a size there is one batch, which the loader refuses.
        let size = match batches.batch_size {
            0 => items.len().max(1),
            size => size,
        };
        let turns = items.chunks(size).skip(ranks.rank()).step_by(ranks.count());
        let own: Vec<u64> = turns.flatten().copied().collect();
        Self {
            encoder,
            batches: ImageBatches::start(source, own, augment, batches, &device),
            representation,
            ranks,
            left: items.len().div_ceil(size),
            embedded: VecDeque::new(),
        }
    }

    /// A batch of each rank that has one left.
    fn round(&mut self) -> Result<(), EmbedError> {
        let own = match self.batches.next() {
            Some(batch) => Some(embed_batch(self.encoder, self.representation, &batch?)?),
            None => None,
        };
        let in_round = self.left.min(self.ranks.count());
        self.left -= in_round;
        if self.ranks.count() == 1 {
            self.embedded.extend(own);
            return Ok(());
        }
        let own = match own {
            Some(own) => own.to_message()?,
            None => Vec::new(),
        };
        for message in self.ranks.all_gather(&own).iter().take(in_round) {
            self.embedded.push_back(Embeddings::of_message(message)?);
        }
        Ok(())
    }
}

/// The vectors of a batch by an encoder.
fn embed_batch(
    encoder: &Vit,
    representation: Representation,
    batch: &ImageBatch,
) -> Result<Embeddings, EmbedError> {
    let mut embeddings = Embeddings {
        bad: batch.bad.clone(),
        ..Embeddings::default()
    };
    if let Some(images) = &batch.images {
        let tokens = encoder.tokens(images.clone());
        let features = representation.of(tokens);
        embeddings.features = to_host("features", features)?.values;
        embeddings.width = embeddings.features.len() / batch.items.len();
        let vectors = embeddings.features.chunks(embeddings.width.max(1));
        for (vector, &item) in vectors.zip(&batch.items) {
            if !vector.iter().all(|value| value.is_finite()) {
                return Err(EmbedError::NotFinite { item });
            }
        }
        embeddings.items.clone_from(&batch.items);
        embeddings.labels.clone_from(&batch.targets);
    }
    Ok(embeddings)
}

impl Iterator for Embedder<'_> {
    type Item = Result<Embeddings, EmbedError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.embedded.is_empty()
            && self.left > 0
            && let Err(error) = self.round()
        {
            self.left = 0;
            return Some(Err(error));
        }
        self.embedded.pop_front().map(Ok)
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
) -> Result<Embeddings, EmbedError> {
    let items = items.iter().copied();
    let mut all = Embeddings::default();
    for batch in Embedder::start(encoder, source, items, augment, options) {
        all.append(batch?);
    }
    Ok(all)
}

/// [`embed`] by each of several encoders that see images alike: each image is prepared once. In one process.
///
/// # Errors
/// [`EmbedError`].
pub fn embed_by_each(
    encoders: &[&Vit],
    source: &Arc<dyn Source>,
    items: &[u64],
    augment: &Augment,
    options: EmbedOptions,
) -> Result<Vec<Embeddings>, EmbedError> {
    let Some(first) = encoders.first() else {
        return Ok(Vec::new());
    };
    let mut all = vec![Embeddings::default(); encoders.len()];
    let items = items.iter().copied();
    for batch in ImageBatches::start(source, items, augment, options.batches, &device_of(*first)) {
        let batch = batch?;
        for (embeddings, encoder) in all.iter_mut().zip(encoders) {
            embeddings.append(embed_batch(encoder, options.representation, &batch)?);
        }
    }
    Ok(all)
}
