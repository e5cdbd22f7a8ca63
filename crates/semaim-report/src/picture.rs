//! The pictures that go into a figure.

use image::{Rgb, RgbImage};

use crate::error::FigureError;

/// An RGB picture: at least one pixel, 8 bits a channel, row by row from the top left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbView {
    pixels: RgbImage,
}

impl RgbView {
    /// Takes `rgb`, `[height, width, 3]`.
    ///
    /// # Errors
    ///
    /// [`FigureError::PictureLength`] when the length is not `height * width * 3` or is 0.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Result<RgbView, FigureError> {
        let found = rgb.len();
        let error = FigureError::PictureLength {
            width,
            height,
            found,
        };
        if found as u128 != u128::from(width) * u128::from(height) * 3 || found == 0 {
            return Err(error);
        }
        let pixels = RgbImage::from_raw(width, height, rgb).ok_or(error)?;
        Ok(RgbView { pixels })
    }

    /// Takes one-channel `grey`, `[height, width]`.
    ///
    /// # Errors
    ///
    /// [`FigureError::PictureLength`] when the length is not `height * width` or is 0.
    pub fn from_grey(width: u32, height: u32, grey: &[u8]) -> Result<RgbView, FigureError> {
        let rgb = grey.iter().flat_map(|&value| [value; 3]).collect();
        RgbView::new(width, height, rgb).map_err(|_| FigureError::PictureLength {
            width,
            height,
            found: grey.len(),
        })
    }

    /// Pixels across.
    pub fn width(&self) -> u32 {
        self.pixels.width()
    }

    /// Pixels down.
    pub fn height(&self) -> u32 {
        self.pixels.height()
    }

    /// The picture at another size, interpolated linearly.
    pub(crate) fn resized(&self, width: u32, height: u32) -> RgbImage {
        let filter = image::imageops::FilterType::Triangle;
        image::imageops::resize(&self.pixels, width, height, filter)
    }
}

/// A picture without its colours, by the luma weights of Rec. 601.
pub(crate) fn grey(picture: &RgbImage) -> RgbImage {
    let mut out = picture.clone();
    for Rgb([r, g, b]) in out.pixels_mut() {
        let luma = (299 * u32::from(*r) + 587 * u32::from(*g) + 114 * u32::from(*b) + 500) / 1000;
        let luma = luma.min(255) as u8;
        (*r, *g, *b) = (luma, luma, luma);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_must_fit_the_size() {
        assert!(RgbView::new(2, 1, vec![0; 6]).is_ok());
        assert!(RgbView::new(2, 1, vec![0; 5]).is_err());
        assert!(RgbView::new(0, 4, vec![]).is_err());
        assert!(RgbView::from_grey(3, 1, &[1, 2, 3]).is_ok());
        let short = RgbView::from_grey(3, 1, &[1, 2]).unwrap_err();
        assert!(matches!(short, FigureError::PictureLength { found: 2, .. }));
        assert!(RgbView::new(u32::MAX, u32::MAX, vec![0; 3]).is_err());
    }

    #[test]
    fn grey_keeps_grey_and_orders_colours_by_lightness() {
        let view = RgbView::new(4, 1, vec![9, 9, 9, 255, 0, 0, 0, 255, 0, 0, 0, 255]).unwrap();
        let grey = grey(&view.resized(4, 1));
        let values: Vec<u8> = grey.pixels().map(|pixel| pixel.0[0]).collect();
        assert_eq!(values, [9, 76, 150, 29]);
        assert!(grey.pixels().all(|Rgb([r, g, b])| r == g && g == b));
    }
}
