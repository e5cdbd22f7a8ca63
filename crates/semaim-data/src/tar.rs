//! Images inside tar files, read in place.

mod index;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::classes::{self, Classes};
use crate::counted::counted;
use crate::decode::{DecodeBuffers, DecodeOptions};
use crate::dir_scan::NotRead;
use crate::error::{DataError, ImageError, ImageProblem};
use crate::file::SharedFile;
use crate::metadata::{self, Metadata};
use crate::notices::{self, some_of};
use crate::region::{DecodeRequest, DecodedRegion};
use crate::scratch::Scratch;
use crate::source::{Source, Split};
use crate::splits;

use index::{Index, JsonLabel, Member};

/// The label of an image without one.
const UNLABELED: u32 = u32::MAX;

/// The images of some tar files, in the order of the files and of their members.
#[derive(Debug)]
pub(crate) struct Tars {
    files: Vec<(PathBuf, SharedFile)>,
    /// Whole member names, one per image.
    names: Vec<Box<[u8]>>,
    images: Vec<Place>,
    classes: Classes,
    decoding: DecodeOptions,
}

/// Where an image is, and its label.
#[derive(Clone, Copy, Debug)]
struct Place {
    file: u32,
    label: u32,
    offset: u64,
    size: u64,
}

/// One member of one of the files.
struct Found {
    file: u32,
    member: Member,
}

impl Tars {
    /// Indexes tar files. Only their headers and what may hold labels are read.
    ///
    /// The set is like a folder, after the directories that all images share are taken off: `train/...` and `val/...` are
    /// its parts. With `.cls` members, or without such with a single `label` or `cls` in at least half of the `.json` members of
    /// images, it is in WebDataset form: members are one sample when their paths agree up to the first dot of the file name, the
    /// `.cls` or `.json` member holds the class (none if it is empty), and a sample's image is the member whose whole extension is that of an image
    /// (so that `1.seg.png` beside `1.jpg` is none), the first of several, which is said. Otherwise labels are those of metadata
    /// files as in folders, and without such the first directory of a part is the class.
    pub(crate) fn open(
        paths: &[PathBuf],
        split: Split,
        decoding: DecodeOptions,
    ) -> Result<Self, DataError> {
        let mut files = Vec::with_capacity(paths.len());
        let (mut images, mut arrays) = (Vec::new(), Vec::new());
        let (mut texts, mut json) = (Texts::new(), BTreeMap::new());
        let mut metadata = Vec::new();
        let mut others = 0;
        let mut not_read = NotRead::default();
        for (number, path) in paths.iter().enumerate() {
            let file = SharedFile::open(path).map_err(|e| DataError::unreadable(path, e))?;
            let index = Index::read(path, &file, &mut not_read)?;
            others += index.others;
            let number = number as u32;
            for (key, text) in index.classes {
                texts.insert((number, key), text);
            }
            for (key, label) in index.json {
                json.insert((number, key), label);
            }
            let content = index.metadata.into_iter();
            metadata.extend(content.map(|(name, content)| (number, name, content)));
            let found = |member| Found {
                file: number,
                member,
            };
            images.extend(index.images.into_iter().map(found));
            arrays.extend(index.arrays.into_iter().map(found));
            files.push((path.clone(), file));
        }
        let first = paths.first().map(PathBuf::as_path);
        let first = first.unwrap_or(Path::new("")).to_owned();
        // Arrays beside images are mostly vectors or masks.
        if images.is_empty() {
            others -= arrays.len() as u64;
            images = arrays;
        } else {
            warn_of_arrays(&first, arrays.len());
        }
        if texts.is_empty() {
            texts = texts_of_json(&first, json, &images);
        }
        let (images, labels, classes) = if texts.is_empty() {
            warn_of_companions(&first, &images);
            let metadata = metadata_of(&files, metadata);
            as_folder(&first, images, metadata, split)
        } else {
            as_webdataset(&first, images, &texts, split)
        };
        not_read.warn(&first);
        if images.is_empty() {
            return Err(DataError::no_images(&first, others, &not_read));
        }
        DataError::check_count(&first, images.len())?;
        let mut names = Vec::with_capacity(images.len());
        let mut places = Vec::with_capacity(images.len());
        for (found, label) in images.into_iter().zip(labels) {
            names.push(found.member.name.into());
            places.push(Place {
                file: found.file,
                label: label.unwrap_or(UNLABELED),
                offset: found.member.offset,
                size: found.member.size,
            });
        }
        Ok(Self {
            files,
            names,
            images: places,
            classes,
            decoding,
        })
    }

    fn read(
        &self,
        place: &Place,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        reading: &mut DecodeBuffers,
    ) -> Result<DecodedRegion, ImageProblem> {
        let limit = self.decoding.max_bytes();
        if place.size > limit {
            return Err(ImageProblem::FileTooLarge {
                bytes: place.size,
                limit,
            });
        }
        let Some((_, file)) = self.files.get(place.file as usize) else {
            return Err(ImageProblem::Empty);
        };
        let read = |bytes: &mut Vec<u8>| {
            bytes.resize(place.size as usize, 0);
            Ok(file.read_into(place.offset, bytes)?)
        };
        self.decoding.decode_read(read, request, reading)
    }
}

impl Source for Tars {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        let label = self.images.get(index)?.label;
        (label != UNLABELED).then_some(label)
    }

    fn classes(&self) -> &[String] {
        self.classes.names()
    }

    fn name(&self, index: usize) -> String {
        let place = self.images.get(index);
        let file = place.and_then(|place| self.files.get(place.file as usize));
        let name = self.names.get(index).map_or(&[][..], |name| name);
        let file = file.map_or(Path::new(""), |(path, _)| path);
        format!("{}:{}", file.display(), String::from_utf8_lossy(name))
    }

    fn decode(
        &self,
        index: usize,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        scratch: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        let Some(place) = self.images.get(index) else {
            return Err(ImageError::out_of_range(self.describe(), index, self.len()));
        };
        self.read(place, request, &mut scratch.decoding)
            .map_err(|problem| ImageError {
                name: self.name(index),
                problem,
            })
    }

    fn describe(&self) -> String {
        let first = self
            .files
            .first()
            .map(|(path, _)| path.display().to_string());
        let first = first.unwrap_or_default();
        let files = match self.files.len() {
            1 => format!("tar file {first}"),
            n => format!("{n} tar files, {first} and others"),
        };
        let classes = classes::describe(self.classes());
        format!("{files}: {} images, {classes}", self.len())
    }
}

type Labeled = (Vec<Found>, Vec<Option<u32>>, Classes);

/// The number of a tar file and the key of one of its samples.
type SampleKey = (u32, Vec<u8>);

/// The texts that are labels, by samples.
type Texts = BTreeMap<SampleKey, String>;

/// The sample that an image belongs to.
fn sample_of(found: &Found) -> SampleKey {
    let key = index::sample_key(&found.member.name).0.to_vec();
    (found.file, key)
}

/// The labels that `.json` members give to images: none where less than half of those of images have a single one, which is told
/// of if some have. What is no single label beside others that are is an empty text, which is none, and is told of, too.
fn texts_of_json(path: &Path, mut json: BTreeMap<SampleKey, JsonLabel>, images: &[Found]) -> Texts {
    if json.values().all(Option::is_none) {
        return Texts::new();
    }
    let samples: BTreeSet<SampleKey> = images.iter().map(sample_of).collect();
    json.retain(|sample, _| samples.contains(sample));
    let (mut texts, mut not_read) = (Texts::new(), Vec::new());
    let (members, mut single) = (json.len(), 0);
    for (sample, label) in json {
        let text = match label {
            None => continue,
            Some(Ok(text)) => {
                single += 1;
                text
            }
            Some(Err(value)) => {
                let name = String::from_utf8_lossy(&sample.1);
                not_read.push(format!("{name} ({value})"));
                String::new()
            }
        };
        texts.insert(sample, text);
    }
    if 2 * single < members {
        if !texts.is_empty() {
            notices::warn(format!(
                "{}: labels in .json members are not used, as {single} of the {} of images {} a single name or number",
                path.display(),
                counted(members, ".json member"),
                if single == 1 { "has" } else { "have" },
            ));
        }
        return Texts::new();
    }
    if !not_read.is_empty() {
        notices::warn(format!(
            "{}: {} no single name or number, so {} without: {}",
            path.display(),
            match not_read.len() {
                1 => "the label in a .json member is".to_owned(),
                number => format!("the labels in {number} .json members are"),
            },
            match not_read.len() {
                1 => "the sample is",
                _ => "these samples are",
            },
            some_of(&not_read)
        ));
    }
    texts
}

/// The metadata files among the members of tar files, given the file, the name and the content of each.
fn metadata_of(files: &[(PathBuf, SharedFile)], members: Vec<(u32, Vec<u8>, Vec<u8>)>) -> Metadata {
    let mut metadata = Metadata::default();
    for (file, name, content) in members {
        let name = String::from_utf8_lossy(&name);
        let tar = files.get(file as usize).map(|(path, _)| path.display());
        let path = match tar {
            Some(tar) => PathBuf::from(format!("{tar}:{name}")),
            None => PathBuf::from(&*name),
        };
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let folder = metadata::place(file, Path::new(folder));
        metadata.add(path, folder, "", &content);
    }
    metadata
}

/// Says of images that belong to a sample of another one, such as `a.seg.png` beside `a.jpg`, that they are images like all others where
/// nothing has a label.
fn warn_of_companions(path: &Path, images: &[Found]) {
    let is_simple = |found: &&Found| !index::sample_key(&found.member.name).1.contains(&b'.');
    let simple: BTreeSet<SampleKey> = images.iter().filter(is_simple).map(sample_of).collect();
    let belongs = |found: &&Found| !is_simple(found) && simple.contains(&sample_of(found));
    let companions: Vec<_> = images
        .iter()
        .filter(belongs)
        .map(|found| String::from_utf8_lossy(&found.member.name))
        .collect();
    if !companions.is_empty() {
        notices::warn(format!(
            "{}: without labels in .cls or .json members every image is one of the set, also {} that would be part of another's sample: {}",
            path.display(),
            companions.len(),
            some_of(&companions)
        ));
    }
}

/// Says that arrays beside images are no images.
fn warn_of_arrays(path: &Path, arrays: usize) {
    if arrays > 0 {
        notices::warn(format!(
            "{}: {} beside images {} not taken for images; a tar file of their own makes them some",
            path.display(),
            counted(arrays, ".npy member"),
            if arrays == 1 { "is" } else { "are" },
        ));
    }
}

/// Images whose parts are told by their directories and classes by the texts of their samples.
fn as_webdataset(path: &Path, images: Vec<Found>, texts: &Texts, split: Split) -> Labeled {
    warn_of_strays(path, &images, texts);
    let (images, _) = part(path, one_of_each(path, images), split);
    // The classes are those of all parts, and an empty text is none.
    let named = texts.values().map(String::as_str);
    let named = named.filter(|text| !text.is_empty());
    let classes = Classes::of_texts(named.clone());
    classes.warn_of_unused(path, named);
    let lookup = classes.lookup();
    let labels = images
        .iter()
        .map(|found| {
            let text = texts.get(&sample_of(found))?;
            lookup
                .get(classes::canonical(text, &classes).as_str())
                .copied()
        })
        .collect();
    drop(lookup);
    (images, labels, classes)
}

/// Says which labels are of no image, of whatever split. Those of `.json` members all are of one.
fn warn_of_strays(path: &Path, images: &[Found], texts: &Texts) {
    let samples: BTreeSet<SampleKey> = images.iter().map(sample_of).collect();
    let strays = texts.keys().filter(|sample| !samples.contains(*sample));
    let strays: Vec<_> = strays
        .map(|(_, key)| String::from_utf8_lossy(key))
        .collect();
    if strays.is_empty() {
        return;
    }
    notices::warn(format!(
        "{}: {} to no image that is read: {}",
        path.display(),
        match strays.len() {
            1 => "a .cls member belongs".to_owned(),
            number => format!("{number} .cls members belong"),
        },
        some_of(&strays)
    ));
}

/// The image of each sample: the first whose whole extension is that of an image, or else the first. Says of which samples there
/// are several that it could be.
fn one_of_each(path: &Path, images: Vec<Found>) -> Vec<Found> {
    let simple = |found: &Found| {
        let (_, extension) = index::sample_key(&found.member.name);
        !extension.contains(&b'.')
    };
    let with_simple: BTreeSet<_> = images.iter().filter(|f| simple(f)).map(sample_of).collect();
    let (mut taken, mut several) = (BTreeSet::new(), BTreeSet::new());
    let images: Vec<Found> = images
        .into_iter()
        .filter(|found| {
            let sample = sample_of(found);
            if !simple(found) && with_simple.contains(&sample) {
                return false;
            }
            if taken.contains(&sample) {
                several.insert(sample);
                return false;
            }
            taken.insert(sample)
        })
        .collect();
    if !several.is_empty() {
        let keys = several.iter().map(|(_, key)| String::from_utf8_lossy(key));
        let keys: Vec<_> = keys.collect();
        notices::warn(format!(
            "{}: {} more than one image, of which the first is taken and the others are left out: {}",
            path.display(),
            match keys.len() {
                1 => "a sample has".to_owned(),
                number => format!("{number} samples have"),
            },
            some_of(&keys)
        ));
    }
    images
}

/// The directory of an image, with a `/` at its end, without the first `skip` bytes.
fn directory(found: &Found, skip: usize) -> Vec<u8> {
    let name = found.member.name.get(skip..).unwrap_or_default();
    let end = name.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
    name.get(..end).unwrap_or_default().to_vec()
}

/// The images of a split by their directories, and how much of their names is shared or says the split.
fn part(path: &Path, images: Vec<Found>, split: Split) -> (Vec<Found>, usize) {
    let mut skip = 0;
    let mut chosen;
    loop {
        let firsts: BTreeSet<Vec<u8>> = images
            .iter()
            .map(|found| first_component(&directory(found, skip)))
            .collect();
        let folders: Vec<String> = firsts
            .iter()
            .filter_map(|first| std::str::from_utf8(first.strip_suffix(b"/")?).ok())
            .map(str::to_owned)
            .collect();
        chosen = splits::choose_among_classes(path, split, &folders);
        if chosen.folder.is_some() {
            break;
        }
        match firsts.first() {
            Some(only) if firsts.len() == 1 && !only.is_empty() => skip += only.len(),
            _ => break,
        }
    }
    // Images of another split are no matter to be told of, those of none are.
    let is_beside = |found: &&Found| {
        let first = first_component(&directory(found, skip));
        let first = first.strip_suffix(b"/").unwrap_or(&first);
        first.is_empty() || chosen.beside.iter().any(|name| name.as_bytes() == first)
    };
    let beside = images.iter().filter(is_beside).count();
    chosen.warn(path, split, beside as u64, &chosen.beside);
    let prefix = chosen
        .folder
        .map_or(Vec::new(), |name| format!("{name}/").into_bytes());
    let images: Vec<Found> = images
        .into_iter()
        .filter(|found| directory(found, skip).starts_with(&prefix))
        .collect();
    (images, skip + prefix.len())
}

/// Images whose parts are told by their directories, and classes by metadata files, or by their directories where there are none
/// with labels.
fn as_folder(path: &Path, images: Vec<Found>, mut metadata: Metadata, split: Split) -> Labeled {
    let place = |found: &Found| {
        let name = String::from_utf8_lossy(&found.member.name);
        metadata::place(found.file, Path::new(&*name))
    };
    metadata.note_images(images.iter().map(place));
    let (images, skip) = part(path, images, split);
    let directories: Vec<Vec<u8>> = images.iter().map(|found| directory(found, skip)).collect();
    let slices = directories.iter().map(Vec::as_slice);
    let in_folders = classes::of_directories(slices);
    let places = images.iter().map(place);
    let given = metadata.labels(path, places, in_folders.is_some());
    match (given, in_folders) {
        (Some((classes, labels)), _) => (images, labels, classes),
        (None, Some((classes, labels))) => {
            (images, labels.into_iter().map(Some).collect(), classes)
        }
        (None, None) => {
            let labels = vec![None; images.len()];
            (images, labels, Classes::default())
        }
    }
}

/// The first component of a directory with its `/`; empty for the root.
fn first_component(directory: &[u8]) -> Vec<u8> {
    let end = directory
        .iter()
        .position(|&b| b == b'/')
        .map_or(0, |at| at + 1);
    directory.get(..end).unwrap_or_default().to_vec()
}
