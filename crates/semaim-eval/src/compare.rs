//! Several ways of pre-training, with several seeds each, evaluated alike and put side by side.
//!
//! A comparison is a file: a base configuration, variants that change settings of it, seeds, and evaluations. Each
//! (variant, seed) is a *trial* with a folder of its own ([`trial`]); what is finished in a trial is written down at once
//! and never done again. Several processes may work at one comparison, each at a trial of its own. The table ([`table`]) pairs
//! variants by seed.

mod agreement;
pub mod config;
mod frozen;
pub mod measure;
pub mod record;
pub mod statistics;
pub mod table;
pub mod timing;
pub mod trial;

use std::fmt;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use semaim_checkpoint::error::EncoderError;
use semaim_config::ConfigErrors;
use semaim_data::{DataError, counted};
use semaim_kernels::Kernels;
use semaim_train::callbacks::Observer;
use semaim_train::error::TrainError;
use semaim_train::memory::Memory;

use crate::classify::ClassifyError;
use crate::embed::EmbedError;
use crate::finetune::FinetuneError;
use crate::knn::KnnError;
use crate::pointing::PointingError;
use crate::probe::ProbeError;
use crate::splits::SplitsError;
use config::CompareConfig;
use record::Record;
use trial::{Trial, TrialOutcome};

/// The page of a comparison, in its folder.
pub const PAGE: &str = "compare.html";
/// Its table, there as well.
pub const TABLE: &str = "table.md";
/// The same for programs.
pub const TABLE_JSON: &str = "table.json";
/// Seconds of a step of each variant, as [`timing::step_times`] measures them.
pub const STEP_TIMES: &str = "step_times.json";

/// Why a comparison could not start or go on. Trials that are finished stay.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A variant's settings cannot be used.
    #[error("variant `{variant}`: {source}")]
    Variant {
        /// The variant.
        variant: String,
        /// What is wrong.
        source: ConfigErrors,
    },
    /// A trial was made with other settings.
    #[error(
        "{path} was made with other settings than this comparison's ({what}); give another --out, or remove {folder} to make that \
         trial anew"
    )]
    OtherSettings {
        /// The trial's record.
        path: PathBuf,
        /// The trial's folder.
        folder: PathBuf,
        /// The first of them, with both values.
        what: String,
    },
    /// A trial that reads something else from a file, or a folder of maps, than another one did.
    #[error(
        "{trial} would not read the same as {other} did from its {file}: that has \
         changed since; put it back, give another --out, or remove {folder} to make that trial anew"
    )]
    OtherFile {
        /// The trial.
        trial: TrialName,
        /// The other one.
        other: TrialName,
        /// What the file is for, and the file.
        file: String,
        /// The other's folder.
        folder: PathBuf,
    },
    /// A trial that is to train on other images than another one of the same settings of data did.
    #[error(
        "{trial} would be trained on other images than {other} was ({what}): the data have \
         changed since the comparison began; give another --out"
    )]
    OtherImages {
        /// The trial.
        trial: TrialName,
        /// The other one.
        other: TrialName,
        /// What tells them apart.
        what: String,
    },
    /// A trial that is to be tested on other images than another one, or than it was itself.
    #[error(
        "{trial} would be tested on other images than {other} was ({what}): the data have \
         changed since the comparison began; put them back, or give another --out"
    )]
    OtherTestImages {
        /// The trial.
        trial: TrialName,
        /// The other one.
        other: TrialName,
        /// What tells them apart.
        what: String,
    },
    /// A file of the comparison.
    #[error("{action} {path}: {message}")]
    File {
        /// What was tried: `writing`, `reading`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        message: String,
    },
    /// Images cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Labeled images cannot be used.
    #[error(transparent)]
    Labeled(#[from] SplitsError),
    /// Pre-training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Fine-tuning.
    #[error(transparent)]
    Finetune(#[from] FinetuneError),
    /// An encoder's file.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// Embedding.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// kNN.
    #[error(transparent)]
    Knn(#[from] KnnError),
    /// The probe.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// Pointing.
    #[error(transparent)]
    Pointing(#[from] PointingError),
    /// Trials whose numbers ran out of bounds. All others were gone through.
    #[error("{} failed, the others were gone through:{}", counted(.trials.len(), "trial"), listed(.trials))]
    Failed {
        /// Which, and why.
        trials: Vec<FailedTrial>,
    },
}

/// Which trial of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialName {
    /// The variant.
    pub variant: String,
    /// The seed.
    pub seed: u64,
}

impl fmt::Display for TrialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` with seed {}", self.variant, self.seed)
    }
}

/// A trial that failed by itself.
#[derive(Debug)]
pub struct FailedTrial {
    /// Which.
    pub name: TrialName,
    /// Its folder.
    pub folder: PathBuf,
    /// Why.
    pub error: Box<CompareError>,
}

fn listed(trials: &[FailedTrial]) -> String {
    let line = |trial: &FailedTrial| {
        let FailedTrial {
            name,
            folder,
            error,
        } = trial;
        // What a single run is told to do is done otherwise here.
        let why = match error.as_ref() {
            CompareError::Train(TrainError::NotFinite {
                step, what, value, ..
            }) => format!(
                "step {step}: the {what} is {value}. Remove {} before the variant is changed (a lower optimizer.base_lr, \
                 train.on_nan=skip), or leave it out (--variants)",
                folder.display()
            ),
            CompareError::Train(TrainError::MostlySkipped { skipped, total, .. }) => format!(
                "{skipped} of {total} steps were left out, as they were not finite. Remove {} before the variant is changed (a lower \
                 optimizer.base_lr), or leave it out (--variants)",
                folder.display()
            ),
            error => error.to_string(),
        };
        format!("\n  {name}: {why}")
    };
    trials.iter().map(line).collect()
}

impl CompareError {
    /// Whether the trial's numbers diverged. That says nothing of other trials, while data, settings or a disk that cannot be used
    /// would fail them all.
    fn is_divergence(&self) -> bool {
        matches!(
            self,
            Self::Train(TrainError::NotFinite { .. } | TrainError::MostlySkipped { .. })
                | Self::Finetune(
                    FinetuneError::Train(
                        TrainError::NotFinite { .. } | TrainError::MostlySkipped { .. }
                    ) | FinetuneError::Classify(ClassifyError::NotFinite { .. })
                )
                | Self::Embed(EmbedError::NotFinite { .. })
                | Self::Probe(ProbeError::Diverged { .. })
                | Self::Pointing(PointingError::NotFinite)
        )
    }
}

/// What a trial would take.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedTrial {
    /// Which.
    pub name: TrialName,
    /// Optimizer steps of its pre-training; 0 where there is none.
    pub steps: u64,
    /// What pre-training needs; `None` where there is none.
    pub memory: Option<Memory>,
    /// Whether everything of it has been measured already.
    pub finished: bool,
}

/// How a comparison ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOutcome {
    /// Every trial is finished.
    Finished,
    /// It was asked to stop, and saved.
    Stopped,
    /// Other processes are at what remains: so many trials.
    Elsewhere(usize),
}

/// What a comparison would do, trial by trial.
///
/// # Errors
/// Images, a teacher or records that cannot be used.
pub fn plan(
    config: &CompareConfig,
    out: &Path,
    kernels: Kernels,
    device: &Device,
) -> Result<Vec<PlannedTrial>, CompareError> {
    trials(config, out)?
        .iter()
        .map(|trial| trial.plan(config, kernels, device))
        .collect()
}

/// Runs every trial of the `variants` (by their names; empty: of all) that is not finished in `out`, seed by seed, so that early tables
/// have all variants. A trial that another process is at is left to it; after one that diverged, the others follow.
///
/// # Errors
/// [`CompareError`]; the comparison goes on from there when it is run again.
pub fn compare(
    config: &CompareConfig,
    variants: &[String],
    out: &Path,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<CompareOutcome, CompareError> {
    let trials = trials(config, out)?;
    let (mut left, mut failed) = (Vec::new(), Vec::new());
    let is_chosen =
        |trial: &&Trial| variants.is_empty() || variants.iter().any(|name| name == trial.variant());
    for trial in trials.iter().filter(is_chosen) {
        // Before hours of training. Seeds and variants are measured with the same sets.
        if !trial.is_finished(config, &trial.record()?)? {
            frozen::check(config, trial.pretrain())?;
            break;
        }
    }
    for trial in trials.iter().filter(is_chosen) {
        match trial.run(config, &trials, device, observer) {
            Ok(TrialOutcome::Finished) => {}
            Ok(TrialOutcome::Stopped) => return Ok(CompareOutcome::Stopped),
            Ok(TrialOutcome::Elsewhere) => left.push(trial),
            Err(error) if error.is_divergence() => {
                let name = trial.name();
                observer.say(&format!(
                    "{}, seed {}: failed: {error}",
                    name.variant, name.seed
                ));
                failed.push(FailedTrial {
                    name,
                    folder: trial.folder().to_path_buf(),
                    error: Box::new(error),
                });
            }
            Err(error) => return Err(error),
        }
    }
    if !failed.is_empty() {
        return Err(CompareError::Failed { trials: failed });
    }
    // Some of what was left to others is done by now.
    let mut elsewhere = 0;
    for trial in left {
        elsewhere += usize::from(!trial.is_finished(config, &trial.record()?)?);
    }
    Ok(match elsewhere {
        0 => CompareOutcome::Finished,
        trials => CompareOutcome::Elsewhere(trials),
    })
}

/// What there is of every trial, in the order of seeds, then variants.
///
/// # Errors
/// A record that cannot be read or belongs to another comparison.
pub fn records(config: &CompareConfig, out: &Path) -> Result<Vec<Record>, CompareError> {
    let read = |trial: Trial| trial.record();
    trials(config, out)?.into_iter().map(read).collect()
}

fn trials(config: &CompareConfig, out: &Path) -> Result<Vec<Trial>, CompareError> {
    let mut trials = Vec::new();
    for &seed in &config.seeds {
        for variant in &config.variants {
            trials.push(Trial::new(config, variant, seed, out)?);
        }
    }
    Ok(trials)
}
