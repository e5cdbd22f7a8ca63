//! How views are cut out of images: the settings, and the plan of one view by them.

use semaim_normalization::{Normalization, covered};
use semaim_random::{Key, KeyedRng, Stream};

use crate::augment_error::AugmentError;
use crate::crop::random_crop;
use crate::erase::RandomErasing;
use crate::error::ViewError;
use crate::framing::{self, Frame, Framing, LARGE_SCALE_JITTER, SEGMENTATION_SCALE};
use crate::photometric::PhotometricDistortion;
use crate::pixels::Pixels;
use crate::rand_augment::RandAugment;
use crate::resample::Region;
use crate::scratch::Scratch;
use crate::view::ViewPlan;

/// How many views are tried where one is chosen by what it shows.
const TRIES: usize = 10;

/// How views are cut out of images and normalized.
#[derive(Clone, Debug, PartialEq)]
pub struct Augment {
    /// Height and width of a view in pixels.
    pub image_size: [usize; 2],
    /// Which part of an image a view shows.
    pub framing: Framing,
    /// Smallest and largest fraction of the image's area that a training view shows, within (0, 1]; of [`Framing::Crop`].
    pub crop_scale: [f64; 2],
    /// Smallest and largest width-to-height ratio of the part that a training view shows, above 0; of [`Framing::Crop`].
    pub crop_ratio: [f64; 2],
    /// Probability that a training view is mirrored left to right, in [0, 1].
    pub flip: f64,
    /// How channels are normalized, and how many there are.
    pub normalization: Normalization,
    /// Random operations on the cut of a training view, before it is normalized.
    pub rand_augment: Option<RandAugment>,
    /// Random brightness, contrast, saturation and hue of a training view, before it is normalized.
    pub photometric: Option<PhotometricDistortion>,
    /// A box of a training view overwritten, after it is normalized.
    pub erase: Option<RandomErasing>,
}

impl Augment {
    /// The usual settings for views of `image_size` (height, width) pixels: crops of 20% to 100% of the area, ratios of
    /// 3/4 to 4/3, every second view mirrored, channels normalized as in [`Normalization::usual`].
    pub fn new(image_size: [usize; 2], channels: usize) -> Self {
        Self {
            image_size,
            framing: Framing::Crop,
            crop_scale: [0.2, 1.0],
            crop_ratio: [3.0 / 4.0, 4.0 / 3.0],
            flip: 0.5,
            normalization: Normalization::usual(channels),
            rand_augment: None,
            photometric: None,
            erase: None,
        }
    }

    /// The settings of detection: whole images on a canvas of `image_size` (height, width) pixels, for training with
    /// large-scale jitter and every second view mirrored. Normalized as by [`Augment::new`].
    pub fn on_canvas(image_size: [usize; 2], channels: usize) -> Self {
        Self {
            framing: Framing::Canvas {
                scale: LARGE_SCALE_JITTER,
            },
            ..Self::new(image_size, channels)
        }
    }

    /// The settings of semantic segmentation: cuts of `image_size` (height, width) pixels of images whose short side is resized
    /// to `short_side` pixels times 0.5 to 2, every second view mirrored, photometric distortion. Normalized as by
    /// [`Augment::new`].
    pub fn scaled_crop(image_size: [usize; 2], short_side: usize, channels: usize) -> Self {
        Self {
            framing: Framing::ScaledCrop {
                short_side,
                scale: SEGMENTATION_SCALE,
            },
            photometric: Some(PhotometricDistortion::default()),
            ..Self::new(image_size, channels)
        }
    }

    /// Checks the settings of what is done besides random resized crops and mirroring.
    ///
    /// # Errors
    ///
    /// [`AugmentError::Setting`] with the first that is out of range.
    pub fn check(&self) -> Result<(), AugmentError> {
        self.framing.check()?;
        self.rand_augment.iter().try_for_each(RandAugment::check)?;
        let photometric = &self.photometric;
        photometric
            .iter()
            .try_for_each(PhotometricDistortion::check)?;
        self.erase.iter().try_for_each(RandomErasing::check)
    }

    /// Channels of a view.
    pub fn channels(&self) -> usize {
        self.normalization.channels()
    }

    /// Numbers in a view: channels x height x width.
    pub fn view_len(&self) -> usize {
        self.channels() * self.image_size[0] * self.image_size[1]
    }

    /// How a training view of an image of `size` (columns, rows, both at least 1) is made: as [`Augment::framing`] says,
    /// perhaps mirrored.
    ///
    /// The same `key` always gives the same view. A [`Framing::Crop`] is torchvision's `RandomResizedCrop`. Resampling is
    /// antialiased bicubic of 8-bit values, as Pillow does it.
    pub fn training_view(&self, size: [u32; 2], key: Key) -> ViewPlan<'_> {
        let frame = self.training_frame(size, &mut KeyedRng::new(key, Stream::Crop));
        self.training_plan(size, frame, key)
    }

    /// The views of which one is chosen by what it shows, in the order in which they are tried: of [`Framing::ScaledCrop`] ten cuts
    /// at one scale, of the others [`Augment::training_view`], which is always the first.
    pub fn training_views(&self, size: [u32; 2], key: Key) -> Vec<ViewPlan<'_>> {
        let mut rng = KeyedRng::new(key, Stream::Crop);
        let frames = match self.framing {
            Framing::ScaledCrop { short_side, scale } => {
                let scale = framing::scaled(size, short_side, scale, &mut rng);
                let cuts = (0..TRIES).map(|_| framing::cut(size, self.image_size, scale, &mut rng));
                cuts.collect()
            }
            Framing::Crop | Framing::Center | Framing::Canvas { .. } => {
                vec![self.training_frame(size, &mut rng)]
            }
        };
        let plans = frames.into_iter();
        plans
            .map(|frame| self.training_plan(size, frame, key))
            .collect()
    }

    fn training_frame(&self, size: [u32; 2], rng: &mut KeyedRng) -> Frame {
        match self.framing {
            Framing::Crop => {
                let [width, height] = size.map(|side| side.max(1));
                let (scale, ratio) = (self.crop_scale, self.crop_ratio);
                Frame {
                    region: Region::Cut(random_crop(width, height, scale, ratio, rng)),
                    valid_size: self.image_size,
                }
            }
            Framing::Center => self.central_frame(size),
            Framing::Canvas { scale } => framing::jittered(size, self.image_size, scale, rng),
            Framing::ScaledCrop { short_side, scale } => {
                let scale = framing::scaled(size, short_side, scale, rng);
                framing::cut(size, self.image_size, scale, rng)
            }
        }
    }

    fn training_plan(&self, size: [u32; 2], frame: Frame, key: Key) -> ViewPlan<'_> {
        ViewPlan {
            augment: self,
            image_size: size,
            frame,
            flip: KeyedRng::new(key, Stream::Flip).bernoulli(self.flip),
            key: Some(key),
        }
    }

    fn central_frame(&self, size: [u32; 2]) -> Frame {
        let [height, width] = self.image_size;
        Frame {
            region: Region::Window(central_window(size, [width, height])),
            valid_size: self.image_size,
        }
    }

    /// How the evaluation view of an image of `size` (columns, rows, both at least 1) is made: its center, or on a canvas all
    /// of it.
    ///
    /// The center is, for views of 224 x 224 pixels, torchvision's `Resize(256)` and `CenterCrop(224)` with antialiased
    /// bicubic resampling, rounding to whole pixels included; for other sizes 256 is `floor(size * 256 / 224)`, timm's default.
    /// (MAE's code does the same up to 224 and above that shows the whole of the short side.) It is resampled in one step, so
    /// that nothing is computed that the view does not show.
    pub fn evaluation_view(&self, size: [u32; 2]) -> ViewPlan<'_> {
        let frame = match self.framing {
            Framing::Crop | Framing::Center => self.central_frame(size),
            Framing::Canvas { .. } | Framing::ScaledCrop { .. } => {
                framing::whole(size, self.image_size)
            }
        };
        ViewPlan {
            augment: self,
            image_size: size,
            frame,
            flip: false,
            key: None,
        }
    }
}

impl Augment {
    /// A whole image resized to `size` (rows, columns), `[channels, rows, columns]`, normalized, perhaps mirrored: for evaluation
    /// at sizes that differ from image to image, whole or window by window.
    ///
    /// # Errors
    ///
    /// When the image has another number of channels than the normalization, or is inconsistent.
    pub fn resized(
        &self,
        image: &Pixels,
        size: [usize; 2],
        flip: bool,
        scratch: &mut Scratch,
    ) -> Result<Vec<f32>, ViewError> {
        let augment = Self {
            image_size: size,
            ..self.clone()
        };
        let [width, height] = image.size().map(f64::from);
        let plan = ViewPlan {
            augment: &augment,
            image_size: image.size(),
            frame: Frame {
                region: Region::Window([0.0, 0.0, width, height]),
                valid_size: size,
            },
            flip,
            key: None,
        };
        let mut out = vec![0.0; augment.view_len()];
        plan.render_image(image, scratch, &mut out)?;
        Ok(out)
    }
}

/// `[left, top, width, height]` of the part an evaluation view shows, of an image with sides of at least 1.
fn central_window(image: [u32; 2], view: [usize; 2]) -> [f64; 4] {
    let image = image.map(|side| f64::from(side.max(1)));
    let sides = covered(view).map(|side| side as f64);
    let view = view.map(|side| side as f64);
    // The axis along which the image is resized to the side; the other has to be as long at least.
    let tight = usize::from(image[1] * sides[0] < image[0] * sides[1]);
    let mut resized = sides;
    resized[1 - tight] = (sides[tight] * image[1 - tight] / image[tight]).floor();
    let edges = |axis: usize| {
        let scale = image[axis] / resized[axis];
        // Halves go to the even number, as Python's `round` does.
        let start = ((resized[axis] - view[axis]) / 2.0)
            .round_ties_even()
            .max(0.0);
        let start = start * scale;
        (start, (view[axis] * scale).min(image[axis] - start))
    };
    let ((left, width), (top, height)) = (edges(0), edges(1));
    [left, top, width, height]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width: u32, height: u32) -> Pixels {
        let mut data = Vec::new();
        for y in 0..height {
            for x in 0..width {
                data.extend([(x * 255 / width) as u8, (y * 255 / height) as u8, 77]);
            }
        }
        Pixels::new(width, height, 3, data).unwrap()
    }

    fn rendered(plan: &ViewPlan<'_>, pixels: &Pixels) -> Vec<f32> {
        let [height, width] = plan.geometry().size;
        let mut out = vec![f32::NAN; pixels.channels * height * width];
        let mut scratch = Scratch::new();
        plan.render_image(pixels, &mut scratch, &mut out).unwrap();
        out
    }

    fn training(augment: &Augment, pixels: &Pixels, [seed, epoch, item]: [u64; 3]) -> Vec<f32> {
        let size = [pixels.width, pixels.height];
        let plan = augment.training_view(size, Key::new(seed, epoch, item));
        rendered(&plan, pixels)
    }

    fn evaluation(augment: &Augment, pixels: &Pixels) -> Vec<f32> {
        let plan = augment.evaluation_view([pixels.width, pixels.height]);
        rendered(&plan, pixels)
    }

    #[test]
    fn planes_are_normalized_in_order() {
        let pixels = Pixels::new(1, 1, 3, vec![255u8, 0, 51]).unwrap();
        let augment = Augment::new([2, 3], 3);
        for view in [
            evaluation(&augment, &pixels),
            training(&augment, &pixels, [1, 2, 3]),
        ] {
            let expected = [
                (1.0 - 0.485) / 0.229,
                (0.0 - 0.456) / 0.224,
                (0.2 - 0.406) / 0.225,
            ];
            for (plane, expected) in view.chunks(6).zip(expected) {
                assert!(
                    plane.iter().all(|v| (v - expected).abs() < 1e-5),
                    "{plane:?}"
                );
            }
        }
    }

    #[test]
    fn only_the_key_matters() {
        let augment = Augment::new([16, 16], 3);
        let pixels = gradient(60, 40);
        let view = training(&augment, &pixels, [1, 2, 3]);
        assert_eq!(view, training(&augment, &pixels, [1, 2, 3]));
        assert_ne!(view, training(&augment, &pixels, [1, 2, 4]));
        assert_ne!(view, training(&augment, &pixels, [1, 3, 3]));
        assert_ne!(view, training(&augment, &pixels, [2, 2, 3]));
        assert!(view.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn flips_mirror_and_are_as_frequent_as_asked() {
        let mut augment = Augment::new([8, 8], 3);
        let pixels = gradient(64, 64);
        augment.flip = 0.0;
        let straight = training(&augment, &pixels, [1, 0, 9]);
        augment.flip = 1.0;
        let mirrored = training(&augment, &pixels, [1, 0, 9]);
        for (a, b) in straight.chunks(8).zip(mirrored.chunks(8)) {
            let reversed: Vec<f32> = b.iter().rev().copied().collect();
            assert_eq!(a, reversed);
        }
        augment.flip = 0.3;
        // Red grows to the right, so a mirrored view starts with more of it than it ends with.
        let flips = (0..2000)
            .map(|item| training(&augment, &pixels, [1, 0, item]))
            .filter(|view| view[0] > view[7])
            .count();
        assert!((520..680).contains(&flips), "{flips}");
    }

    #[test]
    fn the_center_is_trained_on_as_it_is_evaluated() {
        let pixels = gradient(60, 40);
        let augment = Augment {
            framing: Framing::Center,
            flip: 0.0,
            ..Augment::new([16, 16], 3)
        };
        let evaluated = evaluation(&augment, &pixels);
        assert_eq!(evaluated, evaluation(&Augment::new([16, 16], 3), &pixels));
        for epoch in 0..3 {
            assert_eq!(training(&augment, &pixels, [1, epoch, 9]), evaluated);
        }
    }

    #[test]
    fn evaluation_shows_the_center() {
        for (image, view, expected) in [
            ([256, 256], [224, 224], [16.0, 16.0, 224.0, 224.0]),
            ([512, 256], [224, 224], [144.0, 16.0, 224.0, 224.0]),
            // Views that are wider than high take their shape from the image.
            ([256, 256], [224, 112], [16.0, 72.0, 224.0, 112.0]),
        ] {
            assert_eq!(central_window(image, view), expected);
        }
        // At 256 pixels nothing is resized: the view is the central cut itself.
        let pixels = gradient(256, 256);
        let view = evaluation(&Augment::new([224, 224], 3), &pixels);
        let red = (16.0f32 * 255.0 / 256.0).floor() / 255.0;
        assert!((view[0] - (red - 0.485) / 0.229).abs() < 1e-5);
    }

    #[test]
    fn evaluation_is_cut_at_whole_pixels() {
        // What torchvision's functions say of an image of `image` (columns, rows) and a square view: the size it is resized
        // to, and the left and top edge of the cut.
        for (image, view, resized, edges) in [
            ([500, 375], 224, [341, 256], [58, 16]),
            ([375, 500], 224, [256, 341], [16, 58]),
            ([333, 500], 224, [256, 384], [16, 80]),
            ([501, 333], 224, [385, 256], [80, 16]),
            ([640, 427], 224, [383, 256], [80, 16]),
            ([100, 101], 112, [128, 129], [8, 8]),
            ([103, 100], 112, [131, 128], [10, 8]),
            ([777, 333], 56, [149, 64], [46, 4]),
            ([300, 200], 96, [163, 109], [34, 6]),
            ([1, 1], 224, [256, 256], [16, 16]),
        ] {
            let [left, top, width, height] = central_window(image, [view, view]);
            let scales = [0, 1].map(|axis| f64::from(image[axis]) / f64::from(resized[axis]));
            let expected = [
                f64::from(edges[0]) * scales[0],
                f64::from(edges[1]) * scales[1],
                view as f64 * scales[0],
                view as f64 * scales[1],
            ];
            for (got, expected) in [left, top, width, height].into_iter().zip(expected) {
                assert!((got - expected).abs() < 1e-9, "{image:?} {view}");
            }
            assert!(left + width <= f64::from(image[0]) && top + height <= f64::from(image[1]));
        }
    }

    #[test]
    fn extreme_shapes_work() {
        for (width, height) in [(1, 1), (2, 1), (1, 5000), (5000, 1), (3, 3)] {
            for size in [[1, 1], [7, 5], [32, 32]] {
                let augment = Augment::new(size, 3);
                let pixels = gradient(width, height);
                for item in 0..20 {
                    let view = training(&augment, &pixels, [0, 0, item]);
                    assert!(view.iter().all(|v| v.is_finite()));
                }
                assert!(evaluation(&augment, &pixels).iter().all(|v| v.is_finite()));
            }
        }
    }

    #[test]
    fn alpha_is_a_channel_like_others() {
        // Premultiplying would turn the red of transparent pixels black.
        let pixels = Pixels::new(4, 4, 4, [200u8, 100, 50, 0].repeat(16)).unwrap();
        let view = evaluation(&Augment::new([2, 2], 4), &pixels);
        assert!((view[0] - (200.0 / 255.0 - 0.485) / 0.229).abs() < 1e-5);
        assert!((view[15] - (0.0 - 0.5) / 0.25).abs() < 1e-5);
    }

    #[test]
    fn mismatches_are_errors() {
        let augment = Augment::new([2, 2], 3);
        let mut scratch = Scratch::new();
        let gray = Pixels::new(1, 1, 1, vec![0u8]).unwrap();
        let plan = augment.evaluation_view([1, 1]);
        let error = plan.render_image(&gray, &mut scratch, &mut [0.0; 12]);
        assert!(matches!(error, Err(ViewError::Channels { image: 1, .. })));
        let plan = augment.evaluation_view([2, 2]);
        let error = plan.render_image(&gradient(2, 2), &mut scratch, &mut [0.0; 11]);
        assert!(matches!(
            error,
            Err(ViewError::OutputLength {
                given: 11,
                wanted: 12
            })
        ));
    }
}
