//! The coded data of a page: where they are, and what the decoder does not notice of JPEGs among them.

use std::io::{Read, Seek};

use tiff::TiffError;
use tiff::decoder::Decoder;
use tiff::tags::{PlanarConfiguration, Tag};

use crate::decode::Wanted;
use crate::error::ImageProblem;

/// The code of the marker that ends a JPEG.
const END_OF_IMAGE: u8 = 0xD9;

/// Offsets and lengths of the strips or tiles of the decoder's current page.
pub(super) fn parts<R: Read + Seek>(
    decoder: &mut Decoder<R>,
) -> Result<Vec<(u64, u64)>, TiffError> {
    let mut parts = Vec::new();
    for [offsets, lengths] in [
        [Tag::StripOffsets, Tag::StripByteCounts],
        [Tag::TileOffsets, Tag::TileByteCounts],
    ] {
        let offsets = decoder.find_tag_unsigned_vec::<u64>(offsets)?;
        let lengths = decoder.find_tag_unsigned_vec::<u64>(lengths)?;
        let pairs = offsets.unwrap_or_default().into_iter();
        parts.extend(pairs.zip(lengths.unwrap_or_default()));
    }
    Ok(parts)
}

/// What is wrong with the JPEGs of the decoder's current page, which has so many samples per pixel, where the decoder would give
/// other pixels for it instead of an error: it fills up JPEGs that are cut off, and leaves a part of two components zero.
pub(super) fn jpeg_problem<R: Read + Seek>(
    decoder: &mut Decoder<R>,
    bytes: &[u8],
    samples: u16,
    wanted: &Wanted,
) -> Result<Option<ImageProblem>, TiffError> {
    let planar = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration)?;
    // JPEGs of planes have one component.
    if samples == 2 && planar != Some(PlanarConfiguration::Planar.to_u16()) {
        let what = "a TIFF of JPEGs with 2 samples per pixel";
        return Ok(Some(wanted.unsupported(what)));
    }
    let is_cut_off = |&(offset, length): &(u64, u64)| {
        part(bytes, offset, length).is_none_or(|jpeg| !is_whole(jpeg))
    };
    let cut_off = parts(decoder)?.iter().position(is_cut_off);
    Ok(cut_off.map(|number| {
        wanted.broken(format!(
            "the JPEG of strip or tile {number} (counted from 0) is cut off"
        ))
    }))
}

/// The bytes of a strip or tile, as many as are in the file: its length may be more than it takes.
fn part(bytes: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let end = start.saturating_add(length).min(bytes.len());
    bytes.get(start..end)
}

/// Whether a JPEG goes on to its end marker; not to that of a smaller picture in one of its segments. Whatever follows, such as
/// zeros that fill up, does not matter.
fn is_whole(mut jpeg: &[u8]) -> bool {
    // In coded data a zero follows what is no marker; restart markers and those of the start are no segments, and any
    // number of 0xFF may stand before a marker.
    let is_segment = |pair: &[u8]| match pair {
        [0xFF, code] => !matches!(*code, 0x00 | 0x01 | 0xD0..=0xD8 | 0xFF),
        _ => false,
    };
    while let Some(at) = jpeg.windows(2).position(is_segment) {
        let length = match &jpeg[at..] {
            [_, END_OF_IMAGE, ..] => return true,
            [_, _, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
            _ => return false,
        };
        // The length counts itself, not the marker.
        jpeg = jpeg.get(at + 2 + length..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jpegs_are_whole_with_their_own_end() {
        // The end of a smaller picture in a segment, a scan with a restart marker and a level of 0xFF, and the end.
        let parts: [&[u8]; 5] = [
            &[0xFF, 0xD8],
            &[0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9],
            &[0xFF, 0xDA, 0, 3, 0],
            &[1, 0xFF, 0, 2, 0xFF, 0xD3, 3],
            &[0xFF, 0xFF, 0xD9],
        ];
        let mut jpeg: Vec<u8> = parts.concat();
        assert!(is_whole(&jpeg));
        for length in 0..jpeg.len() {
            assert!(!is_whole(&jpeg[..length]), "{length}");
        }
        jpeg.extend_from_slice(&[0, 0]);
        assert!(is_whole(&jpeg));
        let end = jpeg.len() - 4;
        jpeg[end..].fill(0);
        assert!(!is_whole(&jpeg));
    }

    #[test]
    fn parts_end_with_the_file() {
        let bytes = [1u8, 2, 3, 4];
        assert_eq!(part(&bytes, 1, 3), Some(&[2, 3, 4][..]));
        assert_eq!(part(&bytes, 2, 3), Some(&[3, 4][..]));
        assert_eq!(part(&bytes, 1, u64::MAX), Some(&[2, 3, 4][..]));
        assert_eq!(part(&bytes, 9, 0), None);
    }
}
