//! Recognising image formats.

/// The formats that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP, lossy and lossless.
    WebP,
    /// Windows bitmap.
    Bmp,
    /// TIFF.
    Tiff,
    /// GIF.
    Gif,
}

impl Format {
    /// The extensions of image files, in lower case. They decide which files of a folder are images; what is
    /// inside decides how they are read.
    pub const EXTENSIONS: [&'static str; 8] =
        ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif"];

    /// Recognises a format by its first bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
            Some(Self::Jpeg)
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Self::WebP)
        } else if bytes.starts_with(b"BM") {
            Some(Self::Bmp)
        } else if [&b"II*\0"[..], b"MM\0*", b"II+\0", b"MM\0+"]
            .iter()
            .any(|magic| bytes.starts_with(magic))
        {
            Some(Self::Tiff)
        } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
            Some(Self::Gif)
        } else {
            None
        }
    }

    /// The usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::Gif => "GIF",
        }
    }

    /// Whether a file name ends in one of [`Format::EXTENSIONS`], in upper or lower case.
    pub fn is_image_name(name: &[u8]) -> bool {
        let Some(dot) = name.iter().rposition(|&b| b == b'.') else {
            return false;
        };
        let extension = name.get(dot + 1..).unwrap_or_default();
        Self::EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images() {
        for name in ["a.jpg", "a.JPEG", "x/y.z.Tif", ".webp", "a b.gif"] {
            assert!(Format::is_image_name(name.as_bytes()), "{name}");
        }
        for name in ["a.jpg.txt", "jpg", "a.", "", "a.jpgx", "a.svg"] {
            assert!(!Format::is_image_name(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn content_decides() {
        assert_eq!(Format::of(b"RIFF\0\0\0\0WEBPVP8 "), Some(Format::WebP));
        assert_eq!(Format::of(b"RIFF\0\0\0\0WAVE"), None);
        assert_eq!(Format::of(b"RIFF"), None);
        assert_eq!(Format::of(b"<html>"), None);
        assert_eq!(Format::of(&[0xFF, 0xD8, 0xFF, 0xE0]), Some(Format::Jpeg));
    }
}
