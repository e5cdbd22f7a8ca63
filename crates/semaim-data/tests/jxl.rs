//! JPEG XL, in builds with the feature `jxl`; in others it is refused by name.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test may panic"
)]

use semaim_data::{ImageProblem, decode};

/// Lossless, 5x3 pixels of 8 bits, written by libjxl: red 50 x, green 100 y, blue (7 x + 31 y) mod 251.
const RGB: &str = "ff0a105010090800010018014b18938e83838413d89ca3cbad0b8403202929b995416e4552722b83dc8aa4a4a4a3a363917b2cf21c07d9e358ee0e63dcc4c7ee1877f6ea0c635c4e37118f5650c4033d2202";
/// The same with alpha 9.
#[cfg(feature = "jxl")]
const RGBA: &str = "ff0a1050b0120800100038014b18938e838359088a272dc261730677b72e200f40242525b732c8ad484a6e65905b9194948ca3a363917b2c328e83ec712c4982316ee263778c3b7b7586313e09a137b9a1f4263794d22127e405";
/// Its red alone.
#[cfg(feature = "jxl")]
const GRAY: &str = "ff0a105010143702080001005c004b188b154219b66d68752e323232d2b568ea3d64002003";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

#[cfg(not(feature = "jxl"))]
#[test]
fn without_the_feature_it_is_refused_by_name() {
    let error = decode(&bytes(RGB), 3, 1000).unwrap_err();
    assert!(matches!(error, ImageProblem::Unsupported { .. }));
    assert!(error.to_string().contains("JPEG XL"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jxl");
    std::fs::write(&path, bytes(RGB)).unwrap();
    let options = semaim_data::OpenOptions::default();
    let spec = path.display().to_string();
    let error = semaim_data::open(&spec, semaim_data::Split::Train, &options).unwrap_err();
    assert!(error.to_string().contains("--features jxl"), "{error}");
}

#[cfg(feature = "jxl")]
#[test]
fn lossless_files_return_the_samples() {
    let pixel = |at: usize| {
        let (x, y) = (at % 5, at / 5);
        [x * 50, y * 100, (7 * x + 31 * y) % 251].map(|sample| sample as u8)
    };
    let rgb: Vec<u8> = (0..15).flat_map(pixel).collect();
    let decoded = decode(&bytes(RGB), 3, 1000).unwrap();
    assert_eq!(decoded.size(), [5, 3]);
    assert_eq!(decoded.samples, rgb.clone().into());
    assert_eq!(decode(&bytes(RGBA), 3, 1000).unwrap().samples, rgb.into());
    let alpha = decode(&bytes(RGBA), 4, 1000).unwrap();
    assert_eq!(alpha.bytes()[..4], [0, 0, 0, 9]);
    let gray = decode(&bytes(GRAY), 1, 1000).unwrap();
    assert_eq!(gray.bytes()[..5], [0, 50, 100, 150, 200]);
    assert_eq!(
        decode(&bytes(GRAY), 3, 1000).unwrap().bytes()[3..6],
        [50; 3]
    );
    // A file of the format is one of a folder's images.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.JXL"), bytes(RGB)).unwrap();
    let options = semaim_data::OpenOptions::default();
    let spec = folder.path().display().to_string();
    let set = semaim_data::open(&spec, semaim_data::Split::Train, &options).unwrap();
    assert_eq!(set.len(), 1);
}

#[cfg(feature = "jxl")]
#[test]
fn cut_and_large_files_are_refused() {
    let whole = bytes(RGB);
    for end in 0..whole.len() {
        let error = decode(&whole[..end], 3, 1000).unwrap_err();
        assert!(
            !matches!(error, ImageProblem::DecoderPanic { .. }),
            "{end}: {error}"
        );
    }
    assert!(matches!(
        decode(&whole, 3, 14),
        Err(ImageProblem::TooLarge { limit: 14, .. })
    ));
    for place in 2..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x55;
        if let Ok(pixels) = decode(&damaged, 3, 1000) {
            assert!(pixels.is_consistent());
        }
    }
}
