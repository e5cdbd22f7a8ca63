//! The scene as a whole: a map pooled to a few bins (Zhao et al., CVPR 2017).

use burn::module::Module;
use burn::tensor::Device;
use semaim::batch_norm::NormMode;
use semaim::feature_map::FeatureMap;
use semaim::grid::Grid;
use semaim::resample::Resampling;

use crate::conv_module::ConvModule;

/// A map beside its means over ever smaller regions.
#[derive(Module, Debug)]
pub struct PyramidPooling {
    /// 1×1, one per scale.
    pub scales: Vec<ConvModule>,
    /// 3×3, over the map and all that was pooled of it.
    pub bottleneck: ConvModule,
    #[module(skip)]
    bins: Vec<usize>,
}

impl PyramidPooling {
    /// Zeros, but for the norms. `bins` are those of each scale in each direction.
    pub fn zeros(inputs: usize, channels: usize, bins: &[usize], device: &Device) -> Self {
        Self {
            scales: bins
                .iter()
                .map(|_| ConvModule::zeros(1, inputs, channels, device))
                .collect(),
            bottleneck: ConvModule::zeros(3, inputs + bins.len() * channels, channels, device),
            bins: bins.to_vec(),
        }
    }

    /// A map of the same positions.
    pub fn forward(&self, x: &FeatureMap, mode: &mut NormMode) -> FeatureMap {
        let mut maps = vec![x.clone()];
        for (conv, &bins) in self.scales.iter().zip(&self.bins) {
            let grid = Grid {
                rows: bins,
                columns: bins,
            };
            let pooled = conv.forward(&Resampling::Average.apply(x, grid), mode);
            maps.push(Resampling::Bilinear.apply(&pooled, x.grid));
        }
        self.bottleneck
            .forward(&FeatureMap::side_by_side(maps), mode)
    }
}
