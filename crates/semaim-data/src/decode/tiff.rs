//! TIFFs: gray, colors, palettes, CMYK, alpha, any number of samples per pixel, and pages that are channels.

mod bands;
mod coded;
mod planes;
mod samples;

use std::borrow::Cow;
use std::io::Cursor;

use ::tiff::decoder::{Decoder, DecodingResult, Limits};
use ::tiff::tags::{CompressionMethod, PhotometricInterpretation, Tag};
use ::tiff::{ColorType, TiffError};

use self::bands::{Bands, SampleTags};
use super::{Layer, Wanted, metadata, orientation, samples as channels, stacked};
use crate::error::ImageProblem;
use crate::notices;
use crate::pixels::{Pixels, Samples};

/// The tag of the XMP packet.
const XMP: u16 = 700;

/// Bytes per sample of the widest kind.
const WIDEST: usize = 8;

/// What the tags of a file say beside what the decoder takes care of.
struct Tags {
    size: [u32; 2],
    /// Red, green and blue of each index, 8 bits each.
    palette: Option<Vec<[u8; 3]>>,
    /// Samples per pixel.
    count: usize,
    /// What samples that are neither colors nor alpha stand beside, where there are any.
    bands: Option<Bands>,
    /// Whether colors are stored multiplied by alpha.
    associated_alpha: bool,
    /// Where the directory of the page is.
    directory: u64,
    turn: image::metadata::Orientation,
    /// Where the bits of the coded data are in the opposite order, the ranges of bytes with them.
    reversed: Vec<(u64, u64)>,
}

/// Decodes the first page, or as the channels of one image all pages of its size, where these have as many as are wanted.
pub(super) fn decode(bytes: &[u8], wanted: &Wanted) -> Result<Pixels, ImageProblem> {
    let pages = Pages::of(bytes);
    let channels = pages.places.len() * pages.channels;
    let stack = match wanted.channels {
        _ if pages.places.len() < 2 => false,
        None => true,
        Some(wanted) if wanted == channels => true,
        Some(1 | 3 | 4) => {
            notices::warn(
                "a TIFF has several pages, of which the first is read; where they are channels, model.channels (or --channels) \
                 must be as many as all pages have"
                    .to_owned(),
            );
            false
        }
        Some(_) => return Err(wanted.impossible(channels)),
    };
    if !stack {
        return decode_page(bytes, 0, wanted);
    }
    let as_it_is = Wanted {
        channels: None,
        ..*wanted
    };
    let layer = |&place: &usize| -> Result<Layer, ImageProblem> {
        Ok(Layer {
            name: format!("page {place}"),
            pixels: decode_page(bytes, place, &as_it_is)?,
        })
    };
    let layers: Result<Vec<Layer>, ImageProblem> = pages.places.iter().map(layer).collect();
    stacked(layers?, wanted.channels)
}

/// The pages that may be channels of one image.
struct Pages {
    /// Places of pages that have the first one's size and number of samples and are neither a smaller copy of another nor a mask.
    places: Vec<usize>,
    /// Samples per pixel of each.
    channels: usize,
}

impl Pages {
    /// The most pages that are looked at.
    const MOST: usize = 4096;

    /// Pages that cannot be read end the list: they do not spoil the first.
    fn of(bytes: &[u8]) -> Self {
        let mut pages = Self {
            places: Vec::new(),
            channels: 0,
        };
        let Ok(mut decoder) = Decoder::new(Cursor::new(bytes)) else {
            return pages;
        };
        let mut first = None;
        for place in 0..Self::MOST {
            let (Ok(size), Some(channels)) = (decoder.dimensions(), channels_of(&mut decoder))
            else {
                break;
            };
            let kind = decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType);
            let is_another = kind.ok().flatten().is_some_and(|kind| kind & 0b101 != 0);
            if place == 0 {
                pages.channels = channels;
            }
            let page = (size, channels);
            if *first.get_or_insert(page) == page && (place == 0 || !is_another) {
                pages.places.push(place);
            }
            if !decoder.more_images() || decoder.next_image().is_err() {
                break;
            }
        }
        pages
    }
}

/// Samples per pixel of the current page, bands among them; `None` for kinds that are no channels, such as palettes.
fn channels_of(decoder: &mut Decoder<Cursor<&[u8]>>) -> Option<usize> {
    let tags = SampleTags::read(decoder).ok()?;
    if tags.bands().is_some() {
        return Some(usize::from(tags.count));
    }
    let color = decoder.colortype().ok()?;
    Some(usize::from(color.num_samples()))
}

/// What an error of the decoder says of a file.
fn told(wanted: &Wanted, error: TiffError) -> ImageProblem {
    match error {
        TiffError::UnsupportedError(error) => {
            wanted.unsupported(format!("a TIFF of a kind that is not decoded ({error})"))
        }
        error => wanted.broken(error),
    }
}

/// All samples of a page as they are stored, interleaved, and what they are. Samples with bands among them are all called bands.
fn read_samples(
    bytes: &[u8],
    page: usize,
    tags: &Tags,
    wanted: &Wanted,
) -> Result<(ColorType, Samples), ImageProblem> {
    let told = |error| told(wanted, error);
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(told)?;
    if page > 0 {
        decoder.seek_to_image(page).map_err(told)?;
    }
    let color = decoder.colortype().map_err(told)?;
    let found = usize::from(color.num_samples());
    // The decoder drops samples that it has no place for, and with a predictor spoils the others.
    if found != tags.count {
        let count = tags.count;
        return Err(wanted.unsupported(format!(
            "a TIFF of colors {color:?} with {count} samples per pixel"
        )));
    }
    let [width, height] = tags.size.map(|side| side as usize);
    let mut limits = Limits::default();
    let count = width.saturating_mul(height);
    limits.decoding_buffer_size = count.saturating_mul(found).saturating_mul(WIDEST);
    limits.intermediate_buffer_size = limits.decoding_buffer_size.max(1 << 20);
    let mut decoder = decoder.with_limits(limits.clone());
    let (result, layout) = planes::read(&mut decoder, &limits).map_err(told)?;
    let is_planar = layout.planes > 1;
    let samples = match (color.bit_depth(), result) {
        (bits @ (1 | 2 | 4), DecodingResult::U8(packed)) => {
            // Rows of a plane have one sample per pixel.
            let row = if is_planar { width } else { width * found };
            // Indices are numbers, all others are levels.
            let is_index = tags.palette.is_some();
            samples::unpacked(&packed, row, bits, is_index).into()
        }
        (_, result) => samples::levels(result).map_err(|kind| wanted.unsupported(kind))?,
    };
    let samples = match samples {
        samples if !is_planar => samples,
        Samples::U8(planes) => channels::interleaved(&planes, count, found).into(),
        Samples::U16(planes) => channels::interleaved(&planes, count, found).into(),
        Samples::F32(planes) => channels::interleaved(&planes, count, found).into(),
    };
    Ok((color, samples))
}

fn decode_page(bytes: &[u8], page: usize, wanted: &Wanted) -> Result<Pixels, ImageProblem> {
    let tags = Tags::read(bytes, page, wanted).map_err(|error| told(wanted, error))??;
    let bytes = patched(bytes, &tags);
    let (color, samples) = read_samples(&bytes, page, &tags, wanted)?;
    let bands = tags.bands;
    let picture = bands.and_then(|bands| bands.picture(wanted.channels, color.bit_depth()));
    let (color, samples) = match picture {
        Some(picture) => {
            let colors = usize::from(picture.num_samples());
            (picture, samples::leading(samples, tags.count, colors))
        }
        None => (color, samples),
    };
    let found = usize::from(color.num_samples());
    let pixels = |samples: Samples, found: usize| {
        wanted
            .pixels(tags.size, found, samples)
            .map(|pixels| orientation::apply(pixels, tags.turn))
    };
    // What is no picture to look at is given as it is, if that is asked for.
    let multiband = matches!(color, ColorType::Multiband { .. });
    let as_it_is = match wanted.channels {
        None => multiband,
        Some(channels) => !matches!(channels, 1 | 3 | 4) || (multiband && found > 2),
    };
    if as_it_is {
        return match wanted.channels {
            Some(channels) if channels != found => Err(wanted.impossible(found)),
            _ => pixels(samples, found),
        };
    }
    // Colors that have to be computed are so in 8 bits.
    let bytes = |samples| samples::bytes(samples).map_err(|kind| wanted.unsupported(kind));
    match (color, tags.palette) {
        (ColorType::Gray(_), Some(palette)) => {
            pixels(samples::colored(&bytes(samples)?, &palette).into(), 3)
        }
        (ColorType::CMYK(_), _) => pixels(samples::printed::<4>(&bytes(samples)?).into(), 3),
        (ColorType::CMYKA(_), _) => pixels(samples::printed::<5>(&bytes(samples)?).into(), 3),
        (ColorType::YCbCr(_), _) => pixels(samples::from_ycbcr(&bytes(samples)?).into(), 3),
        (ColorType::RGBA(_), _) if tags.associated_alpha => {
            pixels(samples::divided::<4>(bytes(samples)?).into(), 4)
        }
        (ColorType::Multiband { .. }, _) if tags.associated_alpha => {
            pixels(samples::divided::<2>(bytes(samples)?).into(), 2)
        }
        (ColorType::Gray(_) | ColorType::RGB(_) | ColorType::RGBA(_), _)
        | (ColorType::Multiband { .. }, _) => pixels(samples, found),
        (other, _) => Err(wanted.unsupported(format!("a TIFF of colors {other:?}"))),
    }
}

impl Tags {
    fn read(
        bytes: &[u8],
        page: usize,
        wanted: &Wanted,
    ) -> Result<Result<Self, ImageProblem>, TiffError> {
        let mut decoder = Decoder::new(Cursor::new(bytes))?;
        if page > 0 {
            decoder.seek_to_image(page)?;
        }
        let (width, height) = decoder.dimensions()?;
        if let Err(problem) = wanted.check_size(width, height) {
            return Ok(Err(problem));
        }
        let samples = SampleTags::read(&mut decoder)?;
        if samples.is_palette() && samples.count != 1 {
            // The indices would be taken for levels.
            let count = samples.count;
            return Ok(Err(wanted.unsupported(format!(
                "a TIFF of a palette with {count} samples per pixel"
            ))));
        }
        let palette = if samples.is_palette() {
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
        let turn = decoder.find_tag_unsigned::<u32>(Tag::Orientation);
        let xmp = decoder.find_tag(Tag::Unknown(XMP)).ok().flatten();
        let xmp = xmp.and_then(|xmp| xmp.into_u8_vec().ok());
        let order = decoder.find_tag_unsigned::<u16>(Tag::FillOrder)?;
        let compression = decoder.find_tag_unsigned::<u16>(Tag::Compression)?;
        let mut reversed = Vec::new();
        if compression == Some(CompressionMethod::ModernJPEG.to_u16()) {
            let count = samples.count;
            if let Some(problem) = coded::jpeg_problem(&mut decoder, bytes, count, wanted)? {
                return Ok(Err(problem));
            }
        } else if order == Some(2) {
            // JPEG data are bytes, whatever the order of bits.
            reversed = coded::parts(&mut decoder)?;
        }
        Ok(Ok(Self {
            size: [width, height],
            palette,
            count: usize::from(samples.count),
            bands: samples.bands(),
            associated_alpha: samples.has_associated_alpha(),
            // A page that is read has one.
            directory: decoder.ifd_pointer().map_or(0, |directory| directory.0),
            turn: metadata::of_tiff(turn.ok().flatten(), xmp.as_deref()),
            reversed,
        }))
    }
}

/// The colors of a map that has all reds, then all greens, then all blues.
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
    let color = |index: usize| [level(0, index), level(1, index), level(2, index)];
    Some((0..count).map(color).collect())
}

/// The file as the decoder reads the page rightly: indices of a palette as levels of gray, colors with bands beside them, which it
/// would drop, as nothing but bands, and bits in the usual order.
fn patched<'a>(bytes: &'a [u8], tags: &Tags) -> Cow<'a, [u8]> {
    let is_gray_to_it = tags.palette.is_some() || tags.bands.is_some();
    if !is_gray_to_it && tags.reversed.is_empty() {
        return Cow::Borrowed(bytes);
    }
    let mut bytes = bytes.to_vec();
    if is_gray_to_it {
        let gray = PhotometricInterpretation::BlackIsZero.to_u16();
        set_photometric(&mut bytes, tags.directory, gray);
    }
    for &(offset, count) in &tags.reversed {
        let range = offset as usize..offset.saturating_add(count) as usize;
        for byte in bytes.get_mut(range).unwrap_or_default() {
            *byte = byte.reverse_bits();
        }
    }
    Cow::Owned(bytes)
}

/// Sets the photometric interpretation in the directory that is at `start`. Where that is not found, nothing is changed.
fn set_photometric(bytes: &mut [u8], start: u64, value: u16) -> Option<()> {
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
    let (count_len, entry_len, value_at) = match big {
        true => (8, 20, 12),
        false => (2, 12, 8),
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
