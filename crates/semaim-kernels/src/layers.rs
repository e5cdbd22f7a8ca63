//! Layer norm, linear layer and MLP.

use burn::tensor::Tensor;

use crate::choice::{Kernels, chosen};
use crate::composed;
use crate::fused::layer_op;
use crate::weights::{LinearWeights, NormWeights};

/// Layer norm over the last axis of `[batch, tokens, embed_dim]`.
pub fn layer_norm(x: Tensor<3>, weights: NormWeights) -> Tensor<3> {
    if chosen() == Kernels::Fused
        && let Some(out) = layer_op::layer_norm(&x, &weights)
    {
        return out;
    }
    composed::layer_norm(x, weights)
}

/// `x Wᵀ + b`: `[batch, tokens, in]` to `[batch, tokens, out]`.
pub fn linear(x: Tensor<3>, weights: LinearWeights) -> Tensor<3> {
    if chosen() == Kernels::Fused
        && let Some(out) = layer_op::linear(&x, &weights)
    {
        return out;
    }
    composed::linear(x, weights)
}

/// Two linear layers with the exact (erf) GELU between them: `[batch, tokens, in]` to `[batch, tokens, out]`.
pub fn mlp(x: Tensor<3>, fc1: LinearWeights, fc2: LinearWeights) -> Tensor<3> {
    if chosen() == Kernels::Fused
        && let Some(out) = layer_op::mlp(&x, &fc1, &fc2)
    {
        return out;
    }
    composed::mlp(x, fc1, fc2)
}
