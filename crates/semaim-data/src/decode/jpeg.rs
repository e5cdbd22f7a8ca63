//! JPEGs, of which only what is needed is decoded.

use semaim_jpeg::{Jpeg, JpegError};

use super::metadata;
use super::{Wanted, orientation, samples};
use crate::error::ImageProblem;
use crate::pixels::Pixels;
use crate::region::{DecodeRequest, DecodedRegion};

pub(super) use semaim_jpeg::Buffers;

/// Decodes what is needed. `out` is memory for the samples.
pub(super) fn decode(
    bytes: &[u8],
    wanted: &Wanted,
    request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
    buffers: &mut Buffers,
    out: Vec<u8>,
) -> Result<DecodedRegion, ImageProblem> {
    let told = |error| match error {
        JpegError::Unsupported { what } => wanted.unsupported(what),
        error => wanted.broken(error),
    };
    let jpeg = Jpeg::parse(bytes).map_err(told)?;
    let stored = jpeg.size();
    wanted.check_size(stored[0], stored[1])?;
    if wanted
        .channels
        .is_some_and(|channels| !matches!(channels, 1 | 3 | 4))
    {
        return Err(wanted.impossible(jpeg.components()));
    }
    let turn = metadata::orientation(jpeg.exif(), jpeg.xmp());
    let image_size = orientation::turned_size(stored, turn);
    let request = request(image_size);
    let region = orientation::stored_box(request.region.within(image_size), stored, turn);
    let decoded = jpeg
        .decode(region, request.shrink, buffers, out)
        .map_err(told)?;
    let found = decoded.channels;
    let channels = wanted.channels.unwrap_or(found);
    let pixels = samples::convert(decoded.samples, found, channels)
        .and_then(|data| Pixels::new(decoded.width, decoded.height, channels, data))
        .ok_or_else(|| wanted.impossible(found))?;
    let [left, top] = decoded.origin;
    let covered = [left, top, decoded.width, decoded.height];
    let covered = covered.map(|n| i64::from(n) * i64::from(decoded.shrink));
    Ok(DecodedRegion {
        pixels: orientation::apply(pixels, turn),
        image_size,
        origin: orientation::turned_origin(covered, stored, turn),
        shrink: decoded.shrink,
    })
}
