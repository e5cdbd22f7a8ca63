//! Finding the directory of a zip archive.

use crate::archive_error::ArchiveError;
use crate::cursor::Cursor;

/// Where the directory lies and how many entries it has.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) entries: u64,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The size of the record at the end of an archive, without its comment.
const END: usize = 22;
/// The size of the record before it that says where the 64-bit one is.
const LOCATOR: usize = 20;

/// Finds the directory by the record at the end of the file.
pub(crate) fn directory(file: &[u8]) -> Result<Directory, ArchiveError> {
    let last = file
        .len()
        .checked_sub(END)
        .ok_or(ArchiveError::NoDirectory)?;
    let first = last.saturating_sub(u16::MAX.into());
    // The comment at the very end says how long it is, so the record is where that fits.
    let end = (first..=last).rev().find(|&at| {
        let mut cursor = Cursor::new(file, at);
        cursor.array() == Some(*b"PK\x05\x06")
            && cursor.take(16).is_some()
            && cursor.u16().map(usize::from) == Some(last - at)
    });
    let end = end.ok_or(ArchiveError::NoDirectory)?;
    let locator = end
        .checked_sub(LOCATOR)
        .map(|at| Cursor::new(file, at))
        .filter(|cursor| cursor.clone().array() == Some(*b"PK\x06\x07"));
    let (parts, entries, size, start, limit) = match locator {
        Some(locator) => wide_end(file, locator),
        None => narrow_end(Cursor::new(file, end), end),
    }
    .ok_or(ArchiveError::Directory)?;
    if parts {
        return Err(ArchiveError::Parts);
    }
    let start = usize::try_from(start).map_err(|_| ArchiveError::Directory)?;
    let size = usize::try_from(size).map_err(|_| ArchiveError::Directory)?;
    let end = start.checked_add(size).filter(|&end| end <= limit);
    Ok(Directory {
        entries,
        start,
        end: end.ok_or(ArchiveError::Directory)?,
    })
}

/// Whether there are parts; the number of entries, size and start of the directory; where it must end.
type End = (bool, u64, u64, u64, usize);

fn narrow_end(mut cursor: Cursor<'_>, at: usize) -> Option<End> {
    cursor.take(4)?;
    let parts = cursor.u32()? != 0;
    let here = cursor.u16()?;
    let all = cursor.u16()?;
    let (size, start) = (cursor.u32()?, cursor.u32()?);
    Some((
        parts || here != all,
        all.into(),
        size.into(),
        start.into(),
        at,
    ))
}

fn wide_end(file: &[u8], mut locator: Cursor<'_>) -> Option<End> {
    locator.take(8)?;
    let at = usize::try_from(locator.u64()?).ok()?;
    let mut cursor = Cursor::new(file, at);
    if cursor.array()? != *b"PK\x06\x06" {
        return None;
    }
    cursor.take(12)?; // size of the record, versions
    let parts = cursor.u64()? != 0;
    let (here, all) = (cursor.u64()?, cursor.u64()?);
    let (size, start) = (cursor.u64()?, cursor.u64()?);
    Some((parts || here != all, all, size, start, at))
}
