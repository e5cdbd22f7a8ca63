//! Configurations that a program recorded, perhaps an earlier version of it.

use toml::{Table, Value};

use crate::validate::{RenamedKey, Validate};

/// A recorded configuration, its keys under the names that `T` has for them today. Whoever writes settings is told of a new
/// name; what a program wrote means what it meant then.
///
/// # Errors
///
/// What is wrong with the text as TOML.
///
/// # Examples
///
/// ```
/// use semaim_config::{Problems, RenamedKey, Validate, recorded};
///
/// struct Experiment;
///
/// impl Validate for Experiment {
///     fn check(&self, _: &mut Problems) {}
///
///     fn renamed_keys() -> Vec<RenamedKey> {
///         vec![RenamedKey::new("train.lr", "learning_rate")]
///     }
/// }
///
/// let table = recorded::<Experiment>("[train]\nlr = 0.1\nepochs = 3")?;
/// assert_eq!(table.to_string(), "learning_rate = 0.1\n\n[train]\nepochs = 3\n");
/// # Ok::<(), toml::de::Error>(())
/// ```
pub fn recorded<T: Validate>(text: &str) -> Result<Table, toml::de::Error> {
    let mut table: Table = text.parse()?;
    for RenamedKey { old, new } in T::renamed_keys() {
        if let Some(value) = take(&mut table, &old) {
            put(&mut table, &new, value);
        }
    }
    Ok(table)
}

/// Takes out what stands at a dotted key.
fn take(table: &mut Table, dotted: &str) -> Option<Value> {
    match dotted.split_once('.') {
        None => table.remove(dotted),
        Some((first, rest)) => take(table.get_mut(first)?.as_table_mut()?, rest),
    }
}

/// Puts a value at a dotted key unless something stands there.
fn put(table: &mut Table, dotted: &str, value: Value) {
    match dotted.split_once('.') {
        None => {
            table.entry(dotted).or_insert(value);
        }
        Some((first, rest)) => {
            let below = table
                .entry(first)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Some(below) = below.as_table_mut() {
                put(below, rest, value);
            }
        }
    }
}
