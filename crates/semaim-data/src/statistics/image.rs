//! What is measured of one image.

use sha2::{Digest, Sha256};

use crate::pixels::Pixels;

/// One channel of one image, in the values that normalisation takes.
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
    /// SHA-256 of its size and samples: images of the same content, whatever file format they are in, have the same.
    pub content: [u8; 32],
}

impl ImageStatistics {
    /// Measures an image. The same image always gives the same numbers.
    pub fn of(pixels: &Pixels) -> Self {
        let channels = pixels.channels.max(1);
        let channel = |channel| {
            let samples = pixels.data.iter().skip(channel).step_by(channels);
            of_bytes(samples.copied())
        };
        Self {
            size: pixels.size(),
            channels: (0..pixels.channels).map(channel).collect(),
            content: content(pixels),
        }
    }
}

/// A channel of bytes, whose sums are exact.
fn of_bytes(samples: impl Iterator<Item = u8>) -> ImageChannel {
    let (mut count, mut sum, mut squares) = (0u64, 0u64, 0u64);
    let (mut min, mut max) = (u8::MAX, 0);
    for sample in samples {
        let value = u64::from(sample);
        count += 1;
        sum += value;
        squares += value * value;
        min = min.min(sample);
        max = max.max(sample);
    }
    let whole = f64::from(u8::MAX);
    let n = count as f64;
    // The numerator is a whole number, so that equal samples have no variance at all.
    let numerator = u128::from(count) * u128::from(squares) - u128::from(sum) * u128::from(sum);
    ImageChannel {
        mean: sum as f64 / n / whole,
        variance: numerator as f64 / n / n / (whole * whole),
        min: f64::from(min) / whole,
        max: f64::from(max) / whole,
    }
}

fn content(pixels: &Pixels) -> [u8; 32] {
    let mut hash = Sha256::new();
    for side in [pixels.width, pixels.height, pixels.channels as u32] {
        hash.update(side.to_le_bytes());
    }
    hash.update(&pixels.data);
    hash.finalize().into()
}
