//! The directory of a zip archive, and its entries.
//!
//! Everything is taken from the directory at the end of the file and checked before any entry is used: entries lie
//! within the file before the directory, none overlaps another, no name stands twice. Entries that are stored are
//! used where they lie.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use flate2::read::DeflateDecoder;

use crate::archive_error::ArchiveError;
use crate::budget::Budget;
use crate::cursor::Cursor;
use crate::directory::{Directory, directory};
use crate::error::shown;
use crate::storage::Bytes;

/// What an entry costs in the map of entries and while overlaps are looked for.
const ENTRY_COST: usize = 2 * size_of::<(String, Entry)>() + size_of::<(usize, usize, &str)>();

/// The entries of an archive.
#[derive(Debug)]
pub(crate) struct Archive {
    entries: BTreeMap<String, Entry>,
}

/// One entry, known to lie within the file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    name: String,
    /// Where its bytes start.
    start: usize,
    /// How many there are.
    packed: usize,
    /// How many there will be once inflated.
    size: usize,
    deflated: bool,
    checksum: u32,
}

impl Archive {
    /// Reads the directory.
    pub(crate) fn open(file: &[u8], budget: &mut Budget) -> Result<Self, ArchiveError> {
        let directory = directory(file)?;
        let mut cursor = Cursor::new(
            file.get(..directory.end).unwrap_or_default(),
            directory.start,
        );
        let mut entries = BTreeMap::new();
        let mut places = Vec::new();
        for _ in 0..directory.entries {
            let offset = cursor.at();
            let fault = ArchiveError::DirectoryEntry { offset };
            let listed = Listed::read(&mut cursor).ok_or(fault)?;
            budget.charge(ENTRY_COST + 2 * listed.name.len())?;
            let entry = listed.locate(file, &directory)?;
            places.push((listed.header, entry.start + entry.packed, listed.name));
            if entries.insert(listed.name.to_string(), entry).is_some() {
                let name = shown(listed.name);
                return Err(ArchiveError::Duplicate { name });
            }
        }
        places.sort_unstable();
        for [(_, end, _), (start, _, name)] in places.array_windows() {
            if end > start {
                return Err(ArchiveError::Overlap { name: shown(name) });
            }
        }
        Ok(Self { entries })
    }

    /// The names of all entries.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The entry of a name.
    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }
}

impl Entry {
    /// The content, checked against its check sum.
    pub(crate) fn read(
        &self,
        file: &Arc<Vec<u8>>,
        budget: &mut Budget,
    ) -> Result<Bytes, ArchiveError> {
        let packed = Bytes::part(file, self.start..self.start + self.packed);
        let bytes = if self.deflated {
            // The size that the directory gives is what is paid for and all that is ever allocated.
            budget.charge(self.size)?;
            let mut inflated = Vec::new();
            let fault = || ArchiveError::Inflate {
                name: shown(&self.name),
                size: self.size,
            };
            inflated.try_reserve_exact(self.size).map_err(|_| fault())?;
            inflated.resize(self.size, 0);
            let mut decoder = DeflateDecoder::new(packed.as_slice());
            decoder.read_exact(&mut inflated).map_err(|_| fault())?;
            if decoder.read(&mut [0]).map_err(|_| fault())? != 0 {
                return Err(fault());
            }
            Bytes::all(inflated)
        } else {
            packed
        };
        let found = crc32fast::hash(bytes.as_slice());
        // Zero is what torch writes when told not to compute check sums.
        if self.checksum != 0 && found != self.checksum {
            return Err(ArchiveError::Checksum {
                name: shown(&self.name),
                found,
                expected: self.checksum,
            });
        }
        Ok(bytes)
    }
}

/// An entry as the directory lists it.
struct Listed<'a> {
    flags: u16,
    method: u16,
    checksum: u32,
    packed: usize,
    size: usize,
    /// Where its own header starts.
    header: usize,
    name: &'a str,
}

impl<'a> Listed<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        if cursor.array()? != *b"PK\x01\x02" {
            return None;
        }
        cursor.take(4)?; // versions
        let flags = cursor.u16()?;
        let method = cursor.u16()?;
        cursor.take(4)?; // time and date
        let checksum = cursor.u32()?;
        let packed = cursor.u32()?;
        let size = cursor.u32()?;
        let name = cursor.u16()?;
        let extra = cursor.u16()?;
        let comment = cursor.u16()?;
        cursor.take(8)?; // part of the archive, attributes
        let header = cursor.u32()?;
        let name = std::str::from_utf8(cursor.take(name.into())?).ok()?;
        let mut wide = wide_sizes(cursor.take(extra.into())?);
        cursor.take(comment.into())?;
        // The wide field holds those values, in this order, that do not fit where they would stand.
        let mut value = |narrow: u32| match narrow {
            u32::MAX => usize::try_from(wide.as_mut()?.u64()?).ok(),
            narrow => usize::try_from(narrow).ok(),
        };
        let size = value(size)?;
        let packed = value(packed)?;
        let header = value(header)?;
        Some(Self {
            flags,
            method,
            checksum,
            packed,
            size,
            header,
            name,
        })
    }

    /// Finds the bytes of the entry behind its own header. The sizes there are not looked at: torch writes them
    /// after the bytes.
    fn locate(&self, file: &[u8], directory: &Directory) -> Result<Entry, ArchiveError> {
        let name = || shown(self.name);
        let method = |how| ArchiveError::Method { name: name(), how };
        if self.flags & 1 != 0 {
            return Err(method("encrypted"));
        }
        let deflated = match self.method {
            0 => false,
            8 => true,
            _ => return Err(method("neither stored nor deflated")),
        };
        let misplaced = || ArchiveError::Entry { name: name() };
        let before = file.get(..directory.start).unwrap_or_default();
        let start =
            header_end(Cursor::new(before, self.header), self.name).ok_or_else(misplaced)?;
        let end = start.checked_add(self.packed).ok_or_else(misplaced)?;
        if end > before.len() || (!deflated && self.packed != self.size) {
            return Err(misplaced());
        }
        Ok(Entry {
            name: self.name.to_string(),
            start,
            packed: self.packed,
            size: self.size,
            deflated,
            checksum: self.checksum,
        })
    }
}

/// Where the header of the entry called `name` ends.
fn header_end(mut cursor: Cursor<'_>, name: &str) -> Option<usize> {
    if cursor.array()? != *b"PK\x03\x04" {
        return None;
    }
    cursor.take(22)?; // version, flags, method, time, date, check sum, sizes
    let length = cursor.u16()?;
    let extra = cursor.u16()?;
    let same = cursor.take(length.into())? == name.as_bytes();
    cursor.take(extra.into())?;
    same.then(|| cursor.at())
}

/// The field of 64-bit sizes among the extra fields of an entry.
fn wide_sizes(extra: &[u8]) -> Option<Cursor<'_>> {
    let mut cursor = Cursor::new(extra, 0);
    loop {
        let id = cursor.u16()?;
        let length = cursor.u16()?;
        let field = cursor.take(length.into())?;
        if id == 1 {
            return Some(Cursor::new(field, 0));
        }
    }
}

#[cfg(test)]
mod tests;
