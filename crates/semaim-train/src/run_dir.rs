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

use crate::error::TrainError;
use crate::ranks;
use crate::state::TrainState;
pub use checkpoint_files::checkpoints;
use checkpoint_files::file_name;
use experiment::check_same;
pub(crate) use experiment::table;

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
        })
    }

    fn open_alone<C: RunConfig>(
        path: &Path,
        config: &C,
        data: DataPlace,
    ) -> Result<Self, TrainError> {
        let config_path = path.join("config.toml");
        if !config_path.exists() && path.exists() {
            let mut entries = fs::read_dir(path).map_err(io("reading", path))?;
            // A run that died before its configuration was written leaves only its lock behind.
            if entries.any(|entry| !entry.is_ok_and(|e| e.file_name() == "run.lock")) {
                return Err(TrainError::NotARun {
                    path: path.to_path_buf(),
                });
            }
        }
        fs::create_dir_all(path).map_err(io("creating", path))?;
        // Nobody else writes a configuration between the comparison and our own.
        let lock_path = path.join("run.lock");
        let lock = lock(&lock_path)
            .map_err(io("locking", &lock_path))?
            .ok_or_else(|| TrainError::RunInUse {
                path: path.to_path_buf(),
            })?;
        let mut config = config.clone();
        for data_set in config.data_sets() {
            *data_set = DataSpec::absolute(data_set);
        }
        for file in config.files() {
            if !file.as_os_str().is_empty() {
                *file = absolute(file);
            }
        }
        let text = to_toml(&config)?;
        if config_path.exists() {
            let before = fs::read_to_string(&config_path).map_err(io("reading", &config_path))?;
            let before = table::<C>(&config_path, &before)?;
            let now = table::<C>(&config_path, &text)?;
            let unset = match C::unset() {
                Some(unset) => table::<C>(&config_path, &to_toml(&unset)?)?,
                None => toml::Table::new(),
            };
            check_same(path, &before, &now, &unset, data)?;
        }
        let checkpoints = path.join("checkpoints");
        fs::create_dir_all(&checkpoints).map_err(io("creating", &checkpoints))?;
        let header = format!(
            "# semaim {}: the configuration of this run, with every default written out.\n",
            env!("CARGO_PKG_VERSION")
        );
        let opened = Self {
            path: path.to_path_buf(),
            _lock: Some(lock),
            config: format!("{header}{text}"),
        };
        // What a run that is there may change, such as its length, is recorded when it goes on.
        if !config_path.exists() {
            opened.accept()?;
        }
        Ok(opened)
    }

    /// Records the configuration of a run that goes on: nothing speaks against it any more.
    ///
    /// # Errors
    /// The file system.
    pub(crate) fn accept(&self) -> Result<(), TrainError> {
        let path = self.path.join("config.toml");
        atomic::write_bytes(&path, self.config.as_bytes()).map_err(io("writing", &path))
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

    /// Where the checkpoint of a step is.
    pub fn checkpoint(&self, step: u64) -> PathBuf {
        self.checkpoints().join(file_name(step))
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
            if !keep(*step) {
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

fn absolute(path: &Path) -> PathBuf {
    fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PretrainConfig;
    use crate::optimizer::{Optimizer, UpdateRule};
    use crate::param_groups::ParamGroups;
    use crate::state::TrainCounters;
    use burn::module::Param;
    use burn::tensor::{Device, Tensor};

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
