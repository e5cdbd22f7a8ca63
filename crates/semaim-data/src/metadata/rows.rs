//! The rows of a metadata file: which image has which label.

use serde_json::{Map, Value};

use crate::classes;
use crate::counted::counted;
use crate::decode::Format;
use crate::json_label;

/// What says of which image a row is: a path from the folder of the metadata file.
pub(super) const IMAGE: &str = "file_name";

/// What says the image's label.
pub(super) const LABEL: &str = "label";

/// What Hugging Face's sets write for the label of an image without one, such as those of a test split.
const NO_LABEL: &str = "-1";

/// What columns and keys of labels are called in files that are not read, in lower case.
const LABELS: [&str; 4] = ["label", "labels", "class", "classes"];

/// What columns and keys of images are called in files that are not read, in lower case.
const IMAGES: [&str; 6] = [
    "file_name",
    "filename",
    "file",
    "image",
    "path",
    "image_path",
];

/// A label, or what is there in place of a single one.
pub(super) type ReadLabel = Result<String, String>;

/// What is read of a metadata file.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Lines, paths and labels.
    pub(super) rows: Vec<(u64, String, ReadLabel)>,
    /// Whether there are labels of which nothing says the image.
    pub(super) is_nameless: bool,
    /// The first line that cannot be read, and why.
    pub(super) broken: Option<(u64, String)>,
    /// Why labels are not read that there seem to be.
    pub(super) unread: Option<String>,
}

impl Rows {
    /// Those of a table (`.csv`), or of a JSON object on each line.
    pub(super) fn of(text: &str, is_table: bool) -> Self {
        match is_table {
            true => read_table(text),
            false => read_objects(text),
        }
    }

    /// Whether there are labels, or seem to be.
    pub(super) fn has_labels(&self) -> bool {
        !self.rows.is_empty() || self.unread.is_some()
    }

    /// Takes [`NO_LABEL`] for what it is where all other labels are numbers of classes from 0 on: among others it is a name, and beside
    /// 1 alone one of two classes.
    fn note_missing(&mut self) {
        let labels = || self.rows.iter().flat_map(|(.., label)| label);
        let is_number = |text: &String| text == NO_LABEL || classes::number(text).is_some();
        let is_from_zero =
            labels().any(|text| text == "0") || labels().all(|text| text == NO_LABEL);
        if !labels().all(is_number) || !is_from_zero {
            return;
        }
        for (.., label) in &mut self.rows {
            if label.as_deref() == Ok(NO_LABEL) {
                *label = Err(NO_LABEL.to_owned());
            }
        }
    }

    /// Leaves out rows with bytes that were no UTF-8.
    pub(super) fn leave_out_what_is_no_text(&mut self) {
        let is_no_text = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
        let broken = &mut self.broken;
        self.rows.retain(|(line, name, label)| {
            let (Ok(text) | Err(text)) = label;
            let is_left_out = is_no_text(name) || is_no_text(text);
            if is_left_out && broken.as_ref().is_none_or(|(first, _)| line < first) {
                *broken = Some((*line, "it is no UTF-8 text".to_owned()));
            }
            !is_left_out
        });
    }

    /// Makes whole numbers of labels that are all such, though written as floats.
    fn shorten_whole_numbers(&mut self) {
        let mut labels = self.rows.iter().flat_map(|(.., label)| label);
        if !labels.all(|text| json_label::whole_number(text).is_some()) {
            return;
        }
        for (.., label) in &mut self.rows {
            if let Ok(text) = label
                && let Some(whole) = json_label::whole_number(text)
                && whole.len() < text.len()
            {
                *text = whole.to_owned();
            }
        }
    }
}

/// The rows of a table with a heading.
fn read_table(text: &str) -> Rows {
    let mut read = Rows::default();
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let Ok(heading) = reader.headers() else {
        read.unread = unread_heading(text);
        return read;
    };
    let fields = heading.len();
    let column = |name: &str| heading.iter().position(|field| field.trim() == name);
    let (image, label) = match (column(IMAGE), column(LABEL)) {
        (Some(image), Some(label)) => (image, label),
        (image, label) => {
            read.is_nameless = image.is_none() && label.is_some();
            read.unread = unread_heading(text);
            return read;
        }
    };
    let mut lines = Lines::of(text);
    for row in reader.into_records() {
        match row {
            Ok(row) => {
                let line = lines.at(row.position().map_or(0, |position| position.byte()));
                // A comma in no quotes puts what follows into other columns. What is missing at the end is empty.
                if row.len() > fields {
                    let reason = format!("it has {}", in_place_of(row.len(), fields));
                    read.broken.get_or_insert((line, reason));
                    continue;
                }
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
    if read.rows.is_empty()
        && let Some((line, reason)) = &read.broken
    {
        read.unread = Some(format!("line {line} and others cannot be read: {reason}"));
    }
    read.shorten_whole_numbers();
    read.note_missing();
    read
}

/// How many fields a row has in place of those of the heading.
fn in_place_of(fields: usize, wanted: usize) -> String {
    format!(
        "{} in place of {wanted}; texts with commas stand in quotes",
        counted(fields, "field")
    )
}

/// Why the labels are not read that a table seems to have by its first line.
///
/// Tables of captions or addresses are beside many sets and are none of our matter. One is told of where its first line names
/// both an image and a label, as columns that are called otherwise or are parted by something else; or where it is a row with an
/// image in it, so that there is no heading.
fn unread_heading(text: &str) -> Option<String> {
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    let fields = first.split([',', ';', '\t', '|']);
    let fields = fields.map(|field| field.trim_matches(|c: char| c == '"' || c.is_whitespace()));
    let fields: Vec<&str> = fields.collect();
    let is_image = |field: &&str| Format::is_listed_name(field.as_bytes());
    let is_row = fields.len() > 1 && fields.first().is_some_and(is_image);
    (is_row || name_image_and_label(&fields)).then(|| {
        format!(
            "its first line is `{}` and not a heading with the columns `{IMAGE}` and `{LABEL}`, with a comma between",
            json_label::shortened(first.trim())
        )
    })
}

/// Whether columns or keys are called as those of an image and of a label may be.
fn name_image_and_label(names: &[&str]) -> bool {
    let is_one_of = |known: &[&str]| {
        names
            .iter()
            .any(|name| known.iter().any(|known| name.eq_ignore_ascii_case(known)))
    };
    is_one_of(&IMAGES) && is_one_of(&LABELS)
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
    if read.rows.is_empty() {
        read.unread = unread_objects(text);
    }
    read.note_missing();
    read
}

/// Why the labels are not read that objects seem to have by the first of them: they are a list, or have other keys. As with tables,
/// objects without both are no matter to be told of, nor are those that have the right keys and nothing there.
fn unread_objects(text: &str) -> Option<String> {
    let is_labeled = |object: &Map<String, Value>| {
        let keys: Vec<&str> = object.keys().map(String::as_str).collect();
        name_image_and_label(&keys)
    };
    if text.trim_start().starts_with('[') {
        let list: Vec<Value> = serde_json::from_str(text).ok()?;
        let has_labels = is_labeled(list.first()?.as_object()?);
        let reason = "it is one list, and is to be an object on each line";
        return has_labels.then(|| reason.to_owned());
    }
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    let object: Map<String, Value> = serde_json::from_str(first).ok()?;
    let is_right = object.contains_key(IMAGE) && object.contains_key(LABEL);
    (!is_right && is_labeled(&object)).then(|| {
        format!(
            "its first line is `{}`, and the keys are to be `{IMAGE}` and `{LABEL}`",
            json_label::shortened(first.trim())
        )
    })
}
