//! Where storages lie: in an archive, or one after the other in a file of the older format.

use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::{Mutex, PoisonError};

use zip::ZipArchive;
use zip::read::ZipReadOptions;

/// What a checkpoint is read from.
pub(crate) trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// An archive, as [`zip`] reads it.
pub(crate) type Archive = ZipArchive<BufReader<Box<dyn Source>>>;

/// Where a storage lies.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// An entry of the archive, with so many bytes, compressed or not.
    Entry {
        index: usize,
        len: u64,
        stored: bool,
    },
    /// From a place in the file on.
    File { at: u64 },
    /// Nowhere: of a type that is not read, or without elements.
    Nowhere,
}

/// An open file. Readers on several threads wait for each other.
pub(crate) struct Container {
    bytes: Mutex<Bytes>,
    file_len: u64,
    big_endian: bool,
}

enum Bytes {
    Archive(Box<Archive>),
    File(Box<dyn Source>),
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container")
            .field("file_len", &self.file_len)
            .finish_non_exhaustive()
    }
}

impl Container {
    pub(crate) fn archive(archive: Archive, file_len: u64, big_endian: bool) -> Self {
        Self {
            bytes: Mutex::new(Bytes::Archive(Box::new(archive))),
            file_len,
            big_endian,
        }
    }

    pub(crate) fn file(source: Box<dyn Source>, file_len: u64) -> Self {
        Self {
            bytes: Mutex::new(Bytes::File(source)),
            file_len,
            big_endian: false,
        }
    }

    pub(crate) fn file_len(&self) -> u64 {
        self.file_len
    }

    pub(crate) fn big_endian(&self) -> bool {
        self.big_endian
    }

    /// Reads `length` bytes of a storage from byte `start` on. What is read whole is checked against its check sum.
    pub(crate) fn read(&self, place: &Place, start: usize, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *bytes, place) {
            (Bytes::Archive(archive), &Place::Entry { index, len, stored }) => {
                let whole = start == 0 && length as u64 == len;
                if stored && !whole {
                    let mut entry = archive.by_index_seek(index).map_err(io::Error::other)?;
                    entry.seek(SeekFrom::Start(start as u64))?;
                    return exactly(&mut entry, length);
                }
                let mut all = entry(archive, index, len)?;
                all.drain(..start.min(all.len()));
                all.truncate(length);
                match all.len() == length {
                    true => Ok(all),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                }
            }
            (Bytes::File(file), &Place::File { at }) => {
                file.seek(SeekFrom::Start(at + start as u64))?;
                exactly(file, length)
            }
            _ => Err(io::Error::other("its storage is not in the file")),
        }
    }
}

/// So many bytes, of which memory is taken as they come.
fn exactly(reader: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(length as u64).read_to_end(&mut bytes)?;
    match bytes.len() == length {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A whole entry of an archive, of which the directory says that it has `len` bytes. Files that were saved without check
/// sums have zero in their place.
pub(crate) fn entry(archive: &mut Archive, index: usize, len: u64) -> io::Result<Vec<u8>> {
    let crc = archive
        .by_index_raw(index)
        .map_err(io::Error::other)?
        .crc32();
    let options = ZipReadOptions::new().ignore_crc32(crc == 0);
    let mut entry = archive
        .by_index_with_options(index, options)
        .map_err(io::Error::other)?;
    // One byte more than there should be, so that the end is reached and the check sum is looked at.
    let mut bytes = Vec::new();
    (&mut entry).take(len + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == len {
        true => Ok(bytes),
        false => Err(io::Error::other(format!(
            "holds {} bytes, its directory says {len}",
            bytes.len()
        ))),
    }
}
