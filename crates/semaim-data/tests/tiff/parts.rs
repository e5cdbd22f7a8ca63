//! Strips and tiles: JPEGs, which are whole or refused, and planes in tiles that stick out below the picture.

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use semaim_data::{ImageProblem, Samples, decode};

use super::Tiff;

const LIMIT: u64 = 10_000;

/// Columns and rows of a tile.
const TILE: usize = 16;

/// A gray JPEG of one level.
fn jpeg(level: u8, [width, height]: [u32; 2]) -> Vec<u8> {
    let samples = vec![level; (width * height) as usize];
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, 100)
        .encode(&samples, width, height, ExtendedColorType::L8)
        .unwrap();
    out
}

/// A gray TIFF of 16 x 16 pixels in two JPEGs of one level each.
fn halves() -> Tiff {
    let mut tiff = Tiff::new([16, 16], 1, &[8], &[]).with(259, &[7]);
    tiff.strips = vec![jpeg(50, [16, 8]), jpeg(200, [16, 8])];
    tiff
}

/// The levels of [`halves`].
fn levels_of_halves() -> Vec<u8> {
    let mut levels = vec![50; 128];
    levels.resize(256, 200);
    levels
}

/// Checks the levels of a file of so many channels, but for the loss of JPEG.
fn assert_levels(tiff: &Tiff, channels: usize, expected: &[u8]) {
    let pixels = decode(&tiff.bytes(), channels, LIMIT).unwrap();
    let found = pixels.bytes();
    assert_eq!(found.len(), expected.len());
    let mut pairs = found.iter().zip(expected);
    assert!(pairs.all(|(a, b)| a.abs_diff(*b) <= 2), "{found:?}");
}

/// What is said to be broken in a file.
fn broken(bytes: &[u8]) -> String {
    match decode(bytes, 1, LIMIT).unwrap_err() {
        ImageProblem::Decode { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn jpegs_that_are_cut_off_are_refused() {
    assert_levels(&halves(), 1, &levels_of_halves());
    let bytes = halves().bytes();
    for missing in [1, 2, 4, 100] {
        let reason = broken(&bytes[..bytes.len() - missing]);
        assert!(reason.contains("tile 1 ("), "{reason}");
        assert!(reason.contains("cut off"), "{reason}");
    }
    // As long as the tags say, but without an end.
    for missing in [1, 2, 4] {
        let mut tiff = halves();
        let kept = tiff.strips[0].len() - missing;
        tiff.strips[0][kept..].fill(0);
        let reason = broken(&tiff.bytes());
        assert!(reason.contains("tile 0 ("), "{reason}");
    }
    let mut tiff = halves();
    let end = tiff.strips[1].len() - 2;
    tiff.strips[1].truncate(end);
    assert!(broken(&tiff.bytes()).contains("tile 1 ("));
}

#[test]
fn jpegs_in_tiles_that_are_cut_off_are_refused() {
    let mut tiff = Tiff::new([20, 3], 1, &[8], &[]).with(259, &[7]);
    tiff.tile = Some(16);
    tiff.strips = vec![jpeg(50, [16, 16]), jpeg(200, [16, 16])];
    let expected: Vec<u8> = (0..60)
        .map(|at| if at % 20 < 16 { 50 } else { 200 })
        .collect();
    assert_levels(&tiff, 1, &expected);
    let bytes = tiff.bytes();
    assert!(broken(&bytes[..bytes.len() - 1]).contains("tile 1 ("));
}

#[test]
fn jpegs_may_be_filled_up_and_have_comments() {
    let mut tiff = halves();
    for strip in &mut tiff.strips {
        strip.extend_from_slice(&[0; 3]);
    }
    assert_levels(&tiff, 1, &levels_of_halves());
    // What looks like an end within a comment is none.
    let commented = |strip: &[u8]| -> Vec<u8> {
        let comment: &[u8] = &[0xFF, 0xFE, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9];
        [&strip[..2], comment, &strip[2..]].concat()
    };
    let mut tiff = halves();
    tiff.strips = tiff.strips.iter().map(|strip| commented(strip)).collect();
    assert_levels(&tiff, 1, &levels_of_halves());
    let end = tiff.strips[1].len() - 2;
    tiff.strips[1][end..].fill(0);
    assert!(broken(&tiff.bytes()).contains("tile 1 ("));
}

/// The tables of a JPEG, as a JPEG without a picture, and the rest of it.
fn without_tables(jpeg: &[u8]) -> [Vec<u8>; 2] {
    let mut tables: Vec<u8> = vec![0xFF, 0xD8];
    let mut rest = tables.clone();
    let mut at = 2;
    while jpeg[at + 1] != 0xDA {
        let length = usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        let segment = &jpeg[at..at + 2 + length];
        match segment[1] {
            0xC4 | 0xDB => tables.extend(segment),
            _ => rest.extend(segment),
        }
        at += segment.len();
    }
    rest.extend(&jpeg[at..]);
    tables.extend_from_slice(&[0xFF, 0xD9]);
    [tables, rest]
}

#[test]
fn jpegs_may_share_tables() {
    let mut tiff = halves();
    let [tables, _] = without_tables(&tiff.strips[0]);
    let strips = tiff.strips.iter();
    tiff.strips = strips
        .map(|strip| {
            let [_, rest] = without_tables(strip);
            rest
        })
        .collect();
    tiff.more
        .push((347, 1, tables.into_iter().map(u32::from).collect()));
    assert_levels(&tiff, 1, &levels_of_halves());
    let bytes = tiff.bytes();
    assert!(broken(&bytes[..bytes.len() - 1]).contains("tile 1 ("));
}

/// A JPEG of 8 x 8 pixels of two components, which are 128 everywhere.
fn of_two_components() -> Vec<u8> {
    let gray = jpeg(128, [8, 8]);
    let place = |marker: u8| {
        let mut pairs = gray.windows(2);
        pairs.position(|pair| pair == [0xFF, marker]).unwrap()
    };
    let parts: [&[u8]; 5] = [
        &gray[..place(0xC0)],
        &[0xFF, 0xC0, 0, 14, 8, 0, 8, 0, 8, 2, 1, 0x11, 0, 2, 0x11, 0],
        &gray[place(0xDB)..place(0xDA)],
        &[0xFF, 0xDA, 0, 10, 2, 1, 0, 2, 0, 0, 63, 0],
        // In each component a difference of zero and the end of the block; ones to fill up.
        &[0b0010_1000, 0b1010_1111, 0xFF, 0xD9],
    ];
    parts.concat()
}

#[test]
fn jpegs_of_two_components_are_refused_by_name() {
    let both = of_two_components();
    let tiff = Tiff::new([8, 8], 1, &[8; 2], &both)
        .with(259, &[7])
        .with(338, &[2]);
    let refused = tiff.refused();
    assert!(refused.contains("JPEGs with 2 samples"), "{refused}");
    // In planes each of them is a JPEG of its own.
    let mut planar = tiff.with(284, &[2]);
    planar.strips = vec![jpeg(200, [8, 8]), jpeg(90, [8, 8])];
    assert_levels(&planar, 4, &[200u8, 200, 200, 90].repeat(64));
}

/// The whole tiles of a picture of three channels; where it is `planar`, those of one channel after those of another.
fn tiles(
    [width, height]: [usize; 2],
    planar: bool,
    sample: impl Fn(usize, usize, usize) -> Vec<u8>,
) -> Vec<Vec<u8>> {
    let planes = match planar {
        true => vec![vec![0], vec![1], vec![2]],
        false => vec![vec![0, 1, 2]],
    };
    let mut out = Vec::new();
    for channels in &planes {
        for top in (0..height).step_by(TILE) {
            for left in (0..width).step_by(TILE) {
                let mut tile = Vec::new();
                for at in 0..TILE * TILE {
                    let (x, y) = (left + at % TILE, top + at / TILE);
                    for &channel in channels {
                        tile.extend(sample(x, y, channel));
                    }
                }
                out.push(tile);
            }
        }
    }
    out
}

/// A number for each sample, another for those beyond the picture.
fn number(x: usize, y: usize, channel: usize) -> usize {
    x + 64 * y + 5000 * channel
}

#[test]
fn planes_in_tiles_that_stick_out() {
    // Beside the picture and below it, in one of these directions, in none, and in tiles larger than the picture.
    for size in [[40, 56], [48, 56], [40, 48], [48, 48], [10, 5]] {
        for (bits, format) in [(8u16, 1), (16, 1), (32, 3)] {
            let sample = |x: usize, y: usize, channel: usize| -> Vec<u8> {
                let number = number(x, y, channel);
                match bits {
                    8 => vec![(number % 251) as u8],
                    16 => (number as u16).to_le_bytes().to_vec(),
                    _ => (number as f32).to_le_bytes().to_vec(),
                }
            };
            let read = |planar: bool| -> Samples {
                let mut tiff = Tiff::new(size, 2, &[bits; 3], &[]).of_format(format);
                tiff.tile = Some(TILE as u32);
                tiff.strips = tiles(size.map(|side| side as usize), planar, sample);
                if planar {
                    tiff = tiff.with(284, &[2]);
                }
                decode(&tiff.bytes(), 3, LIMIT).unwrap().samples
            };
            let [width, height] = size.map(|side| side as usize);
            let numbers =
                (0..width * height * 3).map(|at| number(at / 3 % width, at / 3 / width, at % 3));
            let expected: Samples = match bits {
                8 => numbers.map(|n| (n % 251) as u8).collect::<Vec<u8>>().into(),
                16 => numbers.map(|n| n as u16).collect::<Vec<u16>>().into(),
                _ => numbers.map(|n| n as f32).collect::<Vec<f32>>().into(),
            };
            assert_eq!(read(false), expected, "{size:?}, {bits} bits");
            assert_eq!(read(true), expected, "{size:?}, {bits} bits in planes");
        }
    }
}

#[test]
fn planes_of_small_samples_in_tiles_that_stick_out() {
    let level = |x: usize, y: usize, channel: usize| ((x + 3 * y + 5 * channel) % 16) as u8;
    let mut tiff = Tiff::new([20, 18], 1, &[4; 3], &[]).with(284, &[2]);
    tiff.tile = Some(TILE as u32);
    let whole = tiles([20, 18], true, |x, y, channel| vec![level(x, y, channel)]);
    // Two samples in a byte.
    let pack = |pair: &[u8]| 16 * pair[0] + pair[1];
    let packed = |tile: &Vec<u8>| -> Vec<u8> { tile.chunks(2).map(pack).collect() };
    tiff.strips = whole.iter().map(packed).collect();
    let expected: Vec<u8> = (0..20 * 18 * 3)
        .map(|at| level(at / 3 % 20, at / 3 / 20, at % 3) * 17)
        .collect();
    let pixels = decode(&tiff.bytes(), 3, LIMIT).unwrap();
    assert_eq!(pixels.bytes(), expected);
}

#[test]
fn planes_of_jpegs_in_tiles_that_stick_out() {
    let mut tiff = Tiff::new([20, 18], 2, &[8; 3], &[])
        .with(259, &[7])
        .with(284, &[2]);
    tiff.tile = Some(TILE as u32);
    let levels = [20u8, 100, 220];
    tiff.strips = levels
        .iter()
        .flat_map(|&level| vec![jpeg(level, [16, 16]); 4])
        .collect();
    assert_levels(&tiff, 3, &levels.repeat(20 * 18));
}
