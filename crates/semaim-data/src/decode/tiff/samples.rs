//! The samples of TIFFs as interleaved levels.

use tiff::decoder::DecodingResult;

use crate::pixels::{Samples, narrow};

/// The samples of the depths that there are: whole numbers of 8 and 16 bits and floats as they are, wider whole numbers scaled to 8
/// bits by their whole range.
///
/// Where that would be a guess, it says what the samples are: signed numbers, and wide numbers that are so small that all of them
/// would be black.
pub(super) fn levels(samples: DecodingResult) -> Result<Samples, String> {
    Ok(match samples {
        DecodingResult::U8(samples) => samples.into(),
        DecodingResult::U16(samples) => samples.into(),
        DecodingResult::U32(samples) => {
            wide(&samples, |v| f64::from(v) / f64::from(u32::MAX))?.into()
        }
        DecodingResult::U64(samples) => wide(&samples, |v| v as f64 / u64::MAX as f64)?.into(),
        DecodingResult::F16(samples) => floats(samples.iter().map(|v| v.to_f32())),
        DecodingResult::F32(samples) => samples.into(),
        DecodingResult::F64(samples) => floats(samples.iter().map(|&v| v as f32)),
        _ => return Err("a TIFF with signed samples".to_owned()),
    })
}

fn floats(samples: impl Iterator<Item = f32>) -> Samples {
    Samples::F32(samples.collect())
}

/// The samples in 8 bits, floats from 0 to 1.
pub(super) fn bytes(samples: Samples) -> Result<Vec<u8>, String> {
    match samples {
        Samples::U8(samples) => Ok(samples),
        Samples::U16(samples) => Ok(samples.into_iter().map(narrow).collect()),
        Samples::F32(samples) => unit_floats(&samples),
    }
}

fn level(value: f64) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

fn wide<T: Copy + Ord + std::fmt::Display>(
    samples: &[T],
    scale: impl Fn(T) -> f64,
) -> Result<Vec<u8>, String> {
    let levels: Vec<u8> = samples.iter().map(|&sample| level(scale(sample))).collect();
    match samples.iter().max() {
        Some(&largest) if scale(largest) > 0.0 && levels.iter().all(|&level| level == 0) => {
            let bits = 8 * size_of::<T>();
            Err(format!(
                "a TIFF whose samples have {bits} bits but go up to {largest} only"
            ))
        }
        _ => Ok(levels),
    }
}

fn unit_floats(samples: &[f32]) -> Result<Vec<u8>, String> {
    /// How far rounding may lead beyond 0 to 1.
    const SLACK: f32 = 1e-3;
    let low = samples.iter().copied().fold(f32::INFINITY, f32::min);
    let high = samples.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if samples.iter().any(|sample| sample.is_nan()) {
        return Err("a TIFF with floating-point samples, some of them not a number".to_owned());
    }
    if low < -SLACK || high > 1.0 + SLACK {
        return Err(format!(
            "a TIFF with floating-point samples from {low} to {high} instead of 0 to 1"
        ));
    }
    Ok(samples
        .iter()
        .map(|&sample| level(f64::from(sample)))
        .collect())
}

/// Samples of 1, 2 or 4 bits, of which `row` stand in a row that starts with a byte of its own; as levels from 0 to 255, or
/// as they are.
pub(super) fn unpacked(packed: &[u8], row: usize, bits: u8, as_they_are: bool) -> Vec<u8> {
    let most = (1u16 << bits) - 1;
    let factor = if as_they_are { 1 } else { 255 / most };
    let per_byte = usize::from(8 / bits);
    let mut out = Vec::with_capacity(packed.len() * per_byte);
    for bytes in packed.chunks(row.div_ceil(per_byte).max(1)) {
        let samples = bytes.iter().flat_map(|&byte| {
            (1..=8 / bits).map(move |place| (u16::from(byte) >> (8 - place * bits) & most) * factor)
        });
        out.extend(samples.take(row).map(|sample| sample as u8));
    }
    out
}

/// The first `count` samples of every pixel, which has `found`.
pub(super) fn leading(samples: Samples, found: usize, count: usize) -> Samples {
    match samples {
        Samples::U8(samples) => leading_of(&samples, found, count).into(),
        Samples::U16(samples) => leading_of(&samples, found, count).into(),
        Samples::F32(samples) => leading_of(&samples, found, count).into(),
    }
}

fn leading_of<S: Copy>(samples: &[S], found: usize, count: usize) -> Vec<S> {
    let pixels = samples.chunks_exact(found.max(1));
    pixels
        .flat_map(|pixel| pixel.iter().take(count).copied())
        .collect()
}

/// Indices to colors; those beyond the palette are black.
pub(super) fn colored(indices: &[u8], palette: &[[u8; 3]]) -> Vec<u8> {
    let color = |&index: &u8| palette.get(usize::from(index)).copied().unwrap_or_default();
    indices.iter().flat_map(color).collect()
}

/// Cyan, magenta, yellow and black (255 for all the ink), and what may follow, to red, green and blue, as Pillow does it.
pub(super) fn printed<const N: usize>(samples: &[u8]) -> Vec<u8> {
    let (pixels, _) = samples.as_chunks::<N>();
    let mut out = Vec::with_capacity(pixels.len() * 3);
    for pixel in pixels {
        let light = 255 - pixel[3];
        out.extend(pixel.iter().take(3).map(|&ink| {
            let product = u32::from(ink) * u32::from(light) + 128;
            light.saturating_sub((((product >> 8) + product) >> 8) as u8)
        }));
    }
    out
}

/// Luma and differences of color (ITU-R 601, full range) to red, green and blue.
pub(super) fn from_ycbcr(samples: &[u8]) -> Vec<u8> {
    let (pixels, _) = samples.as_chunks::<3>();
    let mut out = Vec::with_capacity(samples.len());
    for &[y, cb, cr] in pixels {
        let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
        let colors = [
            y + 1.402 * cr,
            y - 0.344_136 * cb - 0.714_136 * cr,
            y + 1.772 * cb,
        ];
        out.extend(colors.map(|color| color.round().clamp(0.0, 255.0) as u8));
    }
    out
}

/// Divides the colors of pixels of `N` samples by the last, their alpha, as Pillow does it. What is all transparent stays.
pub(super) fn divided<const N: usize>(mut samples: Vec<u8>) -> Vec<u8> {
    let (pixels, _) = samples.as_chunks_mut::<N>();
    for pixel in pixels {
        let Some((&mut alpha, colors)) = pixel.split_last_mut() else {
            continue;
        };
        if alpha == 0 {
            continue;
        }
        for color in colors {
            *color = (255 * u32::from(*color) / u32::from(alpha)).min(255) as u8;
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eight_bits(result: DecodingResult) -> Result<Vec<u8>, String> {
        bytes(levels(result)?)
    }

    #[test]
    fn whole_numbers_are_scaled_by_their_range() {
        let narrow = eight_bits(DecodingResult::U16(vec![0, 128, 129, 32_896, u16::MAX]));
        assert_eq!(narrow.unwrap(), [0, 0, 1, 128, 255]);
        let wide = eight_bits(DecodingResult::U32(vec![0, 0x8080_8080, u32::MAX]));
        assert_eq!(wide.unwrap(), [0, 128, 255]);
        let kind = eight_bits(DecodingResult::U32(vec![0, 4095])).unwrap_err();
        assert!(kind.contains("32 bits") && kind.contains("4095"), "{kind}");
        assert_eq!(eight_bits(DecodingResult::U32(vec![0, 0])).unwrap(), [0, 0]);
        let kind = eight_bits(DecodingResult::I16(vec![3])).unwrap_err();
        assert!(kind.contains("signed"), "{kind}");
    }

    #[test]
    fn floats_go_from_0_to_1() {
        let floats = |values: &[f32]| eight_bits(DecodingResult::F32(values.to_vec()));
        assert_eq!(floats(&[0.0, 0.5, 1.0, -1e-6]).unwrap(), [0, 128, 255, 0]);
        for values in [&[0.0, 255.0][..], &[-1.0, 0.5], &[f32::NAN, 0.5]] {
            let kind = floats(values).unwrap_err();
            assert!(kind.contains("floating-point"), "{kind}");
        }
        let double = eight_bits(DecodingResult::F64(vec![0.2, 1.0])).unwrap();
        assert_eq!(double, [51, 255]);
    }

    #[test]
    fn leading_samples_are_those_of_every_pixel() {
        let bands = vec![1.0f32, 2.0, 3.0, 9.0, 4.0, 5.0, 6.0, 9.0];
        let colors = leading(bands.into(), 4, 3);
        assert_eq!(colors, vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0].into());
    }

    #[test]
    fn small_samples_are_unpacked() {
        assert_eq!(
            unpacked(&[0b1010_0000, 0xFF], 3, 1, false),
            [255, 0, 255, 255, 255, 255]
        );
        assert_eq!(unpacked(&[0b0001_1011], 4, 2, true), [0, 1, 2, 3]);
        assert_eq!(unpacked(&[0x1F], 2, 4, false), [17, 255]);
    }

    #[test]
    fn alpha_is_divided_out() {
        assert_eq!(divided::<4>(vec![50, 100, 127, 128]), [99, 199, 253, 128]);
        assert_eq!(divided::<2>(vec![7, 0, 9, 255]), [7, 0, 9, 255]);
    }
}
