//! The run directory.
//!
//! ```text
//! config.toml            the resolved configuration, defaults written out
//! metrics.jsonl          one JSON object per line
//! events.out.tfevents.*  the same for TensorBoard
//! checkpoints/           step-000001234.safetensors: the newest two and every n-th
//! encoder.safetensors    the encoder alone, under timm's names
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use burn::module::Module;
use semaim_checkpoint::atomic;
use semaim_config::{Layers, Validate, to_toml};
use serde::Serialize;
use toml::{Table, Value};

use crate::config::RESUMABLE_KEYS;
use crate::error::TrainError;
use crate::state::TrainState;

/// A run directory that this process has to itself.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Held for the life of the process; the operating system lets go of it even after a kill.
    _lock: File,
}

impl RunDir {
    /// Opens a run directory, creating it if need be.
    ///
    /// # Errors
    /// A folder that cannot be written, is in use, holds something else, holds another experiment, or one whose
    /// configuration uses names of settings that have been renamed since.
    pub fn open<C: Serialize + Validate>(path: &Path, config: &C) -> Result<Self, TrainError> {
        let io = |action, path: &Path| {
            let path = path.to_path_buf();
            move |source| TrainError::Io {
                action,
                path,
                source,
            }
        };
        let config_path = path.join("config.toml");
        let is_run = config_path.exists();
        if !is_run && path.exists() {
            let mut entries = fs::read_dir(path).map_err(io("reading", path))?;
            // A run that died before its configuration was written leaves only its lock behind.
            if entries.any(|entry| !entry.is_ok_and(|e| e.file_name() == "run.lock")) {
                return Err(TrainError::NotARun {
                    path: path.to_path_buf(),
                });
            }
        }
        let text = to_toml(config)?;
        if is_run {
            let before = fs::read_to_string(&config_path).map_err(io("reading", &config_path))?;
            Layers::new()
                .text(config_path.display().to_string(), &before)?
                .refuse_renamed::<C>()?;
            let differences =
                differences(&table(&config_path, &before)?, &table(&config_path, &text)?);
            if !differences.is_empty() {
                return Err(TrainError::OtherExperiment {
                    path: path.to_path_buf(),
                    differences: differences.join(", "),
                });
            }
        }
        fs::create_dir_all(path.join("checkpoints")).map_err(io("creating", path))?;
        let lock_path = path.join("run.lock");
        let lock = File::create(&lock_path).map_err(io("writing", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(TrainError::RunInUse {
                    path: path.to_path_buf(),
                });
            }
            Err(TryLockError::Error(source)) if source.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => return Err(io("locking", &lock_path)(source)),
        }
        let header = format!(
            "# semaim {}: the configuration of this run, with every default written out.\n",
            env!("CARGO_PKG_VERSION")
        );
        atomic::write_bytes(&config_path, format!("{header}{text}").as_bytes())
            .map_err(io("writing", &config_path))?;
        Ok(Self {
            path: path.to_path_buf(),
            _lock: lock,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `encoder.safetensors`.
    pub fn encoder(&self) -> PathBuf {
        self.path.join("encoder.safetensors")
    }

    /// `metrics.jsonl`.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// `checkpoints/`.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Writes the state as the latest checkpoint and removes those that need not be kept: all but the newest two
    /// and those of which `keep` says that they stay.
    ///
    /// # Errors
    /// A device or the file system.
    pub fn save<M: Module>(
        &self,
        state: &TrainState<M>,
        keep: impl Fn(u64) -> bool,
    ) -> Result<PathBuf, TrainError> {
        let path = self
            .checkpoints()
            .join(format!("step-{:09}.safetensors", state.counts.step));
        state.save(&path)?;
        let mut steps = self.steps()?;
        steps.retain(|(step, _)| *step <= state.counts.step);
        for (step, old) in steps.iter().rev().skip(2) {
            if !keep(*step) {
                fs::remove_file(old).map_err(|source| TrainError::Io {
                    action: "removing",
                    path: old.clone(),
                    source,
                })?;
            }
        }
        Ok(path)
    }

    /// The latest state that can be read, or `None` where there is no checkpoint yet. Damaged newer ones are
    /// warned of and set aside under another name.
    ///
    /// # Errors
    /// When there are checkpoints and none can be read.
    pub fn latest_checkpoint<M: Module>(
        &self,
        initial_state: &TrainState<M>,
    ) -> Result<Option<TrainState<M>>, TrainError> {
        let mut reasons = Vec::new();
        for (_, path) in self.steps()?.iter().rev() {
            match initial_state.clone().load(path) {
                Ok(state) => {
                    return Ok(Some(state));
                }
                Err(error) => {
                    tracing::warn!("{error}; going back to the checkpoint before it");
                    let aside = path.with_extension("safetensors.damaged");
                    fs::rename(path, &aside).map_err(|source| TrainError::Io {
                        action: "renaming",
                        path: path.clone(),
                        source,
                    })?;
                    reasons.push(error.to_string());
                }
            }
        }
        if reasons.is_empty() {
            return Ok(None);
        }
        Err(TrainError::NoGoodCheckpoint {
            path: self.checkpoints(),
            reasons: reasons.join("; "),
        })
    }

    /// The checkpoints there are, by step.
    fn steps(&self) -> Result<Vec<(u64, PathBuf)>, TrainError> {
        checkpoints(&self.path)
    }
}

/// The checkpoints in a run directory, by step; the directory need not be ours alone.
///
/// # Errors
/// The file system.
pub fn checkpoints(run: &Path) -> Result<Vec<(u64, PathBuf)>, TrainError> {
    let folder = run.join("checkpoints");
    let failed = |source| TrainError::Io {
        action: "reading",
        path: folder.clone(),
        source,
    };
    let mut steps = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let step = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_prefix("step-")?.strip_suffix(".safetensors"))
            .and_then(|number| number.parse().ok());
        if let Some(step) = step {
            steps.push((step, path));
        }
    }
    steps.sort();
    Ok(steps)
}

fn table(path: &Path, text: &str) -> Result<Table, TrainError> {
    text.parse()
        .map_err(|error: toml::de::Error| TrainError::Damaged {
            path: path.to_path_buf(),
            message: error.message().to_string(),
        })
}

/// Settings of two resolved configurations that differ and matter, with both values.
fn differences(before: &Table, now: &Table) -> Vec<String> {
    let (before, now) = (leaves(before), leaves(now));
    let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let said = |value: Option<&Value>| value.map_or("not set".to_string(), Value::to_string);
    keys.into_iter()
        .filter(|key| !is_resumable(key))
        .filter(|key| before.get(*key) != now.get(*key))
        .map(|key| {
            let (before, now) = (before.get(key), now.get(key));
            format!("{key} ({} then, {} now)", said(before), said(now))
        })
        .collect()
}

/// Whether a setting may change when a run goes on.
fn is_resumable(key: &str) -> bool {
    RESUMABLE_KEYS.iter().any(|resumable| {
        key.strip_prefix(resumable)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
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

    #[test]
    fn only_differences_that_matter_are_named() {
        let config = PretrainConfig::default();
        let table = |config: &PretrainConfig| to_toml(config).unwrap().parse::<Table>().unwrap();
        let before = table(&config);
        let mut other = config.clone();
        other.data.workers = 7;
        other.log.every_steps = 1;
        other.eval.knn_k = 3;
        assert!(differences(&before, &table(&other)).is_empty());
        other.seed = 5;
        other.model.image_size = [32, 64];
        let found = differences(&before, &table(&other));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("model.image_size (["), "{found:?}");
        assert_eq!(found[1], "seed (0 then, 5 now)");
    }

    #[test]
    fn a_folder_of_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("holiday.jpg"), b"x").unwrap();
        let refused = RunDir::open(folder.path(), &PretrainConfig::default());
        assert!(matches!(refused, Err(TrainError::NotARun { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_process_at_a_time_and_one_experiment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let config = PretrainConfig::default();
        let first = RunDir::open(&path, &config).unwrap();
        assert!(matches!(
            RunDir::open(&path, &config),
            Err(TrainError::RunInUse { .. })
        ));
        drop(first);
        RunDir::open(&path, &config).unwrap();
        let other = PretrainConfig { seed: 1, ..config };
        let refused = RunDir::open(&path, &other).unwrap_err();
        assert!(
            refused.to_string().contains("seed (0 then, 1 now)"),
            "{refused}"
        );
    }
}
