//! Values that a layer gave and the configuration does not hold.

use crate::error::ConfigError;
use crate::key::{Step, dotted, join};
use crate::known::KnownKeys;
use crate::node::{Node, Value};
use crate::origin::{Origin, Origins};

/// Compares the merged layers with what the configuration read from them writes. A type may drop
/// a value without a word: some read a whole table and take out what they know. Such a value is
/// an unknown key, unless the key is one of those that the type has named, when it belongs to
/// another variant of an enum and is merely unused.
pub(crate) fn find_unused(
    tree: &Node,
    written: &Node,
    known: &KnownKeys<'_>,
    errors: &mut Vec<ConfigError>,
) -> Origins {
    let mut dropped = Vec::new();
    compare(tree, written, &mut Vec::new(), &mut dropped);
    let mut unused = Vec::new();
    for Dropped {
        key,
        origin,
        siblings,
    } in dropped
    {
        if known.contains(&key) {
            unused.push((key, origin));
        } else {
            let nearest = known.nearest(&key, &siblings);
            errors.push(ConfigError::UnknownKey {
                key,
                origin,
                nearest,
            });
        }
    }
    unused.into_iter().collect()
}

struct Dropped {
    key: String,
    origin: Origin,
    /// The keys that were kept beside it.
    siblings: Vec<String>,
}

fn compare(given: &Node, written: &Node, path: &mut Vec<Step>, dropped: &mut Vec<Dropped>) {
    match (&given.value, &written.value) {
        (Value::Table(given), Value::Table(written)) => {
            for (key, node) in given {
                path.push(Step::Key(key.clone()));
                match written.get(key) {
                    Some(written) => compare(node, written, path, dropped),
                    None if node.is_set() => {
                        let table = dotted(path.split_last().map_or(&[], |(_, table)| table));
                        dropped.push(Dropped {
                            key: dotted(path),
                            origin: node.origin.clone(),
                            siblings: written.keys().map(|key| join(&table, key)).collect(),
                        });
                    }
                    None => {}
                }
                path.pop();
            }
        }
        (Value::Array(given), Value::Array(written)) if given.len() == written.len() => {
            for (index, (given, written)) in given.iter().zip(written).enumerate() {
                path.push(Step::Index(index));
                compare(given, written, path, dropped);
                path.pop();
            }
        }
        // A type may write a value in another form than the one it read.
        _ => {}
    }
}
