//! The decoder: the query stream, which knows only positions, and the prediction head.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use semaim_kernels::{
    Activation, BlockWeights, DropPathScales, LinearWeights, PrefixMask, Projections, Recompute,
    block, linear,
};

use crate::config::{ArchOptions, Decoder, DecoderWeights, Head, VitConfig};
use crate::layers::{LayerNorm, Linear, Mlp};
use crate::parameters::{WeightError, from_host, to_host};
use crate::vit::{Attention, Block};

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
    /// From the content stream's width to that of a narrower query stream, before `norm1`: h above is then what this gives.
    pub context: Option<Linear>,
    num_heads: usize,
    #[module(skip)]
    activation: Activation,
}

impl QueryBlock {
    /// A block of zeros, of the kind that the encoder's blocks are of.
    fn zeros(config: &VitConfig, arch: &ArchOptions, device: &Device) -> Self {
        let d = config.embed_dim;
        let Block {
            norm1,
            attn: Attention { proj, .. },
            norm2,
            mlp,
            ..
        } = Block::zeros_as(config, arch, device);
        let projection = || Linear::zeros(d, d, device);
        Self {
            norm1,
            attn: QueryAttention {
                q: projection(),
                k: projection(),
                v: projection(),
                proj,
            },
            norm2,
            mlp,
            context: None,
            num_heads: config.num_heads,
            activation: arch.activation,
        }
    }

    /// A block that begins with the weights of an encoder block.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend does not give the weights.
    pub(crate) fn copy_of(block: &Block) -> Result<Self, WeightError> {
        let [_, d] = block.attn.qkv.weight.dims();
        // By way of the host: tensors of their own, where views would hold on to all of the encoder's.
        let part = |number: usize| -> Result<Linear, WeightError> {
            let LinearWeights { weight, bias } = block.attn.qkv.part(number * d, d);
            let device = weight.device();
            let weight = to_host("attn.qkv.weight", weight)?;
            let bias = to_host("attn.qkv.bias", bias)?;
            Ok(Linear {
                weight: Param::from_tensor(from_host(&weight, &device)),
                bias: Param::from_tensor(from_host(&bias, &device)),
            })
        };
        Ok(Self {
            norm1: block.norm1.clone(),
            attn: QueryAttention {
                q: part(0)?,
                k: part(1)?,
                v: part(2)?,
                proj: block.attn.proj.clone(),
            },
            norm2: block.norm2.clone(),
            mlp: block.mlp.clone(),
            context: None,
            num_heads: block.num_heads(),
            activation: block.activation(),
        })
    }

    /// The query blocks of a decoder with weights of its own; none for a shared one.
    pub(crate) fn stack(
        vit: &VitConfig,
        arch: &ArchOptions,
        decoder: &Decoder,
        device: &Device,
    ) -> Vec<Self> {
        let count = match decoder.weights {
            DecoderWeights::Own => decoder.query_depth,
            DecoderWeights::Shared => 0,
        };
        let narrow = decoder.vit(vit);
        let block = || Self {
            context: decoder
                .is_narrow()
                .then(|| Linear::zeros(vit.embed_dim, narrow.embed_dim, device)),
            ..Self::zeros(&narrow, arch, device)
        };
        (0..count).map(|_| block()).collect()
    }

    /// The weights as operations take them.
    fn weights(&self) -> BlockWeights {
        let attn = &self.attn;
        BlockWeights {
            norm1: self.norm1.weights(),
            projections: Projections::Separate(Box::new([
                attn.q.weights(),
                attn.k.weights(),
                attn.v.weights(),
            ])),
            proj: attn.proj.weights(),
            norm2: self.norm2.weights(),
            fc1: self.mlp.fc1.weights(),
            activation: self.activation,
            fc2: self.mlp.fc2.weights(),
            num_heads: self.num_heads,
        }
    }
}

/// One step of the query stream, whoever owns the weights.
#[derive(Debug)]
pub struct QueryStep {
    weights: BlockWeights,
    /// From the content stream's width to the query stream's, where they differ.
    context: Option<LinearWeights>,
}

impl QueryStep {
    /// With a query block's own weights.
    pub fn own(block: &QueryBlock) -> Self {
        Self {
            weights: block.weights(),
            context: block.context.as_ref().map(Linear::weights),
        }
    }

    /// With an encoder block's weights: a decoder that shares them.
    pub fn shared(block: &Block) -> Self {
        Self {
            weights: block.weights(),
            context: None,
        }
    }

    /// `g [batch, queries, query_dim]` attends to `h [batch, first + patches, embed_dim]`, each query to the tokens
    /// that `mask` allows.
    pub fn forward(
        self,
        g: Tensor<3>,
        h: Tensor<3>,
        mask: &PrefixMask,
        drop_path: Option<&DropPathScales>,
        recompute: Recompute,
    ) -> Tensor<3> {
        let h = match self.context {
            Some(context) => linear(h, context),
            None => h,
        };
        block(g, Some(h), Some(mask), self.weights, drop_path, recompute)
    }
}

/// From the query stream to predictions.
#[derive(Module, Debug)]
pub enum PredictionHead {
    /// Linear(D, hidden), GELU, Linear(hidden, out), as wide inside as the blocks' MLPs.
    Mlp(Mlp),
    /// Linear(D, out).
    Linear(Linear),
}

impl PredictionHead {
    /// A head of zeros for a query stream of these sizes.
    pub(crate) fn zeros(head: Head, vit: &VitConfig, outputs: usize, device: &Device) -> Self {
        let d = vit.embed_dim;
        match head {
            Head::Mlp => Self::Mlp(Mlp::zeros(d, vit.mlp_dim(), outputs, device)),
            Head::Linear => Self::Linear(Linear::zeros(d, outputs, device)),
        }
    }

    /// `[batch, queries, query_dim]` to `[batch, queries, out]`.
    pub fn forward(&self, g: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Mlp(mlp) => mlp.forward(g),
            Self::Linear(linear) => linear.forward(g),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hidden_layer_of_the_head_is_mlp_ratio_times_the_width() {
        let device = Device::flex();
        for (mlp_ratio, hidden) in [(2.0, 32), (4.0, 64), (0.5, 8)] {
            let vit = VitConfig {
                mlp_ratio,
                ..VitConfig::tiny()
            };
            let PredictionHead::Mlp(head) = PredictionHead::zeros(Head::Mlp, &vit, 5, &device)
            else {
                panic!("not an MLP");
            };
            assert_eq!(head.fc1.weight.dims(), [hidden, 16]);
            assert_eq!(head.fc2.weight.dims(), [5, hidden]);
        }
    }
}
