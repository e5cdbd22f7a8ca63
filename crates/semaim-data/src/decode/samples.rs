//! Changing the number of channels of interleaved 8-bit samples.

/// Converts samples with `from` channels (1 luma, 2 luma and alpha, 3 RGB, 4 RGBA) to `to` channels (1, 3 or 4).
///
/// Returns `None` for any other numbers, except that equal ones are always possible.
pub(crate) fn convert(samples: Vec<u8>, from: usize, to: usize) -> Option<Vec<u8>> {
    if from == to {
        return Some(samples);
    }
    Some(match (from, to) {
        (1, 3) => per_pixel::<1, 3>(&samples, |[l]| [l, l, l]),
        (1, 4) => per_pixel::<1, 4>(&samples, |[l]| [l, l, l, 255]),
        (2, 1) => per_pixel::<2, 1>(&samples, |[l, _]| [l]),
        (2, 3) => per_pixel::<2, 3>(&samples, |[l, _]| [l, l, l]),
        (2, 4) => per_pixel::<2, 4>(&samples, |[l, a]| [l, l, l, a]),
        (3, 1) => per_pixel::<3, 1>(&samples, |[r, g, b]| [luma(r, g, b)]),
        (3, 4) => per_pixel::<3, 4>(&samples, |[r, g, b]| [r, g, b, 255]),
        (4, 1) => per_pixel::<4, 1>(&samples, |[r, g, b, _]| [luma(r, g, b)]),
        (4, 3) => per_pixel::<4, 3>(&samples, |[r, g, b, _]| [r, g, b]),
        _ => return None,
    })
}

fn per_pixel<const FROM: usize, const TO: usize>(
    samples: &[u8],
    convert: impl Fn([u8; FROM]) -> [u8; TO],
) -> Vec<u8> {
    let (pixels, _) = samples.as_chunks::<FROM>();
    let mut out = Vec::with_capacity(pixels.len() * TO);
    for pixel in pixels {
        out.extend_from_slice(&convert(*pixel));
    }
    out
}

/// The luma of RGB, ITU-R 601-2 in 16-bit fixed point as Pillow's conversion to `L`.
pub(crate) fn luma(r: u8, g: u8, b: u8) -> u8 {
    let weighted = u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471;
    ((weighted + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_is_that_of_pillow() {
        assert_eq!(luma(255, 255, 255), 255);
        assert_eq!(luma(255, 0, 0), 76);
        assert_eq!(luma(0, 255, 0), 150);
        assert_eq!(luma(0, 0, 255), 29);
        assert_eq!(luma(10, 200, 30), 124);
    }

    #[test]
    fn alpha_is_dropped_not_blended() {
        assert_eq!(convert(vec![9, 8, 7, 0], 4, 3), Some(vec![9, 8, 7]));
        assert_eq!(convert(vec![9, 0], 2, 3), Some(vec![9, 9, 9]));
        assert_eq!(convert(vec![9, 5], 2, 4), Some(vec![9, 9, 9, 5]));
        assert_eq!(convert(vec![9], 1, 4), Some(vec![9, 9, 9, 255]));
        assert_eq!(convert(vec![9; 5], 5, 5), Some(vec![9; 5]));
        assert_eq!(convert(vec![9; 5], 5, 3), None);
        assert_eq!(convert(vec![9; 3], 3, 2), None);
    }
}
