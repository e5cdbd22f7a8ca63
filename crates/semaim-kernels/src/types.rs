//! What operations take: weights, masks and options. Shapes are as in checkpoints.

use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Int, Tensor, TensorData};
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
    #[serde(alias = "swiglu")]
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
    /// Before attention, for the tokens that ask and for those that they attend to.
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

/// Factors of a block's two residual branches, one per sample: stochastic depth.
#[derive(Clone, Debug, PartialEq)]
pub struct DropPathScales {
    /// Of attention, `[samples]`.
    pub attention: Vec<f32>,
    /// Of the MLP, `[samples]`.
    pub mlp: Vec<f32>,
}

/// What the backward pass of a block computes again instead of keeping it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recompute {
    /// Nothing.
    #[default]
    None,
    /// The hidden layer of the MLP, the largest part of what would be kept.
    Mlp,
    /// The whole block, from its input.
    Block,
}

/// An attention mask for tokens that stand in the order of prediction: each query attends to a prefix of the keys.
///
/// A fused operation does not compute the rest; a composed one adds a bias to the scores.
#[derive(Clone, Debug)]
pub struct PrefixMask {
    prefix_lens: PrefixLens,
    samples: usize,
    query_len: usize,
    key_len: usize,
    bias: Arc<OnceLock<Tensor<4>>>,
}

/// To how many keys each query attends, `[samples, query_len]`.
#[derive(Clone, Debug)]
enum PrefixLens {
    /// For fused operations, which run on the CPU.
    Host(Arc<Vec<u32>>),
    /// For composed ones; nobody waits for them.
    Device(Box<Tensor<2, Int>>),
}

impl PrefixMask {
    /// What is added to a score that must not count. Its exponential is exactly zero in `f32`, and unlike an infinity it
    /// can never turn into a NaN.
    const MASKED: f32 = -1e30;

    /// From the lengths of prefixes, `[samples, query_len]`, each at least 1 and at most `key_len`; lengths outside are
    /// taken for the nearest inside.
    pub fn new(mut prefix_lens: Vec<u32>, samples: usize, key_len: usize) -> Self {
        for len in &mut prefix_lens {
            *len = (*len).clamp(1, key_len.clamp(1, u32::MAX as usize) as u32);
        }
        Self {
            samples,
            query_len: prefix_lens.len() / samples.max(1),
            prefix_lens: PrefixLens::Host(Arc::new(prefix_lens)),
            key_len,
            bias: Arc::default(),
        }
    }

    /// The same from lengths that are on a device and stay there. Operations with such a mask are composed.
    pub fn on_device(prefix_lens: Tensor<2, Int>, key_len: usize) -> Self {
        let [samples, query_len] = prefix_lens.dims();
        Self {
            prefix_lens: PrefixLens::Device(Box::new(prefix_lens)),
            samples,
            query_len,
            key_len,
            bias: Arc::default(),
        }
    }

    /// The mask of some of the queries: those at `places` of each sample, `[samples, queries]`, each below `query_len`.
    pub fn of_queries(&self, places: &[u32]) -> Self {
        let query_len = places.len() / self.samples.max(1);
        let prefix_lens = match &self.prefix_lens {
            PrefixLens::Host(lens) => {
                let sample = |i: usize| i / query_len * self.query_len;
                let of = |(i, &place): (usize, &u32)| lens[sample(i) + place as usize];
                PrefixLens::Host(Arc::new(places.iter().enumerate().map(of).collect()))
            }
            PrefixLens::Device(lens) => {
                let places: Vec<i64> = places.iter().map(|&place| i64::from(place)).collect();
                let data = TensorData::new(places, [self.samples, query_len]);
                let places = Tensor::from_data(data, &lens.device());
                PrefixLens::Device(Box::new(lens.as_ref().clone().gather(1, places)))
            }
        };
        Self {
            prefix_lens,
            samples: self.samples,
            query_len,
            key_len: self.key_len,
            bias: Arc::default(),
        }
    }

    /// To how many keys each query attends, `[samples, query_len]`.
    pub fn prefix_lens(&self) -> Tensor<2, Int> {
        match &self.prefix_lens {
            PrefixLens::Device(lens) => lens.as_ref().clone(),
            PrefixLens::Host(lens) => {
                let lens: Vec<i64> = lens.iter().map(|&len| i64::from(len)).collect();
                let data = TensorData::new(lens, [self.samples, self.query_len]);
                Tensor::from_data(data, &Device::flex())
            }
        }
    }

    /// `[samples, query_len, key_len]`.
    pub(crate) fn shape(&self) -> [usize; 3] {
        [self.samples, self.query_len, self.key_len]
    }

    /// The lengths, if they are on the host.
    pub(crate) fn on_host(&self) -> Option<Arc<Vec<u32>>> {
        match &self.prefix_lens {
            PrefixLens::Host(lens) => Some(Arc::clone(lens)),
            PrefixLens::Device(_) => None,
        }
    }

    /// The bias of scores, `[samples, 1, query_len, key_len]`: zero where a query attends, hugely negative elsewhere. Without a
    /// graph; made once, on the first `device` that asks.
    pub(crate) fn bias(&self, device: &Device) -> Tensor<4> {
        let [samples, query_len, key_len] = self.shape();
        let bias = self.bias.get_or_init(|| match &self.prefix_lens {
            PrefixLens::Host(lens) => {
                let bias = |len: u32| {
                    (0..key_len).map(move |j| if j < len as usize { 0.0 } else { Self::MASKED })
                };
                let values: Vec<f32> = lens.iter().flat_map(|&len| bias(len)).collect();
                let data = TensorData::new(values, [samples, 1, query_len, key_len]);
                Tensor::from_data(data, device)
            }
            PrefixLens::Device(lens) => {
                let shape = [samples, 1, query_len, key_len];
                let keys = Tensor::<1, Int>::arange(0..key_len as i64, &lens.device());
                let keys = keys.reshape([1, 1, 1, key_len]).expand(shape);
                let lens = lens
                    .clone()
                    .reshape([samples, 1, query_len, 1])
                    .expand(shape);
                let masked = keys.greater_equal(lens).float() * Self::MASKED;
                // Lengths may have come from a device with gradients.
                match masked.is_autodiff() {
                    true => masked.inner(),
                    false => masked,
                }
            }
        });
        bias.clone()
    }
}

/// How predictions are compared with targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Mean absolute difference.
    L1,
    /// Mean squared difference.
    L2,
    /// Squared distance of the two directions: both are divided by their length first.
    NormalizedL2,
}

/// Where a pixel's channels stand in a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Channel, row, column: as the weight of a convolution.
    First,
    /// Row, column, channel: as the published pixel targets.
    Last,
}

/// How pixels become what is to be predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct PixelPatches {
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Weights of a separable blur along a line, an entry per pixel, with zeros around the image; empty: none.
    pub blur: Vec<f32>,
    /// Whether each patch becomes `(x - mean) / √(variance + 1e-6)`, the variance being unbiased.
    pub normalize: bool,
}

/// One step of AdamW (Loshchilov and Hutter, 2019) for one weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Learning rate of this weight at this step.
    pub lr: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Decay of the running means of the gradient and of its square, in [0, 1).
    pub betas: [f64; 2],
    /// Added to the root of the second mean.
    pub epsilon: f64,
    /// Steps taken with this one, at least 1.
    pub count: u64,
    /// The gradient is multiplied by this first: clipping.
    pub gradient_factor: f64,
}

impl AdamWStep {
    fn power(&self) -> i32 {
        self.count.min(i32::MAX as u64) as i32
    }

    /// What a weight is multiplied by.
    pub(crate) fn decay(&self) -> f64 {
        1.0 - self.lr * self.weight_decay
    }

    /// The learning rate over the bias correction of the first mean.
    pub(crate) fn step_size(&self) -> f64 {
        self.lr / (1.0 - self.betas[0].powi(self.power()))
    }

    /// The root of the bias correction of the second mean.
    pub(crate) fn bias_correction2_sqrt(&self) -> f64 {
        (1.0 - self.betas[1].powi(self.power())).sqrt()
    }
}

/// The running means of a gradient and of its square, `[values]`.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Of the gradient.
    pub first: Tensor<1>,
    /// Of its square.
    pub second: Tensor<1>,
}

impl Moments {
    /// Before the first step with a gradient.
    pub(crate) fn zeros(gradient: &Tensor<1>) -> Self {
        Self {
            first: gradient.zeros_like(),
            second: gradient.zeros_like(),
        }
    }
}
