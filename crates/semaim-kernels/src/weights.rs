//! The weights that operations take, laid out as in checkpoints.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Layer norm's epsilon, as in the published vision transformers.
pub const LAYER_NORM_EPSILON: f64 = 1e-6;

/// `y = x Wᵀ + b`.
#[derive(Clone, Debug)]
pub struct LinearWeights {
    /// `[out, in]`.
    pub weight: Tensor<2>,
    /// `[out]`.
    pub bias: Tensor<1>,
}

/// Scale and shift of a layer norm.
#[derive(Clone, Debug)]
pub struct NormWeights {
    /// Scale, `[embed_dim]`.
    pub weight: Tensor<1>,
    /// Shift, `[embed_dim]`.
    pub bias: Tensor<1>,
    /// Added to the variance; [`LAYER_NORM_EPSILON`] in most networks.
    pub epsilon: f64,
}

/// What stands between the two layers of an MLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// The exact (erf) GELU.
    #[default]
    Gelu,
    /// `x · sigmoid(1.702 x)`, an approximation of GELU that CLIP was trained with.
    QuickGelu,
    /// `silu(x₁) · x₂`, the two halves of the first layer's output; it has twice as many outputs as the second layer has
    /// inputs. Used by the largest DINOv2.
    SwiGlu,
}

/// Queries, keys and values.
#[derive(Clone, Debug)]
pub enum Projections {
    /// One layer for all, in this order: `[3 * embed_dim, embed_dim]`.
    Joint(Box<LinearWeights>),
    /// Query, key and value layers of their own, `[embed_dim, embed_dim]` each.
    Separate(Box<[LinearWeights; 3]>),
}

/// A transformer block's weights.
#[derive(Clone, Debug)]
pub struct BlockWeights {
    /// Before attention, for the looking tokens and for those looked at.
    pub norm1: NormWeights,
    /// Queries, keys and values.
    pub projections: Projections,
    /// After attention.
    pub proj: LinearWeights,
    /// Before the MLP.
    pub norm2: NormWeights,
    /// Widens.
    pub fc1: LinearWeights,
    /// Between `fc1` and `fc2`.
    pub activation: Activation,
    /// Narrows.
    pub fc2: LinearWeights,
    /// Attention heads; divides `embed_dim`.
    pub num_heads: usize,
}
