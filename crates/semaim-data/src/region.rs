//! What is asked of a decoder, and what it gives: a part of an image, perhaps shrunk.

use crate::crop::CropBox;
use crate::pixels::Pixels;

/// What a view needs of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeRequest {
    /// The pixels that the view is made of.
    pub region: CropBox,
    /// How many columns and rows the view has no use for telling apart: a source may give their average, as long as it
    /// merges no more of them. At least 1, which asks for every pixel.
    pub shrink: u32,
}

impl DecodeRequest {
    /// All of an image of `size`, columns and rows.
    pub fn whole([width, height]: [u32; 2]) -> Self {
        let region = CropBox {
            left: 0,
            top: 0,
            width,
            height,
        };
        Self { region, shrink: 1 }
    }

    /// As little as possible, where only the image's size is of interest.
    pub(crate) fn corner() -> Self {
        Self::whole([1, 1])
    }
}

/// A region of an image in memory, perhaps shrunk.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedRegion {
    /// The pixels of the region.
    pub pixels: Pixels,
    /// Columns and rows of the whole image.
    pub image_size: [u32; 2],
    /// How many columns of the whole image are left of the region, and how many rows above it. Shrunk pixels may stick out
    /// beyond the image, so this can be negative.
    pub origin: [i64; 2],
    /// How many columns and rows of the image a pixel of the region stands for, at least 1.
    pub shrink: u32,
}

impl DecodedRegion {
    /// An image that is there as a whole.
    pub fn whole(pixels: Pixels) -> Self {
        Self {
            image_size: pixels.size(),
            origin: [0, 0],
            shrink: 1,
            pixels,
        }
    }
}
