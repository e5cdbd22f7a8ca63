//! Losses as numbers, and their sums between two lines of the log.

use std::time::Duration;

use burn::tensor::Tensor;
use semaim::parameters::to_host;

use crate::error::TrainError;
use crate::task::Loss;

/// A loss as numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossValues {
    /// The loss itself.
    pub total: f64,
    /// Its parts by name, where it has any.
    pub parts: Vec<(&'static str, f64)>,
}

impl LossValues {
    /// Reads a loss off its device, all of it at once.
    pub(crate) fn of(loss: Loss) -> Result<Self, TrainError> {
        let (names, values) = flat(loss);
        let values = to_host("loss", values)?.values;
        Ok(Self::from_flat(&names, &values))
    }

    /// From the total and its parts, one after the other.
    pub(crate) fn from_flat(names: &[&'static str], values: &[f32]) -> Self {
        let mut values = values.iter().copied().map(f64::from);
        Self {
            total: values.next().unwrap_or(f64::NAN),
            parts: names.iter().copied().zip(values).collect(),
        }
    }

    /// Adds another loss `times` over.
    pub(crate) fn add(&mut self, other: &Self, times: f64) {
        self.total += times * other.total;
        if self.parts.is_empty() {
            self.parts = other.parts.iter().map(|(name, _)| (*name, 0.0)).collect();
        }
        for ((_, sum), (_, value)) in self.parts.iter_mut().zip(&other.parts) {
            *sum += times * value;
        }
    }
}

/// The names of a loss's parts, and the loss followed by its parts, without gradients.
pub(crate) fn flat(loss: Loss) -> (Vec<&'static str>, Tensor<1>) {
    let (names, parts): (Vec<_>, Vec<_>) = loss.parts.into_iter().unzip();
    if parts.is_empty() {
        return (names, loss.total.inner());
    }
    let all = std::iter::once(loss.total).chain(parts).map(Tensor::inner);
    (names, Tensor::cat(all.collect(), 0))
}

/// Where the time goes that ranks have to do with each other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TogetherTime {
    /// Waiting for those that compute longer.
    pub(crate) waiting: Duration,
    /// Exchanging gradients.
    pub(crate) exchange: Duration,
}

/// Sums since the last line of the log.
#[derive(Default)]
pub(crate) struct Window {
    pub(crate) steps: u32,
    pub(crate) loss: LossValues,
    pub(crate) images: usize,
    pub(crate) time: Duration,
    /// Of it, waiting for images.
    pub(crate) data: Duration,
    /// The share of the loader's queue that was ready, summed over steps.
    pub(crate) queue_fill: f64,
    /// Of the time, with other ranks.
    pub(crate) together: TogetherTime,
}
