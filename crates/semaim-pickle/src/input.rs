//! The bytes of a pickle, read from front to back.

use std::io::{BufRead, Read};

/// Longest line of text that is read: names of modules and numbers in decimal.
const LONGEST_LINE: u64 = 1 << 16;

/// A pickle in a file or in memory. Lengths in it are checked against what is left before memory is taken.
pub(crate) struct Input<R> {
    inner: R,
    /// Place of the next byte in the file, or in the pickle where that is inflated.
    pub(crate) at: u64,
    /// Where they end.
    end: u64,
}

impl<R: BufRead> Input<R> {
    pub(crate) fn new(inner: R, at: u64, end: u64) -> Self {
        Self { inner, at, end }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        let read = self.inner.read_exact(&mut bytes);
        read.map_err(|_| "the pickle ends here".to_string())?;
        self.at += N as u64;
        Ok(bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, String> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn bytes(&mut self, length: u64) -> Result<Vec<u8>, String> {
        let left = self.end.saturating_sub(self.at);
        if length > left {
            return Err(format!("takes {length} bytes, of which {left} are there"));
        }
        let mut bytes = vec![0; length as usize];
        let read = self.inner.read_exact(&mut bytes);
        read.map_err(|_| "the pickle ends here".to_string())?;
        self.at += length;
        Ok(bytes)
    }

    /// Passes over bytes that nothing here looks at.
    pub(crate) fn skip(&mut self, length: u64) -> Result<(), String> {
        let mut part = self.inner.by_ref().take(length);
        let passed = std::io::copy(&mut part, &mut std::io::sink());
        if passed.map_err(|error| error.to_string())? != length {
            return Err(format!("takes {length} bytes, more than there are"));
        }
        self.at += length;
        Ok(())
    }

    /// Text to the end of a line, which is not part of it.
    pub(crate) fn line(&mut self) -> Result<String, String> {
        let mut bytes = Vec::new();
        let mut part = self.inner.by_ref().take(LONGEST_LINE);
        part.read_until(b'\n', &mut bytes)
            .map_err(|error| error.to_string())?;
        self.at += bytes.len() as u64;
        if bytes.pop() != Some(b'\n') {
            return Err("has a line without an end".into());
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
