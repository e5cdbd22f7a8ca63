//! One view of one image: which part of it is shown and how, decided once, and the numbers made of it.

use semaim_normalization::Normalization;
use semaim_random::Key;

use crate::augment::Augment;
use crate::depth;
use crate::error::ViewError;
use crate::framing::Frame;
use crate::notices;
use crate::pixels::{Pixels, narrow};
use crate::rand_augment::fill_color;
use crate::region::{DecodeRequest, DecodedRegion};
use crate::resample::{Region, Resized};
use crate::scratch::Scratch;

/// Where a view shows what of an image: what boxes and masks need to follow it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViewGeometry {
    /// Columns and rows of the image.
    pub image_size: [u32; 2],
    /// `[left, top, width, height]` of the part of the image that is shown, in its pixels.
    pub source: [f64; 4],
    /// Whether it is mirrored left to right.
    pub flip: bool,
    /// Rows and columns of the view.
    pub size: [usize; 2],
    /// Rows and columns of the view, from its top left, that show the part; the rest is padding.
    pub valid_size: [usize; 2],
}

impl ViewGeometry {
    /// Where a point of the image, `[x, y]` in its pixels, is in the view, in the pixels of that. It may lie outside.
    pub fn to_view(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let [left, top, width, height] = self.source;
        let [rows, columns] = self.valid_size.map(|side| side as f64);
        let across = (x - left) / width * columns;
        let across = if self.flip { columns - across } else { across };
        [across, (y - top) / height * rows]
    }

    /// For each column, and for each row, of the part of the view that shows the image, the column and the row of the image in
    /// which its middle lies.
    pub(crate) fn nearest_pixels(&self) -> [Vec<u32>; 2] {
        let [left, top, width, height] = self.source;
        let nearest = |start: f64, length: f64, count: usize, side: u32| -> Vec<u32> {
            let pixel = length / count as f64;
            let place = |at: usize| (start + (at as f64 + 0.5) * pixel) as u32;
            let last = side.saturating_sub(1);
            (0..count).map(|at| place(at).min(last)).collect()
        };
        let [rows, columns] = self.valid_size;
        let mut across = nearest(left, width, columns, self.image_size[0]);
        if self.flip {
            across.reverse();
        }
        [across, nearest(top, height, rows, self.image_size[1])]
    }
}

/// How one view of one image is made. Made by [`Augment::training_view`] and [`Augment::evaluation_view`].
#[derive(Clone, Copy, Debug)]
pub struct ViewPlan<'a> {
    pub(crate) augment: &'a Augment,
    /// Columns and rows of the image.
    pub(crate) image_size: [u32; 2],
    pub(crate) frame: Frame,
    pub(crate) flip: bool,
    /// What random augmentations are drawn by; `None` for no such.
    pub(crate) key: Option<Key>,
}

impl ViewPlan<'_> {
    /// Columns and rows of the image that it is a view of.
    pub fn image_size(&self) -> [u32; 2] {
        self.image_size
    }

    /// What is shown where.
    pub fn geometry(&self) -> ViewGeometry {
        ViewGeometry {
            image_size: self.image_size,
            source: self.frame.region.bounds(),
            flip: self.flip,
            size: self.augment.image_size,
            valid_size: self.frame.valid_size,
        }
    }

    /// What has to be decoded for it.
    pub fn request(&self) -> DecodeRequest {
        let [height, width] = self.frame.valid_size;
        self.frame.region.request(self.image_size, width, height)
    }

    /// Writes the view to `out`, `[channels, height, width]`, normalized. `decoded` holds what [`ViewPlan::request`] asked
    /// for, or more.
    ///
    /// Of a region at full size the view is that of the whole image but for rounding; of a shrunk one it is close to that.
    ///
    /// # Errors
    ///
    /// When the image has another number of channels than the normalization, `out` has another length than
    /// [`Augment::view_len`], the image is inconsistent, or the region does not hold what is needed.
    pub fn render(
        &self,
        decoded: &DecodedRegion,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<(), ViewError> {
        self.write(
            &decoded.pixels,
            self.frame.region.within(decoded),
            scratch,
            out,
        )
    }

    /// [`ViewPlan::render`] of an image that is there as a whole.
    ///
    /// # Errors
    ///
    /// Those of [`ViewPlan::render`].
    pub fn render_image(
        &self,
        image: &Pixels,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<(), ViewError> {
        self.write(image, self.frame.region, scratch, out)
    }

    /// Writes the view that shows `region` of `pixels`.
    fn write(
        &self,
        pixels: &Pixels,
        region: Region,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<(), ViewError> {
        let augment = self.augment;
        augment.check_shapes(pixels, out.len())?;
        let [rows, columns] = self.frame.valid_size;
        let resized = scratch.resampler.resample(pixels, region, columns, rows)?;
        let on_bytes = self.key.is_some().then(|| augment.on_bytes()).flatten();
        match (resized, on_bytes) {
            (Resized::Bytes(bytes), _) => self.finish(bytes, &mut scratch.augmentation, out)?,
            (Resized::Words(words), Some(_)) => {
                notices::warn(
                    "images of 16 bits are rounded to 8 where their colors are changed at random (augment.rand_layers, \
                     augment.photometric)"
                        .to_owned(),
                );
                let mut bytes: Vec<u8> = words.iter().copied().map(narrow).collect();
                self.finish(&mut bytes, &mut scratch.augmentation, out)?;
            }
            (Resized::Words(words), None) => {
                if augment.normalization.is_a_convention() {
                    depth::look(words);
                }
                let value = |sample: u16| f32::from(sample) / f32::from(u16::MAX);
                augment.normalize_deep(words, value, [rows, columns], self.flip, out);
            }
            (Resized::Floats(_), Some([what, setting])) => {
                return Err(ViewError::FloatAugmentation { what, setting });
            }
            (Resized::Floats(floats), None) => {
                augment.normalize_deep(floats, |sample| sample, [rows, columns], self.flip, out);
            }
        }
        if let (Some(erase), Some(key)) = (&augment.erase, self.key) {
            let [height, width] = augment.image_size;
            erase.apply(out, [augment.channels(), height, width], key)?;
        }
        Ok(())
    }

    /// Changes colors where that is asked for, and normalizes.
    fn finish(
        &self,
        resized: &mut [u8],
        buffer: &mut Vec<u8>,
        out: &mut [f32],
    ) -> Result<(), ViewError> {
        let augment = self.augment;
        let [rows, columns] = self.frame.valid_size;
        if let (Some(policy), Some(key)) = (&augment.rand_augment, self.key) {
            // Every operation is as likely as its mirror image, so it makes no difference that mirroring comes after; but for ShearY,
            // which leaves the left edge in place, and after mirroring the right one.
            let fill = fill_color(&augment.normalization.mean);
            policy.apply(resized, [rows, columns], &fill, buffer, key)?;
        }
        if let (Some(distortion), Some(key)) = (&augment.photometric, self.key) {
            distortion.apply(resized, augment.channels(), key);
        }
        augment.normalize(resized, [rows, columns], self.flip, out);
        Ok(())
    }
}

impl Augment {
    fn check_shapes(&self, pixels: &Pixels, len: usize) -> Result<(), ViewError> {
        let Normalization { mean, std } = &self.normalization;
        if pixels.channels != mean.len() || std.len() != mean.len() {
            return Err(ViewError::Channels {
                image: pixels.channels,
                mean: mean.len(),
                std: std.len(),
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

    /// What is done to the bytes of a training view, if anything is, and the setting that switches it off.
    fn on_bytes(&self) -> Option<[&'static str; 2]> {
        if self.rand_augment.is_some() {
            return Some(["RandAugment", "augment.rand_layers=0"]);
        }
        let photometric = self.photometric.is_some();
        photometric.then_some(["photometric distortion", "augment.photometric=false"])
    }

    /// Interleaved samples of more than 8 bits, of some rows and columns, to the top left of normalized planes, which are 0
    /// elsewhere. `value` is what normalization takes of a sample.
    fn normalize_deep<S: Copy>(
        &self,
        resized: &[S],
        value: impl Fn(S) -> f32,
        [valid_rows, valid_columns]: [usize; 2],
        mirror: bool,
        out: &mut [f32],
    ) {
        let [height, width] = self.image_size;
        let channels = self.channels();
        if height * width == 0 {
            return;
        }
        if [valid_rows, valid_columns] != self.image_size {
            out.fill(0.0);
        }
        let Normalization { mean, std } = &self.normalization;
        let planes = out.chunks_exact_mut(height * width);
        for (channel, ((plane, mean), std)) in planes.zip(mean).zip(std).enumerate() {
            let rows = resized.chunks_exact(valid_columns * channels);
            for (target, source) in shown_rows(plane, width, valid_columns).zip(rows) {
                let samples = source.iter().skip(channel).step_by(channels);
                let write = |(number, &sample): (&mut f32, &S)| {
                    *number = (value(sample) - mean) / std;
                };
                if mirror {
                    target.iter_mut().rev().zip(samples).for_each(write);
                } else {
                    target.iter_mut().zip(samples).for_each(write);
                }
            }
        }
    }

    /// Interleaved bytes of some rows and columns to the top left of normalized planes, which are 0 elsewhere.
    fn normalize(
        &self,
        resized: &[u8],
        [valid_rows, valid_columns]: [usize; 2],
        mirror: bool,
        out: &mut [f32],
    ) {
        let [height, width] = self.image_size;
        let channels = self.channels();
        if height * width == 0 {
            return;
        }
        if [valid_rows, valid_columns] != self.image_size {
            out.fill(0.0);
        }
        // A byte has 256 values: looking them up spares a division per sample.
        let Normalization { mean, std } = &self.normalization;
        let tables: Vec<[f32; 256]> = mean
            .iter()
            .zip(std)
            .map(|(mean, std)| std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std))
            .collect();
        let rows = resized.chunks_exact(valid_columns * channels);
        let mut planes = out.chunks_exact_mut(height * width);
        let shown = |plane| shown_rows(plane, width, valid_columns);
        if let [red, green, blue] = tables.as_slice()
            && let (Some(reds), Some(greens), Some(blues)) =
                (planes.next(), planes.next(), planes.next())
        {
            // Photographs: one pass over the bytes for all planes.
            let targets = shown(reds).zip(shown(greens)).zip(shown(blues));
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
            for (target, source) in shown(plane).zip(rows.clone()) {
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

/// The first columns of the rows of a plane.
fn shown_rows(plane: &mut [f32], width: usize, columns: usize) -> impl Iterator<Item = &mut [f32]> {
    plane
        .chunks_exact_mut(width)
        .map(move |row| row.split_at_mut(columns.min(width)).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_follow_the_view() {
        // The evaluation view of 128 x 64 pixels is the central 56 x 28 of 64 x 32.
        let augment = Augment::new([28, 56], 3);
        let plain = augment.evaluation_view([128, 64]).geometry();
        assert_eq!(plain.source, [8.0, 4.0, 112.0, 56.0]);
        assert_eq!(plain.to_view([8.0, 4.0]), [0.0, 0.0]);
        assert_eq!(plain.to_view([64.0, 32.0]), [28.0, 14.0]);
        assert_eq!(plain.to_view([120.0, 60.0]), [56.0, 28.0]);
        let mirrored = ViewGeometry {
            flip: true,
            ..plain
        };
        assert_eq!(mirrored.to_view([8.0, 4.0]), [56.0, 0.0]);
    }

    /// The view of a key, and the same of an image with samples of another kind.
    fn view(augment: &Augment, image: &Pixels, item: u64) -> Result<Vec<f32>, ViewError> {
        let mut out = vec![f32::NAN; augment.view_len()];
        let plan = augment.training_view(image.size(), Key::new(1, 2, item));
        plan.render_image(image, &mut Scratch::new(), &mut out)?;
        Ok(out)
    }

    #[test]
    fn views_of_every_depth_and_channel_count_are_alike() {
        for channels in [1, 2, 3, 4, 5, 16] {
            let place = |at: u32| {
                [
                    at % channels as u32,
                    at / channels as u32 % 24,
                    at / channels as u32 / 24,
                ]
            };
            let bytes: Vec<u8> = (0..24 * 20 * channels as u32)
                .map(place)
                .map(|[channel, x, y]| (20 + 7 * channel + 3 * x + 2 * y) as u8)
                .collect();
            let words: Vec<u16> = bytes.iter().map(|&byte| u16::from(byte) * 257).collect();
            let floats: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
            let image =
                |samples: crate::pixels::Samples| Pixels::new(24, 20, channels, samples).unwrap();
            let augment = Augment::new([8, 12], channels);
            for item in 0..6 {
                let flat = view(&augment, &image(bytes.clone().into()), item).unwrap();
                for deep in [image(words.clone().into()), image(floats.clone().into())] {
                    let deep = view(&augment, &deep, item).unwrap();
                    for (deep, flat) in deep.iter().zip(&flat) {
                        // Two levels of 8 bits, by the least deviation.
                        assert!((deep - flat).abs() < 0.036, "{channels}: {deep} {flat}");
                    }
                }
            }
        }
    }

    #[test]
    fn values_are_those_of_the_documentation() {
        let augment = Augment {
            normalization: Normalization {
                mean: vec![100.0],
                std: vec![50.0],
            },
            ..Augment::new([2, 2], 1)
        };
        let constant = |samples: crate::pixels::Samples| Pixels::new(2, 2, 1, samples).unwrap();
        let shown = |image: &Pixels| view(&augment, image, 0).unwrap()[0];
        let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-5, "{a} {b}");
        near(shown(&constant(vec![51u8; 4].into())), (0.2 - 100.0) / 50.0);
        near(
            shown(&constant(vec![13_107u16; 4].into())),
            (0.2 - 100.0) / 50.0,
        );
        near(shown(&constant(vec![175.0f32; 4].into())), 1.5);
    }

    #[test]
    fn colors_are_changed_in_8_bits_and_never_of_floats() {
        let augment = Augment {
            rand_augment: Some(crate::RandAugment {
                probability: 1.0,
                ..crate::RandAugment::default()
            }),
            ..Augment::new([8, 8], 3)
        };
        let bytes: Vec<u8> = (0..16 * 16 * 3u32).map(|at| (at * 7 % 251) as u8).collect();
        let words: Vec<u16> = bytes.iter().map(|&byte| u16::from(byte) * 257).collect();
        let floats: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        let image = |samples: crate::pixels::Samples| Pixels::new(16, 16, 3, samples).unwrap();
        let [flat, deep] = [image(bytes.into()), image(words.into())];
        let plain = Augment::new([8, 8], 3);
        let changed = (0..10).filter(|&item| {
            view(&augment, &deep, item).unwrap() != view(&plain, &deep, item).unwrap()
        });
        assert!(changed.count() > 5);
        assert_eq!(view(&augment, &flat, 1).unwrap().len(), 192);
        let refused = view(&augment, &image(floats.into()), 1)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("augment.rand_layers=0"), "{refused}");
    }

    #[test]
    fn a_training_view_shows_what_its_geometry_says() {
        // An image whose red says the column and whose green says the row.
        let data = (0..64u32 * 48).flat_map(|at| [(at % 64 * 4) as u8, (at / 64 * 5) as u8, 0]);
        let image = Pixels::new(64, 48, 3, data.collect::<Vec<u8>>()).unwrap();
        let mut augment = Augment::new([8, 8], 3);
        augment.normalization = Normalization {
            mean: vec![0.0; 3],
            std: vec![1.0 / 255.0; 3],
        };
        let mut flips = 0;
        for item in 0..50 {
            let plan = augment.training_view([64, 48], Key::new(1, 2, item));
            let mut view = vec![0.0; augment.view_len()];
            plan.render_image(&image, &mut Scratch::new(), &mut view)
                .unwrap();
            let geometry = plan.geometry();
            flips += u32::from(geometry.flip);
            let [left, top, width, height] = geometry.source;
            let [x, y] = geometry.to_view([left + width / 2.0, top + height / 2.0]);
            assert_eq!([x, y], [4.0, 4.0]);
            // The middle of the pixel in column 2, row 5 of the view, as a place in the image.
            let from_left = if geometry.flip { 5.5 } else { 2.5 } / 8.0 * width + left;
            let from_top = 5.5 / 8.0 * height + top;
            let at = geometry.to_view([from_left, from_top]);
            assert!((at[0] - 2.5).abs() < 1e-9 && (at[1] - 5.5).abs() < 1e-9);
            let (red, green) = (f64::from(view[5 * 8 + 2]), f64::from(view[64 + 5 * 8 + 2]));
            assert!((red - (from_left - 0.5) * 4.0).abs() < 3.0, "{item}: {red}");
            assert!(
                (green - (from_top - 0.5) * 5.0).abs() < 3.0,
                "{item}: {green}"
            );
        }
        assert!((10..40).contains(&flips));
    }
}
