//! From a decoded image to the normalised numbers a model sees.

use semaim_random::{Key, KeyedRng, Stream};

use crate::augment_error::AugmentError;
use crate::crop::random_crop;
use crate::erase::RandomErasing;
use crate::error::ViewError;
use crate::part::{Need, Part};
use crate::pixels::Pixels;
use crate::rand_augment::{RandAugment, fill_colour};
use crate::resample::{Region, Scratch};

/// Mean of the ImageNet training images per RGB channel, of values in [0, 1].
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];

/// Standard deviation of the ImageNet training images per RGB channel, of values in [0, 1].
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// The fraction of the short side that an evaluation view shows: 224 of 256 pixels.
const CENTRAL_FRACTION: f64 = 224.0 / 256.0;

/// How views are cut out of images and normalised.
#[derive(Clone, Debug, PartialEq)]
pub struct Augment {
    /// Height and width of a view in pixels.
    pub image_size: [usize; 2],
    /// Smallest and largest fraction of the image's area that a training view shows, within (0, 1].
    pub crop_scale: [f64; 2],
    /// Smallest and largest width-to-height ratio of the part that a training view shows, above 0.
    pub crop_ratio: [f64; 2],
    /// Probability that a training view is mirrored left to right, in [0, 1].
    pub flip: f64,
    /// What is subtracted from every channel, of values in [0, 1]. Its length is the number of channels.
    pub mean: Vec<f32>,
    /// What every channel is divided by after that.
    pub std: Vec<f32>,
    /// Random operations on the cut of a training view, before it is normalised.
    pub rand_augment: Option<RandAugment>,
    /// A box of a training view overwritten, after it is normalised.
    pub erase: Option<RandomErasing>,
}

impl Augment {
    /// The usual settings for views of `image_size` (height, width) pixels: crops of 20% to 100% of the area, ratios of
    /// 3/4 to 4/3, every second view mirrored.
    ///
    /// RGB is normalised with [`IMAGENET_MEAN`] and [`IMAGENET_STD`], luma with their weighted averages, alpha and any
    /// other channels with mean 0.5 and standard deviation 0.25.
    pub fn new(image_size: [usize; 2], channels: usize) -> Self {
        let (mean, std) = match channels {
            1 => (vec![0.459], vec![0.225]),
            _ => {
                let fill = |known: [f32; 3], other: f32| -> Vec<f32> {
                    let known = if channels == 3 || channels == 4 {
                        &known[..]
                    } else {
                        &[]
                    };
                    let padding = std::iter::repeat(other);
                    known
                        .iter()
                        .copied()
                        .chain(padding)
                        .take(channels)
                        .collect()
                };
                (fill(IMAGENET_MEAN, 0.5), fill(IMAGENET_STD, 0.25))
            }
        };
        Self {
            image_size,
            crop_scale: [0.2, 1.0],
            crop_ratio: [3.0 / 4.0, 4.0 / 3.0],
            flip: 0.5,
            mean,
            std,
            rand_augment: None,
            erase: None,
        }
    }

    /// Checks the settings of what is done besides cutting and mirroring.
    ///
    /// # Errors
    ///
    /// [`AugmentError::Setting`] with the first that is out of range.
    pub fn check(&self) -> Result<(), AugmentError> {
        self.rand_augment.iter().try_for_each(RandAugment::check)?;
        self.erase.iter().try_for_each(RandomErasing::check)
    }

    /// Channels of a view.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// Numbers in a view: channels x height x width.
    pub fn view_len(&self) -> usize {
        self.channels() * self.image_size[0] * self.image_size[1]
    }

    /// Writes a training view to `out`, `[channels, height, width]`: a random resized crop, perhaps mirrored,
    /// normalised.
    ///
    /// The same (`seed`, `epoch`, `item`) always gives the same view. The crop is torchvision's
    /// `RandomResizedCrop` with antialiased bicubic resampling of 8-bit values, as Pillow does.
    ///
    /// # Errors
    ///
    /// When the image has another number of channels than the normalisation, `out` has another length than
    /// [`Augment::view_len`], or the image is inconsistent.
    pub fn training_view(
        &self,
        scratch: &mut Scratch,
        pixels: &Pixels,
        seed: u64,
        epoch: u64,
        item: u64,
        out: &mut [f32],
    ) -> Result<(), ViewError> {
        let region = self.training_region([pixels.width, pixels.height], seed, epoch, item);
        self.augmented(scratch, pixels, region, [seed, epoch, item], out)
    }

    /// What [`Augment::training_view`] needs of an image of `size`, columns and rows, both at least 1.
    pub fn training_need(&self, size: [u32; 2], seed: u64, epoch: u64, item: u64) -> Need {
        let [height, width] = self.image_size;
        let region = self.training_region(size, seed, epoch, item);
        region.need(size, width, height)
    }

    /// [`Augment::training_view`] of the image of which `part` is what [`Augment::training_need`] asked for.
    ///
    /// At full size the view is the same; of a shrunk part it is close to that.
    ///
    /// # Errors
    ///
    /// Those of [`Augment::training_view`], and when the part does not hold what is needed.
    pub fn training_view_of_part(
        &self,
        scratch: &mut Scratch,
        part: &Part,
        seed: u64,
        epoch: u64,
        item: u64,
        out: &mut [f32],
    ) -> Result<(), ViewError> {
        let region = self.training_region(part.size, seed, epoch, item);
        let region = region.within(part);
        self.augmented(scratch, &part.pixels, region, [seed, epoch, item], out)
    }

    /// Writes the training view that shows `region` of `pixels`.
    fn augmented(
        &self,
        scratch: &mut Scratch,
        pixels: &Pixels,
        region: Region,
        [seed, epoch, item]: [u64; 3],
        out: &mut [f32],
    ) -> Result<(), ViewError> {
        self.check_shapes(pixels, out.len())?;
        let [height, width] = self.image_size;
        scratch.resample(pixels, region, width, height)?;
        if let Some(policy) = &self.rand_augment {
            // Every operation is as likely as its mirror image, so it makes no difference that mirroring comes after.
            let (resized, buffer) = scratch.resampled();
            let (fill, key) = (fill_colour(&self.mean), Key::new(seed, epoch, item));
            policy.apply(resized, self.image_size, &fill, buffer, key)?;
        }
        let mirror = KeyedRng::new(Key::new(seed, epoch, item), Stream::Flip).bernoulli(self.flip);
        self.normalise(scratch.resampled().0, mirror, out);
        if let Some(erase) = &self.erase {
            erase.apply(
                out,
                [self.channels(), height, width],
                Key::new(seed, epoch, item),
            )?;
        }
        Ok(())
    }

    fn training_region(&self, size: [u32; 2], seed: u64, epoch: u64, item: u64) -> Region {
        let mut rng = KeyedRng::new(Key::new(seed, epoch, item), Stream::Crop);
        let [width, height] = size.map(|side| side.max(1));
        let (scale, ratio) = (self.crop_scale, self.crop_ratio);
        Region::Cut(random_crop(width, height, scale, ratio, &mut rng))
    }

    /// Writes the evaluation view to `out`, `[channels, height, width]`: the centre of the image, normalised.
    ///
    /// The part shown has the view's proportions and 224/256 of the size of the largest such part of the image (for
    /// square views: 224/256 of the short side). It is resampled in one step with the antialiased bicubic filter,
    /// so it equals "resize the short side to 256, cut the central 224" without the rounding in between.
    ///
    /// # Errors
    ///
    /// Those of [`Augment::training_view`].
    pub fn evaluation_view(
        &self,
        scratch: &mut Scratch,
        pixels: &Pixels,
        out: &mut [f32],
    ) -> Result<(), ViewError> {
        let region = self.evaluation_region([pixels.width, pixels.height]);
        self.plain(scratch, pixels, region, out)
    }

    /// What [`Augment::evaluation_view`] needs of an image of `size`, columns and rows, both at least 1.
    pub fn evaluation_need(&self, size: [u32; 2]) -> Need {
        let [height, width] = self.image_size;
        self.evaluation_region(size).need(size, width, height)
    }

    /// [`Augment::evaluation_view`] of the image of which `part` is what [`Augment::evaluation_need`] asked for.
    ///
    /// At full size the view is the same but for rounding; of a shrunk part it is close to that.
    ///
    /// # Errors
    ///
    /// Those of [`Augment::evaluation_view`], and when the part does not hold what is needed.
    pub fn evaluation_view_of_part(
        &self,
        scratch: &mut Scratch,
        part: &Part,
        out: &mut [f32],
    ) -> Result<(), ViewError> {
        let region = self.evaluation_region(part.size);
        self.plain(scratch, &part.pixels, region.within(part), out)
    }

    fn evaluation_region(&self, [image_width, image_height]: [u32; 2]) -> Region {
        let [height, width] = self.image_size;
        Region::Window(central_window(image_width, image_height, width, height))
    }

    /// Writes the view that shows `region` of `pixels` as it is.
    fn plain(
        &self,
        scratch: &mut Scratch,
        pixels: &Pixels,
        region: Region,
        out: &mut [f32],
    ) -> Result<(), ViewError> {
        self.check_shapes(pixels, out.len())?;
        let [height, width] = self.image_size;
        let resized = scratch.resample(pixels, region, width, height)?;
        self.normalise(resized, false, out);
        Ok(())
    }

    /// The part of an image that its evaluation view shows, `[left, top, width, height]` in pixels.
    pub fn evaluation_window(&self, pixels: &Pixels) -> [f64; 4] {
        let [height, width] = self.image_size;
        central_window(pixels.width, pixels.height, width, height)
    }

    fn check_shapes(&self, pixels: &Pixels, len: usize) -> Result<(), ViewError> {
        if pixels.channels != self.mean.len() || self.std.len() != self.mean.len() {
            return Err(ViewError::Channels {
                image: pixels.channels,
                mean: self.mean.len(),
                std: self.std.len(),
            });
        }
        if len != self.view_len() {
            return Err(ViewError::OutputLength {
                given: len,
                wanted: self.view_len(),
            });
        }
        Ok(())
    }

    /// Interleaved bytes to normalised planes.
    fn normalise(&self, resized: &[u8], mirror: bool, out: &mut [f32]) {
        let [height, width] = self.image_size;
        let channels = self.channels();
        if height * width == 0 {
            return;
        }
        // A byte has 256 values: looking them up spares a division per sample.
        let tables = self.mean.iter().zip(&self.std);
        let tables: Vec<[f32; 256]> = tables
            .map(|(mean, std)| std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std))
            .collect();
        let rows = resized.chunks_exact(width * channels);
        let mut planes = out.chunks_exact_mut(height * width);
        if let [red, green, blue] = tables.as_slice()
            && let (Some(reds), Some(greens), Some(blues)) =
                (planes.next(), planes.next(), planes.next())
        {
            // Photographs: one pass over the bytes for all planes.
            let targets = reds
                .chunks_exact_mut(width)
                .zip(greens.chunks_exact_mut(width))
                .zip(blues.chunks_exact_mut(width));
            for (((r, g), b), row) in targets.zip(rows) {
                let write = |((r, g), b): ((&mut f32, &mut f32), &mut f32), pixel: &[u8; 3]| {
                    *r = red[usize::from(pixel[0])];
                    *g = green[usize::from(pixel[1])];
                    *b = blue[usize::from(pixel[2])];
                };
                let pixels = row.as_chunks::<3>().0.iter();
                let numbers = r.iter_mut().zip(g).zip(b);
                if mirror {
                    numbers
                        .zip(pixels.rev())
                        .for_each(|(to, from)| write(to, from));
                } else {
                    numbers.zip(pixels).for_each(|(to, from)| write(to, from));
                }
            }
            return;
        }
        for (channel, (plane, table)) in planes.zip(&tables).enumerate() {
            for (target, source) in plane.chunks_exact_mut(width).zip(rows.clone()) {
                let samples = source.iter().skip(channel).step_by(channels);
                if mirror {
                    for (number, &sample) in target.iter_mut().rev().zip(samples) {
                        *number = table[usize::from(sample)];
                    }
                } else {
                    for (number, &sample) in target.iter_mut().zip(samples) {
                        *number = table[usize::from(sample)];
                    }
                }
            }
        }
    }
}

/// `[left, top, width, height]` of the part an evaluation view shows.
fn central_window(image_w: u32, image_h: u32, view_w: usize, view_h: usize) -> [f64; 4] {
    let (image_w, image_h) = (f64::from(image_w), f64::from(image_h));
    let (view_w, view_h) = (view_w as f64, view_h as f64);
    let scale = CENTRAL_FRACTION * (image_w / view_w).min(image_h / view_h);
    // Less than a pixel would show nothing of very small images.
    let width = (view_w * scale).clamp(1.0, image_w);
    let height = (view_h * scale).clamp(1.0, image_h);
    [
        (image_w - width) / 2.0,
        (image_h - height) / 2.0,
        width,
        height,
    ]
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

    fn training(augment: &Augment, pixels: &Pixels, address: [u64; 3]) -> Vec<f32> {
        let [seed, epoch, item] = address;
        let mut out = vec![f32::NAN; augment.view_len()];
        augment
            .training_view(&mut Scratch::new(), pixels, seed, epoch, item, &mut out)
            .unwrap();
        out
    }

    fn evaluation(augment: &Augment, pixels: &Pixels) -> Vec<f32> {
        let mut out = vec![f32::NAN; augment.view_len()];
        augment
            .evaluation_view(&mut Scratch::new(), pixels, &mut out)
            .unwrap();
        out
    }

    #[test]
    fn planes_are_normalised_in_order() {
        let pixels = Pixels::new(1, 1, 3, vec![255, 0, 51]).unwrap();
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
    fn only_the_address_matters() {
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
    fn evaluation_shows_the_centre() {
        assert_eq!(
            central_window(256, 256, 224, 224),
            [16.0, 16.0, 224.0, 224.0]
        );
        assert_eq!(
            central_window(512, 256, 224, 224),
            [144.0, 16.0, 224.0, 224.0]
        );
        assert_eq!(central_window(1, 1, 224, 224), [0.0, 0.0, 1.0, 1.0]);
        // Views that are wider than high take their shape from the image.
        assert_eq!(
            central_window(256, 256, 224, 112),
            [16.0, 72.0, 224.0, 112.0]
        );
        // At 256 pixels nothing is resized: the view is the central cut itself.
        let pixels = gradient(256, 256);
        let view = evaluation(&Augment::new([224, 224], 3), &pixels);
        let red = (16.0f32 * 255.0 / 256.0).floor() / 255.0;
        assert!((view[0] - (red - 0.485) / 0.229).abs() < 1e-5);
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
        let pixels = Pixels::new(4, 4, 4, [200, 100, 50, 0].repeat(16)).unwrap();
        let view = evaluation(&Augment::new([2, 2], 4), &pixels);
        assert!((view[0] - (200.0 / 255.0 - 0.485) / 0.229).abs() < 1e-5);
        assert!((view[15] - (0.0 - 0.5) / 0.25).abs() < 1e-5);
    }

    #[test]
    fn mismatches_are_errors() {
        let augment = Augment::new([2, 2], 3);
        let mut scratch = Scratch::new();
        let grey = Pixels::new(1, 1, 1, vec![0]).unwrap();
        let error = augment.evaluation_view(&mut scratch, &grey, &mut [0.0; 12]);
        assert!(matches!(error, Err(ViewError::Channels { image: 1, .. })));
        let error = augment.evaluation_view(&mut scratch, &gradient(2, 2), &mut [0.0; 11]);
        assert!(matches!(
            error,
            Err(ViewError::OutputLength {
                given: 11,
                wanted: 12
            })
        ));
    }
}
