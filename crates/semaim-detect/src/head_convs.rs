//! The 3×3 convolutions with which box head and mask head begin.

use burn::tensor::{Device, Tensor};
use semaim::feature_map::{Conv, FeatureMap};
use semaim::grid::Grid;

/// `count` convolutions with norm, all zeros but for the norms, and the channels behind them: `inputs` where there are none.
pub(crate) fn zeros(
    inputs: usize,
    channels: usize,
    count: usize,
    device: &Device,
) -> (Vec<Conv>, usize) {
    let width = |number: usize| if number == 0 { inputs } else { channels };
    let convs = (0..count).map(|number| Conv::normed(3, width(number), channels, device));
    (convs.collect(), width(count))
}

/// Convolutions on pooled regions `[regions, bins · bins, channels]`, each followed by ReLU.
pub(crate) fn through(convs: &[Conv], pooled: Tensor<3>) -> FeatureMap {
    let side = pooled.dims()[1].isqrt();
    let x = FeatureMap {
        values: pooled,
        grid: Grid {
            rows: side,
            columns: side,
        },
    };
    convs.iter().fold(x, |x, conv| conv.forward(&x).relu())
}
