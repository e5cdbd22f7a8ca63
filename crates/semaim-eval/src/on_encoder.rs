//! What must hold of the settings of whatever is trained on an encoder.

use semaim_checkpoint::weights_source::WeightsSource;
use semaim_config::Problems;
use semaim_train::config::TrainConfig;

/// The settings that fine-tuning, detectors and segmenters share.
pub(crate) struct OnEncoder<'a> {
    pub(crate) layer_decay: f64,
    pub(crate) encoder: &'a WeightsSource,
    /// Whether the encoder stays as it is.
    pub(crate) freeze: bool,
    /// Whether its weights are drawn anew.
    pub(crate) from_scratch: bool,
    pub(crate) train: &'a TrainConfig,
    /// Where an EMA copy is of no use, as messages say it.
    pub(crate) ema_unused: &'static str,
}

impl OnEncoder<'_> {
    pub(crate) fn check(&self, problems: &mut Problems) {
        problems.require(
            self.layer_decay > 0.0 && self.layer_decay <= 1.0,
            "layer_decay",
            format!("must be in (0, 1], is {}", self.layer_decay),
        );
        problems.require(
            self.encoder.is_named(),
            "encoder.weights",
            "must name an encoder (--weights)",
        );
        problems.require(
            !(self.freeze && self.from_scratch),
            "freeze",
            "and from_scratch: an encoder of random weights that never learns",
        );
        problems.require(
            !self.train.ema,
            "train.ema",
            format!("is not used {}; leave it false", self.ema_unused),
        );
    }
}
