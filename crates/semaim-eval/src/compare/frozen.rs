//! What is measured of encoders without training them: kNN, probes, pointing.

use burn::tensor::Device;
use semaim::vit::Vit;
use semaim_checkpoint::encoder::Encoder;
use semaim_data::Augment;
use semaim_random::{Key, KeyedRng, Stream};
use semaim_train::config::{DataConfig, DataNames, PretrainConfig};

use super::CompareError;
use super::config::CompareConfig;
use super::measure::{Measure, Scores};
use crate::embed::{EmbedOptions, Embeddings, embed_by_each};
use crate::image_batches::BatchOptions;
use crate::knn::{KnnError, knn};
use crate::pointing::{PointingGame, Target};
use crate::probe::probe;
use crate::run_start::EvaluatedImages;
use crate::splits::{ImageSubset, LabeledSplits};
use crate::vectors::LabeledVectors;
use crate::views::views;

/// A measurement of several encoders of one trial: images are prepared once for all of them.
pub(super) struct FrozenEvaluation<'a> {
    config: &'a CompareConfig,
    pretrain: &'a PretrainConfig,
    device: &'a Device,
    pub(super) measures: Vec<Measure>,
    /// What vectors are made of, where any are needed.
    sets: Option<LabeledSplits>,
}

impl<'a> FrozenEvaluation<'a> {
    pub(super) fn new(
        config: &'a CompareConfig,
        pretrain: &'a PretrainConfig,
        device: &'a Device,
        measures: Vec<Measure>,
    ) -> Result<Self, CompareError> {
        let sets = match measures.iter().any(|m| m.is_of_vectors()) {
            true => Some(labeled(config, pretrain)?),
            false => None,
        };
        Ok(Self {
            config,
            pretrain,
            device,
            measures,
            sets,
        })
    }

    /// The images out of which it classifies some, where it classifies any: all of a set that is not divided, of which each seed
    /// holds other ones back.
    pub(super) fn tested(&self) -> Option<EvaluatedImages> {
        let sets = self.sets.as_ref()?;
        Some(EvaluatedImages::of(&*sets.test.source))
    }

    /// Measures encoders, which see images of one size alike: the scores of each are added to its own in `all`. What was measured
    /// before something failed is there as well.
    pub(super) fn measure(
        &self,
        encoders: &[Encoder],
        all: &mut [Scores],
    ) -> Result<(), CompareError> {
        let Some(first) = encoders.first() else {
            return Ok(());
        };
        let augment = views(&first.config, &first.normalization);
        if let Some(sets) = &self.sets {
            let vits: Vec<&Vit> = encoders.iter().map(|encoder| &encoder.vit).collect();
            let banks = self.vectors(&vits, &sets.train, &augment)?;
            let queries = self.vectors(&vits, &sets.test, &augment)?;
            for ((scores, bank), queries) in all.iter_mut().zip(&banks).zip(&queries) {
                self.classify(scores, bank, queries)?;
            }
        }
        if self.measures.iter().any(|m| m.is_pointing()) {
            let targets = self.targets(first)?;
            for (scores, encoder) in all.iter_mut().zip(encoders) {
                let mut game = PointingGame::new(&encoder.vit, &augment);
                for batch in targets.chunks(self.pretrain.eval.batch_size.max(1)) {
                    game.show(batch)?;
                }
                scores.add_pointing(&game.counted());
            }
        }
        Ok(())
    }

    /// The vectors of images by each encoder.
    fn vectors(
        &self,
        encoders: &[&Vit],
        images: &ImageSubset,
        augment: &Augment,
    ) -> Result<Vec<LabeledVectors>, CompareError> {
        let options = embed_options(self.config, self.pretrain);
        let found = embed_by_each(encoders, &images.source, &images.items, augment, options)?;
        Ok(found.into_iter().map(Embeddings::labeled).collect())
    }

    /// kNN and probes.
    fn classify(
        &self,
        scores: &mut Scores,
        bank: &LabeledVectors,
        queries: &LabeledVectors,
    ) -> Result<(), CompareError> {
        let (config, device) = (self.config, self.device);
        for &measure in &self.measures {
            let accuracy = match measure {
                Measure::Knn => {
                    let (k, temperature) = ([config.knn_k], config.knn_temperature);
                    let found = knn(bank.view(), queries.view(), &k, temperature, device)?;
                    found.first().copied()
                }
                Measure::Probe { labels } => {
                    let part = labels_of(bank, labels, self.pretrain.seed);
                    let options = config.probe(self.pretrain.seed);
                    Some(probe(part.view(), queries.view(), &options, device)?.test)
                }
                Measure::Finetune | Measure::Pointing(_) => None,
            };
            if let Some(accuracy) = accuracy {
                scores.accuracy.insert(measure.key(), accuracy);
            }
        }
        Ok(())
    }

    /// Generated images that are not trained on, with their objects.
    fn targets(&self, encoder: &Encoder) -> Result<Vec<Target>, CompareError> {
        let (seed, count) = (self.pretrain.seed, self.config.pointing_images);
        Ok(Target::of_shapes(&encoder.config, seed, count)?.collect())
    }
}

/// How a comparison's images are embedded.
pub(super) fn embed_options(config: &CompareConfig, pretrain: &PretrainConfig) -> EmbedOptions {
    EmbedOptions {
        representation: config.feature,
        batches: BatchOptions {
            batch_size: pretrain.eval.batch_size,
            workers: pretrain.data.workers,
        },
    }
}

/// The images that are searched and classified.
pub(super) fn labeled(
    config: &CompareConfig,
    pretrain: &PretrainConfig,
) -> Result<LabeledSplits, CompareError> {
    // What a variant leaves out to train on is there to measure it with, as for all others.
    let common = PretrainConfig {
        data: DataConfig {
            path: config.data.clone(),
            eval: DataNames::default(),
            mean: pretrain.data.mean.clone(),
            std: pretrain.data.std.clone(),
            ..config.pretrain.data.clone()
        },
        ..pretrain.clone()
    };
    let (data, options) = (&common.data, common.open_options());
    let sets = LabeledSplits::for_training(data, &options, pretrain.seed)?;
    Ok(LabeledSplits {
        train: sets.train.thinned(config.max_bank, "max_bank")?,
        test: sets.test.thinned(config.max_queries, "max_queries")?,
    })
}

/// Refuses what could not be measured of the encoders of a comparison, before any is trained.
pub(super) fn check(config: &CompareConfig, pretrain: &PretrainConfig) -> Result<(), CompareError> {
    let measures = [config.measures(), config.curve_measures()].concat();
    if !measures.iter().any(|m| m.is_of_vectors()) {
        return Ok(());
    }
    let bank = labeled(config, pretrain)?.train.items.len();
    match measures.contains(&Measure::Knn) && config.knn_k > bank {
        true => Err(KnnError::KTooLarge {
            k: config.knn_k,
            bank,
        }
        .into()),
        false => Ok(()),
    }
}

/// A share of `count`, rounded up. 0.07 of 100 is 7, though the product of the two numbers is a little more.
fn share_of(count: usize, share: f64) -> usize {
    (share * count as f64 - 1e-9).ceil().max(0.0) as usize
}

/// The vectors whose labels a probe learns from: a share of each class, at least one of each, drawn by the seed.
fn labels_of(bank: &LabeledVectors, share: f64, seed: u64) -> LabeledVectors {
    let width = bank.features.len() / bank.labels.len().max(1);
    let draw =
        |item: usize| KeyedRng::new(Key::new(seed, 0, item as u64), Stream::LabelShare).bits();
    let classes = bank
        .labels
        .iter()
        .max()
        .map_or(0, |most| *most as usize + 1);
    let mut by_class = vec![Vec::new(); classes];
    for (item, &label) in bank.labels.iter().enumerate() {
        by_class[label as usize].push(item);
    }
    let mut chosen = Vec::new();
    for mut items in by_class {
        let count = share_of(items.len(), share);
        items.sort_by_key(|&item| (draw(item), item));
        chosen.extend(items.into_iter().take(count));
    }
    chosen.sort_unstable();
    let rows = chosen
        .iter()
        .flat_map(|item| &bank.features[item * width..][..width]);
    LabeledVectors {
        features: rows.copied().collect(),
        labels: chosen.iter().map(|&item| bank.labels[item]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_not_rounded_twice() {
        for (count, share, expected) in [
            (100, 0.07, 7),
            (200, 0.07, 14),
            (100, 0.55, 55),
            (1000, 0.1, 100),
            (3, 0.1, 1),
            (101, 0.01, 2),
            (0, 0.5, 0),
        ] {
            assert_eq!(share_of(count, share), expected, "{share} of {count}");
        }
    }

    #[test]
    fn a_share_of_the_labels_is_one_of_every_class() {
        let labels: Vec<u32> = (0u32..300)
            .map(|item| u32::from(item.is_multiple_of(10)))
            .collect();
        let features = (0..600).map(|value| value as f32).collect();
        let bank = LabeledVectors { features, labels };
        let count = |part: &LabeledVectors| {
            let rare = part.labels.iter().filter(|label| **label == 1).count();
            [part.labels.len() - rare, rare]
        };
        assert_eq!(count(&labels_of(&bank, 0.1, 0)), [27, 3]);
        assert_eq!(count(&labels_of(&bank, 0.01, 0)), [3, 1]);
        assert_eq!(labels_of(&bank, 1.0, 5), bank);
        let part = labels_of(&bank, 0.1, 0);
        for (row, label) in part.features.chunks(2).zip(&part.labels) {
            let item = row[0] as usize / 2;
            assert_eq!(*label, u32::from(item.is_multiple_of(10)));
            assert_eq!(row[1], row[0] + 1.0);
        }
        assert_ne!(labels_of(&bank, 0.1, 1), part);
    }
}
