//! What a run of training has come to: its last evaluation and its best.

use std::io;
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
        match read_file(&path) {
            Ok(results) => Ok(results),
            Err(error) => Err(ResultsError {
                message: error.to_string(),
                path,
            }),
        }
    }

    /// The same of a run that may not have been evaluated yet: then there is nothing. A training can ask before its first step
    /// whether it will know its best.
    ///
    /// # Errors
    /// A file that is there and cannot be read or understood, with what to do about it.
    pub fn so_far(run: &RunDir) -> Result<Option<Self>, TrainError> {
        let path = run.path().join(RESULTS);
        match read_file(&path) {
            Ok(results) => Ok(Some(results)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(TrainError::Damaged {
                path,
                message: format!(
                    "{error}. It says which model is the best so far: put a good copy back, or remove it to begin anew with the best, \
                     which then replaces {BEST}"
                ),
            }),
        }
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
        let before = Self::so_far(run)?
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

/// The results in a file.
fn read_file<R: DeserializeOwned>(path: &Path) -> io::Result<R> {
    let text = std::fs::read_to_string(path)?;
    Ok(serde_json::from_str(&text)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use semaim_train::config::PretrainConfig;
    use semaim_train::run_dir::DataPlace;

    use super::*;

    const LARGEST: Criterion<f64> = Criterion {
        name: "number",
        of: |number| *number,
    };

    /// Notes an evaluation; says whether the model was kept as the best.
    fn note(run: &RunDir, epoch: f64, scores: f64) -> Result<bool, TrainError> {
        let mut kept = false;
        Results::note(run, Evaluated { epoch, scores }, &LARGEST, |_| {
            kept = true;
            Ok(())
        })?;
        Ok(kept)
    }

    #[test]
    fn results_that_cannot_be_read_are_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let run = RunDir::open(&path, &PretrainConfig::default(), DataPlace::Recorded).unwrap();
        assert!(Results::<f64>::so_far(&run).unwrap().is_none());
        assert!(note(&run, 1.0, 0.5).unwrap());
        assert!(!note(&run, 2.0, 0.25).unwrap());
        let file = path.join(RESULTS);
        let whole = fs::read_to_string(&file).unwrap();
        for damaged in [&whole[..whole.len() / 2], "", "{}"] {
            fs::write(&file, damaged).unwrap();
            let refused = note(&run, 3.0, 0.375).unwrap_err();
            let said = refused.to_string();
            assert!(refused.is_the_users(), "{said}");
            assert!(
                said.contains(RESULTS) && said.contains("remove it"),
                "{said}"
            );
            assert_eq!(fs::read_to_string(&file).unwrap(), damaged);
        }
        // A good copy knows the best, and without the file it begins anew.
        fs::write(&file, &whole).unwrap();
        assert!(!note(&run, 3.0, 0.375).unwrap());
        fs::remove_file(&file).unwrap();
        assert!(note(&run, 4.0, 0.375).unwrap());
        assert_eq!(Results::<f64>::read(&run).unwrap().best.epoch, 4.0);
    }
}
