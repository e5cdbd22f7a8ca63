//! Bands: samples beside the colors and alpha, such as near infrared.

use std::io::{Read, Seek};

use tiff::decoder::Decoder;
use tiff::tags::{PhotometricInterpretation, Tag};
use tiff::{ColorType, TiffError};

/// What the tags of a page say of the samples of a pixel.
pub(super) struct SampleTags {
    /// How many there are.
    pub(super) count: u16,
    photometric: Option<PhotometricInterpretation>,
    /// What those after the colors are: 1 and 2 are alpha.
    extra: Vec<u16>,
}

impl SampleTags {
    /// The tags of the decoder's current page.
    pub(super) fn read<R: Read + Seek>(decoder: &mut Decoder<R>) -> Result<Self, TiffError> {
        let photometric = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation)?;
        let count = decoder.find_tag_unsigned::<u16>(Tag::SamplesPerPixel)?;
        let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)?;
        Ok(Self {
            count: count.unwrap_or(1),
            photometric: photometric.and_then(PhotometricInterpretation::from_u16),
            extra: extra.unwrap_or_default(),
        })
    }

    /// Whether samples are indices of a palette.
    pub(super) fn is_palette(&self) -> bool {
        self.photometric == Some(PhotometricInterpretation::RGBPalette)
    }

    /// Whether colors are stored multiplied by alpha.
    pub(super) fn has_associated_alpha(&self) -> bool {
        self.extra.first() == Some(&1)
    }

    /// The picture among the samples, where there are bands beside it.
    ///
    /// A fourth sample of RGB, or a fifth of CMYK, is no band where it is said to be alpha, or nothing is said.
    pub(super) fn bands(&self) -> Option<Bands> {
        let (colors, picture) = match self.photometric? {
            PhotometricInterpretation::RGB => (3, Bands::Rgb),
            PhotometricInterpretation::CMYK => (4, Bands::Cmyk),
            _ => return None,
        };
        let more = self.count.checked_sub(colors)?;
        let has_alpha = matches!(self.extra.first(), Some(1 | 2));
        match more {
            0 => None,
            1 if has_alpha || self.extra.is_empty() => None,
            _ if has_alpha && picture == Bands::Rgb => Some(Bands::Rgba),
            _ => Some(picture),
        }
    }
}

/// Bands by what the samples before them are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bands {
    Rgb,
    Rgba,
    /// With or without alpha, which CMYK is never shown with.
    Cmyk,
}

impl Bands {
    /// The colors, of `bits` each, that so many channels are made of. `None` where bands are channels, too, and all samples are
    /// given as they are.
    pub(super) fn picture(self, channels: Option<usize>, bits: u8) -> Option<ColorType> {
        match (channels, self) {
            (Some(1 | 3), Self::Rgb) => Some(ColorType::RGB(bits)),
            (Some(1 | 3 | 4), Self::Rgba) => Some(ColorType::RGBA(bits)),
            (Some(1 | 3), Self::Cmyk) => Some(ColorType::CMYK(bits)),
            // A band is not given up for an alpha that is not in the file.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_no_band() {
        let bands = |photometric, count, extra: &[u16]| {
            let tags = SampleTags {
                count,
                photometric: Some(photometric),
                extra: extra.to_vec(),
            };
            tags.bands()
        };
        let rgb = PhotometricInterpretation::RGB;
        let cmyk = PhotometricInterpretation::CMYK;
        for (photometric, colors) in [(rgb, 3), (cmyk, 4)] {
            assert_eq!(bands(photometric, colors - 1, &[]), None);
            assert_eq!(bands(photometric, colors, &[]), None);
            assert_eq!(bands(photometric, colors + 1, &[]), None);
            assert_eq!(bands(photometric, colors + 1, &[1]), None);
            assert_eq!(bands(photometric, colors + 1, &[2]), None);
        }
        assert_eq!(bands(rgb, 4, &[0]), Some(Bands::Rgb));
        assert_eq!(bands(rgb, 5, &[]), Some(Bands::Rgb));
        assert_eq!(bands(rgb, 5, &[0, 0]), Some(Bands::Rgb));
        assert_eq!(bands(rgb, 5, &[0, 2]), Some(Bands::Rgb));
        assert_eq!(bands(rgb, 5, &[2, 0]), Some(Bands::Rgba));
        assert_eq!(bands(cmyk, 5, &[0]), Some(Bands::Cmyk));
        assert_eq!(bands(cmyk, 6, &[2, 0]), Some(Bands::Cmyk));
        let gray = PhotometricInterpretation::BlackIsZero;
        assert_eq!(bands(gray, 4, &[0; 3]), None);
    }
}
