//! Finding the members of a tar file without reading their data.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::Path;

use ::tar::{Archive, Entry, GnuExtSparseHeader, GnuHeader};
use serde_json::Value;

use crate::decode::Format;
use crate::dir_scan::{self, NotRead};
use crate::error::DataError;
use crate::file::SharedFile;
use crate::json_label;
use crate::metadata;
use crate::notices;

/// Bytes of a block, of which a tar file is made.
const BLOCK: usize = 512;

/// The longest `.cls` member that is read, in bytes.
const MAX_CLASS: u64 = 4096;

/// The longest `.json` member that is looked into for a label, in bytes.
const MAX_JSON: u64 = 64 << 10;

/// After so many `.json` members without the key of a label, no others are looked into.
const MAX_JSON_WITHOUT: usize = 64;

/// The longest text in a `.json` member that is a label, in characters.
const MAX_LABEL: usize = 200;

/// The longest metadata file that is read, in bytes.
const MAX_METADATA: u64 = 1 << 30;

/// What GNU tar puts before the name of a sparse member, with a number after it, as the name of a folder.
const SPARSE_FOLDER: &[u8] = b"GNUSparseFile.";

/// How the records of a sparse member begin that stand in a header of its own.
const SPARSE_RECORD: &[u8] = b"GNU.sparse.";

/// The keys of labels in `.json` members, the preferred first.
const LABEL_KEYS: [&str; 2] = ["label", "cls"];

/// The label in a `.json` member, if there is one, or what is there in place of a single one.
pub(super) type JsonLabel = Option<Result<String, String>>;

/// A file in a tar file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    /// Where its data start.
    pub(super) offset: u64,
    /// Bytes of data.
    pub(super) size: u64,
}

/// What a tar file holds.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The images, in order.
    pub(super) images: Vec<Member>,
    /// Arrays, which are images where there are no others.
    pub(super) arrays: Vec<Member>,
    /// Sample keys and the texts of their `.cls` members.
    pub(super) classes: Vec<(Vec<u8>, String)>,
    /// Sample keys and the labels in their `.json` members. Those after `.cls` members do not count.
    pub(super) json: Vec<(Vec<u8>, JsonLabel)>,
    /// How many `.json` members were looked into and have no key of a label.
    without_key: usize,
    /// Whether one of them has a single label.
    has_json_label: bool,
    /// The names of metadata files and what they hold.
    pub(super) metadata: Vec<(Vec<u8>, Vec<u8>)>,
    /// Files that are neither, and links that are not followed.
    pub(super) others: u64,
    /// Hard links to other members: their names and those of the members.
    links: Vec<(Vec<u8>, Vec<u8>)>,
    /// Links to images and classes that are not followed.
    lost: Vec<String>,
    /// Sparse members that would be read if they were not.
    sparse: Vec<String>,
    /// Images in folders that systems make for themselves.
    of_systems: u64,
    /// Names of images that there are more than once.
    repeated: Vec<String>,
}

impl Index {
    /// Reads the headers of a tar file. Of members of one name the last counts, as it does when a tar file is unpacked.
    pub(super) fn read(
        path: &Path,
        file: &SharedFile,
        not_read: &mut NotRead,
    ) -> Result<Self, DataError> {
        let mut index = Self::default();
        // Where the header of the next member starts.
        let mut at = 0;
        let broken = |offset: u64, member: Option<&[u8]>, reason: String| DataError::Tar {
            path: path.to_owned(),
            offset,
            member: member.map(|name| String::from_utf8_lossy(name).into_owned()),
            reason,
        };
        if let Some(reason) = compressed(file) {
            return Err(broken(0, None, reason.to_owned()));
        }
        let reader = File::open(path).map_err(|e| DataError::unreadable(path, e))?;
        let mut archive = Archive::new(reader);
        let entries = archive
            .entries_with_seek()
            .map_err(|e| broken(at, None, e.to_string()))?;
        for entry in entries {
            let mut entry = entry.map_err(|e| broken(at, None, reason(&e)))?;
            let name = entry.path_bytes().into_owned();
            let failed = |error: io::Error| broken(at, Some(&name), error.to_string());
            let is_sparse = is_sparse(&mut entry, &name).map_err(failed)?;
            let (data, size) = stored(&entry, file).map_err(failed)?;
            let have = file.len().saturating_sub(data);
            if size > have {
                let text = format!("it has {size} bytes, the file ends after {have} of them");
                return Err(broken(at, Some(&name), text));
            }
            let kind = entry.header().entry_type();
            if is_sparse {
                index.add_sparse(&clean(&name));
            } else if (kind.is_file() || kind.is_contiguous()) && !name.ends_with(b"/") {
                let member = Member {
                    name: clean(&name),
                    offset: data,
                    size,
                };
                index.add(file, member, not_read).map_err(failed)?;
            } else if kind.is_hard_link() || kind.is_symlink() {
                let target = entry.link_name_bytes().filter(|_| kind.is_hard_link());
                index.add_link(clean(&name), target.map(|target| clean(&target)));
            }
            at = (data + size).next_multiple_of(BLOCK as u64);
        }
        // Without the block of zeros at its end, a file may have lost members.
        let mut block = [1; BLOCK];
        let whole = file.len() >= at + BLOCK as u64 && file.read_into(at, &mut block).is_ok();
        if !whole || block.iter().any(|&byte| byte != 0) {
            let text = "it ends without the end mark, it has been cut off";
            return Err(broken(at, None, text.to_owned()));
        }
        if let Some(bytes) = after_end(file, at).filter(|&bytes| bytes > 0) {
            notices::warn(format!(
                "{}: the {bytes} bytes after its end mark are not read; where tar files were put one after the other, each is to be a file",
                path.display()
            ));
        }
        index.follow_links(path);
        index.keep_last(path);
        index.warn_of_left_out(path);
        Ok(index)
    }

    fn add(&mut self, file: &SharedFile, member: Member, not_read: &mut NotRead) -> io::Result<()> {
        let (key, extension) = sample_key(&member.name);
        if is_hidden(&member.name) {
            return Ok(());
        }
        if is_of_system(&member.name) {
            self.of_systems += u64::from(Format::is_image_name(&member.name));
            return Ok(());
        }
        if Format::is_image_name(&member.name) {
            self.images.push(member);
        } else if is_class(extension) && member.size <= MAX_CLASS {
            let text = file.read(member.offset, member.size as usize)?;
            let text = String::from_utf8_lossy(&text).trim().to_owned();
            self.classes.push((key.to_vec(), text));
        } else {
            self.others += 1;
            not_read.count(&member.name);
            if Format::is_array_name(&member.name) {
                self.arrays.push(member);
            } else if is_json(extension) && self.classes.is_empty() {
                let may_have = self.has_json_label || self.without_key < MAX_JSON_WITHOUT;
                let mut label = None;
                if may_have && member.size <= MAX_JSON {
                    let content = file.read(member.offset, member.size as usize)?;
                    let has_place;
                    (label, has_place) = label_in(&content);
                    // A label that is `null` says that others may have one.
                    self.without_key += usize::from(!has_place);
                    self.has_json_label |= matches!(label, Some(Ok(_)));
                }
                self.json.push((key.to_vec(), label));
            } else if is_metadata(&member.name) && member.size <= MAX_METADATA {
                let content = file.read(member.offset, member.size as usize)?;
                self.metadata.push((member.name, content));
            }
        }
        Ok(())
    }

    /// Notes a sparse member, if its name is that of something to read.
    fn add_sparse(&mut self, name: &[u8]) {
        let (_, extension) = sample_key(name);
        let is_label = is_class(extension) || is_json(extension) || is_metadata(name);
        if is_hidden(name) || is_of_system(name) {
            return;
        }
        self.others += 1;
        if Format::is_listed_name(name) || is_label {
            self.sparse.push(String::from_utf8_lossy(name).into_owned());
        }
    }

    /// Notes a link, if its name is that of something to read. `target` is the member that a hard link is to.
    fn add_link(&mut self, name: Vec<u8>, target: Option<Vec<u8>>) {
        let extension = sample_key(&name).1;
        let describes = is_json(extension);
        let is_read = Format::is_listed_name(&name) || is_class(extension) || describes;
        match target {
            _ if is_hidden(&name) || is_of_system(&name) || !is_read => {}
            Some(target) => self.links.push((name, target)),
            // Few such members hold a label.
            None if describes => {}
            None => self.lose(&name),
        }
    }

    fn lose(&mut self, name: &[u8]) {
        self.others += 1;
        self.lost.push(String::from_utf8_lossy(name).into_owned());
    }

    /// Makes members of hard links: packers write files that are one on the disk, or equal, as such. Says which links are left out.
    fn follow_links(&mut self, path: &Path) {
        let links = std::mem::take(&mut self.links);
        if !links.is_empty() {
            let members = self.images.iter().chain(&self.arrays);
            let mut places: HashMap<Vec<u8>, (u64, u64)> = members
                .map(|member| (member.name.clone(), (member.offset, member.size)))
                .collect();
            let mut texts: HashMap<Vec<u8>, String> = self.classes.iter().cloned().collect();
            let mut json: HashMap<Vec<u8>, JsonLabel> = self.json.iter().cloned().collect();
            for (name, target) in links {
                let (key, extension) = sample_key(&name);
                if is_json(extension) {
                    let (of, extension) = sample_key(&target);
                    if let Some(label) = json.get(of).filter(|_| is_json(extension)).cloned() {
                        json.insert(key.to_vec(), label.clone());
                        self.json.push((key.to_vec(), label));
                    }
                    continue;
                }
                self.follow(name, &target, &mut places, &mut texts);
            }
        }
        if !self.lost.is_empty() {
            notices::warn(format!(
                "{}: {} left out, as symbolic links and hard links to what is not in the file are not followed: {}",
                path.display(),
                match self.lost.len() {
                    1 => "a link is".to_owned(),
                    number => format!("{number} links are"),
                },
                notices::some_of(&self.lost),
            ));
        }
    }

    /// Makes a member of one hard link. `places` are those of images and arrays, `texts` those of classes by their samples' keys.
    fn follow(
        &mut self,
        name: Vec<u8>,
        target: &[u8],
        places: &mut HashMap<Vec<u8>, (u64, u64)>,
        texts: &mut HashMap<Vec<u8>, String>,
    ) {
        let (key, extension) = sample_key(&name);
        if is_class(extension) {
            let (of, extension) = sample_key(target);
            match texts.get(of).filter(|_| is_class(extension)).cloned() {
                Some(text) => {
                    texts.insert(key.to_vec(), text.clone());
                    self.classes.push((key.to_vec(), text));
                }
                None => self.lose(&name),
            }
            return;
        }
        let Some(&(offset, size)) = places.get(target) else {
            self.lose(&name);
            return;
        };
        places.insert(name.clone(), (offset, size));
        let is_image = Format::is_image_name(&name);
        let member = Member { name, offset, size };
        if is_image {
            self.images.push(member);
        } else {
            self.others += 1;
            self.arrays.push(member);
        }
    }

    /// Of images of the same name keeps the last, at the place of the first: mending one does not move the others.
    fn keep_last(&mut self, path: &Path) {
        for members in [&mut self.images, &mut self.arrays] {
            let mut places: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
            let mut kept: Vec<Member> = Vec::with_capacity(members.len());
            for member in members.drain(..) {
                match places.get(&member.name) {
                    Some(&place) => {
                        let name = String::from_utf8_lossy(&member.name);
                        self.repeated.push(name.into_owned());
                        kept[place] = member;
                    }
                    None => {
                        places.insert(member.name.clone(), kept.len());
                        kept.push(member);
                    }
                }
            }
            *members = kept;
        }
        if !self.repeated.is_empty() {
            notices::warn(format!(
                "{}: there is more than one member of the same name, of which the last counts: {}",
                path.display(),
                notices::some_of(&self.repeated)
            ));
        }
    }

    /// Says which members are left out because of how they are packed, and how many because of the folders they are in.
    fn warn_of_left_out(&self, path: &Path) {
        if !self.sparse.is_empty() {
            notices::warn(format!(
                "{}: {} left out (pack without -S): {}",
                path.display(),
                match self.sparse.len() {
                    1 => "a sparse member is".to_owned(),
                    number => format!("{number} sparse members are"),
                },
                notices::some_of(&self.sparse),
            ));
        }
        dir_scan::warn_of_systems(path, self.of_systems, &[]);
    }
}

/// Whether a member has holes that are not stored, so that its data are not those of the file. GNU tar has a kind of member for
/// that; where it writes the headers of POSIX, such a member has records of its own, or at least a name of its own.
fn is_sparse(entry: &mut Entry<'_, File>, name: &[u8]) -> io::Result<bool> {
    let kind = entry.header().entry_type();
    if kind.is_gnu_sparse() {
        return Ok(true);
    }
    if !kind.is_file() && !kind.is_contiguous() {
        return Ok(false);
    }
    let mut folders = name.split(|&b| b == b'/');
    if folders.any(|folder| folder.starts_with(SPARSE_FOLDER)) {
        return Ok(true);
    }
    let records = entry.pax_extensions()?;
    let mut records = records.into_iter().flatten().filter_map(Result::ok);
    Ok(records.any(|record| record.key_bytes().starts_with(SPARSE_RECORD)))
}

/// Where the data of a member start that are in the file, and how many bytes they are. The size that is told of a sparse member
/// is the one that it would have with its holes, and there may be headers of its pieces before its data.
fn stored(entry: &Entry<'_, File>, file: &SharedFile) -> io::Result<(u64, u64)> {
    let header = entry.header();
    let mut start = entry.raw_file_position();
    if !header.entry_type().is_gnu_sparse() {
        return Ok((start, entry.size()));
    }
    let mut is_followed = header.as_gnu().is_some_and(GnuHeader::is_extended);
    while is_followed {
        let mut more = GnuExtSparseHeader::new();
        file.read_into(start, more.as_mut_bytes())?;
        is_followed = more.is_extended();
        start += BLOCK as u64;
    }
    Ok((start, header.entry_size()?))
}

/// Why a file is no tar file but a compressed one.
fn compressed(file: &SharedFile) -> Option<&'static str> {
    let mut start = [0; 4];
    file.read_into(0, &mut start).ok()?;
    match start {
        [0x1F, 0x8B, ..] => Some("the file is compressed with gzip, unpack it first"),
        [0x28, 0xB5, 0x2F, 0xFD] => Some("the file is compressed with zstd, unpack it first"),
        [b'B', b'Z', b'h', _] => Some("the file is compressed with bzip2, unpack it first"),
        [0xFD, b'7', b'z', b'X'] => Some("the file is compressed with xz, unpack it first"),
        _ => None,
    }
}

/// What a reader of headers says. Where it finds no whole header, the file has been cut off.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends within a header, it has been cut off".to_owned(),
        _ if text.contains("failed to read entire block") => {
            "it ends within a header, it has been cut off".to_owned()
        }
        _ => text,
    }
}

/// Whether a member or a folder that it is in is hidden, as in folders.
fn is_hidden(name: &[u8]) -> bool {
    name.split(|&b| b == b'/')
        .any(|part| part.starts_with(b".") && !matches!(part, b"." | b".."))
}

/// Whether a folder that a member is in is one that a system made for itself, as in folders.
fn is_of_system(name: &[u8]) -> bool {
    name.split(|&b| b == b'/').any(dir_scan::is_of_system)
}

/// Whether the extension of a member says that it holds the class of its sample.
fn is_class(extension: &[u8]) -> bool {
    extension.eq_ignore_ascii_case(b"cls")
}

/// Whether the extension of a member says that it describes its sample.
fn is_json(extension: &[u8]) -> bool {
    extension.eq_ignore_ascii_case(b"json")
}

/// Whether a member is a metadata file by its name, in upper or lower case: what is to be said of the former is not said here.
fn is_metadata(name: &[u8]) -> bool {
    let base = name.rsplit(|&b| b == b'/').next().unwrap_or_default();
    let mut names = metadata::NAMES.iter();
    names.any(|known| known.as_bytes().eq_ignore_ascii_case(base))
}

/// The label in what describes a sample; `None` where there is none, or no JSON. Beside it, whether it has a place for one, which may
/// hold `null`.
fn label_in(json: &[u8]) -> (JsonLabel, bool) {
    // Most have captions and addresses alone, and are not worth being taken apart.
    let occurs = LABEL_KEYS.iter().any(|key| {
        let quoted = format!("\"{key}\"");
        json.windows(quoted.len())
            .any(|part| part == quoted.as_bytes())
    });
    let object = occurs.then(|| serde_json::from_slice(json));
    let Some(Ok(Value::Object(object))) = object else {
        return (None, false);
    };
    // Those of objects in the image lie deeper.
    let has_place = LABEL_KEYS.iter().any(|key| object.contains_key(*key));
    let label = json_label::of(&object, &LABEL_KEYS).map(|label| {
        label.and_then(|text| match text.chars().nth(MAX_LABEL) {
            Some(_) => Err(json_label::shortened(&text)),
            None => Ok(text),
        })
    });
    (label, has_place)
}

/// A member name without `./` and `/` at its start.
fn clean(name: &[u8]) -> Vec<u8> {
    let mut name = name;
    loop {
        name = match name {
            [b'.', b'/', rest @ ..] | [b'/', rest @ ..] => rest,
            _ => return name.to_vec(),
        };
    }
}

/// A member name split at the first dot of its file name: the key of the sample and the extension.
pub(super) fn sample_key(name: &[u8]) -> (&[u8], &[u8]) {
    let base = name.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
    let dot = name.iter().skip(base).position(|&b| b == b'.');
    match dot.map(|at| name.split_at(base + at)) {
        Some((key, extension)) => (key, extension.get(1..).unwrap_or_default()),
        None => (name, &[]),
    }
}

/// How many bytes of a file there are from the first on that is not zero after `at`, where its end mark begins; `None` where that cannot
/// be read.
fn after_end(file: &SharedFile, at: u64) -> Option<u64> {
    let mut chunk = vec![0; 1 << 16];
    let mut offset = at;
    while offset < file.len() {
        let size = (file.len() - offset).min(chunk.len() as u64) as usize;
        let chunk = chunk.get_mut(..size)?;
        file.read_into(offset, chunk).ok()?;
        if let Some(zeros) = chunk.iter().position(|&byte| byte != 0) {
            return Some(file.len() - offset - zeros as u64);
        }
        offset += size as u64;
    }
    Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        assert_eq!(
            sample_key(b"a.b/c.seg.png"),
            (&b"a.b/c"[..], &b"seg.png"[..])
        );
        assert_eq!(sample_key(b"a.b/c"), (&b"a.b/c"[..], &b""[..]));
        assert_eq!(sample_key(b"c.cls"), (&b"c"[..], &b"cls"[..]));
    }

    #[test]
    fn labels_are_found_in_json() {
        let found = |json: &str| label_in(json.as_bytes()).0;
        assert_eq!(found(r#"{"url": "x", "cls": 3}"#), Some(Ok("3".into())));
        for json in [
            r#"{"caption": "x"}"#,
            r#"["label"]"#,
            r#"{"a": {"label": 1}}"#,
            r#"{"label": 1, "score": NaN}"#,
            r#"{"label": "#,
            "",
        ] {
            assert_eq!(found(json), None, "{json}");
        }
        let text = |length: usize| found(&format!(r#"{{"label": "{}"}}"#, "ä".repeat(length)));
        assert!(matches!(text(MAX_LABEL), Some(Ok(_))));
        assert!(matches!(text(MAX_LABEL + 1), Some(Err(_))));
        assert!(is_metadata(b"a/metadata.csv") && is_metadata(b"metadata.jsonl"));
        assert!(is_metadata(b"a/Metadata.CSV"));
        assert!(!is_metadata(b"metadata.csv/a") && !is_metadata(b"x_metadata.csv"));
    }

    #[test]
    fn places_of_labels_are_found_whatever_they_hold() {
        let has_place = |json: &str| label_in(json.as_bytes()).1;
        for json in [r#"{"label": null}"#, r#"{"cls": 1}"#] {
            assert!(has_place(json), "{json}");
        }
        for json in [
            "{}",
            r#"{"caption": "the \"label\""}"#,
            "label",
            r#"{"shapes": [{"label": "cat"}]}"#,
        ] {
            assert!(!has_place(json), "{json}");
        }
    }

    #[test]
    fn names_are_cleaned() {
        assert_eq!(clean(b"./a/b"), b"a/b");
        assert_eq!(clean(b"/.//./a"), b"a");
        assert_eq!(clean(b".a"), b".a");
    }

    #[test]
    fn hidden_names() {
        for name in [&b".a.png"[..], b"a/.b/c.png", b".thumbs/c.png"] {
            assert!(is_hidden(name));
        }
        for name in [&b"a.b/c.png"[..], b"a/./c.png", b"../c.png"] {
            assert!(!is_hidden(name));
        }
    }
}
