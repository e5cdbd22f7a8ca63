//! What is measured of one image.

use sha2::{Digest, Sha256};

use crate::pixels::{Pixels, Samples};

/// One channel of one image, in the values that normalization takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageChannel {
    /// Mean over the pixels.
    pub mean: f64,
    /// Variance over the pixels.
    pub variance: f64,
    /// Least value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

/// One image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageStatistics {
    /// Columns and rows.
    pub size: [u32; 2],
    /// Its channels.
    pub channels: Vec<ImageChannel>,
    /// SHA-256 of its size and samples: images of the same content and depth, whatever file format they are in, have the same.
    pub content: [u8; 32],
}

impl ImageStatistics {
    /// Measures an image. The same image always gives the same numbers.
    pub fn of(pixels: &Pixels) -> Self {
        let channels = pixels.channels.max(1);
        let channel = |channel| match &pixels.samples {
            Samples::U8(samples) => of_whole(
                samples.iter().skip(channel).step_by(channels).copied(),
                u8::MAX.into(),
            ),
            Samples::U16(samples) => of_whole(
                samples.iter().skip(channel).step_by(channels).copied(),
                u16::MAX.into(),
            ),
            Samples::F32(samples) => of_floats(samples.iter().skip(channel).step_by(channels)),
        };
        Self {
            size: pixels.size(),
            channels: (0..pixels.channels).map(channel).collect(),
            content: content(pixels),
        }
    }
}

/// A channel of whole numbers, whose sums are exact. `most` is the largest of their kind.
fn of_whole<S: Into<u64>>(samples: impl Iterator<Item = S>, most: u64) -> ImageChannel {
    let (mut count, mut sum, mut squares) = (0u64, 0u64, 0u64);
    let (mut min, mut max) = (most, 0);
    for sample in samples {
        let value: u64 = sample.into();
        count += 1;
        sum += value;
        squares += value * value;
        min = min.min(value);
        max = max.max(value);
    }
    let whole = most as f64;
    let n = count as f64;
    // The numerator is a whole number, so that equal samples have no variance at all.
    let numerator = u128::from(count) * u128::from(squares) - u128::from(sum) * u128::from(sum);
    ImageChannel {
        mean: sum as f64 / n / whole,
        variance: numerator as f64 / n / n / (whole * whole),
        min: min as f64 / whole,
        max: max as f64 / whole,
    }
}

/// A channel of floats: its mean first, then the squares around it.
fn of_floats<'a>(samples: impl Iterator<Item = &'a f32> + Clone) -> ImageChannel {
    let values = samples.map(|&sample| f64::from(sample));
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    ImageChannel {
        mean,
        variance: values.clone().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n,
        min: values.clone().fold(f64::INFINITY, f64::min),
        max: values.fold(f64::NEG_INFINITY, f64::max),
    }
}

fn content(pixels: &Pixels) -> [u8; 32] {
    let mut hash = Sha256::new();
    for side in [pixels.width, pixels.height, pixels.channels as u32] {
        hash.update(side.to_le_bytes());
    }
    match &pixels.samples {
        Samples::U8(samples) => hash.update(samples),
        Samples::U16(samples) => samples.iter().for_each(|v| hash.update(v.to_le_bytes())),
        Samples::F32(samples) => samples.iter().for_each(|v| hash.update(v.to_le_bytes())),
    }
    hash.finalize().into()
}
