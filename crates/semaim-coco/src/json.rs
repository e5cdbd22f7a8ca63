//! Reading a file of JSON, with the entry and field that is wrong.

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::CocoError;

/// What programs write for numbers that JSON does not have.
const NO_NUMBERS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];

/// Reads a whole file. `list` names the entries of a file that is a list at its top.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, list: &str) -> Result<T, CocoError> {
    let bytes = fs::read(path).map_err(|source| CocoError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut deserializer = serde_json::Deserializer::from_slice(&bytes);
    let wrong = |place: String, error: &serde_json::Error| CocoError::Json {
        path: path.to_owned(),
        place: match place.as_str() {
            "." => String::new(),
            indexed if indexed.starts_with('[') => format!("{list}{place}: "),
            _ => format!("{place}: "),
        },
        reason: match no_number(&bytes, error) {
            Some(word) => format!(
                "{word} is no number of JSON, at line {} column {}",
                error.line(),
                error.column()
            ),
            None => error.to_string(),
        },
    };
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| wrong(error.path().to_string(), error.inner()))?;
    deserializer
        .end()
        .map_err(|error| wrong(".".into(), &error))?;
    Ok(value)
}

/// The word at which reading stopped, if it is one of [`NO_NUMBERS`].
fn no_number(bytes: &[u8], error: &serde_json::Error) -> Option<&'static str> {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .nth(error.line().checked_sub(1)?)?;
    // After a minus the column is that of the next character.
    let from = error.column().saturating_sub(3);
    let near = line.get(from..line.len().min(from + 16))?;
    let found = |word: &&&str| {
        near.windows(word.len())
            .take(4)
            .any(|part| part == word.as_bytes())
    };
    NO_NUMBERS.iter().find(found).copied()
}
