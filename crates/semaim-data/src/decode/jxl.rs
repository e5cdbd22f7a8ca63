//! JPEG XL, through `jxl-oxide`, in builds with the feature `jxl`.

use jxl_oxide::image::BitDepth;
use jxl_oxide::{AllocTracker, JxlImage, JxlThreadPool, PixelFormat};

use super::Wanted;
use crate::error::ImageProblem;
use crate::pixels::{Pixels, Samples};

/// What a decoder may allocate besides the pixels, in bytes.
const OVERHEAD: u64 = 64 << 20;

/// The most bytes per pixel a decoder works with: several buffers of eight channels of 32-bit numbers.
const BYTES_PER_PIXEL: u64 = 256;

/// Decodes the first frame, turned as the file says, in the colors that the file has, at the depth that it says.
pub(super) fn decode(bytes: &[u8], wanted: &Wanted) -> Result<Pixels, ImageProblem> {
    let limit = wanted
        .max_pixels
        .saturating_mul(BYTES_PER_PIXEL)
        .saturating_add(OVERHEAD);
    let image = JxlImage::builder()
        // The loader's threads decode an image each.
        .pool(JxlThreadPool::none())
        .alloc_tracker(AllocTracker::with_limit(
            usize::try_from(limit).unwrap_or(usize::MAX),
        ))
        .read(bytes)
        .map_err(|error| wanted.broken(error))?;
    let size = [image.width(), image.height()];
    wanted.check_size(size[0], size[1])?;
    if !image.is_loading_done() {
        return Err(wanted.broken("it has been cut off"));
    }
    if matches!(image.pixel_format(), PixelFormat::Cmyk | PixelFormat::Cmyka) {
        return Err(wanted.unsupported("a JPEG XL file of inks (CMYK)"));
    }
    let depth = image.image_header().metadata.bit_depth;
    let render = image
        .render_frame(0)
        .map_err(|error| wanted.broken(error))?;
    let mut stream = render.stream();
    let channels = stream.channels() as usize;
    let count = (size[0] as usize)
        .saturating_mul(size[1] as usize)
        .saturating_mul(channels);
    let (samples, written): (Samples, usize) = match depth {
        BitDepth::IntegerSample { bits_per_sample } if bits_per_sample <= 8 => {
            let mut samples = vec![0u8; count];
            let written = stream.write_to_buffer(&mut samples);
            (samples.into(), written)
        }
        BitDepth::IntegerSample { bits_per_sample } if bits_per_sample <= 16 => {
            let mut samples = vec![0u16; count];
            let written = stream.write_to_buffer(&mut samples);
            (samples.into(), written)
        }
        _ => {
            let mut samples = vec![0f32; count];
            let written = stream.write_to_buffer(&mut samples);
            (samples.into(), written)
        }
    };
    if written != count {
        return Err(wanted.broken("less data than the header promises"));
    }
    wanted.pixels(size, channels, samples)
}
