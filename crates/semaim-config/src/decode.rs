//! The tree of values to the configuration type, with every refusal reported.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::deserializer::Reader;
use crate::error::ConfigError;
use crate::fault::Fault;
use crate::key::{Step, dotted, join};
use crate::known::KnownKeys;
use crate::nearest::nearest_name;
use crate::node::Node;

/// A refusal and the way to what was refused.
#[derive(Debug, Clone, PartialEq)]
struct Refusal {
    path: Vec<Step>,
    fault: Fault,
}

/// Reads a `T` from `tree`, and puts the default in place of every value that `T` refuses, so as
/// to find the next. Returns `None` where that does not help: the defaults themselves are
/// refused.
pub(crate) fn decode<T: DeserializeOwned>(
    tree: &mut Node,
    defaults: &Node,
    known: &KnownKeys<'_>,
    errors: &mut Vec<ConfigError>,
) -> Option<T> {
    // What was taken out and has no default: its absence is not to be reported on top.
    let mut removed: Vec<Vec<Step>> = Vec::new();
    // Every turn takes at least one layer's value out of the tree, so this ends.
    loop {
        let refusal = match attempt::<T>(tree) {
            Ok(config) => return Some(config),
            Err(refusal) => refusal,
        };
        let path = culprit::<T>(tree, defaults, &refusal);
        let error = describe(&path, &refusal.fault, tree, known);
        if !tree.reset(&path, Some(defaults)) {
            let key = dotted(&refusal.path);
            errors.push(ConfigError::Unreadable(format!(
                "`{key}` {}",
                refusal.fault
            )));
            return None;
        }
        if !is_consequence(&path, &refusal.fault, &removed) {
            errors.push(error);
        }
        if defaults.find(&path).is_none() {
            removed.push(path);
        }
    }
}

/// Whether a table is refused only for lack of something that has been taken out of it.
fn is_consequence(path: &[Step], fault: &Fault, removed: &[Vec<Step>]) -> bool {
    removed
        .iter()
        .any(|gone| match (gone.strip_prefix(path), fault) {
            (Some([Step::Key(key), ..]), Fault::Missing { name }) => key == name,
            (Some([_, ..]), _) => true,
            _ => false,
        })
}

fn attempt<T: DeserializeOwned>(tree: &Node) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(Reader::new(tree)).map_err(|error| {
        let path = existing_path(tree, error.path());
        Refusal {
            path,
            fault: error.into_inner(),
        }
    })
}

/// The path of an error, as far as it leads through the tree.
fn existing_path(tree: &Node, path: &serde_path_to_error::Path) -> Vec<Step> {
    let mut steps = Vec::new();
    for segment in path.iter() {
        steps.push(match segment {
            Segment::Seq { index } => Step::Index(*index),
            Segment::Map { key } => Step::Key(key.clone()),
            Segment::Enum { variant } => Step::Key(variant.clone()),
            Segment::Unknown => break,
        });
        if tree.find(&steps).is_none() {
            steps.pop();
            break;
        }
    }
    steps
}

/// The path of the value to blame. A refusal is mostly met right at the value, but some types
/// (enums with an inner tag, flattened tables) read a whole table before they look into it; there
/// the value is to blame which, when it alone is taken back, makes the refusal go away.
fn culprit<T: DeserializeOwned>(tree: &Node, defaults: &Node, refusal: &Refusal) -> Vec<Step> {
    let path = &refusal.path;
    let node = tree.deepest(path);
    match &refusal.fault {
        Fault::Field { name, .. } => {
            let inside = [path.as_slice(), &[Step::Key(name.clone())]].concat();
            return if tree.find(&inside).is_some() {
                inside
            } else {
                path.clone()
            };
        }
        Fault::Missing { .. } => return path.clone(),
        _ => {}
    }
    let below = node.set_below(defaults.find(path));
    let mut blamed = below
        .into_iter()
        .map(|below| [path.as_slice(), &below].concat())
        .filter(|path| {
            let mut without = tree.clone();
            without.reset(path, Some(defaults));
            attempt::<T>(&without).as_ref().err() != Some(refusal)
        });
    match (blamed.next(), blamed.next()) {
        (Some(only), None) => only,
        _ => path.clone(),
    }
}

fn describe(path: &[Step], fault: &Fault, tree: &Node, known: &KnownKeys<'_>) -> ConfigError {
    let key = dotted(path);
    let origin = tree.deepest(path).origin.clone();
    match fault {
        Fault::Type { found, expected } => {
            let (found, expected) = (found.clone(), expected.clone());
            ConfigError::WrongType {
                key,
                origin,
                expected,
                found,
            }
        }
        Fault::Variant { found, allowed } => ConfigError::UnknownChoice {
            key,
            origin,
            found: found.clone(),
            nearest: nearest_name(found, allowed),
            allowed: allowed.clone(),
        },
        Fault::Field { allowed, .. } => {
            let table = dotted(path.get(..path.len().saturating_sub(1)).unwrap_or_default());
            let siblings: Vec<String> = allowed.iter().map(|name| join(&table, name)).collect();
            let nearest = known.nearest(&key, &siblings);
            ConfigError::UnknownKey {
                key,
                origin,
                nearest,
            }
        }
        Fault::Missing { name } => ConfigError::MissingKey {
            key: join(&key, name),
            origin,
        },
        Fault::Value { .. } | Fault::Length { .. } | Fault::Other(_) => ConfigError::OutOfRange {
            key,
            origin,
            message: fault.to_string(),
        },
    }
}
