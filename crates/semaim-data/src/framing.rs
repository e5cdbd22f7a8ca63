//! Which part of an image a view shows, and how large.

use semaim_random::KeyedRng;

use crate::augment_error::AugmentError;
use crate::resample::Region;

/// The scales of large-scale jitter as ViTDet has them (Ghiasi et al., 2021).
pub const LARGE_SCALE_JITTER: [f64; 2] = [0.1, 2.0];

/// The longest short side that can be asked for.
const MAX_SIDE: f64 = 65_535.0;

/// The largest scale that can be asked for.
const MAX_SCALE: f64 = 100.0;

/// The scales of training for semantic segmentation, as MMSegmentation has them.
pub const SEGMENTATION_SCALE: [f64; 2] = [0.5, 2.0];

/// The long side of an image is resized to at most so many times what the short side is.
const MAX_ASPECT: f64 = 4.0;

/// Which part of an image a view shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Framing {
    /// A part that fills the view: for training a random resized crop, for evaluation the center.
    Crop,
    /// The center, for training as for evaluation.
    Center,
    /// The view is a canvas, on whose top left the image lies; the rest is padding.
    ///
    /// For evaluation the image is as large as the canvas allows. For training its size is drawn, and where it is larger than
    /// the canvas, it is cut at a place that is drawn as well: large-scale jitter.
    Canvas {
        /// The smallest and the largest size for training, where 1 is the size for evaluation; above 0.
        scale: [f64; 2],
    },
    /// For training a cut at the view's own scale: the image is resized by a number that is drawn, and cut at a place that is
    /// drawn as well, padded at the bottom and right where it is smaller. For evaluation as [`Framing::Canvas`].
    ScaledCrop {
        /// What the short side of the image is resized to at the scale 1, in pixels; the long side to at most four times that.
        short_side: usize,
        /// The smallest and the largest scale; above 0.
        scale: [f64; 2],
    },
}

impl Framing {
    /// Checks the scales.
    pub(crate) fn check(&self) -> Result<(), AugmentError> {
        let check_scale = |[low, high]: [f64; 2]| {
            let wanted = "above 0, the first no larger than the second, and at most 100";
            AugmentError::check_range("scale", low, [f64::MIN_POSITIVE, MAX_SCALE], wanted)?;
            AugmentError::check_range("scale", high, [low, MAX_SCALE], wanted)
        };
        match *self {
            Self::Crop | Self::Center => Ok(()),
            Self::Canvas { scale } => check_scale(scale),
            Self::ScaledCrop { short_side, scale } => {
                let (side, range) = (short_side as f64, [1.0, MAX_SIDE]);
                AugmentError::check_range("short_side", side, range, "1 to 65535")?;
                check_scale(scale)
            }
        }
    }
}

/// A part of an image, and where it is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) region: Region,
    /// Rows and columns of the view, from its top left, that show it.
    pub(crate) valid_size: [usize; 2],
}

/// The whole of an image of `image` columns and rows, as large as a canvas of `canvas` rows and columns allows: detectron2's
/// `ResizeShortestEdge` with the canvas as shortest edge and as maximum.
pub(crate) fn whole(image: [u32; 2], canvas: [usize; 2]) -> Frame {
    let [width, height] = sides(image);
    let scale = fitting_scale(image, canvas);
    let fitted = |side: f64, canvas: usize| ((side * scale + 0.5) as usize).clamp(1, canvas.max(1));
    Frame {
        region: Region::Window([0.0, 0.0, width, height]),
        valid_size: [fitted(height, canvas[0]), fitted(width, canvas[1])],
    }
}

/// Large-scale jitter: the image resized to [`whole`]'s size times a number drawn from `scale`, and where that is larger than the
/// canvas, a cut of it at a drawn place: detectron2's `ResizeScale` and `FixedSizeCrop`, with a draw for each axis.
pub(crate) fn jittered(
    image: [u32; 2],
    canvas: [usize; 2],
    scale: [f64; 2],
    rng: &mut KeyedRng,
) -> Frame {
    let scale = fitting_scale(image, canvas) * rng.between(scale[0], scale[1]);
    cut(image, canvas, scale, rng)
}

/// Rows and columns of an image of `image` columns and rows whose short side is resized to `short_side` pixels, unless the long
/// one would be more than four times that: MMSegmentation's `Resize` to `(4 * short_side, short_side)`.
pub fn short_side_size(image: [u32; 2], short_side: usize) -> [usize; 2] {
    let factor = short_side_factor(image, short_side);
    let [width, height] = sides(image).map(|side| ((side * factor + 0.5) as usize).max(1));
    [height, width]
}

/// What an image is resized by for a [`Framing::ScaledCrop`].
pub(crate) fn scaled(
    image: [u32; 2],
    short_side: usize,
    scale: [f64; 2],
    rng: &mut KeyedRng,
) -> f64 {
    short_side_factor(image, short_side) * rng.between(scale[0], scale[1])
}

fn short_side_factor(image: [u32; 2], short_side: usize) -> f64 {
    let [width, height] = sides(image);
    let side = short_side.max(1) as f64;
    (side / width.min(height)).min(MAX_ASPECT * side / width.max(height))
}

/// A cut, at a drawn place, of an image that is resized by `scale`; all of it along an axis on which it is no larger than the view.
pub(crate) fn cut(image: [u32; 2], view: [usize; 2], scale: f64, rng: &mut KeyedRng) -> Frame {
    let [width, height] = sides(image);
    let mut axis = |side: f64, view: usize| {
        let resized = (side * scale).round_ties_even().max(1.0);
        let shown = resized.min(view as f64);
        let offset = rng.below((resized - shown) as u64 + 1) as f64;
        let pixel = side / resized;
        let start = offset * pixel;
        (start, (shown * pixel).min(side - start), shown as usize)
    };
    let (top, part_height, rows) = axis(height, view[0]);
    let (left, part_width, columns) = axis(width, view[1]);
    Frame {
        region: Region::Window([left, top, part_width, part_height]),
        valid_size: [rows, columns],
    }
}

/// What the image's sides are multiplied by to fit into the canvas.
fn fitting_scale(image: [u32; 2], [rows, columns]: [usize; 2]) -> f64 {
    let [width, height] = sides(image);
    (rows as f64 / height).min(columns as f64 / width)
}

fn sides(image: [u32; 2]) -> [f64; 2] {
    image.map(|side| f64::from(side.max(1)))
}

#[cfg(test)]
mod tests {
    use semaim_random::{Key, Stream};

    use super::*;

    #[test]
    fn evaluation_shows_all_of_the_image() {
        for (image, canvas, valid) in [
            ([640, 480], [1024, 1024], [768, 1024]),
            ([480, 640], [1024, 1024], [1024, 768]),
            // detectron2: int(427 * 1024 / 640 + 0.5).
            ([640, 427], [1024, 1024], [683, 1024]),
            ([100, 100], [64, 128], [64, 64]),
            ([5000, 1], [64, 64], [1, 64]),
        ] {
            let frame = whole(image, canvas);
            assert_eq!(frame.valid_size, valid, "{image:?}");
            let [width, height] = image.map(f64::from);
            assert_eq!(frame.region.bounds(), [0.0, 0.0, width, height]);
        }
    }

    #[test]
    fn jitter_pads_small_images_and_cuts_large_ones() {
        let rng = |item| KeyedRng::new(Key::new(1, 0, item), Stream::Crop);
        let small = jittered([640, 480], [64, 64], [0.5, 0.5], &mut rng(0));
        assert_eq!(small.valid_size, [24, 32]);
        assert_eq!(small.region.bounds(), [0.0, 0.0, 640.0, 480.0]);
        let mut places = [std::collections::BTreeSet::new(), Default::default()];
        for item in 0..500 {
            // 128 x 96 pixels, of which 64 x 64 are shown.
            let large = jittered([640, 480], [64, 64], [2.0, 2.0], &mut rng(item));
            assert_eq!(large.valid_size, [64, 64]);
            let [left, top, width, height] = large.region.bounds();
            assert_eq!([width, height], [320.0, 320.0]);
            places[0].insert((left / 5.0) as u32);
            places[1].insert((top / 5.0) as u32);
        }
        assert_eq!(
            places.map(|places| places.last().copied()),
            [Some(64), Some(32)]
        );
    }

    #[test]
    fn short_sides_are_those_of_mmsegmentation() {
        for (image, side, expected) in [
            ([640, 480], 512, [512, 683]),
            ([683, 512], 512, [512, 683]),
            // The long side would be 5120.
            ([2000, 200], 512, [205, 2048]),
            ([1, 1], 512, [512, 512]),
        ] {
            assert_eq!(short_side_size(image, side), expected);
        }
    }

    #[test]
    fn scales_are_drawn_evenly() {
        let mut counts = [0; 4];
        for item in 0..4000 {
            let mut rng = KeyedRng::new(Key::new(3, 1, item), Stream::Crop);
            let frame = jittered([1000, 1000], [1000, 1000], [0.1, 0.9], &mut rng);
            let [rows, columns] = frame.valid_size;
            assert_eq!(rows, columns);
            counts[(rows - 100).min(799) / 200] += 1;
        }
        assert!(counts.iter().all(|n| (900..1100).contains(n)), "{counts:?}");
    }

    #[test]
    fn extreme_shapes_have_a_pixel() {
        for image in [[1, 1], [5000, 1], [1, 5000], [3, 65_535]] {
            for item in 0..50 {
                let mut rng = KeyedRng::new(Key::new(0, 0, item), Stream::Crop);
                let frame = jittered(image, [32, 48], LARGE_SCALE_JITTER, &mut rng);
                let [left, top, width, height] = frame.region.bounds();
                assert!((1..=32).contains(&frame.valid_size[0]));
                assert!((1..=48).contains(&frame.valid_size[1]));
                assert!(width > 0.0 && left + width <= f64::from(image[0]));
                assert!(height > 0.0 && top + height <= f64::from(image[1]));
            }
        }
    }

    #[test]
    fn scales_must_make_sense() {
        for scale in [
            [0.0, 1.0],
            [-1.0, 1.0],
            [1.0, 0.5],
            [f64::NAN, 1.0],
            [0.1, 1e9],
        ] {
            assert!(Framing::Canvas { scale }.check().is_err(), "{scale:?}");
        }
        let scale = LARGE_SCALE_JITTER;
        assert!(Framing::Canvas { scale }.check().is_ok());
        let scaled_crop = |short_side| Framing::ScaledCrop { short_side, scale };
        assert!(scaled_crop(512).check().is_ok() && scaled_crop(0).check().is_err());
    }
}
