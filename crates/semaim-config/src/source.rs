//! Where settings are written.
//!
//! The texts of all layers are numbered through, byte after byte, so that the span of a value, which the TOML parser
//! keeps, tells the layer and the line of it.

use std::fmt;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;

use crate::error::ConfigError;
use crate::tree;

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
        /// Line of the value, from 1.
        line: usize,
    },
    /// An override, as it was given: `train.epochs=100`.
    Set(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Text { layer, line } => write!(f, "{layer}:{line}"),
            Origin::Set(text) => write!(f, "--set {text}"),
        }
    }
}

/// One layer: a TOML text and where it is from.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    /// The place of its first line.
    place: Origin,
    pub(crate) toml: String,
}

impl Layer {
    pub(crate) fn defaults(toml: String) -> Self {
        let place = Origin::Default;
        Self { place, toml }
    }

    pub(crate) fn text(layer: Arc<str>, toml: &str) -> Self {
        let (place, toml) = (Origin::Text { layer, line: 1 }, toml.to_owned());
        Self { place, toml }
    }

    /// An override as it was given, and as TOML.
    pub(crate) fn set(given: &str, toml: String) -> Self {
        let place = Origin::Set(given.into());
        Self { place, toml }
    }

    /// The place of a byte.
    pub(crate) fn origin(&self, byte: usize) -> Origin {
        match &self.place {
            Origin::Text { layer, .. } => Origin::Text {
                layer: Arc::clone(layer),
                line: self.before(byte).matches('\n').count() + 1,
            },
            place => place.clone(),
        }
    }

    /// The column of a byte, in characters, from 1.
    pub(crate) fn column(&self, byte: usize) -> usize {
        let before = self.before(byte);
        before[before.rfind('\n').map_or(0, |newline| newline + 1)..]
            .chars()
            .count()
            + 1
    }

    fn before(&self, byte: usize) -> &str {
        self.toml.get(..byte).unwrap_or(&self.toml)
    }
}

/// All layers, numbered through.
pub(crate) struct Sources {
    layers: Vec<Layer>,
    /// The number of the first byte of each.
    starts: Vec<usize>,
}

impl Sources {
    pub(crate) fn new(layers: Vec<Layer>) -> Self {
        let starts = layers.iter().scan(0, |next, layer| {
            let start = *next;
            // One more, for a span at the end of a text.
            *next += layer.toml.len() + 1;
            Some(start)
        });
        Self {
            starts: starts.collect(),
            layers,
        }
    }

    /// The layers as tables, with spans that count through all of them.
    pub(crate) fn parse(&self) -> Result<Vec<Spanned<DeTable<'_>>>, ConfigError> {
        let mut tables = Vec::new();
        for (layer, start) in self.layers.iter().zip(&self.starts) {
            let mut table = DeTable::parse(&layer.toml)
                .map_err(|error| ConfigError::Unreadable(error.message().to_owned()))?;
            tree::shift(table.get_mut(), *start);
            tables.push(table);
        }
        Ok(tables)
    }

    /// What decided the value that begins at a byte, and where that stands among all: by layer, then by line; what no layer
    /// wrote comes last.
    pub(crate) fn origin(&self, byte: usize) -> (usize, Origin) {
        let after = self.starts.partition_point(|start| *start <= byte);
        let index = after.wrapping_sub(1);
        match (self.layers.get(index), self.starts.get(index)) {
            (Some(layer), Some(start)) if layer.place != Origin::Default => {
                (byte, layer.origin(byte - start))
            }
            _ => (usize::MAX, Origin::Default),
        }
    }
}
