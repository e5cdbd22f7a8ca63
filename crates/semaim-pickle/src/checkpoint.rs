//! A file that `torch.save` wrote, or a pickle of arrays.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use crate::budget::{Budget, limit};
use crate::container::{Archive, Container, Place, Source, entry};
use crate::error::Error;
use crate::heap::{Declared, Heap, Id, Node};
use crate::input::Input;
use crate::machine::run;
use crate::tensor::Tensor;
use crate::walk::{Found, walk};

/// The number 0x1950a86a20f9469cfc6c, with which files of the older format start, as a pickle writes it.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The only version of that format.
const LEGACY_VERSION: i64 = 1001;

/// The tensors of a file.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// Tensors by path: keys of dictionaries, attributes of objects and places in lists, joined by dots. A module that was
    /// saved whole has the names of its `state_dict`.
    pub tensors: BTreeMap<String, Tensor>,
    /// Classes of objects that were not made.
    pub classes: Vec<String>,
}

impl Checkpoint {
    /// Opens a file and reads its description; its tensors stay where they are.
    ///
    /// # Errors
    /// [`Error`], without the path.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Self::read(Box::new(file), length)
    }

    /// The same of a file in memory.
    ///
    /// # Errors
    /// [`Error`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        let length = bytes.len() as u64;
        Self::read(Box::new(Cursor::new(bytes)), length)
    }

    fn read(mut source: Box<dyn Source>, length: u64) -> Result<Self, Error> {
        let mut head = Vec::new();
        source.by_ref().take(512).read_to_end(&mut head)?;
        source.rewind()?;
        let magic = head.iter().take(64).copied().collect::<Vec<u8>>();
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            archive(source, length)
        } else if magic
            .windows(LEGACY_MAGIC.len())
            .any(|part| part == LEGACY_MAGIC)
        {
            legacy(source, length)
        } else if head.first() == Some(&0x80) && head.get(8) != Some(&b'{') {
            plain(source, length)
        } else {
            Err(Error::NotPytorch {
                found: other(&head),
            })
        }
    }
}

/// What a pickle is that holds nothing to read.
const NO_ARRAYS: &str = "a pickle that torch.save did not write, and without arrays";
/// What an archive is that holds no pickle of objects.
const OTHER_ZIP: &str =
    "a zip that torch.save did not write (NumPy's .npz, torch.export's .pt2 are such)";

/// What a file is that starts like this.
fn other(head: &[u8]) -> &'static str {
    match head {
        [] => "an empty file",
        _ if head.get(257..262) == Some(b"ustar") => {
            "a tar archive, as torch.save wrote before version 0.1.10"
        }
        _ if head.get(8) == Some(&b'{') => "a safetensors file",
        [b'(' | b'}' | b']' | b'c', ..] => NO_ARRAYS,
        _ => "another kind of file",
    }
}

/// An archive: `*/data.pkl` describes the objects, `*/data/KEY` are the storages.
fn archive(source: Box<dyn Source>, length: u64) -> Result<Checkpoint, Error> {
    let mut archive: Archive = ZipArchive::new(BufReader::new(source))?;
    let mut entries = HashMap::new();
    let mut total = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index)?;
        let stored = entry.compression() == CompressionMethod::Stored;
        let place = Place::Entry {
            index,
            len: entry.size(),
            stored,
        };
        total = total.saturating_add(entry.size());
        entries.insert(entry.name()?.into_owned(), place);
    }
    let pickles: Vec<&String> = entries.keys().filter(|name| is_pickle(name)).collect();
    let name = match pickles[..] {
        [] => return Err(Error::NotPytorch { found: OTHER_ZIP }),
        [name] => name.clone(),
        _ => {
            return Err(Error::Damaged(format!(
                "the archive has {} entries `*/data.pkl`, not one",
                pickles.len()
            )));
        }
    };
    if total > limit(length) {
        let message = format!("it inflates to {total} bytes, out of proportion to the file");
        return Err(Error::Damaged(message));
    }
    let root = name.trim_end_matches("data.pkl");
    let mut read = |name: &str| match entries.get(name) {
        Some(&Place::Entry { index, len, .. }) => {
            let bytes = entry(&mut archive, index, len);
            bytes
                .map(Some)
                .map_err(|error| Error::Damaged(format!("{name}: {error}")))
        }
        _ => Ok(None),
    };
    let big_endian = match read(&format!("{root}byteorder"))?.as_deref() {
        None | Some(b"little") => false,
        Some(b"big") => true,
        Some(_) => {
            return Err(Error::Damaged(
                "byteorder is neither `little` nor `big`".into(),
            ));
        }
    };
    let pickle = read(&name)?.unwrap_or_default();
    let mut heap = Heap::new(Budget::of(length));
    let size = pickle.len() as u64;
    let object = run(
        &mut Input::new(Cursor::new(pickle), 0, size),
        &mut heap,
        &name,
    )?;
    let places: Vec<Place> = heap
        .declared
        .iter()
        .map(|declared| {
            let place = entries
                .get(&format!("{root}data/{}", declared.key))
                .cloned();
            checked(declared, place)
        })
        .collect::<Result<_, _>>()?;
    let container = Container::archive(archive, length, big_endian);
    assemble(&mut heap, object, container, &places)
}

/// The pickle of the objects stands in the one folder at the root.
fn is_pickle(name: &str) -> bool {
    let folder = name.strip_suffix("/data.pkl");
    folder.is_some_and(|folder| !folder.is_empty() && !folder.contains('/'))
}

/// A storage whose size is as declared.
fn checked(declared: &Declared, place: Option<Place>) -> Result<Place, Error> {
    let failed = |message: String| Error::Storage {
        key: declared.key.clone(),
        message,
    };
    let size = declared.dtype.map_or(Some(1), |dtype| dtype.size());
    let expected = size.and_then(|size| declared.elements.checked_mul(size));
    match (place, expected) {
        (_, Some(0)) => Ok(Place::Nowhere),
        (None, _) => Err(failed("is not in the file".into())),
        // What is not read may be as it likes.
        (Some(_), _) if declared.dtype.is_some_and(|dtype| !dtype.is_read()) => Ok(Place::Nowhere),
        (Some(Place::Entry { len, .. }), Some(expected)) if len != expected as u64 => Err(failed(
            format!("holds {len} bytes; its pickle says {expected}"),
        )),
        (Some(_), None) => Err(failed(format!(
            "has {} elements, which no file holds",
            declared.elements
        ))),
        (Some(place), Some(_)) => Ok(place),
    }
}

/// The format before version 1.6: pickles of a number, the version, the system, the objects and the keys of storages,
/// then these.
fn legacy(source: Box<dyn Source>, length: u64) -> Result<Checkpoint, Error> {
    let mut reader = BufReader::new(source);
    let mut next = |part: &str| {
        let at = reader.stream_position()?;
        let mut heap = Heap::new(Budget::of(length));
        let root = run(
            &mut Input::new(&mut reader as &mut dyn BufRead, at, length),
            &mut heap,
            part,
        )?;
        Ok::<(Heap, Id), Error>((heap, root))
    };
    next("the pickle of the magic number")?;
    let (heap, version) = next("the pickle of the version")?;
    if !matches!(heap.node(version), Node::Int(LEGACY_VERSION)) {
        return Err(Error::Damaged(
            "the pickle of the version is not 1001".into(),
        ));
    }
    // The byte order and sizes of the machine that wrote the file. The storages are little-endian whatever it says.
    next("the pickle of the system")?;
    let (mut heap, object) = next("the pickle of the objects")?;
    let (list, keys) = next("the pickle of the storage keys")?;
    let Node::List(keys) = list.node(keys) else {
        return Err(Error::Damaged(
            "the pickle of the storage keys is not a list of texts".into(),
        ));
    };
    let keys: Option<Vec<String>> = keys.iter().map(|&key| list.as_key(key)).collect();
    let keys = keys.ok_or_else(|| {
        Error::Damaged("the pickle of the storage keys is not a list of texts".into())
    })?;
    let mut places: Vec<Option<Place>> = vec![None; heap.declared.len()];
    for key in keys {
        let failed = |message: String| Error::Storage {
            key: key.clone(),
            message,
        };
        // Without its type the size of a storage is not known, nor where the next one starts.
        let known = heap.find_declared(&key).and_then(|place| {
            let size = heap.declared[place]
                .dtype
                .map_or(Some(1), |dtype| dtype.size())?;
            Some((place, size))
        });
        let (place, size) =
            known.ok_or_else(|| failed("has a type that is not read, or none".into()))?;
        let declared = &heap.declared[place];
        let at = reader.stream_position()?;
        let mut count = [0; 8];
        reader
            .read_exact(&mut count)
            .map_err(|_| failed("is beyond the end of the file".into()))?;
        let count = u64::from_le_bytes(count);
        if count != declared.elements as u64 {
            return Err(failed(format!(
                "holds {count} elements; its pickle says {}",
                declared.elements
            )));
        }
        let start = reader.stream_position()?;
        let len = count.checked_mul(size as u64);
        let end = len
            .and_then(|len| start.checked_add(len))
            .filter(|&end| end <= length);
        let Some(end) = end else {
            return Err(failed(format!(
                "takes {count} elements from byte {at} on, beyond the end of the file"
            )));
        };
        reader.seek(SeekFrom::Start(end))?;
        places[place] = Some(Place::File { at: start });
    }
    let checked = heap
        .declared
        .iter()
        .zip(places)
        .map(|(declared, place)| checked(declared, place));
    let places: Vec<Place> = checked.collect::<Result<_, _>>()?;
    let container = Container::file(reader.into_inner(), length);
    assemble(&mut heap, object, container, &places)
}

/// One pickle, as `pickle.dump` writes it, in which arrays of NumPy's stand.
fn plain(source: Box<dyn Source>, length: u64) -> Result<Checkpoint, Error> {
    let mut reader = BufReader::new(source);
    let mut heap = Heap::new(Budget::of(length));
    heap.arrays = true;
    let input = &mut Input::new(&mut reader, 0, length);
    let object = run(input, &mut heap, "the pickle")?;
    let places: Vec<Place> = heap
        .declared
        .iter()
        .map(|declared| match declared.at {
            Some(at) => Place::File { at },
            None => Place::Nowhere,
        })
        .collect();
    let container = Container::file(reader.into_inner(), length);
    let checkpoint = assemble(&mut heap, object, container, &places)?;
    match checkpoint.tensors.is_empty() {
        true => Err(Error::NotPytorch { found: NO_ARRAYS }),
        false => Ok(checkpoint),
    }
}

fn assemble(
    heap: &mut Heap,
    object: Id,
    container: Container,
    places: &[Place],
) -> Result<Checkpoint, Error> {
    let Found { tensors, classes } = walk(heap, object).map_err(Error::Damaged)?;
    let container = Arc::new(container);
    let tensors = tensors.into_iter().map(|(path, strided)| {
        let place = places[strided.storage].clone();
        (path, Tensor::new(Arc::clone(&container), place, strided))
    });
    Ok(Checkpoint {
        tensors: tensors.collect(),
        classes: classes.into_iter().collect(),
    })
}
