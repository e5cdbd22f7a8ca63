//! The order's encoding on smaller images: a fraction of the patches, and a coarser similarity map.

use burn::tensor::Tensor;

use crate::feature_map::FeatureMap;
use crate::grid::Grid;
use crate::resample::Resampling;
use crate::similarity::Similarity;
use crate::vit::Vit;

impl Similarity {
    /// [`Similarity::of`] images whose sides are divided by `divisor`, on the encoder's own grid, `[batch, patches]`.
    ///
    /// A pixel is the mean of `divisor` by `divisor`; patches keep their size, so that there are `divisor²` times fewer of them. The
    /// position table is resized to their grid as [`Vit::positions_on`] does it, and the map is enlarged bilinearly: of
    /// the patches under the most similar place, the one towards the more similar neighbors comes out highest. The rows and
    /// columns of the encoder's grid must be multiples of `divisor`. Pass an encoder without gradients.
    pub fn of_downscaled(self, encoder: &Vit, images: Tensor<4>, divisor: usize) -> Tensor<2> {
        if divisor == 1 {
            return self.of(encoder, images);
        }
        let grid = encoder.grid();
        let coarse = Grid {
            rows: grid.rows / divisor,
            columns: grid.columns / divisor,
        };
        let map = self.of(&encoder.on_grid(coarse), averaged(images, divisor));
        let map = FeatureMap {
            values: map.unsqueeze_dim(2),
            grid: coarse,
        };
        Resampling::Bilinear.apply(&map, grid).values.squeeze_dim(2)
    }
}

/// Means of `divisor` by `divisor` pixels of images `[batch, channels, height, width]`.
fn averaged(images: Tensor<4>, divisor: usize) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    let (rows, columns) = (height / divisor, width / divisor);
    images
        .reshape([batch * channels, rows, divisor, columns, divisor])
        .mean_dim(4)
        .mean_dim(2)
        .reshape([batch, channels, rows, columns])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SemaimConfig, VitConfig};
    use crate::position::Interpolation;
    use crate::target::{PixelTarget, Target};
    use burn::tensor::{Device, TensorData};

    /// A grid of 4 × 6.
    fn encoder() -> Vit {
        let vit = VitConfig {
            image_size: [16, 24],
            patch_size: 4,
            ..VitConfig::tiny()
        };
        let mut config = SemaimConfig {
            vit,
            ..SemaimConfig::default()
        };
        config.decoder.query_depth = 2;
        let target = Target::Pixels(PixelTarget::default());
        config.init(&target, 3, &Device::flex()).unwrap().encoder
    }

    fn images() -> Tensor<4> {
        let values: Vec<f32> = (0..2 * 3 * 16 * 24)
            .map(|i| (i as f32 * 0.73).sin())
            .collect();
        Tensor::from_data(TensorData::new(values, [2, 3, 16, 24]), &Device::flex())
    }

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    fn assert_near(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    #[test]
    fn pixels_are_means() {
        let values_of = |i: i32| ((i / 4) * 10 + i % 4) as f32;
        let image: Vec<f32> = (0..16).map(values_of).collect();
        let image = Tensor::from_data(TensorData::new(image, [1, 1, 4, 4]), &Device::flex());
        assert_eq!(values(averaged(image, 2)), [5.5, 7.5, 25.5, 27.5]);
    }

    #[test]
    fn the_map_is_that_of_the_encoder_on_the_smaller_images() {
        let (encoder, grid) = (
            encoder(),
            Grid {
                rows: 2,
                columns: 3,
            },
        );
        let small = averaged(images(), 2);
        // The way by the host, on which encoders of files are brought to other sizes.
        let resized = encoder
            .clone()
            .resized(grid, Interpolation::Bicubic)
            .unwrap();
        for kind in [Similarity::Cls, Similarity::Gap, Similarity::SelfAttention] {
            let map = values(kind.of(&resized, small.clone()));
            let found = values(kind.of_downscaled(&encoder, images(), 2));
            assert_eq!(found.len(), 2 * 24);
            for image in 0..2 {
                let at = |row: usize, column: usize| map[image * 6 + row * 3 + column];
                let found = &found[image * 24..][..24];
                // A corner is the map's, and what lies within is weighted by distance.
                assert_near(&[found[0], found[23]], &[at(0, 0), at(1, 2)]);
                let within = 0.75 * (0.75 * at(0, 0) + 0.25 * at(0, 1))
                    + 0.25 * (0.75 * at(1, 0) + 0.25 * at(1, 1));
                assert_near(&[found[6 + 1]], &[within]);
            }
        }
    }

    #[test]
    fn undivided_it_is_the_map_itself() {
        let encoder = encoder();
        let whole = values(Similarity::Cls.of(&encoder, images()));
        assert_eq!(
            values(Similarity::Cls.of_downscaled(&encoder, images(), 1)),
            whole
        );
    }
}
