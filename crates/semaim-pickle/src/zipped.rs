//! The format since version 1.6: an archive of a pickle and the storages.

use std::sync::Arc;

use crate::archive::Archive;
use crate::archive_error::ArchiveError;
use crate::budget::Budget;
use crate::checkpoint::{Checkpoint, assemble};
use crate::error::{ContentError, StorageFault, shown};
use crate::machine::run;
use crate::storage::{Bytes, Storage};

/// Reads a file that starts like an archive.
pub(crate) fn read(file: &Arc<Vec<u8>>, budget: &mut Budget) -> Result<Checkpoint, ContentError> {
    let archive = Archive::open(file, budget)?;
    let folder = folder(&archive)?;
    let big_endian = match archive.find(&format!("{folder}/byteorder")) {
        None => false,
        Some(entry) => match entry.read(file, budget)?.as_slice() {
            b"little" => false,
            b"big" => true,
            _ => return Err(ArchiveError::ByteOrder.into()),
        },
    };
    let part = format!("{folder}/data.pkl");
    let entry = archive
        .find(&part)
        .ok_or(ArchiveError::Pickles { count: 0 })?;
    let bytes = entry.read(file, budget)?;
    let pickle = run(bytes.as_slice(), 0, budget).map_err(|source| ContentError::Pickle {
        part: shown(&part),
        source,
    })?;
    let heap = pickle.heap;
    let mut storages = Vec::new();
    for declared in &heap.declared {
        let failed = |fault| ContentError::Storage {
            key: shown(&declared.key),
            fault,
        };
        let bytes = match archive.find(&format!("{folder}/data/{}", declared.key)) {
            Some(entry) => entry.read(file, heap.budget)?,
            // Storages without elements are not always written.
            None if declared.elements == 0 => Bytes::all(Vec::new()),
            None => return Err(failed(StorageFault::Missing)),
        };
        let (found, needed) = (bytes.as_slice().len(), declared.bytes());
        if found < needed {
            return Err(failed(StorageFault::Short { found, needed }));
        }
        storages.push(Arc::new(Storage {
            dtype: declared.dtype,
            big_endian,
            bytes,
            limit: heap.budget.limit(),
        }));
    }
    assemble(heap, pickle.root, &storages)
}

/// The folder of the archive in which `data.pkl` lies; torch names it after the file.
fn folder(archive: &Archive) -> Result<&str, ArchiveError> {
    let folders = archive.names().filter_map(|name| {
        let folder = name.strip_suffix("/data.pkl")?;
        (!folder.is_empty() && !folder.contains('/')).then_some(folder)
    });
    let folders: Vec<&str> = folders.take(2).collect();
    match folders[..] {
        [folder] => Ok(folder),
        _ => Err(ArchiveError::Pickles {
            count: folders.len(),
        }),
    }
}
