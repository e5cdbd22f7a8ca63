//! The decoder: the query stream, which knows only positions, and the prediction head.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::attention::attend;
use crate::config::{Decoder, DecoderWeights, Head, VitConfig};
use crate::drop_path::residual;
use crate::layers::{LayerNorm, Linear, Mlp, linear};
use crate::vit::Block;

/// The weights of a query block's attention: queries come from the query stream, keys and values from the
/// content stream.
#[derive(Module, Debug)]
pub struct QueryAttention {
    /// Queries.
    pub q: Linear,
    /// Keys.
    pub k: Linear,
    /// Values.
    pub v: Linear,
    /// The projection of the mixed values.
    pub proj: Linear,
}

/// One query block: `g += Proj(Attn(q = Wq LN₁ g, k = Wk LN₁ h, v = Wv LN₁ h)); g += MLP(LN₂ g)`.
///
/// The same `norm1` serves both streams.
#[derive(Module, Debug)]
pub struct QueryBlock {
    /// Before attention, for both streams.
    pub norm1: LayerNorm,
    /// Attention into the content stream.
    pub attn: QueryAttention,
    /// Before the MLP.
    pub norm2: LayerNorm,
    /// The MLP.
    pub mlp: Mlp,
    num_heads: usize,
}

impl QueryBlock {
    fn zeros(config: &VitConfig, device: &Device) -> Self {
        let d = config.embed_dim;
        let projection = || Linear::zeros(d, d, device);
        Self {
            norm1: LayerNorm::new(d, device),
            attn: QueryAttention {
                q: projection(),
                k: projection(),
                v: projection(),
                proj: projection(),
            },
            norm2: LayerNorm::new(d, device),
            mlp: Mlp::zeros(d, config.mlp_dim(), d, device),
            num_heads: config.num_heads,
        }
    }

    /// The query blocks of a decoder with weights of its own; none for a shared one.
    pub(crate) fn stack(vit: &VitConfig, decoder: &Decoder, device: &Device) -> Vec<Self> {
        let count = match decoder.weights {
            DecoderWeights::Own => decoder.query_depth,
            DecoderWeights::Shared => 0,
        };
        (0..count).map(|_| Self::zeros(vit, device)).collect()
    }

    /// The step this block's weights make.
    pub fn step(&self) -> QueryStep<'_> {
        let pair = |layer: &Linear| (layer.weight.val(), layer.bias.val());
        QueryStep {
            norm1: &self.norm1,
            q: pair(&self.attn.q),
            k: pair(&self.attn.k),
            v: pair(&self.attn.v),
            proj: &self.attn.proj,
            norm2: &self.norm2,
            mlp: &self.mlp,
            num_heads: self.num_heads,
        }
    }
}

/// One step of the query stream, whoever owns the weights.
#[derive(Debug)]
pub struct QueryStep<'a> {
    norm1: &'a LayerNorm,
    q: (Tensor<2>, Tensor<1>),
    k: (Tensor<2>, Tensor<1>),
    v: (Tensor<2>, Tensor<1>),
    proj: &'a Linear,
    norm2: &'a LayerNorm,
    mlp: &'a Mlp,
    num_heads: usize,
}

impl<'a> QueryStep<'a> {
    /// The step with an encoder block's weights: a decoder that shares them.
    pub fn shared(block: &'a Block) -> Self {
        let d = block.attn.proj.weight.dims()[0];
        Self {
            norm1: &block.norm1,
            q: block.attn.qkv.part(0, d),
            k: block.attn.qkv.part(d, d),
            v: block.attn.qkv.part(2 * d, d),
            proj: &block.attn.proj,
            norm2: &block.norm2,
            mlp: &block.mlp,
            num_heads: block.num_heads(),
        }
    }

    /// `g [batch, patches, embed_dim]` looks into `h [batch, 1 + patches, embed_dim]` under the visibility bias
    /// `[batch, 1, patches, 1 + patches]`.
    pub fn forward(
        self,
        g: Tensor<3>,
        h: Tensor<3>,
        bias: &Tensor<4>,
        drawn: Option<&[Tensor<3>; 2]>,
    ) -> Tensor<3> {
        let apply = |x: Tensor<3>, (weight, bias): (Tensor<2>, Tensor<1>)| linear(x, weight, bias);
        let content = self.norm1.forward(h);
        let query = apply(self.norm1.forward(g.clone()), self.q);
        let (key, value) = (apply(content.clone(), self.k), apply(content, self.v));
        let mixed = attend(query, key, value, self.num_heads, Some(bias));
        let g = residual(g, self.proj.forward(mixed), drawn.map(|d| &d[0]));
        let branch = self.mlp.forward(self.norm2.forward(g.clone()));
        residual(g, branch, drawn.map(|d| &d[1]))
    }
}

/// From the query stream to predictions.
#[derive(Module, Debug)]
pub enum PredictionHead {
    /// Linear(D, 4D), GELU, Linear(4D, out).
    Mlp(Mlp),
    /// Linear(D, out).
    Linear(Linear),
}

impl PredictionHead {
    pub(crate) fn zeros(head: Head, embed_dim: usize, outputs: usize, device: &Device) -> Self {
        match head {
            Head::Mlp => Self::Mlp(Mlp::zeros(embed_dim, 4 * embed_dim, outputs, device)),
            Head::Linear => Self::Linear(Linear::zeros(embed_dim, outputs, device)),
        }
    }

    /// `[batch, patches, embed_dim]` to `[batch, patches, out]`.
    pub fn forward(&self, g: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Mlp(mlp) => mlp.forward(g),
            Self::Linear(linear) => linear.forward(g),
        }
    }
}
