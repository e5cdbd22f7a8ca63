//! TIFFs: grey, colours, palettes, CMYK, alpha, and any number of samples per pixel.

mod samples;

use std::borrow::Cow;
use std::io::Cursor;

use ::tiff::decoder::{Decoder, DecodingResult, Limits};
use ::tiff::tags::{CompressionMethod, PhotometricInterpretation, Tag};
use ::tiff::{ColorType, TiffError};

use super::{Wanted, metadata, orientation, samples as channels};
use crate::error::ImageProblem;
use crate::pixels::Pixels;

/// The tag of the XMP packet.
const XMP: u16 = 700;

/// Bytes per sample of the widest kind.
const WIDEST: usize = 8;

/// What the tags of a file say beside what the decoder takes care of.
struct Tags {
    size: [u32; 2],
    /// Red, green and blue of each index, 8 bits each.
    palette: Option<Vec<[u8; 3]>>,
    /// Whether colours are stored multiplied by alpha.
    associated_alpha: bool,
    turn: image::metadata::Orientation,
    /// Where the bits of the coded data are in the opposite order, the ranges of bytes with them.
    reversed: Vec<(u64, u64)>,
}

pub(super) fn decode(bytes: &[u8], wanted: &Wanted) -> Result<Pixels, ImageProblem> {
    let told = |error: TiffError| match error {
        TiffError::UnsupportedError(error) => {
            wanted.unsupported(format!("a TIFF of a kind that is not decoded ({error})"))
        }
        error => wanted.broken(error),
    };
    let tags = Tags::read(bytes, wanted).map_err(told)??;
    let bytes = patched(bytes, &tags);
    let [width, height] = tags.size;
    let mut decoder = Decoder::new(Cursor::new(&bytes[..])).map_err(told)?;
    let color = decoder.colortype().map_err(told)?;
    let (width, height) = (width as usize, height as usize);
    let mut limits = Limits::default();
    let count = width.saturating_mul(height);
    limits.decoding_buffer_size = count
        .saturating_mul(usize::from(color.num_samples()))
        .saturating_mul(WIDEST);
    limits.intermediate_buffer_size = limits.decoding_buffer_size.max(1 << 20);
    let mut decoder = decoder.with_limits(limits);
    let mut result = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut result).map_err(told)?;
    let found = usize::from(color.num_samples());
    let data = match (color.bit_depth(), result) {
        (bits @ (1 | 2 | 4), DecodingResult::U8(packed)) => {
            // Indices are numbers, all others are levels.
            let is_index = tags.palette.is_some();
            samples::unpacked(&packed, width * found, bits, is_index)
        }
        (_, result) => samples::eight_bits(result).map_err(|kind| wanted.unsupported(kind))?,
    };
    let data = match layout.planes {
        0 | 1 => data,
        _ => samples::interleaved(&data, count, found),
    };
    let pixels = |data: Vec<u8>, channels: usize| {
        Pixels::new(tags.size[0], tags.size[1], channels, data)
            .map(|pixels| orientation::apply(pixels, tags.turn))
            .ok_or_else(|| wanted.broken("less data than the header promises"))
    };
    // What is no picture to look at is given as it is, if that is asked for.
    let multiband = matches!(color, ColorType::Multiband { .. });
    if !matches!(wanted.channels, 1 | 3 | 4) || (multiband && found > 2) {
        return if found == wanted.channels {
            pixels(data, found)
        } else {
            Err(wanted.impossible(found))
        };
    }
    let (data, found) = match (color, tags.palette) {
        (ColorType::Gray(_), Some(palette)) => (samples::coloured(&data, &palette), 3),
        (ColorType::CMYK(_), _) => (samples::printed::<4>(&data), 3),
        (ColorType::CMYKA(_), _) => (samples::printed::<5>(&data), 3),
        (ColorType::YCbCr(_), _) => (samples::from_ycbcr(&data), 3),
        (ColorType::RGBA(_), _) if tags.associated_alpha => (samples::divided::<4>(data), 4),
        (ColorType::Multiband { .. }, _) if tags.associated_alpha => {
            (samples::divided::<2>(data), 2)
        }
        (ColorType::Gray(_) | ColorType::RGB(_) | ColorType::RGBA(_), _)
        | (ColorType::Multiband { .. }, _) => (data, found),
        (other, _) => return Err(wanted.unsupported(format!("a TIFF of colours {other:?}"))),
    };
    let data =
        channels::convert(data, found, wanted.channels).ok_or_else(|| wanted.impossible(found))?;
    pixels(data, wanted.channels)
}

impl Tags {
    fn read(bytes: &[u8], wanted: &Wanted) -> Result<Result<Self, ImageProblem>, TiffError> {
        let mut decoder = Decoder::new(Cursor::new(bytes))?;
        let (width, height) = decoder.dimensions()?;
        if let Err(problem) = wanted.check_size(width, height) {
            return Ok(Err(problem));
        }
        let photometric = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation)?;
        let is_palette = photometric == Some(PhotometricInterpretation::RGBPalette.to_u16());
        let palette = if is_palette {
            let map: Vec<u16> = decoder
                .find_tag_unsigned_vec(Tag::ColorMap)?
                .unwrap_or_default();
            match palette(&map) {
                Some(palette) => Some(palette),
                None => return Ok(Err(wanted.broken("there is no palette"))),
            }
        } else {
            None
        };
        let extra: Vec<u16> = decoder
            .find_tag_unsigned_vec(Tag::ExtraSamples)?
            .unwrap_or_default();
        let turn = decoder.find_tag_unsigned::<u32>(Tag::Orientation);
        let xmp = decoder.find_tag(Tag::Unknown(XMP)).ok().flatten();
        let xmp = xmp.and_then(|xmp| xmp.into_u8_vec().ok());
        let order = decoder.find_tag_unsigned::<u16>(Tag::FillOrder)?;
        let compression = decoder.find_tag_unsigned::<u16>(Tag::Compression)?;
        let jpeg = CompressionMethod::ModernJPEG.to_u16();
        let mut reversed = Vec::new();
        // JPEG data are bytes, whatever the order of bits.
        if order == Some(2) && compression != Some(jpeg) {
            for [offsets, counts] in [
                [Tag::StripOffsets, Tag::StripByteCounts],
                [Tag::TileOffsets, Tag::TileByteCounts],
            ] {
                let offsets = decoder.find_tag_unsigned_vec::<u64>(offsets)?;
                let counts = decoder.find_tag_unsigned_vec::<u64>(counts)?;
                let pairs = offsets.unwrap_or_default().into_iter();
                reversed.extend(pairs.zip(counts.unwrap_or_default()));
            }
        }
        Ok(Ok(Self {
            size: [width, height],
            palette,
            associated_alpha: extra.first() == Some(&1),
            turn: metadata::of_tiff(turn.ok().flatten(), xmp.as_deref()),
            reversed,
        }))
    }
}

/// The colours of a map that has all reds, then all greens, then all blues.
fn palette(map: &[u16]) -> Option<Vec<[u8; 3]>> {
    let count = map.len() / 3;
    if count == 0 {
        return None;
    }
    // Some writers put 8 bits where 16 belong.
    let shift = if map.iter().all(|&level| level < 256) {
        0
    } else {
        8
    };
    let level = |channel: usize, index: usize| (map[channel * count + index] >> shift) as u8;
    let colour = |index: usize| [level(0, index), level(1, index), level(2, index)];
    Some((0..count).map(colour).collect())
}

/// The file as the decoder reads it rightly: indices of a palette as levels of grey, and bits in the usual order.
fn patched<'a>(bytes: &'a [u8], tags: &Tags) -> Cow<'a, [u8]> {
    if tags.palette.is_none() && tags.reversed.is_empty() {
        return Cow::Borrowed(bytes);
    }
    let mut bytes = bytes.to_vec();
    if tags.palette.is_some() {
        set_photometric(&mut bytes, PhotometricInterpretation::BlackIsZero.to_u16());
    }
    for &(offset, count) in &tags.reversed {
        let range = offset as usize..offset.saturating_add(count) as usize;
        for byte in bytes.get_mut(range).unwrap_or_default() {
            *byte = byte.reverse_bits();
        }
    }
    Cow::Owned(bytes)
}

/// Sets the photometric interpretation in the first directory. Where that is not found, nothing is changed.
fn set_photometric(bytes: &mut [u8], value: u16) -> Option<()> {
    let little = bytes.first() == Some(&b'I');
    let number = |bytes: &[u8], at: usize, len: usize| -> Option<u64> {
        let field = bytes.get(at..at.checked_add(len)?)?.iter();
        let add = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
        Some(match little {
            true => field.rev().fold(0, add),
            false => field.fold(0, add),
        })
    };
    // BigTIFF has wider numbers.
    let big = number(bytes, 2, 2)? == 43;
    let (start, count_len, entry_len, value_at) = match big {
        true => (number(bytes, 8, 8)?, 8, 20, 12),
        false => (number(bytes, 4, 4)?, 2, 12, 8),
    };
    let start = usize::try_from(start).ok()?;
    let count = usize::try_from(number(bytes, start, count_len)?).ok()?;
    let tag = u64::from(Tag::PhotometricInterpretation.to_u16());
    let entry = (0..count.min(1 << 16))
        .map(|entry| start + count_len + entry_len * entry)
        .find(|&at| number(bytes, at, 2) == Some(tag))?;
    let field = bytes.get_mut(entry + value_at..entry + value_at + 2)?;
    field.copy_from_slice(&match little {
        true => value.to_le_bytes(),
        false => value.to_be_bytes(),
    });
    Some(())
}
