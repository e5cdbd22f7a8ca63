//! The rows of a metadata file: which image has which label.

use serde_json::Value;

use crate::json_label;

/// What says of which image a row is: a path from the folder of the metadata file.
pub(super) const IMAGE: &str = "file_name";

/// What says the image's label.
pub(super) const LABEL: &str = "label";

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
}

impl Rows {
    /// Those of a table (`.csv`), or of a JSON object on each line.
    pub(super) fn of(text: &str, is_table: bool) -> Self {
        match is_table {
            true => read_table(text),
            false => read_objects(text),
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
    read.shorten_whole_numbers();
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
