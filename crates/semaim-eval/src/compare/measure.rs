//! What is measured of an encoder, as columns of a table.

use std::collections::BTreeMap;

use semaim::similarity::Similarity;
use serde::{Deserialize, Serialize};

use super::config::{CompareConfig, Evaluation};
use crate::accuracy::Accuracy;
use crate::pointing::{PointingResult, SIMILARITIES};

/// The key under which [`Scores::pointing`] has what a start at random would hit.
pub const CHANCE: &str = "chance";

/// A number that is measured of an encoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// Top-1 of nearest neighbors.
    Knn,
    /// Top-1 of a linear layer on frozen features.
    Probe {
        /// The share of the training labels that it learns from, in (0, 1].
        labels: f64,
    },
    /// Top-1 of the whole network, fine-tuned.
    Finetune,
    /// Share of the images whose order starts on the object, by this similarity.
    Pointing(Similarity),
}

impl Measure {
    /// Its name in tables.
    pub fn name(self) -> String {
        match self {
            Self::Knn => "kNN".into(),
            Self::Probe { labels: 1.0 } => "linear probe".into(),
            Self::Probe { labels } => format!("linear probe, {} of the labels", percent(labels)),
            Self::Finetune => "fine-tuned".into(),
            Self::Pointing(kind) => format!("starts on the object ({})", kind.name()),
        }
    }

    /// Its key in records.
    pub fn key(self) -> String {
        match self {
            Self::Knn => "knn".into(),
            Self::Probe { labels: 1.0 } => "probe".into(),
            Self::Probe { labels } => format!("probe-{}", percent(labels).replace(' ', "")),
            Self::Finetune => "finetune".into(),
            Self::Pointing(kind) => format!("pointing-{}", kind.name()),
        }
    }

    /// Whether it is measured on vectors of labeled images, which a frozen encoder makes of them.
    pub(super) fn is_of_vectors(self) -> bool {
        matches!(self, Self::Knn | Self::Probe { .. })
    }

    /// Whether it is measured on generated images with a known object.
    pub(super) fn is_pointing(self) -> bool {
        matches!(self, Self::Pointing(_))
    }

    /// What the number is a share of: `top1` or `hits`.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Pointing(_) => "hits",
            _ => "top1",
        }
    }
}

fn percent(share: f64) -> String {
    // A share such as 0.07 times a hundred is off by its last bits.
    let text = format!("{:.6}", 100.0 * share);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

impl CompareConfig {
    /// The columns of the table.
    pub fn measures(&self) -> Vec<Measure> {
        self.measures_of(&self.evaluations)
    }

    /// What is measured at every kept checkpoint.
    pub fn curve_measures(&self) -> Vec<Measure> {
        self.measures_of(&self.curve)
    }

    fn measures_of(&self, evaluations: &[Evaluation]) -> Vec<Measure> {
        let of = |evaluation: &Evaluation| match evaluation {
            Evaluation::Knn => vec![Measure::Knn],
            Evaluation::Probe => {
                let of_share = |&labels: &f64| Measure::Probe { labels };
                self.probe_labels.iter().map(of_share).collect()
            }
            Evaluation::Finetune => vec![Measure::Finetune],
            Evaluation::Pointing => SIMILARITIES.map(Measure::Pointing).to_vec(),
        };
        evaluations.iter().flat_map(of).collect()
    }
}

/// What has been measured of an encoder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Accuracies by [`Measure::key`].
    #[serde(default)]
    pub accuracy: BTreeMap<String, Accuracy>,
    /// Shares of images by [`Measure::key`], and what a start at random would hit, as [`CHANCE`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pointing: BTreeMap<String, f64>,
}

impl Scores {
    /// A number, if it has been measured.
    pub fn get(&self, measure: Measure) -> Option<f64> {
        let key = measure.key();
        match measure {
            Measure::Pointing(_) => self.pointing.get(&key).copied(),
            _ => self.accuracy.get(&key).map(|accuracy| accuracy.top1),
        }
    }

    /// Those of `wanted` that have not been measured.
    pub fn missing(&self, wanted: &[Measure]) -> Vec<Measure> {
        let is_missing = |measure: &&Measure| self.get(**measure).is_none();
        wanted.iter().filter(is_missing).copied().collect()
    }

    /// Adds what another measurement of the same encoder gave.
    pub(super) fn add(&mut self, more: Self) {
        self.accuracy.extend(more.accuracy);
        self.pointing.extend(more.pointing);
    }

    pub(super) fn add_pointing(&mut self, found: &[PointingResult]) {
        for result in found {
            let key = Measure::Pointing(result.similarity).key();
            self.pointing.insert(key, result.hits);
            self.pointing.insert(CHANCE.into(), result.chance);
        }
    }
}

/// The encoder after some steps of its training, and what was measured of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Optimizer steps.
    pub step: u64,
    /// What was measured.
    #[serde(flatten)]
    pub scores: Scores,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_labels_are_columns_of_their_own() {
        let config = CompareConfig {
            evaluations: vec![Evaluation::Probe, Evaluation::Pointing],
            probe_labels: vec![1.0, 0.07, 0.005],
            ..CompareConfig::default()
        };
        let keys: Vec<String> = config.measures().into_iter().map(Measure::key).collect();
        let expected = [
            "probe",
            "probe-7%",
            "probe-0.5%",
            "pointing-cls",
            "pointing-gap",
        ];
        assert_eq!(keys[..5], expected);
        assert_eq!(
            config.measures()[1].name(),
            "linear probe, 7 % of the labels"
        );
    }
}
