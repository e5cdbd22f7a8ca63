//! What stands beside a checkpoint: the JSON files that libraries write with their weights, and what a run of ours keeps.
//!
//! Weights say how wide and deep a network is, but not how many heads it has, nor how its images were normalized. A
//! `config.json`, a `preprocessor_config.json` (or a `processor_config.json`) or an `open_clip_config.json` does, beside a file that
//! libraries call by a name of their own, such as `model.safetensors`. Any other `NAME.safetensors` has a `NAME.config.json` and a
//! `NAME.preprocessor_config.json`: its folder may hold checkpoints that a `config.json` says nothing of.

mod hugging_face;
mod open_clip;
mod preprocessor;
mod run;
mod timm;

use std::fs;
use std::path::{Path, PathBuf};

use semaim::config::{Activation, Normalization};
use semaim::position::Interpolation;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use hugging_face::{VisionConfig, nested};
use open_clip::OpenClipConfig;
use timm::TimmArgs;

/// What libraries call a checkpoint in a folder of its own.
pub(crate) const LIBRARIES_NAMES: [&str; 8] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_model.safetensors",
    "open_clip_model.safetensors.index.json",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.bin.index.json",
];
/// What libraries call files beside a checkpoint.
const KINDS: [&str; 4] = [CONFIG, PREPROCESSOR, PROCESSOR, OPEN_CLIP];
const CONFIG: &str = "config.json";
const PREPROCESSOR: &str = "preprocessor_config.json";
const PROCESSOR: &str = "processor_config.json";
const OPEN_CLIP: &str = "open_clip_config.json";
/// The largest size in such a file that is believed.
const LARGEST: usize = 65_536;
/// The longest such file that is read, in bytes.
const MOST: u64 = 16 << 20;

/// What the files beside a checkpoint say; nothing where there are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sidecar {
    pub(crate) num_heads: Option<usize>,
    /// The name of timm's that the heads are known by, where nothing else says them.
    pub(crate) heads_by_name: Option<String>,
    /// How many blocks it is said to have, and the file that says so.
    pub(crate) depth: Option<(usize, PathBuf)>,
    pub(crate) epsilon: Option<f64>,
    pub(crate) activation: Option<Activation>,
    pub(crate) image_size: Option<[usize; 2]>,
    pub(crate) mean: Option<Vec<f32>>,
    pub(crate) std: Option<Vec<f32>>,
    /// Where images are not normalized: the deviation of all channels that makes of 0..1 the values that they have.
    pub(crate) unnormalized: Option<f32>,
    /// The class of Hugging Face's, if it is one whose defaults are known.
    pub(crate) class: Option<&'static str>,
    /// The class of Hugging Face's with the mean and the standard deviation that are usual for it, if it is one whose are known.
    pub(crate) class_normalization: Option<(&'static str, [[f32; 3]; 2])>,
    /// What the files say and is computed otherwise, for people to read.
    pub(crate) assumed: Vec<String>,
    /// Whether an `open_clip_config.json` is there.
    pub(crate) open_clip: bool,
    /// Whether the file is timm's, as its `config.json` says.
    pub(crate) timm: bool,
    /// How the position table is resized.
    pub(crate) interpolation: Option<Interpolation>,
    /// Whether a run of ours describes its encoder: what is left out is as usual for us.
    pub(crate) by_its_run: bool,
    /// The files that were read.
    pub(crate) files: Vec<PathBuf>,
}

/// A file beside a checkpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {message}")]
pub struct SidecarError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub message: String,
}

/// The share of a whole image's short side that is seen here; [`semaim::config::covered`] is what is resized for it.
const SHOWN: f64 = 7.0 / 8.0;

/// Hugging Face's or timm's `config.json`; both leave out what is as usual.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    #[serde(flatten)]
    vision: VisionConfig,
    /// Of a model of images and texts.
    vision_config: Option<Value>,
    /// The same in FLAVA.
    image_config: Option<Value>,
    /// Of a model that writes texts.
    encoder: Option<Value>,
    /// Of a model for dense tasks.
    backbone_config: Option<Value>,
    /// timm's.
    architecture: Option<String>,
    model_args: Option<TimmArgs>,
    pretrained_cfg: Option<Pretrained>,
    /// What older versions of timm put here in place of a `pretrained_cfg`; in files of others it may be anything, and what is of
    /// another form says nothing.
    mean: Value,
    std: Value,
    input_size: Value,
    crop_pct: Value,
    interpolation: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pretrained {
    mean: Option<Vec<f32>>,
    std: Option<Vec<f32>>,
    input_size: Option<[usize; 3]>,
    // What is only told of, whatever form it has.
    crop_pct: Value,
    interpolation: Value,
}

impl Pretrained {
    /// In what timm's views of whole images differ from ours, in its words.
    fn other_views(&self) -> Vec<String> {
        let mut differs = Vec::new();
        let as_here = |share: f64| (share - SHOWN).abs() < 1e-3;
        if !self.crop_pct.is_null() && !self.crop_pct.as_f64().is_some_and(as_here) {
            differs.push(format!("crop_pct {}", self.crop_pct));
        }
        if !self.interpolation.is_null() && self.interpolation != "bicubic" {
            differs.push(format!("interpolation {}", self.interpolation));
        }
        differs
    }
}

impl Sidecar {
    /// Reads what stands beside a checkpoint; `is_ours` is whether it says of itself that a run of ours wrote it.
    ///
    /// # Errors
    /// A file that is no JSON, or says of the network what cannot be.
    pub(crate) fn beside(checkpoint: &Path, is_ours: bool) -> Result<Self, SidecarError> {
        let mut sidecar = Self::default();
        if is_ours {
            sidecar.read_run(checkpoint)?;
        }
        if let Some((path, config)) = sidecar.read::<Config>(checkpoint, CONFIG)? {
            let wrong = |message| SidecarError { path, message };
            sidecar.config(config).map_err(wrong)?;
        }
        if let Some((path, config)) = sidecar.read_preprocessor(checkpoint)? {
            let wrong = |message| SidecarError { path, message };
            sidecar.preprocessor(config).map_err(wrong)?;
        }
        if let Some((path, config)) = sidecar.read::<OpenClipConfig>(checkpoint, OPEN_CLIP)? {
            let wrong = |message| SidecarError { path, message };
            sidecar.of_open_clip(config).map_err(wrong)?;
        }
        if let Some(path) = sidecar.files.last() {
            sidecar.check().map_err(|message| SidecarError {
                path: path.clone(),
                message,
            })?;
        }
        Ok(sidecar)
    }

    /// The normalization, if the files say one for so many channels.
    pub(crate) fn normalization(&self, channels: usize) -> Option<Normalization> {
        if let Some(std) = self.unnormalized {
            return Some(Normalization {
                mean: vec![0.0; channels],
                std: vec![std; channels],
            });
        }
        let fits = |list: &&Vec<f32>| list.len() == channels;
        let (mean, std) = (
            self.mean.as_ref().filter(fits)?,
            self.std.as_ref().filter(fits)?,
        );
        Some(Normalization {
            mean: mean.clone(),
            std: std.clone(),
        })
    }

    /// The files that were read, for people to read.
    pub(crate) fn names(&self) -> String {
        let names = self.files.iter().filter_map(|file| file.file_name());
        let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
        names.join(" and ")
    }

    /// The file of a kind beside a checkpoint, if there is one.
    fn read<T: DeserializeOwned>(
        &mut self,
        checkpoint: &Path,
        kind: &str,
    ) -> Result<Option<(PathBuf, T)>, SidecarError> {
        for path in places(checkpoint, kind) {
            if let Some(text) = text(&path)? {
                let content = serde_json::from_str(&text).map_err(|error| SidecarError {
                    path: path.clone(),
                    message: error.to_string(),
                })?;
                self.files.push(path.clone());
                return Ok(Some((path, content)));
            }
        }
        Ok(None)
    }

    /// Hugging Face's or timm's `config.json`.
    fn config(&mut self, config: Config) -> Result<(), String> {
        let pretrained = match config.pretrained_cfg {
            Some(told) => told,
            None if config.architecture.is_some() => Pretrained {
                mean: of_form(config.mean),
                std: of_form(config.std),
                input_size: of_form(config.input_size),
                crop_pct: config.crop_pct,
                interpolation: config.interpolation,
            },
            None => Pretrained::default(),
        };
        self.views_differ(pretrained.other_views());
        self.mean = pretrained.mean;
        self.std = pretrained.std;
        self.image_size = pretrained
            .input_size
            .map(|[_, height, width]| [height, width]);
        let nested = nested([
            config.vision_config,
            config.image_config,
            config.encoder,
            config.backbone_config,
        ])?;
        self.of_a_class(nested, config.vision)?;
        let args = config.model_args.unwrap_or_default();
        self.of_timm(config.architecture.as_deref(), args)
    }

    /// Says in what a file would have views of whole images other than they are here.
    fn views_differ(&mut self, differs: Vec<String>) {
        if !differs.is_empty() {
            let file = self.files.last().and_then(|path| path.file_name());
            self.assumed.push(format!(
                "where whole images are embedded or classified, the center of seven eighths is seen, resized bicubically, while {} says: {}",
                file.unwrap_or_default().display(),
                differs.join(", ")
            ));
        }
    }

    /// What no network can have.
    fn check(&self) -> Result<(), String> {
        let sizes = self
            .num_heads
            .iter()
            .chain(self.image_size.iter().flatten());
        for &size in sizes {
            if size == 0 || size > LARGEST {
                return Err(format!("a size in it is {size}"));
            }
        }
        if self.epsilon.is_some_and(|e| !(e > 0.0 && e < 1.0)) {
            return Err("the epsilon of its layer norms is not between 0 and 1".into());
        }
        if self.std.iter().flatten().any(|&std| std <= 0.0) {
            return Err("a standard deviation of its normalization is not above 0".into());
        }
        let numbers = self.mean.iter().chain(&self.std).flatten();
        match numbers.clone().all(|v| v.is_finite()) {
            true => Ok(()),
            false => Err("its normalization is not finite".into()),
        }
    }
}

/// A value of a form, `None` where it has another.
fn of_form<T: DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

/// Where files of all kinds beside a checkpoint of another library are looked for.
pub(crate) fn sidecars(checkpoint: &Path) -> Vec<PathBuf> {
    let of_kind = |kind| places(checkpoint, kind);
    KINDS.into_iter().flat_map(of_kind).collect()
}

/// Where a file of a kind beside a checkpoint is looked for, in this order.
fn places(checkpoint: &Path, kind: &str) -> Vec<PathBuf> {
    let mut places = vec![checkpoint.with_extension(kind)];
    if is_a_librarys_name(checkpoint) {
        places.push(checkpoint.with_file_name(kind));
    }
    places
}

/// Whether libraries write checkpoints, one to a folder, under this name.
pub(crate) fn is_a_librarys_name(checkpoint: &Path) -> bool {
    let name = checkpoint.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| LIBRARIES_NAMES.contains(&name))
}

/// A text file; `None` if it is not there.
fn text(path: &Path) -> Result<Option<String>, SidecarError> {
    let wrong = |message: String| SidecarError {
        path: path.to_path_buf(),
        message,
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= MOST => {}
        Ok(_) => return Err(wrong("is no file of a sensible size".into())),
        Err(_) => return Ok(None),
    }
    fs::read_to_string(path)
        .map(Some)
        .map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn beside(files: &[(&str, &str)]) -> Result<Sidecar, SidecarError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Sidecar::beside(&folder.path().join("model.safetensors"), false)
    }

    #[test]
    fn files_of_three_libraries_are_read() {
        assert_eq!(beside(&[]).unwrap(), Sidecar::default());
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), "{").unwrap();
        // What a library keeps in a folder says nothing of other checkpoints there.
        let other = Sidecar::beside(&folder.path().join("dino.pth"), false).unwrap();
        assert_eq!(other, Sidecar::default());
        assert!(Sidecar::beside(&folder.path().join("pytorch_model.bin"), false).is_err());
        let vit = r#"{"num_attention_heads": 3, "layer_norm_eps": 1e-12, "hidden_act": "gelu", "image_size": 56}"#;
        let processor = r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.5, 0.5]}"#;
        let found = beside(&[
            ("config.json", vit),
            ("preprocessor_config.json", processor),
        ]);
        let found = found.unwrap();
        assert_eq!(found.num_heads, Some(3));
        assert_eq!(found.epsilon, Some(1e-12));
        assert_eq!(found.image_size, Some([56, 56]));
        assert_eq!(found.std, Some(vec![0.25, 0.5, 0.5]));
        let clip = r#"{"vision_config": {"num_attention_heads": 12, "hidden_act": "quick_gelu", "image_size": [8, 16]}}"#;
        let found = beside(&[("model.config.json", clip), ("config.json", vit)]).unwrap();
        assert_eq!(found.num_heads, Some(12));
        assert_eq!(found.activation, Some(Activation::QuickGelu));
        assert_eq!(found.image_size, Some([8, 16]));
        let timm = r#"{"pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "input_size": [3, 32, 64]}}"#;
        let found = beside(&[("config.json", timm)]).unwrap();
        assert_eq!(found.mean, Some(vec![0.1, 0.2, 0.3]));
        assert_eq!(found.image_size, Some([32, 64]));
        let open = r#"{"model_cfg": {"vision_cfg": {"width": 1280, "head_width": 80}}, "preprocess_cfg": {"mean": [0.0]}}"#;
        let found = beside(&[("open_clip_config.json", open)]).unwrap();
        assert_eq!((found.num_heads, found.open_clip), (Some(16), true));
        assert_eq!(found.activation, Some(Activation::Gelu));
    }

    #[test]
    fn older_files_of_timm_say_at_the_top_how_images_are_shown() {
        let flat = r#"{"architecture": "vit_tiny_patch16_224", "num_classes": 0, "input_size": [3, 32, 64],
            "crop_pct": 0.9, "mean": [0.5, 0.25, 0.125], "std": [0.5, 0.5, 1.0]}"#;
        let found = beside(&[("config.json", flat)]).unwrap();
        assert_eq!(found.mean, Some(vec![0.5, 0.25, 0.125]));
        assert_eq!(found.std, Some(vec![0.5, 0.5, 1.0]));
        assert_eq!(found.image_size, Some([32, 64]));
        assert_eq!((found.num_heads, found.timm), (Some(3), true));
        let said = found.assumed.join("; ");
        assert!(said.contains("config.json says: crop_pct 0.9"), "{said}");
        // With a part of its own for it, and in files of others, these mean something else.
        let newer = r#"{"architecture": "vit_tiny_patch16_224", "mean": [0.5, 0.5, 0.5], "input_size": 7,
            "pretrained_cfg": {"mean": [0.1, 0.2, 0.3]}, "model_args": null}"#;
        let found = beside(&[("config.json", newer)]).unwrap();
        assert_eq!(found.mean, Some(vec![0.1, 0.2, 0.3]));
        let other = r#"{"model_type": "vit", "mean": "none", "std": 1, "input_size": 24}"#;
        let found = beside(&[("config.json", other)]).unwrap();
        assert_eq!(
            (found.mean, found.std, found.image_size),
            (None, None, None)
        );
        // Each of them says nothing where it is of another form.
        let one = r#"{"architecture": "vit_tiny_patch16_224", "mean": 0.5, "std": [0.5, 0.5, 1.0], "input_size": 224}"#;
        let found = beside(&[("config.json", one)]).unwrap();
        assert_eq!((found.mean, found.image_size), (None, None));
        assert_eq!(found.std, Some(vec![0.5, 0.5, 1.0]));
        let other = r#"{"architecture": "vit_tiny_patch16_224", "mean": "none", "std": null, "input_size": [224, 224]}"#;
        let found = beside(&[("config.json", other)]).unwrap();
        assert_eq!(
            (found.mean, found.std, found.image_size),
            (None, None, None)
        );
        assert_eq!(found.num_heads, Some(3));
    }

    #[test]
    fn files_that_make_no_sense_are_named() {
        for text in [
            "{",
            r#"{"hidden_act": "relu"}"#,
            r#"{"num_attention_heads": 0}"#,
            r#"{"image_size": 17179869184}"#,
            r#"{"layer_norm_eps": -1.0}"#,
        ] {
            let error = beside(&[("config.json", text)]).unwrap_err();
            assert!(error.path.ends_with("config.json"), "{text}");
        }
    }
}
