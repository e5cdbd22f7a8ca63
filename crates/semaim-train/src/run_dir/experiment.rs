//! Whether a configuration is that of the experiment which a run directory holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use semaim_config::{Validate, recorded};
use toml::{Table, Value};

use super::DataPlace;
use crate::config::RESUMABLE_KEYS;
use crate::error::TrainError;

/// The settings that name data sets.
const DATA_KEYS: [&str; 3] = ["data.path", "data.eval", "data"];

/// The setting that says by what a run was lengthened.
const LENGTHENED: &str = "train.extended_to";

/// A configuration file as a table, under today's names.
///
/// # Errors
/// [`TrainError::Damaged`].
pub(crate) fn table<C: Validate>(path: &Path, text: &str) -> Result<Table, TrainError> {
    recorded::<C>(text).map_err(|error| TrainError::Damaged {
        path: path.to_path_buf(),
        message: error.message().to_string(),
    })
}

/// A setting that differs.
struct Difference {
    key: String,
    /// Both values.
    values: String,
}

/// Settings of two resolved configurations that differ and matter, with both values. What the earlier one does not have was
/// `unset`.
fn differences(before: &Table, now: &Table, unset: &Table) -> Vec<Difference> {
    let (mut before, now) = (leaves(before), leaves(now));
    for (key, value) in leaves(unset) {
        before.entry(key).or_insert(value);
    }
    let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let said = |value: Option<&Value>| value.map_or("not set".to_string(), Value::to_string);
    keys.into_iter()
        .filter(|key| !is_resumable(key))
        .filter(|key| before.get(*key) != now.get(*key))
        .filter(|key| !is_lengthened(key, before.get(*key), now.get(*key)))
        .map(|key| Difference {
            key: key.clone(),
            values: format!("{} then, {} now", said(before.get(key)), said(now.get(key))),
        })
        .collect()
}

/// Refuses to go on with another experiment than the one that a run directory holds.
///
/// # Errors
/// [`TrainError::OtherExperiment`].
pub(super) fn check_same(
    path: &Path,
    before: &Table,
    now: &Table,
    unset: &Table,
    data: DataPlace,
) -> Result<(), TrainError> {
    let mut differences = differences(before, now, unset);
    if data == DataPlace::Moved {
        differences.retain(|difference| !DATA_KEYS.contains(&difference.key.as_str()));
    }
    match differences.as_slice() {
        [] => Ok(()),
        differences => Err(other_experiment(path, differences)),
    }
}

fn other_experiment(path: &Path, differences: &[Difference]) -> TrainError {
    let is_data = |difference: &Difference| DATA_KEYS.contains(&difference.key.as_str());
    let said = |Difference { key, values }: &Difference| format!("{key} ({values})");
    TrainError::OtherExperiment {
        path: path.to_path_buf(),
        differences: differences.iter().map(said).collect::<Vec<_>>().join(", "),
        advice: if differences.iter().all(is_data) {
            "If these are the same images in another place, add --data-moved; otherwise give another --out"
        } else {
            "Give another --out, or the settings it was started with"
        },
    }
}

/// Whether a setting may change when a run goes on.
fn is_resumable(key: &str) -> bool {
    RESUMABLE_KEYS.iter().any(|resumable| {
        key.strip_prefix(resumable)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Whether a setting says that the run is to be longer than before, and leaves its past as it was.
fn is_lengthened(key: &str, before: Option<&Value>, now: Option<&Value>) -> bool {
    let before = before.and_then(Value::as_array);
    let now = now.and_then(Value::as_array);
    let longer = before
        .zip(now)
        .is_some_and(|(before, now)| now.starts_with(before));
    key == LENGTHENED && longer
}

/// The values of a table and of those in it, by dotted key.
fn leaves(table: &Table) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (key, value) in table {
        match value {
            Value::Table(table) => {
                let below = leaves(table);
                found.extend(below.into_iter().map(|(k, v)| (format!("{key}.{k}"), v)));
            }
            value => {
                found.insert(key.clone(), value.clone());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PretrainConfig;
    use semaim_config::to_toml;

    #[test]
    fn only_differences_that_matter_are_named() {
        let config = PretrainConfig::default();
        let table = |config: &PretrainConfig| to_toml(config).unwrap().parse::<Table>().unwrap();
        let before = table(&config);
        let mut other = config.clone();
        other.data.workers = 7;
        other.log.every_steps = 1;
        other.eval.knn_k = 3;
        let unset = table(&PretrainConfig::default());
        assert!(differences(&before, &table(&other), &unset).is_empty());
        other.train.extended_to = vec![30];
        assert!(differences(&before, &table(&other), &unset).is_empty());
        let shorter = differences(&table(&other), &before, &unset);
        assert_eq!(shorter[0].key, LENGTHENED);
        other.train.extended_to.clear();
        other.seed = 5;
        other.model.image_size = [32, 64];
        let found = differences(&before, &table(&other), &unset);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].key, "model.image_size");
        assert!(found[0].values.starts_with('['), "{}", found[0].values);
        assert_eq!(
            (&*found[1].key, &*found[1].values),
            ("seed", "0 then, 5 now")
        );
    }

    /// A setting that came after a run began is not another experiment while it is left alone.
    #[test]
    fn a_setting_that_came_later_is_unset_before() {
        let unset = to_toml(&PretrainConfig::default()).unwrap();
        let unset = unset.parse::<Table>().unwrap();
        let mut before = unset.clone();
        let train = before["train"].as_table_mut().unwrap();
        train.remove("precision").unwrap();
        assert!(differences(&before, &unset, &unset).is_empty());
        let mut now = unset.clone();
        now["train"]["precision"] = "bf16".into();
        let found = differences(&before, &now, &unset);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].values, "\"f32\" then, \"bf16\" now");
    }
}
