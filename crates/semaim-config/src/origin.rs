//! Where a value was written.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The place that decided a value.
///
/// Displays as `default`, `recipes/x.toml:12` or `--set train.epochs=100`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// No layer named the key: the type's own default holds.
    Default,
    /// A file, or a named text such as a built-in recipe.
    Text {
        /// The file's path, or the name the text was given.
        layer: Arc<str>,
        /// Line of the key (of the element, inside an array), from 1.
        line: usize,
        /// Column of the same, in characters, from 1.
        column: usize,
    },
    /// An override, as it was given: `train.epochs=100`.
    Set(Arc<str>),
}

impl Origin {
    /// Whether both come from the same layer, at whatever line.
    pub(crate) fn same_layer(&self, other: &Origin) -> bool {
        match (self, other) {
            (Origin::Text { layer: a, .. }, Origin::Text { layer: b, .. }) => a == b,
            (a, b) => a == b,
        }
    }

    /// Line and column, `(0, 0)` when the origin has none.
    pub(crate) fn position(&self) -> (usize, usize) {
        match self {
            Origin::Text { line, column, .. } => (*line, *column),
            Origin::Default | Origin::Set(_) => (0, 0),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Text { layer, line, .. } => write!(f, "{layer}:{line}"),
            Origin::Set(text) => write!(f, "--set {text}"),
        }
    }
}

/// The origin of every value of a loaded configuration, by dotted key.
///
/// An array is one value. An optional value that nobody set has no entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// The origin of the value at a dotted key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Origin> {
        self.0.get(key)
    }

    /// Every key with its origin, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.0.iter().map(|(key, origin)| (key.as_str(), origin))
    }

    /// The keys that some layer named, with their origins, in alphabetical order.
    pub fn changed(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.iter()
            .filter(|(_, origin)| **origin != Origin::Default)
    }
}

impl FromIterator<(String, Origin)> for Origins {
    fn from_iter<I: IntoIterator<Item = (String, Origin)>>(leaves: I) -> Self {
        Origins(leaves.into_iter().collect())
    }
}
