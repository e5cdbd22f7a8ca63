//! From the maps of a plain transformer, which are all of one scale, to maps of four scales.

use burn::module::Module;
use burn::tensor::Device;
use semaim::batch_norm::{BatchNorm, NormMode};
use semaim::feature_map::{Deconv, FeatureMap};
use semaim_kernels::gelu;

/// Twice finer, and twice again.
#[derive(Module, Debug)]
pub struct FourTimesFiner {
    /// Twice finer.
    pub first: Deconv,
    /// Between, followed by GELU.
    pub norm: BatchNorm,
    /// Twice finer again.
    pub second: Deconv,
}

/// Makes the first map four times finer, the second twice; the third stays, the fourth becomes twice coarser.
#[derive(Module, Debug)]
pub struct Neck {
    /// For the first map.
    pub finer4: FourTimesFiner,
    /// For the second map.
    pub finer2: Deconv,
}

impl Neck {
    /// Zeros, but for the norm.
    pub fn zeros(embed_dim: usize, device: &Device) -> Self {
        let deconv = || Deconv::zeros(embed_dim, embed_dim, device);
        Self {
            finer4: FourTimesFiner {
                first: deconv(),
                norm: BatchNorm::new(embed_dim, device),
                second: deconv(),
            },
            finer2: deconv(),
        }
    }

    /// Four maps of 4, 2, 1 and ½ times the rows and columns.
    pub fn forward(&self, maps: &[FeatureMap], mode: &mut NormMode) -> [FeatureMap; 4] {
        let FourTimesFiner {
            first,
            norm,
            second,
        } = &self.finer4;
        let mut finer = norm.forward(&first.forward(&maps[0]), mode);
        finer.values = gelu(finer.values);
        [
            second.forward(&finer),
            self.finer2.forward(&maps[1]),
            maps[2].clone(),
            maps[3].max_pool(),
        ]
    }
}
