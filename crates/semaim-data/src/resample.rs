//! Antialiased bicubic resampling of a part of an image, without copying the part.

use fast_image_resize::images::{CroppedImage, Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::crop::CropBox;
use crate::error::ViewError;
use crate::pixels::Pixels;

/// The part of an image to resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Region {
    /// Pixels outside the box are never looked at, as if the image had been cut first.
    Cut(CropBox),
    /// `[left, top, width, height]` in pixels. The filter looks beyond the box where the image goes on, as if
    /// the whole image had been resized and the result cut.
    Window([f64; 4]),
}

/// Buffers of a worker that are used again for every image.
#[derive(Debug, Default)]
pub struct Scratch {
    resizer: Resizer,
    resized: Vec<u8>,
    /// Room for augmentation to work in.
    buffer: Vec<u8>,
}

impl Scratch {
    /// Empty buffers; they grow to the largest image seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was resampled last, and room to change it in.
    pub(crate) fn resampled(&mut self) -> (&mut [u8], &mut Vec<u8>) {
        (&mut self.resized, &mut self.buffer)
    }

    /// Resamples `region` of `pixels` to `width` x `height` samples with the bicubic filter of Pillow (Catmull-Rom,
    /// widened when shrinking, 8-bit intermediate results), interleaved like the input. Alpha is treated
    /// like any other channel.
    pub(crate) fn resample(
        &mut self,
        pixels: &Pixels,
        region: Region,
        width: usize,
        height: usize,
    ) -> Result<&[u8], ViewError> {
        if !pixels.is_consistent() {
            return Err(ViewError::Inconsistent {
                width: pixels.width,
                height: pixels.height,
                channels: pixels.channels,
                bytes: pixels.data.len(),
            });
        }
        let channels = pixels.channels;
        let size = [to_u32(width)?, to_u32(height)?];
        self.resized.clear();
        self.resized.resize(width * height * channels, 0);
        let kind = match channels {
            1 => Some(PixelType::U8),
            2 => Some(PixelType::U8x2),
            3 => Some(PixelType::U8x3),
            4 => Some(PixelType::U8x4),
            _ => None,
        };
        let source = [pixels.width, pixels.height];
        match kind {
            Some(kind) => {
                let Self {
                    resizer, resized, ..
                } = self;
                resize(resizer, &pixels.data, source, resized, size, kind, region)?;
            }
            None => {
                // No pixel type has so many channels: one plane after the other.
                let mut plane = vec![0; width * height];
                for channel in 0..channels {
                    let samples: Vec<u8> = pixels
                        .data
                        .iter()
                        .skip(channel)
                        .step_by(channels)
                        .copied()
                        .collect();
                    let kind = PixelType::U8;
                    resize(
                        &mut self.resizer,
                        &samples,
                        source,
                        &mut plane,
                        size,
                        kind,
                        region,
                    )?;
                    let targets = self.resized.iter_mut().skip(channel).step_by(channels);
                    for (target, &sample) in targets.zip(&plane) {
                        *target = sample;
                    }
                }
            }
        }
        Ok(&self.resized)
    }
}

fn to_u32(size: usize) -> Result<u32, ViewError> {
    u32::try_from(size).map_err(|_| ViewError::Resize(format!("{size} pixels are too many")))
}

fn resize(
    resizer: &mut Resizer,
    source: &[u8],
    [source_width, source_height]: [u32; 2],
    target: &mut [u8],
    [width, height]: [u32; 2],
    kind: PixelType,
    region: Region,
) -> Result<(), ViewError> {
    let failed = |error: &dyn std::fmt::Display| ViewError::Resize(error.to_string());
    let source =
        ImageRef::new(source_width, source_height, source, kind).map_err(|e| failed(&e))?;
    let mut target = Image::from_slice_u8(width, height, target, kind).map_err(|e| failed(&e))?;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .use_alpha(false);
    match region {
        Region::Cut(part) => {
            let part = CroppedImage::new(&source, part.left, part.top, part.width, part.height)
                .map_err(|e| failed(&e))?;
            resizer.resize(&part, &mut target, &options)
        }
        Region::Window([left, top, box_width, box_height]) => {
            let options = options.crop(left, top, box_width, box_height);
            resizer.resize(&source, &mut target, &options)
        }
    }
    .map_err(|e| failed(&e))
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
        let mut scratch = Scratch::new();
        let got = scratch
            .resample(&picture(), Region::Cut(part), 5, 4)
            .unwrap();
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
        let mut scratch = Scratch::new();
        let got = scratch
            .resample(&picture(), Region::Cut(part), 6, 5)
            .unwrap();
        #[rustfmt::skip]
        let pillow = [33, 86, 138, 52, 104, 167, 82, 137, 210, 106, 177, 248, 147, 210, 116, 175, 228, 0, 68, 133, 192, 93, 159, 158, 131, 170, 130, 161, 119, 168, 131, 131, 102, 101, 156, 34, 134, 187, 255, 153, 222, 139, 187, 206, 19, 225, 38, 57, 105, 22, 91, 0, 57, 110, 210, 86, 145, 140, 112, 111, 75, 124, 82, 114, 74, 113, 88, 87, 152, 58, 113, 178, 253, 13, 65, 125, 32, 95, 0, 66, 137, 34, 108, 163, 79, 142, 194, 109, 161, 214];
        assert_close(got, &pillow, 5);
    }

    #[test]
    fn window_like_pillow() {
        let mut scratch = Scratch::new();
        let window = Region::Window([2.5, 1.25, 15.0, 12.0]);
        let got = scratch.resample(&picture(), window, 5, 4).unwrap();
        #[rustfmt::skip]
        let pillow = [124, 120, 133, 116, 136, 128, 129, 133, 125, 134, 131, 131, 142, 125, 144, 124, 118, 118, 132, 135, 127, 121, 119, 130, 133, 136, 139, 136, 114, 130, 124, 130, 139, 122, 124, 127, 132, 122, 114, 141, 143, 141, 122, 120, 126, 117, 121, 122, 121, 107, 110, 144, 135, 127, 144, 146, 148, 133, 136, 137];
        assert_close(got, &pillow, 1);
    }

    #[test]
    fn many_channels_are_resampled_like_few() {
        // Five channels: those of the picture and two more.
        let rgb = picture();
        let mut data = Vec::new();
        for pixel in rgb.data.chunks(3) {
            data.extend_from_slice(pixel);
            data.extend_from_slice(&pixel[..2]);
        }
        let five = Pixels::new(20, 15, 5, data).unwrap();
        let window = Region::Window([2.5, 1.25, 15.0, 12.0]);
        let mut scratch = Scratch::new();
        let expected = scratch.resample(&rgb, window, 5, 4).unwrap().to_vec();
        let got = scratch.resample(&five, window, 5, 4).unwrap();
        for (few, many) in expected.chunks(3).zip(got.chunks(5)) {
            assert_eq!(many, [few, &few[..2]].concat());
        }
    }

    #[test]
    fn inconsistent_images_are_refused() {
        let mut broken = picture();
        broken.data.pop();
        let window = Region::Window([0.0, 0.0, 20.0, 15.0]);
        let error = Scratch::new().resample(&broken, window, 5, 4).unwrap_err();
        assert!(matches!(error, ViewError::Inconsistent { bytes: 899, .. }));
    }
}
