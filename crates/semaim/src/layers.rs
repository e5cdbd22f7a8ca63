//! The layers of a block, their weights laid out and named as in checkpoints.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, activation, module};

/// Layer norm's epsilon, as in the published vision transformers.
pub const LAYER_NORM_EPSILON: f64 = 1e-6;

/// `y = x Wᵀ + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// A layer of zeros; [`crate::init`] gives it its first weights.
    pub fn zeros(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([outputs, inputs], device)),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
        }
    }

    /// `[batch, tokens, in]` to `[batch, tokens, out]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        linear(x, self.weight.val(), self.bias.val())
    }

    /// The layer that gives only the outputs from `start` to `start + length`, with the same weights.
    pub(crate) fn part(&self, start: usize, length: usize) -> (Tensor<2>, Tensor<1>) {
        (
            self.weight.val().narrow(0, start, length),
            self.bias.val().narrow(0, start, length),
        )
    }
}

/// `x Wᵀ + b` for `x [batch, tokens, in]`, `weight [out, in]`, `bias [out]`.
pub(crate) fn linear(x: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<3> {
    module::linear(x, weight.transpose(), Some(bias))
}

/// Layer norm over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[embed_dim]`.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[embed_dim]`.
    pub bias: Param<Tensor<1>>,
}

impl LayerNorm {
    /// Scale one and shift zero.
    pub fn new(embed_dim: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::ones([embed_dim], device)),
            bias: Param::from_tensor(Tensor::zeros([embed_dim], device)),
        }
    }

    /// `[batch, tokens, embed_dim]` to the same shape.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        module::layer_norm(
            x,
            self.weight.val(),
            Some(self.bias.val()),
            LAYER_NORM_EPSILON,
        )
    }
}

/// Two linear layers with the exact (erf) GELU between them.
#[derive(Module, Debug)]
pub struct Mlp {
    /// Widens.
    pub fc1: Linear,
    /// Narrows.
    pub fc2: Linear,
}

impl Mlp {
    /// An MLP of zeros; [`crate::init`] gives it its first weights.
    pub fn zeros(inputs: usize, hidden: usize, outputs: usize, device: &Device) -> Self {
        Self {
            fc1: Linear::zeros(inputs, hidden, device),
            fc2: Linear::zeros(hidden, outputs, device),
        }
    }

    /// `[batch, tokens, in]` to `[batch, tokens, out]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.fc2.forward(activation::gelu(self.fc1.forward(x)))
    }
}
