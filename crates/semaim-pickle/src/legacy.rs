//! The format before version 1.6: five pickles, then the storages.

use std::sync::Arc;

use crate::budget::Budget;
use crate::checkpoint::{BARE_PICKLE, Checkpoint, assemble};
use crate::cursor::Cursor;
use crate::error::{ContentError, StorageFault, shown};
use crate::heap::{Item, Node};
use crate::machine::{Pickle, run};
use crate::storage::{Bytes, Storage};

/// The number 0x1950a86a20f9469cfc6c, with which these files start, as an integer of Python.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The only version there was.
const PROTOCOL: i64 = 1001;

/// What an error calls the list of keys.
const KEYS: &str = "the pickle of the storage keys";

/// Reads a file that starts like a pickle.
pub(crate) fn read(file: &Arc<Vec<u8>>, budget: &mut Budget) -> Result<Checkpoint, ContentError> {
    let magic = pickle("the pickle of the magic number", file, 0, budget)?;
    let is_magic =
        matches!(magic.heap.node(magic.root), Some(Node::BigInt(bytes)) if **bytes == MAGIC);
    if !is_magic {
        return Err(ContentError::Refused { found: BARE_PICKLE });
    }
    let at = magic.end;
    let version = pickle("the pickle of the version", file, at, budget)?;
    if version.root != Item::Int(PROTOCOL) {
        return Err(ContentError::Unexpected {
            part: "the pickle of the version",
            expected: "1001",
        });
    }
    let at = version.end;
    // The byte order and sizes of the machine that wrote the file. The storages are little-endian whatever it says.
    let at = pickle("the pickle of the system", file, at, budget)?.end;
    let mut objects = pickle("the pickle of the objects", file, at, budget)?;
    let (keys, at) = keys(file, &mut objects)?;
    let storages = storages(file, &objects, &keys, at)?;
    assemble(objects.heap, objects.root, &storages)
}

/// Reads the list of storage keys that follows the objects; gives them and where the storages start.
fn keys(file: &[u8], objects: &mut Pickle<'_>) -> Result<(Vec<Arc<str>>, usize), ContentError> {
    let unexpected = || ContentError::Unexpected {
        part: KEYS,
        expected: "a list of texts",
    };
    let list = pickle(KEYS, file, objects.end, objects.heap.budget)?;
    let Some(Node::List(items)) = list.heap.node(list.root) else {
        return Err(unexpected());
    };
    let keys = items
        .iter()
        .map(|&item| match (item, list.heap.text(item)) {
            (_, Some(key)) => Ok(Arc::clone(key)),
            (Item::Int(key), _) => Ok(key.to_string().into()),
            _ => Err(unexpected()),
        });
    Ok((keys.collect::<Result<_, _>>()?, list.end))
}

/// Finds the storages: for each key the number of its elements, then these.
fn storages(
    file: &Arc<Vec<u8>>,
    objects: &Pickle<'_>,
    keys: &[Arc<str>],
    at: usize,
) -> Result<Vec<Arc<Storage>>, ContentError> {
    let declared = &objects.heap.declared;
    let mut found: Vec<Option<Arc<Storage>>> = vec![None; declared.len()];
    let mut cursor = Cursor::new(file, at);
    for key in keys {
        let failed = |fault| ContentError::Storage {
            key: shown(key),
            fault,
        };
        // Without its type the size of a storage is not known, nor where the next one starts.
        let Some((place, declared)) = objects.heap.find_declared(key) else {
            return Err(failed(StorageFault::Unknown));
        };
        let offset = cursor.at();
        let truncated = |needed| failed(StorageFault::Truncated { offset, needed });
        let elements = cursor.u64().ok_or_else(|| truncated(8))?;
        if elements != declared.elements as u64 {
            return Err(failed(StorageFault::Count {
                found: elements,
                expected: declared.elements,
            }));
        }
        let start = cursor.at();
        let needed = declared.bytes();
        cursor
            .take(needed)
            .ok_or_else(|| truncated(needed as u64))?;
        let storage = Storage {
            dtype: declared.dtype,
            big_endian: false,
            bytes: Bytes::part(file, start..cursor.at()),
            limit: objects.heap.budget.limit(),
        };
        if let Some(slot) = found.get_mut(place) {
            *slot = Some(Arc::new(storage));
        }
    }
    let all = found.into_iter().zip(declared).map(|(storage, declared)| {
        storage.ok_or_else(|| ContentError::Storage {
            key: shown(&declared.key),
            fault: StorageFault::Missing,
        })
    });
    all.collect()
}

fn pickle<'b>(
    part: &'static str,
    file: &[u8],
    at: usize,
    budget: &'b mut Budget,
) -> Result<Pickle<'b>, ContentError> {
    run(file, at, budget).map_err(|source| ContentError::Pickle {
        part: part.into(),
        source,
    })
}
