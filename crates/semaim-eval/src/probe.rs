//! The linear probe: how well a linear layer on frozen features classifies (method, section 4).
//!
//! Batch normalisation without affine parameters, then one linear layer, SGD with momentum and a cosine schedule, as
//! published for masked autoencoders. A probe's result hangs on its learning rate and weight decay, so a whole grid of
//! them is trained at the same time: the layers stand side by side in one matrix. Part of the training images is held
//! back to choose among them; what is chosen meets the test images once.

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use semaim::parameters::{WeightError, to_host};
use semaim_random::{Draw, Purpose};

use crate::knn::{Accuracy, Labelled};

/// How a probe is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeOptions {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images per step.
    pub batch_size: usize,
    /// Learning rates per 256 images to choose from.
    pub base_lrs: Vec<f64>,
    /// Weight decays to choose from.
    pub weight_decays: Vec<f64>,
    /// One in this many training images is held back to choose with.
    pub held_back: u64,
    /// Seed of the first weights, of the order of the images and of what is held back.
    pub seed: u64,
}

impl Default for ProbeOptions {
    /// As published (90 epochs, batches of 4,096, rate 0.1, no decay), with neighbours of the rate and the decay.
    fn default() -> Self {
        Self {
            epochs: 90,
            batch_size: 4096,
            base_lrs: vec![0.01, 0.03, 0.1, 0.3, 1.0, 3.0],
            weight_decays: vec![0.0, 1e-5, 1e-4, 1e-3],
            held_back: 10,
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
    /// Accuracy on what was held back.
    pub held_back: Accuracy,
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The best setting by top-1 on what was held back; the first of equals.
    pub chosen: Setting,
    /// Its accuracy on the test images.
    pub test: Accuracy,
    /// All settings.
    pub grid: Vec<Setting>,
    /// Images trained on.
    pub trained_on: usize,
}

/// Why there is no probe.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Too few images.
    #[error("a probe needs labelled images on both sides: {train} to train on, {test} to test")]
    Empty {
        /// Training images that are not held back.
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
    /// The device failed.
    #[error(transparent)]
    Device(#[from] WeightError),
}

/// Share of the running statistics that each batch replaces, as in PyTorch.
const MOMENTUM_OF_STATISTICS: f32 = 0.1;
/// Added to variances, as in PyTorch.
const EPSILON: f32 = 1e-6;
/// SGD's momentum.
const MOMENTUM: f32 = 0.9;

/// Trains a grid of probes and tests the best.
///
/// # Errors
/// [`ProbeError`].
pub fn probe(
    train: Labelled<'_>,
    test: Labelled<'_>,
    options: &ProbeOptions,
    device: &Device,
) -> Result<Probe, ProbeError> {
    check(options)?;
    let held = |i: &usize| {
        options.held_back > 0
            && Draw::new(options.seed, 0, *i as u64, Purpose::Split).below(options.held_back) == 0
    };
    let (held_back, kept): (Vec<usize>, Vec<usize>) = (0..train.labels.len()).partition(held);
    if kept.is_empty() || held_back.is_empty() || test.labels.is_empty() {
        return Err(ProbeError::Empty {
            train: kept.len(),
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
    let mut classes: Vec<u32> = train.labels.iter().chain(test.labels).copied().collect();
    classes.sort_unstable();
    classes.dedup();
    if kept
        .iter()
        .all(|&i| train.labels[i] == train.labels[kept[0]])
    {
        return Err(ProbeError::OneClass { images: kept.len() });
    }
    let settings: Vec<(f64, f64)> = options
        .base_lrs
        .iter()
        .flat_map(|&lr| options.weight_decays.iter().map(move |&decay| (lr, decay)))
        .collect();
    let set = |set: Labelled<'_>, of: &[usize]| Set::of(set, of, width, &classes);
    let (kept, held_back) = (set(train, &kept), set(train, &held_back));
    let everything: Vec<usize> = (0..test.labels.len()).collect();
    let test = set(test, &everything);
    let mut grid = Grid::new(width, classes.len(), &settings, options.seed, device);
    grid.train(&kept, options, device);
    let all: Vec<Setting> = grid
        .accuracies(&held_back, device)?
        .into_iter()
        .zip(&settings)
        .map(|(held_back, &(base_lr, weight_decay))| Setting {
            base_lr,
            weight_decay,
            held_back,
        })
        .collect();
    let best = (0..all.len())
        .rev()
        .max_by(|&a, &b| all[a].held_back.top1.total_cmp(&all[b].held_back.top1))
        .unwrap_or(0);
    Ok(Probe {
        chosen: all[best],
        test: grid.accuracies(&test, device)?[best],
        grid: all,
        trained_on: kept.labels.len(),
    })
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
    } else if options.held_back < 2 {
        "one training image in two or more must be held back to choose with"
    } else {
        return Ok(());
    };
    Err(ProbeError::Options { what: problem })
}

/// Images as the probe sees them.
struct Set {
    width: usize,
    features: Vec<f32>,
    /// Places among the classes.
    labels: Vec<usize>,
}

impl Set {
    fn of(set: Labelled<'_>, of: &[usize], width: usize, classes: &[u32]) -> Self {
        let mut features = Vec::with_capacity(of.len() * width);
        let mut labels = Vec::with_capacity(of.len());
        for &i in of {
            features.extend_from_slice(&set.features[i * width..][..width]);
            labels.push(classes.partition_point(|class| *class < set.labels[i]));
        }
        Self {
            width,
            features,
            labels,
        }
    }

    fn rows(&self, of: &[usize], device: &Device) -> Tensor<2> {
        let mut values = Vec::with_capacity(of.len() * self.width);
        for &i in of {
            values.extend_from_slice(&self.features[i * self.width..][..self.width]);
        }
        Tensor::from_data(TensorData::new(values, [of.len(), self.width]), device)
    }
}

/// Linear layers side by side.
struct Grid {
    /// `[width, settings * classes]`.
    weight: Tensor<2>,
    /// `[1, settings * classes]`.
    bias: Tensor<2>,
    weight_speed: Tensor<2>,
    bias_speed: Tensor<2>,
    /// Of the features, `[1, width]`.
    mean: Tensor<2>,
    variance: Tensor<2>,
    /// Per column, `[1, settings * classes]`.
    rates: Tensor<2>,
    decays: Tensor<2>,
    settings: usize,
    classes: usize,
}

impl Grid {
    fn new(
        width: usize,
        classes: usize,
        settings: &[(f64, f64)],
        seed: u64,
        device: &Device,
    ) -> Self {
        let columns = settings.len() * classes;
        let mut draw = Draw::new(seed, 0, 0, Purpose::Init);
        // The same first weights for every setting, normal with deviation 0.01.
        let first: Vec<f32> = (0..width * classes)
            .map(|_| 0.01 * draw.normal() as f32)
            .collect();
        let weight: Vec<f32> = first
            .chunks(classes)
            .flat_map(|row| std::iter::repeat_n(row, settings.len()).flatten().copied())
            .collect();
        let per_column = |get: fn(&(f64, f64)) -> f64| {
            let values: Vec<f32> = settings
                .iter()
                .flat_map(|setting| std::iter::repeat_n(get(setting) as f32, classes))
                .collect();
            Tensor::from_data(TensorData::new(values, [1, columns]), device)
        };
        let zeros = |rows| Tensor::zeros([rows, columns], device);
        Self {
            weight: Tensor::from_data(TensorData::new(weight, [width, columns]), device),
            bias: zeros(1),
            weight_speed: zeros(width),
            bias_speed: zeros(1),
            mean: Tensor::zeros([1, width], device),
            variance: Tensor::ones([1, width], device),
            rates: per_column(|setting| setting.0),
            decays: per_column(|setting| setting.1),
            settings: settings.len(),
            classes,
        }
    }

    fn train(&mut self, set: &Set, options: &ProbeOptions, device: &Device) {
        let count = set.labels.len();
        let batch_size = options.batch_size.min(count);
        let steps = count / batch_size;
        for epoch in 0..options.epochs {
            let mut order: Vec<usize> = (0..count).collect();
            Draw::new(options.seed, epoch as u64, 0, Purpose::Shuffle).shuffle(&mut order);
            for (step, batch) in order.chunks_exact(batch_size).enumerate() {
                let time = (epoch as f64 + step as f64 / steps as f64) / options.epochs as f64;
                let cosine = 0.5 * (1.0 + (std::f64::consts::PI * time).cos());
                self.step(set, batch, cosine * batch_size as f64 / 256.0, device);
            }
        }
    }

    fn step(&mut self, set: &Set, batch: &[usize], rate: f64, device: &Device) {
        let x = set.rows(batch, device);
        let count = batch.len();
        let mean = x.clone().mean_dim(0);
        let centred = x - mean.clone();
        let squares = centred.clone().powi_scalar(2).sum_dim(0);
        let x = centred / (squares.clone() / count as f32 + EPSILON).sqrt();
        let blend = |old: Tensor<2>, new: Tensor<2>| {
            old * (1.0 - MOMENTUM_OF_STATISTICS) + new * MOMENTUM_OF_STATISTICS
        };
        self.mean = blend(self.mean.clone(), mean);
        // The unbiased variance is kept, the biased one normalises, as in PyTorch.
        self.variance = blend(self.variance.clone(), squares / (count.max(2) - 1) as f32);
        let logits = x.clone().matmul(self.weight.clone()) + self.bias.clone();
        let logits = logits.reshape([count, self.settings, self.classes]);
        let labels: Vec<i64> = batch.iter().map(|&i| set.labels[i] as i64).collect();
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [count]), device);
        let truth = labels.one_hot::<2>(self.classes).float();
        let truth = truth.reshape([count, 1, self.classes]);
        let wrong = (activation::softmax(logits, 2) - truth) / count as f32;
        let wrong = wrong.reshape([count, self.settings * self.classes]);
        let weight_gradient =
            x.transpose().matmul(wrong.clone()) + self.weight.clone() * self.decays.clone();
        let bias_gradient = wrong.sum_dim(0) + self.bias.clone() * self.decays.clone();
        self.weight_speed = self.weight_speed.clone() * MOMENTUM + weight_gradient;
        self.bias_speed = self.bias_speed.clone() * MOMENTUM + bias_gradient;
        let rates = self.rates.clone() * rate as f32;
        self.weight = self.weight.clone() - self.weight_speed.clone() * rates.clone();
        self.bias = self.bias.clone() - self.bias_speed.clone() * rates;
    }

    /// The accuracy of each setting.
    fn accuracies(&self, set: &Set, device: &Device) -> Result<Vec<Accuracy>, ProbeError> {
        let all: Vec<usize> = (0..set.labels.len()).collect();
        let mut hits = vec![[0_usize; 2]; self.settings];
        let deviation = (self.variance.clone() + EPSILON).sqrt();
        for batch in all.chunks(4096) {
            let x = (set.rows(batch, device) - self.mean.clone()) / deviation.clone();
            let logits = x.matmul(self.weight.clone()) + self.bias.clone();
            let logits = to_host("logits", logits)?.values;
            for (row, &i) in logits.chunks(self.settings * self.classes).zip(batch) {
                for (hits, logits) in hits.iter_mut().zip(row.chunks(self.classes)) {
                    let own = logits[set.labels[i]];
                    // A logit that is no number beats nothing.
                    let ahead = |(class, &other): (usize, &f32)| {
                        other > own || own.is_nan() || (other == own && class < set.labels[i])
                    };
                    let before = logits
                        .iter()
                        .enumerate()
                        .filter(|&pair| ahead(pair))
                        .count();
                    hits[0] += usize::from(before == 0);
                    hits[1] += usize::from(before < 5);
                }
            }
        }
        let share = |hits: usize| hits as f64 / set.labels.len() as f64;
        Ok(hits
            .into_iter()
            .map(|[top1, top5]| Accuracy {
                top1: share(top1),
                top5: share(top5),
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Classes around directions of their own, of different scale, far from the origin.
    fn clusters(count: usize, seed: u64) -> (Vec<f32>, Vec<u32>) {
        let mut draw = Draw::new(seed, 0, 0, Purpose::Init);
        let mut features = Vec::new();
        let mut labels = Vec::new();
        for i in 0..count {
            let class = i % 3;
            for axis in 0..6 {
                let centre = if axis == class { 2.0 } else { 0.0 };
                let scale = 10.0_f64.powi(axis as i32 - 2);
                features.push((scale * (100.0 + centre + 0.5 * draw.normal())) as f32);
            }
            labels.push(10 * class as u32);
        }
        (features, labels)
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
        let result = probe(
            Labelled {
                features: &train,
                labels: &train_labels,
            },
            Labelled {
                features: &test,
                labels: &test_labels,
            },
            &options(),
            &Device::flex(),
        )
        .unwrap();
        assert!(result.test.top1 > 0.97, "{result:?}");
        assert_eq!(result.grid.len(), 24);
        assert!(result.trained_on < 600);
        let best = result
            .grid
            .iter()
            .map(|s| s.held_back.top1)
            .fold(0.0, f64::max);
        assert_eq!(result.chosen.held_back.top1, best);
    }

    #[test]
    fn labels_without_meaning_are_learned_by_nobody() {
        let (train, mut labels) = clusters(600, 1);
        let mut draw = Draw::new(5, 0, 0, Purpose::Shuffle);
        labels
            .iter_mut()
            .for_each(|label| *label = 10 * draw.below(3) as u32);
        let (test, test_labels) = clusters(600, 2);
        let result = probe(
            Labelled {
                features: &train,
                labels: &labels,
            },
            Labelled {
                features: &test,
                labels: &test_labels,
            },
            &options(),
            &Device::flex(),
        )
        .unwrap();
        assert!(result.test.top1 < 0.6, "{result:?}");
    }

    #[test]
    fn bad_sizes_are_errors() {
        let device = Device::flex();
        let (features, labels) = clusters(30, 1);
        let set = Labelled {
            features: &features,
            labels: &labels,
        };
        let none = Labelled {
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
        let same = Labelled {
            features: &features,
            labels: &one,
        };
        assert!(matches!(
            probe(same, set, &options(), &device),
            Err(ProbeError::OneClass { .. })
        ));
        let short = Labelled {
            features: &features[..150],
            labels: &labels,
        };
        assert!(matches!(
            probe(set, short, &options(), &device),
            Err(ProbeError::Width { .. })
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
