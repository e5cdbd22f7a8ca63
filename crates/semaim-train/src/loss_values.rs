//! Losses as numbers, and their sums between two lines of the log.

use std::time::Duration;

use burn::tensor::Tensor;
use semaim::parameters::to_host;
use serde_json::json;

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

/// The losses of the steps since the last line of the log, added up. Its next line gives their mean, so they are saved with the run:
/// that line is the same however often the run was interrupted before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnloggedLoss {
    /// The step of that line; 0 before the first.
    pub after: u64,
    /// The sum of the losses.
    pub total: f64,
    /// The sums of their parts by name, where they have any.
    pub parts: Vec<(String, f64)>,
}

impl UnloggedLoss {
    /// None yet: the step has its line.
    pub(crate) fn starting_after(step: u64) -> Self {
        Self {
            after: step,
            ..Self::default()
        }
    }

    /// Adds the loss of a step.
    pub(crate) fn add(&mut self, loss: &LossValues) {
        self.total += loss.total;
        if self.parts.is_empty() {
            let names = loss.parts.iter().map(|(name, _)| (*name).to_string());
            self.parts = names.map(|name| (name, 0.0)).collect();
        }
        for ((_, sum), (_, value)) in self.parts.iter_mut().zip(&loss.parts) {
            *sum += value;
        }
    }

    /// As text, to the bit: a sum may be no number, which JSON does not have.
    pub(crate) fn text(&self) -> String {
        let parts = self.parts.iter();
        let parts: Vec<(&str, u64)> = parts
            .map(|(name, sum)| (name.as_str(), sum.to_bits()))
            .collect();
        json!([self.after, self.total.to_bits(), parts]).to_string()
    }

    /// From what [`UnloggedLoss::text`] gives; `None` for another text.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let (after, total, parts): (u64, u64, Vec<(String, u64)>) =
            serde_json::from_str(text).ok()?;
        let parts = parts.into_iter();
        Some(Self {
            after,
            total: f64::from_bits(total),
            parts: parts
                .map(|(name, sum)| (name, f64::from_bits(sum)))
                .collect(),
        })
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

/// Times since the last line of the log, or since the run went on: those before an interruption say nothing of this sitting.
#[derive(Default)]
pub(crate) struct Window {
    pub(crate) steps: u32,
    pub(crate) images: usize,
    pub(crate) time: Duration,
    /// Of it, waiting for images.
    pub(crate) data: Duration,
    /// The share of the loader's queue that was ready, summed over steps.
    pub(crate) queue_fill: f64,
    /// Of the time, with other ranks.
    pub(crate) together: TogetherTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(total: f64, main: f64) -> LossValues {
        LossValues {
            total,
            parts: vec![("main", main), ("auxiliary", total - main)],
        }
    }

    #[test]
    fn sums_that_were_saved_go_on_to_the_bit() {
        let (third, tenth) = (loss(1.0 / 3.0, 0.1), loss(0.1, 0.7));
        let mut whole = UnloggedLoss::starting_after(30);
        whole.add(&third);
        let mut saved = UnloggedLoss::of_text(&whole.text()).unwrap();
        assert_eq!(saved, whole);
        for sums in [&mut whole, &mut saved] {
            sums.add(&tenth);
        }
        assert_eq!(saved, whole);
        assert_eq!(saved.after, 30);
        assert_eq!(saved.total.to_bits(), (1.0_f64 / 3.0 + 0.1).to_bits());
        assert_eq!(saved.parts[0].0, "main");
        whole.add(&loss(f64::NAN, 1.0));
        let saved = UnloggedLoss::of_text(&whole.text()).unwrap();
        assert!(saved.total.is_nan());
        assert_eq!(saved.parts[0], whole.parts[0]);
        for other in ["", "[1,2]", "[1,2,[[3]]]", "[-1,2,[]]"] {
            assert_eq!(UnloggedLoss::of_text(other), None, "{other}");
        }
    }
}
