//! What can be wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

use crate::fault::quoted_list;
use crate::nearest::is_close;
use crate::origin::Origin;

/// One thing that is wrong. Displays on one line, the place first.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A text is no TOML.
    #[error("{origin}:{}: {message}: `{source_line}`", origin.position().1)]
    Syntax {
        /// Where, to the column.
        origin: Origin,
        /// What the parser says.
        message: String,
        /// The offending line, trimmed.
        source_line: String,
    },
    /// A text gives the same key twice.
    #[error("{origin}: duplicate key `{key}`{}", first_line_clause(*first_line))]
    Duplicate {
        /// The dotted key (only its last segment inside an inline table).
        key: String,
        /// Where the key stands for the second time.
        origin: Origin,
        /// The line where it stands for the first time, where that is known.
        first_line: Option<usize>,
    },
    /// An override is not of the form `key=value`.
    #[error("{origin}: {message}")]
    Override {
        /// The override.
        origin: Origin,
        /// What is wrong with it.
        message: String,
    },
    /// The configuration has no such key.
    #[error("{origin}: unknown key `{key}`{}", nearest_clause(key, nearest.as_deref()))]
    UnknownKey {
        /// The dotted key.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// The nearest valid key; `None` only where there are no valid keys at all.
        nearest: Option<String>,
    },
    /// The key has another name today.
    #[error("{origin}: `{key}` is called `{new}` now")]
    RenamedKey {
        /// The dotted key as given.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// The dotted key to use.
        new: String,
    },
    /// A table that was given lacks a key it needs.
    #[error("{origin}: `{key}` is missing")]
    MissingKey {
        /// The dotted key that is missing.
        key: String,
        /// Where the table stands.
        origin: Origin,
    },
    /// A value is of another type than its key takes.
    #[error("{origin}: `{key}`: expected {expected}, found {found}")]
    WrongType {
        /// The dotted key.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// The type the key takes: `integer`, `table`, …
        expected: String,
        /// The type, and where it is short the value, that was given: `string "ten"`.
        found: String,
    },
    /// A string is none of the names its key takes.
    #[error(
        "{origin}: `{key}`: expected one of {}, found \"{found}\"{}",
        quoted_list(allowed),
        choice_clause(found, nearest.as_deref())
    )]
    UnknownChoice {
        /// The dotted key.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// What was given.
        found: String,
        /// Every name the key takes, in the type's order.
        allowed: Vec<String>,
        /// The allowed name nearest to what was given.
        nearest: Option<String>,
    },
    /// A value is of the right type, but not allowed, by itself or beside another value.
    #[error("{origin}: `{key}` {message}")]
    OutOfRange {
        /// The dotted key.
        key: String,
        /// Where it stands; [`Origin::Default`] when nobody set it.
        origin: Origin,
        /// What is wrong, to be read after the key: `must be at least 1, is 0`.
        message: String,
    },
    /// A configuration type cannot be written as TOML, which is a mistake in the type.
    #[error("the configuration cannot be written as TOML: {0}")]
    Unwritable(#[from] toml::ser::Error),
    /// The defaults of a configuration type cannot be read back, which is a mistake in the type.
    #[error("the default configuration cannot be read back from TOML: {0}")]
    Unreadable(String),
}

impl ConfigError {
    /// The place the error names, where it names one in a layer.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            ConfigError::Syntax { origin, .. }
            | ConfigError::Duplicate { origin, .. }
            | ConfigError::Override { origin, .. }
            | ConfigError::UnknownKey { origin, .. }
            | ConfigError::RenamedKey { origin, .. }
            | ConfigError::MissingKey { origin, .. }
            | ConfigError::WrongType { origin, .. }
            | ConfigError::UnknownChoice { origin, .. }
            | ConfigError::OutOfRange { origin, .. } => Some(origin),
            ConfigError::Io { .. } | ConfigError::Unwritable(_) | ConfigError::Unreadable(_) => {
                None
            }
        }
    }

    /// The dotted key the error names, where it names one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            ConfigError::Duplicate { key, .. }
            | ConfigError::UnknownKey { key, .. }
            | ConfigError::RenamedKey { key, .. }
            | ConfigError::MissingKey { key, .. }
            | ConfigError::WrongType { key, .. }
            | ConfigError::UnknownChoice { key, .. }
            | ConfigError::OutOfRange { key, .. } => Some(key),
            _ => None,
        }
    }
}

/// Everything found wrong, in the order of the layers and of the lines in them; never empty.
/// Displays one problem a line.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        ConfigErrors(vec![error])
    }
}

fn first_line_clause(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(", first given on line {line}"))
}

fn nearest_clause(key: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) if is_close(key, nearest) => format!("; did you mean `{nearest}`?"),
        Some(nearest) => format!("; the nearest valid key is `{nearest}`"),
        None => String::new(),
    }
}

fn choice_clause(found: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) if is_close(found, nearest) => format!("; did you mean \"{nearest}\"?"),
        Some(nearest) => format!("; the nearest is \"{nearest}\""),
        None => String::new(),
    }
}
