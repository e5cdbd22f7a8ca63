//! The operations of RandAugment with their arguments.

use super::raster::Raster;
use super::{color, enhance, geometry};
use crate::augment_error::AugmentError;

/// One operation on an image, in the arithmetic of Pillow.
///
/// Colors are treated like this: RGB as Pillow treats it; of four channels, the first three as RGB, and alpha is left
/// alone; of any other number, each for itself as Pillow treats luma. Where pixels move (rotation, shear, translation),
/// all channels move alike, without premultiplying alpha.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// Stretches the values of each channel to 0 to 255 (`ImageOps.autocontrast`).
    AutoContrast,
    /// Spreads the values of each channel evenly (`ImageOps.equalize`).
    Equalize,
    /// 255 minus the value (`ImageOps.invert`).
    Invert,
    /// Turns about the center (`Image.rotate`).
    Rotate {
        /// Counterclockwise, in degrees; between -90 and 90 it is Pillow's, which treats right angles specially.
        degrees: f64,
    },
    /// Keeps the highest bits (`ImageOps.posterize`).
    Posterize {
        /// How many; 8 and above keep everything, 0 makes the image black (the latest Pillow refuses that).
        bits: u32,
    },
    /// Inverts the values that are not below a threshold (`ImageOps.solarize`).
    Solarize {
        /// 0 to 256.
        threshold: u32,
    },
    /// Adds to the values below 128.
    SolarizeAdd {
        /// What is added; sums end at 255.
        add: u8,
    },
    /// Moves colors away from their luma or towards it (`ImageEnhance.Color`). Does nothing where there is no RGB.
    Color {
        /// 0 is gray, 1 the image.
        factor: f64,
    },
    /// Moves values away from the mean luma or towards it (`ImageEnhance.Contrast`).
    Contrast {
        /// 0 is the mean, 1 the image.
        factor: f64,
    },
    /// Multiplies the values (`ImageEnhance.Brightness`).
    Brightness {
        /// 0 is black, 1 the image.
        factor: f64,
    },
    /// Moves values away from a smoothed image or towards it (`ImageEnhance.Sharpness`).
    Sharpness {
        /// 0 is smooth, 1 the image.
        factor: f64,
    },
    /// Moves row `y` by `factor * y` pixels.
    ShearX {
        /// To the left, in pixels per row.
        factor: f64,
    },
    /// Moves column `x` by `factor * x` pixels.
    ShearY {
        /// Up, in pixels per column.
        factor: f64,
    },
    /// Moves the image by a part of its width.
    TranslateX {
        /// To the left, as a fraction of the width.
        fraction: f64,
    },
    /// Moves the image by a part of its height.
    TranslateY {
        /// Up, as a fraction of the height.
        fraction: f64,
    },
}

impl Operation {
    /// Does it to an image in place.
    ///
    /// `samples` are the interleaved bytes, `[height, width, channels]`, of as many channels as `fill` has values;
    /// `fill` is the color of what comes from outside the image. `buffer` is room that is used again, of any length.
    ///
    /// # Errors
    ///
    /// [`AugmentError::Length`] when `samples` has another length than its sizes promise.
    pub fn apply(
        &self,
        samples: &mut [u8],
        size: [usize; 2],
        fill: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Result<(), AugmentError> {
        let mut raster = Raster::new(samples, size, fill.len())?;
        self.run(&mut raster, fill, buffer);
        Ok(())
    }

    pub(super) fn run(&self, raster: &mut Raster<'_>, fill: &[u8], buffer: &mut Vec<u8>) {
        // Nothing is also an image, but has no rows to look at.
        if raster.samples.is_empty() {
            return;
        }
        let (width, height) = (raster.width as f64, raster.height as f64);
        let matrix = match *self {
            Self::AutoContrast => return color::auto_contrast(raster),
            Self::Equalize => return color::equalize(raster),
            Self::Invert => return color::invert(raster),
            Self::Posterize { bits } => return color::posterize(raster, bits),
            Self::Solarize { threshold } => return color::solarize(raster, threshold),
            Self::SolarizeAdd { add } => return color::solarize_add(raster, add),
            Self::Color { factor } => return enhance::color(raster, factor as f32),
            Self::Contrast { factor } => return enhance::contrast(raster, factor as f32),
            Self::Brightness { factor } => return enhance::brightness(raster, factor as f32),
            Self::Sharpness { factor } => {
                return enhance::sharpness(raster, factor as f32, buffer);
            }
            Self::Rotate { degrees } => geometry::rotation(degrees, width, height),
            Self::ShearX { factor } => [1.0, factor, 0.0, 0.0, 1.0, 0.0],
            Self::ShearY { factor } => [1.0, 0.0, 0.0, factor, 1.0, 0.0],
            Self::TranslateX { fraction } => [1.0, 0.0, fraction * width, 0.0, 1.0, 0.0],
            Self::TranslateY { fraction } => [1.0, 0.0, 0.0, 0.0, 1.0, fraction * height],
        };
        geometry::transform(raster, matrix, fill, buffer);
    }
}
