//! Whether a configuration is that of the experiment which a run directory holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use semaim_checkpoint::digest::sha256;
use semaim_config::{Validate, recorded};
use toml::{Table, Value};

use super::DataPlace;
use crate::config::RESUMABLE_KEYS;
use crate::error::TrainError;
use crate::start::StartRecord;

/// The settings that name data, of whatever is trained: data sets, and what belongs to their images.
const DATA_KEYS: [&str; 12] = [
    "data",
    "data.path",
    "data.annotations",
    "data.images",
    "data.labels",
    "data.classes",
    "data.eval",
    "data.eval_annotations",
    "data.eval_images",
    "data.eval_labels",
    "detectron2.classes",
    "order.maps",
];

/// The settings that name the encoder's file, the second of probes.
const ENCODER_KEYS: [&str; 2] = ["encoder.weights", "weights"];

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
    /// Whether the earlier configuration lacks it, although every run writes it today.
    is_missing: bool,
}

impl Difference {
    fn is_one_of(&self, keys: &[&str]) -> bool {
        keys.contains(&self.key.as_str())
    }
}

/// Settings of two resolved configurations that differ and matter, with both values. What the earlier one does not have was
/// `unset`.
fn differences(before: &Table, now: &Table, unset: &Table) -> Vec<Difference> {
    let (before, now, unset) = (leaves(before), leaves(now), leaves(unset));
    let all = before.keys().chain(now.keys()).chain(unset.keys());
    let keys: BTreeSet<&String> = all.collect();
    let then = |key: &String| before.get(key).or(unset.get(key));
    let said = |value: Option<&Value>| value.map_or("not set".to_string(), Value::to_string);
    keys.into_iter()
        .filter(|key| !is_resumable(key))
        .filter(|key| then(key) != now.get(*key))
        .filter(|key| !is_lengthened(key, then(key), now.get(*key)))
        .map(|key| {
            let is_missing = !before.contains_key(key) && unset.contains_key(key);
            let (then, now) = (said(then(key)), said(now.get(key)));
            Difference {
                key: key.clone(),
                values: match is_missing {
                    true => format!("missing there, {then} by default; {now} now"),
                    false => format!("{then} then, {now} now"),
                },
                is_missing,
            }
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
        differences.retain(|difference| !difference.is_one_of(&DATA_KEYS));
    }
    let is_encoder = |difference: &Difference| difference.is_one_of(&ENCODER_KEYS);
    if differences.iter().any(is_encoder) && is_same_encoder(path, before, now)? {
        differences.retain(|difference| !is_encoder(difference));
    }
    match differences.as_slice() {
        [] => Ok(()),
        differences => Err(other_experiment(path, differences)),
    }
}

fn other_experiment(path: &Path, differences: &[Difference]) -> TrainError {
    let all = |keys: &[&str]| differences.iter().all(|one| one.is_one_of(keys));
    let said = |one: &Difference| format!("{} ({})", one.key, one.values);
    TrainError::OtherExperiment {
        path: path.to_path_buf(),
        differences: differences.iter().map(said).collect::<Vec<_>>().join(", "),
        advice: if differences.iter().any(|one| one.is_missing) {
            "What is missing in its config.toml was at its default if the run began before there was such a setting; otherwise the file \
             is damaged: put a good copy back, or give another --out"
        } else if all(&DATA_KEYS) {
            "If these are the same images in another place, add --data-moved; otherwise give another --out"
        } else if all(&ENCODER_KEYS) {
            "A file that has only moved is known by its SHA-256 if start.json there has one. Give another --out, or the encoder that it \
             was started with"
        } else {
            "Give another --out, or the settings it was started with"
        },
    }
}

/// Whether both configurations are of one encoder, wherever its file is: its checksum tells it.
///
/// # Errors
/// A record of the start that cannot be read.
fn is_same_encoder(run: &Path, before: &Table, now: &Table) -> Result<bool, TrainError> {
    match (before.get("encoder"), now.get("encoder")) {
        // A probe has the checksum among its settings.
        (Some(Value::String(then)), Some(Value::String(now))) => Ok(then == now),
        (_, Some(Value::Table(now))) => {
            let named = now.get("weights").and_then(Value::as_str);
            match (named, StartRecord::read(run)?) {
                (None | Some(""), _) | (_, None) => Ok(false),
                (Some(named), Some(start)) => Ok(is_file_of(&start, Path::new(named))),
            }
        }
        _ => Ok(false),
    }
}

/// Whether what is named is the file that a run started from, or the folder that holds it. What is gone is known by its name.
fn is_file_of(start: &StartRecord, named: &Path) -> bool {
    let file = match (named.is_dir(), start.weights.file_name()) {
        (true, Some(name)) => named.join(name),
        _ => named.to_path_buf(),
    };
    match file.exists() {
        true => sha256(&file).is_ok_and(|sha256| sha256 == start.sha256),
        false => start.weights.starts_with(named),
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
    use std::fs;
    use std::path::PathBuf;

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
        other.eval.pictures = 3;
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
        assert_eq!(
            found[0].values,
            "missing there, \"f32\" by default; \"bf16\" now"
        );
    }

    #[test]
    fn a_file_that_was_cut_is_said_to_lack_settings() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let unset = table(&to_toml(&PretrainConfig::default()).unwrap());
        let mut config = PretrainConfig::default();
        config.train.epochs = 60;
        config.optimizer.base_lr = 0.5;
        let text = to_toml(&config).unwrap();
        let (whole, cut) = (table(&text), table(&text[..text.find("[train]").unwrap()]));
        let check = |now: &Table| {
            let run = Path::new("run");
            let checked = check_same(run, &cut, now, &unset, DataPlace::Recorded);
            checked.map_err(|error| error.to_string())
        };
        let said = check(&whole).unwrap_err();
        for part in [
            "train.epochs (missing there, 20 by default; 60 now)",
            "optimizer.base_lr (missing there,",
            "the file is damaged",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("20 then"), "{said}");
        // What is at its default was so then, too.
        assert_eq!(check(&unset), Ok(()));
    }

    #[test]
    fn all_that_names_data_may_have_moved() {
        let at = |place: &str| {
            let mut config = PretrainConfig::default();
            config.data.path = format!("/{place}/train").as_str().into();
            config.data.eval = format!("/{place}/val").as_str().into();
            config.order.maps = format!("/{place}/maps").into();
            to_toml(&config).unwrap().parse::<Table>().unwrap()
        };
        let (then, now) = (at("then"), at("now"));
        let check = |data: DataPlace| {
            let checked = check_same(Path::new("run"), &then, &now, &Table::new(), data);
            checked.map_err(|error| error.to_string())
        };
        let refused = check(DataPlace::Recorded).unwrap_err();
        assert!(
            refused.contains("order.maps") && refused.contains("--data-moved"),
            "{refused}"
        );
        assert_eq!(check(DataPlace::Moved), Ok(()));
    }

    #[test]
    fn an_encoder_is_told_by_its_checksum_wherever_its_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let weights = |name: &str| {
            let mut config = PretrainConfig::default();
            config.encoder.weights = match name {
                "" => PathBuf::new(),
                name => at(name),
            };
            to_toml(&config).unwrap().parse::<Table>().unwrap()
        };
        for (name, content) in [("run", "a"), ("same", "a"), ("other", "b")] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("encoder.safetensors"), content).unwrap();
        }
        let file = at("run").join("encoder.safetensors");
        let start = StartRecord {
            sha256: sha256(&file).unwrap(),
            weights: file,
            layout: "semaim".into(),
            step: Some(10),
            notes: Vec::new(),
        };
        let out = at("out");
        fs::create_dir(&out).unwrap();
        let is_accepted = |name: &str| {
            let (then, now) = (weights("run"), weights(name));
            check_same(&out, &then, &now, &Table::new(), DataPlace::Recorded).is_ok()
        };
        // Nothing is known of the file yet.
        assert!(is_accepted("run") && !is_accepted("same"));
        start.write(&out).unwrap();
        assert!(is_accepted("same") && is_accepted("same/encoder.safetensors"));
        for name in ["other", "other/encoder.safetensors", "nowhere", ""] {
            assert!(!is_accepted(name), "{name}");
        }
        // Of what is gone the name is left that it had.
        fs::remove_dir_all(at("run")).unwrap();
        for (name, is_known) in [("run", true), ("ru", false)] {
            let (then, now) = (weights("elsewhere"), weights(name));
            let checked = check_same(&out, &then, &now, &Table::new(), DataPlace::Recorded);
            assert_eq!(checked.is_ok(), is_known, "{name}");
        }
    }

    #[test]
    fn a_probe_has_the_checksum_of_its_encoder_among_its_settings() {
        let probe = |weights: &str, encoder: &str| {
            let text = format!("weights = \"{weights}\"\nencoder = \"{encoder}\"\n");
            text.parse::<Table>().unwrap()
        };
        let check = |now: &Table| {
            let (run, then) = (Path::new("run"), probe("/a", "123"));
            check_same(run, &then, now, &Table::new(), DataPlace::Recorded)
        };
        assert!(check(&probe("/b", "123")).is_ok());
        let refused = check(&probe("/b", "456")).unwrap_err().to_string();
        assert!(
            refused.contains("weights (\"/a\" then") && refused.contains("encoder (\"123\" then"),
            "{refused}"
        );
    }
}
