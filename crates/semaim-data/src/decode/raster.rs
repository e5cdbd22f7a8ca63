//! PNG, WebP, BMP and GIF, through the `image` crate.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::format::Format;
use super::{Wanted, metadata, orientation};
use crate::error::ImageProblem;
use crate::pixels::{Pixels, Samples};

/// What a decoder may allocate besides the pixels, in bytes: palettes, color profiles, windows of compression.
const OVERHEAD: u64 = 64 << 20;

/// The most bytes per pixel a decoder works with: four channels of 32-bit floats.
const BYTES_PER_PIXEL: u64 = 16;

pub(super) fn decode(bytes: &[u8], wanted: &Wanted) -> Result<Pixels, ImageProblem> {
    let format = match wanted.format {
        Format::Png => ImageFormat::Png,
        Format::WebP => ImageFormat::WebP,
        Format::Bmp => ImageFormat::Bmp,
        Format::Gif => ImageFormat::Gif,
        // These have decoders of their own.
        #[cfg(feature = "jxl")]
        Format::Jxl => return Err(wanted.unsupported("an image of this format")),
        Format::Jpeg | Format::Tiff | Format::Npy => {
            return Err(wanted.unsupported("an image of this format"));
        }
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(
        wanted
            .max_pixels
            .saturating_mul(BYTES_PER_PIXEL)
            .saturating_add(OVERHEAD),
    );
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| wanted.broken(e))?;
    let (width, height) = decoder.dimensions();
    wanted.check_size(width, height)?;
    let turn = match wanted.format {
        Format::Png => metadata::of_png(bytes),
        Format::WebP => metadata::of_webp(bytes),
        _ => Orientation::NoTransforms,
    };
    let decoded = DynamicImage::from_decoder(decoder).map_err(|e| wanted.broken(e))?;
    let (samples, found) = samples_of(decoded);
    let pixels = wanted.pixels([width, height], found, samples)?;
    Ok(orientation::apply(pixels, turn))
}

/// The samples, of 8 or 16 bits, and their number of channels.
fn samples_of(image: DynamicImage) -> (Samples, usize) {
    match image {
        DynamicImage::ImageLuma16(image) => (image.into_raw().into(), 1),
        DynamicImage::ImageLumaA16(image) => (image.into_raw().into(), 2),
        DynamicImage::ImageRgb16(image) => (image.into_raw().into(), 3),
        DynamicImage::ImageRgba16(image) => (image.into_raw().into(), 4),
        image => {
            let alpha = image.color().has_alpha();
            match (image.color().has_color(), alpha) {
                (false, false) => (image.into_luma8().into_raw().into(), 1),
                (false, true) => (image.into_luma_alpha8().into_raw().into(), 2),
                (true, false) => (image.into_rgb8().into_raw().into(), 3),
                (true, true) => (image.into_rgba8().into_raw().into(), 4),
            }
        }
    }
}
