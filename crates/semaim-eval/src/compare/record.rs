//! What is written down of a trial.

use std::fs;
use std::path::Path;

use semaim_checkpoint::atomic;
use semaim_data::DataSpec;
use semaim_train::config::{CheckpointConfig, EvalConfig, LogConfig};
use serde::{Deserialize, Serialize};

use super::CompareError;
use super::config::{CompareConfig, Variant};
use super::measure::{CurvePoint, Scores};
use crate::run_start::EvaluatedImages;

/// What has been measured of a trial so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The variant.
    pub variant: String,
    /// The seed.
    pub seed: u64,
    /// The settings that it was made with, as JSON.
    pub(super) settings: String,
    /// Whether the encoder is there.
    pub encoded: bool,
    /// Optimizer steps of pre-training.
    pub steps: u64,
    /// Which images those were, as [`DataDigest::names`](semaim_train::state::DataDigest); `None` in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<u32>,
    /// The images out of which kNN and probes classify theirs; `None` in older records and before they are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<EvaluatedImages>,
    /// The same of fine-tuning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finetune_tested: Option<EvaluatedImages>,
    /// Time that pre-training took, over all sittings that were not cut short.
    pub pretrain_seconds: f64,
    /// Time that fine-tuning took, likewise.
    pub finetune_seconds: f64,
    /// What was measured of the encoder.
    #[serde(flatten)]
    pub scores: Scores,
    /// What was measured of it on the way, by step.
    #[serde(default)]
    pub curve: Vec<CurvePoint>,
}

/// The settings on which a trial's numbers depend: what another comparison, another number of threads, another log would change
/// is left out.
pub(super) fn measured_by(config: &CompareConfig, variant: &Variant) -> CompareConfig {
    let defaults = CompareConfig::default();
    let mut measured = CompareConfig {
        seeds: Vec::new(),
        variants: vec![variant.clone()],
        baseline: String::new(),
        evaluations: Vec::new(),
        curve: Vec::new(),
        probe_labels: Vec::new(),
        ..config.clone()
    };
    let pretrain = &mut measured.pretrain;
    pretrain.data.workers = 0;
    pretrain.data.queue = defaults.pretrain.data.queue;
    pretrain.checkpoint = CheckpointConfig::default();
    pretrain.log = LogConfig::default();
    pretrain.eval = EvalConfig::default();
    measured.finetune.data.workers = 0;
    for name in measured.data.iter_mut() {
        *name = DataSpec::absolute(name);
    }
    measured
}

impl Record {
    /// Reads the record of a trial; an empty one where there is none yet.
    ///
    /// A setting that came later has its default in older records.
    pub(super) fn read(path: &Path, empty: Record) -> Result<Self, CompareError> {
        let failed = |message: String| CompareError::File {
            action: "reading",
            path: path.to_owned(),
            message,
        };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(empty),
            Err(error) => return Err(failed(error.to_string())),
        };
        let record: Record =
            serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        let settings = |record: &Record| -> Option<CompareConfig> {
            let config: CompareConfig = serde_json::from_str(&record.settings).ok()?;
            let [variant] = &config.variants[..] else {
                return None;
            };
            Some(measured_by(&config, variant))
        };
        let (made, wanted) = (settings(&record), settings(&empty));
        if made.is_none() || made != wanted {
            let path = path.to_owned();
            return Err(CompareError::OtherSettings { path });
        }
        Ok(record)
    }

    /// Adds what was measured of the checkpoint of a step.
    pub(super) fn add_point(&mut self, step: u64, scores: Scores) {
        match self.curve.iter_mut().find(|point| point.step == step) {
            Some(point) => point.scores.add(scores),
            None => self.curve.push(CurvePoint { step, scores }),
        }
        self.curve.sort_by_key(|point| point.step);
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), CompareError> {
        let text = serde_json::json!(self).to_string();
        let folder = path.parent().unwrap_or(path);
        let written =
            fs::create_dir_all(folder).and_then(|()| atomic::write_bytes(path, text.as_bytes()));
        written.map_err(|error| CompareError::File {
            action: "writing",
            path: path.to_owned(),
            message: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::Accuracy;

    #[test]
    fn records_of_before_there_were_test_images_in_them_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trial.json");
        let config = CompareConfig::default();
        let empty = Record {
            variant: "random".into(),
            settings: serde_json::json!(measured_by(&config, &config.variants[0])).to_string(),
            ..Record::default()
        };
        empty.write(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("tested"), "{text}");
        assert_eq!(Record::read(&path, empty.clone()).unwrap(), empty);
        let measured = Record {
            tested: Some(EvaluatedImages {
                images: 27,
                names: u32::MAX,
                classes: 3,
                objects: None,
            }),
            ..empty.clone()
        };
        measured.write(&path).unwrap();
        assert_eq!(Record::read(&path, empty.clone()).unwrap(), measured);
        // Numbers come back to the last bit.
        let mut scores = Scores::default();
        for hits in 1..22u32 {
            let top1 = f64::from(hits) / 22.0;
            let accuracy = Accuracy { top1, top5: 1.0 };
            scores.accuracy.insert(hits.to_string(), accuracy);
        }
        let measured = Record { scores, ..empty };
        measured.write(&path).unwrap();
        let empty = Record {
            scores: Scores::default(),
            ..measured.clone()
        };
        assert_eq!(Record::read(&path, empty).unwrap(), measured);
    }
}
