//! What is in a region, and where its box should be.

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};
use semaim::feature_map::Conv;
use semaim::layers::Linear;

use crate::box_coding::BoxCoder;
use crate::head_convs;

/// How deltas of regions are coded.
pub const REGION_CODER: BoxCoder = BoxCoder {
    weights: [10.0, 10.0, 5.0, 5.0],
};

/// Convolutions and a linear layer.
#[derive(Module, Debug)]
pub struct BoxHead {
    /// 3×3 with norm, each followed by ReLU.
    pub convs: Vec<Conv>,
    /// From all bins to one vector, followed by ReLU.
    pub fc1: Linear,
}

/// From a region's vector to classes and boxes.
#[derive(Module, Debug)]
pub struct BoxPredictor {
    /// One number per class, and a last one for the background.
    pub cls_score: Linear,
    /// Four numbers per class.
    pub bbox_pred: Linear,
}

/// What the head says about regions.
#[derive(Clone, Debug)]
pub struct BoxOutput {
    /// `[regions, classes + 1]`, before the softmax.
    pub scores: Tensor<2>,
    /// `[regions, classes · 4]`.
    pub deltas: Tensor<2>,
}

impl BoxHead {
    /// Zeros, but for the norms.
    pub fn zeros(
        inputs: usize,
        channels: usize,
        convolutions: usize,
        bins: usize,
        hidden: usize,
        device: &Device,
    ) -> Self {
        let (convs, width) = head_convs::zeros(inputs, channels, convolutions, device);
        Self {
            convs,
            fc1: Linear::zeros(width * bins * bins, hidden, device),
        }
    }

    /// Pooled regions `[regions, bins · bins, channels]` to vectors `[1, regions, hidden]`.
    pub fn forward(&self, pooled: Tensor<3>) -> Tensor<3> {
        let x = head_convs::through(&self.convs, pooled).values;
        let [regions, bins, channels] = x.dims();
        // The linear layer's inputs are laid out as published: channel by channel.
        let x = x.swap_dims(1, 2).reshape([1, regions, channels * bins]);
        activation::relu(self.fc1.forward(x))
    }
}

impl BoxPredictor {
    /// Zeros.
    pub fn zeros(hidden: usize, classes: usize, device: &Device) -> Self {
        Self {
            cls_score: Linear::zeros(hidden, classes + 1, device),
            bbox_pred: Linear::zeros(hidden, 4 * classes, device),
        }
    }

    /// Vectors `[1, regions, hidden]` to what they say.
    pub fn forward(&self, x: Tensor<3>) -> BoxOutput {
        BoxOutput {
            scores: self.cls_score.forward(x.clone()).squeeze_dim(0),
            deltas: self.bbox_pred.forward(x).squeeze_dim(0),
        }
    }
}
