//! A detector as a model file: the network, and what is needed to use it.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use semaim::config::{ArchOptions, VitConfig};
use semaim::parameters::{weights, with_weights};
use semaim::position::Interpolation;
use semaim::vit::Vit;
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::error::EncoderError;
use semaim_checkpoint::model_file::{ModelFile, ModelKind};
use semaim_data::{Augment, Normalization, OpenOptions, ShapesOptions};
use semaim_detect::config::DetectorConfig;
use semaim_detect::model::MaskRcnn;
use serde::{Deserialize, Serialize};

use crate::views::SHAPES_TO_EVALUATE;

/// What a detector's file says beside its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorInfo {
    /// The encoder's sizes.
    pub config: VitConfig,
    /// Where the encoder differs from SemAIM's own.
    pub arch: ArchOptions,
    /// How images are normalized.
    pub normalization: Normalization,
    /// The names of the classes, by number.
    pub classes: Vec<String>,
    /// What its heads are.
    pub settings: DetectorSettings,
}

/// The settings of a detector's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectorSettings {
    /// The detector's own.
    pub detector: DetectorConfig,
    /// The number of each class in the annotations that it was trained on.
    pub category_ids: Vec<u64>,
    /// Whether it was taught masks: where no object had one, what its mask head gives means nothing.
    pub masks: bool,
}

/// A detector, ready to be used.
#[derive(Debug)]
pub struct Detector {
    /// The network.
    pub model: MaskRcnn,
    /// What it is.
    pub info: DetectorInfo,
}

impl DetectorInfo {
    /// Of a detector on an encoder.
    pub fn new(encoder: &Encoder, classes: Vec<String>, settings: DetectorSettings) -> Self {
        Self {
            config: encoder.config.clone(),
            arch: encoder.vit.arch_options(),
            normalization: encoder.normalization.clone(),
            classes,
            settings,
        }
    }

    /// How images are shown for detection: whole, on the canvas.
    pub fn views(&self) -> Augment {
        Augment {
            normalization: self.normalization.clone(),
            ..Augment::on_canvas([self.settings.detector.canvas; 2], self.config.channels)
        }
    }

    /// How data sets are opened in the form that the detector takes.
    pub fn open_options(&self) -> OpenOptions {
        let side = u32::try_from(self.settings.detector.canvas).unwrap_or(u32::MAX);
        OpenOptions {
            channels: self.config.channels,
            unit_floats: self.normalization.is_a_convention(),
            shapes: ShapesOptions {
                count: SHAPES_TO_EVALUATE,
                image_size: [side; 2],
                ..ShapesOptions::default()
            },
            ..OpenOptions::default()
        }
    }

    /// A model with this said of it, as a file.
    ///
    /// # Errors
    /// [`EncoderError::Weights`] when the backend fails.
    pub fn file(&self, model: &MaskRcnn) -> Result<ModelFile, EncoderError> {
        Ok(ModelFile {
            kind: ModelKind::Detector,
            config: self.config.clone(),
            arch: self.arch.clone(),
            normalization: self.normalization.clone(),
            interpolation: Interpolation::default(),
            classes: self.classes.clone(),
            settings: serde_json::json!(self.settings),
            weights: weights(&model.clone().no_grad())?,
        })
    }
}

impl DetectorSettings {
    /// The settings of a detector's file.
    ///
    /// # Errors
    /// [`EncoderError::Damaged`], with the path, for settings that make no sense.
    pub(super) fn of_file(file: &ModelFile, path: &Path) -> Result<Self, EncoderError> {
        let damaged = |message: String| EncoderError::Damaged {
            path: path.to_path_buf(),
            message,
        };
        let mut settings: Self = serde_json::from_value(file.settings.clone())
            .map_err(|error| damaged(format!("its settings: {error}")))?;
        settings.detector.classes = file.classes.len();
        if settings.category_ids.len() != file.classes.len() {
            return Err(damaged(format!(
                "it has {} classes and {} numbers for them",
                file.classes.len(),
                settings.category_ids.len()
            )));
        }
        Ok(settings)
    }
}

impl Detector {
    /// The detector of a model file.
    ///
    /// # Errors
    /// [`EncoderError`], each with the path: a model of another kind, settings that make no sense, the first weight that is
    /// missing, has another shape or holds what is no number.
    pub fn of_file(file: ModelFile, path: &Path, device: &Device) -> Result<Self, EncoderError> {
        let path = path.to_path_buf();
        if file.kind != ModelKind::Detector {
            return Err(EncoderError::OtherKind {
                path,
                kind: file.kind,
                wanted: "detector",
            });
        }
        let settings = DetectorSettings::of_file(&file, &path)?;
        file.check_finite(&path)?;
        let encoder = Vit::zeros_as(&file.config, &file.arch, device);
        let model = MaskRcnn::new(encoder, settings.detector.clone(), 0, device);
        let model = model.map_err(|error| EncoderError::Damaged {
            path: path.clone(),
            message: error.to_string(),
        })?;
        let model = with_weights(model, &file.weights);
        let model = model.map_err(|source| EncoderError::Mismatch {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            model: model.no_grad(),
            info: DetectorInfo {
                config: file.config,
                arch: file.arch,
                normalization: file.normalization,
                classes: file.classes,
                settings,
            },
        })
    }
}
