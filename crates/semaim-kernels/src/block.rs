//! A transformer block: attention and an MLP, each behind a layer norm and beside a residual.

use burn::tensor::Tensor;

use crate::choice::{Kernels, chosen};
use crate::composed;
pub use crate::fused::block::Recompute;
use crate::fused::block_op;
use crate::visible::Visible;
use crate::weights::{Activation, BlockWeights};

/// Factors of a block's two residual branches, one per sample: stochastic depth.
#[derive(Clone, Debug, PartialEq)]
pub struct Branches {
    /// Of attention, `[samples]`.
    pub attention: Vec<f32>,
    /// Of the MLP, `[samples]`.
    pub mlp: Vec<f32>,
}

/// One block: `y = x + Proj(Attn(q = Wq LN₁ x, k = Wk LN₁ c, v = Wv LN₁ c)); out = y + MLP(LN₂ y)`.
///
/// * `x`: the looking tokens, `[batch, looking, embed_dim]`; the result has the same shape.
/// * `context`: the tokens looked at, c above, `[batch, seen, embed_dim]`; `None`: `x` itself.
/// * `visible`: which of them each token sees; `None`: all.
/// * `branches`: factors of the residual branches; `None`: 1.
/// * `recompute`: what a fused backward pass computes again instead of keeping it.
pub fn block(
    x: Tensor<3>,
    context: Option<Tensor<3>>,
    visible: Option<&Visible>,
    weights: BlockWeights,
    branches: Option<&Branches>,
    recompute: Recompute,
) -> Tensor<3> {
    // Only GELU is fused: the others belong to other people's frozen encoders.
    if chosen() == Kernels::Fused
        && weights.activation == Activation::Gelu
        && let Some(out) =
            block_op::block(&x, context.as_ref(), visible, &weights, branches, recompute)
    {
        return out;
    }
    composed::block(x, context, visible, weights, branches)
}
