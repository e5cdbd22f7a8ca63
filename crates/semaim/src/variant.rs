//! What other people's encoders have that SemAIM's does not.
//!
//! SemAIM's encoder is the plain vision transformer of MAE. Frozen teachers and encoders to compare with come from CLIP,
//! DINOv2 and others, which differ in a few places; an [encoder](crate::vit::Vit) can have each of them.

pub use semaim_kernels::Activation;
use semaim_kernels::LAYER_NORM_EPSILON;
use serde::{Deserialize, Serialize};

/// Where an encoder differs from SemAIM's own, which the default is.
///
/// LayerScale (DINOv2) is no difference: its factors are multiplied into the layers before them when weights are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// What layer norms add to the variance.
    pub epsilon: f64,
    /// Between the layers of an MLP.
    pub activation: Activation,
    /// Tokens between the class token and the patches that stand for nothing in the image (DINOv2 with registers).
    pub registers: usize,
    /// Whether tokens are normalised before the first block (CLIP).
    pub norm_pre: bool,
    /// Width of the final tokens, where they are projected after the final norm (CLIP).
    pub projection: Option<usize>,
}

impl Default for Variant {
    fn default() -> Self {
        Self {
            epsilon: LAYER_NORM_EPSILON,
            activation: Activation::Gelu,
            registers: 0,
            norm_pre: false,
            projection: None,
        }
    }
}
