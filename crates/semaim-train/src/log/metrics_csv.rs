//! `metrics.csv`: the numbers of `metrics.jsonl` as a table.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use semaim_checkpoint::atomic;
use serde_json::{Map, Value};

/// A table with a row for each entry of numbers, and a column for each name. What an entry does not have, or is not finite, is an
/// empty cell.
///
/// It is made of `metrics.jsonl` when a run begins or goes on, and whenever a name comes that it has no column for; so it holds
/// what that holds, however often a run was killed.
#[derive(Debug)]
pub(super) struct MetricsCsv {
    path: PathBuf,
    columns: Vec<String>,
    file: File,
}

impl MetricsCsv {
    /// Writes the table of these entries, over another if there is one.
    ///
    /// # Errors
    /// The file system.
    pub(super) fn of(path: &Path, entries: &[Value]) -> io::Result<Self> {
        let entries = || entries.iter().filter_map(numbers);
        let mut columns = vec!["step".to_string(), "epoch".to_string()];
        for name in entries().flat_map(Map::keys) {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        let mut text = columns.join(",") + "\n";
        text.extend(entries().map(|entry| row(&columns, entry)));
        atomic::write_bytes(path, text.as_bytes())?;
        Ok(Self {
            path: path.to_path_buf(),
            columns,
            file: OpenOptions::new().append(true).open(path)?,
        })
    }

    /// Adds an entry, if there is a column for each of its names; whether it did.
    ///
    /// # Errors
    /// The file system.
    pub(super) fn add(&mut self, entry: &Map<String, Value>) -> io::Result<bool> {
        let fits = entry.keys().all(|name| self.columns.contains(name));
        if fits {
            self.file.write_all(row(&self.columns, entry).as_bytes())?;
        }
        Ok(fits)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// An entry of numbers; `None` for one that tells of something that happened.
fn numbers(entry: &Value) -> Option<&Map<String, Value>> {
    entry
        .as_object()
        .filter(|entry| !entry.contains_key("event"))
}

fn row(columns: &[String], entry: &Map<String, Value>) -> String {
    let cell = |name: &String| match entry.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::Number(number)) if number.is_f64() => nine_digits(number.as_f64()),
        Some(value) => value.to_string(),
    };
    columns.iter().map(cell).collect::<Vec<_>>().join(",") + "\n"
}

/// A number to nine digits: in the last of seventeen, one that was read from the log may differ from the one that was written.
fn nine_digits(number: Option<f64>) -> String {
    let rounded = number.and_then(|number| format!("{number:.8e}").parse::<f64>().ok());
    rounded.map_or_else(String::new, |number| format!("{number:?}"))
}
