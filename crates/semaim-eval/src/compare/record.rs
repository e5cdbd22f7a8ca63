//! What is written down of a trial.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use semaim_checkpoint::atomic;
use semaim_data::DataSpec;
use semaim_train::config::{CheckpointConfig, EvalConfig, LogConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
    /// What the files held that pre-training read beside its images: a checksum by what each is for and where it is. Empty in older records.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Time that pre-training took, over all sittings that were not cut short.
    pub pretrain_seconds: f64,
    /// Steps that were saved when that was written down.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timed_steps: u64,
    /// Whether some steps were made in sittings whose time is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut_short: bool,
    /// Time that fine-tuning took, likewise.
    pub finetune_seconds: f64,
    /// What was measured of the encoder.
    #[serde(flatten)]
    pub scores: Scores,
    /// What was measured of it on the way, by step.
    #[serde(default)]
    pub curve: Vec<CurvePoint>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
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
    let finetune = &mut measured.finetune;
    finetune.data.workers = 0;
    finetune.data.queue = defaults.finetune.data.queue;
    finetune.checkpoint = CheckpointConfig::default();
    finetune.log = LogConfig::default();
    for name in measured.data.iter_mut() {
        *name = DataSpec::absolute(name);
    }
    measured
}

impl Record {
    /// Reads the record of a trial; an empty one where there is none yet.
    ///
    /// A setting that came later has its default in older records. Those of evaluations that were never begun may have changed.
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
        let mut record: Record =
            serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        let settings = |record: &Record| -> Option<CompareConfig> {
            let config: CompareConfig = serde_json::from_str(&record.settings).ok()?;
            let [variant] = &config.variants[..] else {
                return None;
            };
            Some(measured_by(&config, variant))
        };
        let other = |what: String| CompareError::OtherSettings {
            path: path.to_owned(),
            folder: path.parent().unwrap_or(path).to_owned(),
            what,
        };
        let (Some(made), Some(wanted)) = (settings(&record), settings(&empty)) else {
            return Err(other("they cannot be read".into()));
        };
        let made = record.with_unused_of(made, &wanted);
        if made != wanted {
            let what = difference(&json!(made), &json!(wanted));
            return Err(other(what.unwrap_or_default()));
        }
        record.settings = empty.settings;
        Ok(record)
    }

    /// Settings with those of `others` for evaluations of which nothing was begun.
    fn with_unused_of(&self, mut settings: CompareConfig, others: &CompareConfig) -> CompareConfig {
        let points = self.curve.iter().map(|point| &point.scores);
        let scores: Vec<&Scores> = points.chain([&self.scores]).collect();
        let has = |measure: &str| {
            let mut keys = scores.iter().flat_map(|scores| scores.accuracy.keys());
            keys.any(|key| key.starts_with(measure))
        };
        if self.finetune_tested.is_none() && !has("finetune") {
            settings.finetune.clone_from(&others.finetune);
        }
        if !has("probe") {
            settings.probe_epochs = others.probe_epochs;
            settings.probe_batch_size = others.probe_batch_size;
        }
        if !has("knn") {
            settings.knn_k = others.knn_k;
            settings.knn_temperature = others.knn_temperature;
        }
        if scores.iter().all(|scores| scores.pointing.is_empty()) {
            settings.pointing_images = others.pointing_images;
        }
        settings
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

/// The first setting in which two configurations differ, with both values.
fn difference(made: &Value, wanted: &Value) -> Option<String> {
    let (Value::Object(then), Value::Object(now)) = (made, wanted) else {
        return (made != wanted).then(|| format!(" was {made}, is {wanted}"));
    };
    now.iter().find_map(|(key, now)| {
        let found = difference(then.get(key).unwrap_or(&Value::Null), now)?;
        let dot = if found.starts_with(' ') { "" } else { "." };
        Some(format!("{key}{dot}{found}"))
    })
}

#[cfg(test)]
mod tests {
    use semaim_train::state::DataDigest;

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
                digest: DataDigest {
                    names: u32::MAX,
                    classes: 3,
                    objects: None,
                },
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

    #[test]
    fn settings_of_what_was_never_measured_may_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trial.json");
        let config = CompareConfig::default();
        let empty = |config: &CompareConfig| Record {
            variant: "random".into(),
            settings: json!(measured_by(config, &config.variants[0])).to_string(),
            ..Record::default()
        };
        let mut changed = config.clone();
        changed.finetune.train.epochs += 1;
        changed.knn_k += 1;
        changed.probe_epochs += 1;
        changed.pointing_images += 1;
        empty(&config).write(&path).unwrap();
        let read = Record::read(&path, empty(&changed)).unwrap();
        assert_eq!(read, empty(&changed));
        // What has been measured may not.
        let mut measured = read;
        let accuracy = Accuracy {
            top1: 0.5,
            top5: 1.0,
        };
        measured.scores.accuracy.insert("knn".into(), accuracy);
        measured.write(&path).unwrap();
        Record::read(&path, empty(&changed)).unwrap();
        let refused = Record::read(&path, empty(&config)).unwrap_err().to_string();
        let (now, then) = (config.knn_k, changed.knn_k);
        let what = format!("(knn_k was {then}, is {now})");
        assert!(refused.contains(&what), "{refused}");
        assert!(
            refused.contains(&folder.path().display().to_string()),
            "{refused}"
        );
        // Where nothing is written of the log of fine-tuning, another one changes nothing.
        let mut logged = changed.clone();
        logged.finetune.log.every_steps += 1;
        measured.finetune_tested = Some(EvaluatedImages {
            images: 3,
            digest: DataDigest::default(),
        });
        measured.write(&path).unwrap();
        Record::read(&path, empty(&logged)).unwrap();
        let refused = Record::read(
            &path,
            empty(&CompareConfig {
                finetune: config.finetune.clone(),
                ..changed
            }),
        );
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("finetune.train.epochs was"), "{refused}");
    }
}
