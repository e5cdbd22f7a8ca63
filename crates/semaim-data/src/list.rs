//! Text files that list images, with or without labels.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::classes::{self, Classes};
use crate::decode::{DecodeOptions, Format};
use crate::error::{DataError, ImageError};
use crate::file::read_file;
use crate::names::Names;
use crate::open::cannot_read;
use crate::region::{DecodeRequest, DecodedRegion};
use crate::scratch::Scratch;
use crate::source::Source;
use crate::walk::join;

/// The largest list that is read, in bytes.
const MAX_LIST: u64 = 8 << 30;

/// How many files at the start of the list are looked for when opening it.
const LOOKED_FOR: usize = 8;

/// The extensions of lists, in lower case.
pub(crate) const EXTENSIONS: [&str; 4] = ["txt", "lst", "csv", "tsv"];

/// The images of a list, in its order.
#[derive(Debug)]
pub(crate) struct List {
    path: PathBuf,
    folder: PathBuf,
    names: Names,
    classes: Classes,
    /// One per image, or empty when no line has a label.
    labels: Vec<Option<u32>>,
    decoding: DecodeOptions,
}

/// What stands between the path and the label of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    Tab,
    Comma,
    Space,
}

impl List {
    /// Reads a list: one image per line, `path` or `path label`. Empty lines and lines that start with `#` are skipped.
    ///
    /// Paths are relative to the folder of the list, or absolute, and may contain spaces. Where the label starts is
    /// decided for the whole list: after the last tab if every line has a tab; else, in a `.csv`, after the last
    /// comma if every line has a comma (a first line whose path is no image is a heading); else the label is the
    /// last field of a line if that is a whole number. Labels that are all whole numbers are the classes' numbers,
    /// other labels are class names.
    pub(crate) fn open(path: &Path, decoding: DecodeOptions) -> Result<Self, DataError> {
        let bytes = read_file(path, MAX_LIST).map_err(|problem| match problem {
            crate::error::ImageProblem::Read(error) => cannot_read(path, error),
            other => DataError::List {
                path: path.to_owned(),
                line: 0,
                reason: other.to_string(),
            },
        })?;
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => {
                let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                return Err(DataError::List {
                    path: path.to_owned(),
                    line: before.iter().filter(|&&b| b == b'\n').count() as u64 + 1,
                    reason: "it is no UTF-8 text".to_owned(),
                });
            }
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let separator = Separator::of(text, path);
        let mut names = Names::default();
        let root = names.add_directory(b"");
        let mut texts: Vec<Option<&str>> = Vec::new();
        for (image, label) in entries(text, separator) {
            names.add(root, image.as_bytes());
            texts.push(label);
        }
        if names.len() == 0 {
            return Err(DataError::NoImages {
                path: path.to_owned(),
                extensions: Format::EXTENSIONS.join(", "),
                others: 0,
            });
        }
        if u32::try_from(names.len()).is_err() {
            return Err(DataError::TooMany {
                path: path.to_owned(),
                limit: u64::from(u32::MAX),
            });
        }
        let looked_for = names.len().min(LOOKED_FOR);
        let place = |index| join(&folder, &names.path(index));
        if !(0..looked_for).any(|index| place(index).exists()) {
            return Err(DataError::List {
                path: path.to_owned(),
                line: first_line(text, separator),
                reason: format!(
                    "there is no {}, nor are there the images of the {} lines after it",
                    place(0).display(),
                    looked_for - 1
                ),
            });
        }
        let different: BTreeSet<&str> = texts.iter().flatten().copied().collect();
        let classes = Classes::of_texts(different.iter().copied());
        let lookup = classes.lookup();
        let label = |text: &str| {
            let text = classes::canonical(text, &classes);
            lookup.get(text.as_str()).copied()
        };
        let labels = if different.is_empty() {
            Vec::new()
        } else {
            texts.iter().map(|text| text.and_then(label)).collect()
        };
        drop(lookup);
        Ok(Self {
            path: path.to_owned(),
            folder,
            names,
            classes,
            labels,
            decoding,
        })
    }

    fn image_path(&self, index: usize) -> PathBuf {
        join(&self.folder, &self.names.path(index))
    }
}

/// The lines that name images, with their numbers from 1.
fn lines(text: &str) -> impl Iterator<Item = (u64, &str)> {
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
}

/// The entries of a list: image and label.
fn entries(text: &str, separator: Separator) -> impl Iterator<Item = (&str, Option<&str>)> {
    lines(text)
        .enumerate()
        .map(move |(number, (_, line))| (number, separator.split(line)))
        .filter(move |(number, (image, _))| {
            // The heading of a table, such as `path,label`.
            *number > 0 || separator == Separator::Space || Format::is_image_name(image.as_bytes())
        })
        .map(|(_, entry)| entry)
}

fn first_line(text: &str, separator: Separator) -> u64 {
    let heading = lines(text).count() - entries(text, separator).count();
    lines(text).nth(heading).map_or(0, |(number, _)| number)
}

impl Separator {
    fn of(text: &str, path: &Path) -> Self {
        let everywhere = |c: char| lines(text).all(|(_, line)| line.trim().contains(c));
        let csv = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("csv"));
        if everywhere('\t') {
            Self::Tab
        } else if csv && everywhere(',') {
            Self::Comma
        } else {
            Self::Space
        }
    }

    /// The image and the label of a line.
    fn split(self, line: &str) -> (&str, Option<&str>) {
        let line = line.trim();
        let (image, label) = match self {
            Self::Tab => line.rsplit_once('\t').map_or((line, None), some),
            Self::Comma => line.rsplit_once(',').map_or((line, None), some),
            Self::Space => match line.rsplit_once(char::is_whitespace) {
                Some((image, label)) if classes::number(label).is_some() => (image, Some(label)),
                _ => (line, None),
            },
        };
        (
            unquote(image.trim()),
            label.map(|label| unquote(label.trim())),
        )
    }
}

fn some<'a>((image, label): (&'a str, &'a str)) -> (&'a str, Option<&'a str>) {
    (image, Some(label))
}

/// A field without the quotes around it.
fn unquote(field: &str) -> &str {
    field
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(field)
}

impl Source for List {
    fn len(&self) -> usize {
        self.names.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index).copied().flatten()
    }

    fn classes(&self) -> &[String] {
        self.classes.names()
    }

    fn name(&self, index: usize) -> String {
        self.image_path(index).display().to_string()
    }

    fn decode(
        &self,
        index: usize,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        scratch: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        if index >= self.len() {
            let name = self.path.display().to_string();
            return Err(ImageError::out_of_range(name, index, self.len()));
        }
        let path = self.image_path(index);
        self.decoding
            .decode_file(&path, request, &mut scratch.decoding)
    }

    fn describe(&self) -> String {
        let classes = classes::describe(self.classes());
        format!(
            "list {}: {} images, {classes}",
            self.path.display(),
            self.len()
        )
    }
}
