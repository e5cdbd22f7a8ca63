//! A trained model as a file: an encoder with the heads of its task, and all that is needed to use them.
//!
//! What the file says beside its weights stands in the metadata: the encoder's sizes, the kind of the model, the names of its
//! classes and the settings of its heads.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use semaim::config::{ArchOptions, Normalization, VitConfig};
use semaim::parameters::Weights;
use semaim::position::Interpolation;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::architecture::Architecture;
use crate::archive::Archive;
use crate::checkpoint::Checkpoint;
use crate::error::EncoderError;
use crate::metadata::{described, metadata};
use crate::tensors::TensorFile;
use crate::weights_source::WeightsSource;

/// The metadata key under which the kind stands.
pub(crate) const KIND: &str = "semaim.kind";
/// The metadata key under which the names of the classes stand, as a JSON list.
pub(crate) const CLASSES: &str = "semaim.classes";
/// The metadata key under which the settings of the heads stand, as JSON.
const SETTINGS: &str = "semaim.settings";

/// What to do with an encoder where a model is needed.
fn without_a_head(path: &Path) -> String {
    format!(
        "an encoder without a head; `semaim finetune --weights {} --data DIR` trains a classifier on it, `semaim detect` a \
         detector, `semaim segment` a segmenter",
        path.display()
    )
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// One class per image.
    Classifier,
    /// Objects with boxes and masks.
    Detector,
    /// A class per pixel.
    Segmenter,
}

impl ModelKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Classifier, Self::Detector, Self::Segmenter];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classifier => "classifier",
            Self::Detector => "detector",
            Self::Segmenter => "segmenter",
        }
    }

    /// What a run calls the model as it is now.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Classifier => "classifier.safetensors",
            Self::Detector => "detector.safetensors",
            Self::Segmenter => "segmenter.safetensors",
        }
    }

    /// The command that trains one.
    pub fn command(self) -> &'static str {
        match self {
            Self::Classifier => "finetune",
            Self::Detector => "detect",
            Self::Segmenter => "segment",
        }
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A model from a file, or for one.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    /// What it is for.
    pub kind: ModelKind,
    /// The encoder's sizes.
    pub config: VitConfig,
    /// Where the encoder differs from SemAIM's own.
    pub arch: ArchOptions,
    /// How images are normalized.
    pub normalization: Normalization,
    /// How its position table is resized.
    pub interpolation: Interpolation,
    /// The names of the classes, by number.
    pub classes: Vec<String>,
    /// The settings of its heads, as its kind defines them; `null` where it has none.
    pub settings: Value,
    /// The weights under their names.
    pub weights: Weights,
}

impl ModelFile {
    /// Writes it. Equal models give equal bytes.
    ///
    /// # Errors
    /// [`EncoderError`].
    pub fn write(self, path: &Path) -> Result<(), EncoderError> {
        let mut said = metadata(
            &self.config,
            &self.arch,
            &self.normalization,
            self.interpolation,
        );
        said.insert(KIND.into(), self.kind.name().into());
        said.insert(CLASSES.into(), serde_json::json!(self.classes).to_string());
        if !self.settings.is_null() {
            said.insert(SETTINGS.into(), self.settings.to_string());
        }
        TensorFile {
            weights: self.weights,
            metadata: said,
        }
        .write(path)?;
        Ok(())
    }

    /// Refuses weights that are not finite.
    ///
    /// # Errors
    /// [`EncoderError::NotFinite`], with the path.
    pub fn check_finite(&self, path: &Path) -> Result<(), EncoderError> {
        for (name, weight) in &self.weights {
            let count = weight.values.iter().filter(|v| !v.is_finite()).count();
            if count > 0 {
                return Err(EncoderError::NotFinite {
                    path: path.to_path_buf(),
                    name: name.clone(),
                    count,
                });
            }
        }
        Ok(())
    }

    /// The kind of the model at a path, in a run directory of the model as it is now; `None` for what was not written by
    /// [`ModelFile::write`].
    pub fn kind_at(path: &Path) -> Option<ModelKind> {
        let path = find(path).ok()?;
        let is_ours = path.extension().is_some_and(|e| e == "safetensors");
        let archive = is_ours.then(|| Archive::read(&path).ok()).flatten()?;
        kind_of(&archive.metadata).ok()?
    }

    /// Reads what [`ModelFile::write`] wrote: a file, or the model as it is now of a run directory.
    ///
    /// # Errors
    /// [`EncoderError`], each with the path; [`EncoderError::NotAModel`] says of an encoder or a folder without a model what
    /// it is.
    pub fn read(path: &Path) -> Result<Self, EncoderError> {
        let path = find(path)?;
        let archive = Archive::read(&path)?;
        let damaged = |message: String| EncoderError::Damaged {
            path: path.clone(),
            message,
        };
        let Some(kind) = kind_of(&archive.metadata).map_err(&damaged)? else {
            let what = match Checkpoint::read(&WeightsSource::new(&path)) {
                Ok(_) => without_a_head(&path),
                Err(_) => "no model that semaim has trained for a task".into(),
            };
            return Err(EncoderError::NotAModel { path, what });
        };
        let Architecture {
            config,
            arch,
            normalization,
            interpolation,
            ..
        } = described(&path, &archive.metadata)?;
        let parsed = |key: &str| -> Result<Option<Value>, EncoderError> {
            let text = archive.metadata.get(key);
            let value = text.map(|text| serde_json::from_str(text)).transpose();
            value.map_err(|error| damaged(format!("the metadata `{key}`: {error}")))
        };
        let classes = parsed(CLASSES)?.ok_or_else(|| {
            damaged(format!(
                "it does not name its classes (metadata `{CLASSES}`)"
            ))
        })?;
        let classes = serde_json::from_value(classes)
            .map_err(|error| damaged(format!("the metadata `{CLASSES}`: {error}")))?;
        Ok(Self {
            kind,
            config,
            arch,
            normalization,
            interpolation,
            classes,
            settings: parsed(SETTINGS)?.unwrap_or(Value::Null),
            weights: TensorFile::read(&path)?.weights,
        })
    }
}

/// The kind that a file says it is; files that name classes and no kind are classifiers of an earlier version.
///
/// # Errors
/// What it says, where that is not known.
pub fn kind_of(metadata: &BTreeMap<String, String>) -> Result<Option<ModelKind>, String> {
    let Some(name) = metadata.get(KIND) else {
        let is_classifier = metadata.contains_key(CLASSES);
        return Ok(is_classifier.then_some(ModelKind::Classifier));
    };
    match ModelKind::ALL.into_iter().find(|kind| kind.name() == name) {
        Some(kind) => Ok(Some(kind)),
        None => Err(format!(
            "the metadata `{KIND}` is `{name}`, which this version does not know"
        )),
    }
}

/// The file that a path names, in a run directory the model as it is now.
fn find(path: &Path) -> Result<PathBuf, EncoderError> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let files = ModelKind::ALL.map(|kind| path.join(kind.file_name()));
    if let Some(file) = files.into_iter().find(|file| file.is_file()) {
        return Ok(file);
    }
    let what = if path.join("encoder.safetensors").is_file() {
        format!("a run of pre-training: {}", without_a_head(path))
    } else if path.join("config.toml").is_file() {
        "a run without a model yet: it is written with the first checkpoint".into()
    } else {
        "a folder without a model; the run directories of `semaim finetune`, `semaim detect` and `semaim segment` have one".into()
    };
    Err(EncoderError::NotAModel {
        path: path.to_path_buf(),
        what,
    })
}
