//! Batch norm over maps (Ioffe and Szegedy, ICML 2015), and how its running statistics follow those of batches.
//!
//! A forward pass changes nothing: in training it [notes](BatchStatistics) what it measured, and whoever takes the step
//! moves the running statistics by it, once per step. They are weights of the model that no gradient reaches, so that
//! checkpoints hold them.

use std::collections::BTreeMap;

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Tensor, activation};
use semaim_kernels::{NormWeights, UnreadStep, batch_norm, moving_average};

use crate::feature_map::FeatureMap;
use crate::parameters::{NamedMapper, NamedVisitor, map_in_place, visit_named};

/// What is added to the variance, as in PyTorch.
const EPSILON: f64 = 1e-5;

/// Share of the running statistics that a step replaces, as in PyTorch.
const MOMENTUM: f64 = 0.1;

/// Batch norm of each channel.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Scale, `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[channels]`.
    pub bias: Param<Tensor<1>>,
    /// Mean over batches, `[channels]`; not trained.
    pub running_mean: Param<Tensor<1>>,
    /// Variance over batches, `[channels]`; not trained.
    pub running_var: Param<Tensor<1>>,
}

/// Which statistics maps are normalized by.
#[derive(Debug)]
pub enum NormMode {
    /// Evaluation: the running ones.
    Running,
    /// Training: those of the batch, which are noted here.
    Batch(BatchStatistics),
}

impl NormMode {
    /// Training, nothing noted yet.
    pub fn training() -> Self {
        Self::Batch(BatchStatistics::default())
    }

    /// What was noted.
    pub fn into_statistics(self) -> BatchStatistics {
        match self {
            Self::Running => BatchStatistics::default(),
            Self::Batch(statistics) => statistics,
        }
    }
}

impl BatchNorm {
    /// Scale one, shift zero, mean zero and variance one.
    pub fn new(channels: usize, device: &Device) -> Self {
        let ones = || Param::from_tensor(Tensor::ones([channels], device));
        let zeros = || Param::from_tensor(Tensor::zeros([channels], device));
        Self {
            weight: ones(),
            bias: zeros(),
            running_mean: zeros().set_require_grad(false),
            running_var: ones().set_require_grad(false),
        }
    }

    /// A map of the same shape. In training there must be more than one position in the batch, as of a single one there is
    /// no variance.
    pub fn forward(&self, x: &FeatureMap, mode: &mut NormMode) -> FeatureMap {
        self.normalized(x, mode, false)
    }

    /// The positive part of the same.
    pub fn rectified(&self, x: &FeatureMap, mode: &mut NormMode) -> FeatureMap {
        self.normalized(x, mode, true)
    }

    fn normalized(&self, x: &FeatureMap, mode: &mut NormMode, relu: bool) -> FeatureMap {
        let [batch, positions, channels] = x.values.dims();
        let weights = NormWeights {
            weight: self.weight.val(),
            bias: self.bias.val(),
            epsilon: EPSILON,
        };
        let values = match mode {
            NormMode::Running => {
                let row = |tensor: Tensor<1>| tensor.reshape([1, 1, channels]);
                let inv_std = (self.running_var.val() + EPSILON).sqrt().recip();
                let scale = row(weights.weight * inv_std);
                let centered = x.values.clone() - row(self.running_mean.val());
                let values = centered * scale + row(weights.bias);
                if relu {
                    activation::relu(values)
                } else {
                    values
                }
            }
            NormMode::Batch(statistics) => {
                let rows = batch * positions;
                assert!(rows > 1, "the variance of a single position");
                let normed = batch_norm(x.values.clone(), weights, relu);
                let unbiased = normed.variance * (rows as f64 / (rows - 1) as f64);
                let measured = &mut statistics.by_param;
                measured.insert(self.running_mean.id, normed.mean);
                measured.insert(self.running_var.id, unbiased);
                normed.out
            }
        };
        FeatureMap {
            values,
            grid: x.grid,
        }
    }
}

/// What batch norms measured in a step: for each running statistic, that of the step's batch.
#[derive(Clone, Debug, Default)]
pub struct BatchStatistics {
    by_param: BTreeMap<ParamId, Tensor<1>>,
}

impl BatchStatistics {
    /// Of one running statistic: what a batch measured, `[values]`.
    pub fn of<const D: usize>(running: &Param<Tensor<D>>, measured: Tensor<1>) -> Self {
        Self {
            by_param: BTreeMap::from([(running.id, measured)]),
        }
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.by_param.is_empty()
    }

    /// Adds what a part of the step's batch measured, weighted by its share of the batch. Each part is normalized by its
    /// own statistics; the running ones follow their mean.
    pub fn add(&mut self, part: Self, share: f64) {
        for (id, measured) in part.by_param {
            let measured = measured * share;
            let sum = match self.by_param.remove(&id) {
                Some(sum) => sum + measured,
                None => measured,
            };
            self.by_param.insert(id, sum);
        }
    }

    /// What was measured, `[values]`, by the names that the running statistics have in a model or in one that it was cloned
    /// from.
    pub fn by_name<M: Module>(mut self, model: &M) -> BTreeMap<String, Tensor<1>> {
        let mut names = BTreeMap::new();
        visit_named(
            model,
            &mut Each(|name: &str, id| {
                if let Some(measured) = self.by_param.remove(&id) {
                    names.insert(name.to_string(), measured);
                }
            }),
        );
        names
    }

    /// The other way: of what `measured` gives for the names of a model's weights.
    pub fn of_names<M: Module>(
        model: &M,
        mut measured: impl FnMut(&str) -> Option<Tensor<1>>,
    ) -> Self {
        let mut by_param = BTreeMap::new();
        visit_named(
            model,
            &mut Each(|name: &str, id| {
                if let Some(measured) = measured(name) {
                    by_param.insert(id, measured);
                }
            }),
        );
        Self { by_param }
    }

    /// Moves the running statistics of a model (or of one that it was cloned from) a tenth of the way. A step that nobody has
    /// read and that is left out moves nothing.
    pub fn update<M: Module>(self, model: &mut M, unread: Option<&UnreadStep>) {
        let measured = self.by_param;
        if !measured.is_empty() {
            map_in_place(model, &mut Follow { measured, unread });
        }
    }
}

/// Does something with the name and the number of each weight.
struct Each<F>(F);

impl<F: FnMut(&str, ParamId)> NamedVisitor for Each<F> {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        (self.0)(name, param.id);
    }
}

struct Follow<'a> {
    measured: BTreeMap<ParamId, Tensor<1>>,
    unread: Option<&'a UnreadStep>,
}

impl NamedMapper for Follow<'_> {
    fn map<const D: usize>(&mut self, _name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(measured) = self.measured.remove(&param.id) else {
            return param;
        };
        param.map(|running| {
            let measured = measured.reshape(running.dims());
            let before = self.unread.map(|step| (step, running.clone()));
            let after = moving_average(running, measured, 1.0 - MOMENTUM);
            match before {
                Some((step, before)) => step.choose(after, before),
                None => after,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;
    use crate::parameters::{Weight, weights};
    use burn::tensor::TensorData;

    fn map(values: &[f32], batch: usize) -> FeatureMap {
        let columns = values.len() / batch / 2;
        let data = TensorData::new(values.to_vec(), [batch, columns, 2]);
        FeatureMap {
            values: Tensor::from_data(data, &Device::flex()),
            grid: Grid { rows: 1, columns },
        }
    }

    fn near(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    fn values(map: FeatureMap) -> Vec<f32> {
        map.values.into_data().try_to_vec().unwrap()
    }

    fn running(norm: &BatchNorm) -> [Vec<f32>; 2] {
        let all = weights(norm).unwrap();
        ["running_mean", "running_var"].map(|name| {
            let Weight { values, .. } = &all[name];
            values.clone()
        })
    }

    #[test]
    fn batches_are_normalized_by_their_own_statistics_and_evaluation_by_the_running_ones() {
        // Channels (1, 2, 3, 6) and (0, 0, 4, 0): means 3 and 1, variances 3.5 and 3.
        let x = map(&[1.0, 0.0, 2.0, 0.0, 3.0, 4.0, 6.0, 0.0], 2);
        let mut norm = BatchNorm::new(2, &Device::flex());
        let mut mode = NormMode::training();
        let of = |x: f64, mean: f64, var: f64| ((x - mean) / (var + 1e-5).sqrt()) as f32;
        let found = values(norm.forward(&x, &mut mode));
        near(
            &found[..4],
            &[
                of(1.0, 3.0, 3.5),
                of(0.0, 1.0, 3.0),
                of(2.0, 3.0, 3.5),
                of(0.0, 1.0, 3.0),
            ],
        );
        // A forward pass changes nothing.
        assert_eq!(running(&norm), [vec![0.0; 2], vec![1.0; 2]]);
        mode.into_statistics().update(&mut norm, None);
        let [mean, var] = running(&norm);
        near(&mean, &[0.3, 0.1]);
        near(&var, &[0.9 + 0.1 * 14.0 / 3.0, 0.9 + 0.1 * 4.0]);
        let found = values(norm.forward(&x, &mut NormMode::Running));
        near(
            &found[..2],
            &[
                of(1.0, 0.3, f64::from(var[0])),
                of(0.0, 0.1, f64::from(var[1])),
            ],
        );
    }

    #[test]
    fn parts_of_a_batch_move_the_statistics_once_by_their_mean() {
        let mut norm = BatchNorm::new(2, &Device::flex());
        let mut step = BatchStatistics::default();
        for part in [[0.0, 0.0, 2.0, 2.0], [4.0, 0.0, 8.0, 0.0]] {
            let mut mode = NormMode::training();
            norm.forward(&map(&part, 1), &mut mode);
            step.add(mode.into_statistics(), 0.5);
        }
        step.update(&mut norm, None);
        let [mean, var] = running(&norm);
        near(&mean, &[0.35, 0.05]);
        near(&var, &[0.9 + 0.1 * 5.0, 0.9 + 0.1]);
    }

    #[test]
    fn running_statistics_are_no_part_of_a_graph() {
        let norm = BatchNorm::new(2, &Device::flex()).train();
        let x = map(&[1.0, 0.0, 2.0, 0.0, 3.0, 4.0, 6.0, 0.0], 2);
        let x = FeatureMap {
            values: Tensor::from_inner(x.values).require_grad(),
            grid: x.grid,
        };
        let mut mode = NormMode::training();
        let y = norm.forward(&x, &mut mode);
        // What every position gains its channel's mean loses: the sum has no gradient.
        let gradients = y.values.clone().sum().backward();
        let gradient = x.values.grad(&gradients).unwrap();
        near(
            &gradient.into_data().try_to_vec::<f32>().unwrap(),
            &[0.0; 8],
        );
        assert!(norm.bias.val().grad(&gradients).is_some());
        assert!(norm.running_mean.val().grad(&gradients).is_none());
        // Taken up by the model without a graph.
        let mut plain = norm.valid();
        mode.into_statistics().update(&mut plain, None);
        near(&running(&plain)[0], &[0.3, 0.1]);
    }
}
