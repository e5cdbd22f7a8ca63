//! The two escaped forms of text in protocol 0.

use std::borrow::Cow;

use crate::pickle_error::PickleFault;

/// The bytes of a Python 2 string literal, quotes included.
pub(crate) fn quoted(line: &[u8]) -> Result<Cow<'_, [u8]>, PickleFault> {
    let fault = || PickleFault::Text {
        encoding: "quoted text",
    };
    let line = line.trim_ascii();
    let inner = match line {
        [first @ (b'\'' | b'"'), inner @ .., last] if first == last => inner,
        _ => return Err(fault()),
    };
    if !inner.contains(&b'\\') {
        return Ok(inner.into());
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        // What `repr` writes; the octal and the rarer forms of literals never come from it.
        match rest.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(same @ (b'\\' | b'\'' | b'"')) => out.push(same),
            Some(b'x') => {
                let digits = [rest.next(), rest.next()];
                let value = hexadecimal(digits).ok_or_else(fault)?;
                out.push(u8::try_from(value).map_err(|_| fault())?);
            }
            _ => return Err(fault()),
        }
    }
    Ok(out.into())
}

/// The text of a `raw-unicode-escape` line: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
pub(crate) fn raw_unicode(line: &[u8]) -> Result<String, PickleFault> {
    let fault = || PickleFault::Text {
        encoding: "escaped Unicode",
    };
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let [byte, after @ ..] = rest {
        let digits = match rest {
            [b'\\', b'u', ..] => 4,
            [b'\\', b'U', ..] => 8,
            _ => {
                out.push(char::from(*byte));
                rest = after;
                continue;
            }
        };
        let (escape, after) = rest.split_at_checked(2 + digits).ok_or_else(fault)?;
        let value = hexadecimal(escape[2..].iter().map(|&digit| Some(digit))).ok_or_else(fault)?;
        out.push(char::from_u32(value).ok_or_else(fault)?);
        rest = after;
    }
    Ok(out)
}

/// The value of at most eight hexadecimal digits, all of which must be there.
fn hexadecimal(digits: impl IntoIterator<Item = Option<u8>>) -> Option<u32> {
    digits.into_iter().try_fold(0, |value, digit| {
        let digit = char::from(digit?).to_digit(16)?;
        Some(value << 4 | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_taken_out_of_its_quotes() {
        assert_eq!(&*quoted(b"'plain'").unwrap(), b"plain");
        assert_eq!(&*quoted(b"\"it's\"").unwrap(), b"it's");
        assert_eq!(
            &*quoted(b"'\\\\ \\' \\n\\r\\t\\x00\\xfF'").unwrap(),
            b"\\ ' \n\r\t\x00\xff"
        );
        assert_eq!(&*quoted(b"''").unwrap(), b"");
    }

    #[test]
    fn quoted_text_without_its_end_is_refused() {
        for line in [
            &b"'"[..],
            b"",
            b"'a\"",
            b"'a\\'",
            b"'\\x1'",
            b"'\\xg0'",
            b"'\\q'",
        ] {
            assert!(quoted(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn escaped_unicode_is_latin_1_with_escapes() {
        assert_eq!(
            raw_unicode(b"a\xfc\\u20ac\\U0001f600\\n").unwrap(),
            "aü€😀\\n"
        );
        for line in [&b"\\u20a"[..], b"\\U00110000", b"\\udc00", b"\\uzzzz"] {
            assert!(raw_unicode(line).is_err(), "{line:?}");
        }
    }
}
