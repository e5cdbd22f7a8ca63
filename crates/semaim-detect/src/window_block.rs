//! A transformer block whose attention sees a window or the whole map.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use semaim::grid::Grid;
use semaim::layers::{LayerNorm, Linear, Mlp};
use semaim::vit::Block;
use semaim_kernels::{Activation, BlockWeights, DropPathScales, Projections, Recompute, block};

use crate::relative_position::{RelativePositions, attend};
use crate::windows;

/// The weights of the attention.
#[derive(Module, Debug)]
pub struct WindowAttention {
    /// Query, key and value at once, `[3 · embed_dim, embed_dim]`.
    pub qkv: Linear,
    /// The projection of the mixed values.
    pub proj: Linear,
}

/// The encoder's block, with a window and perhaps with relative positions.
#[derive(Module, Debug)]
pub struct WindowBlock {
    /// Before attention.
    pub norm1: LayerNorm,
    /// Self-attention.
    pub attn: WindowAttention,
    /// What is added to the scores.
    pub positions: Option<RelativePositions>,
    /// Before the MLP.
    pub norm2: LayerNorm,
    /// The MLP.
    pub mlp: Mlp,
    num_heads: usize,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    window: Option<usize>,
}

impl WindowBlock {
    /// The encoder's block on windows of side `window`, or on the whole `grid`.
    pub fn new(
        block: Block,
        window: Option<usize>,
        relative_positions: bool,
        grid: Grid,
        device: &Device,
    ) -> Self {
        let (num_heads, activation) = (block.num_heads(), block.activation());
        let Block {
            norm1,
            attn,
            norm2,
            mlp,
            ..
        } = block;
        let sides = match window {
            Some(side) => Grid {
                rows: side,
                columns: side,
            },
            None => grid,
        };
        let head_dim = attn.proj.weight.dims()[1] / num_heads;
        Self {
            norm1,
            attn: WindowAttention {
                qkv: attn.qkv,
                proj: attn.proj,
            },
            positions: relative_positions
                .then(|| RelativePositions::zeros(sides, head_dim, device)),
            norm2,
            mlp,
            num_heads,
            activation,
            window,
        }
    }

    /// `h [batch, rows · columns, embed_dim]` to the same shape.
    pub fn forward(
        &self,
        h: Tensor<3>,
        grid: Grid,
        drop_path: Option<&DropPathScales>,
        recompute: Recompute,
    ) -> Tensor<3> {
        match (&self.positions, self.window) {
            (None, None) => block(h, None, None, self.weights(), drop_path, recompute),
            (None, Some(side))
                if grid.rows.is_multiple_of(side) && grid.columns.is_multiple_of(side) =>
            {
                // Nothing is padded, so the whole block can work on windows.
                let (down, across) = windows::counts(grid, side);
                let drop_path = drop_path.map(|scales| repeated(scales, down * across));
                let h = windows::partition(h, grid, side);
                let h = block(h, None, None, self.weights(), drop_path.as_ref(), recompute);
                windows::join(h, grid, side)
            }
            _ => self.composed(h, grid, drop_path),
        }
    }

    fn weights(&self) -> BlockWeights {
        BlockWeights {
            norm1: self.norm1.weights(),
            projections: Projections::Joint(Box::new(self.attn.qkv.weights())),
            proj: self.attn.proj.weights(),
            norm2: self.norm2.weights(),
            fc1: self.mlp.fc1.weights(),
            activation: self.activation,
            fc2: self.mlp.fc2.weights(),
            num_heads: self.num_heads,
        }
    }

    fn composed(&self, h: Tensor<3>, grid: Grid, drop_path: Option<&DropPathScales>) -> Tensor<3> {
        // Padding comes after the norm: what is padded has the biases as query, key and value, and is seen.
        let x = self.norm1.forward(h.clone());
        let x = match self.window {
            Some(side) => {
                let windows = windows::partition(x, grid, side);
                let sides = Grid {
                    rows: side,
                    columns: side,
                };
                windows::join(self.attention(windows, sides), grid, side)
            }
            None => self.attention(x, grid),
        };
        let h = residual(h, x, drop_path.map(|scales| &scales.attention));
        let hidden = self.mlp.fc1.forward(self.norm2.forward(h.clone()));
        let x = self.mlp.fc2.forward(self.activation.of(hidden));
        residual(h, x, drop_path.map(|scales| &scales.mlp))
    }

    fn attention(&self, x: Tensor<3>, grid: Grid) -> Tensor<3> {
        let qkv = self.attn.qkv.forward(x);
        let mixed = attend(qkv, self.num_heads, grid, self.positions.as_ref());
        self.attn.proj.forward(mixed)
    }
}

/// The scales of images, for each of their windows.
fn repeated(scales: &DropPathScales, windows: usize) -> DropPathScales {
    let each = |scales: &[f32]| {
        scales
            .iter()
            .flat_map(|&scale| std::iter::repeat_n(scale, windows))
            .collect()
    };
    DropPathScales {
        attention: each(&scales.attention),
        mlp: each(&scales.mlp),
    }
}

fn residual(x: Tensor<3>, branch: Tensor<3>, scales: Option<&Vec<f32>>) -> Tensor<3> {
    match scales {
        Some(scales) => {
            let samples = scales.len();
            let scales = Tensor::<1>::from_floats(scales.as_slice(), &x.device());
            x + branch * scales.reshape([samples, 1, 1])
        }
        None => x + branch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim::config::VitConfig;
    use semaim::init::initialise;
    use semaim::vit::Vit;

    /// Without padding and relative positions both ways of computing a block give the same.
    #[test]
    fn on_windows_as_composed() {
        let device = Device::flex();
        let config = VitConfig::tiny();
        let vit = initialise(Vit::zeros(&config, &device), 5);
        let grid = Grid {
            rows: 4,
            columns: 6,
        };
        let shape = [2, grid.patches(), config.embed_dim];
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|i: usize| ((i * 31) % 17) as f32 / 9.0 - 0.8)
            .collect();
        let h = Tensor::<3>::from_data(burn::tensor::TensorData::new(values, shape), &device);
        let scales = DropPathScales {
            attention: vec![1.5, 0.5],
            mlp: vec![0.0, 2.0],
        };
        for window in [None, Some(2), Some(4)] {
            let block = vit.blocks[0].clone();
            let block = WindowBlock::new(block, window, false, grid, &device);
            let found = block.forward(h.clone(), grid, Some(&scales), Recompute::None);
            let expected = block.composed(h.clone(), grid, Some(&scales));
            let close = burn::tensor::Tolerance::<f32>::absolute(1e-5);
            found
                .into_data()
                .assert_approx_eq(&expected.into_data(), close);
        }
    }
}
