//! What a classifier says of images, and how often it is right.

use burn::tensor::activation;
use semaim::classifier::Classifier;
use semaim::parameters::{WeightError, device_of, to_host};
use semaim::vit::ForwardOptions;
use semaim_data::{Augment, BadImage, LoaderError};
use serde::{Deserialize, Serialize};

use crate::accuracy::{Accuracy, HitCounter};
use crate::image_batches::{BatchOptions, ImageBatch, ImageBatches};
use crate::splits::ImageSubset;

/// Why images could not be classified.
#[derive(Debug, thiserror::Error)]
pub enum ClassifyError {
    /// The images did not arrive.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// The predictions did not come off the device.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The network gives no numbers: its weights hold NaN or infinity, or grew until they overflowed.
    #[error(
        "what the classifier gives for image {item} holds a NaN: its weights are damaged or have diverged"
    )]
    NotFinite {
        /// The image's number in its source.
        item: u64,
    },
    /// Nothing to count.
    #[error("none of the images could be read and has a label")]
    Empty,
}

/// What a classifier says of images.
#[derive(Clone, Debug, Default)]
pub struct Predictions {
    /// Classes.
    pub classes: usize,
    /// Probability of each class, `[images, classes]`.
    pub probabilities: Vec<f32>,
    /// The numbers of the images in their source.
    pub items: Vec<u64>,
    /// Their true classes, where known.
    pub labels: Vec<Option<u32>>,
    /// Images that could not be read.
    pub bad: Vec<BadImage>,
}

/// How often a classifier is right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// Over all images.
    pub accuracy: Accuracy,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// Images by true class (rows) and answer (columns), `[classes][classes]`.
    pub confusion: Vec<Vec<u64>>,
}

impl Classification {
    /// Top-1 accuracy of each class; `None` where it has no image.
    pub fn per_class(&self) -> Vec<Option<f64>> {
        self.confusion
            .iter()
            .enumerate()
            .map(|(class, row)| {
                let all: u64 = row.iter().sum();
                (all > 0).then(|| row[class] as f64 / all as f64)
            })
            .collect()
    }
}

/// A classifier over images, batch by batch: memory does not grow with their number.
#[derive(Debug)]
pub struct PredictIter<'a> {
    model: &'a Classifier,
    batches: ImageBatches,
}

impl<'a> PredictIter<'a> {
    /// Starts on images of a source.
    pub fn start(
        model: &'a Classifier,
        images: &ImageSubset,
        augment: &Augment,
        options: BatchOptions,
    ) -> Self {
        let items = images.items.iter().copied();
        let device = device_of(model);
        Self {
            model,
            batches: ImageBatches::start(&images.source, items, augment, options, &device),
        }
    }

    fn predict(&self, batch: ImageBatch) -> Result<Predictions, ClassifyError> {
        let mut predictions = Predictions {
            items: batch.items,
            labels: batch.targets,
            bad: batch.bad,
            ..Predictions::default()
        };
        if let Some(images) = batch.images {
            let logits = self.model.forward(images, ForwardOptions::default());
            predictions.classes = logits.dims()[1];
            let probabilities = to_host("probabilities", activation::softmax(logits, 1))?;
            predictions.probabilities = probabilities.values;
            let rows = predictions.probabilities.chunks(predictions.classes.max(1));
            for (row, &item) in rows.zip(&predictions.items) {
                if row.iter().any(|probability| probability.is_nan()) {
                    return Err(ClassifyError::NotFinite { item });
                }
            }
        }
        Ok(predictions)
    }
}

impl Iterator for PredictIter<'_> {
    type Item = Result<Predictions, ClassifyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        Some(
            batch
                .map_err(Into::into)
                .and_then(|batch| self.predict(batch)),
        )
    }
}

/// All predictions of a classifier for a part of a source.
///
/// # Errors
/// [`ClassifyError`].
pub fn classify(
    model: &Classifier,
    images: &ImageSubset,
    augment: &Augment,
    options: BatchOptions,
) -> Result<Predictions, ClassifyError> {
    let mut all = Predictions::default();
    for predictions in PredictIter::start(model, images, augment, options) {
        let predictions = predictions?;
        all.classes = all.classes.max(predictions.classes);
        all.probabilities.extend(predictions.probabilities);
        all.items.extend(predictions.items);
        all.labels.extend(predictions.labels);
        all.bad.extend(predictions.bad);
    }
    Ok(all)
}

impl Predictions {
    /// The classes of each image, the most probable first; equal ones by number.
    pub fn ranked(&self) -> impl Iterator<Item = Vec<usize>> {
        self.probabilities
            .chunks(self.classes.max(1))
            .map(|probabilities| {
                let mut order: Vec<usize> = (0..probabilities.len()).collect();
                order.sort_by(|&a, &b| {
                    probabilities[b]
                        .total_cmp(&probabilities[a])
                        .then(a.cmp(&b))
                });
                order
            })
    }

    /// Counts the predictions against the labels, of classes with these names.
    ///
    /// # Errors
    /// [`ClassifyError::Empty`] when no image has a label.
    pub fn against(&self, classes: &[String]) -> Result<Classification, ClassifyError> {
        let count = classes.len();
        let mut confusion = vec![vec![0_u64; count]; count];
        let mut hits = HitCounter::default();
        for (ranked, label) in self.ranked().zip(&self.labels) {
            let (Some(label), Some(&first)) = (label.map(|l| l as usize), ranked.first()) else {
                continue;
            };
            if label >= count || first >= count {
                continue;
            }
            confusion[label][first] += 1;
            let rank = ranked.iter().position(|&class| class == label);
            hits.add(rank.unwrap_or(usize::MAX));
        }
        if hits.images() == 0 {
            return Err(ClassifyError::Empty);
        }
        Ok(Classification {
            accuracy: hits.accuracy(),
            classes: classes.to_vec(),
            confusion,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splits::ImageSubset;
    use burn::tensor::Device;
    use semaim::classifier::Pool;
    use semaim::config::VitConfig;
    use semaim::init::initialize;
    use semaim::vit::Vit;
    use semaim_data::{OpenOptions, ShapesOptions, Split, open};

    #[test]
    fn what_is_no_number_is_no_prediction() {
        let device = Device::flex();
        let config = VitConfig::tiny();
        let encoder = initialize(Vit::zeros(&config, &device), 1);
        let mut model = Classifier::new(encoder, Pool::Mean, 3, 0, &device);
        let options = OpenOptions {
            shapes: ShapesOptions {
                count: 3,
                image_size: config.image_size.map(|side| side as u32),
                ..ShapesOptions::default()
            },
            ..OpenOptions::default()
        };
        let images = ImageSubset::whole(open("shapes", Split::Eval, &options).unwrap());
        let augment = Augment::new(config.image_size, 3);
        let batches = BatchOptions {
            batch_size: 2,
            workers: 1,
        };
        assert!(classify(&model, &images, &augment, batches).is_ok());
        model.encoder.cls_token = model.encoder.cls_token.map(|token| token * f32::NAN);
        let refused = classify(&model, &images, &augment, batches);
        assert!(matches!(refused, Err(ClassifyError::NotFinite { item: 0 })));
    }

    #[test]
    fn answers_are_counted() {
        let predictions = Predictions {
            classes: 6,
            probabilities: vec![
                0.5, 0.1, 0.1, 0.1, 0.1, 0.1, // 0, then by number: 5 is the sixth
                0.0, 0.6, 0.1, 0.1, 0.1, 0.1, // 1
                0.0, 0.2, 0.8, 0.0, 0.0, 0.0, // unlabeled
            ],
            items: vec![0, 1, 2],
            labels: vec![Some(5), Some(1), None],
            bad: Vec::new(),
        };
        let names: Vec<String> = (0..6).map(|i| i.to_string()).collect();
        let found = predictions.against(&names).unwrap();
        assert_eq!(found.accuracy.top1, 0.5);
        assert_eq!(found.accuracy.top5, 0.5);
        assert_eq!(found.confusion[5][0], 1);
        assert_eq!(found.per_class()[1], Some(1.0));
        assert_eq!(found.per_class()[5], Some(0.0));
        assert_eq!(found.per_class()[0], None);
        let none = Predictions::default();
        assert!(matches!(none.against(&names), Err(ClassifyError::Empty)));
    }
}
