//! The head of the region proposal network, shared by all levels.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use semaim::feature_map::{Conv, FeatureMap};

/// Convolutions, and for each anchor at a position whether an object is there and how to move it onto the object.
#[derive(Module, Debug)]
pub struct RpnHead {
    /// 3×3, each followed by ReLU.
    pub convs: Vec<Conv>,
    /// 1×1, one number per anchor.
    pub objectness_logits: Conv,
    /// 1×1, four numbers per anchor.
    pub anchor_deltas: Conv,
}

/// What the head says about all anchors of all levels, in their order.
#[derive(Clone, Debug)]
pub struct RpnOutput {
    /// `[batch, anchors]`.
    pub logits: Tensor<2>,
    /// `[batch, anchors, 4]`.
    pub deltas: Tensor<3>,
}

impl RpnHead {
    /// Zeros, for so many anchors at a position.
    pub fn zeros(channels: usize, convolutions: usize, anchors: usize, device: &Device) -> Self {
        Self {
            convs: (0..convolutions)
                .map(|_| Conv::biased(3, channels, channels, device))
                .collect(),
            objectness_logits: Conv::biased(1, channels, anchors, device),
            anchor_deltas: Conv::biased(1, channels, 4 * anchors, device),
        }
    }

    /// The output for the maps of all levels.
    pub fn forward(&self, maps: &[FeatureMap]) -> RpnOutput {
        let mut logits = Vec::new();
        let mut deltas = Vec::new();
        for map in maps {
            let x = self
                .convs
                .iter()
                .fold(map.clone(), |x, conv| conv.forward(&x).relu());
            let level = self.objectness_logits.forward(&x).values;
            let [batch, positions, anchors] = level.dims();
            logits.push(level.reshape([batch, positions * anchors]));
            let level = self.anchor_deltas.forward(&x).values;
            deltas.push(level.reshape([batch, positions * anchors, 4]));
        }
        RpnOutput {
            logits: Tensor::cat(logits, 1),
            deltas: Tensor::cat(deltas, 1),
        }
    }
}
