//! The evaluations of a run's encoder, in its directory: one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use semaim::representation::Representation;
use serde_json::{Value, json};

use crate::args::EncoderArgs;

/// The file in a run directory.
const FILE: &str = "evaluations.jsonl";

/// An accuracy that was measured.
pub(crate) struct Evaluation<'a> {
    pub(crate) name: &'static str,
    /// The images, as named on the command line.
    pub(crate) data: &'a str,
    pub(crate) setting: String,
    pub(crate) top1: f64,
    pub(crate) top5: f64,
}

impl Evaluation<'_> {
    fn line(&self) -> Value {
        json!({
            "evaluation": self.name,
            "data": self.data,
            "setting": self.setting,
            "top1": self.top1,
            "top5": self.top5,
        })
    }
}

/// What an evaluation depends on, for people to read.
pub(crate) fn setting(first: &str, feature: Representation, encoder: &EncoderArgs) -> String {
    let feature = format!("{feature:?}").to_lowercase();
    match encoder.image_size {
        None => format!("{first}, {feature}"),
        Some([height, width]) => format!("{first}, {feature}, {height} x {width} px"),
    }
}

/// The log of a run directory, which no other process adds to as long as this is there.
pub(crate) struct EvaluationLog(File);

impl EvaluationLog {
    /// Waits for the log to be free; makes it where there is none.
    pub(crate) fn lock(run: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .read(true)
            .append(true)
            .open(run.join(FILE))?;
        file.lock()?;
        Ok(Self(file))
    }

    /// Adds an evaluation, unless the very same is there: one line, written at once.
    pub(crate) fn add(&mut self, evaluation: &Evaluation<'_>) -> io::Result<()> {
        let mut text = String::new();
        self.0.read_to_string(&mut text)?;
        let line = evaluation.line();
        if parse(&text).contains(&line) {
            return Ok(());
        }
        // A line that was torn when the machine failed stays alone.
        let start = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        self.0.write_all(format!("{start}{line}\n").as_bytes())
    }
}

/// The evaluations of a run directory, in the order in which they were made; empty where none was.
///
/// # Errors
/// A log that cannot be read.
pub(crate) fn read(run: &Path) -> io::Result<Vec<Value>> {
    match std::fs::read_to_string(run.join(FILE)) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The lines that are whole.
fn parse(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}
