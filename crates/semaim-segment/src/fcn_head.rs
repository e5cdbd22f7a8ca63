//! The auxiliary head, a small fully convolutional network (Long, Shelhamer and Darrell, CVPR 2015): it teaches the
//! encoder's earlier blocks, and is not asked at inference.

use burn::module::Module;
use burn::tensor::Device;
use semaim::batch_norm::NormMode;
use semaim::feature_map::{Conv, FeatureMap};

use crate::conv_module::ConvModule;

/// One convolution and a classifier.
#[derive(Module, Debug)]
pub struct FcnHead {
    /// 3×3.
    pub conv: ConvModule,
    /// To one number per class.
    pub classifier: Conv,
}

impl FcnHead {
    /// Zeros, but for the norm.
    pub fn zeros(inputs: usize, channels: usize, classes: usize, device: &Device) -> Self {
        Self {
            conv: ConvModule::zeros(3, inputs, channels, device),
            classifier: Conv::biased(1, channels, classes, device),
        }
    }

    /// Logits at each position.
    pub fn forward(&self, x: &FeatureMap, mode: &mut NormMode) -> FeatureMap {
        self.classifier.forward(&self.conv.forward(x, mode))
    }
}
