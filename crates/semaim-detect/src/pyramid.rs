//! The simple feature pyramid: maps of five scales from the last map of a plain transformer alone.

use burn::module::Module;
use burn::tensor::Device;
use semaim::feature_map::{Conv, Deconv, FeatureMap};
use semaim::grid::Grid;
use semaim::layers::LayerNorm;
use semaim_kernels::gelu;

/// Maps p2 (four times as fine as the patches) to p6 (four times as coarse).
pub const LEVELS: usize = 5;

/// Pixels between the positions of each level.
pub fn strides(patch_size: usize) -> [f64; LEVELS] {
    [0.25, 0.5, 1.0, 2.0, 4.0].map(|factor| factor * patch_size as f64)
}

/// The positions of each level for a grid of patches.
pub fn grids(patches: Grid) -> [Grid; LEVELS] {
    let of = |change: &dyn Fn(usize) -> usize| Grid {
        rows: change(patches.rows),
        columns: change(patches.columns),
    };
    [
        of(&|n| 4 * n),
        of(&|n| 2 * n),
        patches,
        of(&|n| n / 2),
        of(&|n| (n / 2).div_ceil(2)),
    ]
}

/// Two convolutions to the pyramid's channels.
#[derive(Module, Debug)]
pub struct Outputs {
    /// 1×1.
    pub lateral: Conv,
    /// 3×3.
    pub output: Conv,
}

impl Outputs {
    fn zeros(inputs: usize, channels: usize, device: &Device) -> Self {
        Self {
            lateral: Conv::normed(1, inputs, channels, device),
            output: Conv::normed(3, channels, channels, device),
        }
    }

    fn forward(&self, x: &FeatureMap) -> FeatureMap {
        self.output.forward(&self.lateral.forward(x))
    }
}

/// Twice finer, and twice again.
#[derive(Module, Debug)]
pub struct FourTimesFiner {
    /// To half as many channels.
    pub first: Deconv,
    /// Between, followed by GELU.
    pub norm: LayerNorm,
    /// To half as many channels again.
    pub second: Deconv,
}

/// The pyramid.
#[derive(Module, Debug)]
pub struct Pyramid {
    /// To the scale of p2.
    pub finer4: FourTimesFiner,
    /// To the scale of p3.
    pub finer2: Deconv,
    /// p2.
    pub p2: Outputs,
    /// p3.
    pub p3: Outputs,
    /// p4.
    pub p4: Outputs,
    /// p5.
    pub p5: Outputs,
}

impl Pyramid {
    /// Zeros, but for the norms.
    pub fn zeros(embed_dim: usize, channels: usize, device: &Device) -> Self {
        let (half, quarter) = (embed_dim / 2, embed_dim / 4);
        Self {
            finer4: FourTimesFiner {
                first: Deconv::zeros(embed_dim, half, device),
                norm: LayerNorm::new(half, device),
                second: Deconv::zeros(half, quarter, device),
            },
            finer2: Deconv::zeros(embed_dim, half, device),
            p2: Outputs::zeros(quarter, channels, device),
            p3: Outputs::zeros(half, channels, device),
            p4: Outputs::zeros(embed_dim, channels, device),
            p5: Outputs::zeros(embed_dim, channels, device),
        }
    }

    /// p2 to p6.
    pub fn forward(&self, x: &FeatureMap) -> [FeatureMap; LEVELS] {
        let FourTimesFiner {
            first,
            norm,
            second,
        } = &self.finer4;
        let mut finer = first.forward(x);
        finer.values = gelu(norm.forward(finer.values));
        let p5 = self.p5.forward(&x.max_pool());
        let p6 = p5.every_second();
        [
            self.p2.forward(&second.forward(&finer)),
            self.p3.forward(&self.finer2.forward(x)),
            self.p4.forward(x),
            p5,
            p6,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tensor;

    #[test]
    fn maps_have_the_promised_sizes() {
        let device = Device::flex();
        let pyramid = Pyramid::zeros(8, 6, &device);
        for (rows, columns) in [(4, 4), (5, 7), (2, 3)] {
            let grid = Grid { rows, columns };
            let values = Tensor::ones([2, grid.patches(), 8], &device);
            let maps = pyramid.forward(&FeatureMap { values, grid });
            for (map, grid) in maps.iter().zip(grids(grid)) {
                assert_eq!(map.grid, grid);
                assert_eq!(map.values.dims(), [2, grid.patches(), 6]);
            }
        }
        assert_eq!(strides(16), [4.0, 8.0, 16.0, 32.0, 64.0]);
    }
}
