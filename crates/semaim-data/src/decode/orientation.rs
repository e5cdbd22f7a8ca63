//! Turning images the way their camera was held.

use image::metadata::Orientation;

use crate::pixels::Pixels;

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
    let mut data = Vec::with_capacity(pixels.data.len());
    for y in 0..height as usize {
        for x in 0..width as usize {
            let (from_x, from_y) = from(x, y);
            let start = (from_y * pixels.width as usize + from_x) * channels;
            let pixel = pixels.data.get(start..start + channels);
            data.extend_from_slice(pixel.unwrap_or_default());
        }
    }
    Pixels {
        width,
        height,
        channels,
        data,
    }
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
            assert_eq!(std::str::from_utf8(&turned.data).unwrap(), data, "{exif}");
            assert!(turned.is_consistent());
        }
    }

    #[test]
    fn channels_stay_together() {
        let pixels = Pixels::new(1, 2, 2, b"abcd".to_vec()).unwrap();
        let turned = apply(pixels, Orientation::Rotate90);
        assert_eq!((turned.width, turned.height), (2, 1));
        assert_eq!(turned.data, b"cdab");
    }
}
