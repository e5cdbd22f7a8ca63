//! Which keys are valid.

use std::mem;

use toml::de::{DeTable, DeValue};

use crate::error::ConfigError;
use crate::nearest::nearest_key;
use crate::source::{Origin, Sources};
use crate::tree;
use crate::validate::RenamedKey;

/// The keys of a configuration type: those its defaults write and those it lists as optional.
pub(crate) struct KnownKeys<'a> {
    all: Vec<String>,
    /// Those that are tables.
    tables: Vec<String>,
    renamed: &'a [RenamedKey],
}

impl<'a> KnownKeys<'a> {
    pub(crate) fn new(
        defaults: &DeTable<'_>,
        optional: &[&str],
        renamed: &'a [RenamedKey],
    ) -> Self {
        let mut all = tree::keys(defaults);
        let is_table = |key: &&String| {
            tree::find(defaults, key).is_some_and(|value| value.get_ref().is_table())
        };
        let tables = all.iter().filter(is_table).cloned().collect();
        all.extend(optional.iter().map(ToString::to_string));
        Self {
            all,
            tables,
            renamed,
        }
    }

    /// Takes the unknown keys out of a layer and reports each; of a table, only the table. What is inside a value that
    /// is no table by default is the type's own business.
    pub(crate) fn strip_unknown(
        &self,
        layer: &mut DeTable<'_>,
        sources: &Sources,
        errors: &mut Vec<(usize, ConfigError)>,
    ) {
        self.strip(layer, "", sources, errors);
    }

    fn strip(
        &self,
        table: &mut DeTable<'_>,
        path: &str,
        sources: &Sources,
        errors: &mut Vec<(usize, ConfigError)>,
    ) {
        for (name, mut value) in mem::take(table) {
            let key = join(path, name.get_ref());
            let (place, origin) = sources.origin(value.span().start);
            let is_table = self.tables.contains(&key);
            match value.get_mut() {
                DeValue::Table(table) if is_table => self.strip(table, &key, sources, errors),
                _ if is_table => {
                    errors.push((place, ConfigError::NotATable { key, origin }));
                    continue;
                }
                _ if self.all.contains(&key) => {}
                _ => {
                    errors.push((place, self.unknown(key, origin)));
                    continue;
                }
            }
            table.insert(name, value);
        }
    }

    fn unknown(&self, key: String, origin: Origin) -> ConfigError {
        let new_name = |renamed: &RenamedKey| renamed.new_name(&key);
        match self.renamed.iter().find_map(new_name) {
            Some(new) => ConfigError::RenamedKey { key, origin, new },
            None => ConfigError::UnknownKey {
                nearest: nearest_key(&key, self.all.iter().map(String::as_str)),
                key,
                origin,
            },
        }
    }
}

/// Appends one key to a dotted path, quoted where TOML would want it quoted.
fn join(path: &str, key: &str) -> String {
    let dot = if path.is_empty() { "" } else { "." };
    if is_bare(key) {
        format!("{path}{dot}{key}")
    } else {
        format!("{path}{dot}{key:?}")
    }
}

/// Whether TOML takes the key without quotes.
pub(crate) fn is_bare(key: &str) -> bool {
    !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}
