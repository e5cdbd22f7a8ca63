//! From the bytes of an image file to pixels with the wanted number of channels.

mod format;
mod jpeg;
#[cfg(feature = "jxl")]
mod jxl;
mod metadata;
mod npy;
mod orientation;
mod raster;
mod samples;
mod stack;
mod tiff;

use std::path::Path;

use crate::error::{ImageError, ImageProblem};
use crate::file::read_file_into;
use crate::panic::catch_decoder_panic;
use crate::pixels::{Pixels, Samples};
use crate::region::{DecodeRequest, DecodedRegion};

pub use format::Format;
pub(crate) use samples::{convert, luma};
pub(crate) use stack::{Layer, stacked};

/// Decodes an image file.
///
/// The format is recognized by the first bytes, whatever the file is called: JPEG (gray, YCbCr, RGB, CMYK, YCCK), PNG,
/// WebP, BMP, TIFF, GIF (the first frame) and NumPy's `.npy` (`[height, width]`, `[height, width, channels]` or `[channels, height,
/// width]`), in builds with the feature `jxl` JPEG XL, too. Samples keep their depth: 8 bits, 16 bits, floats as they are. The orientation in EXIF or TIFF tags is applied.
///
/// `channels` is what to return: 3 is RGB, 1 is luma (ITU-R 601 weights, as Pillow's `L`), 4 is RGBA. Alpha is dropped
/// for 1 and 3, neither blended nor premultiplied, as Pillow's `convert("RGB")` does; it is the largest value for 4 when the file has
/// none. Any other number is possible only for files with exactly that many channels, which are returned as they are: TIFFs with so
/// many samples per pixel, or so many in all pages of one size, and arrays.
///
/// Images with more than `max_pixels` pixels are refused before memory is allocated for them.
///
/// # Errors
///
/// Whatever is wrong with the bytes; never panics, even when a decoder does. A JPEG without its end marker counts as
/// cut off and is refused, although its first rows could be shown.
pub fn decode(bytes: &[u8], channels: usize, max_pixels: u64) -> Result<Pixels, ImageProblem> {
    let options = DecodeOptions {
        channels: Some(channels),
        max_pixels,
        unit_floats: false,
    };
    let part = options.decode_part(
        bytes,
        &mut DecodeRequest::whole,
        &mut DecodeBuffers::default(),
    )?;
    Ok(part.pixels)
}

/// Memory for reading and decoding that is used again for every image.
#[derive(Debug, Default)]
pub(crate) struct DecodeBuffers {
    /// The bytes of a file.
    file: Vec<u8>,
    jpeg: jpeg::Buffers,
    /// The samples of an image that is done with.
    samples: Vec<u8>,
}

impl DecodeBuffers {
    /// Takes back the memory of an image that is done with.
    pub(crate) fn reuse(&mut self, pixels: Pixels) {
        if let Samples::U8(samples) = pixels.samples {
            self.samples = samples;
        }
    }
}

/// What a source wants of all its images.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DecodeOptions {
    /// How many channels; `None`: as many as the image has.
    pub(crate) channels: Option<usize>,
    pub(crate) max_pixels: u64,
    /// Whether floats beyond 0 to 1 are refused.
    pub(crate) unit_floats: bool,
}

impl DecodeOptions {
    /// [`decode`] of what is needed; the other formats than JPEG always give the whole image.
    pub(crate) fn decode_part(
        &self,
        bytes: &[u8],
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        reading: &mut DecodeBuffers,
    ) -> Result<DecodedRegion, ImageProblem> {
        if bytes.is_empty() {
            return Err(ImageProblem::Empty);
        }
        let format = Format::of(bytes).ok_or_else(|| match Format::not_read_content(bytes) {
            Some(format) => ImageProblem::Unsupported {
                what: format!("a {format} file"),
            },
            None => ImageProblem::UnknownFormat,
        })?;
        let wanted = Wanted {
            channels: self.channels,
            max_pixels: self.max_pixels,
            unit_floats: self.unit_floats,
            format,
        };
        let decoded = catch_decoder_panic(|| match format {
            Format::Jpeg => {
                let samples = std::mem::take(&mut reading.samples);
                jpeg::decode(bytes, &wanted, request, &mut reading.jpeg, samples)
            }
            Format::Tiff => tiff::decode(bytes, &wanted).map(DecodedRegion::whole),
            #[cfg(feature = "jxl")]
            Format::Jxl => jxl::decode(bytes, &wanted).map(DecodedRegion::whole),
            Format::Npy => npy::decode(bytes, &wanted).map(DecodedRegion::whole),
            _ => raster::decode(bytes, &wanted).map(DecodedRegion::whole),
        });
        decoded.unwrap_or_else(|message| {
            Err(ImageProblem::DecoderPanic {
                format: format.name(),
                message,
            })
        })
    }

    /// Reads a file and decodes what is needed.
    pub(crate) fn decode_file(
        &self,
        path: &Path,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        reading: &mut DecodeBuffers,
    ) -> Result<DecodedRegion, ImageError> {
        let read = |bytes: &mut Vec<u8>| read_file_into(path, self.max_bytes(), bytes);
        self.decode_read(read, request, reading)
            .map_err(|problem| ImageError {
                name: path.display().to_string(),
                problem,
            })
    }

    /// Decodes what is needed of the bytes that `read` puts in the place of others.
    pub(crate) fn decode_read(
        &self,
        read: impl FnOnce(&mut Vec<u8>) -> Result<(), ImageProblem>,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        reading: &mut DecodeBuffers,
    ) -> Result<DecodedRegion, ImageProblem> {
        let mut bytes = std::mem::take(&mut reading.file);
        let part = read(&mut bytes).and_then(|()| self.decode_part(&bytes, request, reading));
        reading.file = bytes;
        part
    }

    /// The largest file worth reading, in bytes: uncompressed RGBA, or as many channels as are wanted, in single precision of the
    /// pixel limit, and 64 MiB for metadata. It keeps a mislabeled archive from filling the memory.
    pub(crate) fn max_bytes(&self) -> u64 {
        let sample = 4 * self.channels.unwrap_or(4).max(4) as u64;
        self.max_pixels
            .saturating_mul(sample)
            .saturating_add(64 << 20)
    }
}

/// What a decoder must return, and the format it was recognized as.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    channels: Option<usize>,
    max_pixels: u64,
    unit_floats: bool,
    format: Format,
}

impl Wanted {
    /// Checks the size in the header, before anything is allocated.
    fn check_size(&self, width: u32, height: u32) -> Result<(), ImageProblem> {
        if width == 0 || height == 0 {
            return Err(ImageProblem::NoPixels { width, height });
        }
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(ImageProblem::TooLarge {
                width,
                height,
                limit: self.max_pixels,
            });
        }
        Ok(())
    }

    /// The error for data a decoder refuses.
    fn broken(&self, reason: impl std::fmt::Display) -> ImageProblem {
        ImageProblem::Decode {
            format: self.format.name(),
            reason: reason.to_string(),
        }
    }

    /// The error for an image of a kind that is not read, such as `a JPEG with arithmetic coding`.
    fn unsupported(&self, what: impl Into<String>) -> ImageProblem {
        ImageProblem::Unsupported { what: what.into() }
    }

    /// The error for images with `found` channels that cannot become the wanted ones.
    fn impossible(&self, found: usize) -> ImageProblem {
        ImageProblem::Channels {
            format: self.format.name(),
            found,
            wanted: self.channels.unwrap_or(found),
        }
    }

    /// The image of `size` (columns, rows) whose samples have `found` channels, with the wanted number of them.
    fn pixels(
        &self,
        [width, height]: [u32; 2],
        found: usize,
        mut samples: Samples,
    ) -> Result<Pixels, ImageProblem> {
        if let Samples::F32(floats) = &mut samples {
            self.check_floats(floats, [width as usize, found])?;
        }
        let channels = self.channels.unwrap_or(found);
        let samples = samples::convert_samples(samples, found, channels)
            .ok_or_else(|| self.impossible(found))?;
        Pixels::new(width, height, channels, samples)
            .ok_or_else(|| self.broken("less data than the header promises"))
    }

    /// Refuses what is no number, and numbers that normalization is not for. `columns` and `channels` tell where one is.
    fn check_floats(
        &self,
        floats: &mut [f32],
        [columns, channels]: [usize; 2],
    ) -> Result<(), ImageProblem> {
        /// How far rounding may lead beyond 0 to 1.
        const SLACK: f32 = 1e-3;
        if let Some(at) = floats.iter().position(|value| !value.is_finite()) {
            let pixel = at / channels.max(1);
            return Err(ImageProblem::NotFinite {
                value: floats.get(at).copied().unwrap_or(f32::NAN),
                column: pixel % columns.max(1),
                row: pixel / columns.max(1),
                channel: at % channels.max(1),
            });
        }
        if !self.unit_floats {
            return Ok(());
        }
        let low = floats.iter().copied().fold(f32::INFINITY, f32::min);
        let high = floats.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if low < -SLACK || high > 1.0 + SLACK {
            return Err(ImageProblem::FloatRange { low, high });
        }
        for value in floats {
            *value = value.clamp(0.0, 1.0);
        }
        Ok(())
    }
}
