//! The run directory.
//!
//! ```text
//! config.toml            the resolved configuration, defaults written out
//! metrics.jsonl          one JSON object per line
//! metrics.csv            its numbers as a table
//! events.out.tfevents.*  the same for TensorBoard
//! checkpoints/           step-000001234.safetensors: the newest two and every n-th
//! latest_checkpoint      the name of the newest
//! encoder.safetensors    the encoder alone, under timm's names; encoder_ema.safetensors: that of the EMA copy
//! run.lock               held by the process that trains
//! ```

mod checkpoint_files;
mod experiment;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use burn::module::Module;
use semaim_checkpoint::atomic;
use semaim_checkpoint::error::TensorFileError;
use semaim_checkpoint::file_lock::lock;
use semaim_config::{Validate, to_toml};
use semaim_data::DataSpec;
use serde::Serialize;
use toml::{Table, Value};

use crate::config::RESUMABLE_KEYS;
use crate::error::TrainError;
use crate::ranks;
use crate::state::TrainState;
pub use checkpoint_files::checkpoints;
use checkpoint_files::{file_name, remove_abandoned};
use experiment::check_same;
pub(crate) use experiment::table;

/// The configuration's file.
const CONFIG: &str = "config.toml";
/// The file that is locked.
const LOCK: &str = "run.lock";
/// The folder of checkpoints.
const CHECKPOINTS: &str = "checkpoints";
/// The file that names the latest checkpoint: it stays where all of them are lost.
const LATEST: &str = "latest_checkpoint";

/// A configuration that a run directory records.
pub trait RunConfig: Serialize + Validate + Clone {
    /// The settings that name data sets.
    fn data_sets(&mut self) -> Vec<&mut String>;

    /// The settings that name other files and folders; empty ones name none.
    fn files(&mut self) -> Vec<&mut PathBuf>;

    /// All settings as they are where nothing is set, for runs that began before a setting came: its default is what was done
    /// then. `None` for a configuration without defaults.
    fn unset() -> Option<Self> {
        None
    }
}

/// Where a run's data sets are when it goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataPlace {
    /// Where they were.
    #[default]
    Recorded,
    /// Elsewhere: the same images under another path.
    Moved,
}

/// A run directory that this process has to itself.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Held for the life of the process; the operating system lets go of it even after a kill. A rank that is not the first
    /// has none: the first holds it for all.
    _lock: Option<File>,
    /// The configuration as it is to be recorded.
    config: String,
    /// The same where nothing is left to do: what may change of it as it was. `None`: as it is recorded.
    finished: Option<String>,
    /// Steps whose checkpoints earlier sittings kept for good, whatever this one keeps.
    kept_before: Vec<u64>,
}

impl RunDir {
    /// Opens a run directory, creating it if need be; of several [ranks] the first does, and the others wait for it.
    /// Its configuration is recorded with absolute paths, so that the same
    /// data named in another way is the same experiment.
    ///
    /// # Errors
    /// A folder that cannot be written, is in use, holds something else, holds another experiment, or a
    /// configuration that is damaged.
    pub fn open<C: RunConfig>(
        path: &Path,
        config: &C,
        data: DataPlace,
    ) -> Result<Self, TrainError> {
        let ranks = ranks::current();
        if ranks.is_root() {
            let opened = Self::open_alone(path, config, data)?;
            ranks.barrier();
            return Ok(opened);
        }
        ranks.barrier();
        Ok(Self {
            path: path.to_path_buf(),
            _lock: None,
            config: String::new(),
            finished: None,
            kept_before: Vec::new(),
        })
    }

    fn open_alone<C: RunConfig>(
        path: &Path,
        config: &C,
        data: DataPlace,
    ) -> Result<Self, TrainError> {
        let config_path = path.join(CONFIG);
        if !config_path.exists() && path.exists() && !holds_nothing(path)? {
            return Err(TrainError::NotARun {
                path: path.to_path_buf(),
            });
        }
        let mut config = config.clone();
        for data_set in config.data_sets() {
            *data_set = DataSpec::absolute(data_set);
        }
        for file in config.files() {
            if !file.as_os_str().is_empty() {
                *file = absolute(file);
            }
        }
        // A configuration that cannot be recorded leaves no folder.
        let text = to_toml(&config)?;
        let recorded = |text: &dyn std::fmt::Display| {
            format!(
                "# semaim {}: the configuration of this run, with every default written out.\n{text}",
                env!("CARGO_PKG_VERSION")
            )
        };
        fs::create_dir_all(path).map_err(io("creating", path))?;
        // Nobody else writes a configuration between the comparison and our own.
        let lock_path = path.join(LOCK);
        let lock = lock(&lock_path)
            .map_err(io("locking", &lock_path))?
            .ok_or_else(|| TrainError::RunInUse {
                path: path.to_path_buf(),
            })?;
        let mut finished = None;
        let mut keeps_otherwise = false;
        if config_path.exists() {
            let written = fs::read_to_string(&config_path).map_err(io("reading", &config_path))?;
            let before = table::<C>(&config_path, &written)?;
            let now = table::<C>(&config_path, &text)?;
            let unset = match C::unset() {
                Some(unset) => table::<C>(&config_path, &to_toml(&unset)?)?,
                None => Table::new(),
            };
            check_same(path, &before, &now, &unset, data)?;
            let kept_every = |config: &Table| {
                let checkpoint = config.get("checkpoint")?;
                checkpoint.get("keep_every_epochs")?.as_integer()
            };
            let [then, today] = [&before, &now].map(|config| kept_every(config).unwrap_or(0));
            keeps_otherwise = then > 0 && then != today;
            let kept = with_resumable_of(&before, now.clone());
            finished = match written.parse::<Table>() {
                Ok(written) if written == kept => None,
                _ if kept == now => Some(recorded(&text)),
                _ => Some(recorded(&kept)),
            };
        }
        let steps = match path.join(CHECKPOINTS).is_dir() {
            true => checkpoints(path)?,
            false => Vec::new(),
        };
        let opened = Self {
            path: path.to_path_buf(),
            _lock: Some(lock),
            config: recorded(&text),
            finished,
            kept_before: kept_for_good(&steps, keeps_otherwise),
        };
        // What a run that is there may change, such as its length, is recorded when it goes on.
        if !config_path.exists() {
            opened.accept()?;
        }
        // After the configuration, without which a folder that holds more than its lock is nobody's.
        let checkpoints = opened.checkpoints();
        fs::create_dir_all(&checkpoints).map_err(io("creating", &checkpoints))?;
        remove_abandoned(path);
        Ok(opened)
    }

    /// Records the configuration of a run that goes on: nothing speaks against it any more.
    ///
    /// # Errors
    /// The file system.
    pub(crate) fn accept(&self) -> Result<(), TrainError> {
        self.record(&self.config)
    }

    /// Records of a run with nothing left to do where its data are now, and no setting that it was not made with.
    ///
    /// # Errors
    /// The file system.
    pub(crate) fn accept_finished(&self) -> Result<(), TrainError> {
        match &self.finished {
            Some(config) => self.record(config),
            None => Ok(()),
        }
    }

    fn record(&self, config: &str) -> Result<(), TrainError> {
        let path = self.path.join(CONFIG);
        atomic::write_bytes(&path, config.as_bytes()).map_err(io("writing", &path))
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
        self.path.join(CHECKPOINTS)
    }

    /// Where the checkpoint of a step is.
    pub fn checkpoint(&self, step: u64) -> PathBuf {
        self.checkpoints().join(file_name(step))
    }

    /// Writes the state as the latest checkpoint and removes those that need not be kept: all but the newest two,
    /// those of which `keep` says that they stay, and those that stayed when the run was opened.
    ///
    /// # Errors
    /// A device or the file system.
    pub fn save<M: Module>(
        &self,
        state: &TrainState<M>,
        keep: impl Fn(u64) -> bool,
    ) -> Result<(), TrainError> {
        let name = file_name(state.counts.step);
        let path = self.checkpoint(state.counts.step);
        state.save(&path)?;
        let latest = self.path.join(LATEST);
        atomic::write_bytes(&latest, format!("{name}\n").as_bytes())
            .map_err(io("writing", &latest))?;
        let mut steps = self.steps()?;
        steps.retain(|(step, _)| *step <= state.counts.step);
        for (step, old) in steps.iter().rev().skip(2) {
            if !keep(*step) && !self.kept_before.contains(step) {
                fs::remove_file(old).map_err(io("removing", old))?;
            }
        }
        Ok(())
    }

    /// The latest state that can be read, or `None` where none was ever saved. Damaged newer ones are warned of and set
    /// aside under another name; a checkpoint that cannot be read for another reason stays as it is.
    ///
    /// # Errors
    /// When a checkpoint cannot be read although it is not damaged, or when checkpoints were written and none is left.
    pub fn latest_checkpoint<M: Module>(
        &self,
        initial_state: &TrainState<M>,
    ) -> Result<Option<TrainState<M>>, TrainError> {
        let mut reasons = Vec::new();
        for (_, path) in self.steps()?.iter().rev() {
            match initial_state.clone().load(path) {
                Ok(state) => return Ok(Some(state)),
                Err(error @ TrainError::Checkpoint(TensorFileError::Damaged { .. })) => {
                    tracing::warn!("{error}; going back to the checkpoint before it");
                    let aside = path.with_extension("safetensors.damaged");
                    fs::rename(path, &aside).map_err(io("renaming", path))?;
                    reasons.push(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        if reasons.is_empty() {
            // Starting again from the first step would throw away what was trained.
            let damaged = self.damaged_checkpoints()?;
            if damaged > 0 {
                reasons.push(format!("{damaged} set aside as damaged, no other is left"));
            } else if self.path.join(LATEST).exists() || self.encoder().exists() {
                reasons.push("it saved some, and none is left".to_string());
            } else {
                return Ok(None);
            }
        }
        Err(TrainError::NoGoodCheckpoint {
            path: self.checkpoints(),
            reasons: format!(
                "{}. Put a good copy back; to train from the first step, give another --out or remove the run directory",
                reasons.join("; ")
            ),
        })
    }

    /// How many checkpoints were set aside as damaged.
    fn damaged_checkpoints(&self) -> Result<usize, TrainError> {
        let folder = self.checkpoints();
        let mut damaged = 0;
        for entry in fs::read_dir(&folder).map_err(io("reading", &folder))? {
            let name = entry.map_err(io("reading", &folder))?.file_name();
            damaged += usize::from(name.to_string_lossy().ends_with(".damaged"));
        }
        Ok(damaged)
    }

    /// The checkpoints there are, by step.
    fn steps(&self) -> Result<Vec<(u64, PathBuf)>, TrainError> {
        checkpoints(&self.path)
    }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TrainError {
    let path = path.to_path_buf();
    move |source| TrainError::Io {
        action,
        path,
        source,
    }
}

/// Whether a folder holds nothing, or only what a start leaves behind that died before a configuration was written.
fn holds_nothing(path: &Path) -> Result<bool, TrainError> {
    for entry in fs::read_dir(path).map_err(io("reading", path))? {
        let entry = entry.map_err(io("reading", path))?;
        let name = entry.file_name();
        let is_empty_folder =
            || fs::read_dir(entry.path()).is_ok_and(|mut inside| inside.next().is_none());
        let is_left = name == LOCK
            || atomic::is_temporary(&name, OsStr::new(CONFIG))
            // Earlier versions made it first.
            || (name == CHECKPOINTS && is_empty_folder());
        if !is_left {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A configuration with what may change of it as it was before.
fn with_resumable_of(before: &Table, mut now: Table) -> Table {
    for key in RESUMABLE_KEYS {
        put_back(before, &mut now, key);
    }
    now
}

/// The steps of checkpoints in ascending order that an earlier sitting kept for good: all but the newest two, and these as well where it
/// kept others than the present one does.
fn kept_for_good(checkpoints: &[(u64, PathBuf)], keeps_otherwise: bool) -> Vec<u64> {
    let newest = if keeps_otherwise { 0 } else { 2 };
    let kept = checkpoints.len().saturating_sub(newest);
    checkpoints
        .iter()
        .take(kept)
        .map(|(step, _)| *step)
        .collect()
}

/// Makes what stands at a dotted key what stood there before, if anything did.
fn put_back(before: &Table, now: &mut Table, dotted: &str) {
    match dotted.split_once('.') {
        None => match before.get(dotted) {
            Some(value) => {
                now.insert(dotted.to_string(), value.clone());
            }
            None => {
                now.remove(dotted);
            }
        },
        Some((first, rest)) => {
            let before = before.get(first).and_then(Value::as_table);
            if let Some(now) = now.get_mut(first).and_then(Value::as_table_mut) {
                put_back(before.unwrap_or(&Table::new()), now, rest);
            }
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PretrainConfig;
    use crate::loss_values::UnloggedLoss;
    use crate::optimizer::{Optimizer, UpdateRule};
    use crate::param_groups::ParamGroups;
    use crate::state::TrainCounters;
    use burn::module::Param;
    use burn::tensor::{Device, Tensor};
    use semaim_checkpoint::tensors::TensorFile;

    fn open(path: &Path, config: &PretrainConfig) -> Result<RunDir, TrainError> {
        RunDir::open(path, config, DataPlace::Recorded)
    }

    #[test]
    fn a_folder_of_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("holiday.jpg"), b"x").unwrap();
        let refused = open(folder.path(), &PretrainConfig::default());
        assert!(matches!(refused, Err(TrainError::NotARun { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_process_at_a_time_and_one_experiment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let config = PretrainConfig::default();
        let other = PretrainConfig {
            seed: 1,
            ..config.clone()
        };
        let first = open(&path, &config).unwrap();
        // Whoever does not have the lock does not judge what another may be about to write.
        for config in [&config, &other] {
            let refused = open(&path, config);
            assert!(matches!(refused, Err(TrainError::RunInUse { .. })));
        }
        drop(first);
        open(&path, &config).unwrap();
        let refused = open(&path, &other).unwrap_err();
        assert!(
            refused.to_string().contains("seed (0 then, 1 now)"),
            "{refused}"
        );
    }

    #[test]
    fn the_same_data_may_be_named_in_another_way_and_moved_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let (run, data) = (folder.path().join("run"), folder.path().join("val"));
        fs::create_dir(&data).unwrap();
        let with = |path: String| {
            let mut config = PretrainConfig::default();
            config.data.path = path.as_str().into();
            config
        };
        let data = data.display().to_string();
        open(&run, &with(data.clone())).unwrap();
        open(&run, &with(format!("{data}/"))).unwrap();
        open(&run, &with(format!("{data}/../val"))).unwrap();
        let moved = with(format!("{data}-moved"));
        let refused = open(&run, &moved).unwrap_err().to_string();
        assert!(refused.contains("--data-moved"), "{refused}");
        let other = PretrainConfig {
            seed: 1,
            ..moved.clone()
        };
        let refused = RunDir::open(&run, &other, DataPlace::Moved).unwrap_err();
        let refused = refused.to_string();
        assert!(!refused.contains("data.path"), "{refused}");
        let gone_on = RunDir::open(&run, &moved, DataPlace::Moved).unwrap();
        gone_on.accept().unwrap();
        drop(gone_on);
        open(&run, &moved).unwrap();
    }

    #[test]
    fn what_was_measured_of_a_run_goes_on_to_be_measured() {
        let folder = tempfile::tempdir().unwrap();
        let config = PretrainConfig::default();
        drop(open(folder.path(), &config).unwrap());
        let mut other = config.clone();
        other.eval.every_epochs = 1;
        other.eval.batch_size = 7;
        other.eval.pictures = 0;
        drop(open(folder.path(), &other).unwrap());
        other.eval.knn_k = 3;
        other.eval.max_queries = 10;
        let refused = open(folder.path(), &other).unwrap_err().to_string();
        assert!(
            refused.contains("eval.knn_k (20 then, 3 now)") && refused.contains("eval.max_queries"),
            "{refused}"
        );
        assert!(!refused.contains("eval.pictures"), "{refused}");
    }

    #[test]
    fn a_finished_run_records_where_its_data_are_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let config = PretrainConfig::default();
        drop(open(&path, &config).unwrap());
        let file = path.join("config.toml");
        let written = fs::read_to_string(&file).unwrap();
        let mut other = config.clone();
        other.eval.every_epochs = 1;
        other.log.every_steps = 3;
        other.data.workers = 5;
        open(&path, &other).unwrap().accept_finished().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), written);
        let moved = folder.path().join("moved").display().to_string();
        other.data.path = moved.as_str().into();
        let run = RunDir::open(&path, &other, DataPlace::Moved).unwrap();
        run.accept_finished().unwrap();
        drop(run);
        let mut expected = config;
        expected.data.path = moved.as_str().into();
        let table = |text: &str| text.parse::<Table>().unwrap();
        let now = fs::read_to_string(&file).unwrap();
        assert_eq!(table(&now), table(&to_toml(&expected).unwrap()));
        // One that goes on records all.
        let run = open(&path, &other).unwrap();
        run.accept().unwrap();
        let now = fs::read_to_string(&file).unwrap();
        assert_eq!(table(&now), table(&to_toml(&other).unwrap()));
    }

    #[test]
    fn a_start_that_died_early_leaves_a_folder_to_start_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        fs::create_dir_all(path.join("checkpoints")).unwrap();
        fs::write(path.join("run.lock"), "").unwrap();
        fs::write(path.join("config.toml.71-0.tmp"), "# sem").unwrap();
        drop(open(&path, &PretrainConfig::default()).unwrap());
        let mut names: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["checkpoints", "config.toml", "run.lock"]);
        // What is in it otherwise is somebody's.
        for name in ["checkpoints/a.safetensors", "config.toml.tmp"] {
            let path = folder.path().join("other");
            fs::create_dir_all(path.join("checkpoints")).unwrap();
            fs::write(path.join(name), "").unwrap();
            let refused = open(&path, &PretrainConfig::default());
            assert!(matches!(refused, Err(TrainError::NotARun { .. })), "{name}");
            fs::remove_dir_all(&path).unwrap();
        }
    }

    /// A start that fails at its configuration: there is no path as long as that of its temporary file.
    #[cfg(target_os = "linux")]
    #[test]
    fn no_folder_of_checkpoints_stands_without_a_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let mut path = folder.path().to_path_buf();
        let length = 4095 - "/checkpoints".len();
        while path.as_os_str().len() < length {
            let left = length - path.as_os_str().len() - 1;
            path.push("d".repeat(if left > 202 { 200 } else { left }));
        }
        let refused = open(&path, &PretrainConfig::default()).unwrap_err();
        assert!(refused.to_string().contains("config.toml"));
        assert!(!path.join("checkpoints").exists());
        fs::create_dir(path.join("checkpoints")).unwrap();
    }

    #[test]
    fn what_killed_processes_left_of_checkpoints_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        drop(open(&path, &PretrainConfig::default()).unwrap());
        let names = [
            "step-000000003.safetensors.28186-6.tmp",
            "step-000000004.safetensors.28186-7.tmp",
            "notes.28186-8.tmp",
        ];
        for name in names {
            fs::write(path.join("checkpoints").join(name), b"half").unwrap();
        }
        drop(open(&path, &PretrainConfig::default()).unwrap());
        let left = names.map(|name| path.join("checkpoints").join(name).exists());
        assert_eq!(left, [false, false, true]);
    }

    #[test]
    fn a_number_that_cannot_be_read_again_begins_no_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let config = PretrainConfig {
            seed: 1 << 63,
            ..PretrainConfig::default()
        };
        let refused = open(&path, &config).unwrap_err().to_string();
        assert!(refused.contains("`seed`"), "{refused}");
        assert!(!path.exists());
        let config = PretrainConfig {
            seed: i64::MAX as u64,
            ..config
        };
        drop(open(&path, &config).unwrap());
        drop(open(&path, &config).unwrap());
    }

    #[derive(Module, Debug)]
    struct One {
        weight: Param<Tensor<1>>,
    }

    fn state(value: f32, step: u64) -> TrainState<One> {
        let device = Device::flex();
        TrainState {
            model: One {
                weight: Param::from_tensor(Tensor::from_floats([value], &device)),
            },
            ema: None,
            optimizer: Optimizer::new(
                UpdateRule::Sgd { momentum: 0.9 },
                ParamGroups::Uniform { weight_decay: 0.0 },
            ),
            counts: TrainCounters {
                step,
                ..TrainCounters::default()
            },
        }
    }

    #[test]
    fn sums_of_the_log_are_saved_and_older_checkpoints_have_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("step-000000005.safetensors");
        let mut saved = state(1.0, 5);
        saved.counts.unlogged = UnloggedLoss {
            after: 3,
            total: 0.1 + 0.2,
            parts: vec![("squares".into(), 1.0 / 3.0)],
        };
        saved.save(&path).unwrap();
        let load = || state(0.0, 0).load(&path);
        assert_eq!(load().unwrap().counts, saved.counts);
        let mut file = TensorFile::read(&path).unwrap();
        file.metadata.remove("unlogged_loss").unwrap();
        file.write(&path).unwrap();
        let older = load().unwrap().counts.unlogged;
        assert_eq!(older, UnloggedLoss::starting_after(5));
        // Of steps that are still to come nothing is summed up.
        let later = UnloggedLoss::starting_after(6).text();
        file.metadata.insert("unlogged_loss".into(), later);
        file.write(&path).unwrap();
        let damaged = load().unwrap_err();
        let is_damaged = matches!(
            damaged,
            TrainError::Checkpoint(TensorFileError::Damaged { .. })
        );
        assert!(is_damaged, "{damaged}");
    }

    #[test]
    fn a_run_whose_checkpoints_are_lost_does_not_start_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let run = open(&path, &PretrainConfig::default()).unwrap();
        let latest = || run.latest_checkpoint(&state(0.0, 0));
        assert!(latest().unwrap().is_none());
        for step in [1, 2] {
            run.save(&state(step as f32, step), |_| false).unwrap();
        }
        let file = |step: u64| {
            run.checkpoints()
                .join(format!("step-{step:09}.safetensors"))
        };
        let damage = |step: u64| fs::write(file(step), b"damaged").unwrap();
        damage(2);
        assert_eq!(latest().unwrap().unwrap().counts.step, 1);
        assert!(!file(2).exists());
        damage(1);
        // Not now, not the next time, and not when somebody has cleared up.
        for _ in 0..2 {
            assert!(matches!(latest(), Err(TrainError::NoGoodCheckpoint { .. })));
        }
        fs::remove_dir_all(run.checkpoints()).unwrap();
        fs::create_dir(run.checkpoints()).unwrap();
        assert!(matches!(latest(), Err(TrainError::NoGoodCheckpoint { .. })));
    }

    #[test]
    fn what_an_earlier_sitting_kept_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let steps = |run: &RunDir| -> Vec<u64> {
            let all = run.steps().unwrap();
            all.into_iter().map(|(step, _)| step).collect()
        };
        let mut keeping = PretrainConfig::default();
        keeping.checkpoint.keep_every_epochs = 1;
        let run = open(&path, &keeping).unwrap();
        for step in [5, 10, 15, 20, 25, 30] {
            run.save(&state(step as f32, step), |step| step % 10 == 0)
                .unwrap();
        }
        assert_eq!(steps(&run), [10, 20, 25, 30]);
        drop(run);
        // Two sittings without the setting.
        for first in [40, 70] {
            let run = open(&path, &PretrainConfig::default()).unwrap();
            run.accept().unwrap();
            for step in [first, first + 5, first + 10] {
                run.save(&state(step as f32, step), |_| false).unwrap();
            }
            assert_eq!(steps(&run), [10, 20, 25, 30, first + 5, first + 10]);
        }
    }

    #[test]
    fn a_run_of_an_earlier_version_goes_on_and_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let mut config = PretrainConfig {
            teacher_cache: folder.path().join("kept"),
            ..PretrainConfig::default()
        };
        config.data.crop_scale = [1.0, 1.0];
        drop(open(&path, &config).unwrap());
        let file = path.join("config.toml");
        let written = fs::read_to_string(&file).unwrap();
        let is_cache = |line: &&str| line.starts_with("teacher_cache = ");
        let cache = written.lines().find(is_cache).unwrap();
        let then = written
            .replace("grad_accum_steps = ", "accumulate = ")
            .replace(&format!("{cache}\n"), "")
            .replace(
                "[teacher]\n",
                &format!("[teacher]\n{}\n", &cache["teacher_".len()..]),
            );
        assert!(then.contains("\naccumulate") && then.contains("\ncache"));
        fs::write(&file, then).unwrap();
        fs::write(path.join("encoder.safetensors"), "").unwrap();
        let read = crate::restore::run_config(&path).unwrap().unwrap();
        assert_eq!(read.teacher_cache, config.teacher_cache);
        let run = open(&path, &config).unwrap();
        assert_ne!(fs::read_to_string(&file).unwrap(), written);
        // Only now nothing speaks against going on.
        run.accept().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), written);
    }

    #[test]
    fn a_checkpoint_that_is_not_damaged_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let run = open(&path, &PretrainConfig::default()).unwrap();
        run.save(&state(1.0, 1), |_| false).unwrap();
        // The file system does not give it: here a folder stands in its place.
        let file = run.checkpoints().join("step-000000002.safetensors");
        fs::create_dir(&file).unwrap();
        let refused = run.latest_checkpoint(&state(0.0, 0)).unwrap_err();
        assert!(file.exists(), "{refused}");
        fs::remove_dir(&file).unwrap();
        // Weights of another model.
        #[derive(Module, Debug)]
        struct Other {
            other: Param<Tensor<1>>,
        }
        let other = TrainState {
            model: Other {
                other: Param::from_tensor(Tensor::from_floats([1.0, 2.0], &Device::flex())),
            },
            ema: None,
            optimizer: state(0.0, 0).optimizer,
            counts: TrainCounters::default(),
        };
        assert!(run.latest_checkpoint(&other).is_err());
        assert_eq!(
            run.latest_checkpoint(&state(0.0, 0))
                .unwrap()
                .unwrap()
                .counts
                .step,
            1
        );
    }
}
