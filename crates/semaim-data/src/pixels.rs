//! An image in memory, as decoded or drawn.

/// An 8-bit image with interleaved channels, rows from top to bottom without padding.
///
/// The sample of channel `c` at column `x`, row `y` is `data[(y * width + x) * channels + c]`, 0 to 255.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Samples per pixel, at least 1: 1 is luma, 3 is RGB, 4 is RGBA.
    pub channels: usize,
    /// `width * height * channels` samples.
    pub data: Vec<u8>,
}

impl Pixels {
    /// Checks that the sizes are positive and agree with the length of `data`.
    ///
    /// Returns `None` when they do not.
    pub fn new(width: u32, height: u32, channels: usize, data: Vec<u8>) -> Option<Self> {
        let pixels = Self {
            width,
            height,
            channels,
            data,
        };
        pixels.is_consistent().then_some(pixels)
    }

    /// Columns and rows.
    pub fn size(&self) -> [u32; 2] {
        [self.width, self.height]
    }

    /// Whether the sizes are positive and `data` has exactly the length they promise.
    pub fn is_consistent(&self) -> bool {
        let wanted = (self.width as usize)
            .checked_mul(self.height as usize)
            .and_then(|n| n.checked_mul(self.channels));
        wanted.is_some_and(|n| n > 0 && n == self.data.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_must_agree() {
        assert!(Pixels::new(2, 3, 3, vec![0; 18]).is_some());
        assert!(Pixels::new(2, 3, 3, vec![0; 17]).is_none());
        assert!(Pixels::new(0, 3, 3, vec![]).is_none());
        assert!(Pixels::new(u32::MAX, u32::MAX, usize::MAX, vec![0; 3]).is_none());
    }
}
