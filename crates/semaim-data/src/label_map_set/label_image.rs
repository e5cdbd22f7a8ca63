//! Label images: PNGs whose values, or places in the palette, are labels.

use std::io::Cursor;
use std::path::Path;

use png::{BitDepth, ColorType, Decoder, Limits};

use super::palettes::Color;
use crate::error::ImageProblem;
use crate::file::read_file;
use crate::label_map::IGNORED;
use crate::panic::catch_decoder_panic;

/// What a decoder may allocate besides the pixels, and what a file may have besides them, in bytes.
const OVERHEAD: u64 = 64 << 20;

/// The value of 16 bits that says nothing.
const IGNORED_16_BIT: u16 = u16::MAX;

/// The values of a label image, 255 where there is none.
#[derive(Debug)]
pub(super) struct Values {
    /// Rows and columns.
    pub(super) size: [usize; 2],
    pub(super) values: Vec<u8>,
    /// The colors of the places, where they are places in a palette.
    pub(super) palette: Option<Vec<Color>>,
}

impl Values {
    /// Reads a PNG that is gray or has a palette, of at most `max_pixels` pixels.
    pub(super) fn read(path: &Path, max_pixels: u64) -> Result<Self, ImageProblem> {
        let refused = |reason: String| ImageProblem::Labels {
            path: path.to_owned(),
            reason,
        };
        let max_bytes = max_pixels.saturating_mul(2).saturating_add(OVERHEAD);
        let bytes = read_file(path, max_bytes).map_err(|problem| refused(problem.to_string()))?;
        let decoded = catch_decoder_panic(|| decode(&bytes, max_pixels));
        decoded
            .unwrap_or_else(|message| {
                Err(format!("the PNG decoder failed unexpectedly: {message}"))
            })
            .map_err(refused)
    }
}

fn decode(bytes: &[u8], max_pixels: u64) -> Result<Values, String> {
    if !bytes.starts_with(b"\x89PNG") {
        return Err("label images must be PNGs".to_owned());
    }
    let broken = |error: png::DecodingError| format!("broken PNG data: {error}");
    let bytes_of = usize::try_from(max_pixels.saturating_mul(2).saturating_add(OVERHEAD));
    let limits = Limits {
        bytes: bytes_of.unwrap_or(usize::MAX),
    };
    // Without transformations: a palette's places stay, and gray of few bits is not stretched.
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    let header = decoder.read_header_info().map_err(broken)?;
    let (width, height) = (header.width, header.height);
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(format!(
            "it is {width}x{height} pixels, more than the limit of {max_pixels} pixels (--max-pixels, or the setting \
             data.max_pixels)"
        ));
    }
    let depth = match (header.color_type, header.bit_depth) {
        (ColorType::Grayscale | ColorType::Indexed, depth) => depth,
        (color, _) => {
            let kind = match color {
                ColorType::Rgb => "RGB",
                ColorType::Rgba => "RGB with alpha",
                _ => "gray with alpha",
            };
            return Err(format!(
                "it is {kind}, whose colors say no class; label images must be gray or have a palette, with the class as value"
            ));
        }
    };
    let mut reader = decoder.read_info().map_err(broken)?;
    let is_indexed = reader.info().color_type == ColorType::Indexed;
    let palette = reader.info().palette.as_deref().filter(|_| is_indexed);
    let palette = palette.map(|colors| colors.as_chunks::<3>().0.to_vec());
    let length = reader.output_buffer_size().ok_or("it is too large")?;
    let mut buffer = vec![0; length];
    let frame = reader.next_frame(&mut buffer).map_err(broken)?;
    let rows = buffer
        .chunks_exact(frame.line_size.max(1))
        .take(height as usize);
    let columns = width as usize;
    let mut values = Vec::with_capacity(columns * height as usize);
    for row in rows {
        match depth {
            BitDepth::Eight => values.extend(row.iter().take(columns)),
            BitDepth::Sixteen => {
                for (column, pair) in row.as_chunks::<2>().0.iter().take(columns).enumerate() {
                    values.push(match u16::from_be_bytes(*pair) {
                        IGNORED_16_BIT => IGNORED,
                        value => u8::try_from(value).map_err(|_| {
                            let row = values.len() / columns;
                            format!(
                                "its value in column {column}, row {row} is {value}; values are 0 to 254, or 255 or 65535 where \
                                 there is no class"
                            )
                        })?,
                    });
                }
            }
            BitDepth::One => unpack::<1>(row, columns, &mut values),
            BitDepth::Two => unpack::<2>(row, columns, &mut values),
            BitDepth::Four => unpack::<4>(row, columns, &mut values),
        }
    }
    if values.len() != columns * height as usize {
        return Err("less data than the header promises".to_owned());
    }
    Ok(Values {
        size: [height as usize, columns],
        values,
        palette,
    })
}

/// Values of so many bits, the first in the highest bits of a byte.
fn unpack<const BITS: usize>(row: &[u8], columns: usize, values: &mut Vec<u8>) {
    let of_byte = |byte: &u8| {
        let byte = *byte;
        (0..8 / BITS).map(move |at| byte >> (8 - BITS * (at + 1)) & ((1 << BITS) - 1))
    };
    values.extend(row.iter().flat_map(of_byte).take(columns));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of a PNG of 5 x 2 pixels with the given rows of packed bytes.
    fn read(color: ColorType, depth: BitDepth, data: &[u8]) -> Result<Vec<u8>, String> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 5, 2);
        encoder.set_color(color);
        encoder.set_depth(depth);
        encoder.set_palette(vec![7; 3 * 16]);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        let values = decode(&file, 10)?;
        assert_eq!(values.size, [2, 5]);
        let palette = (color == ColorType::Indexed).then(|| vec![[7; 3]; 16]);
        assert_eq!(values.palette, palette);
        assert!(
            decode(&file, 9)
                .unwrap_err()
                .contains("more than the limit")
        );
        assert!(decode(&file[..file.len() - 20], 10).is_err());
        Ok(values.values)
    }

    #[test]
    fn values_are_as_they_are() {
        let ones = [1, 0, 1, 1, 0, 0, 1, 0, 0, 1];
        let twos = [3, 2, 1, 0, 3, 0, 1, 2, 3, 0];
        let fours = [15, 2, 1, 0, 9, 0, 1, 12, 3, 4];
        for color in [ColorType::Grayscale, ColorType::Indexed] {
            let read = |depth, data: &[u8]| read(color, depth, data).unwrap();
            assert_eq!(read(BitDepth::One, &[0b1011_0000, 0b0100_1000]), ones);
            assert_eq!(
                read(BitDepth::Two, &[0b1110_0100, 0xC0, 0b0001_1011, 0]),
                twos
            );
            assert_eq!(
                read(BitDepth::Four, &[0xF2, 0x10, 0x90, 0x01, 0xC3, 0x40]),
                fours
            );
            let eights = [15, 2, 1, 0, 9, 0, 1, 12, 3, 4];
            assert_eq!(read(BitDepth::Eight, &eights), eights);
        }
        let wide = |values: [u16; 10]| values.map(u16::to_be_bytes).concat();
        let read = |values| read(ColorType::Grayscale, BitDepth::Sixteen, &wide(values));
        let sixteen = read([0, 1, 254, 255, 65_535, 5, 6, 7, 8, 9]).unwrap();
        assert_eq!(sixteen, [0, 1, 254, 255, 255, 5, 6, 7, 8, 9]);
        let error = read([0, 1, 2, 3, 4, 5, 300, 7, 8, 9]).unwrap_err();
        assert!(error.contains("column 1, row 1 is 300"), "{error}");
    }

    #[test]
    fn colors_and_other_formats_are_refused() {
        let error = |color, data: usize| read(color, BitDepth::Eight, &vec![9; data]).unwrap_err();
        assert!(error(ColorType::Rgb, 30).contains("it is RGB, whose colors say no class"));
        assert!(error(ColorType::Rgba, 40).contains("RGB with alpha"));
        assert!(error(ColorType::GrayscaleAlpha, 20).contains("gray with alpha"));
        assert!(
            decode(b"\xFF\xD8\xFF\xE0", 10)
                .unwrap_err()
                .contains("must be PNGs")
        );
        assert!(
            decode(b"\x89PNG\r\n\x1A\nand no more", 10)
                .unwrap_err()
                .contains("broken PNG")
        );
    }
}
