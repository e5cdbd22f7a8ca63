//! How the camera was held, as files say it.

use std::io::Read;

use image::metadata::Orientation;

/// The tag of the orientation in EXIF and TIFF.
const ORIENTATION: u16 = 0x0112;

/// The longest compressed metadata that are looked at, in bytes.
const LONGEST: u64 = 1 << 20;

/// The orientation that metadata say: the EXIF data first, then the XMP packet, as Pillow reads them. Broken metadata are no
/// reason to refuse a picture, and what says nothing sensible turns nothing.
pub(super) fn orientation(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    exif.and_then(of_exif)
        .or_else(|| xmp.and_then(of_xmp))
        .and_then(Orientation::from_exif)
        .unwrap_or(Orientation::NoTransforms)
}

/// The orientation that the chunks of a PNG say.
pub(super) fn of_png(bytes: &[u8]) -> Orientation {
    let (mut exif, mut profile, mut xmp) = (None, None, None);
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, kind @ ..] = *head;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some(data) = body.get(..length) else {
            break;
        };
        match &kind {
            b"eXIf" => exif = exif.or(Some(data)),
            b"tEXt" | b"zTXt" | b"iTXt" => {
                if let Some(text) = png_text(&kind, data, b"XML:com.adobe.xmp") {
                    xmp.get_or_insert(text);
                }
                for name in [&b"Raw profile type exif"[..], b"Raw profile type APP1"] {
                    if let Some(text) = png_text(&kind, data, name) {
                        profile.get_or_insert(text);
                    }
                }
            }
            b"IEND" => break,
            _ => {}
        }
        // Four bytes of checksum follow.
        rest = body.get(length.saturating_add(4)..).unwrap_or_default();
    }
    let profile = profile.and_then(|text| raw_profile(&text));
    orientation(exif.or(profile.as_deref()), xmp.as_deref())
}

/// The text of a PNG's text chunk, if it has the given key.
fn png_text(kind: &[u8; 4], chunk: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let text = chunk.strip_prefix(key)?.strip_prefix(&[0])?;
    match kind {
        b"tEXt" => Some(text.to_vec()),
        b"zTXt" => inflated(text.strip_prefix(&[0])?),
        _ => {
            let (flags, rest) = text.split_first_chunk::<2>()?;
            // Language and translated key, each with a zero at its end.
            let text = rest.splitn(3, |&byte| byte == 0).nth(2)?;
            match flags {
                [0, _] => Some(text.to_vec()),
                _ => inflated(text),
            }
        }
    }
}

/// Compressed metadata, as far as they are of a sensible length.
fn inflated(data: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let reader = flate2::read::ZlibDecoder::new(data);
    reader.take(LONGEST).read_to_end(&mut out).ok()?;
    Some(out)
}

/// The bytes of a raw profile as ImageMagick writes it: a line break, its name, its length, then hexadecimal digits.
fn raw_profile(text: &[u8]) -> Option<Vec<u8>> {
    let lines = text.split(|&byte| byte == b'\n');
    let digits: Vec<u32> = lines
        .skip(3)
        .flatten()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|&byte| char::from(byte).to_digit(16))
        .collect::<Option<_>>()?;
    let (pairs, _) = digits.as_chunks::<2>();
    Some(pairs.iter().map(|[a, b]| (16 * a + b) as u8).collect())
}

/// The orientation that the chunks of a WebP say.
pub(super) fn of_webp(bytes: &[u8]) -> Orientation {
    let (mut exif, mut xmp) = (None, None);
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let [kind @ .., a, b, c, d] = *head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let data = body.get(..length).unwrap_or(body);
        match &kind {
            b"EXIF" => exif = exif.or(Some(data)),
            b"XMP " => xmp = xmp.or(Some(data)),
            _ => {}
        }
        // Chunks start at even places.
        rest = body
            .get(length.saturating_add(length % 2)..)
            .unwrap_or_default();
    }
    orientation(exif, xmp)
}

/// The orientation of a TIFF with the given tag and XMP packet.
pub(super) fn of_tiff(tag: Option<u32>, xmp: Option<&[u8]>) -> Orientation {
    tag.and_then(|value| u8::try_from(value).ok())
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

    fn png(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
        let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in chunks {
            out.extend((data.len() as u32).to_be_bytes());
            out.extend(*kind);
            out.extend(data);
            out.extend([0; 4]);
        }
        out
    }

    fn deflated(data: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut out, data).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn pngs_say_it_in_many_chunks() {
        let exif = exif(true, 3, [6, 0, 0, 0]);
        let hex: String = [b"Exif\0\0", &exif[..]]
            .concat()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let (first, second) = hex.split_at(30);
        let profile = format!("\nexif\n      50\n{first}\n{second}\n");
        let xmp = b"<x tiff:Orientation=\"6\"/>";
        let key = |name: &str, flags: &[u8], text: &[u8]| [name.as_bytes(), flags, text].concat();
        let profile_key = "Raw profile type exif";
        for chunks in [
            vec![(b"eXIf", exif.clone())],
            vec![(
                b"zTXt",
                key(profile_key, &[0, 0], &deflated(profile.as_bytes())),
            )],
            vec![(b"tEXt", key(profile_key, &[0], profile.as_bytes()))],
            vec![(
                b"zTXt",
                key(
                    "Raw profile type APP1",
                    &[0, 0],
                    &deflated(profile.as_bytes()),
                ),
            )],
            vec![(b"iTXt", key("XML:com.adobe.xmp", &[0, 0, 0, 0, 0], xmp))],
            vec![(
                b"iTXt",
                key("XML:com.adobe.xmp", &[0, 1, 0, b'e', 0, 0], &deflated(xmp)),
            )],
            vec![(b"IDAT", vec![1; 7]), (b"eXIf", exif.clone())],
        ] {
            assert_eq!(
                of_png(&png(&chunks)),
                Orientation::Rotate90,
                "{:?}",
                chunks[0].0
            );
            let bytes = png(&chunks);
            for end in 0..bytes.len() {
                of_png(&bytes[..end]);
            }
        }
        let silent = png(&[(b"tEXt", b"Comment\0tiff:Orientation=\"6\"".to_vec())]);
        assert_eq!(of_png(&silent), Orientation::NoTransforms);
    }

    #[test]
    fn webps_say_it_with_and_without_prefix() {
        let exif = exif(false, 4, [0, 0, 0, 8]);
        let prefixed = [b"Exif\0\0", &exif[..]].concat();
        for (kind, data) in [
            (b"EXIF", &exif[..]),
            (b"EXIF", &prefixed),
            (b"XMP ", b"<tiff:Orientation>8</tiff:Orientation>"),
        ] {
            let mut bytes = b"RIFF\0\0\0\0WEBPVP8L\x03\0\0\0abc\0".to_vec();
            bytes.extend(kind);
            bytes.extend((data.len() as u32).to_le_bytes());
            bytes.extend(data);
            assert_eq!(of_webp(&bytes), Orientation::Rotate270);
            for end in 0..bytes.len() {
                of_webp(&bytes[..end]);
            }
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
