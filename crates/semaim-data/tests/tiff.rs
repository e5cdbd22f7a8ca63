//! Kinds of TIFF: bit orders, palettes, alpha, CMYK, samples of all types, planes and tiles; right, or refused by name.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test may panic"
)]

#[path = "tiff/parts.rs"]
mod parts;

use semaim_data::{ImageProblem, decode};

const WIDTH: u16 = 1;
const HEIGHT: u16 = 2;

/// A TIFF of tags, whose values fit where they say or are written behind, and data in one strip or in several.
struct Tiff {
    size: [u32; 2],
    photometric: u16,
    bits: Vec<u16>,
    /// 1 for whole numbers, 2 for signed ones, 3 for floats.
    format: u16,
    /// Tags beside those that every file has, or in the place of one of them.
    more: Vec<(u16, u16, Vec<u32>)>,
    strips: Vec<Vec<u8>>,
    tile: Option<u32>,
    big: bool,
}

impl Tiff {
    fn new(size: [u32; 2], photometric: u16, bits: &[u16], data: &[u8]) -> Self {
        Self {
            size,
            photometric,
            bits: bits.to_vec(),
            format: 1,
            more: Vec::new(),
            strips: vec![data.to_vec()],
            tile: None,
            big: false,
        }
    }

    fn with(mut self, tag: u16, values: &[u32]) -> Self {
        self.more.push((tag, 3, values.to_vec()));
        self
    }

    fn with_long(mut self, tag: u16, value: u32) -> Self {
        self.more.push((tag, 4, vec![value]));
        self
    }

    fn of_format(mut self, format: u16) -> Self {
        self.format = format;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let head = if self.big { 16 } else { 8 };
        let (count_len, entry_len, room) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let samples = self.bits.len() as u32;
        let shorts = |values: &[u16]| values.iter().map(|&v| u32::from(v)).collect::<Vec<u32>>();
        let (offsets, counts) = match self.tile {
            None => (273, 279),
            Some(_) => (324, 325),
        };
        let mut entries: Vec<(u16, u16, Vec<u32>)> = vec![
            (256, 4, vec![self.size[0]]),
            (257, 4, vec![self.size[1]]),
            (258, 3, shorts(&self.bits)),
            (259, 3, vec![1]),
            (262, 3, vec![u32::from(self.photometric)]),
            (277, 3, vec![samples]),
            (339, 3, vec![u32::from(self.format); samples as usize]),
            (offsets, 4, vec![0; self.strips.len()]),
            (
                counts,
                4,
                self.strips.iter().map(|s| s.len() as u32).collect(),
            ),
        ];
        match self.tile {
            None => {
                let planar = self.more.iter().any(|entry| entry.0 == 284);
                let strips = if planar { 1 } else { self.strips.len() as u32 };
                entries.push((278, 4, vec![self.size[1].div_ceil(strips)]));
            }
            Some(side) => entries.extend([(322, 4, vec![side]), (323, 4, vec![side])]),
        }
        entries.retain(|entry| self.more.iter().all(|more| more.0 != entry.0));
        entries.extend(self.more.iter().cloned());
        entries.sort_by_key(|entry| entry.0);
        let lengths = [0, 1, 1, 2, 4];
        let size_of = |entry: &(u16, u16, Vec<u32>)| lengths[usize::from(entry.1)] * entry.2.len();
        let mut behind = head + count_len + entry_len * entries.len() + room;
        let outside: usize = entries
            .iter()
            .map(size_of)
            .filter(|&size| size > room)
            .sum();
        let mut at = (behind + outside) as u32;
        for entry in &mut entries {
            if entry.0 == offsets {
                for (offset, strip) in entry.2.iter_mut().zip(&self.strips) {
                    *offset = at;
                    at += strip.len() as u32;
                }
            }
        }
        let mut out = match self.big {
            false => b"II*\0\x08\0\0\0".to_vec(),
            true => b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0".to_vec(),
        };
        out.extend(&(entries.len() as u64).to_le_bytes()[..count_len]);
        let mut values = Vec::new();
        for entry in &entries {
            let (tag, kind, numbers) = entry;
            out.extend(tag.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend(&(numbers.len() as u64).to_le_bytes()[..room]);
            let field: Vec<u8> = numbers
                .iter()
                .flat_map(|n| n.to_le_bytes()[..lengths[usize::from(*kind)]].to_vec())
                .collect();
            if field.len() > room {
                out.extend(&(behind as u64).to_le_bytes()[..room]);
                behind += field.len();
                values.extend(field);
            } else {
                let mut field = field;
                field.resize(room, 0);
                out.extend(field);
            }
        }
        out.resize(out.len() + room, 0);
        out.extend(values);
        out.extend(self.strips.concat());
        out
    }

    fn rgb(&self) -> Vec<u8> {
        let pixels = decode(&self.bytes(), 3, 1000).unwrap();
        assert_eq!(pixels.channels, 3);
        pixels.bytes().into_owned()
    }

    /// So many channels of it.
    fn channels(&self, channels: usize) -> Vec<u8> {
        let pixels = decode(&self.bytes(), channels, 1000).unwrap();
        assert_eq!(pixels.channels, channels);
        pixels.bytes().into_owned()
    }

    /// Refused for its number of channels, which is returned.
    fn has_channels_instead_of(&self, channels: usize) -> usize {
        match decode(&self.bytes(), channels, 1000).unwrap_err() {
            ImageProblem::Channels { found, wanted, .. } if wanted == channels => found,
            other => panic!("{other}"),
        }
    }

    /// What it is refused as.
    fn refused(&self) -> String {
        match decode(&self.bytes(), 3, 1000).unwrap_err() {
            ImageProblem::Unsupported { what } => what,
            other => panic!("{other}"),
        }
    }
}

/// Grays as pixels of three channels.
fn gray(levels: &[u8]) -> Vec<u8> {
    levels.iter().flat_map(|&level| [level; 3]).collect()
}

#[test]
fn bits_in_both_orders() {
    // Ten columns: two bytes a row.
    let rows = [0b1010_0000, 0b0100_0000, 0b0000_1111, 0b1000_0000];
    let expected = gray(&[
        255, 0, 255, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 255, 255, 255, 255, 255, 0,
    ]);
    let usual = Tiff::new([10, 2], 1, &[1], &rows);
    assert_eq!(usual.rgb(), expected);
    let reversed = rows.map(u8::reverse_bits);
    assert_eq!(
        Tiff::new([10, 2], 1, &[1], &reversed).with(266, &[2]).rgb(),
        expected
    );
    // White is zero, and strips of one row each.
    let inverted = rows.map(|byte| !byte.reverse_bits());
    let mut fax = Tiff::new([10, 2], 0, &[1], &[]).with(266, &[2]);
    fax.strips = inverted.chunks(2).map(<[u8]>::to_vec).collect();
    assert_eq!(fax.rgb(), expected);
    // Whole bytes are turned as well, as libtiff does.
    let bytes = Tiff::new([2, 1], 1, &[8], &[0b0000_0001, 0b1100_0000]).with(266, &[2]);
    assert_eq!(bytes.rgb(), gray(&[0b1000_0000, 0b0000_0011]));
}

#[test]
fn palettes() {
    let map = |count: usize, scale: u32| -> Vec<u32> {
        (0..3 * count)
            .map(|at| (at as u32 * 7 % 251) * scale)
            .collect()
    };
    for (bits, data) in [
        (8u16, vec![0, 3, 200, 255]),
        (4, vec![0x03, 0xAF]),
        (1, vec![0b0110_0000]),
    ] {
        let count = 1usize << bits;
        let indices: Vec<usize> = match bits {
            8 => vec![0, 3, 200, 255],
            4 => vec![0, 3, 10, 15],
            _ => vec![0, 1, 1, 0],
        };
        let color = |index: usize| {
            [0, 1, 2].map(|channel| ((channel * count + index) as u32 * 7 % 251) as u8)
        };
        let expected: Vec<u8> = indices.into_iter().flat_map(color).collect();
        // 16 bits as the format says, and 8 as some write; in both kinds of file.
        for scale in [257, 1] {
            for big in [false, true] {
                let mut tiff = Tiff::new([4, 1], 3, &[bits], &data).with(320, &map(count, scale));
                tiff.big = big;
                assert_eq!(tiff.rgb(), expected, "{bits} bits, {scale}, {big}");
            }
        }
    }
    let none = Tiff::new([1, 1], 3, &[8], &[0]).bytes();
    assert!(decode(&none, 3, 1000).is_err());
}

#[test]
fn alpha_of_both_kinds() {
    let stored = [50, 100, 20, 128, 9, 9, 9, 0];
    let straight = Tiff::new([2, 1], 2, &[8; 4], &stored).with(338, &[2]);
    assert_eq!(straight.rgb(), [50, 100, 20, 9, 9, 9]);
    let associated = Tiff::new([2, 1], 2, &[8; 4], &stored).with(338, &[1]);
    assert_eq!(associated.rgb(), [99, 199, 39, 9, 9, 9]);
    let rgba = decode(&associated.bytes(), 4, 1000).unwrap();
    assert_eq!(*rgba.bytes(), [99, 199, 39, 128, 9, 9, 9, 0]);
    let unspecified = Tiff::new([2, 1], 2, &[8; 4], &stored).with(338, &[0]);
    assert_eq!(unspecified.rgb(), [50, 100, 20, 9, 9, 9]);
    // Gray with alpha.
    let stored = [50, 128, 200, 255];
    let straight = Tiff::new([2, 1], 1, &[8; 2], &stored).with(338, &[2]);
    assert_eq!(straight.rgb(), gray(&[50, 200]));
    let associated = Tiff::new([2, 1], 1, &[8; 2], &stored).with(338, &[1]);
    assert_eq!(associated.rgb(), gray(&[99, 200]));
    assert_eq!(
        *decode(&associated.bytes(), 1, 1000).unwrap().bytes(),
        [99, 200]
    );
}

/// Two pixels of red, green, blue and near infrared.
const NEAR_INFRARED: [u8; 8] = [10, 20, 30, 40, 11, 21, 31, 41];

#[test]
fn near_infrared_is_no_alpha() {
    let mut unspecified = Tiff::new([2, 1], 2, &[8; 4], &NEAR_INFRARED).with(338, &[0]);
    let mut planar = Tiff::new([2, 1], 2, &[8; 4], &[])
        .with(284, &[2])
        .with(338, &[0]);
    planar.strips = vec![vec![10, 11], vec![20, 21], vec![30, 31], vec![40, 41]];
    for big in [false, true] {
        for tiff in [&mut unspecified, &mut planar] {
            tiff.big = big;
            assert_eq!(tiff.channels(4), NEAR_INFRARED);
            assert_eq!(tiff.rgb(), [10, 20, 30, 11, 21, 31]);
            assert_eq!(tiff.channels(1).len(), 2);
            assert_eq!(tiff.has_channels_instead_of(5), 4);
        }
    }
    // As where it is called alpha, or nothing.
    let plain = Tiff::new([2, 1], 2, &[8; 4], &NEAR_INFRARED);
    assert_eq!(plain.channels(4), NEAR_INFRARED);
    assert_eq!(plain.with(338, &[2]).channels(4), NEAR_INFRARED);
    // Differences to the pixel on the left.
    let stored = [10, 20, 30, 40, 1, 1, 1, 1];
    let predicted = Tiff::new([2, 1], 2, &[8; 4], &stored)
        .with(338, &[0])
        .with(317, &[2]);
    assert_eq!(predicted.channels(4), NEAR_INFRARED);
    assert_eq!(predicted.rgb(), [10, 20, 30, 11, 21, 31]);
    let stored: Vec<u8> = [700u16, 800, 900, 65_535]
        .iter()
        .flat_map(|level| level.to_le_bytes())
        .collect();
    let deep = Tiff::new([1, 1], 2, &[16; 4], &stored).with(338, &[0]);
    let all = decode(&deep.bytes(), 4, 1000).unwrap();
    assert_eq!(all.samples, vec![700u16, 800, 900, 65_535].into());
    let colors = decode(&deep.bytes(), 3, 1000).unwrap();
    assert_eq!(colors.samples, vec![700u16, 800, 900].into());
}

#[test]
fn bands_beside_colors_are_channels() {
    let stored = [10, 20, 30, 40, 50];
    let five = || Tiff::new([1, 1], 2, &[8; 5], &stored);
    for tiff in [
        five(),
        five().with(338, &[0]),
        five().with(338, &[0, 0]),
        five().with(338, &[0, 2]),
    ] {
        assert_eq!(tiff.channels(5), stored);
        assert_eq!(tiff.rgb(), stored[..3]);
        // No band is given up for an alpha that is not there.
        assert_eq!(tiff.has_channels_instead_of(4), 5);
        assert_eq!(tiff.has_channels_instead_of(6), 5);
    }
    let with_alpha = five().with(338, &[2, 0]);
    assert_eq!(with_alpha.channels(5), stored);
    assert_eq!(with_alpha.channels(4), stored[..4]);
    assert_eq!(with_alpha.rgb(), stored[..3]);
    let associated = five().with(338, &[1, 0]);
    assert_eq!(associated.channels(5), stored);
    assert_eq!(associated.rgb(), [63, 127, 191]);
    // Inks, and one more.
    let stored = [255, 0, 0, 0, 9];
    let inks = Tiff::new([1, 1], 5, &[8; 5], &stored).with(338, &[0]);
    assert_eq!(inks.channels(5), stored);
    assert_eq!(inks.rgb(), [0, 255, 255]);
    assert_eq!(inks.has_channels_instead_of(4), 5);
}

#[test]
fn planes_of_small_samples() {
    // Three columns of 4 bits: rows of a plane are filled up to a byte.
    let planes = [[0x01, 0x20], [0x34, 0x50], [0x67, 0x80], [0x9A, 0xB0]];
    let expected = [0u8, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11].map(|level| level * 17);
    for photometric in [1, 2] {
        let mut planar = Tiff::new([3, 1], photometric, &[4; 4], &[])
            .with(284, &[2])
            .with(338, &[0]);
        planar.strips = planes.iter().map(|plane| plane.to_vec()).collect();
        assert_eq!(planar.channels(4), expected);
    }
}

#[test]
fn samples_of_all_types() {
    let words =
        |values: &[u32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let floats =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let wide = words(&[0, 0x8080_8080, u32::MAX]);
    assert_eq!(Tiff::new([1, 1], 2, &[32; 3], &wide).rgb(), [0, 128, 255]);
    assert_eq!(
        Tiff::new([3, 1], 1, &[32], &wide).rgb(),
        gray(&[0, 128, 255])
    );
    let small = Tiff::new([3, 1], 1, &[32], &words(&[0, 100, 4095]));
    assert!(small.refused().contains("4095"));
    let unit = Tiff::new([3, 1], 1, &[32], &floats(&[0.0, 0.2, 1.0])).of_format(3);
    assert_eq!(unit.rgb(), gray(&[0, 51, 255]));
    let beyond = Tiff::new([2, 1], 1, &[32], &floats(&[0.0, 200.0])).of_format(3);
    let pixels = decode(&beyond.bytes(), 1, 1000).unwrap();
    assert_eq!(pixels.samples, vec![0.0f32, 200.0].into());
    let broken = Tiff::new([3, 1], 1, &[32], &floats(&[0.0, 1.0, f32::NAN])).of_format(3);
    let error = decode(&broken.bytes(), 3, 1000).unwrap_err();
    assert!(
        matches!(
            error,
            ImageProblem::NotFinite {
                column: 2,
                row: 0,
                channel: 0,
                ..
            }
        ),
        "{error}"
    );
    let signed = Tiff::new([2, 1], 1, &[16], &[0, 0, 1, 0]).of_format(2);
    assert!(signed.refused().contains("signed"));
    let sixteen = Tiff::new([2, 1], 1, &[16], &[0, 0x80, 0xFF, 0xFF]);
    assert_eq!(sixteen.rgb(), gray(&[128, 255]));
    let deep = decode(&sixteen.bytes(), 1, 1000).unwrap();
    assert_eq!(deep.samples, vec![0x8000u16, 0xFFFF].into());
    let two = Tiff::new([4, 1], 1, &[2], &[0b0001_1011]);
    assert_eq!(two.rgb(), gray(&[0, 85, 170, 255]));
}

#[test]
fn inks() {
    // Full cyan on white paper, and all black.
    let cmyk = Tiff::new([2, 1], 5, &[8; 4], &[255, 0, 0, 0, 0, 0, 0, 255]);
    assert_eq!(cmyk.rgb(), [0, 255, 255, 0, 0, 0]);
}

#[test]
fn planes_and_tiles() {
    let mut planar = Tiff::new([2, 1], 2, &[8; 3], &[]).with(284, &[2]);
    planar.strips = vec![vec![1, 2], vec![3, 4], vec![5, 6]];
    assert_eq!(planar.rgb(), [1, 3, 5, 2, 4, 6]);
    // 20 x 3 pixels in two tiles of 16 x 16.
    let level = |x: usize, y: usize| (x * 3 + y * 50) as u8;
    let tile = |left: usize| (0..256).map(|at| level(left + at % 16, at / 16)).collect();
    let mut tiled = Tiff::new([20, 3], 1, &[8], &[]);
    tiled.tile = Some(16);
    tiled.strips = vec![tile(0), tile(16)];
    let expected: Vec<u8> = (0..60).map(|at| level(at % 20, at / 20)).collect();
    assert_eq!(tiled.rgb(), gray(&expected));
}

/// A file of several pages, each as [`Tiff::bytes`] writes it: the offsets of a page move with its place.
fn pages(pages: &[Tiff]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut link = None;
    for page in pages {
        let bytes = page.bytes();
        let start = out.len() as u32;
        if let Some(link) = link {
            // The directory of the page is 8 bytes behind its header.
            let directory: u32 = start + 8;
            out[link..link + 4].copy_from_slice(&directory.to_le_bytes());
        }
        let count = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let mut moved = bytes.clone();
        for entry in 0..count {
            let at = 10 + 12 * entry;
            let field = |from: usize| u16::from_le_bytes([bytes[from], bytes[from + 1]]);
            let number = |from: usize| {
                u32::from_le_bytes([
                    bytes[from],
                    bytes[from + 1],
                    bytes[from + 2],
                    bytes[from + 3],
                ])
            };
            let length = match field(at + 2) {
                3 => 2,
                4 => 4,
                _ => 1,
            };
            let is_offset = field(at) == 273 || number(at + 4) * length > 4;
            if is_offset {
                let value = number(at + 8) + start;
                moved[at + 8..at + 12].copy_from_slice(&value.to_le_bytes());
            }
        }
        link = Some(out.len() + 10 + 12 * count);
        out.extend(moved);
    }
    out
}

#[test]
fn pages_are_channels_where_so_many_are_wanted() {
    let page = |value: u8| Tiff::new([2, 1], 1, &[8], &[value, value + 1]);
    let five = pages(&[page(10), page(20), page(30), page(40), page(50)]);
    let all = decode(&five, 5, 1000).unwrap();
    assert_eq!(
        all.samples,
        vec![10u8, 20, 30, 40, 50, 11, 21, 31, 41, 51].into()
    );
    // Otherwise it is the first, as it always was.
    assert_eq!(
        *decode(&five, 3, 1000).unwrap().bytes(),
        [10, 10, 10, 11, 11, 11]
    );
    assert_eq!(*decode(&five, 1, 1000).unwrap().bytes(), [10, 11]);
    let error = decode(&five, 6, 1000).unwrap_err();
    assert!(
        matches!(
            error,
            ImageProblem::Channels {
                found: 5,
                wanted: 6,
                ..
            }
        ),
        "{error}"
    );
    // Smaller copies and pages of another size do not count.
    let small = Tiff::new([1, 1], 1, &[8], &[99]);
    let copy = page(77).with(254, &[1]);
    let three = pages(&[page(10), small, page(20), copy, page(30)]);
    assert_eq!(
        *decode(&three, 3, 1000).unwrap().bytes(),
        [10, 20, 30, 11, 21, 31]
    );
    // Pages of RGB, of 16 bits and of floats.
    let rgb = |value: u8| Tiff::new([1, 1], 2, &[8; 3], &[value, value + 1, value + 2]);
    let six = decode(&pages(&[rgb(1), rgb(4)]), 6, 1000).unwrap();
    assert_eq!(six.samples, vec![1u8, 2, 3, 4, 5, 6].into());
    let deep = |value: u16| Tiff::new([1, 1], 1, &[16], &value.to_le_bytes());
    let two = decode(&pages(&[deep(700), deep(65_535)]), 2, 1000).unwrap();
    assert_eq!(two.samples, vec![700u16, 65_535].into());
    let float = |value: f32| Tiff::new([1, 1], 1, &[32], &value.to_le_bytes()).of_format(3);
    let two = decode(&pages(&[float(-3.5), float(1e4)]), 2, 1000).unwrap();
    assert_eq!(two.samples, vec![-3.5f32, 1e4].into());
}

#[test]
fn pages_have_bands_too() {
    let page = |value: u8| {
        let stored = [value, value + 1, value + 2, value + 3];
        Tiff::new([1, 1], 2, &[8; 4], &stored).with(338, &[0])
    };
    let two = pages(&[page(1), page(5)]);
    let all = decode(&two, 8, 1000).unwrap();
    assert_eq!(all.samples, vec![1u8, 2, 3, 4, 5, 6, 7, 8].into());
    assert_eq!(*decode(&two, 4, 1000).unwrap().bytes(), [1, 2, 3, 4]);
    assert_eq!(*decode(&two, 3, 1000).unwrap().bytes(), [1, 2, 3]);
    let error = decode(&two, 6, 1000).unwrap_err();
    assert!(
        matches!(error, ImageProblem::Channels { found: 8, .. }),
        "{error}"
    );
}

#[test]
fn of_pages_of_palettes_the_first_is_read() {
    let map: Vec<u32> = (0..768).map(|at| at % 256 * 257).collect();
    let page = |index: u8| Tiff::new([1, 1], 3, &[8], &[index]).with(320, &map);
    let three = pages(&[page(7), page(8), page(9)]);
    assert_eq!(*decode(&three, 3, 1000).unwrap().bytes(), [7, 7, 7]);
}

#[test]
fn orientations_of_all_types() {
    // One pixel above the other, a quarter turned.
    let stored = [10, 20];
    let size = [u32::from(WIDTH), u32::from(HEIGHT)];
    let expected = gray(&[20, 10]);
    let short = Tiff::new(size, 1, &[8], &stored).with(274, &[6]);
    let long = Tiff::new(size, 1, &[8], &stored).with_long(274, 6);
    let mut xmp = Tiff::new(size, 1, &[8], &stored);
    let packet = b"<x tiff:Orientation=\"6\"/>";
    xmp.more
        .push((700, 1, packet.iter().map(|&b| u32::from(b)).collect()));
    for tiff in [short, long, xmp] {
        let pixels = decode(&tiff.bytes(), 3, 1000).unwrap();
        assert_eq!((pixels.width, pixels.height), (2, 1));
        assert_eq!(pixels.bytes(), expected);
    }
}

#[test]
fn other_kinds_are_refused_by_name() {
    // Compressions and colors that are not decoded.
    let lab = Tiff::new([1, 1], 8, &[8; 3], &[1, 2, 3]);
    assert!(lab.refused().contains("not decoded"));
    // Samples that the decoder would drop, and indices that would be levels.
    let luma = Tiff::new([1, 1], 6, &[8; 4], &[1, 2, 3, 4]).with(530, &[1, 1]);
    let refused = luma.with(338, &[0]).refused();
    assert!(refused.contains("4 samples"), "{refused}");
    let map = [0; 768];
    let palette = Tiff::new([1, 1], 3, &[8; 2], &[0, 255]).with(320, &map);
    let refused = palette.with(338, &[2]).refused();
    assert!(refused.contains("palette with 2 samples"), "{refused}");
    let mut bytes = Tiff::new([1, 1], 1, &[8], &[1]).bytes();
    let entry = bytes.windows(4).position(|w| w == [3, 1, 3, 0]).unwrap();
    bytes[entry + 8..entry + 10].copy_from_slice(&34_712u16.to_le_bytes());
    let error = decode(&bytes, 3, 1000).unwrap_err();
    assert!(matches!(error, ImageProblem::Unsupported { .. }), "{error}");
}

#[test]
fn damaged_tags_never_panic() {
    let palette: Vec<u32> = (0..768).map(|at| at * 80).collect();
    for tiff in [
        Tiff::new([4, 1], 3, &[8], &[0, 3, 200, 255]).with(320, &palette),
        Tiff::new([10, 2], 1, &[1], &[1, 2, 3, 4]).with(266, &[2]),
        Tiff::new([2, 1], 2, &[8; 4], &[7; 8]).with(338, &[1]),
        Tiff::new([2, 1], 2, &[8; 4], &[7; 8]).with(338, &[0]),
    ] {
        let bytes = tiff.bytes();
        for place in 0..bytes.len().min(260) {
            for change in [0x01, 0x5A, 0xFF] {
                let mut damaged = bytes.clone();
                damaged[place] ^= change;
                match decode(&damaged, 3, 1000) {
                    Ok(pixels) => assert!(pixels.is_consistent()),
                    Err(error) => assert!(
                        !matches!(error, ImageProblem::DecoderPanic { .. }),
                        "{error}"
                    ),
                }
            }
        }
    }
}
