use semaim_normalization::IMAGENET_MEAN;

use super::pillow::{CHECKSUMS, checksum, dull, noisy};
use super::*;

const IMAGENET_FILL: [u8; 3] = [124, 116, 104];

fn done(operation: Operation, mut samples: Vec<u8>, size: [usize; 2], fill: &[u8]) -> Vec<u8> {
    operation
        .apply(&mut samples, size, fill, &mut Vec::new())
        .unwrap();
    samples
}

#[test]
fn every_operation_equals_pillow_in_every_byte() {
    let (small, large) = ([15, 20], [40, 33]);
    for &(operation, expected) in CHECKSUMS {
        let luma = |rgb: Vec<u8>| -> Vec<u8> { rgb.into_iter().step_by(3).collect() };
        let got = [
            done(operation, noisy(small, 3), small, &IMAGENET_FILL),
            done(operation, luma(noisy(small, 3)), small, &[117]),
            done(operation, dull(large, 3), large, &IMAGENET_FILL),
            done(operation, luma(dull(large, 3)), large, &[117]),
        ];
        let got = got.map(|samples| checksum(&samples));
        assert_eq!(got, expected, "{operation:?}");
    }
}

#[test]
fn rotated_like_pillow() {
    let operation = Operation::Rotate { degrees: 20.0 };
    let got = done(operation, noisy([5, 6], 3), [5, 6], &IMAGENET_FILL);
    #[rustfmt::skip]
    let pillow = [124, 116, 104, 48, 96, 183, 92, 154, 211, 183, 125, 212, 139, 110, 108, 124, 116, 104, 28, 86, 151, 107, 203, 157, 190, 147, 6, 207, 0, 66, 128, 88, 180, 106, 183, 235, 122, 168, 190, 197, 98, 146, 18, 76, 80, 35, 123, 179, 120, 222, 113, 216, 60, 71, 168, 253, 22, 164, 55, 53, 62, 82, 177, 144, 173, 250, 148, 163, 104, 52, 99, 115, 124, 116, 104, 34, 106, 191, 134, 214, 187, 225, 186, 8, 191, 0, 79, 124, 116, 104];
    assert_eq!(got, pillow);
}

#[test]
fn sharpened_like_pillow() {
    let operation = Operation::Sharpness { factor: 1.9 };
    let got = done(operation, noisy([5, 6], 3), [5, 6], &IMAGENET_FILL);
    #[rustfmt::skip]
    let pillow = [0, 53, 106, 37, 90, 143, 74, 127, 180, 111, 164, 217, 148, 201, 254, 185, 238, 35, 91, 144, 197, 147, 217, 255, 202, 255, 0, 255, 0, 1, 255, 0, 57, 25, 78, 131, 182, 235, 32, 255, 0, 35, 0, 21, 92, 0, 78, 167, 46, 153, 223, 121, 174, 227, 17, 70, 123, 21, 92, 181, 79, 168, 238, 155, 225, 255, 212, 255, 0, 217, 14, 67, 108, 161, 214, 149, 202, 255, 190, 243, 40, 231, 28, 81, 16, 69, 122, 57, 110, 163];
    assert_eq!(got, pillow);
}

#[test]
fn alpha_is_enhanced_like_pillow_and_otherwise_left_alone() {
    let rgba = noisy([6, 7], 4);
    let factor = 1.7;
    // ImageEnhance of Pillow on RGBA.
    for (operation, expected) in [
        (Operation::Color { factor }, 0xf598c0ead094bf61),
        (Operation::Contrast { factor }, 0xcfe44704fb7452f2),
        (Operation::Brightness { factor }, 0x86cac3e2f133f7ec),
        (Operation::Sharpness { factor }, 0xa534c3838da19961),
    ] {
        let got = done(operation, rgba.clone(), [6, 7], &[0; 4]);
        assert_eq!(checksum(&got), expected, "{operation:?}");
    }
    for operation in [
        Operation::AutoContrast,
        Operation::Equalize,
        Operation::Invert,
        Operation::Posterize { bits: 1 },
        Operation::Solarize { threshold: 0 },
        Operation::SolarizeAdd { add: 110 },
    ] {
        let got = done(operation, rgba.clone(), [6, 7], &[0; 4]);
        for (pixel, before) in got.chunks(4).zip(rgba.chunks(4)) {
            assert_eq!(pixel[3], before[3], "{operation:?}");
        }
    }
}

#[test]
fn channels_beyond_color_are_each_treated_like_luma() {
    let size = [15, 20];
    for channels in [2, 5] {
        let many = noisy(size, channels);
        let fill: Vec<u8> = (0..channels as u8).map(|c| 100 + c).collect();
        for &(operation, _) in CHECKSUMS {
            let got = done(operation, many.clone(), size, &fill);
            for (channel, &fill) in fill.iter().enumerate() {
                let of = |samples: &[u8]| -> Vec<u8> {
                    samples
                        .iter()
                        .skip(channel)
                        .step_by(channels)
                        .copied()
                        .collect()
                };
                let alone = done(operation, of(&many), size, &[fill]);
                assert_eq!(of(&got), alone, "{operation:?}");
            }
        }
    }
}

#[test]
fn no_bits_are_black() {
    let got = done(
        Operation::Posterize { bits: 0 },
        vec![200; 6],
        [1, 2],
        &[0; 3],
    );
    assert_eq!(got, [0; 6]);
}

#[test]
fn halves_of_the_mean_are_rounded_up() {
    let mean = Operation::Contrast { factor: 0.0 };
    assert_eq!(done(mean, vec![0, 1], [1, 2], &[0]), [1, 1]);
    assert_eq!(done(mean, vec![0, 0, 0, 1, 1, 1], [1, 2], &[0; 3]), [1; 6]);
}

#[test]
fn small_and_flat_images_and_odd_arguments_do_no_harm() {
    let odd = [
        Operation::Rotate { degrees: f64::NAN },
        Operation::ShearX {
            factor: f64::INFINITY,
        },
        Operation::TranslateY { fraction: -1e300 },
        Operation::Contrast { factor: f64::NAN },
        Operation::Sharpness {
            factor: f64::NEG_INFINITY,
        },
        Operation::Posterize { bits: 99 },
        Operation::Solarize { threshold: 9999 },
        Operation::SolarizeAdd { add: 255 },
    ];
    let known = CHECKSUMS.iter().map(|row| row.0);
    for operation in known.chain(odd) {
        for size in [
            [1, 1],
            [1, 9],
            [9, 1],
            [2, 2],
            [3, 3],
            [0, 5],
            [5, 0],
            [0, 0],
        ] {
            for channels in [0, 1, 3, 4, 6] {
                let fill = vec![7; channels];
                done(operation, noisy(size, channels), size, &fill);
                done(
                    operation,
                    vec![50; size[0] * size[1] * channels],
                    size,
                    &fill,
                );
            }
        }
    }
}

#[test]
fn the_fill_is_the_mean_in_bytes() {
    assert_eq!(fill_color(&IMAGENET_MEAN), IMAGENET_FILL);
    // Python rounds halves to the even number.
    assert_eq!(fill_color(&[0.0, 0.5, 1.0, 2.0]), [0, 128, 255, 255]);
    // All of the image has left: what is seen is the fill.
    let away = Operation::TranslateX { fraction: 1.0 };
    let got = done(away, noisy([2, 3], 3), [2, 3], &IMAGENET_FILL);
    assert_eq!(got, IMAGENET_FILL.repeat(6));
}

#[test]
fn plans_have_the_statistics_of_timm() {
    let settings = RandAugment::default();
    let plans: Vec<Vec<Operation>> = (0..20_000)
        .map(|item| settings.plan(Key::new(1, 2, item)))
        .collect();
    // Of two layers, none in a quarter of the images, one in half of them.
    for (operations, expected) in [(0, 0.25), (1, 0.5), (2, 0.25)] {
        let count = plans.iter().filter(|plan| plan.len() == operations).count();
        let part = count as f64 / 20_000.0;
        assert!((part - expected).abs() < 0.015, "{operations}: {part}");
    }
    let all: Vec<Operation> = plans.into_iter().flatten().collect();
    for operation in Operation::at(9.0, false, true) {
        let example = std::mem::discriminant(&operation);
        let count = all
            .iter()
            .filter(|op| std::mem::discriminant(*op) == example);
        let part = count.count() as f64 / all.len() as f64;
        assert!((part - 1.0 / 15.0).abs() < 0.008, "{operation:?}: {part}");
    }
    let degrees: Vec<f64> = all
        .iter()
        .filter_map(|operation| match operation {
            Operation::Rotate { degrees } => Some(*degrees),
            _ => None,
        })
        .collect();
    let n = degrees.len() as f64;
    let left = degrees.iter().filter(|d| **d > 0.0).count() as f64 / n;
    assert!((left - 0.5).abs() < 0.05, "{left}");
    let mean = degrees.iter().map(|d| d.abs()).sum::<f64>() / n;
    let variance = degrees
        .iter()
        .map(|d| (d.abs() - mean).powi(2))
        .sum::<f64>()
        / n;
    // Three times Normal(9, 0.5), of which 2.3% are cut to 30 degrees.
    assert!((mean - 27.0).abs() < 0.15, "{mean}");
    assert!((variance - 2.2).abs() < 0.3, "{variance}");
    let strongest = degrees.iter().filter(|d| d.abs() == 30.0).count() as f64 / n;
    assert!((strongest - 0.023).abs() < 0.015, "{strongest}");
}

#[test]
fn the_key_and_nothing_else_decides() {
    let settings = RandAugment {
        probability: 1.0,
        ..RandAugment::default()
    };
    let augmented = |key: [u64; 3], buffer: &mut Vec<u8>| {
        let mut samples = noisy([15, 20], 3);
        settings
            .apply(
                &mut samples,
                [15, 20],
                &IMAGENET_FILL,
                buffer,
                Key::new(key[0], key[1], key[2]),
            )
            .unwrap();
        samples
    };
    for item in 0..50 {
        let first = augmented([1, 2, item], &mut Vec::new());
        assert_eq!(first, augmented([1, 2, item], &mut vec![9; 5000]));
    }
    assert_ne!(
        settings.plan(Key::new(1, 2, 3)),
        settings.plan(Key::new(1, 2, 4))
    );
    assert_ne!(
        settings.plan(Key::new(1, 2, 3)),
        settings.plan(Key::new(1, 3, 3))
    );
    assert_ne!(
        settings.plan(Key::new(1, 2, 3)),
        settings.plan(Key::new(2, 2, 3))
    );
    assert_eq!(
        RandAugment {
            layers: 7,
            ..settings
        }
        .plan(Key::new(0, 0, 0))
        .len(),
        7
    );
    // Part of the run format, like the numbers they come from.
    let pinned = RandAugment {
        magnitude_std: 0.0,
        ..settings
    };
    let plan = [
        Operation::ShearY { factor: -0.27 },
        Operation::Brightness { factor: 1.81 },
    ];
    assert_eq!(pinned.plan(Key::new(1, 2, 3)), plan);
}

#[test]
fn mismatches_are_errors() {
    let standard = RandAugment::default();
    let error = standard.apply(
        &mut [0; 11],
        [2, 2],
        &[0; 3],
        &mut Vec::new(),
        Key::default(),
    );
    assert!(matches!(
        error,
        Err(AugmentError::Length {
            wanted: 12,
            given: 11,
            ..
        })
    ));
    let error = Operation::Invert.apply(&mut [0; 11], [2, 2], &[0; 3], &mut Vec::new());
    assert!(matches!(error, Err(AugmentError::Length { .. })));
    for wrong in [
        RandAugment {
            magnitude: 10.5,
            ..standard
        },
        RandAugment {
            magnitude_std: f64::INFINITY,
            ..standard
        },
        RandAugment {
            probability: -0.1,
            ..standard
        },
    ] {
        assert!(matches!(wrong.check(), Err(AugmentError::Setting { .. })));
        wrong.plan(Key::new(0, 0, 0));
    }
}
