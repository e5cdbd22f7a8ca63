//! The linear probe: how well a linear layer on frozen features classifies (method, section 4).
//!
//! Batch normalization without affine parameters, then one linear layer, SGD with momentum and a cosine schedule, as in
//! SemAIM's code (that of masked autoencoders has LARS in place of SGD). A probe's result hangs on its learning rate and weight decay, so a whole grid of
//! them is trained at the same time: the layers stand side by side in one matrix. A validation split of the training
//! images chooses among them; what is chosen meets the test images once.

mod grid;
pub mod head;
pub mod memory;
pub mod online;
mod tally;

use std::collections::BTreeSet;

use burn::tensor::Device;
use semaim::parameters::WeightError;
use semaim_data::held_out;
use semaim_random::{Key, KeyedRng, Stream};
use serde::{Deserialize, Serialize};

use crate::accuracy::Accuracy;
use crate::knn::{Labeled, NotFinite};
use grid::{Grid, Set};
use tally::Score;

/// How a probe is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeOptions {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images per step, at least 2; all there are if these are fewer. What whole batches leave over waits for another epoch.
    pub batch_size: usize,
    /// Learning rates per 256 images to choose from.
    pub base_lrs: Vec<f64>,
    /// Weight decays to choose from.
    pub weight_decays: Vec<f64>,
    /// One in this many training images is in the validation split, to choose with.
    pub validation_every: u64,
    /// Seed of the first weights, of the order of the images and of the validation split.
    pub seed: u64,
}

impl Default for ProbeOptions {
    /// As published (90 epochs, batches of 4,096, rate 0.1, no decay), with neighbors of the rate and the decay.
    fn default() -> Self {
        Self {
            epochs: 90,
            batch_size: 4096,
            base_lrs: vec![0.01, 0.03, 0.1, 0.3, 1.0, 3.0],
            weight_decays: vec![0.0, 1e-5, 1e-4, 1e-3],
            validation_every: 10,
            seed: 0,
        }
    }
}

/// One member of the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Learning rate per 256 images.
    pub base_lr: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Accuracy on the validation split; without meaning where `finite` is not true.
    pub validation: Accuracy,
    /// Whether its logits on the validation split are finite numbers. Where they are not it has diverged, and is not chosen.
    pub finite: bool,
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The best setting that has not diverged, by top-1 on the validation split; the first of equals.
    pub chosen: Setting,
    /// Its accuracy on the test images.
    pub test: Accuracy,
    /// All settings.
    pub grid: Vec<Setting>,
    /// Images trained on.
    pub trained_on: usize,
    /// Images tested on.
    pub tested_on: usize,
}

/// Why there is no probe.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Too few images.
    #[error(
        "a probe needs labeled images: at least 2 to train on and to choose with, and 1 to test; there are {train} and {test}"
    )]
    Empty {
        /// Training images, those of the validation split among them.
        train: usize,
        /// Test images.
        test: usize,
    },
    /// Only one class.
    #[error("all {images} training images are of one class")]
    OneClass {
        /// Training images.
        images: usize,
    },
    /// A single image to learn from.
    #[error(
        "the validation split takes all but one of the {train} training images; of one image alone, normalized by itself, every input is \
         zero: give more images, or hold out fewer of them"
    )]
    OneImage {
        /// Training images, those of the validation split among them.
        train: usize,
    },
    /// The settings that would be chosen gave no numbers.
    #[error(
        "the probe has diverged: its logits are not finite with {}; smaller learning rates or weight decays are needed",
        listed(.settings)
    )]
    Diverged {
        /// Learning rates per 256 images with weight decays: all of the grid, or the one that was chosen.
        settings: Vec<(f64, f64)>,
    },
    /// Nothing to choose from, or numbers that cannot be.
    #[error("{what}")]
    Options {
        /// Which.
        what: &'static str,
    },
    /// Features of different length.
    #[error("training images have {train} values each, test images {test}")]
    Width {
        /// Values per training image.
        train: usize,
        /// Values per test image.
        test: usize,
    },
    /// A vector with a number that is not finite.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] WeightError),
}

/// Members of a grid, for people.
fn listed(settings: &[(f64, f64)]) -> String {
    let settings = settings.iter();
    let said =
        settings.map(|(lr, decay)| format!("learning rate {lr:?} and weight decay {decay:?}"));
    said.collect::<Vec<_>>().join(", ")
}

/// Trains a grid of probes and tests the best.
///
/// # Errors
/// [`ProbeError`].
pub fn probe(
    train: Labeled<'_>,
    test: Labeled<'_>,
    options: &ProbeOptions,
    device: &Device,
) -> Result<Probe, ProbeError> {
    options.check()?;
    let draw = |row: usize| KeyedRng::new(Key::new(options.seed, 0, row as u64), Stream::Split);
    let rows = 0..train.labels.len();
    let class = |row: usize| Some(train.labels[row]);
    let (kept, validation) = validation_split(rows, draw, class, options.validation_every);
    if validation.is_empty() || test.labels.is_empty() {
        return Err(ProbeError::Empty {
            train: train.labels.len(),
            test: test.labels.len(),
        });
    }
    check_left(kept.len(), train.labels.len())?;
    let width = train.features.len() / train.labels.len();
    let test_width = test.features.len() / test.labels.len();
    if width != test_width || width == 0 {
        return Err(ProbeError::Width {
            train: width,
            test: test_width,
        });
    }
    train.check_finite("training")?;
    test.check_finite("test")?;
    let mut classes: Vec<u32> = train.labels.iter().chain(test.labels).copied().collect();
    classes.sort_unstable();
    classes.dedup();
    if kept
        .iter()
        .all(|&i| train.labels[i] == train.labels[kept[0]])
    {
        return Err(ProbeError::OneClass { images: kept.len() });
    }
    let settings = settings(options);
    let set = |set: Labeled<'_>, of: &[usize]| Set::of(set, of, width, &classes);
    let (kept, validation) = (set(train, &kept), set(train, &validation));
    let everything: Vec<usize> = (0..test.labels.len()).collect();
    let test = set(test, &everything);
    let mut grid = Grid::new(width, classes.len(), &settings, options.seed, device);
    grid.train(&kept, options, device);
    let validation = grid.scores(&validation, device)?;
    Probe::choose(&settings, &validation, kept.labels.len(), || {
        Ok::<_, ProbeError>((grid.scores(&test, device)?, test.labels.len()))
    })
}

/// Divides training images into those to train on and those to choose with: each is drawn with 1 in `every`. Of two or more, each part
/// has one at least. Of a class all of whose images would be drawn, the first is trained on, unless it is the last to choose with.
fn validation_split<T: Copy + Ord>(
    images: impl IntoIterator<Item = T>,
    draw: impl Fn(T) -> KeyedRng,
    class: impl Fn(T) -> Option<u32>,
    every: u64,
) -> (Vec<T>, Vec<T>) {
    let images: Vec<T> = images.into_iter().collect();
    let held_out = held_out(images.iter().map(|&image| draw(image)), every);
    let part = |of_validation: bool| {
        let images = images.iter().zip(&held_out);
        let images = images.filter(|(_, held_out)| **held_out == of_validation);
        images.map(|(image, _)| *image).collect()
    };
    let (mut kept, mut validation): (Vec<T>, Vec<T>) = (part(false), part(true));
    let mut learned: BTreeSet<Option<u32>> = kept.iter().map(|image| class(*image)).collect();
    let mut left = validation.len();
    validation.retain(|&image| {
        let of = class(image);
        if left < 2 || of.is_none() || !learned.insert(of) {
            return true;
        }
        left -= 1;
        kept.push(image);
        false
    });
    kept.sort_unstable();
    (kept, validation)
}

/// Refuses a single image of `train` that the validation split leaves to learn from.
fn check_left(kept: usize, train: usize) -> Result<(), ProbeError> {
    match kept {
        0 | 1 => Err(ProbeError::OneImage { train }),
        _ => Ok(()),
    }
}

impl Probe {
    /// Chooses among `(learning rate, weight decay)` by what they come to on the validation split; only then is asked what they
    /// come to on the test images, and how many these are.
    ///
    /// # Errors
    /// [`ProbeError::Diverged`], and those of the test.
    fn choose<E: From<ProbeError>>(
        settings: &[(f64, f64)],
        validation: &[Score],
        trained_on: usize,
        test: impl FnOnce() -> Result<(Vec<Score>, usize), E>,
    ) -> Result<Self, E> {
        let grid: Vec<Setting> = settings
            .iter()
            .zip(validation)
            .map(|(&(base_lr, weight_decay), score)| Setting {
                base_lr,
                weight_decay,
                validation: score.accuracy,
                finite: score.finite,
            })
            .collect();
        let diverged = |settings: &[(f64, f64)]| ProbeError::Diverged {
            settings: settings.to_vec(),
        };
        let best = best_of(&grid).ok_or_else(|| diverged(settings))?;
        let (scores, tested_on) = test()?;
        // A number can be too large for images that were not chosen with.
        if !scores[best].finite {
            return Err(diverged(&settings[best..=best]).into());
        }
        Ok(Self {
            chosen: grid[best],
            test: scores[best].accuracy,
            grid,
            trained_on,
            tested_on,
        })
    }
}

/// The learning rates and weight decays of a grid.
fn settings(options: &ProbeOptions) -> Vec<(f64, f64)> {
    let decays = &options.weight_decays;
    let with_decays = |&lr: &f64| decays.iter().map(move |&decay| (lr, decay));
    options.base_lrs.iter().flat_map(with_decays).collect()
}

/// The first of the best by top-1 on the validation split; none where all have diverged.
fn best_of(grid: &[Setting]) -> Option<usize> {
    let top1 = |i: usize| grid[i].validation.top1;
    (0..grid.len())
        .rev()
        .filter(|&i| grid[i].finite)
        .max_by(|&a, &b| top1(a).total_cmp(&top1(b)))
}

impl ProbeOptions {
    /// Refuses options with which nothing can be trained, before any image is read.
    ///
    /// # Errors
    /// [`ProbeError::Options`].
    pub fn check(&self) -> Result<(), ProbeError> {
        let positive = |values: &[f64]| values.iter().all(|v| v.is_finite() && *v > 0.0);
        let not_negative = |values: &[f64]| values.iter().all(|v| v.is_finite() && *v >= 0.0);
        let problem = if self.epochs == 0 {
            "epochs must be at least 1"
        } else if self.batch_size < 2 {
            "the batch size of a probe must be at least 2: one image alone, normalized by itself, is zero"
        } else if self.base_lrs.is_empty() || !positive(&self.base_lrs) {
            "learning rates must be above 0"
        } else if self.weight_decays.is_empty() || !not_negative(&self.weight_decays) {
            "weight decays must not be negative"
        } else if self.validation_every < 2 {
            "the validation split must be one training image in two or fewer"
        } else {
            return Ok(());
        };
        Err(ProbeError::Options { what: problem })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Classes around directions of their own, of different scale, far from the origin.
    fn clusters(count: usize, seed: u64) -> (Vec<f32>, Vec<u32>) {
        let mut draw = KeyedRng::new(Key::new(seed, 0, 0), Stream::Init);
        let mut features = Vec::new();
        let mut labels = Vec::new();
        for i in 0..count {
            let class = i % 3;
            for axis in 0..6 {
                let center = if axis == class { 2.0 } else { 0.0 };
                let scale = 10.0_f64.powi(axis as i32 - 2);
                features.push((scale * (100.0 + center + 0.5 * draw.normal())) as f32);
            }
            labels.push(10 * class as u32);
        }
        (features, labels)
    }

    #[test]
    fn neither_part_of_a_validation_split_is_empty() {
        for (every, count) in [(1_000_000, 2), (1_000_000, 30), (2, 2), (2, 3), (10, 8)] {
            for seed in 0..20 {
                let draw = |row: usize| KeyedRng::new(Key::new(seed, 0, row as u64), Stream::Split);
                let (kept, validation) = validation_split(0..count, draw, |_| None, every);
                assert!(!kept.is_empty() && !validation.is_empty(), "{every} {seed}");
                let mut all = [kept, validation].concat();
                all.sort_unstable();
                assert!(all.into_iter().eq(0..count));
            }
        }
        let draw = |row: usize| KeyedRng::new(Key::new(0, 0, row as u64), Stream::Split);
        assert!(validation_split(0..1, draw, |_| None, 10).1.is_empty());
        // Of each class something is learned, wherever two images are there to choose with.
        for seed in 0..20 {
            let draw = |row: usize| KeyedRng::new(Key::new(seed, 0, row as u64), Stream::Split);
            let class = |row: usize| Some((row / 2) as u32);
            let (kept, validation) = validation_split(0..24, draw, class, 3);
            let learned: BTreeSet<usize> = kept.iter().map(|row| row / 2).collect();
            assert_eq!(learned.len(), 12, "{kept:?}");
            assert!(kept.is_sorted() && !validation.is_empty());
            assert_eq!(kept.len() + validation.len(), 24);
        }
    }

    fn set<'a>(features: &'a [f32], labels: &'a [u32]) -> Labeled<'a> {
        Labeled { features, labels }
    }

    fn options() -> ProbeOptions {
        ProbeOptions {
            epochs: 30,
            batch_size: 64,
            ..ProbeOptions::default()
        }
    }

    #[test]
    fn separable_classes_are_separated_whatever_their_scale() {
        let (train, train_labels) = clusters(600, 1);
        let (test, test_labels) = clusters(300, 2);
        let (train, test) = (set(&train, &train_labels), set(&test, &test_labels));
        let result = probe(train, test, &options(), &Device::flex()).unwrap();
        assert!(result.test.top1 > 0.97, "{result:?}");
        assert_eq!(result.grid.len(), 24);
        assert!(result.trained_on < 600);
        let best = result
            .grid
            .iter()
            .map(|s| s.validation.top1)
            .fold(0.0, f64::max);
        assert_eq!(result.chosen.validation.top1, best);
    }

    #[test]
    fn labels_without_meaning_are_learned_by_nobody() {
        let (train, mut labels) = clusters(600, 1);
        let mut draw = KeyedRng::new(Key::new(5, 0, 0), Stream::Shuffle);
        labels
            .iter_mut()
            .for_each(|label| *label = 10 * draw.below(3) as u32);
        let (test, test_labels) = clusters(600, 2);
        let (train, test) = (set(&train, &labels), set(&test, &test_labels));
        let result = probe(train, test, &options(), &Device::flex()).unwrap();
        assert!(result.test.top1 < 0.6, "{result:?}");
    }

    #[test]
    fn what_diverged_is_not_chosen_and_refused_where_there_is_nothing_else() {
        let (train, train_labels) = clusters(60, 1);
        let (test, test_labels) = clusters(30, 2);
        let probe = |weight_decays: &[f64]| {
            let options = ProbeOptions {
                epochs: 10,
                batch_size: 16,
                base_lrs: vec![0.1],
                weight_decays: weight_decays.to_vec(),
                ..ProbeOptions::default()
            };
            let (train, test) = (set(&train, &train_labels), set(&test, &test_labels));
            super::probe(train, test, &options, &Device::flex())
        };
        let refused = probe(&[1e30, 1e35]).unwrap_err();
        assert!(
            matches!(&refused, ProbeError::Diverged { settings } if *settings == [(0.1, 1e30), (0.1, 1e35)])
        );
        let said = refused.to_string();
        assert!(
            said.contains("learning rate 0.1 and weight decay 1e30, "),
            "{said}"
        );
        let found = probe(&[1e30, 0.0]).unwrap();
        assert_eq!(found.chosen.weight_decay, 0.0);
        let finite: Vec<bool> = found.grid.iter().map(|setting| setting.finite).collect();
        assert_eq!(finite, [false, true]);
    }

    #[test]
    fn what_diverges_on_the_test_images_alone_is_refused_as_well() {
        let score = |top1, finite| Score {
            accuracy: Accuracy { top1, top5: 1.0 },
            finite,
        };
        let grid = [(0.1, 0.0), (0.2, 0.0)];
        let validation = [score(0.0, true), score(0.5, true)];
        let choose = |test: Vec<Score>| {
            Probe::choose::<ProbeError>(&grid, &validation, 10, || Ok((test, 5)))
        };
        let found = choose(vec![score(0.75, false), score(0.25, true)]).unwrap();
        assert_eq!((found.chosen.base_lr, found.test.top1), (0.2, 0.25));
        let refused = choose(vec![score(0.75, true), score(0.25, false)]);
        assert!(
            matches!(refused, Err(ProbeError::Diverged { settings }) if settings == [(0.2, 0.0)])
        );
    }

    #[test]
    fn no_batch_is_of_one_image() {
        let device = Device::flex();
        let (features, labels) = clusters(30, 1);
        let (all, two) = (set(&features, &labels), set(&features[..12], &labels[..2]));
        let one = ProbeOptions {
            batch_size: 1,
            ..options()
        };
        let refused = probe(all, all, &one, &device).unwrap_err();
        assert!(refused.to_string().contains("at least 2"), "{refused}");
        // One of the two is held out to choose with.
        let refused = probe(two, all, &options(), &device);
        assert!(matches!(refused, Err(ProbeError::OneImage { train: 2 })));
    }

    #[test]
    fn bad_sizes_are_errors() {
        let device = Device::flex();
        let (features, labels) = clusters(30, 1);
        let set = Labeled {
            features: &features,
            labels: &labels,
        };
        let none = Labeled {
            features: &[],
            labels: &[],
        };
        assert!(matches!(
            probe(set, none, &options(), &device),
            Err(ProbeError::Empty { .. })
        ));
        assert!(matches!(
            probe(none, set, &options(), &device),
            Err(ProbeError::Empty { .. })
        ));
        let one = vec![4; 30];
        let same = Labeled {
            features: &features,
            labels: &one,
        };
        assert!(matches!(
            probe(same, set, &options(), &device),
            Err(ProbeError::OneClass { .. })
        ));
        let short = Labeled {
            features: &features[..150],
            labels: &labels,
        };
        assert!(matches!(
            probe(set, short, &options(), &device),
            Err(ProbeError::Width { .. })
        ));
        let mut broken = features.clone();
        broken[7] = f32::INFINITY;
        let broken = Labeled {
            features: &broken,
            labels: &labels,
        };
        assert!(matches!(
            probe(set, broken, &options(), &device),
            Err(ProbeError::NotFinite(NotFinite {
                which: "test",
                count: 1,
                first: 1
            }))
        ));
        let bad = ProbeOptions {
            epochs: 0,
            ..options()
        };
        assert!(matches!(
            probe(set, set, &bad, &device),
            Err(ProbeError::Options { .. })
        ));
    }
}
