//! How much memory a run needs, estimated before it starts.

use semaim::config::{Head, VitConfig};
use semaim_kernels::{Kernels, Recompute};

use crate::config::{Method, PretrainConfig};

/// An estimate in bytes, for 32-bit numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Weights, gradients, the optimizer's two moments, and the EMA copy.
    pub state: u64,
    /// What a forward pass keeps for the backward pass, and what the backward pass of one block needs on top.
    pub activations: u64,
}

/// Blocks that the same tokens go through.
struct Stack {
    vit: VitConfig,
    blocks: usize,
    tokens: usize,
    /// Tokens with keys and values.
    seen: usize,
}

impl Stack {
    /// Numbers kept for one sample, and the most that one block needs on its way back.
    fn numbers(&self, kernels: Kernels, recompute: Recompute) -> (u64, u64) {
        let (embed_dim, hidden) = (self.vit.embed_dim as u64, self.vit.mlp_dim() as u64);
        let [blocks, tokens, seen] = [self.blocks, self.tokens, self.seen].map(|n| n as u64);
        match kernels {
            Kernels::Fused => {
                // The block's input; queries, keys, values, mixed values and the middle; the hidden layer.
                let kept = match recompute {
                    Recompute::None => tokens * (4 * embed_dim + hidden) + seen * 2 * embed_dim,
                    Recompute::Mlp => tokens * 4 * embed_dim + seen * 2 * embed_dim,
                    Recompute::Block => tokens * embed_dim,
                };
                // Of the one block on its way back: gradients and layer inputs, two of them hidden layers; of keys and values
                // two gradients and their layers' input.
                let back = tokens * (5 * embed_dim + 2 * hidden) + seen * 3 * embed_dim;
                (blocks * kept, back)
            }
            Kernels::Composed => {
                // Of tokens that are only seen: the layer norm's steps, keys and values.
                let only_seen = seen.saturating_sub(tokens) * 6 * embed_dim;
                let kept = tokens * composed(&self.vit, seen) + only_seen;
                (blocks * kept, 0)
            }
        }
    }
}

impl Memory {
    /// Estimates from the sizes alone, for a run with these kernels; the weights of a teacher are not counted.
    pub fn estimate(config: &PretrainConfig, teacher: Option<usize>, kernels: Kernels) -> Self {
        let (vit, width) = (
            &config.model,
            config.target(teacher).width(&config.model) as u64,
        );
        let parameters = config.parameters(teacher);
        let copies = 4 + u64::from(config.train.ema);
        let patches = vit.grid().patches();
        let registers = config.arch.registers;
        let stack = |vit: VitConfig, tokens| Stack {
            blocks: vit.depth,
            vit,
            tokens,
            seen: tokens,
        };
        // Patches that are predicted, and content tokens as a narrower query stream keeps them.
        let (mut predicted, mut narrowed) = (patches, 0);
        let (stacks, head) = match config.method {
            Method::Semaim => {
                let encoder = stack(vit.clone(), 1 + registers + patches);
                predicted = config.decoder.predicted(patches);
                let query_vit = config.decoder.vit(vit);
                if config.decoder.is_narrow() {
                    narrowed = config.decoder.query_depth * patches * query_vit.embed_dim;
                }
                let hidden = query_vit.mlp_dim() as u64;
                let queries = Stack {
                    vit: query_vit,
                    blocks: config.decoder.query_depth,
                    tokens: predicted,
                    seen: patches,
                };
                // The head's hidden layer forward and back.
                let head = match config.decoder.head {
                    Head::Mlp => 3 * hidden,
                    Head::Linear => 0,
                };
                ([encoder, queries], head)
            }
            Method::Mae => {
                let encoder = stack(vit.clone(), 1 + registers + config.mae.kept(patches));
                let decoder = stack(config.mae.decoder(vit), 1 + patches);
                ([encoder, decoder], 0)
            }
        };
        let each = stacks.map(|stack| stack.numbers(kernels, config.train.recompute));
        let blocks = each.iter().map(|(kept, _)| kept).sum::<u64>()
            + each.iter().map(|(_, back)| *back).max().unwrap_or(0);
        // Images and truth; predictions, their gradient and the truth in the order of prediction.
        let ends = (1 + patches as u64) * 2 * width + (1 + predicted as u64) * (3 * width + head);
        Self {
            state: 4 * copies * (parameters.encoder + parameters.decoder),
            activations: 4 * (blocks + narrowed as u64 + ends) * config.train.micro_batch() as u64,
        }
    }

    /// Estimates for fine-tuning an encoder of `parameters` trained weights, its head among them, in micro-batches of so many
    /// images.
    pub fn finetuning(
        vit: &VitConfig,
        parameters: u64,
        micro_batch: usize,
        recompute: Recompute,
        kernels: Kernels,
    ) -> Self {
        let patches = vit.grid().patches();
        let encoder = Stack {
            vit: vit.clone(),
            blocks: vit.depth,
            tokens: 1 + patches,
            seen: 1 + patches,
        };
        let (kept, back) = encoder.numbers(kernels, recompute);
        // The image as patches and their gradient, and the tokens at both ends.
        let ends = patches * 2 * vit.patch_values() + 4 * (1 + patches) * vit.embed_dim;
        Self {
            state: 4 * 4 * parameters,
            activations: 4 * (kept + back + ends as u64) * micro_batch as u64,
        }
    }

    /// An estimate of what an encoder without class token keeps of an image of `tokens` tokens, and of what its way back needs on
    /// top, in bytes. A block's attention sees `seen[block]` tokens; one that is not `fused` is composed.
    pub fn encoder_activations(
        vit: &VitConfig,
        tokens: usize,
        seen: &[usize],
        fused: impl Fn(usize) -> bool,
        recompute: Recompute,
    ) -> u64 {
        let block = |(number, &seen): (usize, &usize)| {
            let one = Stack {
                vit: vit.clone(),
                blocks: 1,
                tokens,
                seen: tokens,
            };
            match fused(number) {
                true => one.numbers(Kernels::Fused, recompute),
                false => (tokens as u64 * composed(vit, seen as u64), 0),
            }
        };
        let blocks: Vec<(u64, u64)> = seen.iter().enumerate().map(block).collect();
        let kept: u64 = blocks.iter().map(|(kept, _)| kept).sum();
        4 * (kept + blocks.iter().map(|(_, back)| *back).max().unwrap_or(0))
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.state + self.activations
    }
}

/// Numbers kept by one composed block for one token that attends to `seen` others: the layer norms' steps and the projections'
/// inputs (about 20 rows of `embed_dim`), the MLP's hidden rows before and after GELU, and four score matrices per head.
fn composed(vit: &VitConfig, seen: u64) -> u64 {
    (20 * vit.embed_dim + 2 * vit.mlp_dim()) as u64 + 4 * vit.num_heads as u64 * seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrower_query_stream_needs_less_of_everything() {
        let estimate = |query_dim| {
            let mut config = PretrainConfig::default();
            config.decoder.query_dim = query_dim;
            Memory::estimate(&config, None, Kernels::Fused)
        };
        let [whole, half] = [0, 64].map(estimate);
        assert!(half.state < whole.state && half.activations < whole.activations);
    }

    #[test]
    fn predicting_fewer_patches_keeps_less_but_of_keys_and_values() {
        let estimate = |fraction| {
            let mut config = PretrainConfig::default();
            config.decoder.predict_fraction = fraction;
            Memory::estimate(&config, None, Kernels::Fused)
        };
        let [all, half, one] = [1.0, 0.5, 1e-9].map(estimate);
        assert_eq!(all.state, half.state);
        assert!(one.activations < half.activations && half.activations < all.activations);
        // Of 128 numbers a token, in 4 encoder blocks and 2 query blocks with hidden layers of 512; images in micro-batches of 64.
        let content = 65 * 4 * (6 * 128 + 512) + 65 * (8 * 128 + 2 * 512);
        let queries = |count: u64| 2 * (count * (4 * 128 + 512) + 64 * 2 * 128);
        let ends = |count: u64| 65 * 2 * 192 + (1 + count) * (3 * 192 + 3 * 512);
        for (estimate, count) in [(all, 64), (half, 32), (one, 1)] {
            let numbers = content + queries(count) + ends(count);
            assert_eq!(estimate.activations, 4 * 64 * numbers);
        }
    }
}
