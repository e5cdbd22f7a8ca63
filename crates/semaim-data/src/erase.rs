//! Random erasing: a box of a view overwritten with noise.

use semaim_random::{Key, KeyedRng, Stream};

use crate::augment_error::AugmentError;

/// How often a box is drawn before nothing is erased.
const TRIES: usize = 10;

/// What an erased box is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EraseMode {
    /// A number from the standard normal distribution for every number of the view.
    Pixel,
    /// Zero, which is the mean of the data set in a normalized view.
    Const,
}

/// Random erasing (Zhong et al., arXiv:1708.04896) as timm's `RandomErasing` does it, on normalized views.
///
/// [`RandomErasing::default`] has the values of the published fine-tuning recipe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomErasing {
    /// Probability that a view is erased at all, in [0, 1]; 0.25 is published.
    pub probability: f64,
    /// What the box is filled with; [`EraseMode::Pixel`] is published.
    pub mode: EraseMode,
    /// Smallest and largest fraction of the view's area that is erased, within [0, 1]; 0.02 and 1/3 are published.
    pub area: [f64; 2],
    /// Smallest and largest height-to-width ratio of a box, above 0; 0.3 and 1/0.3 are published.
    pub aspect: [f64; 2],
    /// The largest number of boxes, at least 1; the number is drawn uniformly from 1 to this, and the boxes share the
    /// area. 1 is published.
    pub count: u32,
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self {
            probability: 0.25,
            mode: EraseMode::Pixel,
            area: [0.02, 1.0 / 3.0],
            aspect: [0.3, 1.0 / 0.3],
            count: 1,
        }
    }
}

/// Where a view is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ErasedBox {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

impl RandomErasing {
    /// Checks that every setting is within its range.
    ///
    /// # Errors
    ///
    /// [`AugmentError::Setting`] with the first that is not.
    pub fn check(&self) -> Result<(), AugmentError> {
        let check = AugmentError::check_range;
        check(
            "the probability of erasing",
            self.probability,
            [0.0, 1.0],
            "in [0, 1]",
        )?;
        let [low, high] = self.area;
        check("the largest erased area", high, [0.0, 1.0], "in [0, 1]")?;
        check(
            "the smallest erased area",
            low,
            [0.0, high],
            "in [0, the largest]",
        )?;
        let [low, high] = self.aspect;
        check(
            "the largest aspect of an erased box",
            high,
            [f64::MIN_POSITIVE, f64::MAX],
            "above 0",
        )?;
        check(
            "the smallest aspect of an erased box",
            low,
            [f64::MIN_POSITIVE, high],
            "above 0 and not above the largest",
        )?;
        check(
            "the number of erased boxes",
            f64::from(self.count),
            [1.0, f64::MAX],
            "at least 1",
        )
    }

    /// Erases a part of a normalized view, `[channels, height, width]`, or leaves it as it is.
    ///
    /// The same `key` always erases the same numbers. As in timm, a box is smaller than the view in
    /// both directions, so views of one row or column are never erased.
    ///
    /// # Errors
    ///
    /// Those of [`RandomErasing::check`], or [`AugmentError::Length`] when `view` has another length than the product of
    /// `shape`.
    pub fn apply(&self, view: &mut [f32], shape: [usize; 3], key: Key) -> Result<(), AugmentError> {
        self.check()?;
        AugmentError::check_length("view", view.len(), &shape)?;
        let [_, height, width] = shape;
        if view.is_empty() {
            return Ok(());
        }
        let mut rng = KeyedRng::new(key, Stream::Erase);
        if !rng.bernoulli(self.probability) {
            return Ok(());
        }
        let count = 1 + rng.below(u64::from(self.count));
        for _ in 0..count {
            let Some(part) = self.draw_box(height, width, count, &mut rng) else {
                continue;
            };
            for plane in view.chunks_exact_mut(height * width) {
                let rows = plane.chunks_exact_mut(width);
                for row in rows.skip(part.top).take(part.height) {
                    for number in row.iter_mut().skip(part.left).take(part.width) {
                        *number = match self.mode {
                            EraseMode::Pixel => rng.normal() as f32,
                            EraseMode::Const => 0.0,
                        };
                    }
                }
            }
        }
        Ok(())
    }

    /// One of `count` boxes in a view of `height` x `width` numbers, or none when ten did not fit.
    fn draw_box(
        &self,
        height: usize,
        width: usize,
        count: u64,
        rng: &mut KeyedRng,
    ) -> Option<ErasedBox> {
        let log_aspect = self.aspect.map(f64::ln);
        (0..TRIES).find_map(|_| {
            let fraction = rng.between(self.area[0], self.area[1]);
            let area = fraction * (height * width) as f64 / count as f64;
            let aspect = rng.between(log_aspect[0], log_aspect[1]).exp();
            // Halves go to the even number, as Python's `round` does.
            let box_h = (area * aspect).sqrt().round_ties_even();
            let box_w = (area / aspect).sqrt().round_ties_even();
            (box_h < height as f64 && box_w < width as f64).then(|| {
                let (box_h, box_w) = (box_h as usize, box_w as usize);
                ErasedBox {
                    top: rng.below((height - box_h) as u64 + 1) as usize,
                    left: rng.below((width - box_w) as u64 + 1) as usize,
                    height: box_h,
                    width: box_w,
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [3, 20, 30];
    /// No view of these tests has this number before it is erased.
    const UNTOUCHED: f32 = 77.0;

    fn erased(settings: &RandomErasing, shape: [usize; 3], item: u64) -> Vec<f32> {
        let mut view = vec![UNTOUCHED; shape.iter().product()];
        settings
            .apply(&mut view, shape, Key::new(1, 2, item))
            .unwrap();
        view
    }

    fn always(mode: EraseMode) -> RandomErasing {
        RandomErasing {
            probability: 1.0,
            mode,
            ..RandomErasing::default()
        }
    }

    #[test]
    fn one_box_of_all_channels_is_zeroed() {
        for item in 0..200 {
            let view = erased(&always(EraseMode::Const), SHAPE, item);
            let planes: Vec<&[f32]> = view.chunks(600).collect();
            assert!(planes.iter().all(|plane| plane == &planes[0]));
            let inside: Vec<(usize, usize)> = (0..600)
                .filter(|&at| planes[0][at] == 0.0)
                .map(|at| (at / 30, at % 30))
                .collect();
            let rows = inside.iter().map(|p| p.0);
            let columns = inside.iter().map(|p| p.1);
            let height = rows.clone().max().unwrap() - rows.min().unwrap() + 1;
            let width = columns.clone().max().unwrap() - columns.min().unwrap() + 1;
            // As many zeros as the box around them has numbers: they are a box.
            assert_eq!(inside.len(), height * width);
            assert!(height < 20 && width < 30);
        }
    }

    #[test]
    fn areas_and_shapes_are_those_of_the_recipe() {
        // timm's rule, drawn a million times with Python's generator: a mean area of 0.17588 of the view.
        let settings = always(EraseMode::Const);
        let mut rng = KeyedRng::new(Key::new(3, 0, 0), Stream::Erase);
        let boxes: Vec<ErasedBox> = (0..40_000)
            .filter_map(|_| settings.draw_box(224, 224, 1, &mut rng))
            .collect();
        let n = boxes.len() as f64;
        let area = |b: &ErasedBox| (b.height * b.width) as f64 / 50_176.0;
        let log_ratio = |b: &ErasedBox| (b.height as f64 / b.width as f64).ln();
        let mean_area = boxes.iter().map(area).sum::<f64>() / n;
        let mean_ratio = boxes.iter().map(log_ratio).sum::<f64>() / n;
        // Whole pixels: the smallest boxes are off by up to 6%, the largest by less than 1%.
        assert!(boxes.iter().all(|b| (0.018..0.345).contains(&area(b))));
        assert!(boxes.iter().all(|b| log_ratio(b).abs() < 1.26));
        assert!((mean_area - 0.17588).abs() < 0.002, "{mean_area}");
        assert!(mean_ratio.abs() < 0.02, "{mean_ratio}");
        let top = boxes.iter().filter(|b| 2 * b.top + b.height < 224).count() as f64 / n;
        let left = boxes.iter().filter(|b| 2 * b.left + b.width < 224).count() as f64 / n;
        assert!((top - 0.5).abs() < 0.015, "{top}");
        assert!((left - 0.5).abs() < 0.015, "{left}");
    }

    #[test]
    fn a_quarter_of_the_views_is_erased_with_noise() {
        let views: Vec<Vec<f32>> = (0..2000)
            .map(|item| erased(&RandomErasing::default(), SHAPE, item))
            .filter(|view| view.iter().any(|&v| v != UNTOUCHED))
            .collect();
        assert!((440..560).contains(&views.len()), "{}", views.len());
        let noise: Vec<f64> = views
            .iter()
            .flatten()
            .filter(|&&v| v != UNTOUCHED)
            .map(|&v| f64::from(v))
            .collect();
        let n = noise.len() as f64;
        let mean = noise.iter().sum::<f64>() / n;
        let variance = noise.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }

    #[test]
    fn several_boxes_share_the_area() {
        let several = RandomErasing {
            count: 4,
            aspect: [1.0, 1.0],
            area: [0.25, 0.25],
            ..always(EraseMode::Const)
        };
        let mut fewest = usize::MAX;
        for item in 0..100 {
            let view = erased(&several, [1, 40, 40], item);
            let zeros = view.iter().filter(|&&v| v == 0.0).count();
            // Three boxes of 133 numbers become three of 12 x 12.
            assert!(zeros <= 432, "{zeros}");
            fewest = fewest.min(zeros);
        }
        // Four boxes of 100 numbers, some on top of others.
        assert!(fewest < 300, "{fewest}");
    }

    #[test]
    fn only_the_key_matters() {
        let settings = always(EraseMode::Pixel);
        assert_eq!(erased(&settings, SHAPE, 5), erased(&settings, SHAPE, 5));
        assert_ne!(erased(&settings, SHAPE, 5), erased(&settings, SHAPE, 6));
    }

    #[test]
    fn small_views_and_wrong_settings_do_no_harm() {
        let settings = always(EraseMode::Const);
        for shape in [
            [3, 1, 1],
            [1, 1, 50],
            [2, 50, 1],
            [0, 4, 4],
            [3, 0, 7],
            [3, 2, 2],
        ] {
            for item in 0..50 {
                erased(&settings, shape, item);
            }
        }
        let error = settings.apply(&mut [0.0; 5], [1, 2, 3], Key::default());
        assert!(matches!(error, Err(AugmentError::Length { wanted: 6, .. })));
        let standard = RandomErasing::default();
        for wrong in [
            RandomErasing {
                probability: 1.5,
                ..standard
            },
            RandomErasing {
                area: [0.5, 0.2],
                ..standard
            },
            RandomErasing {
                area: [0.1, f64::NAN],
                ..standard
            },
            RandomErasing {
                aspect: [0.0, 1.0],
                ..standard
            },
            RandomErasing {
                aspect: [2.0, 1.0],
                ..standard
            },
            RandomErasing {
                count: 0,
                ..standard
            },
        ] {
            assert!(matches!(wrong.check(), Err(AugmentError::Setting { .. })));
        }
    }
}
