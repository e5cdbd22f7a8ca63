//! What heads are made of: a convolution without bias, batch norm, ReLU.

use burn::module::Module;
use burn::tensor::Device;
use semaim::batch_norm::{BatchNorm, NormMode};
use semaim::feature_map::{Conv, FeatureMap};

/// Convolution, batch norm and ReLU.
#[derive(Module, Debug)]
pub struct ConvModule {
    /// 1×1 or 3×3.
    pub conv: Conv,
    /// Of its output.
    pub batch_norm: BatchNorm,
}

impl ConvModule {
    /// Zeros, but for the norm.
    pub fn zeros(side: usize, inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            conv: Conv {
                bias: None,
                ..Conv::biased(side, inputs, outputs, device)
            },
            batch_norm: BatchNorm::new(outputs, device),
        }
    }

    /// A map of the same positions.
    pub fn forward(&self, x: &FeatureMap, mode: &mut NormMode) -> FeatureMap {
        self.batch_norm.rectified(&self.conv.forward(x), mode)
    }
}
