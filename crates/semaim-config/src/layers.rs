//! Layers of settings, and what they come to.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

use crate::error::{ConfigError, ConfigErrors};
use crate::keys::KnownKeys;
use crate::overrides::parse_set;
use crate::parse::check_syntax;
use crate::source::{Layer, Origin, Sources};
use crate::tree;
use crate::validate::{Problem, Problems, Validate};
use crate::write::to_toml;

/// Layers of settings over a type's defaults, from the lowest up.
///
/// A later layer overrides an earlier one key by key: tables merge, scalars and arrays replace.
/// A value that a later layer overrides is not looked at beyond its key being valid.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    layers: Vec<Layer>,
}

impl Layers {
    /// No layers: the defaults alone.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lays a TOML file on top. Errors name it by `path` as given.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Io`] when it cannot be read; else as [`Layers::text`].
    pub fn file(self, path: impl AsRef<Path>) -> Result<Self, ConfigErrors> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Io {
            path: path.to_owned(),
            source,
        })?;
        self.text(path.display().to_string(), &text)
    }

    /// Lays a TOML text on top, such as a built-in recipe. Errors name it by `name`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Syntax`], one for each line that is wrong.
    pub fn text(mut self, name: impl Into<Arc<str>>, text: &str) -> Result<Self, ConfigErrors> {
        let layer = Layer::text(name.into(), text);
        check_syntax(&layer)?;
        self.layers.push(layer);
        Ok(self)
    }

    /// Lays one override on top: `train.epochs=100`. The value is read as TOML and, where it is
    /// none, taken for the string it is: `data.path=/a b/c`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Override`] when there is no `=`, or no dotted key before it.
    pub fn set(self, assignment: &str) -> Result<Self, ConfigErrors> {
        self.sets([assignment])
    }

    /// Lays several overrides on top, the last one uppermost.
    ///
    /// # Errors
    ///
    /// As [`Layers::set`], for all that are malformed.
    pub fn sets<S: AsRef<str>>(
        mut self,
        assignments: impl IntoIterator<Item = S>,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        for assignment in assignments {
            match parse_set(assignment.as_ref()) {
                Ok(layer) => self.layers.push(layer),
                Err(refused) => errors.push(refused),
            }
        }
        ConfigErrors::unless_empty(errors)?;
        Ok(self)
    }

    /// Lays all of `upper` on top.
    #[must_use]
    pub fn under(mut self, upper: &Self) -> Self {
        self.layers.extend(upper.layers.iter().cloned());
        self
    }

    /// Whether a layer names the dotted key, or a table that it is.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Unreadable`], of layers that were not checked when they were laid.
    pub fn names(&self, key: &str) -> Result<bool, ConfigErrors> {
        let sources = Sources::new(self.layers.clone());
        let tables = sources.parse()?;
        Ok(tables
            .iter()
            .any(|table| tree::find(table.get_ref(), key).is_some()))
    }

    /// Merges the layers over `T::default()`, reads the result as a `T` and checks it.
    ///
    /// # Errors
    ///
    /// In the order of the layers and lines: all keys that `T` does not know ([`ConfigError::UnknownKey`],
    /// [`ConfigError::RenamedKey`]) or whose tables are none ([`ConfigError::NotATable`]), with the first value of a wrong
    /// type ([`ConfigError::Refused`]) or, where there is none, all that are out of range ([`ConfigError::OutOfRange`]): of what `T`
    /// allows, or of TOML's integers.
    /// [`ConfigError::Unwritable`] when TOML cannot hold `T`.
    pub fn load<T>(&self) -> Result<T, ConfigErrors>
    where
        T: Serialize + DeserializeOwned + Default + Validate,
    {
        self.read(out_of_range::<T>)
    }

    /// The same without checking the result: what it says before layers that follow from it are laid below.
    ///
    /// # Errors
    ///
    /// As [`Layers::load`], but for [`ConfigError::OutOfRange`].
    pub fn load_unchecked<T>(&self) -> Result<T, ConfigErrors>
    where
        T: Serialize + DeserializeOwned + Default + Validate,
    {
        self.read(|_, _, _, _| Vec::new())
    }

    fn read<T>(
        &self,
        check: impl Fn(&T, &DeTable<'_>, &Sources, bool) -> Vec<(usize, ConfigError)>,
    ) -> Result<T, ConfigErrors>
    where
        T: Serialize + DeserializeOwned + Default + Validate,
    {
        let defaults = Layer::defaults(to_toml(&T::default())?);
        let sources = Sources::new([vec![defaults], self.layers.clone()].concat());
        let mut tables = sources.parse()?.into_iter();
        let mut merged = tables
            .next()
            .unwrap_or_else(|| Spanned::new(0..0, DeTable::new()));
        let renamed = T::renamed_keys();
        let known = KnownKeys::new(merged.get_ref(), T::optional_keys(), &renamed);
        // Each with its place among all.
        let mut errors: Vec<(usize, ConfigError)> = Vec::new();
        for mut table in tables {
            known.strip_unknown(table.get_mut(), &sources, &mut errors);
            tree::merge(merged.get_mut(), table.into_inner());
        }
        let tree = merged.get_ref().clone();
        match serde_path_to_error::deserialize::<_, T>(Deserializer::from(merged)) {
            Ok(config) => {
                let problems = check(&config, &tree, &sources, !errors.is_empty());
                errors.extend(problems);
                if errors.is_empty() {
                    return Ok(config);
                }
            }
            Err(error) => {
                let key = error.path().to_string();
                let error = error.into_inner();
                let (place, origin) = sources.origin(error.span().map_or(0, |span| span.start));
                let refused = ConfigError::Refused {
                    key,
                    origin,
                    message: in_words(error.message()),
                };
                errors.push((place, refused));
            }
        }
        errors.sort_by_key(|(place, _)| *place);
        Err(ConfigErrors(
            errors.into_iter().map(|(_, error)| error).collect(),
        ))
    }
}

/// What a type says, with the name of a number's type, if it ends in one, in words.
fn in_words(message: &str) -> String {
    for (name, words) in [
        ("u64", "an integer from 0 on"),
        ("u32", "an integer from 0 on"),
        ("usize", "an integer from 0 on"),
        ("f64", "a number"),
        ("f32", "a number"),
    ] {
        if let Some(start) = message.strip_suffix(&format!("expected {name}")) {
            return format!("{start}expected {words}");
        }
    }
    message.to_owned()
}

/// What the configuration finds wrong with itself, each with its place among all errors. Where keys have been left out as
/// unknown (`is_partial`), defaults that nobody set may be blamed for nothing, and are not.
fn out_of_range<T: Validate>(
    config: &T,
    tree: &DeTable<'_>,
    sources: &Sources,
    is_partial: bool,
) -> Vec<(usize, ConfigError)> {
    let mut problems = Problems::new();
    config.check(&mut problems);
    let mut problems = problems.into_found();
    // What the type itself allows, it could not be read from again.
    for beyond in tree::beyond_toml(tree) {
        if problems.iter().all(|problem| problem.key != beyond.key) {
            problems.push(beyond);
        }
    }
    let errors = problems.into_iter().map(|problem| {
        let Problem { key, message } = problem;
        let (place, origin) = match tree::find(tree, &key) {
            Some(value) => sources.origin(value.span().start),
            None => (usize::MAX, Origin::Default),
        };
        let error = ConfigError::OutOfRange {
            key,
            origin,
            message,
        };
        (place, error)
    });
    errors
        .filter(|(place, _)| !is_partial || *place < usize::MAX)
        .collect()
}
