//! Text files that list images, with or without labels.

mod fields;
mod repeated;

use std::borrow::Cow;
use std::path::Path;

use crate::classes::{self, LabelTexts};
use crate::decode::{DecodeOptions, Format};
use crate::dir_scan::NotRead;
use crate::error::{DataError, ImageProblem};
use crate::file::read_file;
use crate::files::Files;

use fields::Field;

/// The largest list that is read, in bytes.
const MAX_LIST: u64 = 8 << 30;

/// How many files at the start of the list are looked for when opening it.
const LOOKED_FOR: usize = 8;

/// The extensions of lists, in lower case.
pub const EXTENSIONS: [&str; 4] = ["txt", "lst", "csv", "tsv"];

/// What stands between the path and the label of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    Tab,
    Comma,
    Space,
}

/// The images that a list names, in its order.
#[derive(Debug, Default)]
struct Listed {
    /// The line of each image, from 1.
    lines: Vec<u64>,
    /// The file of each image, or the first of several.
    paths: Vec<Box<Path>>,
    /// The files whose channels follow those of each path, where images are several files; else empty.
    more: Vec<Box<[Box<Path>]>>,
    labels: LabelTexts,
}

/// Reads a list: one image per line, `path` or `path label`. Empty lines and lines that start with `#` are skipped, unless there is an
/// image that is called so.
///
/// Where every line of a `.csv`, or of a list with tabs, begins with as many names of image files, and with more than one, these files
/// are one image; a field after them is its label. Channels are those of the files as they are, one file after the other.
///
/// Paths are relative to the folder of the list, or absolute, and may contain spaces. Where the label starts is otherwise
/// decided for the whole list where every line has a tab (after the last), or, in a `.csv`, where every line has a comma
/// (after the last; a first line whose path is no image is a heading). There, what stands in quotes may hold tabs and commas.
/// Otherwise the label is what follows the name of an image that a line starts with, or the last field if that is a whole
/// number. Labels that are all whole numbers are the classes' numbers, other labels are class names.
///
/// An image that is named again with the same label counts once, which is said. With another it is refused.
pub(crate) fn open(path: &Path, decoding: DecodeOptions) -> Result<Files, DataError> {
    let bytes = read(path)?;
    let text = text_of(path, &bytes)?;
    let separator = Separator::of(text, path);
    let stacks = separator
        .character()
        .and_then(|character| Some((character, stacked_files(path, text, character)?)));
    let listed = match stacks {
        Some(stacks) => read_stacks(path, text, stacks)?,
        None => read_lines(path, text, separator)?,
    };
    listed.into_files(path, decoding)
}

/// Reads a file of text, of at most [`MAX_LIST`] bytes.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    read_file(path, MAX_LIST).map_err(|problem| match problem {
        ImageProblem::Read(error) => DataError::unreadable(path, error),
        other => broken(path, 0, other.to_string()),
    })
}

/// The text that the bytes of the file at `path` are, without a byte-order mark.
pub(crate) fn text_of<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str, DataError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|&&b| b == b'\n').count() as u64 + 1;
            Err(broken(path, line, "it is no UTF-8 text".to_owned()))
        }
    }
}

fn broken(path: &Path, line: u64, reason: String) -> DataError {
    DataError::List {
        path: path.to_owned(),
        line,
        reason,
    }
}

/// A list whose images are a file each.
fn read_lines(path: &Path, text: &str, separator: Separator) -> Result<Listed, DataError> {
    let mut listed = Listed::default();
    for (number, (line, content)) in lines(path, text).enumerate() {
        let broken = |reason: String| broken(path, line, reason);
        let (image, label) = separator.split(content.trim()).map_err(broken)?;
        // The heading of a table, such as `path,label`.
        let may_be_heading = number == 0 && separator != Separator::Space;
        let is_named = || Format::is_listed_name(image.as_bytes()) || is_there(path, &image);
        if may_be_heading && !is_named() {
            continue;
        }
        if image.is_empty() {
            return Err(broken("there is no path".to_owned()));
        }
        if separator == Separator::Space && is_csv(path) && has_hidden_label(path, &image) {
            return Err(broken(partly_labeled(path, text)));
        }
        if separator == Separator::Space
            && let Some(label) = &label
            && label.split_whitespace().count() > 1
            && label
                .split_whitespace()
                .all(|field| field.parse::<f64>().is_ok())
        {
            let reason = format!("{image} is followed by several numbers, one label is read");
            return Err(broken(reason));
        }
        listed.lines.push(line);
        listed.paths.push(Path::new(&*image).into());
        listed.labels.push(label.as_deref());
    }
    Ok(listed)
}

/// Whether what was taken for a path as a whole is a path, a comma and a label.
fn has_hidden_label(list: &Path, image: &str) -> bool {
    let Some((before, _)) = image.rsplit_once(',') else {
        return false;
    };
    let before = unquote(before.trim());
    let may_be =
        Format::is_listed_name(before.as_bytes()) && !Format::is_listed_name(image.as_bytes());
    may_be && !is_there(list, image) && is_there(list, before)
}

/// What is wrong with a line that has a label after a comma where the list has a line without a comma.
fn partly_labeled(list: &Path, text: &str) -> String {
    let without = lines(list, text).find(|(_, content)| !content.contains(','));
    let (line, content) = without.map_or((1, ""), |(line, content)| (line, content.trim()));
    format!(
        "it has a label, and line {line} has none; a line without a label ends with a comma where others have one: `{content},`"
    )
}

/// Whether there is a file that a list names.
fn is_there(list: &Path, image: &str) -> bool {
    let folder = list.parent().unwrap_or(Path::new(""));
    folder.join(image).is_file()
}

impl Listed {
    /// The images as a source, each once.
    fn into_files(self, path: &Path, decoding: DecodeOptions) -> Result<Files, DataError> {
        let Some(&first_line) = self.lines.first() else {
            return Err(DataError::no_images(path, 0, &NotRead::default()));
        };
        look_for(path, &self.paths, first_line)?;
        let (classes, labels) = self.labels.into_labels(path);
        let images = repeated::Images {
            lines: self.lines,
            paths: self.paths,
            more: self.more,
            labels,
        };
        let images = images.once(path, classes.names())?;
        Files::of_list(
            path,
            images.paths,
            images.more,
            classes,
            images.labels,
            decoding,
        )
    }
}

/// Refuses a list of whose first images none is there. `line` is that of the first.
fn look_for(path: &Path, paths: &[Box<Path>], line: u64) -> Result<(), DataError> {
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
    Err(broken(path, line, reason))
}

/// Whether a field names an image file.
fn is_file(field: &Field<'_>) -> bool {
    Format::is_listed_name(field.text.as_bytes())
}

/// How many files an image is, where every line begins with the names of several: the least number of them in a line.
fn stacked_files(list: &Path, text: &str, separator: char) -> Option<usize> {
    let files = |(number, (_, line)): (usize, (u64, &str))| {
        // A line that cannot be read has none, and is told of where it is read.
        let fields = fields::split(line.trim(), separator).unwrap_or_default();
        let files = fields.iter().take_while(|field| is_file(field)).count();
        // A heading.
        (number > 0 || files > 0).then_some(files)
    };
    let least = lines(list, text).enumerate().filter_map(files).min()?;
    (least > 1).then_some(least)
}

/// A list whose images are `files` files each.
fn read_stacks(
    path: &Path,
    text: &str,
    (separator, files): (char, usize),
) -> Result<Listed, DataError> {
    let mut listed = Listed::default();
    for (number, (line, content)) in lines(path, text).enumerate() {
        let broken = |reason: String| broken(path, line, reason);
        let fields = fields::split(content.trim(), separator).map_err(broken)?;
        let here = fields.iter().take_while(|field| is_file(field)).count();
        if here == 0 && number == 0 {
            continue;
        }
        if here != files {
            return Err(broken(format!(
                "an image is {here} files here and {files} files in other lines"
            )));
        }
        let (images, rest) = fields.split_at(files);
        let label = match rest {
            [] => None,
            [label] => Some(&*label.text),
            [_, other, ..] => {
                return Err(broken(format!(
                    "after {files} files and a label there is `{}`, which is neither",
                    other.text
                )));
            }
        };
        let mut images = images
            .iter()
            .map(|image| Box::from(Path::new(&*image.text)));
        listed.lines.push(line);
        listed.paths.extend(images.next());
        listed.more.push(images.collect());
        listed.labels.push(label);
    }
    Ok(listed)
}

/// The lines of a list that name images, with their numbers from 1.
fn lines<'a>(list: &Path, text: &'a str) -> impl Iterator<Item = (u64, &'a str)> {
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let line = line.trim();
        !line.is_empty() && (!line.starts_with('#') || names_image(list, line))
    })
}

/// Whether a line that begins as a comment does names an image that there is, with the `#` in its name.
fn names_image(list: &Path, line: &str) -> bool {
    let separators = [Separator::Tab, Separator::Comma, Separator::Space];
    let whole = separators
        .into_iter()
        .filter_map(|separator| Some(separator.split(line).ok()?.0));
    // Where images are several files each.
    let first = ['\t', ','].into_iter().filter_map(|character| {
        let fields = fields::split(line, character).ok()?;
        Some(fields.into_iter().next()?.text)
    });
    let is_image = |name: &str| Format::is_listed_name(name.as_bytes()) && is_there(list, name);
    whole.chain(first).any(|name| is_image(&name))
}

/// Whether a list is a `.csv`.
pub(crate) fn is_csv(path: &Path) -> bool {
    let extension = path.extension();
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

impl Separator {
    fn of(text: &str, path: &Path) -> Self {
        let everywhere = |c: char| lines(path, text).all(|(_, line)| line.trim().contains(c));
        if everywhere('\t') {
            Self::Tab
        } else if is_csv(path) && everywhere(',') {
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

    /// The image and the label of a line, or what is wrong with it. An empty label is none.
    fn split(self, line: &str) -> Result<(Cow<'_, str>, Option<Cow<'_, str>>), String> {
        let Some(character) = self.character() else {
            let (image, label) = after_image(line).unwrap_or((line, None));
            let label = label.map(|label| Cow::Borrowed(unquote(label.trim())));
            return Ok((Cow::Borrowed(unquote(image.trim())), label));
        };
        let fields = fields::split(line, character)?;
        Ok(match &fields[..] {
            [] => (Cow::Borrowed(line), None),
            [image] => (image.text.clone(), None),
            [image, label] => (image.text.clone(), Some(label.text.clone())),
            // A path that has separators in it and stands in no quotes.
            [.., label] => {
                let image = line.get(..label.start.saturating_sub(1)).unwrap_or(line);
                (Cow::Borrowed(image.trim()), Some(label.text.clone()))
            }
        })
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

/// A field without the quotes around it.
fn unquote(field: &str) -> &str {
    field
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(field)
}
