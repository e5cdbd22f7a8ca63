//! Changing the number of channels of interleaved samples.

use crate::pixels::Samples;

/// A kind of sample.
pub(crate) trait Sample: Copy + Default {
    /// What alpha is where there is none.
    const OPAQUE: Self;

    /// The luma of red, green and blue: ITU-R 601-2.
    fn luma(red: Self, green: Self, blue: Self) -> Self;
}

impl Sample for u8 {
    const OPAQUE: Self = u8::MAX;

    fn luma(red: Self, green: Self, blue: Self) -> Self {
        luma(red, green, blue)
    }
}

impl Sample for u16 {
    const OPAQUE: Self = u16::MAX;

    fn luma(red: Self, green: Self, blue: Self) -> Self {
        let weighted =
            u64::from(red) * 19_595 + u64::from(green) * 38_470 + u64::from(blue) * 7_471;
        ((weighted + 0x8000) >> 16) as u16
    }
}

impl Sample for f32 {
    const OPAQUE: Self = 1.0;

    fn luma(red: Self, green: Self, blue: Self) -> Self {
        0.299 * red + 0.587 * green + 0.114 * blue
    }
}

/// Converts samples of any depth as [`convert`] does.
pub(crate) fn convert_samples(samples: Samples, from: usize, to: usize) -> Option<Samples> {
    Some(match samples {
        Samples::U8(samples) => Samples::U8(convert(samples, from, to)?),
        Samples::U16(samples) => Samples::U16(convert(samples, from, to)?),
        Samples::F32(samples) => Samples::F32(convert(samples, from, to)?),
    })
}

/// Converts samples with `from` channels (1 luma, 2 luma and alpha, 3 RGB, 4 RGBA) to `to` channels (1, 3 or 4).
///
/// Returns `None` for any other numbers, except that equal ones are always possible.
pub(crate) fn convert<S: Sample>(samples: Vec<S>, from: usize, to: usize) -> Option<Vec<S>> {
    if from == to {
        return Some(samples);
    }
    let opaque = S::OPAQUE;
    Some(match (from, to) {
        (1, 3) => per_pixel::<S, 1, 3>(&samples, |[l]| [l, l, l]),
        (1, 4) => per_pixel::<S, 1, 4>(&samples, |[l]| [l, l, l, opaque]),
        (2, 1) => per_pixel::<S, 2, 1>(&samples, |[l, _]| [l]),
        (2, 3) => per_pixel::<S, 2, 3>(&samples, |[l, _]| [l, l, l]),
        (2, 4) => per_pixel::<S, 2, 4>(&samples, |[l, a]| [l, l, l, a]),
        (3, 1) => per_pixel::<S, 3, 1>(&samples, |[r, g, b]| [S::luma(r, g, b)]),
        (3, 4) => per_pixel::<S, 3, 4>(&samples, |[r, g, b]| [r, g, b, opaque]),
        (4, 1) => per_pixel::<S, 4, 1>(&samples, |[r, g, b, _]| [S::luma(r, g, b)]),
        (4, 3) => per_pixel::<S, 4, 3>(&samples, |[r, g, b, _]| [r, g, b]),
        _ => return None,
    })
}

fn per_pixel<S: Copy, const FROM: usize, const TO: usize>(
    samples: &[S],
    convert: impl Fn([S; FROM]) -> [S; TO],
) -> Vec<S> {
    let (pixels, _) = samples.as_chunks::<FROM>();
    let mut out = Vec::with_capacity(pixels.len() * TO);
    for pixel in pixels {
        out.extend_from_slice(&convert(*pixel));
    }
    out
}

/// Planes of `len` samples one after the other to pixels of `channels` samples.
pub(crate) fn interleaved<S: Copy + Default>(planes: &[S], len: usize, channels: usize) -> Vec<S> {
    let mut out = vec![S::default(); len * channels];
    for (channel, plane) in planes.chunks_exact(len.max(1)).take(channels).enumerate() {
        let targets = out.iter_mut().skip(channel).step_by(channels);
        for (target, &sample) in targets.zip(plane) {
            *target = sample;
        }
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
    fn deep_luma_is_the_same_but_for_rounding() {
        assert_eq!(u16::luma(65_535, 65_535, 65_535), 65_535);
        for [r, g, b] in [[255, 0, 0], [0, 255, 0], [10, 200, 30]] {
            let deep = u16::luma(r * 257, g * 257, b * 257);
            let flat = luma(r as u8, g as u8, b as u8);
            assert!((f64::from(deep) / 257.0 - f64::from(flat)).abs() <= 0.5);
            let float = f32::luma(f32::from(r), f32::from(g), f32::from(b));
            assert!((float - f32::from(flat)).abs() <= 0.51);
        }
    }

    #[test]
    fn alpha_is_dropped_not_blended() {
        assert_eq!(convert(vec![9u8, 8, 7, 0], 4, 3), Some(vec![9, 8, 7]));
        assert_eq!(convert(vec![9u8, 0], 2, 3), Some(vec![9, 9, 9]));
        assert_eq!(convert(vec![9u8, 5], 2, 4), Some(vec![9, 9, 9, 5]));
        assert_eq!(convert(vec![9u8], 1, 4), Some(vec![9, 9, 9, 255]));
        assert_eq!(convert(vec![9u16], 1, 4), Some(vec![9, 9, 9, 65_535]));
        assert_eq!(convert(vec![0.5f32], 1, 4), Some(vec![0.5, 0.5, 0.5, 1.0]));
        assert_eq!(convert(vec![9u8; 5], 5, 5), Some(vec![9; 5]));
        assert_eq!(convert(vec![9u8; 5], 5, 3), None);
        assert_eq!(convert(vec![9u8; 3], 3, 2), None);
    }
}
