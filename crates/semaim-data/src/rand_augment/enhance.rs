//! Operations that blend an image with a duller one: those of Pillow's `ImageEnhance`.

use super::raster::Raster;
use crate::decode::luma;

/// `factor` of the way from `dull` to `value` and beyond, in the single precision of `Image.blend`.
fn blend(dull: u8, value: u8, factor: f32) -> u8 {
    let difference = f32::from(i16::from(value) - i16::from(dull));
    // The cast cuts the fraction off and clamps, in one.
    (f32::from(dull) + factor * difference) as u8
}

/// Blends with the luma; only RGB has one that differs from the image.
pub(super) fn color(raster: &mut Raster<'_>, factor: f32) {
    if raster.colors() != 3 {
        return;
    }
    for pixel in raster.pixels_mut() {
        if let [red, green, blue, ..] = pixel {
            let gray = luma(*red, *green, *blue);
            for sample in [red, green, blue] {
                *sample = blend(gray, *sample, factor);
            }
        }
    }
}

/// Blends with the mean luma of an RGB image, and otherwise with the mean of each channel.
pub(super) fn contrast(raster: &mut Raster<'_>, factor: f32) {
    let table = |mean: u8| std::array::from_fn(|value| blend(mean, value as u8, factor));
    if raster.colors() == 3 {
        let sum: u64 = raster
            .pixels_mut()
            .map(|pixel| u64::from(luma(pixel[0], pixel[1], pixel[2])))
            .sum();
        let mean = rounded_mean(sum, raster.width * raster.height);
        raster.map_colors(&table(mean));
        return;
    }
    for channel in 0..raster.channels {
        let counts = raster.histogram(channel);
        let sum = (0..).zip(counts).map(|(value, n)| value * n).sum();
        let mean = rounded_mean(sum, raster.width * raster.height);
        raster.map_channel(channel, &table(mean));
    }
}

/// The mean of `count` values, halves rounded up.
fn rounded_mean(sum: u64, count: usize) -> u8 {
    (sum as f64 / count as f64 + 0.5) as u8
}

/// Blends with black.
pub(super) fn brightness(raster: &mut Raster<'_>, factor: f32) {
    let table = std::array::from_fn(|value| blend(0, value as u8, factor));
    raster.map_colors(&table);
}

/// Blends with the image under the kernel 1 1 1, 1 5 1, 1 1 1 of `ImageFilter.SMOOTH`. The outermost pixels stay.
pub(super) fn sharpness(raster: &mut Raster<'_>, factor: f32, buffer: &mut Vec<u8>) {
    let (channels, colors) = (raster.channels, raster.colors());
    if raster.height < 3 || raster.width < 3 {
        return;
    }
    buffer.clear();
    buffer.extend_from_slice(raster.samples);
    let row = raster.width * channels;
    for (above, target) in raster.samples.chunks_exact_mut(row).skip(1).enumerate() {
        let Some(rows) = buffer.get(above * row..(above + 3) * row) else {
            // The last row has none below it.
            break;
        };
        let (top, rest) = rows.split_at(row);
        let (middle, bottom) = rest.split_at(row);
        for at in channels..row - channels {
            if at % channels >= colors {
                continue;
            }
            let three = |line: &[u8]| {
                [at - channels, at, at + channels]
                    .map(|place| u32::from(line[place]))
                    .iter()
                    .sum::<u32>()
            };
            let sum = three(top) + three(middle) + three(bottom) + 4 * u32::from(middle[at]);
            // Sums are whole, so sum / 13 is never near a half, and this equals Pillow's rounding of floats.
            let smooth = ((2 * sum + 13) / 26) as u8;
            target[at] = blend(smooth, middle[at], factor);
        }
    }
}
