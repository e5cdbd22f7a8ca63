//! How much memory a run needs, estimated before it starts.

use semaim::config::{Head, VitConfig};
use semaim::size::Parameters;
use semaim_kernels::{Kernels, Recompute};

use crate::config::PretrainConfig;

/// An estimate in bytes, for 32-bit numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Weights, gradients, the optimiser's two moments, and the EMA copy.
    pub state: u64,
    /// What a forward pass keeps for the backward pass, and what the backward pass of one block needs on top.
    pub activations: u64,
}

impl Memory {
    /// Estimates from the sizes alone, for a run with these kernels.
    pub fn estimate(config: &PretrainConfig, kernels: Kernels) -> Self {
        let (vit, width) = (&config.model, config.target().width(&config.model) as u64);
        let parameters = Parameters::of(&config.semaim(), width as usize);
        let copies = 4 + u64::from(config.train.ema);
        let blocks = (vit.depth + config.decoder.query_depth) as u64;
        let tokens = (1 + vit.grid().patches()) as u64;
        let (embed_dim, hidden) = (vit.embed_dim as u64, vit.mlp_dim() as u64);
        let per_token = match kernels {
            Kernels::Fused => {
                // The block's input; queries, keys, values, mixed values and the middle; the hidden layer.
                let kept = match config.train.recompute {
                    Recompute::None => 6 * embed_dim + hidden,
                    Recompute::Mlp => 6 * embed_dim,
                    Recompute::Block => embed_dim,
                };
                // Of the one block on its way back: gradients and layer inputs, two of them hidden layers.
                blocks * kept + 8 * embed_dim + 2 * hidden
            }
            Kernels::Composed => blocks * composed(vit, tokens),
        };
        // Images, truth, predictions and their gradient, and the head's hidden layer forward and back.
        let head = match config.decoder.head {
            Head::Mlp => 3 * 4 * embed_dim,
            Head::Linear => 0,
        };
        let ends = 5 * width + head;
        Self {
            state: 4 * copies * (parameters.encoder + parameters.decoder),
            activations: 4 * tokens * (per_token + ends) * config.micro_batch() as u64,
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.state + self.activations
    }
}

/// Numbers kept by one composed block for one token: the layer norms' steps and the projections' inputs (about 20 rows
/// of `embed_dim`), the MLP's hidden rows before and after GELU, and four score matrices per head.
fn composed(vit: &VitConfig, tokens: u64) -> u64 {
    (20 * vit.embed_dim + 2 * vit.mlp_dim()) as u64 + 4 * vit.num_heads as u64 * tokens
}
