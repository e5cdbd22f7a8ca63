//! How much memory a run needs, estimated before it starts.

use semaim::config::VitConfig;
use semaim::size::Parameters;

use crate::config::PretrainConfig;

/// An estimate in bytes, for 32-bit numbers and operations that are not fused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Weights, gradients, the optimiser's two moments, and the EMA copy.
    pub state: u64,
    /// What a forward pass keeps for the backward pass.
    pub activations: u64,
}

impl Memory {
    /// Estimates from the sizes alone.
    pub fn estimate(config: &PretrainConfig) -> Self {
        let width = config.target().width(&config.model);
        let parameters = Parameters::of(&config.semaim(), width);
        let copies = 4 + u64::from(config.train.ema);
        let blocks = (config.model.depth + config.decoder.query_depth) as u64;
        let per_image = blocks * block(&config.model);
        Self {
            state: 4 * copies * (parameters.encoder + parameters.decoder),
            activations: 4 * per_image * config.micro_batch() as u64,
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.state + self.activations
    }
}

/// Numbers kept by one block for one image: the layer norms' steps and the projections' inputs (about 20 rows of
/// `embed_dim`), the MLP's hidden rows before and after GELU, and four score matrices per head.
fn block(vit: &VitConfig) -> u64 {
    let tokens = (1 + vit.grid().patches()) as u64;
    let row = (20 * vit.embed_dim + 2 * vit.mlp_dim()) as u64;
    let scores = 4 * vit.num_heads as u64 * tokens;
    tokens * (row + scores)
}
