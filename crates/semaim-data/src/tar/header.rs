//! The 512-byte blocks that describe the members of a tar file.

/// Bytes per block.
pub(super) const BLOCK: usize = 512;

/// What follows a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file.
    File,
    /// The long name of the next member, as GNU tar writes it.
    LongName,
    /// Attributes of the next member (POSIX `x`).
    Attributes,
    /// A directory, link, device or anything else without image data.
    Other,
}

/// One header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) size: u64,
    pub(super) kind: Kind,
    /// Whether data blocks follow. Links and directories have none, whatever their size field says.
    pub(super) has_data: bool,
}

impl Header {
    /// Reads a header; `Ok(None)` for the block of zeros that ends a tar file.
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Option<Self>, &'static str> {
        if block.iter().all(|&b| b == 0) {
            return Ok(None);
        }
        if block.starts_with(&[0x1F, 0x8B]) {
            return Err("the file is compressed with gzip, unpack it first");
        }
        if block.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
            return Err("the file is compressed with zstd, unpack it first");
        }
        let field = |start: usize, end: usize| block.get(start..end).unwrap_or_default();
        let stated = number(field(148, 156)).ok_or("the checksum is not a number")?;
        let sum: u64 = block
            .iter()
            .enumerate()
            // The checksum counts itself as spaces.
            .map(|(at, &b)| {
                if (148..156).contains(&at) {
                    32
                } else {
                    u64::from(b)
                }
            })
            .sum();
        if stated != sum {
            return Err("the header's checksum is wrong");
        }
        let size = number(field(124, 136)).ok_or("the size is not a number")?;
        let mut name = until_zero(field(0, 100)).to_vec();
        // GNU tar's own format has other things where POSIX has the prefix.
        let prefix = until_zero(field(345, 500));
        if field(257, 263) == b"ustar\0" && !prefix.is_empty() {
            name = [prefix, b"/", &name].concat();
        }
        let flag = block.get(156).copied().unwrap_or_default();
        let (kind, has_data) = match flag {
            // Old tars mark directories by the name only.
            0 | b'0' | b'7' if name.ends_with(b"/") => (Kind::Other, true),
            0 | b'0' | b'7' => (Kind::File, true),
            b'L' => (Kind::LongName, true),
            b'x' => (Kind::Attributes, true),
            b'1'..=b'6' => (Kind::Other, false),
            _ => (Kind::Other, true),
        };
        Ok(Some(Self {
            name,
            size,
            kind,
            has_data,
        }))
    }
}

/// The bytes before the first zero.
pub(super) fn until_zero(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}

/// A number field: octal digits, or for large values bytes with the highest bit set.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((&first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        // 0xFF would be a negative number.
        let start = u64::from(first & 0x7F);
        return rest.iter().try_fold(start, |value, &b| {
            value.checked_mul(256)?.checked_add(u64::from(b))
        });
    }
    let text = std::str::from_utf8(until_zero(field)).ok()?.trim();
    if text.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(text, 8).ok()
}

/// A value of POSIX attributes (`length key=value\n` records); the last one when there are several.
pub(super) fn attribute<'a>(records: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut found = None;
    let mut rest = records;
    while let Some(space) = rest.iter().position(|&b| b == b' ') {
        let len: usize = std::str::from_utf8(rest.get(..space)?).ok()?.parse().ok()?;
        let record = rest.get(space + 1..len.checked_sub(1)?)?;
        let equals = record.iter().position(|&b| b == b'=')?;
        if record.get(..equals)? == key.as_bytes() {
            found = record.get(equals + 1..);
        }
        rest = rest.get(len..)?;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_both_forms() {
        assert_eq!(number(b"00000000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"\0\0\0"), Some(0));
        assert_eq!(
            number(b"\x80\0\0\0\0\0\0\x02\0\0\0\x01"),
            Some((2 << 32) + 1)
        );
        assert_eq!(number(b"9"), None);
        assert_eq!(number(&[0xFF; 12]), None);
    }

    #[test]
    fn attributes() {
        let records = b"12 path=abc\n17 size=12345678\n";
        assert_eq!(attribute(records, "path"), Some(&b"abc"[..]));
        assert_eq!(attribute(b"999 path=abc\n", "path"), None);
        assert_eq!(attribute(b"1 p", "path"), None);
        assert_eq!(attribute(b"12 path=abc\n", "size"), None);
    }

    #[test]
    fn blocks() {
        assert_eq!(Header::parse(&[0; BLOCK]), Ok(None));
        assert!(Header::parse(&[b'a'; BLOCK]).is_err());
    }
}
