//! The linear probe: how well a linear layer on frozen features classifies (method, section 4).
//!
//! Batch normalization without affine parameters, then one linear layer, SGD with momentum and a cosine schedule, as
//! published for masked autoencoders. A probe's result hangs on its learning rate and weight decay, so a whole grid of
//! them is trained at the same time: the layers stand side by side in one matrix. A validation split of the training
//! images chooses among them; what is chosen meets the test images once.

mod grid;
pub mod head;
pub mod memory;
pub mod online;

use burn::tensor::Device;
use semaim::parameters::WeightError;
use semaim_data::held_out;
use semaim_random::{Key, KeyedRng, Stream};
use serde::{Deserialize, Serialize};

use crate::accuracy::Accuracy;
use crate::knn::{Labeled, NotFinite};
use grid::{Grid, Set};

/// How a probe is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeOptions {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images per step.
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
    /// Accuracy on the validation split.
    pub validation: Accuracy,
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The best setting by top-1 on the validation split; the first of equals.
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
    check(options)?;
    let draw = |row: usize| KeyedRng::new(Key::new(options.seed, 0, row as u64), Stream::Split);
    let rows = 0..train.labels.len();
    let (kept, validation) = validation_split(rows, draw, options.validation_every);
    if validation.is_empty() || test.labels.is_empty() {
        return Err(ProbeError::Empty {
            train: train.labels.len(),
            test: test.labels.len(),
        });
    }
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
    let validation = grid.accuracies(&validation, device)?;
    Ok(Probe::choose(
        &settings,
        &validation,
        kept.labels.len(),
        || Ok::<_, WeightError>((grid.accuracies(&test, device)?, test.labels.len())),
    )?)
}

/// Divides training images into those to train on and those to choose with: each is drawn with 1 in `every`. Of two or more, each part
/// has one at least.
fn validation_split<T: Copy>(
    images: impl IntoIterator<Item = T>,
    draw: impl Fn(T) -> KeyedRng,
    every: u64,
) -> (Vec<T>, Vec<T>) {
    let images: Vec<T> = images.into_iter().collect();
    let held_out = held_out(images.iter().map(|&image| draw(image)), every);
    let part = |of_validation: bool| {
        let images = images.iter().zip(&held_out);
        let images = images.filter(|(_, held_out)| **held_out == of_validation);
        images.map(|(image, _)| *image).collect()
    };
    (part(false), part(true))
}

impl Probe {
    /// Chooses among `(learning rate, weight decay)` by their accuracies on the validation split; only then are those on
    /// the test images asked for, with the number of these.
    fn choose<E>(
        settings: &[(f64, f64)],
        validation: &[Accuracy],
        trained_on: usize,
        test: impl FnOnce() -> Result<(Vec<Accuracy>, usize), E>,
    ) -> Result<Self, E> {
        let grid: Vec<Setting> = settings
            .iter()
            .zip(validation)
            .map(|(&(base_lr, weight_decay), &validation)| Setting {
                base_lr,
                weight_decay,
                validation,
            })
            .collect();
        let best = best_of(&grid);
        let (accuracies, tested_on) = test()?;
        Ok(Self {
            chosen: grid[best],
            test: accuracies[best],
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

/// The first of the best by top-1 on the validation split.
fn best_of(grid: &[Setting]) -> usize {
    let top1 = |i: usize| grid[i].validation.top1;
    (0..grid.len())
        .rev()
        .max_by(|&a, &b| top1(a).total_cmp(&top1(b)))
        .unwrap_or(0)
}

fn check(options: &ProbeOptions) -> Result<(), ProbeError> {
    let positive = |values: &[f64]| values.iter().all(|v| v.is_finite() && *v > 0.0);
    let not_negative = |values: &[f64]| values.iter().all(|v| v.is_finite() && *v >= 0.0);
    let problem = if options.epochs == 0 || options.batch_size == 0 {
        "epochs and batch size must be at least 1"
    } else if options.base_lrs.is_empty() || !positive(&options.base_lrs) {
        "learning rates must be above 0"
    } else if options.weight_decays.is_empty() || !not_negative(&options.weight_decays) {
        "weight decays must not be negative"
    } else if options.validation_every < 2 {
        "the validation split must be one training image in two or fewer"
    } else {
        return Ok(());
    };
    Err(ProbeError::Options { what: problem })
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
                let (kept, validation) = validation_split(0..count, draw, every);
                assert!(!kept.is_empty() && !validation.is_empty(), "{every} {seed}");
                let mut all = [kept, validation].concat();
                all.sort_unstable();
                assert!(all.into_iter().eq(0..count));
            }
        }
        let draw = |row: usize| KeyedRng::new(Key::new(0, 0, row as u64), Stream::Split);
        assert!(validation_split(0..1, draw, 10).1.is_empty());
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
