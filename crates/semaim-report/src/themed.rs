//! Pictures that are light on a light page and dark on a dark one.

use crate::confusion::ConfusionMatrix;
use crate::contact_sheet::ContactSheet;
use crate::error::FigureError;
use crate::paint::Theme;
use crate::png::{encode_changes, encode_png};

/// A picture as PNG files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThemedPng {
    /// The picture, on white.
    pub light: Vec<u8>,
    /// What lies over it in the dark: paper and texts, transparent where the picture stays as it is.
    pub dark: Option<Vec<u8>>,
}

impl ThemedPng {
    /// A contact sheet.
    ///
    /// # Errors
    ///
    /// As for [`ContactSheet::draw`], and [`FigureError::Png`].
    pub fn of_sheet(sheet: &ContactSheet) -> Result<ThemedPng, FigureError> {
        ThemedPng::encode(|theme| sheet.draw(theme))
    }

    /// A confusion matrix below a title.
    ///
    /// # Errors
    ///
    /// As for [`ConfusionMatrix::draw`], and [`FigureError::Png`].
    pub fn of_confusion(matrix: &ConfusionMatrix, title: &str) -> Result<ThemedPng, FigureError> {
        ThemedPng::encode(|theme| matrix.draw(title, theme))
    }

    fn encode(
        draw: impl Fn(Theme) -> Result<image::RgbImage, FigureError>,
    ) -> Result<ThemedPng, FigureError> {
        let (light, dark) = (draw(Theme::Light)?, draw(Theme::Dark)?);
        Ok(ThemedPng {
            dark: Some(encode_changes(&light, &dark)?),
            light: encode_png(&light)?,
        })
    }
}
