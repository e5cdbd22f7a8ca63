//! Linear layers trained side by side.

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use semaim::parameters::{WeightError, to_host};
use semaim_random::{Key, KeyedRng, Stream};

use super::ProbeOptions;
use super::tally::{Score, Tally};
use crate::knn::Labeled;

/// Share of the running statistics that each batch replaces, as in PyTorch.
const MOMENTUM_OF_STATISTICS: f32 = 0.1;
/// Added to variances, as in SemAIM's code.
const EPSILON: f32 = 1e-6;
/// SGD's momentum.
const MOMENTUM: f32 = 0.9;

/// Images as the probe sees them.
pub(super) struct Set {
    width: usize,
    features: Vec<f32>,
    /// Places among the classes.
    pub(super) labels: Vec<usize>,
}

impl Set {
    pub(super) fn of(set: Labeled<'_>, of: &[usize], width: usize, classes: &[u32]) -> Self {
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
pub(super) struct Grid {
    /// `[width, settings * classes]`.
    weight: Tensor<2>,
    /// `[1, settings * classes]`.
    bias: Tensor<2>,
    weight_momentum: Tensor<2>,
    bias_momentum: Tensor<2>,
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
    pub(super) fn new(
        width: usize,
        classes: usize,
        settings: &[(f64, f64)],
        seed: u64,
        device: &Device,
    ) -> Self {
        let columns = settings.len() * classes;
        let mut draw = KeyedRng::new(Key::new(seed, 0, 0), Stream::Init);
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
            weight_momentum: zeros(width),
            bias_momentum: zeros(1),
            mean: Tensor::zeros([1, width], device),
            variance: Tensor::ones([1, width], device),
            rates: per_column(|setting| setting.0),
            decays: per_column(|setting| setting.1),
            settings: settings.len(),
            classes,
        }
    }

    /// In whole batches: what an epoch leaves over is left out of it, so that none is smaller than the others.
    pub(super) fn train(&mut self, set: &Set, options: &ProbeOptions, device: &Device) {
        let count = set.labels.len();
        let batch_size = options.batch_size.min(count);
        let steps = count / batch_size;
        for epoch in 0..options.epochs {
            let mut order: Vec<usize> = (0..count).collect();
            KeyedRng::new(Key::new(options.seed, epoch as u64, 0), Stream::Shuffle)
                .shuffle(&mut order);
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
        let centered = x - mean.clone();
        let squares = centered.clone().powi_scalar(2).sum_dim(0);
        let x = centered / (squares.clone() / count as f32 + EPSILON).sqrt();
        let blend = |old: Tensor<2>, new: Tensor<2>| {
            old * (1.0 - MOMENTUM_OF_STATISTICS) + new * MOMENTUM_OF_STATISTICS
        };
        self.mean = blend(self.mean.clone(), mean);
        // The unbiased variance is kept, the biased one normalizes, as in PyTorch.
        self.variance = blend(self.variance.clone(), squares / (count.max(2) - 1) as f32);
        let logits = x.clone().matmul(self.weight.clone()) + self.bias.clone();
        let logits = logits.reshape([count, self.settings, self.classes]);
        let labels: Vec<i64> = batch.iter().map(|&i| set.labels[i] as i64).collect();
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [count]), device);
        let targets = labels.one_hot::<2>(self.classes).float();
        let targets = targets.reshape([count, 1, self.classes]);
        let wrong = (activation::softmax(logits, 2) - targets) / count as f32;
        let wrong = wrong.reshape([count, self.settings * self.classes]);
        let weight_gradient =
            x.transpose().matmul(wrong.clone()) + self.weight.clone() * self.decays.clone();
        let bias_gradient = wrong.sum_dim(0) + self.bias.clone() * self.decays.clone();
        self.weight_momentum = self.weight_momentum.clone() * MOMENTUM + weight_gradient;
        self.bias_momentum = self.bias_momentum.clone() * MOMENTUM + bias_gradient;
        let rates = self.rates.clone() * rate as f32;
        self.weight = self.weight.clone() - self.weight_momentum.clone() * rates.clone();
        self.bias = self.bias.clone() - self.bias_momentum.clone() * rates;
    }

    /// What each setting comes to.
    pub(super) fn scores(&self, set: &Set, device: &Device) -> Result<Vec<Score>, WeightError> {
        let all: Vec<usize> = (0..set.labels.len()).collect();
        let mut tallies = Tally::of_each(self.settings);
        let deviation = (self.variance.clone() + EPSILON).sqrt();
        for batch in all.chunks(4096) {
            let x = (set.rows(batch, device) - self.mean.clone()) / deviation.clone();
            let logits = x.matmul(self.weight.clone()) + self.bias.clone();
            let logits = to_host("logits", logits)?.values;
            for (row, &i) in logits.chunks(self.settings * self.classes).zip(batch) {
                for (tally, logits) in tallies.iter_mut().zip(row.chunks(self.classes)) {
                    tally.add(logits, set.labels[i]);
                }
            }
        }
        Ok(tallies.iter().map(Tally::score).collect())
    }
}
