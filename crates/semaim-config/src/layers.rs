//! Layers of settings, and what they come to.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::decode::decode;
use crate::error::{ConfigError, ConfigErrors};
use crate::key;
use crate::known::KnownKeys;
use crate::node::Node;
use crate::origin::{Origin, Origins};
use crate::overrides::parse_set;
use crate::parse::{parse_plain, parse_text};
use crate::unused::find_unused;
use crate::validate::{Problems, Validate};
use crate::write::to_toml;

/// Layers of settings over a type's defaults, from the lowest up.
///
/// A later layer overrides an earlier one key by key: tables merge, scalars and arrays replace.
/// The variant of an enum that carries data is a table as well, so what one variant was given
/// stays when a later layer names another.
///
/// A value that a later layer overrides is not looked at beyond its key being valid.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    layers: Vec<Node>,
}

/// A configuration and where each of its values comes from.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The configuration, checked.
    pub config: T,
    /// The layer, file and line that decided each value.
    pub origins: Origins,
    /// What layers gave for another variant of an enum than the one that was chosen in the end.
    /// The keys are valid, but the configuration holds no such values.
    pub unused: Origins,
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
    /// [`ConfigError::Syntax`] and [`ConfigError::Duplicate`], one for each line that is wrong.
    pub fn text(mut self, name: impl Into<Arc<str>>, text: &str) -> Result<Self, ConfigErrors> {
        self.layers
            .push(parse_text(&name.into(), text).map_err(ConfigErrors)?);
        Ok(self)
    }

    /// Lays one override on top: `train.epochs=100`. The value is read as TOML and, where it is
    /// none, taken for the string it is: `data.path=/a b/c`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Override`] when there is no `=`, or no dotted key before it.
    pub fn set(mut self, assignment: &str) -> Result<Self, ConfigErrors> {
        self.layers.push(parse_set(assignment)?);
        Ok(self)
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
                Err(refused) => errors.extend(refused.0),
            }
        }
        if errors.is_empty() {
            Ok(self)
        } else {
            Err(ConfigErrors(errors))
        }
    }

    /// Whether a layer uses a key that has another name in `T` today, and nothing else: for configurations that were
    /// written by an earlier version and are compared, not loaded.
    ///
    /// # Errors
    ///
    /// [`ConfigError::RenamedKey`] for each.
    pub fn refuse_renamed<T: Validate>(&self) -> Result<(), ConfigErrors> {
        let renamed = T::renamed_keys();
        let found = self.layers.iter().flat_map(|layer| {
            renamed.iter().filter_map(|key| {
                let node = layer.find(&key::steps(&key.old))?;
                Some(ConfigError::RenamedKey {
                    key: key.old.clone(),
                    origin: node.origin.clone(),
                    new: key.new.clone(),
                })
            })
        });
        let found: Vec<_> = found.collect();
        if found.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors(found))
        }
    }

    /// Merges the layers over `T::default()`, reads the result as a `T` and checks it.
    ///
    /// A value that `T` refuses is set aside for its default, so that the rest can still be read
    /// and checked; what the check then finds is reported where it blames a value some layer set.
    ///
    /// # Errors
    ///
    /// Every problem found, in the order of the layers and lines: [`ConfigError::UnknownKey`],
    /// [`ConfigError::RenamedKey`], [`ConfigError::MissingKey`], [`ConfigError::WrongType`], [`ConfigError::UnknownChoice`] and
    /// [`ConfigError::OutOfRange`]. [`ConfigError::Unwritable`] and [`ConfigError::Unreadable`]
    /// when `T` itself is at fault.
    pub fn load<T>(&self) -> Result<Loaded<T>, ConfigErrors>
    where
        T: Serialize + DeserializeOwned + Default + Validate,
    {
        let defaults = written(&T::default())?;
        let renamed = T::renamed_keys();
        let known = KnownKeys::new(&defaults, T::optional_keys(), &renamed);
        let mut errors = Vec::new();
        let mut tree = defaults.clone();
        for layer in &self.layers {
            let mut layer = layer.clone();
            known.strip_unknown(&mut layer, &mut errors);
            tree.merge(layer);
        }
        let config = decode::<T>(&mut tree, &defaults, &known, &mut errors);
        if let Some(config) = config {
            let written = written(&config)?;
            let unused = find_unused(&tree, &written, &known, &mut errors);
            check(&config, &tree, &mut errors);
            if errors.is_empty() {
                let leaves = written.leaves().into_iter();
                let origins = leaves
                    .map(|(key, _)| {
                        let origin = origin_of(&tree, &key);
                        (key, origin)
                    })
                    .collect();
                return Ok(Loaded {
                    config,
                    origins,
                    unused,
                });
            }
        }
        errors.sort_by_key(|error| self.rank(error));
        Err(ConfigErrors(errors))
    }

    /// Sorts by layer, then by line and column; what no layer wrote comes last.
    fn rank(&self, error: &ConfigError) -> (usize, (usize, usize)) {
        let Some(origin) = error.origin() else {
            return (usize::MAX, (0, 0));
        };
        let layer = self
            .layers
            .iter()
            .position(|layer| layer.origin.same_layer(origin));
        (layer.unwrap_or(usize::MAX), origin.position())
    }
}

/// What a configuration writes, as a tree.
fn written<T: Serialize>(config: &T) -> Result<Node, ConfigErrors> {
    parse_plain(&to_toml(config)?, &Origin::Default)
        .ok_or_else(|| ConfigError::Unreadable("it is no TOML".to_owned()).into())
}

/// Reports what the configuration finds wrong with itself.
fn check<T: Validate>(config: &T, tree: &Node, errors: &mut Vec<ConfigError>) {
    let mut problems = Problems::new();
    config.check(&mut problems);
    // Where other values have been set aside, one that nobody set may be blamed for nothing.
    let is_partial = !errors.is_empty();
    for problem in problems.into_found() {
        let origin = origin_of(tree, &problem.key);
        if is_partial && origin == Origin::Default {
            continue;
        }
        let (key, message) = (problem.key, problem.message);
        errors.push(ConfigError::OutOfRange {
            key,
            origin,
            message,
        });
    }
}

/// The origin of the value at a key; a place that an array lacks counts as the array.
fn origin_of(tree: &Node, key: &str) -> Origin {
    let steps = key::steps(key);
    let is_key = |step: &&key::Step| matches!(step, key::Step::Key(_));
    let keys = steps.iter().take_while(is_key).count();
    match (
        tree.find(&steps),
        steps.get(..keys).and_then(|keys| tree.find(keys)),
    ) {
        (Some(node), _) | (None, Some(node)) => node.origin.clone(),
        (None, None) => Origin::Default,
    }
}
