//! Antialiased bicubic resampling of a part of an image, without copying the part.

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::{F32, InnerPixel, U8, U8x2, U8x3, U8x4, U16};
use fast_image_resize::{FilterType, ImageView, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use crate::crop::CropBox;
use crate::error::ViewError;

use crate::pixels::{Pixels, Samples};
use crate::region::{DecodeRequest, DecodedRegion};

/// The part of an image to resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Region {
    /// Pixels outside the box are never looked at, as if the image had been cut first.
    Cut(CropBox),
    /// `[left, top, width, height]` in pixels. The filter looks beyond the box where the image goes on, as if
    /// the whole image had been resized and the result cut.
    Window([f64; 4]),
    /// `[left, top, width, height]` in pixels, counted from the box. Pixels outside the box are never looked at.
    WindowOfCut(CropBox, [f64; 4]),
}

impl Region {
    /// `[left, top, width, height]` of what is shown, in pixels.
    pub(crate) fn bounds(self) -> [f64; 4] {
        match self {
            Self::Cut(part) => [part.left, part.top, part.width, part.height].map(f64::from),
            Self::Window(window) => window,
            Self::WindowOfCut(part, [left, top, width, height]) => [
                f64::from(part.left) + left,
                f64::from(part.top) + top,
                width,
                height,
            ],
        }
    }

    /// What is needed of an image of `size` (columns, rows) to resample the region to `width` x `height` samples.
    pub(crate) fn request(self, size: [u32; 2], width: usize, height: usize) -> DecodeRequest {
        let [left, top, box_width, box_height] = self.bounds();
        let scale = [
            box_width / width.max(1) as f64,
            box_height / height.max(1) as f64,
        ];
        let edges = |start: f64, len: f64, scale: f64, limit: u32| {
            let margin = match self {
                Self::Window(_) => (FILTER_RADIUS * scale.max(1.0)).ceil() + 1.0,
                Self::Cut(_) | Self::WindowOfCut(..) => 0.0,
            };
            let first = (start - margin).floor().max(0.0) as u32;
            let end = (start + len + margin).ceil().min(f64::from(limit)) as u32;
            (first, end.saturating_sub(first))
        };
        let (left, box_width) = edges(left, box_width, scale[0], size[0]);
        let (top, box_height) = edges(top, box_height, scale[1], size[1]);
        DecodeRequest {
            region: CropBox {
                left,
                top,
                width: box_width,
                height: box_height,
            },
            shrink: scale[0].min(scale[1]).max(1.0) as u32,
        }
    }

    /// This region of the whole image as a region of the pixels of a part that was decoded for it.
    pub(crate) fn within(self, part: &DecodedRegion) -> Self {
        let shrink = f64::from(part.shrink);
        let [from_left, from_top] = part.origin;
        let inside = |[left, top, width, height]: [f64; 4]| {
            [
                (left - from_left as f64) / shrink,
                (top - from_top as f64) / shrink,
                width / shrink,
                height / shrink,
            ]
        };
        match self {
            Self::Cut(cut) if part.shrink == 1 => {
                let moved = |edge: u32, origin: i64| (i64::from(edge) - origin).max(0) as u32;
                Self::Cut(CropBox {
                    left: moved(cut.left, from_left),
                    top: moved(cut.top, from_top),
                    ..cut
                })
            }
            Self::Cut(cut) => {
                // The pixels that the box touches, and where it lies in them.
                let edges = [cut.left, cut.top, cut.width, cut.height].map(f64::from);
                let [left, top, width, height] = inside(edges);
                let (first, above) = (left.floor(), top.floor());
                let touched = CropBox {
                    left: first as u32,
                    top: above as u32,
                    width: ((left + width).ceil() - first) as u32,
                    height: ((top + height).ceil() - above) as u32,
                };
                Self::WindowOfCut(touched, [left - first, top - above, width, height])
            }
            Self::Window(window) => Self::Window(inside(window)),
            Self::WindowOfCut(..) => self,
        }
    }
}

/// How far Catmull-Rom looks, in samples of the smaller of both images.
const FILTER_RADIUS: f64 = 2.0;

/// The resizer and the image it made last.
#[derive(Debug, Default)]
pub(crate) struct Resampler {
    resizer: Resizer,
    resized: Vec<u8>,
    resized_words: Vec<u16>,
    resized_floats: Vec<f32>,
}

/// A resampled image of the depth that the image has.
#[derive(Debug)]
pub(crate) enum Resized<'a> {
    Bytes(&'a mut [u8]),
    Words(&'a [u16]),
    Floats(&'a [f32]),
}

impl Resampler {
    /// Resamples `region` of `pixels` to `width` x `height` samples with the bicubic filter of Pillow (Catmull-Rom,
    /// widened when shrinking; of bytes with 8-bit intermediate results), interleaved like the input. Alpha is treated
    /// like any other channel. Whole numbers stay within their range; floats may overshoot.
    pub(crate) fn resample(
        &mut self,
        pixels: &Pixels,
        region: Region,
        width: usize,
        height: usize,
    ) -> Result<Resized<'_>, ViewError> {
        if !pixels.is_consistent() {
            return Err(ViewError::Inconsistent {
                width: pixels.width,
                height: pixels.height,
                channels: pixels.channels,
                samples: pixels.samples.len(),
            });
        }
        let channels = pixels.channels;
        let target = [to_u32(width)?, to_u32(height)?];
        let source = [pixels.width, pixels.height];
        let count = width * height * channels;
        let Self {
            resizer,
            resized,
            resized_words,
            resized_floats,
        } = self;
        let planes = Planes {
            source,
            target,
            channels,
            region,
        };
        // What is left of the view before is overwritten.
        Ok(match &pixels.samples {
            Samples::U8(samples) => {
                resized.resize(count, 0);
                // Only these pixel types are named, for every one is compiled for every instruction set.
                match channels {
                    1 => resize::<U8>(resizer, samples, source, resized, target, region)?,
                    2 => resize::<U8x2>(resizer, samples, source, resized, target, region)?,
                    3 => resize::<U8x3>(resizer, samples, source, resized, target, region)?,
                    4 => resize::<U8x4>(resizer, samples, source, resized, target, region)?,
                    // No pixel type has so many channels.
                    _ => planes.resize(resizer, (&samples[..], U8::new), resized)?,
                }
                Resized::Bytes(resized)
            }
            Samples::U16(samples) => {
                resized_words.resize(count, 0);
                planes.resize(resizer, (&samples[..], U16::new), resized_words)?;
                Resized::Words(resized_words)
            }
            Samples::F32(samples) => {
                resized_floats.resize(count, 0.0);
                planes.resize(resizer, (&samples[..], F32::new), resized_floats)?;
                Resized::Floats(resized_floats)
            }
        })
    }
}

/// The channels of an image as images of their own.
struct Planes {
    /// Columns and rows.
    source: [u32; 2],
    /// Columns and rows.
    target: [u32; 2],
    channels: usize,
    region: Region,
}

impl Planes {
    /// Resamples one channel after the other. `pixel` makes a pixel of a sample.
    fn resize<P, S>(
        &self,
        resizer: &mut Resizer,
        (samples, pixel): (&[S], impl Fn(S) -> P),
        resized: &mut [S],
    ) -> Result<(), ViewError>
    where
        P: PixelTrait + InnerPixel<Component = S>,
        S: Copy,
    {
        let failed = |error: &dyn std::fmt::Display| ViewError::Resize(error.to_string());
        let [width, height] = self.target;
        for channel in 0..self.channels {
            let plane = samples.iter().skip(channel).step_by(self.channels);
            let plane: Vec<P> = plane.map(|&sample| pixel(sample)).collect();
            let source = TypedImageRef::<P>::new(self.source[0], self.source[1], &plane)
                .map_err(|e| failed(&e))?;
            let mut target = TypedImage::<P>::new(width, height);
            resize_image(resizer, &source, &mut target, self.region)?;
            let targets = resized.iter_mut().skip(channel).step_by(self.channels);
            for (target, &sample) in targets.zip(P::components(target.pixels())) {
                *target = sample;
            }
        }
        Ok(())
    }
}

fn to_u32(size: usize) -> Result<u32, ViewError> {
    u32::try_from(size).map_err(|_| ViewError::Resize(format!("{size} pixels are too many")))
}

fn resize<P: PixelTrait>(
    resizer: &mut Resizer,
    source: &[u8],
    [source_width, source_height]: [u32; 2],
    target: &mut [u8],
    [width, height]: [u32; 2],
    region: Region,
) -> Result<(), ViewError> {
    let failed = |error: &dyn std::fmt::Display| ViewError::Resize(error.to_string());
    let source = TypedImageRef::<P>::from_buffer(source_width, source_height, source)
        .map_err(|e| failed(&e))?;
    let mut target = TypedImage::<P>::from_buffer(width, height, target).map_err(|e| failed(&e))?;
    resize_image(resizer, &source, &mut target, region)
}

fn resize_image<P: PixelTrait>(
    resizer: &mut Resizer,
    source: &TypedImageRef<'_, P>,
    target: &mut TypedImage<'_, P>,
    region: Region,
) -> Result<(), ViewError> {
    let failed = |error: &dyn std::fmt::Display| ViewError::Resize(error.to_string());
    let (width, height) = (target.width(), target.height());
    let mut options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .use_alpha(false);
    let whole = CropBox {
        left: 0,
        top: 0,
        width: source.width(),
        height: source.height(),
    };
    let (cut, window) = match region {
        Region::Cut(cut) => (cut, None),
        Region::Window(window) => (whole, Some(window)),
        Region::WindowOfCut(cut, window) => (cut, Some(window)),
    };
    if let Some([left, top, box_width, box_height]) = window {
        let (left, box_width) = off_pixel_centers(left, box_width, width);
        let (top, box_height) = off_pixel_centers(top, box_height, height);
        options = options.crop(left, top, box_width, box_height);
    }
    let cut = TypedCroppedImage::from_ref(source, cut.left, cut.top, cut.width, cut.height)
        .map_err(|e| failed(&e))?;
    resizer
        .resize_typed(&cut, target, &options)
        .map_err(|e| failed(&e))
}

/// A part of an axis whose first and last sample do not lie exactly on the center of a pixel: by a shift that is far below what
/// the weights of 16 bits can tell.
///
/// fast_image_resize 6.1 takes the pixels that the first and the last sample need for those that all need. Enlarging, a sample on
/// the center of a pixel needs that one only, and the sample beside it two more: they would be read out of bounds.
fn off_pixel_centers(start: f64, length: f64, samples: u32) -> (f64, f64) {
    const NEAR: f64 = 1e-9;
    const SHIFT: f64 = 1e-7;
    let scale = length / f64::from(samples);
    let on_center = |sample: f64| {
        let place = start + (sample + 0.5) * scale - 0.5;
        (place - place.round()).abs() < NEAR
    };
    match scale < 1.0 && (on_center(0.0) || on_center(f64::from(samples) - 1.0)) {
        true => (start + SHIFT, length - 2.0 * SHIFT),
        false => (start, length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture by formula, so that the reference needs no file.
    fn picture() -> Pixels {
        let mut data = Vec::new();
        for y in 0..15u32 {
            for x in 0..20u32 {
                data.extend((0..3).map(|c| ((x * 37 + y * 91 + c * 53 + x * y) % 256) as u8));
            }
        }
        Pixels::new(20, 15, 3, data).unwrap()
    }

    fn resampled(
        resampler: &mut Resampler,
        pixels: &Pixels,
        region: Region,
        [width, height]: [usize; 2],
    ) -> Vec<u8> {
        match resampler.resample(pixels, region, width, height).unwrap() {
            Resized::Bytes(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn deep_images_are_resampled_like_bytes_but_for_rounding() {
        let flat = picture();
        let bytes = flat.bytes().into_owned();
        let words: Vec<u16> = bytes.iter().map(|&byte| u16::from(byte) * 257).collect();
        let floats: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        let (words, floats) = (
            Pixels::new(20, 15, 3, words).unwrap(),
            Pixels::new(20, 15, 3, floats).unwrap(),
        );
        let mut resampler = Resampler::default();
        let part = CropBox {
            left: 3,
            top: 2,
            width: 14,
            height: 11,
        };
        for (region, size) in [
            (Region::Cut(part), [5, 4]),
            (Region::Window([2.5, 1.25, 15.0, 12.0]), [5, 4]),
            (Region::Window([2.5, 1.25, 3.0, 4.0]), [9, 8]),
        ] {
            let expected = resampled(&mut resampler, &flat, region, size);
            let [width, height] = size;
            let Resized::Words(got) = resampler.resample(&words, region, width, height).unwrap()
            else {
                panic!("words");
            };
            for (got, expected) in got.iter().zip(&expected) {
                let off = f64::from(*got) / 257.0 - f64::from(*expected);
                assert!(off.abs() < 5.0, "{got} {expected}");
            }
            let words = got.to_vec();
            let Resized::Floats(got) = resampler.resample(&floats, region, width, height).unwrap()
            else {
                panic!("floats");
            };
            for (got, expected) in got.iter().zip(&words) {
                // Whole numbers are cut off at the ends of their range between the two passes, too.
                let off = got.clamp(0.0, 1.0) - f32::from(*expected) / 65_535.0;
                assert!(off.abs() < 0.05, "{got} {expected}");
            }
        }
        // Floats keep their range, whatever it is.
        let constant = Pixels::new(4, 4, 1, vec![-123.5f32; 16]).unwrap();
        let whole = Region::Window([0.0, 0.0, 4.0, 4.0]);
        let Resized::Floats(got) = resampler.resample(&constant, whole, 3, 7).unwrap() else {
            panic!("floats");
        };
        assert!(
            got.iter().all(|value| (value + 123.5).abs() < 1e-3),
            "{got:?}"
        );
    }

    /// Compares with Pillow's `resize(.., BICUBIC)` of the same pixels. Rounding between the two passes may differ by one, and
    /// where enlarging overshoots 0..255 by a little more: Pillow goes along rows first, this goes along columns.
    fn assert_close(got: &[u8], pillow: &[u8], tolerance: u8) {
        assert_eq!(got.len(), pillow.len());
        let worst = got.iter().zip(pillow).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(tolerance), "off by {worst:?}: {got:?}");
    }

    #[test]
    fn cut_and_shrunk_like_pillow() {
        let part = CropBox {
            left: 3,
            top: 2,
            width: 14,
            height: 11,
        };
        let mut resampler = Resampler::default();
        let got = &resampled(&mut resampler, &picture(), Region::Cut(part), [5, 4]);
        #[rustfmt::skip]
        let pillow = [118, 129, 135, 121, 137, 120, 115, 134, 129, 135, 142, 131, 149, 106, 139, 128, 114, 112, 134, 136, 130, 122, 114, 128, 136, 136, 143, 127, 114, 119, 124, 137, 139, 120, 121, 125, 133, 123, 114, 143, 143, 140, 120, 128, 129, 116, 115, 121, 112, 112, 112, 146, 130, 116, 143, 150, 152, 137, 129, 135];
        assert_close(got, &pillow, 1);
    }

    #[test]
    fn cut_and_enlarged_like_pillow() {
        let part = CropBox {
            left: 3,
            top: 2,
            width: 4,
            height: 3,
        };
        let mut resampler = Resampler::default();
        let got = &resampled(&mut resampler, &picture(), Region::Cut(part), [6, 5]);
        #[rustfmt::skip]
        let pillow = [33, 86, 138, 52, 104, 167, 82, 137, 210, 106, 177, 248, 147, 210, 116, 175, 228, 0, 68, 133, 192, 93, 159, 158, 131, 170, 130, 161, 119, 168, 131, 131, 102, 101, 156, 34, 134, 187, 255, 153, 222, 139, 187, 206, 19, 225, 38, 57, 105, 22, 91, 0, 57, 110, 210, 86, 145, 140, 112, 111, 75, 124, 82, 114, 74, 113, 88, 87, 152, 58, 113, 178, 253, 13, 65, 125, 32, 95, 0, 66, 137, 34, 108, 163, 79, 142, 194, 109, 161, 214];
        assert_close(got, &pillow, 5);
    }

    #[test]
    fn window_like_pillow() {
        let mut resampler = Resampler::default();
        let window = Region::Window([2.5, 1.25, 15.0, 12.0]);
        let got = &resampled(&mut resampler, &picture(), window, [5, 4]);
        #[rustfmt::skip]
        let pillow = [124, 120, 133, 116, 136, 128, 129, 133, 125, 134, 131, 131, 142, 125, 144, 124, 118, 118, 132, 135, 127, 121, 119, 130, 133, 136, 139, 136, 114, 130, 124, 130, 139, 122, 124, 127, 132, 122, 114, 141, 143, 141, 122, 120, 126, 117, 121, 122, 121, 107, 110, 144, 135, 127, 144, 146, 148, 133, 136, 137];
        assert_close(got, &pillow, 1);
    }

    #[test]
    fn many_channels_are_resampled_like_few() {
        // Five channels: those of the picture and two more.
        let rgb = picture();
        let mut data = Vec::new();
        for pixel in rgb.bytes().chunks(3) {
            data.extend_from_slice(pixel);
            data.extend_from_slice(&pixel[..2]);
        }
        let five = Pixels::new(20, 15, 5, data).unwrap();
        let window = Region::Window([2.5, 1.25, 15.0, 12.0]);
        let mut resampler = Resampler::default();
        let expected = resampled(&mut resampler, &rgb, window, [5, 4]);
        let got = resampled(&mut resampler, &five, window, [5, 4]);
        for (few, many) in expected.chunks(3).zip(got.chunks(5)) {
            assert_eq!(many, [few, &few[..2]].concat());
        }
    }

    #[test]
    fn samples_on_the_centers_of_pixels_are_those_pixels() {
        // Enlarged three times: the first sample, or the last, or both are on the center of a pixel.
        let image = picture();
        let mut resampler = Resampler::default();
        let whole = Region::Window([0.0, 0.0, 20.0, 15.0]);
        let all = resampled(&mut resampler, &image, whole, [60, 45]);
        for (first, count) in [(1, 6), (7, 13), (4, 21), (13, 26), (0, 14), (2, 12)] {
            let third = |n: usize| n as f64 / 3.0;
            let part = Region::Window([third(first), third(first), third(count), third(count)]);
            let got = resampled(&mut resampler, &image, part, [count, count]);
            for (y, row) in got.chunks(count * 3).enumerate() {
                let from = ((first + y) * 60 + first) * 3;
                assert_eq!(row, &all[from..from + count * 3], "{first} {count} {y}");
            }
        }
    }

    #[test]
    fn inconsistent_images_are_refused() {
        let mut broken = picture();
        broken.samples = vec![0u8; 899].into();
        let window = Region::Window([0.0, 0.0, 20.0, 15.0]);
        let error = Resampler::default()
            .resample(&broken, window, 5, 4)
            .unwrap_err();
        assert!(matches!(
            error,
            ViewError::Inconsistent { samples: 899, .. }
        ));
    }
}
