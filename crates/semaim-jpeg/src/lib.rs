//! A JPEG decoder that decodes the wanted part of a picture, at the wanted size.
//!
//! [`Jpeg::parse`] reads the segments before the picture, [`Jpeg::decode`] the pixels of a region of it, perhaps at a half,
//! a quarter or an eighth of the size, in which case less is computed. Coded data before the region have to be passed over,
//! which is quick; those after it are not looked at where the file allows it (one scan, as almost all files have).
//!
//! Decoded are 8-bit baseline, extended and progressive files with Huffman coding: gray, YCbCr, RGB, CMYK and YCCK, any
//! whole ratio of sampling, components together or in scans of their own, with and without restart markers. The color
//! model is found by the rules of libjpeg, and CMYK becomes RGB as Pillow converts it. Arithmetic coding, lossless and
//! hierarchical files and those of 12 bits are refused by name. What is damaged or cut off is refused, never filled up.
//!
//! The metadata that say how the camera was held are handed out ([`Jpeg::exif`], [`Jpeg::xmp`]) and not applied.

mod bits;
mod blocks;
mod color;
mod error;
mod huffman;
mod idct;
mod layout;
mod markers;
mod picture;
mod progressive;
mod standard_tables;
mod upsample;

pub use error::JpegError;
pub use markers::Jpeg;
pub use picture::Buffers;

/// A box of whole pixels of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Columns to the left of the box.
    pub left: u32,
    /// Rows above the box.
    pub top: u32,
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
}

impl Region {
    /// The region as far as it lies in a picture of `size`, columns and rows (both at least 1); at least one pixel of it.
    #[must_use]
    pub fn within(self, [width, height]: [u32; 2]) -> Self {
        let left = self.left.min(width.saturating_sub(1));
        let top = self.top.min(height.saturating_sub(1));
        Self {
            left,
            top,
            width: self.width.clamp(1, (width - left).max(1)),
            height: self.height.clamp(1, (height - top).max(1)),
        }
    }
}

/// The pixels of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Interleaved samples, rows from top to bottom without padding.
    pub samples: Vec<u8>,
    /// Samples per pixel: 1 for gray, 3 for RGB.
    pub channels: usize,
    /// Columns of `samples`.
    pub width: u32,
    /// Rows of `samples`.
    pub height: u32,
    /// How many columns and rows of the picture a pixel stands for: 1, 2, 4 or 8.
    pub shrink: u32,
    /// How many of these shrunk columns are left of the region, and how many rows above it.
    pub origin: [u32; 2],
}

impl Jpeg<'_> {
    /// Decodes a region, as far as it lies in the picture (at least one pixel of it).
    ///
    /// Up to `shrink` columns and rows may become one, their average: it is done by the largest of 1, 2, 4 and 8 that is
    /// not above it. The pixels given cover the region; shrunk ones may stick out beyond it, and beyond the picture.
    /// `buffers` and the memory of `out` are used again; nothing depends on what is in them.
    ///
    /// # Errors
    ///
    /// [`JpegError::CutOff`] and [`JpegError::Damaged`] for what is met on the way to the region's last pixel, and
    /// [`JpegError::Unsupported`] for sampling ratios that are not whole.
    pub fn decode(
        &self,
        region: Region,
        shrink: u32,
        buffers: &mut Buffers,
        out: Vec<u8>,
    ) -> Result<Decoded, JpegError> {
        picture::decode(self, region, shrink, buffers, out)
    }
}
