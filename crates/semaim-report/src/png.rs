//! Figures as PNG files.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};

use crate::error::FigureError;

/// The picture as a whole PNG file, RGB with 8 bits a channel.
///
/// # Errors
///
/// [`FigureError::Png`] when the encoder refuses, as it does for a picture without pixels.
pub fn encode_png(picture: &RgbImage) -> Result<Vec<u8>, FigureError> {
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, ImageFormat::Png)?;
    Ok(out.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn a_picture_comes_back() {
        let picture = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8, y as u8, 200]));
        let png = encode_png(&picture).unwrap();
        let back = image::load_from_memory(&png).unwrap();
        assert_eq!(back, image::DynamicImage::ImageRgb8(picture));
    }

    #[test]
    fn no_pixels_is_an_error() {
        let error = encode_png(&RgbImage::new(0, 3)).unwrap_err();
        assert!(matches!(error, FigureError::Png(_)));
    }
}
