//! A writer of the pickles in checkpoints.

use super::zip::{Entry, Form, archive};

/// The number that a legacy file starts with, and its version, in protocol 2.
pub(crate) const LEGACY_HEAD: &[u8] =
    b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";
/// The byte order and sizes of a machine.
pub(crate) const SYSTEM: &[u8] = b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.";

/// A storage that a checkpoint will hold.
#[derive(Clone)]
pub(crate) struct Storage {
    pub(crate) class: &'static str,
    pub(crate) key: &'static str,
    pub(crate) elements: i32,
    pub(crate) bytes: Vec<u8>,
}

/// Text.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [
        b"X",
        &(text.len() as u32).to_le_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

/// An integer of 32 bits.
pub(crate) fn int(value: i32) -> Vec<u8> {
    [b"J", &value.to_le_bytes()[..]].concat()
}

/// A tuple of objects.
pub(crate) fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

/// A tuple of integers.
pub(crate) fn ints(values: &[i32]) -> Vec<u8> {
    let items: Vec<Vec<u8>> = values.iter().map(|&value| int(value)).collect();
    tuple(&items)
}

/// A dictionary with keys of text.
pub(crate) fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<Vec<u8>> = entries
        .iter()
        .map(|(key, value)| [&text(key)[..], value].concat())
        .collect();
    [b"}(", &entries.concat()[..], b"u"].concat()
}

impl Storage {
    /// Its persistent id.
    pub(crate) fn id(&self) -> Vec<u8> {
        let class = format!("ctorch\n{}\n", self.class).into_bytes();
        let parts = [
            text("storage"),
            class,
            text(self.key),
            text("cpu"),
            int(self.elements),
        ];
        [tuple(&parts), b"Q".to_vec()].concat()
    }

    /// A view of it.
    pub(crate) fn tensor(&self, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
        let hooks = b"ccollections\nOrderedDict\n)R".to_vec();
        let parts = [
            self.id(),
            int(offset),
            ints(shape),
            ints(strides),
            b"\x89".to_vec(),
            hooks,
        ];
        let call = b"ctorch._utils\n_rebuild_tensor_v2\n".to_vec();
        [call, tuple(&parts), b"R".to_vec()].concat()
    }
}

/// The whole pickle of an object.
pub(crate) fn whole(object: &[u8]) -> Vec<u8> {
    [b"\x80\x02", object, b"."].concat()
}

/// The entries of an archive: the pickle, the byte order and the storages.
pub(crate) fn entries(pickle: &[u8], byte_order: &str, storages: &[Storage]) -> Vec<Entry> {
    let mut entries = vec![
        Entry::stored("name/data.pkl", pickle),
        Entry::stored("name/byteorder", byte_order.as_bytes()),
    ];
    for storage in storages {
        let name = format!("name/data/{}", storage.key);
        entries.push(Entry::stored(&name, &storage.bytes));
    }
    entries.push(Entry::stored("name/version", b"3\n"));
    entries
}

/// A checkpoint of an object, as an archive.
pub(crate) fn zipped(object: &[u8], storages: &[Storage]) -> Vec<u8> {
    archive(&entries(&whole(object), "little", storages), Form::Wide)
}

/// A checkpoint of an object in the legacy format.
pub(crate) fn legacy(object: &[u8], storages: &[Storage]) -> Vec<u8> {
    let keys: Vec<Vec<u8>> = storages.iter().map(|storage| text(storage.key)).collect();
    let keys = [b"](", &keys.concat()[..], b"e"].concat();
    let mut file = [LEGACY_HEAD, SYSTEM, &whole(object), &whole(&keys)].concat();
    for storage in storages {
        file.extend(i64::from(storage.elements).to_le_bytes());
        file.extend(&storage.bytes);
    }
    file
}
