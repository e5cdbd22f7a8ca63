//! JPEG: the usual kind by a decoder of our own, which decodes only what a view needs; all others through `zune-jpeg`.
//!
//! Nearly every photograph is a sequential JPEG of 8 bits with one or three components in one scan. Of these, only the
//! wanted part is decoded, at the size that suffices, and nothing after its last row is read. Whatever is unusual or
//! damaged as far as it was read is left to the other decoder, which decides whether and how it can be shown.

mod bits;
mod blocks;
mod colour;
mod fallback;
mod huffman;
mod idct;
mod markers;
mod picture;
mod region;
mod upsample;

use super::{Wanted, orientation, samples};
use crate::error::ImageProblem;
use crate::pixels::Pixels;
use crate::region::{DecodeRequest, DecodedRegion};

use markers::{Colours, Header};
use region::Layout;

pub(super) use picture::Buffers;

/// Decodes what is needed. `out` is memory for the samples.
pub(super) fn decode(
    bytes: &[u8],
    wanted: &Wanted,
    request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
    buffers: &mut Buffers,
    out: Vec<u8>,
) -> Result<DecodedRegion, ImageProblem> {
    match decode_usual(bytes, wanted, request, buffers, out) {
        Some(part) => Ok(part),
        None => fallback::decode(bytes, wanted).map(DecodedRegion::whole),
    }
}

/// `None` when the file is not of the usual kind, is damaged, or must be refused.
fn decode_usual(
    bytes: &[u8],
    wanted: &Wanted,
    request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
    buffers: &mut Buffers,
    mut out: Vec<u8>,
) -> Option<DecodedRegion> {
    let header = Header::parse(bytes)?;
    let [width, height] = header.size;
    wanted.check_size(width, height).ok()?;
    if !matches!(wanted.channels, 1 | 3 | 4) || !header.has_end(bytes) {
        return None;
    }
    let turn = header.orientation;
    let size = orientation::turned_size(header.size, turn);
    let request = request(size);
    let part = orientation::stored_box(request.region.within(size), header.size, turn);
    let layout = Layout::new(&header, part, request.shrink)?;
    let data = bytes.get(header.scan..)?;
    picture::decode(&header, &layout, data, buffers, &mut out)?;
    let found = if header.colours == Colours::Grey {
        1
    } else {
        3
    };
    let data = samples::convert(out, found, wanted.channels)?;
    let columns = u32::try_from(layout.columns.len()).ok()?;
    let rows = u32::try_from(layout.rows.len()).ok()?;
    let pixels = Pixels::new(columns, rows, wanted.channels, data)?;
    let covered = [
        layout.columns.start,
        layout.rows.start,
        layout.columns.len(),
        layout.rows.len(),
    ];
    let covered = covered.map(|n| (n * layout.shrink) as i64);
    Some(DecodedRegion {
        pixels: orientation::apply(pixels, turn),
        image_size: size,
        origin: orientation::turned_origin(covered, header.size, turn),
        shrink: layout.shrink as u32,
    })
}
