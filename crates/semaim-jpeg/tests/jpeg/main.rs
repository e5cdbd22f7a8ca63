//! The decoder against another one, scans against scans, parts against wholes, and damaged files.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test may panic"
)]

mod encoder;
mod inputs;
mod parts;

use encoder::{Options, Scans, encode};
use inputs::{boxes, damage, draw, picture, without_markers};
use parts::Part;
use semaim_jpeg::{Buffers, Decoded, Jpeg, JpegError, Region};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// Sampling of gray, 4:4:4, 4:2:2, 4:2:0, 4:4:0, 4:1:1 and 4:1:0.
const SAMPLINGS: [Option<[usize; 2]>; 7] = [
    None,
    Some([1, 1]),
    Some([2, 1]),
    Some([2, 2]),
    Some([1, 2]),
    Some([4, 1]),
    Some([4, 2]),
];

const SIZES: [[usize; 2]; 9] = [
    [1, 1],
    [7, 5],
    [8, 8],
    [16, 16],
    [17, 33],
    [64, 1],
    [3, 50],
    [100, 70],
    [131, 97],
];

/// A picture in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picture {
    width: u32,
    height: u32,
    channels: usize,
    data: Vec<u8>,
}

fn whole(bytes: &[u8]) -> Result<Picture, JpegError> {
    let region = [0, 0, u32::MAX, u32::MAX];
    part(bytes, region, 1).map(Picture::from)
}

impl From<Decoded> for Picture {
    fn from(decoded: Decoded) -> Self {
        assert_eq!(
            decoded.samples.len(),
            decoded.width as usize * decoded.height as usize * decoded.channels
        );
        Self {
            width: decoded.width,
            height: decoded.height,
            channels: decoded.channels,
            data: decoded.samples,
        }
    }
}

fn part(bytes: &[u8], region: [u32; 4], shrink: u32) -> Result<Decoded, JpegError> {
    part_with(bytes, region, shrink, &mut Buffers::default(), Vec::new())
}

fn part_with(
    bytes: &[u8],
    [left, top, width, height]: [u32; 4],
    shrink: u32,
    buffers: &mut Buffers,
    out: Vec<u8>,
) -> Result<Decoded, JpegError> {
    let region = Region {
        left,
        top,
        width,
        height,
    };
    Jpeg::parse(bytes)?.decode(region, shrink, buffers, out)
}

impl Picture {
    fn seen(&self) -> Part<'_> {
        Part {
            size: [self.width, self.height],
            channels: self.channels,
            samples: &self.data,
            origin: [0; 2],
            shrink: 1,
        }
    }
}

fn seen(part: &Decoded) -> Part<'_> {
    Part {
        size: [part.width, part.height],
        channels: part.channels,
        samples: &part.samples,
        origin: part.origin.map(|edge| i64::from(edge * part.shrink)),
        shrink: part.shrink,
    }
}

fn by_another(bytes: &[u8], channels: usize) -> Vec<u8> {
    let colors = if channels == 1 {
        ColorSpace::Luma
    } else {
        ColorSpace::RGB
    };
    let options = DecoderOptions::default().jpeg_set_out_colorspace(colors);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode().unwrap()
}

#[test]
fn pictures_are_those_of_another_decoder() {
    for sampling in SAMPLINGS {
        for size in SIZES {
            for (step, slope, restart) in [(1, 0, 0), (3, 2, 3), (16, 8, 1)] {
                let options = Options {
                    size,
                    sampling,
                    step,
                    slope,
                    restart,
                    ..Options::default()
                };
                let bytes = encode(&options, picture);
                let ours = whole(&bytes).unwrap();
                let theirs = by_another(&bytes, ours.channels);
                assert_eq!(ours.data.len(), theirs.len());
                let pairs = ours.data.iter().zip(&theirs);
                let differences: Vec<u8> = pairs.map(|(a, b)| a.abs_diff(*b)).collect();
                let large = differences.iter().filter(|&&d| d > 3).count();
                let worst = differences.iter().max().unwrap();
                let sum: f64 = differences.iter().map(|&d| f64::from(d)).sum();
                let mean = sum / differences.len() as f64;
                // Mixing samples of color rounds in another way, twice where both sides are halved.
                assert!(*worst <= 6, "{options:?}: off by {worst}");
                assert!(
                    50 * large <= differences.len(),
                    "{options:?}: {large} off by more than 3"
                );
                assert!(mean < 0.7, "{options:?}: {mean} on average");
            }
        }
    }
}

#[test]
fn regions_are_cuts_of_wholes() {
    let mut rng = draw();
    for sampling in SAMPLINGS {
        for size in SIZES {
            for scans in [Scans::Together, Scans::Progressive, SEPARATE] {
                let options = Options {
                    size,
                    sampling,
                    restart: (size[0] % 3) as u16,
                    scans: if sampling.is_none() {
                        Scans::Together
                    } else {
                        scans
                    },
                    ..Options::default()
                };
                let bytes = encode(&options, picture);
                let whole = whole(&bytes).unwrap();
                for region in boxes(whole.width, whole.height, &mut rng) {
                    let part = part(&bytes, region, 1).unwrap();
                    let what = format!("{options:?} {region:?}");
                    assert_eq!(part.origin, [region[0], region[1]], "{what}");
                    assert_eq!(part.shrink, 1);
                    let [_, _, width, height] = region;
                    assert_eq!([part.width, part.height], [width, height], "{what}");
                    assert_eq!(part.samples, whole.seen().cut(region), "{what}");
                }
            }
        }
    }
}

#[test]
fn shrunk_parts_are_averages() {
    let mut rng = draw();
    for sampling in SAMPLINGS {
        let options = Options {
            size: [131, 97],
            sampling,
            ..Options::default()
        };
        let files = [Scans::Together, Scans::Progressive]
            .map(|scans| encode(&Options { scans, ..options }, picture));
        let whole = whole(&files[0]).unwrap();
        for (most, shrink) in [(2, 2), (3, 2), (4, 4), (7, 4), (8, 8), (100, 8)] {
            for region in boxes(131, 97, &mut rng) {
                let part = files
                    .each_ref()
                    .map(|bytes| part(bytes, region, most).unwrap());
                seen(&part[0]).assert_covers(region, shrink);
                let what = format!("{sampling:?} {region:?} {most}");
                seen(&part[0]).assert_averages(whole.seen(), &what);
                assert!(part[0] == part[1], "{what}");
            }
        }
    }
}

#[test]
fn requests_outside_the_picture_are_met_inside() {
    let bytes = encode(&Options::default(), picture);
    let far = part(&bytes, [1000, 1000, 5, 5], 1).unwrap();
    assert_eq!((far.width, far.height), (1, 1));
    let large = part(&bytes, [60, 40, u32::MAX, u32::MAX], 1).unwrap();
    assert_eq!((large.width, large.height), (4, 8));
    let none = part(&bytes, [0, 0, 0, 0], 0).unwrap();
    assert_eq!((none.width, none.height), (1, 1));
}

/// Every component in a scan of its own.
const SEPARATE: Scans = Scans::Of(&[&[0], &[1], &[2]]);

#[test]
fn the_way_a_picture_is_divided_into_scans_changes_nothing() {
    // The same coefficients in other scans: the same pixels, to the bit. The pictures in one scan are compared with another
    // decoder above, and all of these were with libjpeg when this was written.
    let samplings = [
        [1, 1],
        [2, 1],
        [2, 2],
        [1, 2],
        [4, 1],
        [3, 1],
        [1, 3],
        [3, 2],
    ];
    for sampling in samplings {
        for size in [[7, 5], [16, 16], [17, 33], [100, 70], [131, 97]] {
            for restart in [0, 1, 3, 7] {
                let options = Options {
                    size,
                    sampling: Some(sampling),
                    step: 3,
                    slope: 2,
                    restart,
                    ..Options::default()
                };
                let expected = whole(&encode(&options, picture)).unwrap();
                for scans in [
                    SEPARATE,
                    Scans::Of(&[&[2], &[0], &[1]]),
                    Scans::Of(&[&[0], &[1, 2]]),
                    Scans::Of(&[&[1, 2], &[0]]),
                    Scans::Of(&[&[0, 2], &[1]]),
                    Scans::Progressive,
                ] {
                    let options = Options { scans, ..options };
                    let got = whole(&encode(&options, picture)).unwrap();
                    assert!(got == expected, "{options:?}");
                }
            }
        }
    }
}

#[test]
fn four_components_of_any_scans() {
    for sampling in [[1, 1], [2, 1], [2, 2]] {
        let options = Options {
            size: [45, 30],
            sampling: Some(sampling),
            four: true,
            ..Options::default()
        };
        let expected = whole(&encode(&options, picture)).unwrap();
        assert_eq!(expected.channels, 3);
        for scans in [
            Scans::Of(&[&[0], &[1], &[2], &[3]]),
            Scans::Of(&[&[3, 0], &[1, 2]]),
            Scans::Progressive,
        ] {
            let options = Options { scans, ..options };
            assert!(
                whole(&encode(&options, picture)).unwrap() == expected,
                "{options:?}"
            );
        }
    }
}

#[test]
fn gray_may_be_progressive() {
    for restart in [0, 5] {
        let options = Options {
            size: [61, 43],
            sampling: None,
            restart,
            ..Options::default()
        };
        let expected = whole(&encode(&options, picture)).unwrap();
        let scans = Scans::Progressive;
        assert!(whole(&encode(&Options { scans, ..options }, picture)).unwrap() == expected);
    }
}

#[test]
fn a_component_without_a_scan_is_damage() {
    for scans in [Scans::Of(&[&[0], &[1]]), Scans::Of(&[&[1, 2]])] {
        let options = Options {
            scans,
            ..Options::default()
        };
        let error = whole(&encode(&options, picture)).unwrap_err();
        assert!(error.to_string().contains("no scan"), "{error}");
    }
}

#[test]
fn ratios_that_are_not_whole_are_named() {
    // Three blocks of luma beside two of a difference of color.
    let options = Options {
        sampling: Some([3, 1]),
        ..Options::default()
    };
    let mut bytes = encode(&options, picture);
    let frame = bytes.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    assert_eq!(bytes[frame + 14], 0x11);
    bytes[frame + 14] = 0x21;
    let error = whole(&bytes).unwrap_err();
    assert!(matches!(error, JpegError::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("whole ratios"), "{error}");
}

#[test]
fn missing_huffman_tables_are_those_of_the_standard() {
    // A frame of a camera's video stream: the tables are left out.
    let options = Options {
        size: [24, 16],
        ..Options::default()
    };
    let with_tables = include_bytes!("standard_tables.jpg");
    let mut without = with_tables[..2].to_vec();
    let mut at = 2;
    while with_tables[at + 1] != 0xDA {
        let length = usize::from(u16::from_be_bytes([
            with_tables[at + 2],
            with_tables[at + 3],
        ]));
        if with_tables[at + 1] != 0xC4 {
            without.extend(&with_tables[at..at + 2 + length]);
        }
        at += 2 + length;
    }
    without.extend(&with_tables[at..]);
    assert!(without.len() + 400 < with_tables.len());
    assert_eq!(whole(&without).unwrap(), whole(with_tables).unwrap());
    // Other tables are needed where other tables were used.
    assert!(encode(&options, picture).len() > 400);
}

#[test]
fn damage_is_told_where_it_is_met() {
    let options = Options {
        size: [64, 64],
        restart: 2,
        ..Options::default()
    };
    let intact = encode(&options, picture);
    // The markers of the last rows are lost.
    let bytes = without_markers(intact.clone(), 28);
    // Above the damage the part is decoded; with it, all is refused.
    let above = part(&bytes, [0, 0, 64, 40], 1).unwrap();
    assert_eq!(above.height, 40);
    let error = part(&bytes, [0, 0, 64, 64], 1).unwrap_err();
    assert!(matches!(error, JpegError::Damaged { .. }), "{error}");
    // What has no end is refused, whatever part is asked for.
    let error = part(&intact[..intact.len() - 2], [0, 0, 8, 8], 1).unwrap_err();
    assert_eq!(error, JpegError::CutOff);
}

#[test]
fn mutated_files_never_panic() {
    let mut rng = draw();
    let mut buffers = Buffers::default();
    let mut intact = 0;
    for round in 0..600 {
        let options = Options {
            size: SIZES[round % SIZES.len()],
            sampling: SAMPLINGS[round % SAMPLINGS.len()],
            four: round % 11 == 7 && round % SAMPLINGS.len() > 0,
            step: 4,
            slope: (round % 3) as u8,
            restart: (round % 5) as u16,
            orientation: (round % 9) as u8,
            scans: match round % 4 {
                0 => Scans::Progressive,
                1 if round % SAMPLINGS.len() > 0 && round % 11 != 7 => SEPARATE,
                _ => Scans::Together,
            },
        };
        let mut bytes = encode(&options, picture);
        damage(&mut bytes, &mut rng);
        // A header that promises more than the test has time for.
        if Jpeg::parse(&bytes).is_ok_and(|jpeg| jpeg.size().iter().any(|&side| side > 4000)) {
            continue;
        }
        intact += usize::from(whole(&bytes).is_ok());
        for shrink in [1, 2, 4, 8] {
            let [width, height] = options.size.map(|side| side as u32);
            let region = [width / 4, height / 3, width / 2 + 1, height / 2 + 1];
            // The same buffers for all: nothing may depend on what is left in them.
            let part = part_with(&bytes, region, shrink, &mut buffers, vec![7; 100]);
            let fresh = self::part(&bytes, region, shrink);
            assert_eq!(part, fresh, "{round}");
        }
    }
    // Both outcomes come often.
    assert!((100..500).contains(&intact), "{intact}");
}
