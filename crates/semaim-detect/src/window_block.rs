//! A transformer block whose attention sees a window or the whole map.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use semaim::grid::Grid;
use semaim::vit::Block;
use semaim_kernels::{DropPathScales, Recompute};

use crate::relative_position::{RelativePositions, attend};
use crate::windows;

/// The encoder's block, with a window and perhaps with relative positions.
#[derive(Module, Debug)]
pub struct WindowBlock {
    /// The encoder's block; its weights keep their names.
    pub inner: Block,
    /// What is added to the scores.
    pub positions: Option<RelativePositions>,
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
        let sides = match window {
            Some(side) => Grid {
                rows: side,
                columns: side,
            },
            None => grid,
        };
        let head_dim = block.attn.proj.weight.dims()[1] / block.num_heads();
        let positions = || RelativePositions::zeros(sides, head_dim, device);
        Self {
            inner: block,
            positions: relative_positions.then(positions),
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
            (None, None) => self.inner.forward(h, None, drop_path, recompute),
            (None, Some(side))
                if grid.rows.is_multiple_of(side) && grid.columns.is_multiple_of(side) =>
            {
                // Nothing is padded, so the whole block can work on windows.
                let (down, across) = windows::counts(grid, side);
                let drop_path = drop_path.map(|scales| repeated(scales, down * across));
                let h = windows::partition(h, grid, side);
                let h = self.inner.forward(h, None, drop_path.as_ref(), recompute);
                windows::join(h, grid, side)
            }
            _ => self.composed(h, grid, drop_path),
        }
    }

    fn composed(&self, h: Tensor<3>, grid: Grid, drop_path: Option<&DropPathScales>) -> Tensor<3> {
        // Padding comes after the norm: what is padded has the biases as query, key and value, and is seen.
        let block = &self.inner;
        let x = block.norm1.forward(h.clone());
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
        let hidden = block.mlp.fc1.forward(block.norm2.forward(h.clone()));
        let x = block.mlp.fc2.forward(block.activation().of(hidden));
        residual(h, x, drop_path.map(|scales| &scales.mlp))
    }

    fn attention(&self, x: Tensor<3>, grid: Grid) -> Tensor<3> {
        let attn = &self.inner.attn;
        let heads = self.inner.num_heads();
        let mixed = attend(attn.qkv.forward(x), heads, grid, self.positions.as_ref());
        attn.proj.forward(mixed)
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
    use semaim::init::initialize;
    use semaim::parameters::weights;
    use semaim::vit::Vit;

    #[test]
    fn weights_are_named_as_in_the_encoder() {
        let device = Device::flex();
        let grid = Grid {
            rows: 4,
            columns: 6,
        };
        let block = Vit::zeros(&VitConfig::tiny(), &device).blocks.remove(0);
        let mut expected: Vec<String> = weights(&block).unwrap().into_keys().collect();
        expected.extend(["h", "w"].map(|axis| format!("positions.rel_pos_{axis}")));
        expected.sort();
        let block = WindowBlock::new(block, Some(2), true, grid, &device);
        let found: Vec<String> = weights(&block).unwrap().into_keys().collect();
        assert_eq!(found, expected);
        assert!(found.contains(&"attn.qkv.weight".to_string()));
    }

    /// Without padding and relative positions both ways of computing a block give the same.
    #[test]
    fn on_windows_as_composed() {
        let device = Device::flex();
        let config = VitConfig::tiny();
        let vit = initialize(Vit::zeros(&config, &device), 5);
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
