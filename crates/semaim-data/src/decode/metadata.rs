//! How the camera was held, as files say it.

use image::metadata::Orientation;

/// The tag of the orientation in EXIF and TIFF.
const ORIENTATION: u16 = 0x0112;

/// The orientation that metadata say: the EXIF data first, then the XMP packet, as Pillow reads them. Broken metadata are no
/// reason to refuse a picture, and what says nothing sensible turns nothing.
pub(super) fn orientation(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    exif.and_then(of_exif)
        .or_else(|| xmp.and_then(of_xmp))
        .and_then(Orientation::from_exif)
        .unwrap_or(Orientation::NoTransforms)
}

/// The orientation in EXIF data, which are a TIFF, with or without the prefix `Exif\0\0`.
fn of_exif(exif: &[u8]) -> Option<u8> {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let bytes = *tiff.get(at..at.checked_add(2)?)?.as_array()?;
        Some(match little {
            true => u16::from_le_bytes(bytes),
            false => u16::from_be_bytes(bytes),
        })
    };
    let long = |at: usize| -> Option<u32> {
        let bytes = *tiff.get(at..at.checked_add(4)?)?.as_array()?;
        Some(match little {
            true => u32::from_le_bytes(bytes),
            false => u32::from_be_bytes(bytes),
        })
    };
    let directory = long(4)? as usize;
    let entries = usize::from(short(directory)?);
    let entry = (0..entries)
        .map(|entry| directory + 2 + 12 * entry)
        .find(|&at| short(at) == Some(ORIENTATION))?;
    if long(entry + 4)? != 1 {
        return None;
    }
    let value = match short(entry + 2)? {
        // A byte, a short or a long number.
        1 => u32::from(*tiff.get(entry + 8)?),
        3 => u32::from(short(entry + 8)?),
        4 => long(entry + 8)?,
        _ => return None,
    };
    u8::try_from(value).ok()
}

/// The orientation in an XMP packet, as attribute or as element.
fn of_xmp(xmp: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    xmp.windows(NAME.len())
        .enumerate()
        .filter(|(_, window)| window == &NAME)
        .find_map(|(at, _)| {
            let rest = xmp.get(at + NAME.len()..)?;
            let rest = rest
                .strip_prefix(b"=\"")
                .or_else(|| rest.strip_prefix(b"='"))
                .or_else(|| rest.strip_prefix(b">"))?;
            let digit = *rest.first()?;
            digit.is_ascii_digit().then(|| digit - b'0')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EXIF data with another entry before the orientation.
    fn exif(little: bool, kind: u16, value: [u8; 4]) -> Vec<u8> {
        let order = |number: u16| match little {
            true => number.to_le_bytes(),
            false => number.to_be_bytes(),
        };
        let long = |number: u32| match little {
            true => number.to_le_bytes(),
            false => number.to_be_bytes(),
        };
        let mut out = if little { *b"II" } else { *b"MM" }.to_vec();
        out.extend(order(42));
        out.extend(long(8));
        out.extend(order(2));
        for (tag, kind, value) in [(0x0100, 3, [9; 4]), (ORIENTATION, kind, value)] {
            out.extend(order(tag));
            out.extend(order(kind));
            out.extend(long(1));
            out.extend(value);
        }
        out
    }

    #[test]
    fn exif_of_every_byte_order_and_type() {
        for (little, kind, value) in [
            (true, 3, [6, 0, 0, 0]),
            (false, 3, [0, 6, 0, 0]),
            (true, 4, [6, 0, 0, 0]),
            (false, 4, [0, 0, 0, 6]),
            (true, 1, [6, 0, 0, 0]),
        ] {
            let exif = exif(little, kind, value);
            assert_eq!(orientation(Some(&exif), None), Orientation::Rotate90);
            let prefixed = [b"Exif\0\0", &exif[..]].concat();
            assert_eq!(orientation(Some(&prefixed), None), Orientation::Rotate90);
            for end in 0..exif.len() {
                orientation(Some(&exif[..end]), None);
            }
        }
        for value in [[0; 4], [9, 0, 0, 0], [6, 1, 0, 0]] {
            let exif = exif(true, 3, value);
            assert_eq!(orientation(Some(&exif), None), Orientation::NoTransforms);
        }
    }

    #[test]
    fn xmp_speaks_where_exif_does_not() {
        let attribute = b"<rdf:Description tiff:Orientation=\"6\"/>";
        let element = b"<tiff:Orientation>8</tiff:Orientation>";
        let turned = |xmp: &[u8]| orientation(None, Some(xmp));
        assert_eq!(turned(attribute), Orientation::Rotate90);
        assert_eq!(turned(element), Orientation::Rotate270);
        assert_eq!(turned(b"tiff:Orientation"), Orientation::NoTransforms);
        let exif = exif(true, 3, [3, 0, 0, 0]);
        let both = orientation(Some(&exif), Some(attribute));
        assert_eq!(both, Orientation::Rotate180);
        let other = orientation(Some(b"II*\0\x08\0\0\0\0\0"), Some(attribute));
        assert_eq!(other, Orientation::Rotate90);
    }
}
