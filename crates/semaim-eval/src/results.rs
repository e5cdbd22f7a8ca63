//! What a run of training has come to: its last evaluation and its best.

use std::path::{Path, PathBuf};

use semaim_checkpoint::atomic;
use semaim_train::error::TrainError;
use semaim_train::run_dir::RunDir;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The model that was best on the evaluation images, in the run directory.
pub const BEST: &str = "best.safetensors";
/// The scores of the last and of the best.
pub const RESULTS: &str = "results.json";

/// The results of a run cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ResultsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub message: String,
}

/// An evaluation of the model at some time of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluated<S> {
    /// Epochs done.
    pub epoch: f64,
    /// What came out. Runs of fine-tuning used to write it as `classification`.
    #[serde(alias = "classification")]
    pub scores: S,
}

/// What training came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results<S> {
    /// At the end of the schedule, or so far: the number to report.
    pub last: Evaluated<S>,
    /// Where `best_by` on the evaluation images was highest, the first of equals. It is chosen on the images that it is
    /// measured on, so it flatters.
    pub best: Evaluated<S>,
    /// The number by which the best was chosen; runs of fine-tuning did not always write it.
    #[serde(default)]
    pub best_by: String,
}

/// A number of an evaluation by which the best is chosen: larger is better.
pub(crate) struct Criterion<S> {
    pub(crate) name: &'static str,
    pub(crate) of: fn(&S) -> f64,
}

impl<S: Clone + Serialize + DeserializeOwned> Results<S> {
    /// What a run has come to so far.
    ///
    /// # Errors
    /// [`ResultsError`].
    pub fn read(run: &RunDir) -> Result<Self, ResultsError> {
        let path = run.path().join(RESULTS);
        let failed = |message: String| ResultsError {
            path: path.clone(),
            message,
        };
        let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
    }

    /// Writes down an evaluation; where it is the best so far, `keep` writes the model to the path that it is given.
    pub(crate) fn note(
        run: &RunDir,
        now: Evaluated<S>,
        criterion: &Criterion<S>,
        keep: impl FnOnce(&Path) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        // A run that died after an evaluation makes the same evaluation again: what is not better replaces nothing, what
        // comes from a later time than this is of a run that was begun anew.
        let before = Self::read(run)
            .ok()
            .map(|results| results.best)
            .filter(|best| best.epoch <= now.epoch);
        let best = match before {
            Some(best) if (criterion.of)(&best.scores) >= (criterion.of)(&now.scores) => best,
            _ => {
                keep(&run.path().join(BEST))?;
                now.clone()
            }
        };
        let results = Self {
            last: now,
            best,
            best_by: criterion.name.into(),
        };
        let path = run.path().join(RESULTS);
        let text = serde_json::json!(results).to_string();
        atomic::write_bytes(&path, text.as_bytes()).map_err(|source| TrainError::Io {
            action: "writing",
            path,
            source,
        })
    }
}
