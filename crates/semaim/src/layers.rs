//! The layers of a block, their weights laid out and named as in checkpoints.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use semaim_kernels::{LAYER_NORM_EPSILON, LinearWeights, NormWeights, layer_norm, linear, mlp};

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
        linear(x, self.weights())
    }

    /// The weights as operations take them.
    pub fn weights(&self) -> LinearWeights {
        LinearWeights {
            weight: self.weight.val(),
            bias: self.bias.val(),
        }
    }

    /// The layer that gives only the outputs from `start` to `start + length`, with the same weights.
    pub(crate) fn part(&self, start: usize, length: usize) -> LinearWeights {
        LinearWeights {
            weight: self.weight.val().narrow(0, start, length),
            bias: self.bias.val().narrow(0, start, length),
        }
    }
}

/// Layer norm over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[embed_dim]`.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[embed_dim]`.
    pub bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    /// Scale one and shift zero.
    pub fn new(embed_dim: usize, device: &Device) -> Self {
        Self::with_epsilon(embed_dim, LAYER_NORM_EPSILON, device)
    }

    /// The same with another number added to the variance.
    pub fn with_epsilon(embed_dim: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::ones([embed_dim], device)),
            bias: Param::from_tensor(Tensor::zeros([embed_dim], device)),
            epsilon,
        }
    }

    /// What is added to the variance.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// `[batch, tokens, embed_dim]` to the same shape.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        layer_norm(x, self.weights())
    }

    /// The weights as operations take them.
    pub fn weights(&self) -> NormWeights {
        NormWeights {
            weight: self.weight.val(),
            bias: self.bias.val(),
            epsilon: self.epsilon,
        }
    }
}

/// Two linear layers with an activation between them: the exact (erf) GELU in [`Mlp::forward`]. A block computes its MLP as
/// part of one operation, by its own activation, and takes the weights alone; with SwiGLU `fc1` gives twice the hidden layer's
/// width, both factors of it.
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
        mlp(x, self.fc1.weights(), self.fc2.weights())
    }
}
