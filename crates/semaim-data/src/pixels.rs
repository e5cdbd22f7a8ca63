//! An image in memory, as decoded or drawn.

use std::borrow::Cow;

/// Samples of one of three depths. What a network sees of a sample is its value: a byte over 255, a 16-bit number over 65535, a
/// float as it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// 8 bits.
    U8(Vec<u8>),
    /// 16 bits.
    U16(Vec<u16>),
    /// Single precision; finite.
    F32(Vec<f32>),
}

impl Samples {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(samples) => samples.len(),
            Self::U16(samples) => samples.len(),
            Self::F32(samples) => samples.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for Samples {
    fn default() -> Self {
        Self::U8(Vec::new())
    }
}

impl From<Vec<u8>> for Samples {
    fn from(samples: Vec<u8>) -> Self {
        Self::U8(samples)
    }
}

impl From<Vec<u16>> for Samples {
    fn from(samples: Vec<u16>) -> Self {
        Self::U16(samples)
    }
}

impl From<Vec<f32>> for Samples {
    fn from(samples: Vec<f32>) -> Self {
        Self::F32(samples)
    }
}

/// 16 bits to 8, rounding to nearest: 65535 is 255.
pub(crate) fn narrow(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

/// An image with interleaved channels, rows from top to bottom without padding.
///
/// The sample of channel `c` at column `x`, row `y` is the one at `(y * width + x) * channels + c`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels {
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Samples per pixel, at least 1: 1 is luma, 3 is RGB, 4 is RGBA.
    pub channels: usize,
    /// `width * height * channels` samples.
    pub samples: Samples,
}

impl Pixels {
    /// Checks that the sizes are positive and agree with the number of samples.
    ///
    /// Returns `None` when they do not.
    pub fn new(
        width: u32,
        height: u32,
        channels: usize,
        samples: impl Into<Samples>,
    ) -> Option<Self> {
        let pixels = Self {
            width,
            height,
            channels,
            samples: samples.into(),
        };
        pixels.is_consistent().then_some(pixels)
    }

    /// Columns and rows.
    pub fn size(&self) -> [u32; 2] {
        [self.width, self.height]
    }

    /// Whether the sizes are positive and there are exactly as many samples as they promise.
    pub fn is_consistent(&self) -> bool {
        let wanted = (self.width as usize)
            .checked_mul(self.height as usize)
            .and_then(|n| n.checked_mul(self.channels));
        wanted.is_some_and(|n| n > 0 && n == self.samples.len())
    }

    /// The samples as bytes to look at: 16 bits rounded to 8, floats from 0 to 1 as 0 to 255, and where they go beyond that, from
    /// the image's least to its largest.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match &self.samples {
            Samples::U8(samples) => Cow::Borrowed(samples),
            Samples::U16(samples) => samples.iter().copied().map(narrow).collect(),
            Samples::F32(samples) => {
                let low = samples.iter().copied().fold(f32::INFINITY, f32::min);
                let high = samples.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let (low, high) = match low >= 0.0 && high <= 1.0 {
                    true => (0.0, 1.0),
                    false => (low, high),
                };
                let scale = 255.0 / (high - low).max(f32::MIN_POSITIVE);
                let level = |sample: &f32| ((sample - low) * scale).round().clamp(0.0, 255.0) as u8;
                samples.iter().map(level).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_must_agree() {
        assert!(Pixels::new(2, 3, 3, vec![0u8; 18]).is_some());
        assert!(Pixels::new(2, 3, 3, vec![0u16; 17]).is_none());
        assert!(Pixels::new(0, 3, 3, Vec::<f32>::new()).is_none());
        assert!(Pixels::new(u32::MAX, u32::MAX, usize::MAX, vec![0u8; 3]).is_none());
    }

    #[test]
    fn every_depth_can_be_looked_at() {
        let bytes = |samples: Samples| {
            let pixels = Pixels::new(3, 1, 1, samples).unwrap();
            pixels.bytes().into_owned()
        };
        assert_eq!(bytes(vec![1u8, 2, 3].into()), [1, 2, 3]);
        assert_eq!(bytes(vec![0u16, 32_768, 65_535].into()), [0, 128, 255]);
        assert_eq!(bytes(vec![0.0, 0.5, 0.8].into()), [0, 128, 204]);
        assert_eq!(bytes(vec![-100.0, 0.0, 100.0].into()), [0, 128, 255]);
        assert_eq!(bytes(vec![7.0, 7.0, 7.0].into()), [0, 0, 0]);
    }
}
