//! From images to the class of each pixel.

use burn::tensor::{Int, Tensor, activation};
use semaim::batch_norm::NormMode;
use semaim::feature_map::FeatureMap;
use semaim::grid::Grid;
use semaim::parameters::{int_to_host, to_host};
use semaim::resample::{Resampling, bilinear_rows};
use semaim::vit::ForwardOptions;

use crate::config::InferenceMode;
use crate::error::SegmentError;
use crate::model::Segmenter;
use crate::windows::{Window, windows};

/// Windows that are computed together.
const WINDOWS: usize = 4;

/// Rows of pixels whose probabilities are held at a time.
const ROWS: usize = 32;

impl Segmenter {
    /// The class of each pixel of an output of `size`, `[rows, columns]`, row by row. `views` are the same image,
    /// `[1, channels, height, width]` each, in the sizes of [`scales`](crate::config::InferenceConfig::scales),
    /// normalized.
    ///
    /// Logits are averaged over windows. Over several views (scales, mirror images) it is probabilities that are averaged,
    /// as in mmsegmentation.
    ///
    /// # Errors
    /// [`SegmentError::NotFinite`], and [`SegmentError::Weight`] when the device does not give the numbers.
    pub fn classes_of_pixels(
        &self,
        views: &[Tensor<4>],
        [rows, columns]: [usize; 2],
    ) -> Result<Vec<u8>, SegmentError> {
        let mut logits = Vec::new();
        for view in views {
            logits.push(self.pixel_logits(view.clone())?);
            if self.config().inference.flip {
                let mirrored = self.pixel_logits(view.clone().flip([3]))?;
                logits.push(mirror(&mirrored));
            }
        }
        let mut classes = Vec::with_capacity(rows * columns);
        for first in (0..rows).step_by(ROWS) {
            let stripe = first..(first + ROWS).min(rows);
            let grid = Grid { rows, columns };
            let parts = logits
                .iter()
                .map(|logits| bilinear_rows(logits, grid, stripe.clone()));
            let sum = if logits.len() == 1 {
                parts.reduce(|sum, part| sum + part)
            } else {
                parts
                    .map(|part| activation::softmax(part, 2))
                    .reduce(|sum, part| sum + part)
            };
            let Some(sum) = sum else { break };
            // One that is no number makes the sum of all none.
            let total = to_host("scores of pixels", sum.clone().sum())?.values;
            if !total.iter().all(|total| total.is_finite()) {
                return Err(SegmentError::NotFinite);
            }
            let best: Tensor<3, Int> = sum.argmax(2);
            let best = int_to_host("classes of pixels", best)?;
            classes.extend(best.into_iter().map(|class| class as u8));
        }
        Ok(classes)
    }

    /// Logits of each pixel of images `[batch, channels, height, width]`, normalized: of the whole image or averaged over
    /// windows, as is set. Where sides are no multiples of the patch size, or are to be a square's, zeros are added at the bottom and at
    /// the right.
    ///
    /// # Errors
    /// None but the device's.
    pub fn pixel_logits(&self, images: Tensor<4>) -> Result<FeatureMap, SegmentError> {
        let [batch, _, height, width] = images.dims();
        let inference = &self.config().inference;
        let windows = match inference.mode {
            InferenceMode::Slide => windows([height, width], inference.crop, inference.stride),
            InferenceMode::Whole => windows([height, width], height.max(width), 1),
        };
        if windows.len() == 1 {
            return self.window_logits(images);
        }
        let classes = self.config().classes;
        let device = images.device();
        let mut sum = Tensor::<4>::zeros([batch, height, width, classes], &device);
        let mut seen = vec![0_u32; height * width];
        for group in windows.chunks(WINDOWS) {
            let parts = group.iter().map(|w| {
                images
                    .clone()
                    .narrow(2, w.top, w.height)
                    .narrow(3, w.left, w.width)
            });
            let logits = self.window_logits(Tensor::cat(parts.collect(), 0))?;
            for (number, window) in group.iter().enumerate() {
                let Window {
                    top,
                    left,
                    height,
                    width: across,
                } = *window;
                let place = [0..batch, top..top + height, left..left + across, 0..classes];
                let part = logits.values.clone().narrow(0, number * batch, batch);
                let part = part.reshape([batch, height, across, classes]);
                let before = sum.clone().slice(place.clone());
                sum = sum.slice_assign(place, before + part);
                for row in top..top + height {
                    for seen in &mut seen[row * width..][left..left + across] {
                        *seen += 1;
                    }
                }
            }
        }
        let seen: Vec<f32> = seen.into_iter().map(|count| count as f32).collect();
        let seen =
            Tensor::<1>::from_floats(seen.as_slice(), &device).reshape([1, height * width, 1]);
        Ok(FeatureMap {
            values: sum.reshape([batch, height * width, classes]) / seen,
            grid: Grid {
                rows: height,
                columns: width,
            },
        })
    }

    /// Logits of each pixel of images that are seen whole.
    fn window_logits(&self, images: Tensor<4>) -> Result<FeatureMap, SegmentError> {
        let [batch, channels, height, width] = images.dims();
        let (patch, fewest) = (self.patch_size(), self.fewest_patches());
        let whole = |side: usize| side.div_ceil(patch).max(fewest) * patch;
        let (rows, columns) = match self.config().inference.square {
            true => (whole(height.max(width)), whole(height.max(width))),
            false => (whole(height), whole(width)),
        };
        let images = if [rows, columns] == [height, width] {
            images
        } else {
            let place = [0..batch, 0..channels, 0..height, 0..width];
            Tensor::zeros([batch, channels, rows, columns], &images.device())
                .slice_assign(place, images)
        };
        let maps = self.encode(images, ForwardOptions::default())?;
        let logits = self.logits(&maps, &mut NormMode::Running).main;
        let padded = Resampling::Bilinear.apply(&logits, Grid { rows, columns });
        Ok(padded.top_left(Grid {
            rows: height,
            columns: width,
        }))
    }
}

/// The mirror image of a map.
fn mirror(x: &FeatureMap) -> FeatureMap {
    let [batch, positions, channels] = x.values.dims();
    let Grid { rows, columns } = x.grid;
    let values = x.values.clone().reshape([batch, rows, columns, channels]);
    FeatureMap {
        values: values.flip([2]).reshape([batch, positions, channels]),
        grid: x.grid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HeadKind;
    use crate::model::tests::{random_images, tiny};

    fn values(map: &FeatureMap) -> Vec<f32> {
        map.values.clone().into_data().try_to_vec().unwrap()
    }

    fn near(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }

    #[test]
    fn logits_of_windows_are_averaged() {
        let images = random_images([2, 3, 24, 40]);
        let model = tiny(HeadKind::Linear, |config| {
            config.inference.crop = 16;
            config.inference.stride = 12;
        });
        let found = model.pixel_logits(images.clone()).unwrap();
        assert_eq!((found.grid.rows, found.grid.columns), (24, 40));
        // Windows at rows 0 and 8, columns 0, 12 and 24.
        let mut sums = vec![0.0; 2 * 24 * 40 * 3];
        let mut seen = vec![0.0; sums.len()];
        for (top, left) in [(0, 0), (0, 12), (0, 24), (8, 0), (8, 12), (8, 24)] {
            let window = images.clone().narrow(2, top, 16).narrow(3, left, 16);
            let logits = values(&model.window_logits(window).unwrap());
            for (i, logit) in logits.into_iter().enumerate() {
                let (image, rest) = (i / (16 * 16 * 3), i % (16 * 16 * 3));
                let (row, rest) = (rest / 48, rest % 48);
                let to = ((image * 24 + top + row) * 40 + left) * 3 + rest;
                sums[to] += logit;
                seen[to] += 1.0;
            }
        }
        let expected: Vec<f32> = sums
            .iter()
            .zip(seen)
            .map(|(sum, seen)| sum / seen)
            .collect();
        near(&values(&found), &expected);
    }

    #[test]
    fn a_window_as_large_as_the_image_sees_it_whole() {
        let images = random_images([1, 3, 24, 32]);
        let whole = tiny(HeadKind::Upernet, |config| {
            config.inference.mode = InferenceMode::Whole;
        });
        let slide = tiny(HeadKind::Upernet, |_| ());
        let of = |model: &Segmenter| values(&model.pixel_logits(images.clone()).unwrap());
        assert_eq!(of(&whole), of(&slide));
    }

    #[test]
    fn images_of_any_size_are_seen() {
        let model = tiny(HeadKind::Upernet, |_| ());
        for [height, width] in [[21, 35], [5, 40], [1, 1]] {
            let images = random_images([1, 3, height, width]);
            let found = model.pixel_logits(images.clone()).unwrap();
            assert_eq!(found.values.dims(), [1, height * width, 3]);
            let classes = model.classes_of_pixels(&[images], [30, 20]).unwrap();
            assert_eq!(classes.len(), 600);
        }
        // What was added at the bottom and at the right is cut off again.
        let image = random_images([1, 3, 24, 32]);
        let dark = Tensor::zeros([1, 3, 24, 3], &image.device());
        let padded = Tensor::cat(vec![image.clone().narrow(3, 0, 29), dark], 3);
        let found = model.pixel_logits(image.narrow(3, 0, 29)).unwrap();
        let expected = model.pixel_logits(padded).unwrap().top_left(found.grid);
        near(&values(&found), &values(&expected));
    }

    /// Of images that are trained on whole, the places of patches are those on their square canvas.
    #[test]
    fn images_are_seen_in_a_square_as_in_training() {
        let image = random_images([1, 3, 16, 32]);
        let dark = Tensor::zeros([1, 3, 16, 32], &image.device());
        let padded = Tensor::cat(vec![image.clone(), dark], 2);
        let seen = |square: bool| {
            let model = tiny(HeadKind::Linear, |config| config.inference.square = square);
            let found = model.pixel_logits(image.clone()).unwrap();
            assert_eq!((found.grid.rows, found.grid.columns), (16, 32));
            let expected = model.pixel_logits(padded.clone()).unwrap();
            (values(&found), values(&expected.top_left(found.grid)))
        };
        let (found, expected) = seen(true);
        near(&found, &expected);
        let (found, expected) = seen(false);
        let far = found
            .iter()
            .zip(&expected)
            .filter(|(a, b)| (*a - *b).abs() > 1e-3);
        assert!(far.count() > found.len() / 10);
    }

    #[test]
    fn what_is_no_number_has_no_class() {
        let model = tiny(HeadKind::Linear, |_| ());
        let image = random_images([1, 3, 24, 32]) * f32::MAX * f32::MAX;
        let refused = model.classes_of_pixels(&[image], [24, 32]);
        assert!(
            matches!(refused, Err(SegmentError::NotFinite)),
            "{refused:?}"
        );
    }

    #[test]
    fn classes_are_those_of_the_best_logits_at_the_size_of_the_output() {
        let model = tiny(HeadKind::Linear, |_| ());
        let image = random_images([1, 3, 24, 32]);
        let logits = model.pixel_logits(image.clone()).unwrap();
        let size = Grid {
            rows: 70,
            columns: 20,
        };
        let enlarged = values(&Resampling::Bilinear.apply(&logits, size));
        let found = model.classes_of_pixels(&[image], [70, 20]).unwrap();
        for (found, logits) in found.into_iter().zip(enlarged.chunks(3)) {
            let best = logits.iter().copied().fold(f32::MIN, f32::max);
            assert!(logits[usize::from(found)] > best - 1e-4);
        }
    }

    #[test]
    fn mirror_images_have_mirrored_classes_where_both_are_seen() {
        let of = |flip: bool, views: &[Tensor<4>]| {
            let model = tiny(HeadKind::Linear, |config| config.inference.flip = flip);
            model.classes_of_pixels(views, [24, 32]).unwrap()
        };
        let views = [random_images([1, 3, 24, 32]), random_images([1, 3, 16, 24])];
        let mirrored = views.clone().map(|view| view.flip([3]));
        let differ = |a: &[u8], b: &[u8]| {
            let rows = a.chunks(32).zip(b.chunks(32));
            let pairs = rows.flat_map(|(a, b)| a.iter().zip(b.iter().rev()));
            pairs.filter(|(a, b)| a != b).count()
        };
        // Two classes may be as good as equal.
        assert!(differ(&of(true, &views), &of(true, &mirrored)) < 4);
        assert!(differ(&of(false, &views), &of(false, &mirrored)) > 40);
    }
}
