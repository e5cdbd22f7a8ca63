//! Recognizing image formats.

use std::path::Path;

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
    /// An array of NumPy's.
    Npy,
    /// JPEG XL.
    #[cfg(feature = "jxl")]
    Jxl,
}

impl Format {
    /// The extensions of image files, in lower case. They decide which files of a folder are images; what is
    /// inside decides how they are read.
    pub const EXTENSIONS: &'static [&'static str] = &[
        "jpg",
        "jpeg",
        "png",
        "webp",
        "bmp",
        "tif",
        "tiff",
        "gif",
        "jpe",
        "jfif",
        #[cfg(feature = "jxl")]
        "jxl",
    ];

    /// The formats in words.
    pub const NAMES: &'static str = match cfg!(feature = "jxl") {
        true => "JPEG, PNG, WebP, BMP, TIFF, GIF, NPY and JPEG XL",
        false => "JPEG, PNG, WebP, BMP, TIFF, GIF and NPY",
    };

    /// What to do about files of a format that is not read.
    pub(crate) fn advice(format: &str) -> String {
        let names = Self::NAMES;
        match format {
            "JPEG XL" => format!(
                "build with the feature jxl (cargo build --release --features jxl), or convert it to one of the formats {names}"
            ),
            _ => format!("convert it to one of the formats {names}"),
        }
    }

    /// The extension of arrays. Where there are other images beside them, they are something else than images: vectors, masks.
    pub(crate) const ARRAY: &'static str = "npy";

    /// The format of image that the extension of a file name says, if it is one that is not read: `HEIC`, `SVG`, ...
    pub(crate) fn not_read(name: &[u8]) -> Option<&'static str> {
        let extension = std::str::from_utf8(extension(name)?).ok()?;
        Some(match extension.to_ascii_lowercase().as_str() {
            "heic" | "heics" => "HEIC",
            "heif" | "heifs" | "hif" => "HEIF",
            "avif" | "avifs" => "AVIF",
            "jxl" if cfg!(not(feature = "jxl")) => "JPEG XL",
            "jxr" | "wdp" | "hdp" => "JPEG XR",
            "jp2" | "j2k" | "jpf" | "jpx" | "j2c" | "jpc" => "JPEG 2000",
            "jls" => "JPEG-LS",
            "svg" | "svgz" => "SVG",
            "dng" | "cr2" | "cr3" | "crw" | "nef" | "nrw" | "arw" | "sr2" | "srf" | "orf"
            | "rw2" | "raf" | "srw" | "pef" | "raw" | "3fr" | "iiq" | "x3f" | "kdc" | "dcr" => {
                "RAW"
            }
            "psd" | "psb" => "Photoshop",
            "xcf" => "GIMP",
            "exr" => "OpenEXR",
            "hdr" => "Radiance",
            "dcm" | "dicom" => "DICOM",
            "nii" => "NIfTI",
            "tga" => "TGA",
            "ppm" | "pgm" | "pbm" | "pnm" | "pam" => "Netpbm",
            "ico" | "cur" => "icon",
            "dds" => "DDS",
            "qoi" => "QOI",
            "pcx" => "PCX",
            "eps" => "EPS",
            "fits" | "fit" => "FITS",
            _ => return None,
        })
    }

    /// The format of image that the first bytes say, if it is one that is not read.
    pub(crate) fn not_read_content(bytes: &[u8]) -> Option<&'static str> {
        if bytes.get(4..8) == Some(b"ftyp") {
            return match bytes.get(8..12)? {
                b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" => Some("HEIC"),
                b"mif1" | b"msf1" => Some("HEIF"),
                b"avif" | b"avis" => Some("AVIF"),
                b"crx " => Some("RAW"),
                _ => None,
            };
        }
        let known: [(&[u8], &str); 11] = [
            (&[0xFF, 0x0A], "JPEG XL"),
            (b"\0\0\0\x0CJXL ", "JPEG XL"),
            (b"\0\0\0\x0CjP  ", "JPEG 2000"),
            (&[0xFF, 0x4F, 0xFF, 0x51], "JPEG 2000"),
            (b"II\xBC", "JPEG XR"),
            (b"8BPS", "Photoshop"),
            (b"\x76\x2F\x31\x01", "OpenEXR"),
            (b"#?RADIANCE", "Radiance"),
            (b"qoif", "QOI"),
            (b"DDS ", "DDS"),
            (b"<svg", "SVG"),
        ];
        let start = known.iter().find(|(start, _)| bytes.starts_with(start));
        let start = start.map(|(_, name)| *name);
        start.or_else(|| {
            let head = bytes.get(..bytes.len().min(512)).unwrap_or_default();
            let xml = head.starts_with(b"<?xml") && head.windows(4).any(|w| w == b"<svg");
            xml.then_some("SVG")
        })
    }

    /// The format of a file by its first bytes; `None` when it cannot be read or has none that is known.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        let mut start = [0; 16];
        let mut file = std::fs::File::open(path).ok()?;
        let read = std::io::Read::read(&mut file, &mut start).ok()?;
        Self::of(start.get(..read)?)
    }

    /// Recognizes a format by its first bytes.
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
        } else if bytes.starts_with(super::npy::MAGIC) {
            Some(Self::Npy)
        } else {
            #[cfg(feature = "jxl")]
            if bytes.starts_with(&[0xFF, 0x0A]) || bytes.starts_with(b"\0\0\0\x0CJXL ") {
                return Some(Self::Jxl);
            }
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
            Self::Npy => "NPY",
            #[cfg(feature = "jxl")]
            Self::Jxl => "JPEG XL",
        }
    }

    /// Whether a file name ends in one of [`Format::EXTENSIONS`], in upper or lower case.
    pub fn is_image_name(name: &[u8]) -> bool {
        let Some(extension) = extension(name) else {
            return false;
        };
        Self::EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known.as_bytes()))
    }

    /// Whether a file name is that of an array, in upper or lower case.
    pub(crate) fn is_array_name(name: &[u8]) -> bool {
        extension(name).is_some_and(|found| found.eq_ignore_ascii_case(Self::ARRAY.as_bytes()))
    }

    /// Whether a file name that somebody lists is that of an image: also that of an array.
    pub(crate) fn is_listed_name(name: &[u8]) -> bool {
        Self::is_image_name(name) || Self::is_array_name(name)
    }
}

/// What follows the last dot of a name.
fn extension(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().rposition(|&b| b == b'.')?;
    name.get(dot + 1..)
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
    fn formats_that_are_not_read_are_known() {
        for (name, format) in [
            ("IMG_1.HEIC", "HEIC"),
            ("a/b.heif", "HEIF"),
            ("x.avif", "AVIF"),
            #[cfg(not(feature = "jxl"))]
            ("x.jxl", "JPEG XL"),
            ("x.Svg", "SVG"),
            ("DSC.NEF", "RAW"),
            ("x.jp2", "JPEG 2000"),
        ] {
            assert_eq!(Format::not_read(name.as_bytes()), Some(format));
            assert!(!Format::is_image_name(name.as_bytes()));
        }
        for name in ["notes.txt", "heic", "a.jpg", "x.mp4"] {
            assert_eq!(Format::not_read(name.as_bytes()), None);
        }
        for (bytes, format) in [
            (&b"\0\0\0\x18ftypheic\0\0\0\0"[..], "HEIC"),
            (b"\0\0\0\x1cftypavif", "AVIF"),
            #[cfg(not(feature = "jxl"))]
            (b"\xFF\x0A12", "JPEG XL"),
            (b"<?xml version=\"1.0\"?>\n<svg xmlns", "SVG"),
        ] {
            assert_eq!(Format::of(bytes), None);
            assert_eq!(Format::not_read_content(bytes), Some(format));
        }
        assert_eq!(Format::not_read_content(b"\0\0\0\x18ftypmp42"), None);
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
