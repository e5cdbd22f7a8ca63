//! Which of a region's pixels belong to its object.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use semaim::feature_map::{Conv, Deconv};

use crate::head_convs;

/// Convolutions, one step finer, and a map of logits per class.
#[derive(Module, Debug)]
pub struct MaskHead {
    /// 3×3 with norm, each followed by ReLU.
    pub convs: Vec<Conv>,
    /// Twice finer, followed by ReLU.
    pub deconv: Deconv,
    /// 1×1, one number per class.
    pub predictor: Conv,
}

impl MaskHead {
    /// Zeros, but for the norms.
    pub fn zeros(
        inputs: usize,
        channels: usize,
        convolutions: usize,
        classes: usize,
        device: &Device,
    ) -> Self {
        let (convs, width) = head_convs::zeros(inputs, channels, convolutions, device);
        Self {
            convs,
            deconv: Deconv::zeros(width, channels, device),
            predictor: Conv::biased(1, channels, classes, device),
        }
    }

    /// Pooled regions `[regions, bins · bins, channels]` to logits `[regions, 4 · bins · bins, classes]`.
    pub fn forward(&self, pooled: Tensor<3>) -> Tensor<3> {
        let x = self
            .deconv
            .forward(&head_convs::through(&self.convs, pooled))
            .relu();
        self.predictor.forward(&x).values
    }
}

/// Of logits `[regions, positions, classes]` those of each region's class, `[regions, positions]`.
pub fn of_class(logits: Tensor<3>, classes: &[usize]) -> Tensor<2> {
    let [regions, positions, count] = logits.dims();
    assert_eq!(classes.len(), regions, "classes of regions");
    let columns: Vec<i64> = classes
        .iter()
        .enumerate()
        .map(|(region, class)| (region * count + class) as i64)
        .collect();
    let columns = Tensor::<1, Int>::from_ints(columns.as_slice(), &logits.device());
    logits
        .swap_dims(1, 2)
        .reshape([regions * count, positions])
        .select(0, columns)
}
