//! Labels in `metadata.csv` and `metadata.jsonl`, which lie beside the images in Hugging Face's image folders.

mod rows;
mod without_label;

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::classes::{LabelTexts, Labels};
use crate::error::DataError;
use crate::list;
use crate::notices;
use crate::splits;
use rows::{IMAGE, LABEL, ReadLabel, Rows};
use without_label::WithoutLabel;

/// The names of metadata files.
pub(crate) const NAMES: [&str; 2] = ["metadata.csv", "metadata.jsonl"];

/// Names of metadata files that are not read, as other programs do not read them either: what they hold is told of.
const OTHER_NAMES: [&str; 4] = [
    "Metadata.csv",
    "METADATA.CSV",
    "Metadata.jsonl",
    "METADATA.JSONL",
];

/// What Hugging Face's library reads as well.
const PARQUET: &str = "metadata.parquet";

/// How far above a split metadata files are looked for: beside `train` or `train/train`.
const MAX_ABOVE: usize = 2;

/// An image of a set: in which part of it, such as a tar file, and its path there, with `/` between components.
pub(crate) type Place = (u32, String);

/// What metadata files say of the images of a set.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// The files that have labels and say of which images.
    files: Vec<LabelFile>,
    /// The labels of images.
    labels: HashMap<Place, Given>,
    /// Files whose labels are not used, whatever images there are, and why.
    unused: Vec<(LabelFile, Unused)>,
}

/// Why the labels of a file are not used.
#[derive(Debug)]
enum Unused {
    /// They are of no image of any split.
    Strays,
    /// Nothing says of which images they are.
    Nameless,
    /// They are not read; with the reason.
    Unread(String),
}

#[derive(Debug)]
struct LabelFile {
    path: PathBuf,
    /// The folder in which its paths start.
    folder: Place,
    /// The labels of all its rows, also of those of other splits.
    texts: BTreeSet<String>,
    /// Whether a row names an image of some split.
    is_of_images: bool,
}

/// A label, and which line of which file gives it.
#[derive(Debug)]
struct Given {
    label: ReadLabel,
    row: Row,
    /// Another label of the image, and what gives that: the image has none, then.
    other: Option<(ReadLabel, Row)>,
}

/// A line of one of the files.
#[derive(Clone, Copy, Debug)]
struct Row {
    file: usize,
    line: u64,
}

impl Metadata {
    /// Reads the metadata files of the images below a folder, given their paths there: those that lie in the folders of the images
    /// and in folders around these, up to `root`; and beside `root`, where it is a split by its name.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub(crate) fn of_folder(root: &Path, images: &[Box<Path>]) -> Result<Self, DataError> {
        let mut metadata = Self::default();
        let mut above = String::new();
        let mut inner = root;
        for _ in 0..MAX_ABOVE {
            let name = inner.file_name().and_then(|name| name.to_str());
            let name = name.filter(|name| splits::place_of_file_name(name).is_some());
            let (Some(name), Some(outer)) = (name, inner.parent()) else {
                break;
            };
            above = format!("{name}/{above}");
            metadata.add_files_of(outer, (0, String::new()), &above)?;
            inner = outer;
        }
        let mut folders: BTreeSet<&Path> = BTreeSet::new();
        let mut before = None;
        for image in images {
            let mut folder = image.parent();
            // Most images lie in the folder of the one before.
            let name = folder.map(Path::as_os_str);
            if name == before {
                continue;
            }
            before = name;
            while let Some(path) = folder
                && folders.insert(path)
            {
                folder = path.parent();
            }
        }
        for folder in folders {
            metadata.add_files_of(&root.join(folder), place(0, folder), "")?;
        }
        Ok(metadata)
    }

    fn add_files_of(
        &mut self,
        on_disk: &Path,
        folder: Place,
        above: &str,
    ) -> Result<(), DataError> {
        let is_file = |name: &&str| on_disk.join(name).is_file();
        let usual: Vec<&str> = NAMES.into_iter().filter(is_file).collect();
        // Where upper and lower case are one, these are the usual files once more.
        let is_new = |name: &&str| !usual.iter().any(|usual| name.eq_ignore_ascii_case(usual));
        let others = OTHER_NAMES.into_iter().filter(is_new).filter(is_file);
        for name in usual.iter().copied() {
            let path = on_disk.join(name);
            let bytes = list::read(&path)?;
            self.add(path, folder.clone(), above, &bytes);
        }
        if is_file(&PARQUET) {
            notices::warn(format!(
                "{}: not read; labels in it would be in a metadata.csv or metadata.jsonl",
                on_disk.join(PARQUET).display()
            ));
        }
        // They are only told of.
        for path in others.map(|name| on_disk.join(name)) {
            if let Ok(bytes) = list::read(&path) {
                self.add(path, folder.clone(), above, &bytes);
            }
        }
        Ok(())
    }

    /// Adds a metadata file with the given content. Its paths start in `folder`, or, where it lies above all images, with `above`.
    /// Lines that cannot be read are left out, which is said where others have labels. A file that seems to have labels in a form
    /// that is not read is kept to be told of.
    pub(crate) fn add(&mut self, path: PathBuf, folder: Place, above: &str, bytes: &[u8]) {
        let text = text_of(bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut read = Rows::of(text, list::is_csv(&path));
        let other_form = other_form(&path, bytes);
        let mut file = LabelFile {
            path,
            folder,
            texts: BTreeSet::new(),
            is_of_images: false,
        };
        if let Some(reason) = other_form {
            if read.has_labels() {
                self.unused.push((file, Unused::Unread(reason)));
            }
            return;
        }
        if read.rows.is_empty() {
            // Above a split, there may be tables of something else.
            if read.is_nameless && above.is_empty() {
                self.unused.push((file, Unused::Nameless));
            } else if let Some(reason) = read.unread {
                self.unused.push((file, Unused::Unread(reason)));
            }
            return;
        }
        read.leave_out_what_is_no_text();
        // What has no labels may be anything.
        if let Some((line, reason)) = read.broken {
            notices::warn(format!(
                "{}: line {line} cannot be read and is left out, as are others like it: {reason}",
                file.path.display()
            ));
        }
        let (mut is_of_split, mut is_of_any) = (false, false);
        for (line, name, label) in read.rows {
            if let Ok(text) = &label
                && !file.texts.contains(text)
            {
                file.texts.insert(text.clone());
            }
            let Some(image) = below(&file.folder.1, &name) else {
                continue;
            };
            is_of_any |= is_in_split(&image);
            let Some(image) = image.strip_prefix(above) else {
                continue;
            };
            is_of_split = true;
            self.insert((file.folder.0, image.to_owned()), line, label);
        }
        // One above a split may be of others alone.
        if is_of_split || above.is_empty() {
            self.files.push(file);
        } else if !is_of_any {
            self.unused.push((file, Unused::Strays));
        }
    }

    /// Notes a label of an image that the next of the files gives.
    fn insert(&mut self, image: Place, line: u64, label: ReadLabel) {
        let file = self.files.len();
        let row = Row { file, line };
        match self.labels.entry(image) {
            Entry::Vacant(place) => {
                let other = None;
                place.insert(Given { label, row, other });
            }
            Entry::Occupied(mut place) => {
                let before = place.get_mut();
                if before.label != label {
                    before.other.get_or_insert((label, row));
                }
            }
        }
    }

    /// Notes that there are such images, of whatever split: files that name one of them are not said to name none.
    pub(crate) fn note_images(&mut self, images: impl Iterator<Item = Place>) {
        if self.files.is_empty() {
            return;
        }
        for image in images {
            let Some(given) = self.labels.get(&image) else {
                continue;
            };
            let other = given.other.as_ref().map(|(_, row)| *row);
            for row in std::iter::once(given.row).chain(other) {
                if let Some(file) = self.files.get_mut(row.file) {
                    file.is_of_images = true;
                }
            }
        }
    }

    /// The classes, and the label of each of `images`, where one of them has a label here; `None` where none has. The classes are
    /// those of all rows of the files that give labels, so that all splits have the same. Says which images have none, of which
    /// there are several labels, and of which labels are no single name or number. `set` is what the images belong to;
    /// `in_folders` is whether their folders are their classes otherwise.
    pub(crate) fn labels(
        &self,
        set: &Path,
        images: impl Iterator<Item = Place>,
        in_folders: bool,
    ) -> Option<Labels> {
        if self.files.is_empty() && self.unused.is_empty() {
            return None;
        }
        let images: Vec<Place> = images.collect();
        if !images.iter().any(|image| self.labels.contains_key(image)) {
            self.say_unused(set, &images, in_folders);
            return None;
        }
        let mut texts = LabelTexts::default();
        let mut without = WithoutLabel::default();
        let mut used = BTreeSet::new();
        for image in &images {
            let given = self.labels.get(image);
            let text = given.and_then(|given| given.only()?.as_deref().ok());
            match given.filter(|_| text.is_some()) {
                Some(given) => {
                    used.insert(given.row.file);
                }
                None => without.add(image, given),
            }
            texts.push(text);
        }
        let used = used.into_iter().filter_map(|file| self.files.get(file));
        for text in used.flat_map(|file| &file.texts) {
            texts.add_class(text);
        }
        without.say(set, &images, &self.files);
        let (classes, mut labels) = texts.into_labels(set);
        labels.resize(images.len(), None);
        Some((classes, labels))
    }

    /// Says of the first file around the images whose labels are of none of them why they are not used.
    fn say_unused(&self, set: &Path, images: &[Place], in_folders: bool) {
        let strays = self.files.iter().filter(|file| !file.is_of_images);
        let strays = strays.map(|file| (file, Unused::Strays.reason(set)));
        let unused = self.unused.iter();
        let unused = unused.map(|(file, why)| (file, why.reason(set)));
        let mut all = strays.chain(unused);
        if let Some((file, reason)) = all.find(|(file, _)| file.is_around_one_of(images)) {
            file.say_unused(&reason, in_folders);
        }
    }
}

impl Unused {
    /// The reason in words; `set` is what the images belong to.
    fn reason(&self, set: &Path) -> String {
        match self {
            Self::Strays => format!(
                "it has labels, and none is of an image of {}: `{IMAGE}` is to be a path from the folder of this file",
                set.display()
            ),
            Self::Nameless => {
                format!("it has labels (`{LABEL}`), and no `{IMAGE}` that says of which images")
            }
            Self::Unread(reason) => reason.clone(),
        }
    }
}

impl Given {
    /// The label, where there is no other.
    fn only(&self) -> Option<&ReadLabel> {
        self.other.is_none().then_some(&self.label)
    }
}

impl LabelFile {
    /// Whether one of the images lies in its folder or below.
    fn is_around_one_of(&self, images: &[Place]) -> bool {
        images.iter().any(|image| self.is_around(image))
    }

    /// Whether an image lies in its folder or below.
    fn is_around(&self, image: &Place) -> bool {
        let (part, folder) = &self.folder;
        let is_below = || {
            let rest = image.1.strip_prefix(folder.as_str());
            folder.is_empty() || rest.is_some_and(|rest| rest.starts_with('/'))
        };
        image.0 == *part && is_below()
    }

    /// Says why its labels are not used, and what is instead.
    fn say_unused(&self, reason: &str, in_folders: bool) {
        notices::warn(format!(
            "{}: {reason}; {}",
            self.path.display(),
            match in_folders {
                true => "its labels are not used, and folders are the classes",
                false => "the images are without labels",
            }
        ));
    }
}

/// The place of a path below a part's root.
pub(crate) fn place(part: u32, path: &Path) -> Place {
    (part, path.to_string_lossy().replace('\\', "/"))
}

/// The text of a file. What is no UTF-8 text is made one as well as can be: it is not read, but tells what is in the file.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    match is_utf16(bytes) {
        true => text.replace(['\0', char::REPLACEMENT_CHARACTER], "").into(),
        false => text,
    }
}

/// Whether a text seems to be UTF-16, as Excel and PowerShell write it, by its byte-order mark or its first letter.
fn is_utf16(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, _, ..] | [_, 0, ..]
    )
}

/// Why a metadata file is not read, whatever is in it.
fn other_form(path: &Path, bytes: &[u8]) -> Option<String> {
    // A member of a tar file has that before its name.
    let path = path.to_string_lossy();
    if !NAMES.iter().any(|name| path.ends_with(name)) {
        return Some("its name is to be in lower case".to_owned());
    }
    is_utf16(bytes).then(|| "it is UTF-16 text, and is to be UTF-8".to_owned())
}

/// Whether a path is below a folder that is a split by its name.
fn is_in_split(path: &str) -> bool {
    let first = path.split_once('/').map(|(first, _)| first);
    first.is_some_and(|first| splits::place_of_file_name(first).is_some())
}

/// A path that starts in `folder` as one below the root, or `None` where it leads out of that.
fn below(folder: &str, path: &str) -> Option<String> {
    let path = path.replace('\\', "/");
    let mut components: Vec<&str> = Vec::new();
    for component in folder.split('/').chain(path.split('/')) {
        match component {
            "" | "." => {}
            ".." => {
                components.pop()?;
            }
            name => components.push(name),
        }
    }
    Some(components.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The metadata of one file in `folder`.
    fn of(name: &str, folder: &str, above: &str, text: &str) -> Metadata {
        let mut metadata = Metadata::default();
        let folder = (0, folder.to_owned());
        metadata.add(PathBuf::from(name), folder, above, text.as_bytes());
        metadata
    }

    type Labeled = Option<(Vec<String>, Vec<Option<u32>>)>;

    fn labeled(metadata: &Metadata, images: &[&str], in_folders: bool) -> Labeled {
        let images = images.iter().map(|name| (0, name.to_string()));
        let labels = metadata.labels(Path::new("set"), images, in_folders);
        labels.map(|(classes, labels)| (classes.names().to_vec(), labels))
    }

    #[test]
    fn tables_and_objects_give_labels() {
        let table = "\u{feff}text,label,file_name\n\"two\nlines, \"\"quoted\"\"\",dog,1.png\nx, cat ,./b//2.png\ny,,3.png\n";
        let objects = "{\"file_name\": \"1.png\", \"label\": \"dog\"}\n\n\
                       {\"file_name\": \"b/../b/2.png\", \"label\": \"cat\"}\n{\"file_name\": \"3.png\"}\n";
        for (name, text) in [("metadata.csv", table), ("metadata.jsonl", objects)] {
            let metadata = of(name, "a", "", text);
            let images = ["a/1.png", "a/b/2.png", "a/3.png"];
            let (classes, labels) = labeled(&metadata, &images, true).unwrap();
            assert_eq!(classes, ["cat", "dog"], "{name}");
            assert_eq!(labels, [Some(1), Some(0), None], "{name}");
        }
    }

    #[test]
    fn whole_numbers_are_the_numbers_of_classes() {
        let text = "{\"file_name\": \"1.png\", \"label\": 2}\n{\"file_name\": \"2.png\", \"label\": 0}\n\
                    {\"file_name\": \"3.png\", \"label\": 1}\n{\"file_name\": \"4.png\", \"label\": [0, 1]}\n";
        let metadata = of("metadata.jsonl", "", "", text);
        let images = ["1.png", "2.png", "3.png", "4.png"];
        let (classes, labels) = labeled(&metadata, &images, false).unwrap();
        assert_eq!(classes, ["0", "1", "2"]);
        assert_eq!(labels, [Some(2), Some(0), Some(1), None]);
        // Nothing but what is no label: no folder is a class all the same.
        let (classes, labels) = labeled(&metadata, &["4.png"], true).unwrap();
        assert!(classes.is_empty());
        assert_eq!(labels, [None]);
    }

    #[test]
    fn files_above_a_split_are_of_it() {
        let text = "file_name,label\ntrain/1.png,dog\ntest/1.png,cat\n";
        let metadata = of("metadata.csv", "", "train/", text);
        let (classes, labels) = labeled(&metadata, &["1.png"], true).unwrap();
        assert_eq!(classes, ["cat", "dog"]);
        assert_eq!(labels, [Some(1)]);
    }

    #[test]
    fn without_labels_folders_serve() {
        for (name, text) in [
            ("metadata.csv", ""),
            ("metadata.csv", "file_name,text\na/1.png,x\n"),
            ("metadata.csv", "file_name,label\na/1.png,\n"),
            ("metadata.csv", "caf\u{e9};\"x"),
            (
                "metadata.jsonl",
                "{\"file_name\": \"a/1.png\", \"text\": \"x\"}\n{",
            ),
            ("metadata.jsonl", "[\n1]"),
        ] {
            let metadata = of(name, "", "", text);
            assert_eq!(labeled(&metadata, &["a/1.png"], true), None, "{text}");
        }
    }

    #[test]
    fn labels_of_no_known_image_are_not_used() {
        for (name, text) in [
            ("metadata.csv", "image,label\na/1.png,dog\n"),
            ("metadata.jsonl", "{\"id\": 1, \"label\": 2}\n"),
            ("metadata.csv", "file_name,label\nx/1.png,dog\n"),
        ] {
            let metadata = of(name, "", "", text);
            assert_eq!(labeled(&metadata, &["a/1.png"], true), None);
            assert_eq!(labeled(&metadata, &["1.png"], false), None);
        }
    }

    /// Why the labels of a file are not used where images lie in folders.
    fn unused(name: &str, above: &str, bytes: &[u8]) -> Option<String> {
        let mut metadata = Metadata::default();
        metadata.add(PathBuf::from(name), (0, String::new()), above, bytes);
        assert_eq!(labeled(&metadata, &["a/1.png"], true), None);
        let (_, why) = metadata.unused.first()?;
        Some(why.reason(Path::new("set")))
    }

    #[test]
    fn labels_in_a_form_that_is_not_read_are_told_of() {
        let table = "file_name,label\na/1.png,dog\n";
        let utf16 = |text: &str| {
            let units = text.encode_utf16().flat_map(u16::to_le_bytes);
            [0xFF, 0xFE].into_iter().chain(units).collect::<Vec<u8>>()
        };
        let row = "{\"file_name\": \"a/1.png\", \"label\": 1}";
        for (name, bytes, words) in [
            (
                "metadata.csv",
                table.replace(',', ";").into_bytes(),
                "first line is `file_name;label`",
            ),
            (
                "metadata.csv",
                table.replace(',', "\t").into_bytes(),
                "first line is",
            ),
            ("metadata.csv", utf16(table), "UTF-16"),
            ("Metadata.csv", table.into(), "lower case"),
            (
                "x.tar:METADATA.JSONL",
                format!("{row}\n").into_bytes(),
                "lower case",
            ),
            (
                "metadata.csv",
                table.replace("label", "labels").into_bytes(),
                "`file_name,labels`",
            ),
            (
                "metadata.csv",
                b"a/1.png,dog\na/2.png,cat\n".to_vec(),
                "not a heading",
            ),
            (
                "metadata.jsonl",
                format!("[{row},\n{row}]\n").into_bytes(),
                "one list",
            ),
            (
                "metadata.jsonl",
                row.replace("label", "labels").into_bytes(),
                "the keys are to be",
            ),
            (
                "metadata.csv",
                b"file_name,label\na/1.png,x,dog\n".to_vec(),
                "line 2 and others cannot be read: it has 3 fields",
            ),
        ] {
            for above in ["", "train/"] {
                let reason = unused(name, above, &bytes).unwrap();
                assert!(reason.contains(words), "{words}: {reason}");
            }
        }
        for (name, text) in [
            ("metadata.csv", "file_name;text\na/1.png;a label\n"),
            ("metadata.csv", "file_name,text,License\na/1.png,x,y\n"),
            ("metadata.csv", "file_name,label\na/1.png,\n"),
            ("Metadata.csv", "file_name,text\na/1.png,x\n"),
            (
                "metadata.jsonl",
                "{\"file_name\": \"a/1.png\", \"label\": null}\n",
            ),
            (
                "metadata.jsonl",
                "[{\"file_name\": \"a/1.png\", \"text\": \"x\"}]",
            ),
        ] {
            for bytes in [text.as_bytes().to_vec(), utf16(text)] {
                assert_eq!(unused(name, "", &bytes), None, "{text}");
            }
        }
    }

    #[test]
    fn labels_above_a_split_of_images_of_none_are_told_of() {
        let reason = |text: &str| unused("metadata.csv", "train/", text.as_bytes());
        let told = reason("file_name,label\na/1.png,dog\n").unwrap();
        assert!(told.contains("none is of an image of set"), "{told}");
        assert_eq!(reason("file_name,label\nval/a/1.png,dog\n"), None);
    }

    #[test]
    fn minus_one_beside_numbers_is_no_label() {
        let expected = |classes: &[&str], labels: &[Option<u32>]| -> Labeled {
            let classes = classes.iter().map(|class| class.to_string()).collect();
            Some((classes, labels.to_vec()))
        };
        let images = ["1.png", "2.png", "3.png"];
        let table = |labels: [&str; 3]| {
            let [first, second, third] = labels;
            let text = format!("file_name,label\n1.png,{first}\n2.png,{second}\n3.png,{third}\n");
            labeled(&of("metadata.csv", "", "", &text), &images, true)
        };
        let numbers = expected(&["0", "1"], &[Some(1), None, Some(0)]);
        assert_eq!(table(["1", "-1", "0"]), numbers);
        assert_eq!(table(["1.0", "-1.0", "0.0"]), numbers);
        assert_eq!(
            table(["-1", "-1", "-1"]),
            expected(&[], &[None, None, None])
        );
        // Two classes, as of a support vector machine.
        let signs = expected(&["-1", "1"], &[Some(1), Some(0), Some(1)]);
        assert_eq!(table(["1", "-1", "1"]), signs);
        let words = expected(&["-1", "cat"], &[Some(1), Some(0), Some(1)]);
        assert_eq!(table(["cat", "-1", "cat"]), words);
        let text =
            "{\"file_name\": \"1.png\", \"label\": -1}\n{\"file_name\": \"2.png\", \"label\": 0}\n";
        let metadata = of("metadata.jsonl", "", "", text);
        let found = labeled(&metadata, &["1.png", "2.png"], true);
        assert_eq!(found, expected(&["0"], &[None, Some(0)]));
    }

    #[test]
    fn rows_that_are_longer_than_the_heading_are_left_out() {
        let text = "file_name,label,text,note\n1.png,dog,a dog, asleep,x\n2.png,cat,\"a, b\"\n3.png,dog\n4.png\n \n";
        let metadata = of("metadata.csv", "", "", text);
        // What is missing at the end is empty, as tables are written.
        let expected = (
            vec!["cat".to_owned(), "dog".to_owned()],
            vec![None, Some(0), Some(1), None],
        );
        let found = labeled(&metadata, &["1.png", "2.png", "3.png", "4.png"], true);
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn files_above_a_split_may_be_of_others() {
        let text = "file_name,label\ntest/1.png,cat\n";
        let metadata = of("metadata.csv", "", "train/", text);
        assert!(metadata.files.is_empty());
        let mut metadata = of("metadata.csv", "", "", text);
        assert!(!metadata.files[0].is_of_images);
        let images = ["train/1.png", "test/1.png"];
        metadata.note_images(images.into_iter().map(|name| (0, name.to_owned())));
        assert!(metadata.files[0].is_of_images);
        assert_eq!(labeled(&metadata, &["train/1.png"], true), None);
    }

    #[test]
    fn images_with_two_labels_have_none() {
        let text = "file_name,label\n1.png,dog\n1.png,dog\n./1.png,cat\n2.png,cat\n";
        let metadata = of("metadata.csv", "", "", text);
        let expected = (
            vec!["cat".to_owned(), "dog".to_owned()],
            vec![None, Some(0)],
        );
        let found = labeled(&metadata, &["1.png", "2.png"], true);
        assert_eq!(found, Some(expected));
        let text =
            "file_name,text,label\r\n\r\n1.png,\"a\r\nb\",dog\r\n2.png,,dog\r\n\r\n1.png,,cat\r\n";
        let metadata = of("metadata.csv", "", "", text);
        let given = &metadata.labels[&(0, "1.png".to_owned())];
        let lines = (given.row.line, given.other.as_ref().unwrap().1.line);
        assert_eq!(lines, (3, 7));
        let mut both = of("metadata.csv", "", "", "file_name,label\na/1.png,dog\n");
        let text = b"{\"file_name\": \"1.png\", \"label\": \"cat\"}";
        // Another part's images are others.
        let part = (1, "a".to_owned());
        both.add(PathBuf::from("x.tar:a/metadata.jsonl"), part, "", text);
        let expected = (vec!["dog".to_owned()], vec![Some(0)]);
        assert_eq!(labeled(&both, &["a/1.png"], true), Some(expected));
        let folder = (0, "a".to_owned());
        both.add(PathBuf::from("a/metadata.jsonl"), folder, "", text);
        let expected = (Vec::new(), vec![None]);
        assert_eq!(labeled(&both, &["a/1.png"], true), Some(expected));
    }

    #[test]
    fn floats_of_tables_are_whole_numbers() {
        for (labels, classes) in [
            (["1.0", "0.0"], ["0", "1"]),
            (["1.0", "0.5"], ["0.5", "1.0"]),
        ] {
            let [first, second] = labels;
            let text = format!("file_name,label\n1.png,{first}\n2.png,\n3.png,{second}\n");
            let metadata = of("metadata.csv", "", "", &text);
            let images = ["1.png", "2.png", "3.png"];
            let expected = (
                classes.map(str::to_owned).to_vec(),
                vec![Some(1), None, Some(0)],
            );
            assert_eq!(labeled(&metadata, &images, true), Some(expected));
        }
    }

    #[test]
    fn lines_that_cannot_be_read_are_left_out() {
        let row = "{\"file_name\": \"1.png\", \"label\": 0}\n";
        let nan = "{\"file_name\": \"2.png\", \"label\": 1, \"x\": NaN}\n";
        for text in [
            format!("{row}[]\n"),
            format!("{row}\n{{\n{row}"),
            format!("{nan}{row}"),
        ] {
            let metadata = of("metadata.jsonl", "", "", &text);
            let expected = (vec!["0".to_owned()], vec![Some(0), None]);
            let found = labeled(&metadata, &["1.png", "2.png"], true);
            assert_eq!(found, Some(expected), "{text}");
        }
        let mut metadata = Metadata::default();
        let text = b"file_name,text,label\n1.png,x,caf\xE9\n2.png,caf\xE9,dog\n";
        let folder = (0, String::new());
        metadata.add(PathBuf::from("metadata.csv"), folder, "", text);
        let expected = (vec!["dog".to_owned()], vec![None, Some(0)]);
        let found = labeled(&metadata, &["1.png", "2.png"], true);
        assert_eq!(found, Some(expected));
    }
}
