//! UPerNet (Xiao et al., ECCV 2018): pyramid pooling of the coarsest map, and what it says passed down to the finest.

use burn::module::Module;
use burn::tensor::Device;
use semaim::batch_norm::NormMode;
use semaim::feature_map::{Conv, FeatureMap};
use semaim::resample::Resampling;

use crate::config::UperNetConfig;
use crate::conv_module::ConvModule;
use crate::fcn_head::FcnHead;
use crate::neck::Neck;
use crate::pyramid_pooling::PyramidPooling;

/// Neck and heads.
#[derive(Module, Debug)]
pub struct UperNet {
    /// Maps of four scales.
    pub neck: Neck,
    /// Of the coarsest.
    pub pyramid_pooling: PyramidPooling,
    /// 1×1, of the three finer maps.
    pub lateral: Vec<ConvModule>,
    /// 3×3, of each when what comes from above has been added.
    pub output: Vec<ConvModule>,
    /// 3×3, over all four on the finest grid.
    pub fusion: ConvModule,
    /// To one number per class.
    pub classifier: Conv,
    /// On the third map.
    pub auxiliary: Option<FcnHead>,
}

/// Logits `[batch, positions, classes]` on the grids of the heads, coarser than pixels.
#[derive(Clone, Debug)]
pub struct Logits {
    /// Of the head.
    pub main: FeatureMap,
    /// Of the auxiliary head, in training.
    pub auxiliary: Option<FeatureMap>,
}

impl UperNet {
    /// Zeros, but for the norms.
    pub fn zeros(
        embed_dim: usize,
        classes: usize,
        config: &UperNetConfig,
        device: &Device,
    ) -> Self {
        let channels = config.channels.unwrap_or(embed_dim);
        let three = |side, inputs| -> Vec<ConvModule> {
            (0..3)
                .map(|_| ConvModule::zeros(side, inputs, channels, device))
                .collect()
        };
        Self {
            neck: Neck::zeros(embed_dim, device),
            pyramid_pooling: PyramidPooling::zeros(
                embed_dim,
                channels,
                &config.pool_scales,
                device,
            ),
            lateral: three(1, embed_dim),
            output: three(3, channels),
            fusion: ConvModule::zeros(3, 4 * channels, channels, device),
            classifier: Conv::biased(1, channels, classes, device),
            auxiliary: (config.auxiliary_weight > 0.0)
                .then(|| FcnHead::zeros(embed_dim, config.auxiliary_channels, classes, device)),
        }
    }

    /// Logits on the finest grid from four maps of the encoder. The auxiliary head is asked in training alone.
    pub fn forward(&self, maps: &[FeatureMap], mode: &mut NormMode) -> Logits {
        let maps = self.neck.forward(maps, mode);
        let auxiliary = match (&self.auxiliary, &mode) {
            (Some(head), NormMode::Batch(_)) => Some(head.forward(&maps[2], mode)),
            _ => None,
        };
        Logits {
            main: self.decode(&maps, mode),
            auxiliary,
        }
    }

    fn decode(&self, maps: &[FeatureMap; 4], mode: &mut NormMode) -> FeatureMap {
        let [finer @ .., coarsest] = maps;
        let mut above = self.pyramid_pooling.forward(coarsest, mode);
        let finest = finer[0].grid;
        let mut outputs = vec![Resampling::Bilinear.apply(&above, finest)];
        for (map, (lateral, output)) in finer
            .iter()
            .zip(self.lateral.iter().zip(&self.output))
            .rev()
        {
            let mut sum = lateral.forward(map, mode);
            sum.values = sum.values + Resampling::Bilinear.apply(&above, map.grid).values;
            outputs.push(Resampling::Bilinear.apply(&output.forward(&sum, mode), finest));
            above = sum;
        }
        outputs.reverse();
        let fused = self
            .fusion
            .forward(&FeatureMap::side_by_side(outputs), mode);
        self.classifier.forward(&fused)
    }
}
