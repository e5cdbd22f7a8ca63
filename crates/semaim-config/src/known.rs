//! Which keys are valid.

use std::collections::BTreeSet;

use crate::error::ConfigError;
use crate::key::join;
use crate::nearest::nearest_key;
use crate::node::{Node, Value};
use crate::validate::RenamedKey;

/// The keys of a configuration type: those its defaults write and those it lists as optional.
pub(crate) struct KnownKeys<'a> {
    defaults: &'a Node,
    optional: &'a [&'a str],
    renamed: &'a [RenamedKey],
    all: BTreeSet<String>,
}

impl<'a> KnownKeys<'a> {
    pub(crate) fn new(
        defaults: &'a Node,
        optional: &'a [&'a str],
        renamed: &'a [RenamedKey],
    ) -> Self {
        let mut all = BTreeSet::new();
        collect(defaults, "", &mut all);
        for key in optional {
            all.extend(key.match_indices('.').map(|(dot, _)| key[..dot].to_owned()));
            all.insert((*key).to_owned());
        }
        KnownKeys {
            defaults,
            optional,
            renamed,
            all,
        }
    }

    /// Whether the type has named the key, as a default or as optional.
    pub(crate) fn contains(&self, key: &str) -> bool {
        self.all.contains(key)
    }

    /// The valid key nearest to `key`; `siblings` are further ones that the type has told of.
    pub(crate) fn nearest(&self, key: &str, siblings: &[String]) -> Option<String> {
        nearest_key(key, self.all.iter().chain(siblings).map(String::as_str))
    }

    /// Takes the unknown keys out of a layer and reports each; of a table, only the table.
    pub(crate) fn strip_unknown(&self, layer: &mut Node, errors: &mut Vec<ConfigError>) {
        self.strip(layer, Some(self.defaults), "", errors);
    }

    fn strip(
        &self,
        node: &mut Node,
        default: Option<&Node>,
        path: &str,
        errors: &mut Vec<ConfigError>,
    ) {
        let Value::Table(table) = &mut node.value else {
            return;
        };
        let defaults = match default.map(|node| &node.value) {
            Some(Value::Table(table)) => Some(table),
            // A table where the type has a scalar: the type shall refuse it as a whole.
            Some(_) => return,
            None => None,
        };
        table.retain(|key, child| {
            let path = join(path, key);
            let default = defaults.and_then(|table| table.get(key));
            if default.is_none() {
                if self.optional.contains(&path.as_str()) {
                    return true;
                }
                if !self.all.contains(&path) {
                    let origin = child.origin.clone();
                    errors.push(match self.renamed.iter().find_map(|r| r.new_name(&path)) {
                        Some(new) => ConfigError::RenamedKey {
                            key: path,
                            origin,
                            new,
                        },
                        None => ConfigError::UnknownKey {
                            nearest: self.nearest(&path, &[]),
                            key: path,
                            origin,
                        },
                    });
                    return false;
                }
            }
            self.strip(child, default, &path, errors);
            true
        });
    }
}

fn collect(node: &Node, path: &str, all: &mut BTreeSet<String>) {
    if let Value::Table(table) = &node.value {
        for (key, child) in table {
            let path = join(path, key);
            collect(child, &path, all);
            all.insert(path);
        }
    }
}
