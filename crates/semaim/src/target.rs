//! What is predicted, and how far off a prediction is.
//!
//! A [`Target`] is one contract: how wide a prediction is, where the targets come from, and the loss of each patch.

use burn::tensor::Tensor;
use semaim_kernels::{Loss, PixelPatches, loss, pixel_patches};
use serde::{Deserialize, Serialize};

use crate::config::VitConfig;

/// What the query stream predicts.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The pixels of each patch.
    Pixels(PixelTarget),
    /// The token that a network has for each patch: an EMA copy, the model itself or a teacher.
    Features {
        /// Numbers of a token.
        width: usize,
    },
}

impl Target {
    /// Values of a prediction.
    pub fn width(&self, vit: &VitConfig) -> usize {
        match self {
            Self::Pixels(_) => vit.patch_values(),
            Self::Features { width } => *width,
        }
    }

    /// The targets for images `[batch, channels, height, width]`, `[batch, patches, width]`, where they are in the images
    /// themselves; `None` where a network gives them.
    pub fn of_images(&self, images: Tensor<4>, patch_size: usize) -> Option<Tensor<3>> {
        match self {
            Self::Pixels(pixels) => Some(pixels.values(images, patch_size)),
            Self::Features { .. } => None,
        }
    }

    /// The loss of each patch, `[batch, patches]`, for predictions and targets `[batch, patches, width]`. The loss of a
    /// batch is the mean over the patches that are predicted: all of them as published, a share of them where
    /// [`predict_fraction`](crate::config::Decoder::predict_fraction) is below 1, those that are masked for MAE. Features are
    /// compared by direction: both are brought to unit length, and the squared differences are summed.
    pub fn loss(&self, predictions: Tensor<3>, targets: Tensor<3>) -> Tensor<2> {
        match self {
            Self::Pixels(pixels) => pixels.loss(predictions, targets),
            Self::Features { .. } => loss(Loss::NormalizedL2, predictions, targets),
        }
    }
}

/// How pixel differences are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PixelLoss {
    /// Mean absolute difference.
    L1,
    /// Mean squared difference.
    #[default]
    L2,
}

/// The pixels of each patch, in the order row, column, channel.
#[derive(Clone, Debug, PartialEq)]
pub struct PixelTarget {
    /// Blur of the normalized image before it is cut into patches.
    pub blur: Option<Blur>,
    /// Per-patch normalization: minus the mean, over the root of the unbiased variance plus 1e-6.
    pub normalize: bool,
    /// The distance.
    pub loss: PixelLoss,
}

impl Default for PixelTarget {
    /// As published: blur of size 9 and sigma 1, normalized patches, squared difference.
    fn default() -> Self {
        Self {
            blur: Some(Blur {
                size: 9,
                sigma: 1.0,
            }),
            normalize: true,
            loss: PixelLoss::L2,
        }
    }
}

impl PixelTarget {
    /// The targets for images `[batch, channels, height, width]`: `[batch, patches, patch_size² * channels]`.
    pub fn values(&self, images: Tensor<4>, patch_size: usize) -> Tensor<3> {
        let form = PixelPatches {
            patch_size,
            blur: self.blur.map(Blur::weights).unwrap_or_default(),
            normalize: self.normalize,
        };
        pixel_patches(images, &form)
    }

    fn loss(&self, predictions: Tensor<3>, targets: Tensor<3>) -> Tensor<2> {
        let kind = match self.loss {
            PixelLoss::L1 => Loss::L1,
            PixelLoss::L2 => Loss::L2,
        };
        loss(kind, predictions, targets)
    }
}

/// A Gaussian blur with zero padding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blur {
    /// Side of the kernel in pixels, at least 1.
    pub size: usize,
    /// Standard deviation in pixels, above 0.
    pub sigma: f64,
}

impl Blur {
    /// The weights along a line, which sum to one.
    fn weights(self) -> Vec<f32> {
        let center = (self.size - 1) as f64 / 2.0;
        let weights: Vec<f64> = (0..self.size)
            .map(|k| (-0.5 * ((k as f64 - center) / self.sigma).powi(2)).exp())
            .collect();
        let total: f64 = weights.iter().sum();
        weights
            .iter()
            .map(|weight| (weight / total) as f32)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn blur_of_a_point_is_the_kernel() {
        let device = Device::flex();
        let mut point = vec![0.0_f32; 7 * 5];
        point[3 * 5 + 2] = 1.0;
        let image = Tensor::from_data(TensorData::new(point, [1, 1, 7, 5]), &device);
        let target = PixelTarget {
            blur: Some(Blur {
                size: 3,
                sigma: 1.0,
            }),
            normalize: false,
            loss: PixelLoss::L2,
        };
        // Patches of one pixel are the image.
        let blurred: Vec<f32> = target.values(image, 1).into_data().try_to_vec().unwrap();
        let side = (-0.5_f32).exp();
        let total = 1.0 + 2.0 * side;
        let expected = [side / total, 1.0 / total, side / total];
        for (row, weight_y) in expected.iter().enumerate() {
            for (column, weight_x) in expected.iter().enumerate() {
                let got = blurred[(row + 2) * 5 + column + 1];
                assert!((got - weight_y * weight_x).abs() < 1e-6);
            }
        }
        assert!((blurred.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn patches_hold_row_column_channel() {
        let device = Device::flex();
        // value = 100 channel + 10 row + column
        let values: Vec<f32> = (0..2 * 2 * 4)
            .map(|i| (100 * (i / 8) + 10 * (i % 8 / 4) + i % 4) as f32)
            .collect();
        let image = Tensor::from_data(TensorData::new(values, [1, 2, 2, 4]), &device);
        let target = PixelTarget {
            blur: None,
            normalize: false,
            loss: PixelLoss::L2,
        };
        let patches: Vec<f32> = target.values(image, 2).into_data().try_to_vec().unwrap();
        assert_eq!(
            patches[..8],
            [0.0, 100.0, 1.0, 101.0, 10.0, 110.0, 11.0, 111.0]
        );
        assert_eq!(patches[8..10], [2.0, 102.0]);
    }

    #[test]
    fn a_patch_of_one_value_does_not_divide_by_zero() {
        let device = Device::flex();
        let image = Tensor::<4>::ones([1, 1, 2, 2], &device);
        let target = PixelTarget {
            blur: None,
            ..PixelTarget::default()
        };
        let values: Vec<f32> = target.values(image, 1).into_data().try_to_vec().unwrap();
        assert_eq!(values, [0.0; 4]);
    }
}
