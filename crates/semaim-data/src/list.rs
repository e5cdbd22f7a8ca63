//! Text files that list images, with or without labels.

use std::collections::BTreeSet;
use std::path::Path;

use crate::classes::{self, Classes};
use crate::decode::{DecodeOptions, Format};
use crate::dir_scan::NotRead;
use crate::error::{DataError, ImageProblem};
use crate::file::read_file;
use crate::files::Files;

/// The largest list that is read, in bytes.
const MAX_LIST: u64 = 8 << 30;

/// How many files at the start of the list are looked for when opening it.
const LOOKED_FOR: usize = 8;

/// The extensions of lists, in lower case.
pub(crate) const EXTENSIONS: [&str; 4] = ["txt", "lst", "csv", "tsv"];

/// What stands between the path and the label of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    Tab,
    Comma,
    Space,
}

/// Reads a list: one image per line, `path` or `path label`. Empty lines and lines that start with `#` are skipped.
///
/// Where every line of a `.csv`, or of a list with tabs, begins with as many names of image files, and with more than one, these files
/// are one image; a field after them is its label. Channels are those of the files as they are, one file after the other.
///
/// Paths are relative to the folder of the list, or absolute, and may contain spaces. Where the label starts is otherwise
/// decided for the whole list where every line has a tab (after the last), or, in a `.csv`, where every line has a comma
/// (after the last; a first line whose path is no image is a heading). Otherwise it is what follows the name of an image
/// that a line starts with, or the last field if that is a whole number. Labels that are all whole numbers are the
/// classes' numbers, other labels are class names.
pub(crate) fn open(path: &Path, decoding: DecodeOptions) -> Result<Files, DataError> {
    let bytes = read_file(path, MAX_LIST).map_err(|problem| match problem {
        ImageProblem::Read(error) => DataError::unreadable(path, error),
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
    let broken = |line: u64, reason: String| DataError::List {
        path: path.to_owned(),
        line,
        reason,
    };
    let separator = Separator::of(text, path);
    if let Some(character) = separator.character()
        && let Some(files) = stacked_files(text, character)
    {
        return open_stacks(path, text, (character, files), decoding);
    }
    let mut paths: Vec<Box<Path>> = Vec::new();
    let mut texts: Vec<Option<&str>> = Vec::new();
    for (line, (image, label)) in entries(text, separator) {
        if separator == Separator::Space
            && let Some(label) = label
            && label.split_whitespace().count() > 1
            && label
                .split_whitespace()
                .all(|field| field.parse::<f64>().is_ok())
        {
            let reason = format!("{image} is followed by several numbers, one label is read");
            return Err(broken(line, reason));
        }
        paths.push(Path::new(image).into());
        texts.push(label);
    }
    if paths.is_empty() {
        return Err(DataError::no_images(path, 0, &NotRead::default()));
    }
    let line = || entries(text, separator).next().map_or(0, |(line, _)| line);
    look_for(path, &paths, line)?;
    let (classes, labels) = labeled(&texts);
    Files::of_list(path, paths, Vec::new(), classes, labels, decoding)
}

/// Refuses a list of whose first images none is there. `line` is that of the first.
fn look_for(path: &Path, paths: &[Box<Path>], line: impl FnOnce() -> u64) -> Result<(), DataError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let looked_for = paths.len().min(LOOKED_FOR);
    let exists = |image: &Path| folder.join(image).exists();
    if paths.iter().take(looked_for).any(|image| exists(image)) {
        return Ok(());
    }
    let first = paths
        .first()
        .map_or(folder.to_owned(), |image| folder.join(image));
    let reason = match looked_for {
        1 => format!("there is no {}", first.display()),
        several => format!(
            "there is no {}, nor are there the images of the {} lines after it",
            first.display(),
            several - 1
        ),
    };
    Err(DataError::List {
        path: path.to_owned(),
        line: line(),
        reason,
    })
}

/// The classes that labels name, and the class of each; none where there is no label at all.
fn labeled(texts: &[Option<&str>]) -> (Classes, Vec<Option<u32>>) {
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
    (classes, labels)
}

/// How many files an image is, where every line begins with the names of several: the least number of them in a line.
fn stacked_files(text: &str, separator: char) -> Option<usize> {
    let files = |(number, (_, line)): (usize, (u64, &str))| {
        let fields = line
            .trim()
            .split(separator)
            .map(|field| unquote(field.trim()));
        let files = fields
            .take_while(|field| Format::is_listed_name(field.as_bytes()))
            .count();
        // A heading.
        (number > 0 || files > 0).then_some(files)
    };
    let least = lines(text).enumerate().filter_map(files).min()?;
    (least > 1).then_some(least)
}

/// A list whose images are `files` files each.
fn open_stacks(
    path: &Path,
    text: &str,
    (separator, files): (char, usize),
    decoding: DecodeOptions,
) -> Result<Files, DataError> {
    let mut paths: Vec<Box<Path>> = Vec::new();
    let mut more: Vec<Box<[Box<Path>]>> = Vec::new();
    let mut texts: Vec<Option<&str>> = Vec::new();
    let mut first_line = 0;
    for (number, (line, content)) in lines(text).enumerate() {
        let fields: Vec<&str> = content
            .trim()
            .split(separator)
            .map(|field| unquote(field.trim()))
            .collect();
        let is_file = |field: &&&str| Format::is_listed_name(field.as_bytes());
        let here = fields.iter().take_while(is_file).count();
        if here == 0 && number == 0 {
            continue;
        }
        let broken = |reason: String| DataError::List {
            path: path.to_owned(),
            line,
            reason,
        };
        if here != files {
            return Err(broken(format!(
                "an image is {here} files here and {files} files in other lines"
            )));
        }
        let (images, rest) = fields.split_at(files);
        let label = match rest {
            [] => None,
            [label] => Some(*label),
            [_, other, ..] => {
                return Err(broken(format!(
                    "after {files} files and a label there is `{other}`, which is neither"
                )));
            }
        };
        let mut images = images.iter().map(|image| Box::from(Path::new(image)));
        if paths.is_empty() {
            first_line = line;
        }
        paths.extend(images.next());
        more.push(images.collect());
        texts.push(label.filter(|label| !label.is_empty()));
    }
    if paths.is_empty() {
        return Err(DataError::no_images(path, 0, &NotRead::default()));
    }
    look_for(path, &paths, || first_line)?;
    let (classes, labels) = labeled(&texts);
    Files::of_list(path, paths, more, classes, labels, decoding)
}

/// The lines that name images, with their numbers from 1.
fn lines(text: &str) -> impl Iterator<Item = (u64, &str)> {
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
}

/// The entries of a list: line, image and label.
fn entries(text: &str, separator: Separator) -> impl Iterator<Item = (u64, (&str, Option<&str>))> {
    lines(text)
        .enumerate()
        .map(move |(number, (line, text))| (number, line, separator.split(text)))
        .filter(move |(number, _, (image, _))| {
            // The heading of a table, such as `path,label`.
            *number > 0 || separator == Separator::Space || Format::is_listed_name(image.as_bytes())
        })
        .map(|(_, line, entry)| (line, entry))
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

    /// The character, where it is one that paths rarely have.
    fn character(self) -> Option<char> {
        match self {
            Self::Tab => Some('\t'),
            Self::Comma => Some(','),
            Self::Space => None,
        }
    }

    /// The image and the label of a line.
    fn split(self, line: &str) -> (&str, Option<&str>) {
        let line = line.trim();
        let (image, label) = match self {
            Self::Tab => line.rsplit_once('\t').map_or((line, None), some),
            Self::Comma => line.rsplit_once(',').map_or((line, None), some),
            Self::Space => after_image(line).unwrap_or((line, None)),
        };
        (
            unquote(image.trim()),
            // A field without text is no label.
            label
                .map(|label| unquote(label.trim()))
                .filter(|label| !label.is_empty()),
        )
    }
}

/// An image and its label where only spaces stand between them; `None` where there is no label. Paths may contain spaces.
fn after_image(line: &str) -> Option<(&str, Option<&str>)> {
    let is_image = |text: &str| Format::is_listed_name(unquote(text.trim()).as_bytes());
    let mut spaces = line.match_indices(char::is_whitespace);
    if !is_image(line)
        && let Some((at, _)) = spaces.find(|(at, _)| is_image(&line[..*at]))
    {
        return Some((&line[..at], Some(&line[at..])));
    }
    let (image, label) = line.rsplit_once(char::is_whitespace)?;
    classes::number(label)?;
    Some((image, Some(label)))
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
