//! Labels in `metadata.csv` and `metadata.jsonl`, which lie beside the images in Hugging Face's image folders.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::classes::{LabelTexts, Labels};
use crate::counted::counted;
use crate::error::DataError;
use crate::json_label;
use crate::list;
use crate::notices::{self, some_of};
use crate::splits;

/// The names of metadata files.
pub(crate) const NAMES: [&str; 2] = ["metadata.csv", "metadata.jsonl"];

/// What says of which image a row is: a path from the folder of the metadata file.
const IMAGE: &str = "file_name";

/// What says the image's label.
const LABEL: &str = "label";

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
    /// Files that have labels and do not say of which images.
    nameless: Vec<LabelFile>,
}

#[derive(Debug)]
struct LabelFile {
    path: PathBuf,
    /// The folder in which its paths start.
    folder: Place,
}

/// A label, and which line of which file gives it.
#[derive(Debug)]
struct Given {
    label: ReadLabel,
    file: usize,
    line: u64,
}

/// A label, or what is there in place of a single one.
type ReadLabel = Result<String, String>;

/// What is read of a metadata file.
#[derive(Debug, Default)]
struct Rows {
    /// Lines, paths and labels.
    rows: Vec<(u64, String, ReadLabel)>,
    /// Whether there are labels of which nothing says the image.
    is_nameless: bool,
    /// The first line that cannot be read, and why.
    broken: Option<(u64, String)>,
}

impl Metadata {
    /// Reads the metadata files of the images below a folder, given their paths there: those that lie in the folders of the images
    /// and in folders around these, up to `root`; and beside `root`, where it is a split by its name.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or that gives an image two labels.
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
        for name in NAMES {
            let path = on_disk.join(name);
            if path.is_file() {
                let bytes = list::read(&path)?;
                self.add(path, folder.clone(), above, &bytes)?;
            }
        }
        Ok(())
    }

    /// Adds a metadata file with the given content. Its paths start in `folder`, or, where it lies above all images, with `above`.
    ///
    /// # Errors
    ///
    /// A file with labels that cannot be read, or that gives an image another label than another row does.
    pub(crate) fn add(
        &mut self,
        path: PathBuf,
        folder: Place,
        above: &str,
        bytes: &[u8],
    ) -> Result<(), DataError> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let read = match path.extension().is_some_and(|e| e == "csv") {
            true => read_table(text),
            false => read_objects(text),
        };
        let file = LabelFile { path, folder };
        if read.rows.is_empty() {
            // Above a split, there may be tables of something else.
            if read.is_nameless && above.is_empty() {
                self.nameless.push(file);
            }
            return Ok(());
        }
        // What has no labels may be anything.
        list::text_of(&file.path, bytes)?;
        if let Some((line, reason)) = read.broken {
            return Err(DataError::List {
                path: file.path,
                line,
                reason,
            });
        }
        for (line, name, label) in read.rows {
            let image = below(&file.folder.1, &name);
            let Some(image) = image.as_deref().and_then(|image| image.strip_prefix(above)) else {
                continue;
            };
            self.insert(&file, line, image, label)?;
        }
        self.files.push(file);
        Ok(())
    }

    /// Notes a label of an image that the next of the files gives.
    fn insert(
        &mut self,
        file: &LabelFile,
        line: u64,
        image: &str,
        label: ReadLabel,
    ) -> Result<(), DataError> {
        let given = Given {
            label,
            file: self.files.len(),
            line,
        };
        match self.labels.entry((file.folder.0, image.to_owned())) {
            Entry::Vacant(place) => {
                place.insert(given);
                Ok(())
            }
            Entry::Occupied(place) if place.get().label == given.label => Ok(()),
            Entry::Occupied(place) => {
                let before = place.get();
                let other = self.files.get(before.file).unwrap_or(file);
                let [here, there] = [&given, before].map(|given| match &given.label {
                    Ok(label) | Err(label) => label.as_str(),
                });
                Err(DataError::List {
                    path: file.path.clone(),
                    line,
                    reason: format!(
                        "{image} has the label `{here}` here and `{there}` on line {} of {}; each image has one label",
                        before.line,
                        other.path.display()
                    ),
                })
            }
        }
    }

    /// The classes, and the label of each of `images`, where one of them has a label here; `None` where none has. Says which images
    /// have none, and of which labels are no single name or number. `set` is what the images belong to; `in_folders` is whether
    /// their folders are their classes otherwise.
    ///
    /// # Errors
    ///
    /// Where folders would be taken for classes beside labels of which the image is not known.
    pub(crate) fn labels(
        &self,
        set: &Path,
        images: impl Iterator<Item = Place>,
        in_folders: bool,
    ) -> Result<Option<Labels>, DataError> {
        if self.files.is_empty() && self.nameless.is_empty() {
            return Ok(None);
        }
        let images: Vec<Place> = images.collect();
        let is_around = |file: &&LabelFile| images.iter().any(|image| file.is_around(image));
        if !images.iter().any(|image| self.labels.contains_key(image)) {
            let stray = self.files.iter().find(is_around);
            let nameless = self.nameless.iter().find(is_around);
            return match (stray, nameless) {
                (None, None) => Ok(None),
                (Some(file), _) => file.refuse(
                    &format!(
                        "it has labels, and none is of an image of {}: `{IMAGE}` is to be a path from the folder of this file",
                        set.display()
                    ),
                    in_folders,
                ),
                (None, Some(file)) => file.refuse(
                    &format!("it has labels (`{LABEL}`), and no `{IMAGE}` that says of which images"),
                    in_folders,
                ),
            };
        }
        let mut texts = LabelTexts::default();
        let (mut missing, mut not_read) = (Vec::new(), Vec::new());
        for image in &images {
            let label = match self.labels.get(image).map(|given| &given.label) {
                Some(Ok(text)) => Some(text.as_str()),
                Some(Err(value)) => {
                    not_read.push(format!("{} ({value})", image.1));
                    None
                }
                None => {
                    missing.push(image.1.as_str());
                    None
                }
            };
            texts.push(label);
        }
        if !missing.is_empty() {
            let files = self.files.iter().filter(is_around);
            let files: Vec<String> = files.map(|file| file.path.display().to_string()).collect();
            notices::warn(format!(
                "{}: labels are those of {}, in which {} of {} {} none: {}",
                set.display(),
                some_of(&files),
                missing.len(),
                counted(images.len(), "image"),
                if missing.len() == 1 { "has" } else { "have" },
                some_of(&missing)
            ));
        }
        if !not_read.is_empty() {
            notices::warn(format!(
                "{}: {} no single label and {} without: {}",
                set.display(),
                match not_read.len() {
                    1 => "an image has".to_owned(),
                    number => format!("{number} images have"),
                },
                if not_read.len() == 1 { "is" } else { "are" },
                some_of(&not_read)
            ));
        }
        let (classes, mut labels) = texts.into_labels(set);
        labels.resize(images.len(), None);
        Ok(Some((classes, labels)))
    }
}

impl LabelFile {
    /// Whether an image lies in its folder or below.
    fn is_around(&self, image: &Place) -> bool {
        let (part, folder) = &self.folder;
        let is_below = || {
            let rest = image.1.strip_prefix(folder.as_str());
            folder.is_empty() || rest.is_some_and(|rest| rest.starts_with('/'))
        };
        image.0 == *part && is_below()
    }

    /// Refuses to take folders for classes beside it, or says that the images have no labels.
    fn refuse<T>(&self, reason: &str, in_folders: bool) -> Result<Option<T>, DataError> {
        if in_folders {
            return Err(DataError::Annotations {
                path: self.path.clone(),
                reason: format!(
                    "{reason}; folders are not taken for classes beside it. Correct it, name a list of the images in its place \
                     (lines `path,label` in a .csv), or move it away if folders are the classes"
                ),
            });
        }
        notices::warn(format!(
            "{}: {reason}; the images are without labels",
            self.path.display()
        ));
        Ok(None)
    }
}

/// The place of a path below a part's root.
pub(crate) fn place(part: u32, path: &Path) -> Place {
    (part, path.to_string_lossy().replace('\\', "/"))
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

/// The rows of a table with a heading.
fn read_table(text: &str) -> Rows {
    let mut read = Rows::default();
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let Ok(heading) = reader.headers() else {
        return read;
    };
    let column = |name: &str| heading.iter().position(|field| field.trim() == name);
    let (image, label) = match (column(IMAGE), column(LABEL)) {
        (Some(image), Some(label)) => (image, label),
        (image, label) => {
            read.is_nameless = image.is_none() && label.is_some();
            return read;
        }
    };
    let mut lines = Lines::of(text);
    for row in reader.into_records() {
        match row {
            Ok(row) => {
                let line = lines.at(row.position().map_or(0, |position| position.byte()));
                let field = |column: usize| row.get(column).unwrap_or_default().trim().to_owned();
                let (image, label) = (field(image), field(label));
                if !image.is_empty() && !label.is_empty() {
                    read.rows.push((line, image, Ok(label)));
                }
            }
            Err(error) => {
                let line = error.position().map_or(0, |position| position.line());
                read.broken.get_or_insert((line, error.to_string()));
            }
        }
    }
    read
}

/// The lines of rising places in a text. Those that the reader of tables gives are too small after empty lines and `\r\n`.
struct Lines<'a> {
    text: &'a str,
    /// What comes before it is counted.
    start: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let (start, line) = (0, 1);
        Self { text, start, line }
    }

    /// The line of the first letter from a place on, in bytes.
    fn at(&mut self, place: u64) -> u64 {
        let rest = self.text.get(place as usize..).unwrap_or_default();
        let start = self.text.len() - rest.trim_start_matches(['\r', '\n']).len();
        let passed = self.text.get(self.start..start).unwrap_or_default();
        self.line += passed.matches('\n').count() as u64;
        self.start = start;
        self.line
    }
}

/// The rows of a file of JSON objects, one on each line.
fn read_objects(text: &str) -> Rows {
    let mut read = Rows::default();
    for (line, content) in (1..).zip(text.lines()) {
        if content.trim().is_empty() {
            continue;
        }
        let object = match serde_json::from_str(content) {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                let reason = "it is no JSON object".to_owned();
                read.broken.get_or_insert((line, reason));
                continue;
            }
            Err(error) => {
                read.broken.get_or_insert((line, error.to_string()));
                continue;
            }
        };
        let Some(label) = json_label::of(&object, &[LABEL]) else {
            continue;
        };
        match object.get(IMAGE).and_then(Value::as_str) {
            Some(image) => read.rows.push((line, image.to_owned(), label)),
            None => read.is_nameless = true,
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The metadata of one file in `folder`.
    fn of(name: &str, folder: &str, above: &str, text: &str) -> Result<Metadata, DataError> {
        let mut metadata = Metadata::default();
        let folder = (0, folder.to_owned());
        metadata.add(PathBuf::from(name), folder, above, text.as_bytes())?;
        Ok(metadata)
    }

    type Labeled = Option<(Vec<String>, Vec<Option<u32>>)>;

    fn labeled(
        metadata: &Metadata,
        images: &[&str],
        in_folders: bool,
    ) -> Result<Labeled, DataError> {
        let images = images.iter().map(|name| (0, name.to_string()));
        let labels = metadata.labels(Path::new("set"), images, in_folders)?;
        Ok(labels.map(|(classes, labels)| (classes.names().to_vec(), labels)))
    }

    #[test]
    fn tables_and_objects_give_labels() {
        let table = "\u{feff}text,label,file_name\n\"two\nlines, \"\"quoted\"\"\",dog,1.png\nx, cat ,./b//2.png\ny,,3.png\n";
        let objects = "{\"file_name\": \"1.png\", \"label\": \"dog\"}\n\n\
                       {\"file_name\": \"b/../b/2.png\", \"label\": \"cat\"}\n{\"file_name\": \"3.png\"}\n";
        for (name, text) in [("metadata.csv", table), ("metadata.jsonl", objects)] {
            let metadata = of(name, "a", "", text).unwrap();
            let images = ["a/1.png", "a/b/2.png", "a/3.png"];
            let (classes, labels) = labeled(&metadata, &images, true).unwrap().unwrap();
            assert_eq!(classes, ["cat", "dog"], "{name}");
            assert_eq!(labels, [Some(1), Some(0), None], "{name}");
        }
    }

    #[test]
    fn whole_numbers_are_the_numbers_of_classes() {
        let text = "{\"file_name\": \"1.png\", \"label\": 2}\n{\"file_name\": \"2.png\", \"label\": 0}\n\
                    {\"file_name\": \"3.png\", \"label\": 1}\n{\"file_name\": \"4.png\", \"label\": [0, 1]}\n";
        let metadata = of("metadata.jsonl", "", "", text).unwrap();
        let images = ["1.png", "2.png", "3.png", "4.png"];
        let (classes, labels) = labeled(&metadata, &images, false).unwrap().unwrap();
        assert_eq!(classes, ["0", "1", "2"]);
        assert_eq!(labels, [Some(2), Some(0), Some(1), None]);
        // Nothing but what is no label: no folder is a class all the same.
        let (classes, labels) = labeled(&metadata, &["4.png"], true).unwrap().unwrap();
        assert!(classes.is_empty());
        assert_eq!(labels, [None]);
    }

    #[test]
    fn files_above_a_split_are_of_it() {
        let text = "file_name,label\ntrain/1.png,dog\ntest/1.png,cat\n";
        let metadata = of("metadata.csv", "", "train/", text).unwrap();
        let (classes, labels) = labeled(&metadata, &["1.png"], true).unwrap().unwrap();
        assert_eq!((classes, labels), (vec!["dog".to_owned()], vec![Some(0)]));
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
            let metadata = of(name, "", "", text).unwrap();
            assert_eq!(
                labeled(&metadata, &["a/1.png"], true).unwrap(),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn labels_of_no_known_image_are_refused_beside_folders() {
        for (name, text, words) in [
            (
                "metadata.csv",
                "image,label\na/1.png,dog\n",
                "no `file_name`",
            ),
            (
                "metadata.jsonl",
                "{\"id\": 1, \"label\": 2}\n",
                "no `file_name`",
            ),
            (
                "metadata.csv",
                "file_name,label\nx/1.png,dog\n",
                "none is of an image of set",
            ),
        ] {
            let metadata = of(name, "", "", text).unwrap();
            let error = labeled(&metadata, &["a/1.png"], true)
                .unwrap_err()
                .to_string();
            for word in [name, words, "path,label"] {
                assert!(error.contains(word), "{word}: {error}");
            }
            assert_eq!(labeled(&metadata, &["1.png"], false).unwrap(), None);
        }
        // One that lies elsewhere is of other images.
        let other = of("metadata.csv", "b", "", "file_name,label\n1.png,dog\n").unwrap();
        assert_eq!(
            labeled(&other, &["a/1.png", "bc/1.png"], true).unwrap(),
            None
        );
    }

    #[test]
    fn two_labels_of_an_image_are_refused_with_both_lines() {
        let text = "file_name,label\n1.png,dog\n1.png,dog\n./1.png,cat\n";
        let error = of("metadata.csv", "", "", text).unwrap_err();
        assert!(matches!(error, DataError::List { line: 4, .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains("`cat` here and `dog` on line 2"), "{error}");
        let text =
            "file_name,text,label\r\n\r\n1.png,\"a\r\nb\",dog\r\n2.png,,dog\r\n\r\n1.png,,cat\r\n";
        let error = of("metadata.csv", "", "", text).unwrap_err();
        assert!(matches!(error, DataError::List { line: 7, .. }), "{error}");
        assert!(error.to_string().contains("on line 3"), "{error}");
        let mut both = of("metadata.csv", "", "", "file_name,label\na/1.png,dog\n").unwrap();
        let text = b"{\"file_name\": \"1.png\", \"label\": \"cat\"}";
        let folder = (0, "a".to_owned());
        let error = both.add(PathBuf::from("a/metadata.jsonl"), folder.clone(), "", text);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("on line 2 of metadata.csv"), "{error}");
        // Another part's images are others.
        let part = (1, "a".to_owned());
        both.add(PathBuf::from("x.tar:a/metadata.jsonl"), part, "", text)
            .unwrap();
    }

    #[test]
    fn lines_that_cannot_be_read_are_named() {
        let row = "{\"file_name\": \"1.png\", \"label\": 1}\n";
        for (text, line) in [(format!("{row}[]\n"), 2), (format!("{row}\n{{\n{row}"), 3)] {
            let error = of("metadata.jsonl", "", "", &text).unwrap_err();
            let is_there = matches!(&error, DataError::List { line: at, .. } if *at == line);
            assert!(is_there, "{error}");
        }
        let mut metadata = Metadata::default();
        let text = b"file_name,label\n1.png,caf\xE9\n";
        let folder = (0, String::new());
        let error = metadata.add(PathBuf::from("metadata.csv"), folder, "", text);
        assert!(matches!(error, Err(DataError::List { line: 2, .. })));
    }
}
