//! Taking little-endian fields off a file, front to back.

/// A place in some bytes. Every method gives `None` where the bytes end too early, and then stays where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at byte `at`, which may lie beyond the end.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// The place of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.first_chunk().copied()
    }

    /// One byte.
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// Two bytes.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// What comes before the next line feed, which is passed over.
    pub(crate) fn line(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let length = rest.iter().position(|&byte| byte == b'\n')?;
        let line = self.take(length)?;
        self.at += 1;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_order_and_the_end_is_kept() {
        let mut cursor = Cursor::new(b"\x01\x02\x03line\nrest", 0);
        assert_eq!(cursor.u16(), Some(0x0201));
        assert_eq!(cursor.u8(), Some(3));
        assert_eq!(cursor.line(), Some(&b"line"[..]));
        assert_eq!((cursor.at(), cursor.left()), (8, 4));
        assert_eq!(cursor.line(), None, "no line feed");
        assert_eq!(cursor.u64(), None);
        assert_eq!(cursor.take(usize::MAX), None);
        assert_eq!(cursor.u32(), Some(u32::from_le_bytes(*b"rest")));
        assert_eq!(cursor.left(), 0);
    }

    #[test]
    fn a_start_beyond_the_end_gives_nothing() {
        let mut cursor = Cursor::new(b"ab", 3);
        assert_eq!((cursor.u8(), cursor.line(), cursor.left()), (None, None, 0));
    }
}
