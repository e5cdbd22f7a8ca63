//! The first bytes of a PNG file.

/// What a PNG says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PngHeader {
    /// Pixels across.
    pub(crate) width: u32,
    /// Pixels down.
    pub(crate) height: u32,
    /// Numbers per pixel once decoded: 1 to 4.
    pub(crate) channels: u32,
}

impl PngHeader {
    /// Reads the signature and the header chunk; `None` when they are not there.
    pub(crate) fn read(png: &[u8]) -> Option<PngHeader> {
        let rest = png.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR")?;
        let (width, rest) = rest.split_first_chunk::<4>()?;
        let (height, rest) = rest.split_first_chunk::<4>()?;
        let channels = match rest.get(1)? {
            0 => 1,
            4 => 2,
            2 | 3 => 3,
            6 => 4,
            _ => return None,
        };
        Some(PngHeader {
            width: u32::from_be_bytes(*width),
            height: u32::from_be_bytes(*height),
            channels,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_channels_are_read() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\x02\0\0\0\x03\x08\x06\0\0\0";
        assert_eq!(
            PngHeader::read(png),
            Some(PngHeader {
                width: 258,
                height: 3,
                channels: 4
            })
        );
        assert_eq!(PngHeader::read(&png[..20]), None);
        assert_eq!(PngHeader::read(b"\xff\xd8\xff\xe0 a JPEG"), None);
    }
}
