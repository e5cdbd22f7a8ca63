//! Parts of JPEGs through a source: orientations, views of parts, damaged files.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test may panic"
)]

#[path = "../../semaim-jpeg/tests/jpeg/encoder.rs"]
#[allow(dead_code, reason = "not all of the encoder is needed here")]
mod encoder;
#[path = "../../semaim-jpeg/tests/jpeg/inputs.rs"]
mod inputs;
#[path = "../../semaim-jpeg/tests/jpeg/parts.rs"]
mod parts;

use std::sync::Arc;

use encoder::{Options, encode};
use inputs::{boxes, damage, draw, picture, without_markers};
use parts::Part;
use semaim_data::{
    Augment, CropBox, DecodeRequest, DecodedRegion, ImageError, ImageProblem, OpenOptions, Pixels,
    Samples, Scratch, Source, Split, decode, open,
};
use semaim_random::Key;

const LIMIT: u64 = 1_000_000;

/// Files written to a folder that is read as a source.
fn source_of(files: &[Vec<u8>]) -> (tempfile::TempDir, Arc<dyn Source>) {
    let folder = tempfile::tempdir().unwrap();
    for (number, bytes) in files.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number:05}.jpg")), bytes).unwrap();
    }
    let path = folder.path().to_str().unwrap().to_owned();
    let source = open(&path, Split::Train, &OpenOptions::default()).unwrap();
    (folder, source)
}

fn part(
    source: &dyn Source,
    index: usize,
    region: [u32; 4],
    shrink: u32,
) -> Result<DecodedRegion, ImageError> {
    let [left, top, width, height] = region;
    let region = CropBox {
        left,
        top,
        width,
        height,
    };
    let mut request = |_| DecodeRequest { region, shrink };
    source.decode(index, &mut request, &mut Scratch::new())
}

fn whole_of(pixels: &Pixels) -> Part<'_> {
    Part {
        size: pixels.size(),
        channels: pixels.channels,
        samples: match &pixels.samples {
            Samples::U8(samples) => samples,
            other => panic!("{other:?}"),
        },
        origin: [0; 2],
        shrink: 1,
    }
}

fn seen(part: &DecodedRegion) -> Part<'_> {
    Part {
        origin: part.origin,
        shrink: part.shrink,
        ..whole_of(&part.pixels)
    }
}

#[test]
fn orientations_are_applied_to_regions() {
    let mut rng = draw();
    let files: Vec<Vec<u8>> = (1..=8)
        .map(|orientation| {
            let options = Options {
                size: [45, 30],
                sampling: Some([2, 2]),
                orientation,
                ..Options::default()
            };
            encode(&options, picture)
        })
        .collect();
    let (_folder, source) = source_of(&files);
    for index in 0..8 {
        let whole = source.image(index).unwrap();
        let turned = index >= 4;
        let size = if turned { [30, 45] } else { [45, 30] };
        assert_eq!([whole.width, whole.height], size);
        for region in boxes(whole.width, whole.height, &mut rng) {
            let part = part(&*source, index, region, 1).unwrap();
            let [left, top, width, height] = region;
            let cut = Pixels::new(width, height, 3, whole_of(&whole).cut(region)).unwrap();
            assert_eq!(part.pixels, cut, "{} {region:?}", index + 1);
            assert_eq!(part.origin, [left, top].map(i64::from));
        }
        for shrink in [2, 4, 8] {
            for region in boxes(whole.width, whole.height, &mut rng) {
                let part = part(&*source, index, region, shrink).unwrap();
                let what = format!("{} {region:?} {shrink}", index + 1);
                seen(&part).assert_covers(region, shrink);
                seen(&part).assert_averages(whole_of(&whole), &what);
            }
        }
    }
}

#[test]
fn views_of_parts_are_those_of_wholes() {
    let options = Options {
        size: [131, 97],
        sampling: Some([2, 2]),
        orientation: 6,
        ..Options::default()
    };
    let (_folder, source) = source_of(&[encode(&options, picture)]);
    let whole = source.image(0).unwrap();
    let mut scratch = Scratch::new();
    // Larger than the crops, of about their size, and so much smaller that parts are shrunk.
    for (side, tolerance) in [(150, 0.0), (60, 0.0), (16, 40.0)] {
        let augment = Augment::new([side, side], 3);
        let mut expected = vec![0.0; augment.view_len()];
        let mut got = expected.clone();
        for item in 0..30 {
            let plan = augment.training_view(whole.size(), Key::new(1, 2, item));
            plan.render_image(&whole, &mut scratch, &mut expected)
                .unwrap();
            let mut request = |size| {
                assert_eq!(size, plan.image_size());
                plan.request()
            };
            let part = source.decode(0, &mut request, &mut scratch).unwrap();
            plan.render(&part, &mut scratch, &mut got).unwrap();
            let tolerance = if part.shrink > 1 { tolerance } else { 0.0 };
            assert_levels(&got, &expected, tolerance);
        }
        let plan = augment.evaluation_view(whole.size());
        plan.render_image(&whole, &mut scratch, &mut expected)
            .unwrap();
        let part = source
            .decode(0, &mut |_| plan.request(), &mut scratch)
            .unwrap();
        assert!(part.pixels.width < whole.width && part.pixels.height < whole.height);
        plan.render(&part, &mut scratch, &mut got).unwrap();
        // Where the part starts may turn a rounding of the filter's weights.
        assert_levels(&got, &expected, if part.shrink > 1 { 40.0 } else { 1.0 });
    }
}

/// Checks that views differ by at most so many of 255 levels.
fn assert_levels(got: &[f32], expected: &[f32], tolerance: f32) {
    let differences = got.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let worst = differences.fold(0.0, f32::max) * 0.229 * 255.0;
    assert!(worst <= tolerance + 0.01, "{worst} levels");
}

#[test]
fn requests_outside_the_image_are_met_inside() {
    let (_folder, source) = source_of(&[encode(&Options::default(), picture)]);
    let far = part(&*source, 0, [1000, 1000, 5, 5], 1).unwrap();
    assert_eq!((far.pixels.width, far.pixels.height), (1, 1));
    let large = part(&*source, 0, [60, 40, u32::MAX, u32::MAX], 1).unwrap();
    assert_eq!((large.pixels.width, large.pixels.height), (4, 8));
    let none = part(&*source, 0, [0, 0, 0, 0], 0).unwrap();
    assert_eq!((none.pixels.width, none.pixels.height), (1, 1));
}

#[test]
fn damage_is_told_where_it_is_met() {
    let options = Options {
        size: [64, 64],
        restart: 2,
        ..Options::default()
    };
    let whole = encode(&options, picture);
    // The markers of the last rows are lost.
    let bytes = without_markers(whole.clone(), 28);
    let (_folder, source) = source_of(&[bytes, whole[..whole.len() - 2].to_vec()]);
    // Above the damage only the part is decoded; with it, nothing is given.
    let above = part(&*source, 0, [0, 0, 64, 40], 1).unwrap();
    assert_eq!(above.pixels.height, 40);
    let error = part(&*source, 0, [0, 0, 64, 64], 1).unwrap_err();
    assert!(
        matches!(error.problem, ImageProblem::Decode { .. }),
        "{error}"
    );
    // What has no end is refused, whatever part is asked for.
    let error = part(&*source, 1, [0, 0, 8, 8], 1).unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
}

#[test]
fn mutated_files_never_panic() {
    let mut rng = draw();
    let mut files = Vec::new();
    for round in 0..300 {
        let options = Options {
            size: [17 + round % 50, 33 + round % 20],
            sampling: [None, Some([1, 1]), Some([2, 2])][round % 3],
            step: 4,
            slope: (round % 3) as u8,
            restart: (round % 5) as u16,
            orientation: (round % 9) as u8,
            ..Options::default()
        };
        let mut bytes = encode(&options, picture);
        damage(&mut bytes, &mut rng);
        files.push(bytes);
    }
    let (_folder, source) = source_of(&files);
    let mut scratch = Scratch::new();
    let mut whole = 0;
    for (index, bytes) in files.iter().enumerate() {
        let outcome = decode(bytes, 3, LIMIT);
        whole += usize::from(outcome.is_ok());
        assert_no_panic(outcome.map(|pixels| assert!(pixels.is_consistent())));
        for shrink in [1, 2, 4, 8] {
            let region = |size: [u32; 2]| CropBox {
                left: size[0] / 4,
                top: size[1] / 3,
                width: size[0] / 2 + 1,
                height: size[1] / 2 + 1,
            };
            let mut request = |size: [u32; 2]| DecodeRequest {
                region: region(size),
                shrink,
            };
            // The same buffers for all: nothing may depend on what is left in them.
            let part = source.decode(index, &mut request, &mut scratch);
            let fresh = source.decode(index, &mut request, &mut Scratch::new());
            match (part, fresh) {
                (Ok(part), Ok(fresh)) => {
                    assert!(part.pixels.is_consistent());
                    assert_eq!(part, fresh, "{index}");
                }
                (Err(error), Err(_)) => assert_no_panic(Err(error.problem)),
                _ => panic!("{index}: it depends on what was decoded before"),
            }
        }
    }
    // Both ways are taken often.
    assert!((50..250).contains(&whole), "{whole}");
}

fn assert_no_panic(outcome: Result<(), ImageProblem>) {
    if let Err(error) = outcome {
        assert!(
            !matches!(error, ImageProblem::DecoderPanic { .. }),
            "{error}"
        );
    }
}
