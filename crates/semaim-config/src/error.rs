//! What can be wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

use crate::nearest::is_close;
use crate::source::Origin;

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
    /// A text is no TOML, or gives the same key twice.
    #[error("{origin}:{column}: {message}: `{source_line}`")]
    Syntax {
        /// Where.
        origin: Origin,
        /// Column of the same, in characters, from 1.
        column: usize,
        /// What the parser says.
        message: String,
        /// The offending line, trimmed.
        source_line: String,
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
    /// A value stands where the configuration has a table.
    #[error("{origin}: `{key}` is a table; set one of its keys, as in `{key}.KEY = VALUE`")]
    NotATable {
        /// The dotted key.
        key: String,
        /// Where it stands.
        origin: Origin,
    },
    /// The type of a key refuses the value: it is of another type, none of the names that are allowed, …
    #[error("{origin}: `{key}`: {message}")]
    Refused {
        /// The dotted key; inside an array, as in `variants[1].name`.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// What the type says.
        message: String,
    },
    /// A value is of the right type, but not allowed, by itself or beside another value.
    #[error("{}`{key}` {message}{}", written_at(origin), default_clause(origin))]
    OutOfRange {
        /// The dotted key.
        key: String,
        /// Where it stands; [`Origin::Default`] when nobody set it.
        origin: Origin,
        /// What is wrong, to be read after the key: `must be at least 1, is 0`.
        message: String,
    },
    /// A configuration holds an integer that TOML does not have: what is written could not be read.
    #[error("`{key}` {message}")]
    BeyondToml {
        /// The dotted key.
        key: String,
        /// What is wrong, to be read after the key: `must be at most …, is …`.
        message: String,
    },
    /// A configuration type cannot be written as TOML, which is a mistake in the type.
    #[error("the configuration cannot be written as TOML: {0}")]
    Unwritable(#[from] toml::ser::Error),
    /// What a configuration type writes cannot be read back, which is a mistake in the type.
    #[error("the configuration cannot be read back from TOML: {0}")]
    Unreadable(String),
}

/// Everything found wrong, in the order of the layers and of the lines in them; never empty.
/// Displays one problem a line.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    /// An error, unless nothing was found.
    pub(crate) fn unless_empty(found: Vec<ConfigError>) -> Result<(), Self> {
        match found.is_empty() {
            true => Ok(()),
            false => Err(Self(found)),
        }
    }
}

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

fn nearest_clause(key: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) if is_close(key, nearest) => format!("; did you mean `{nearest}`?"),
        Some(nearest) => format!("; the nearest valid key is `{nearest}`"),
        None => String::new(),
    }
}

fn written_at(origin: &Origin) -> String {
    match origin {
        Origin::Default => String::new(),
        written => format!("{written}: "),
    }
}

fn default_clause(origin: &Origin) -> &'static str {
    match origin {
        Origin::Default => " (by default: nothing sets it)",
        _ => "",
    }
}
