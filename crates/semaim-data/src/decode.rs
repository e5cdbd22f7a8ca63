//! From the bytes of an image file to pixels with the wanted number of channels.

mod format;
mod jpeg;
mod metadata;
mod orientation;
mod raster;
mod samples;
mod tiff;

use std::path::Path;

use crate::error::{ImageError, ImageProblem};
use crate::file::read_file_into;
use crate::panic::catch_decoder_panic;
use crate::pixels::Pixels;
use crate::region::{DecodeRequest, DecodedRegion};

pub use format::Format;
pub(crate) use samples::{convert, luma};

/// Decodes an image file.
///
/// The format is recognised by the first bytes, whatever the file is called: JPEG (grey, YCbCr, RGB, CMYK, YCCK), PNG,
/// WebP, BMP, TIFF and GIF (the first frame). 16-bit and float samples are scaled to 8 bits. The orientation
/// in EXIF or TIFF tags is applied.
///
/// `channels` is what to return: 3 is RGB, 1 is luma (ITU-R 601 weights, as Pillow's `L`), 4 is RGBA. Alpha is dropped
/// for 1 and 3, neither blended nor premultiplied, as Pillow's `convert("RGB")` does; it is 255 for 4 when the file has
/// none. Any other number is possible only for TIFFs with exactly that many samples per pixel, which are
/// returned as they are.
///
/// Images with more than `max_pixels` pixels are refused before memory is allocated for them.
///
/// # Errors
///
/// Whatever is wrong with the bytes; never panics, even when a decoder does. A JPEG without its end marker counts as
/// cut off and is refused, although its first rows could be shown.
pub fn decode(bytes: &[u8], channels: usize, max_pixels: u64) -> Result<Pixels, ImageProblem> {
    let options = DecodeOptions {
        channels,
        max_pixels,
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
        self.samples = pixels.data;
    }
}

/// What a source wants of all its images.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DecodeOptions {
    pub(crate) channels: usize,
    pub(crate) max_pixels: u64,
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
            format,
        };
        let decoded = catch_decoder_panic(|| match format {
            Format::Jpeg => {
                let samples = std::mem::take(&mut reading.samples);
                jpeg::decode(bytes, &wanted, request, &mut reading.jpeg, samples)
            }
            Format::Tiff => tiff::decode(bytes, &wanted).map(DecodedRegion::whole),
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

    /// The largest file worth reading, in bytes: uncompressed 16-bit RGBA of the pixel limit, and 64 MiB for
    /// metadata. It keeps a mislabelled archive from filling the memory.
    pub(crate) fn max_bytes(&self) -> u64 {
        let sample = 2 * self.channels.max(4) as u64;
        self.max_pixels
            .saturating_mul(sample)
            .saturating_add(64 << 20)
    }
}

/// What a decoder must return, and the format it was recognised as.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    channels: usize,
    max_pixels: u64,
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
            wanted: self.channels,
        }
    }
}
