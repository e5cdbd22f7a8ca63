//! The file of a whole detector: one of ours, or one of detectron2's (ViTDet), with what such a file does not say.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use semaim::config::ArchOptions;
use semaim::parameters::{weights, with_weights};
use semaim::position::Interpolation;
use semaim::vit::Vit;
use semaim_checkpoint::archive::Archive;
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::error::EncoderError;
use semaim_checkpoint::model_file::{ModelFile, ModelKind, kind_of};
use semaim_config::Problems;
use semaim_data::{DataError, Normalization, ObjectClasses, counted};
use semaim_detect::config::{ConfigError, DetectorConfig};
use semaim_detect::detectron2::{
    Anchors, ChannelOrder, Detectron2Error, Detectron2Model, Told, is_detectron2,
};
use semaim_detect::relative_position::fit_tables;
use serde::{Deserialize, Serialize};

use super::detector::DetectorSettings;

/// What no tensor of a detectron2 detector says, beside its settings. What is empty is not told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detectron2Config {
    /// A file that names its classes in their order: a COCO file, a `data.yaml`, or a name on each line. Not told, a detector of
    /// 80 classes has COCO's.
    pub classes: PathBuf,
    /// `rgb` or `bgr`. Not told, RGB, as ViTDet's configurations have it.
    pub channel_order: String,
    /// Mean of pixels from 0 to 255, in that order. Not told, as older files say, or ImageNet's.
    pub pixel_mean: Vec<f32>,
    /// Their deviation.
    pub pixel_std: Vec<f32>,
    /// What stands before the names of the copy to take, as `model.`. Not told, an average of weights, where there is one.
    pub copy: String,
}

impl Detectron2Config {
    /// Checks what can be checked without a file.
    pub fn check(&self, problems: &mut Problems) {
        problems.require(
            self.channel_order.is_empty() || self.order().is_some(),
            "channel_order",
            format!("must be rgb or bgr, is {}", self.channel_order),
        );
        problems.require(
            self.pixel_mean.len() == self.pixel_std.len(),
            "pixel_std",
            "must have as many numbers as pixel_mean",
        );
        let usable = |value: &f32| value.is_finite() && *value > 0.0 && *value <= 255.0;
        problems.require(
            self.pixel_std.iter().all(usable),
            "pixel_std",
            "must be above 0 and at most 255",
        );
        let usable = |value: &f32| (0.0..=255.0).contains(value);
        problems.require(
            self.pixel_mean.iter().all(usable),
            "pixel_mean",
            "must be from 0 to 255",
        );
    }

    /// The first setting that is told.
    pub(super) fn given(&self) -> Option<&'static str> {
        let settings = [
            ("detectron2.classes", !self.classes.as_os_str().is_empty()),
            ("detectron2.channel_order", !self.channel_order.is_empty()),
            ("detectron2.pixel_mean", !self.pixel_mean.is_empty()),
            ("detectron2.pixel_std", !self.pixel_std.is_empty()),
            ("detectron2.copy", !self.copy.is_empty()),
        ];
        let given = settings.into_iter().find(|(_, is_told)| *is_told);
        given.map(|(key, _)| key)
    }

    fn order(&self) -> Option<ChannelOrder> {
        match self.channel_order.as_str() {
            "rgb" => Some(ChannelOrder::Rgb),
            "bgr" => Some(ChannelOrder::Bgr),
            _ => None,
        }
    }

    fn normalization(&self) -> Option<Normalization> {
        let shares = |values: &[f32]| values.iter().map(|value| value / 255.0).collect();
        (!self.pixel_mean.is_empty()).then(|| Normalization {
            mean: shares(&self.pixel_mean),
            std: shares(&self.pixel_std),
        })
    }
}

/// What is told of a detector that its file may not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToldDetector {
    /// Attention heads.
    pub num_heads: Option<usize>,
    /// `detector.canvas`.
    pub canvas: Option<usize>,
    /// `detector.attention.window`.
    pub window: Option<usize>,
    /// `detector.attention.global_blocks`.
    pub global_blocks: Option<Vec<usize>>,
    /// `detector.proposals.anchor_sizes` and `aspect_ratios`.
    pub anchors: Option<Anchors>,
    /// `detector.regions.mask_bins`.
    pub mask_bins: Option<usize>,
    /// The rest.
    pub detectron2: Detectron2Config,
    /// Whether the encoder alone is wanted, so that classes need no names.
    pub encoder_only: bool,
}

impl ToldDetector {
    /// All that settings say.
    pub fn by(config: &DetectorConfig, detectron2: &Detectron2Config) -> Self {
        Self {
            num_heads: None,
            canvas: Some(config.canvas),
            window: Some(config.attention.window),
            global_blocks: config.attention.global_blocks.clone(),
            anchors: Some(Anchors {
                sizes: config.proposals.anchor_sizes,
                aspect_ratios: config.proposals.aspect_ratios.clone(),
            }),
            mask_bins: Some(config.regions.mask_bins),
            detectron2: detectron2.clone(),
            encoder_only: false,
        }
    }
}

/// Why the file of a detector cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DetectorFileError {
    /// A file of ours.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// A file of detectron2's.
    #[error(transparent)]
    Detectron2(#[from] Detectron2Error),
    /// The file of its classes.
    #[error(transparent)]
    Classes(#[from] DataError),
    /// As many names as it has no classes.
    #[error("{path} has {}, {names} names {count}", counted(*classes, "class"))]
    OtherClasses {
        /// The detector.
        path: PathBuf,
        /// How many it has.
        classes: usize,
        /// The file of names.
        names: PathBuf,
        /// How many that has.
        count: usize,
    },
    /// Nothing names its classes.
    #[error(
        "{path}: nothing says what its {} are called; name a file that does with --classes (a COCO file, a data.yaml, or a name on each line)",
        counted(*classes, "class")
    )]
    UnnamedClasses {
        /// The detector.
        path: PathBuf,
        /// How many it has.
        classes: usize,
    },
    /// Something is told that a file of ours says itself.
    #[error("{path} says itself {what}; leave {option} out")]
    SaysItself {
        /// The detector.
        path: PathBuf,
        /// What.
        what: &'static str,
        /// The option or setting.
        option: &'static str,
    },
    /// Settings that its weights do not fit.
    #[error("{path}: detector.{} {}; leave it out to take the file's", .source.key, .source.message)]
    Settings {
        /// The detector.
        path: PathBuf,
        /// Which.
        source: ConfigError,
    },
}

/// A whole detector from a file.
#[derive(Clone, Debug)]
pub struct DetectorFile {
    /// The file.
    pub path: PathBuf,
    /// As a file of ours.
    pub model: ModelFile,
    /// What its heads are.
    pub settings: DetectorSettings,
    /// What its file did not say and was taken for granted, for people to read.
    pub said: Vec<String>,
}

impl DetectorFile {
    /// Reads the detector at a path: a file, or a run directory of `semaim detect`. `None` where there is something else, which
    /// other readers may know.
    ///
    /// # Errors
    /// [`DetectorFileError`], each with the path.
    pub fn read(path: &Path, told: &ToldDetector) -> Result<Option<Self>, DetectorFileError> {
        let Some(path) = file_of(path) else {
            return Ok(None);
        };
        // What cannot be read at all is told by whoever reads it next.
        let Ok(archive) = Archive::read(&path) else {
            return Ok(None);
        };
        if kind_of(&archive.metadata) == Ok(Some(ModelKind::Detector)) {
            return Self::ours(path, told).map(Some);
        }
        match is_detectron2(&archive) {
            true => Self::theirs(path, &archive, told).map(Some),
            false => Ok(None),
        }
    }

    fn ours(path: PathBuf, told: &ToldDetector) -> Result<Self, DetectorFileError> {
        for (told, what, option) in [
            (told.num_heads.is_some(), "how many heads it has", "--heads"),
            (
                !told.detectron2.classes.as_os_str().is_empty(),
                "what its classes are called",
                "--classes",
            ),
            (
                told.detectron2 != Detectron2Config::default(),
                "how images are shown to it",
                "the settings of detectron2",
            ),
        ] {
            if told {
                return Err(DetectorFileError::SaysItself { path, what, option });
            }
        }
        let model = ModelFile::read(&path)?;
        Ok(Self {
            settings: DetectorSettings::of_file(&model, &path)?,
            path,
            model,
            said: Vec::new(),
        })
    }

    fn theirs(
        path: PathBuf,
        archive: &Archive,
        told: &ToldDetector,
    ) -> Result<Self, DetectorFileError> {
        let found = Detectron2Model::read(
            &path,
            archive,
            &Told {
                num_heads: told.num_heads,
                canvas: told.canvas,
                window: told.window,
                global_blocks: told.global_blocks.clone(),
                anchors: told.anchors.clone(),
                mask_bins: told.mask_bins,
                channel_order: told.detectron2.order(),
                normalization: told.detectron2.normalization(),
                prefix: Some(told.detectron2.copy.clone()).filter(|copy| !copy.is_empty()),
            },
        )?;
        let mut said = Vec::new();
        let count = found.config.classes;
        let names = &told.detectron2.classes;
        let classes = if !names.as_os_str().is_empty() {
            let classes = ObjectClasses::read(names)?;
            if classes.names.len() != count {
                return Err(DetectorFileError::OtherClasses {
                    path,
                    classes: count,
                    names: names.clone(),
                    count: classes.names.len(),
                });
            }
            classes
        } else if count == ObjectClasses::coco().names.len() {
            said.push(
                "COCO's 80 classes in the order of their numbers (--classes names others)".into(),
            );
            ObjectClasses::coco()
        } else if told.encoder_only {
            let ids: Vec<u64> = (1..=count as u64).collect();
            let names = ids.iter().map(ToString::to_string).collect();
            ObjectClasses { names, ids }
        } else {
            return Err(DetectorFileError::UnnamedClasses {
                path,
                classes: count,
            });
        };
        said.extend(found.defaults_used);
        if !found.other_copies.is_empty() {
            said.push(format!(
                "the copy under `{}` (detectron2.copy names another: {})",
                found.prefix,
                found.other_copies.join(", ")
            ));
        }
        let settings = DetectorSettings {
            detector: found.config,
            category_ids: classes.ids,
            masks: true,
        };
        Ok(Self {
            model: ModelFile {
                kind: ModelKind::Detector,
                config: found.vit,
                arch: ArchOptions::default(),
                normalization: found.normalization,
                interpolation: Interpolation::default(),
                classes: classes.names,
                settings: serde_json::json!(settings),
                weights: found.weights,
            },
            settings,
            path,
            said,
        })
    }

    /// What was taken for granted, in a line; `None` where nothing was.
    pub fn notice(&self) -> Option<String> {
        (!self.said.is_empty()).then(|| {
            format!(
                "{} does not say, and is taken to have: {}",
                self.path.display(),
                self.said.join("; ")
            )
        })
    }

    /// The same detector with other settings, relative positions resized to its canvas and windows.
    ///
    /// # Errors
    /// [`DetectorFileError::Settings`] for settings that its weights do not fit.
    pub fn with_settings(mut self, config: &DetectorConfig) -> Result<Self, DetectorFileError> {
        let (vit, mine) = (&self.model.config, &mut self.settings.detector);
        let config = DetectorConfig {
            classes: mine.classes,
            ..config.clone()
        };
        let fits = config
            .check_fits(mine)
            .and_then(|()| config.validate(vit.patch_size, vit.depth));
        fits.map_err(|source| DetectorFileError::Settings {
            path: self.path.clone(),
            source,
        })?;
        fit_tables(&mut self.model.weights, &config, vit.patch_size, vit.depth);
        *mine = config;
        self.model.settings = serde_json::json!(self.settings);
        Ok(self)
    }

    /// Its encoder alone, without class token and final norm, which a detector does not have.
    ///
    /// # Errors
    /// [`EncoderError`], with the path: a weight that is missing, of another shape, or not finite.
    pub fn encoder(&self, device: &Device) -> Result<Encoder, EncoderError> {
        self.model.check_finite(&self.path)?;
        let vit = Vit::zeros_as(&self.model.config, &self.model.arch, device);
        let mut found = weights(&vit)?;
        for (name, weight) in &mut found {
            match self.model.weights.get(&format!("backbone.{name}")) {
                Some(theirs) => *weight = theirs.clone(),
                None if is_in_backbones(name) => {
                    return Err(EncoderError::Damaged {
                        path: self.path.clone(),
                        message: format!("it has no `backbone.{name}`"),
                    });
                }
                None => {}
            }
        }
        let vit = with_weights(vit, &found).map_err(|source| EncoderError::Mismatch {
            path: self.path.clone(),
            source,
        })?;
        Ok(Encoder {
            vit,
            config: self.model.config.clone(),
            normalization: self.model.normalization.clone(),
            interpolation: self.model.interpolation,
        })
    }
}

/// Whether a backbone has this weight of an encoder.
fn is_in_backbones(name: &str) -> bool {
    ["patch_embed.", "pos_embed", "norm_pre.", "blocks."]
        .iter()
        .any(|part| name.starts_with(part))
}

/// The file that a path names; in a run directory the detector as it is now.
fn file_of(path: &Path) -> Option<PathBuf> {
    let file = match path.is_dir() {
        true => path.join(ModelKind::Detector.file_name()),
        false => path.to_path_buf(),
    };
    file.is_file().then_some(file)
}
