//! Turning images the way their camera was held.

use image::metadata::Orientation;

use crate::crop::CropBox;
use crate::pixels::{Pixels, Samples};

/// The columns and rows that an image of `size` has after turning.
pub(super) fn turned_size([width, height]: [u32; 2], orientation: Orientation) -> [u32; 2] {
    match orientation {
        Orientation::NoTransforms
        | Orientation::FlipHorizontal
        | Orientation::Rotate180
        | Orientation::FlipVertical => [width, height],
        Orientation::Rotate90FlipH
        | Orientation::Rotate90
        | Orientation::Rotate270FlipH
        | Orientation::Rotate270 => [height, width],
    }
}

/// Where a box of the turned image is in the stored one, which has the given columns and rows. The box must lie in the
/// image.
pub(super) fn stored_box(part: CropBox, size: [u32; 2], orientation: Orientation) -> CropBox {
    // From the opposite edges.
    let [turned_width, turned_height] = turned_size(size, orientation);
    let right = turned_width.saturating_sub(part.left + part.width);
    let bottom = turned_height.saturating_sub(part.top + part.height);
    let (left, top) = match orientation {
        Orientation::NoTransforms => (part.left, part.top),
        Orientation::FlipHorizontal => (right, part.top),
        Orientation::Rotate180 => (right, bottom),
        Orientation::FlipVertical => (part.left, bottom),
        Orientation::Rotate90FlipH => (part.top, part.left),
        Orientation::Rotate90 => (part.top, right),
        Orientation::Rotate270FlipH => (bottom, right),
        Orientation::Rotate270 => (bottom, part.left),
    };
    let [width, height] = turned_size([part.width, part.height], orientation);
    CropBox {
        left,
        top,
        width,
        height,
    }
}

/// The left and top edge, in the turned image, of the box `[left, top, width, height]` of the stored one, which has the
/// given columns and rows. The box may go beyond the image.
pub(super) fn turned_origin(
    [left, top, width, height]: [i64; 4],
    size: [u32; 2],
    orientation: Orientation,
) -> [i64; 2] {
    let right = i64::from(size[0]) - left - width;
    let bottom = i64::from(size[1]) - top - height;
    match orientation {
        Orientation::NoTransforms => [left, top],
        Orientation::FlipHorizontal => [right, top],
        Orientation::Rotate180 => [right, bottom],
        Orientation::FlipVertical => [left, bottom],
        Orientation::Rotate90FlipH => [top, left],
        Orientation::Rotate90 => [bottom, left],
        Orientation::Rotate270FlipH => [bottom, right],
        Orientation::Rotate270 => [top, right],
    }
}

/// Applies an orientation.
pub(super) fn apply(pixels: Pixels, orientation: Orientation) -> Pixels {
    let (w, h) = (pixels.width as usize, pixels.height as usize);
    // Where the pixel at (x, y) of the result comes from.
    let (last_x, last_y) = (w.saturating_sub(1), h.saturating_sub(1));
    match orientation {
        Orientation::NoTransforms => pixels,
        Orientation::FlipHorizontal => gather(&pixels, false, |x, y| (last_x - x, y)),
        Orientation::Rotate180 => gather(&pixels, false, |x, y| (last_x - x, last_y - y)),
        Orientation::FlipVertical => gather(&pixels, false, |x, y| (x, last_y - y)),
        Orientation::Rotate90FlipH => gather(&pixels, true, |x, y| (y, x)),
        Orientation::Rotate90 => gather(&pixels, true, |x, y| (y, last_y - x)),
        Orientation::Rotate270FlipH => gather(&pixels, true, |x, y| (last_x - y, last_y - x)),
        Orientation::Rotate270 => gather(&pixels, true, |x, y| (last_x - y, x)),
    }
}

fn gather(pixels: &Pixels, turned: bool, from: impl Fn(usize, usize) -> (usize, usize)) -> Pixels {
    let (width, height) = if turned {
        (pixels.height, pixels.width)
    } else {
        (pixels.width, pixels.height)
    };
    let channels = pixels.channels;
    // Where the samples of each pixel of the result begin.
    let starts = || {
        let from = &from;
        (0..height as usize).flat_map(move |y| {
            (0..width as usize).map(move |x| {
                let (from_x, from_y) = from(x, y);
                (from_y * pixels.width as usize + from_x) * channels
            })
        })
    };
    let samples = match &pixels.samples {
        Samples::U8(samples) => gathered(samples, channels, starts()).into(),
        Samples::U16(samples) => gathered(samples, channels, starts()).into(),
        Samples::F32(samples) => gathered(samples, channels, starts()).into(),
    };
    Pixels {
        width,
        height,
        channels,
        samples,
    }
}

/// The `channels` samples from each place on.
fn gathered<S: Copy>(
    samples: &[S],
    channels: usize,
    starts: impl Iterator<Item = usize>,
) -> Vec<S> {
    let mut out = Vec::with_capacity(samples.len());
    for start in starts {
        let pixel = samples.get(start..start + channels);
        out.extend_from_slice(pixel.unwrap_or_default());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_eight_orientations() {
        // a b c
        // d e f
        let pixels = Pixels::new(3, 2, 1, b"abcdef".to_vec()).unwrap();
        let expected = [
            (1, 3, "abcdef"),
            (2, 3, "cbafed"),
            (3, 3, "fedcba"),
            (4, 3, "defabc"),
            (5, 2, "adbecf"),
            (6, 2, "daebfc"),
            (7, 2, "fcebda"),
            (8, 2, "cfbead"),
        ];
        for (exif, width, data) in expected {
            let turned = apply(pixels.clone(), Orientation::from_exif(exif).unwrap());
            assert_eq!(turned.width, width, "{exif}");
            assert_eq!(
                std::str::from_utf8(&turned.bytes()).unwrap(),
                data,
                "{exif}"
            );
            assert!(turned.is_consistent());
        }
    }

    #[test]
    fn boxes_are_turned_like_pixels() {
        let stored = Pixels::new(7, 5, 1, (0..35u8).collect::<Vec<_>>()).unwrap();
        for exif in 1..=8 {
            let orientation = Orientation::from_exif(exif).unwrap();
            let turned = apply(stored.clone(), orientation);
            let size = turned_size([7, 5], orientation);
            assert_eq!(size, [turned.width, turned.height]);
            let part = CropBox {
                left: 1,
                top: 2,
                width: 3,
                height: 2,
            };
            let from = stored_box(part, [7, 5], orientation);
            let cut = apply(cut(&stored, from), orientation);
            assert_eq!(cut, self::cut(&turned, part), "{exif}");
            let covered = [from.left, from.top, from.width, from.height].map(i64::from);
            assert_eq!(
                turned_origin(covered, [7, 5], orientation),
                [1, 2],
                "{exif}"
            );
        }
    }

    fn cut(pixels: &Pixels, part: CropBox) -> Pixels {
        let rows = part.top..part.top + part.height;
        let data = rows.flat_map(|y| {
            let start = (y * pixels.width + part.left) as usize;
            pixels.bytes()[start..start + part.width as usize].to_vec()
        });
        Pixels::new(part.width, part.height, 1, data.collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn channels_stay_together() {
        let pixels = Pixels::new(1, 2, 2, b"abcd".to_vec()).unwrap();
        let turned = apply(pixels, Orientation::Rotate90);
        assert_eq!((turned.width, turned.height), (2, 1));
        assert_eq!(*turned.bytes(), *b"cdab");
    }

    #[test]
    fn every_depth_is_turned() {
        let turned = |samples: Samples| {
            let pixels = Pixels::new(2, 1, 1, samples).unwrap();
            apply(pixels, Orientation::FlipHorizontal).samples
        };
        assert_eq!(turned(vec![1u16, 500].into()), vec![500u16, 1].into());
        assert_eq!(turned(vec![1.5f32, -2.0].into()), vec![-2.0f32, 1.5].into());
    }
}
