//! How many weights a model has, without building it.

use semaim_kernels::Activation;

use crate::config::{DecoderWeights, Head, SemaimConfig};

/// Numbers of trained weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamCount {
    /// In the encoder, which is kept.
    pub encoder: u64,
    /// In the query blocks and the prediction head.
    pub decoder: u64,
}

impl ParamCount {
    /// Counts for a model whose predictions have `width` values.
    pub fn of(config: &SemaimConfig, width: usize) -> Self {
        let (vit, arch) = (&config.vit, &config.arch);
        let d = vit.embed_dim;
        let gate = 1 + usize::from(arch.activation == Activation::SwiGlu);
        let mlp = linear(d, gate * vit.mlp_dim()) + linear(vit.mlp_dim(), d);
        let patch_embed = linear(vit.patch_values(), d);
        let block = 4 * d + linear(d, 3 * d) + linear(d, d) + mlp;
        let norm_pre = if arch.norm_pre { 2 * d } else { 0 };
        let before = patch_embed + (1 + arch.registers) * d + norm_pre;
        let encoder = before + vit.depth * block + 2 * d;
        let query_blocks = match config.decoder.weights {
            DecoderWeights::Own => config.decoder.query_depth,
            DecoderWeights::Shared => 0,
        };
        let queries = config.decoder.vit(vit);
        let (q, hidden) = (queries.embed_dim, queries.mlp_dim());
        let mlp = linear(q, gate * hidden) + linear(hidden, q);
        // Of a narrower stream: what brings content tokens to its width, and its final norm.
        let (context, norm) = match config.decoder.is_narrow() {
            true => (linear(d, q), 2 * q),
            false => (0, 0),
        };
        let query_block = 4 * q + 4 * linear(q, q) + mlp + context;
        let head = match config.decoder.head {
            Head::Mlp => linear(q, hidden) + linear(hidden, width),
            Head::Linear => linear(q, width),
        };
        Self {
            encoder: encoder as u64,
            decoder: (query_blocks * query_block + norm + head) as u64,
        }
    }
}

fn linear(inputs: usize, outputs: usize) -> usize {
    (inputs + 1) * outputs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ArchOptions, Decoder, VitConfig};
    use crate::parameters::weights;
    use crate::target::{PixelTarget, Target};
    use burn::tensor::Device;

    #[test]
    fn counts_are_those_of_the_built_model() {
        let target = Target::Pixels(PixelTarget::default());
        let others = ArchOptions {
            activation: Activation::SwiGlu,
            registers: 3,
            norm_pre: true,
            ..ArchOptions::default()
        };
        for (weights_of, query_dim) in [
            (DecoderWeights::Own, 0),
            (DecoderWeights::Shared, 0),
            (DecoderWeights::Own, 24),
        ] {
            for (head, arch) in [
                (Head::Mlp, ArchOptions::default()),
                (Head::Linear, others.clone()),
            ] {
                let config = SemaimConfig {
                    vit: VitConfig {
                        image_size: [8, 16],
                        patch_size: 4,
                        channels: 2,
                        embed_dim: 36,
                        depth: 4,
                        num_heads: 3,
                        mlp_ratio: 2.5,
                    },
                    arch,
                    decoder: Decoder {
                        query_depth: 2,
                        weights: weights_of,
                        head,
                        query_dim,
                        ..Decoder::default()
                    },
                };
                let model = config.init(&target, 0, &Device::flex()).unwrap();
                let counted: usize = weights(&model)
                    .unwrap()
                    .iter()
                    .filter(|(name, _)| !name.ends_with("pos_embed"))
                    .map(|(_, weight)| weight.values.len())
                    .sum();
                let parameters = ParamCount::of(&config, 32);
                assert_eq!(parameters.encoder + parameters.decoder, counted as u64);
            }
        }
    }
}
