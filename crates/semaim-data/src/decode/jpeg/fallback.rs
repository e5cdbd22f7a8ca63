//! Whole pictures of every kind of JPEG, through `zune-jpeg`.

use image::metadata::Orientation;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::super::{Wanted, orientation, samples};
use super::markers::last_end;
use crate::error::ImageProblem;
use crate::pixels::Pixels;

/// The largest side a JPEG header can state.
const MAX_SIDE: usize = 65_535;

const START_OF_SCAN: u8 = 0xDA;

pub(super) fn decode(bytes: &[u8], wanted: &Wanted) -> Result<Pixels, ImageProblem> {
    let options = DecoderOptions::new_fast()
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| wanted.broken(e))?;
    let info = decoder
        .info()
        .ok_or_else(|| wanted.broken("no image header"))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    wanted.check_size(width, height)?;
    if !matches!(wanted.channels, 1 | 3 | 4) {
        return Err(wanted.impossible(usize::from(info.components)));
    }
    if !has_end(bytes) {
        return Err(wanted.broken("the data are cut off, the end marker is missing"));
    }
    let turn = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);
    let found = if decoder.input_colorspace() == Some(ColorSpace::Luma) {
        decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
        1
    } else {
        3
    };
    let data = decoder.decode().map_err(|e| wanted.broken(e))?;
    let data =
        samples::convert(data, found, wanted.channels).ok_or_else(|| wanted.impossible(found))?;
    let pixels = Pixels::new(width, height, wanted.channels, data)
        .ok_or_else(|| wanted.broken("less data than the header promises"))?;
    Ok(orientation::apply(pixels, turn))
}

/// Whether an end marker follows the first scan.
///
/// The decoder fills what is missing with grey and says nothing, which would train on grey. Coded data cannot contain
/// the end marker, but a thumbnail before the scan has its own.
fn has_end(bytes: &[u8]) -> bool {
    match (last_end(bytes), scan_start(bytes)) {
        (Some(end), Some(start)) => end > start,
        _ => false,
    }
}

/// Where the first scan starts, found by walking over the segments before it.
fn scan_start(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        // Garbage and fill bytes between segments are skipped, as decoders do.
        while *bytes.get(at)? != 0xFF {
            at += 1;
        }
        while *bytes.get(at)? == 0xFF {
            at += 1;
        }
        let marker = *bytes.get(at)?;
        at += 1;
        match marker {
            START_OF_SCAN => return Some(at),
            // Markers without a segment.
            0x00 | 0x01 | 0xD0..=0xD9 => {}
            _ => {
                let length = [*bytes.get(at)?, *bytes.get(at + 1)?];
                at += usize::from(u16::from_be_bytes(length)).max(2);
            }
        }
    }
}
