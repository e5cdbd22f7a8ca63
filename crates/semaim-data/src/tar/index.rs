//! Finding the members of a tar file without reading their data.

use std::path::Path;

use super::header::{BLOCK, Header, Kind, attribute, until_zero};
use crate::decode::Format;
use crate::error::DataError;
use crate::file::SharedFile;

/// The longest name or set of attributes that is read, in bytes.
const MAX_NAME: u64 = 1 << 20;

/// The longest `.cls` member that is read, in bytes.
const MAX_CLASS: u64 = 4096;

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
    /// Sample keys and the texts of their `.cls` members.
    pub(super) classes: Vec<(Vec<u8>, String)>,
    /// Files that are neither.
    pub(super) others: u64,
}

impl Index {
    /// Reads the headers of a tar file.
    pub(super) fn read(path: &Path, file: &SharedFile) -> Result<Self, DataError> {
        let mut index = Self::default();
        let mut at = 0;
        let mut long_name: Option<Vec<u8>> = None;
        let mut attributes: Vec<u8> = Vec::new();
        loop {
            let broken = |member: Option<&[u8]>, reason: &str| DataError::Tar {
                path: path.to_owned(),
                offset: at,
                member: member.map(|name| String::from_utf8_lossy(name).into_owned()),
                reason: reason.to_owned(),
            };
            if file.len().saturating_sub(at) < BLOCK as u64 {
                return Err(broken(
                    None,
                    "it ends without the end mark, it has been cut off",
                ));
            }
            let mut block = [0; BLOCK];
            file.read_into(at, &mut block)
                .map_err(|e| broken(None, &e.to_string()))?;
            let Some(header) = Header::parse(&block).map_err(|reason| broken(None, reason))? else {
                return Ok(index);
            };
            let data = at + BLOCK as u64;
            let name = match attribute(&attributes, "path") {
                Some(path) => path.to_vec(),
                None => long_name.clone().unwrap_or(header.name),
            };
            let special = matches!(header.kind, Kind::LongName | Kind::Attributes);
            let size = match attribute(&attributes, "size") {
                Some(text) if !special => std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| broken(Some(&name), "its size is not a number"))?,
                _ => header.size,
            };
            let size = if header.has_data { size } else { 0 };
            let end = data.checked_add(size).filter(|end| *end <= file.len());
            let Some(end) = end else {
                let have = file.len() - data;
                let text = format!("it has {size} bytes, the file ends after {have} of them");
                return Err(broken(Some(&name), &text));
            };
            if special {
                if size > MAX_NAME {
                    return Err(broken(None, "a name is longer than a megabyte"));
                }
                let text = file
                    .read(data, size as usize)
                    .map_err(|e| broken(None, &e.to_string()))?;
                match header.kind {
                    Kind::LongName => long_name = Some(until_zero(&text).to_vec()),
                    _ => attributes = text,
                }
            } else {
                let member = Member {
                    name: clean(&name),
                    offset: data,
                    size,
                };
                index
                    .add(file, header.kind, member)
                    .map_err(|e| broken(Some(&name), &e.to_string()))?;
                long_name = None;
                attributes.clear();
            }
            at = end.next_multiple_of(BLOCK as u64);
        }
    }

    fn add(&mut self, file: &SharedFile, kind: Kind, member: Member) -> std::io::Result<()> {
        let (key, extension) = sample_key(&member.name);
        let base = member.name.rsplit(|&b| b == b'/').next();
        let hidden = base.is_some_and(|base| base.starts_with(b"."));
        if kind != Kind::File || hidden {
            return Ok(());
        }
        if Format::is_image_name(&member.name) {
            self.images.push(member);
        } else if extension == b"cls" && member.size <= MAX_CLASS {
            let text = file.read(member.offset, member.size as usize)?;
            let text = String::from_utf8_lossy(&text).trim().to_owned();
            self.classes.push((key.to_vec(), text));
        } else {
            self.others += 1;
        }
        Ok(())
    }
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
    fn names_are_cleaned() {
        assert_eq!(clean(b"./a/b"), b"a/b");
        assert_eq!(clean(b"/.//./a"), b"a");
        assert_eq!(clean(b".a"), b".a");
    }
}
