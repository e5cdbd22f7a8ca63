//! Every format and kind of pixel, orientations, and inputs that must be refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test may panic"
)]

use std::io::Cursor;

use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, Rgb, RgbImage};
use semaim_data::{ImageProblem, Pixels, decode};

const LIMIT: u64 = 1_000_000;

/// Formats that the tests can write.
const FORMATS: [ImageFormat; 5] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
    ImageFormat::WebP,
];

/// Red grows to the right, green downwards.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 90])
    })
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn rgb(bytes: &[u8]) -> Pixels {
    decode(bytes, 3, LIMIT).unwrap()
}

fn at(pixels: &Pixels, x: usize, y: usize) -> Vec<u8> {
    let start = (y * pixels.width as usize + x) * pixels.channels;
    pixels.bytes()[start..start + pixels.channels].to_vec()
}

fn assert_near(got: &[u8], expected: &[u8], tolerance: u8, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let worst = got.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(
        worst <= Some(tolerance),
        "{what}: {got:?} is not {expected:?}"
    );
}

#[test]
fn lossless_formats_return_the_samples() {
    let image = picture(9, 7);
    let dynamic = DynamicImage::from(image.clone());
    for format in [
        ImageFormat::Png,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::WebP,
    ] {
        let pixels = rgb(&encode(&dynamic, format));
        assert_eq!((pixels.width, pixels.height), (9, 7), "{format:?}");
        assert_eq!(pixels.samples, image.as_raw().clone().into(), "{format:?}");
    }
}

#[test]
fn gif_shows_its_first_frame() {
    let mut out = Vec::new();
    {
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut out);
        for color in [[255, 0, 0, 255], [0, 0, 255, 255]] {
            let frame = image::RgbaImage::from_pixel(4, 4, image::Rgba(color));
            encoder.encode_frame(image::Frame::new(frame)).unwrap();
        }
    }
    assert_near(&at(&rgb(&out), 2, 2), &[255, 0, 0], 2, "gif");
}

#[test]
fn jpegs_of_all_colors() {
    let image = DynamicImage::from(picture(64, 64));
    let bytes = encode(&image, ImageFormat::Jpeg);
    assert_near(&at(&rgb(&bytes), 32, 32), &[127, 127, 90], 8, "rgb");
    let gray = encode(&DynamicImage::from(image.to_luma8()), ImageFormat::Jpeg);
    let pixels = rgb(&gray);
    let [r, g, b] = at(&pixels, 40, 20)[..] else {
        panic!("channels")
    };
    assert!(r == g && g == b);
    let luma = decode(&gray, 1, LIMIT).unwrap();
    assert_eq!(at(&luma, 40, 20), [r]);
    // Pillow's values for these files.
    let corners = [(5, 5), (25, 5), (5, 25), (25, 25)];
    let cmyk = rgb(include_bytes!("data/cmyk.jpg"));
    let expected = [
        [42, 57, 180],
        [235, 75, 155],
        [55, 245, 235],
        [180, 187, 119],
    ];
    for ((x, y), expected) in corners.into_iter().zip(expected) {
        assert_near(&at(&cmyk, x, y), &expected, 3, "cmyk");
    }
    let progressive = rgb(include_bytes!("data/progressive.jpg"));
    let expected = [
        [42, 39, 126],
        [199, 41, 128],
        [40, 200, 126],
        [199, 200, 130],
    ];
    for ((x, y), expected) in corners.into_iter().zip(expected) {
        assert_near(&at(&progressive, x, y), &expected, 4, "progressive");
    }
}

#[test]
fn ycck_is_cmyk_transformed() {
    // The same file with its Adobe marker saying YCCK must give other colors, without failing.
    let mut bytes = include_bytes!("data/cmyk.jpg").to_vec();
    let marker = bytes.windows(5).position(|w| w == b"Adobe").unwrap();
    assert_eq!(bytes[marker + 11], 0);
    bytes[marker + 11] = 2;
    let cmyk = rgb(include_bytes!("data/cmyk.jpg"));
    let ycck = rgb(&bytes);
    assert_eq!((ycck.width, ycck.height), (32, 32));
    assert_ne!(cmyk.samples, ycck.samples);
}

#[test]
fn deep_gray_and_transparent_pngs() {
    let image = DynamicImage::from(picture(8, 8));
    let deep = encode(&DynamicImage::from(image.to_rgb16()), ImageFormat::Png);
    assert_eq!(rgb(&deep).samples, image.to_rgb16().into_raw().into());
    assert_eq!(rgb(&deep).bytes(), image.to_rgb8().into_raw());
    let deep_gray =
        image::ImageBuffer::<image::Luma<u16>, _>::from_pixel(2, 2, image::Luma([32_896]));
    let deep_gray = encode(&DynamicImage::from(deep_gray), ImageFormat::Png);
    assert_eq!(*rgb(&deep_gray).bytes(), [128; 12]);
    let veiled = image::RgbaImage::from_pixel(2, 1, image::Rgba([200, 100, 50, 0]));
    let veiled = encode(&DynamicImage::from(veiled), ImageFormat::Png);
    assert_eq!(*rgb(&veiled).bytes(), [200, 100, 50, 200, 100, 50]);
    assert_eq!(
        decode(&veiled, 4, LIMIT).unwrap().bytes()[..4],
        [200, 100, 50, 0]
    );
    assert_eq!(*decode(&veiled, 1, LIMIT).unwrap().bytes(), [124, 124]);
    let gray = image::GrayAlphaImage::from_pixel(1, 1, image::LumaA([7, 3]));
    let gray = encode(&DynamicImage::from(gray), ImageFormat::Png);
    assert_eq!(*rgb(&gray).bytes(), [7, 7, 7]);
    assert_eq!(*decode(&gray, 4, LIMIT).unwrap().bytes(), [7, 7, 7, 3]);
}

#[test]
fn palette_png() {
    // 2x1 pixels, 1 bit each, with the palette (1, 2, 3), (4, 5, 6).
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 1, 1, 3, 0, 0, 0]);
    chunk(&mut png, b"PLTE", &[1, 2, 3, 4, 5, 6]);
    let mut data = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut data, &[0, 0b0100_0000]).unwrap();
    chunk(&mut png, b"IDAT", &data.finish().unwrap());
    chunk(&mut png, b"IEND", &[]);
    assert_eq!(*rgb(&png).bytes(), [1, 2, 3, 4, 5, 6]);
}

/// Adds a PNG chunk.
fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    png.extend((data.len() as u32).to_be_bytes());
    png.extend(kind);
    png.extend(data);
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    png.extend(crc.sum().to_be_bytes());
}

/// The EXIF data of an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    exif
}

#[test]
fn orientations_are_applied_in_jpeg_png_and_webp() {
    let stored = picture(48, 32);
    for orientation in 1..=8u8 {
        let mut expected = DynamicImage::from(stored.clone());
        let turn = image::metadata::Orientation::from_exif(orientation).unwrap();
        expected.apply_orientation(turn);
        let expected = expected.to_rgb8();
        let write = |name: &str| {
            let mut out = Vec::new();
            let raw = stored.as_raw();
            let kind = ExtendedColorType::Rgb8;
            match name {
                "jpeg" => {
                    let mut encoder =
                        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 95);
                    encoder.set_exif_metadata(exif(orientation)).unwrap();
                    encoder.write_image(raw, 48, 32, kind).unwrap();
                }
                "png" => {
                    let mut encoder = image::codecs::png::PngEncoder::new(&mut out);
                    encoder.set_exif_metadata(exif(orientation)).unwrap();
                    encoder.write_image(raw, 48, 32, kind).unwrap();
                }
                _ => {
                    let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut out);
                    encoder.set_exif_metadata(exif(orientation)).unwrap();
                    encoder.write_image(raw, 48, 32, kind).unwrap();
                }
            }
            out
        };
        for name in ["jpeg", "png", "webp"] {
            let what = format!("{name}, orientation {orientation}");
            let got = rgb(&write(name));
            let size = (got.width, got.height);
            assert_eq!(size, expected.dimensions(), "{what}");
            for (x, y) in [(3, 3), (20, 4), (4, 20), (28, 28)] {
                let pixel = expected.get_pixel(x, y).0;
                assert_near(&at(&got, x as usize, y as usize), &pixel, 12, &what);
            }
        }
    }
}

#[test]
fn tiffs_with_many_samples() {
    // 2x1 pixels with 5 samples of 8 bits, uncompressed.
    let samples: Vec<u8> = (10..20).collect();
    let entries: [(u16, u16, u32, u32); 9] = [
        (256, 3, 1, 2),
        (257, 3, 1, 1),
        (258, 3, 5, 122),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 132),
        (277, 3, 1, 5),
        (278, 3, 1, 1),
        (279, 4, 1, 10),
    ];
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    tiff.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        tiff.extend(tag.to_le_bytes());
        tiff.extend(kind.to_le_bytes());
        tiff.extend(count.to_le_bytes());
        tiff.extend(value.to_le_bytes());
    }
    tiff.extend([0; 4]);
    assert_eq!(tiff.len(), 122);
    tiff.extend([8, 0].repeat(5));
    tiff.extend(&samples);
    let pixels = decode(&tiff, 5, LIMIT).unwrap();
    assert_eq!((pixels.width, pixels.height, pixels.channels), (2, 1, 5));
    assert_eq!(pixels.samples, samples.into());
    let error = decode(&tiff, 3, LIMIT).unwrap_err();
    assert!(
        matches!(
            error,
            ImageProblem::Channels {
                found: 5,
                wanted: 3,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("1 (luma), 3 (RGB) and 4 (RGBA)"));
    let png = encode(&DynamicImage::from(picture(2, 2)), ImageFormat::Png);
    assert!(matches!(
        decode(&png, 5, LIMIT),
        Err(ImageProblem::Channels { wanted: 5, .. })
    ));
    let jpeg = encode(&DynamicImage::from(picture(2, 2)), ImageFormat::Jpeg);
    assert!(matches!(
        decode(&jpeg, 2, LIMIT),
        Err(ImageProblem::Channels {
            found: 3,
            wanted: 2,
            ..
        })
    ));
}

#[test]
fn one_pixel_is_an_image() {
    for format in [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::WebP,
        ImageFormat::Gif,
    ] {
        let image = DynamicImage::from(picture(1, 1));
        let image = match format {
            ImageFormat::Gif => DynamicImage::from(image.to_rgba8()),
            _ => image,
        };
        let pixels = rgb(&encode(&image, format));
        assert_eq!((pixels.width, pixels.height), (1, 1), "{format:?}");
    }
}

#[test]
fn too_many_pixels_are_refused_from_the_header() {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let side = 20_000u32.to_be_bytes();
    chunk(
        &mut png,
        b"IHDR",
        &[&side[..], &side, &[8, 2, 0, 0, 0]].concat(),
    );
    chunk(&mut png, b"IDAT", &[]);
    let error = decode(&png, 3, 100_000_000).unwrap_err();
    assert!(
        matches!(
            error,
            ImageProblem::TooLarge {
                width: 20_000,
                height: 20_000,
                ..
            }
        ),
        "{error}"
    );
    // A JPEG with its size patched.
    let mut jpeg = encode(&DynamicImage::from(picture(8, 8)), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x4E, 0x20, 0x4E, 0x20]);
    let error = decode(&jpeg, 3, 100_000_000).unwrap_err();
    assert!(
        matches!(error, ImageProblem::TooLarge { width: 20_000, .. }),
        "{error}"
    );
    let small = encode(&DynamicImage::from(picture(8, 8)), ImageFormat::Png);
    assert!(matches!(
        decode(&small, 3, 63),
        Err(ImageProblem::TooLarge { limit: 63, .. })
    ));
    assert!(decode(&small, 3, 64).is_ok());
}

#[test]
fn nothing_and_nonsense_are_refused() {
    assert!(matches!(decode(&[], 3, LIMIT), Err(ImageProblem::Empty)));
    assert!(matches!(
        decode(b"<html>not found</html>", 3, LIMIT),
        Err(ImageProblem::UnknownFormat)
    ));
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, b"IHDR", &[0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0]);
    chunk(&mut png, b"IDAT", &[]);
    assert!(decode(&png, 3, LIMIT).is_err());
}

#[test]
fn cut_off_files_are_refused() {
    let image = DynamicImage::from(picture(60, 40));
    for format in FORMATS {
        let bytes = encode(&image, format);
        for part in [1, 2, 8, 20, bytes.len() / 2, bytes.len() * 9 / 10] {
            let result = decode(&bytes[..part], 3, LIMIT);
            assert!(
                result.is_err(),
                "{format:?} cut to {part} of {}",
                bytes.len()
            );
        }
    }
}

#[test]
fn a_thumbnail_does_not_hide_that_a_jpeg_is_cut_off() {
    let whole = encode(&DynamicImage::from(picture(60, 40)), ImageFormat::Jpeg);
    // An application segment that holds an end marker of its own, right after the start.
    let mut bytes = whole[..2].to_vec();
    bytes.extend([0xFF, 0xE5, 0, 6, 0, 0, 0xFF, 0xD9]);
    bytes.extend(&whole[2..]);
    assert!(decode(&bytes, 3, LIMIT).is_ok());
    bytes.truncate(bytes.len() - 20);
    assert!(decode(&bytes, 3, LIMIT).is_err());
}

#[test]
fn damaged_files_never_panic() {
    let image = DynamicImage::from(picture(16, 16));
    for format in FORMATS {
        let bytes = encode(&image, format);
        for place in 0..bytes.len().min(700) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x5A;
            if let Ok(pixels) = decode(&damaged, 3, LIMIT) {
                assert!(pixels.is_consistent());
            }
        }
    }
}
