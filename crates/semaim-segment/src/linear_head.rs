//! The linear head: how far the encoder's patch tokens tell classes apart as they are.

use burn::module::Module;
use burn::tensor::Device;
use semaim::batch_norm::{BatchNorm, NormMode};
use semaim::feature_map::{Conv, FeatureMap};

/// Batch norm and one 1×1 convolution.
#[derive(Module, Debug)]
pub struct LinearHead {
    /// Of the tokens.
    pub batch_norm: BatchNorm,
    /// To one number per class.
    pub classifier: Conv,
}

impl LinearHead {
    /// Zeros, but for the norm.
    pub fn zeros(inputs: usize, classes: usize, device: &Device) -> Self {
        Self {
            batch_norm: BatchNorm::new(inputs, device),
            classifier: Conv::biased(1, inputs, classes, device),
        }
    }

    /// Logits of each patch.
    pub fn forward(&self, x: &FeatureMap, mode: &mut NormMode) -> FeatureMap {
        self.classifier.forward(&self.batch_norm.forward(x, mode))
    }
}
