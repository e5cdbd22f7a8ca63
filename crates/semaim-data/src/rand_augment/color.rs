//! Operations that look samples up in a table: those of Pillow's `ImageOps`.

use super::raster::Raster;

/// Values below this are what `solarize_add` adds to.
const SOLARIZE_ADD_THRESHOLD: usize = 128;

/// The table of a function of the value.
fn table(function: impl Fn(usize) -> u8) -> [u8; 256] {
    std::array::from_fn(function)
}

/// The smallest value of each channel becomes 0, the largest 255.
pub(super) fn auto_contrast(raster: &mut Raster<'_>) {
    for channel in 0..raster.colors() {
        let counts = raster.histogram(channel);
        let low = counts.iter().position(|&n| n > 0);
        let high = counts.iter().rposition(|&n| n > 0);
        let (Some(low), Some(high)) = (low, high) else {
            continue;
        };
        if high > low {
            let scale = 255.0 / (high - low) as f64;
            let offset = -(low as f64) * scale;
            // The cast cuts the fraction off and clamps, in one.
            let stretched = table(|value| (value as f64 * scale + offset) as u8);
            raster.map_channel(channel, &stretched);
        }
    }
}

/// Maps the values of each channel to evenly filled ones.
pub(super) fn equalize(raster: &mut Raster<'_>) {
    for channel in 0..raster.colors() {
        let counts = raster.histogram(channel);
        // The largest value that occurs does not count: it becomes 255 anyway.
        let last = counts.iter().rev().find(|&&n| n > 0).unwrap_or(&0);
        let step = (counts.iter().sum::<u64>() - last) / 255;
        if step == 0 {
            continue;
        }
        let mut below = step / 2;
        let spread = counts.map(|count| {
            let value = (below / step).min(255) as u8;
            below += count;
            value
        });
        raster.map_channel(channel, &spread);
    }
}

/// 255 minus the value.
pub(super) fn invert(raster: &mut Raster<'_>) {
    raster.map_colors(&table(|value| 255 - value as u8));
}

/// Keeps the highest `bits` bits.
pub(super) fn posterize(raster: &mut Raster<'_>, bits: u32) {
    let mask = u8::MAX.checked_shl(8u32.saturating_sub(bits)).unwrap_or(0);
    raster.map_colors(&table(|value| value as u8 & mask));
}

/// Inverts what is not below `threshold`.
pub(super) fn solarize(raster: &mut Raster<'_>, threshold: u32) {
    raster.map_colors(&table(|value| {
        if (value as u32) < threshold {
            value as u8
        } else {
            255 - value as u8
        }
    }));
}

/// Adds `add` to what is below 128.
pub(super) fn solarize_add(raster: &mut Raster<'_>, add: u8) {
    raster.map_colors(&table(|value| {
        if value < SOLARIZE_ADD_THRESHOLD {
            (value as u8).saturating_add(add)
        } else {
            value as u8
        }
    }));
}
