//! What a segmenter is trained on: the class of every pixel that has one.

use burn::tensor::Tensor;
use semaim::feature_map::FeatureMap;
use semaim::grid::Grid;
use semaim_kernels::{PixelLabels, pixel_cross_entropy};

use crate::IGNORED;

/// The losses of a batch, `[1]` each.
#[derive(Clone, Debug)]
pub struct Losses {
    /// Of the head.
    pub main: Tensor<1>,
    /// Of the auxiliary head, with its weight.
    pub auxiliary: Option<(Tensor<1>, f64)>,
}

impl Losses {
    /// The weighted sum, which is trained on.
    pub fn total(&self) -> Tensor<1> {
        let parts = self.by_name().into_iter().map(|(_, part)| part);
        parts.fold(self.main.zeros_like(), |sum, part| sum + part)
    }

    /// Its parts by the names that logs have for them, weighted.
    pub fn by_name(&self) -> Vec<(&'static str, Tensor<1>)> {
        let auxiliary = self.auxiliary.iter();
        let auxiliary = auxiliary.map(|(loss, weight)| ("loss_auxiliary", loss.clone() * *weight));
        std::iter::once(("loss_main", self.main.clone()))
            .chain(auxiliary)
            .collect()
    }
}

/// Mean cross-entropy of logits, enlarged bilinearly to the labels' grid, over all pixels of the batch whose label is not
/// [`IGNORED`]. `labels` are `[batch, pixels.rows, pixels.columns]`, each a class or [`IGNORED`]. Where all are ignored the
/// loss is 0.
pub fn cross_entropy(logits: &FeatureMap, labels: &[u8], pixels: Grid) -> Tensor<1> {
    let labels = PixelLabels {
        classes: labels,
        size: [pixels.rows, pixels.columns],
        ignored: IGNORED,
    };
    let Grid { rows, columns } = logits.grid;
    pixel_cross_entropy(logits.values.clone(), [rows, columns], labels)
}
