//! What stands beside a checkpoint: the JSON files that libraries write with their weights, and a run's `config.toml`.
//!
//! Weights say how wide and deep a network is, but not how many heads it has, nor how its images were normalized. A
//! `config.json`, a `preprocessor_config.json` (or a `processor_config.json`) or an `open_clip_config.json` does, beside a file that
//! libraries call by a name of their own, such as `model.safetensors`. Any other `NAME.safetensors` has a `NAME.config.json` and a
//! `NAME.preprocessor_config.json`: its folder may hold checkpoints that a `config.json` says nothing of.

mod open_clip;
mod timm;

use std::fs;
use std::path::{Path, PathBuf};

use semaim::config::{Activation, CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD, Normalization};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

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
/// The largest size in such a file that is believed.
const LARGEST: usize = 65_536;
/// The longest such file that is read, in bytes.
const MOST: u64 = 16 << 20;
/// Classes of Hugging Face's, by their `model_type`, that have [`CLASS_HEADS`] where their configuration does not say how many.
const CLASSES: [&str; 8] = [
    "vit",
    "vit_mae",
    "vit_msn",
    "deit",
    "dinov2",
    "dinov2_with_registers",
    "clip",
    "clip_vision_model",
];
/// The heads of those.
const CLASS_HEADS: usize = 12;
/// Mean and standard deviation with which the published checkpoints of classes of Hugging Face's were trained, by their
/// `model_type`, where they are others than is usual for networks with such names of tensors.
const CLASS_NORMALIZATIONS: [(&str, [[f32; 3]; 2]); 5] = [
    ("vit_mae", [IMAGENET_MEAN, IMAGENET_STD]),
    ("vit_msn", [IMAGENET_MEAN, IMAGENET_STD]),
    ("deit", [IMAGENET_MEAN, IMAGENET_STD]),
    ("flava", [CLIP_MEAN, CLIP_STD]),
    ("flava_image_model", [CLIP_MEAN, CLIP_STD]),
];
/// How far from 1 the product of a `rescale_factor` and 255 may be: written with few digits it is not exact.
const ROUNDED: f64 = 1e-3;

/// What the files beside a checkpoint say; nothing where there are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sidecar {
    pub(crate) num_heads: Option<usize>,
    /// The name of timm's that the heads are known by, where nothing else says them.
    pub(crate) heads_by_name: Option<String>,
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
    /// Whether it is a checkpoint of a run of ours, as the run's `config.toml` says.
    pub(crate) of_a_run: bool,
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
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct VisionConfig {
    model_type: Option<String>,
    num_attention_heads: Option<usize>,
    layer_norm_eps: Option<f64>,
    hidden_act: Option<String>,
    image_size: Option<Sides>,
    use_swiglu_ffn: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pretrained {
    mean: Option<Vec<f32>>,
    std: Option<Vec<f32>>,
    input_size: Option<[usize; 3]>,
}

/// One side of a square, or height and width.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Sides {
    One(usize),
    Two([usize; 2]),
}

impl Sides {
    fn pair(self) -> [usize; 2] {
        match self {
            Self::One(side) => [side, side],
            Self::Two(sides) => sides,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Preprocessor {
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    do_normalize: Option<bool>,
    image_mean: Option<Vec<f32>>,
    image_std: Option<Vec<f32>>,
}

/// What transformers writes of a processor of images and texts, since version 5 in place of a `preprocessor_config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Processor {
    image_processor: Option<Preprocessor>,
}

/// The settings of a run that a checkpoint of it does not hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunConfig {
    model: RunModel,
    arch: RunArch,
    data: RunData,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunModel {
    num_heads: Option<usize>,
    image_size: Option<[usize; 2]>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunArch {
    epsilon: Option<f64>,
    activation: Option<Activation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunData {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Sidecar {
    /// Reads what stands beside a checkpoint.
    ///
    /// # Errors
    /// A file that is no JSON, or says of the network what cannot be.
    pub(crate) fn beside(checkpoint: &Path) -> Result<Self, SidecarError> {
        let mut sidecar = Self::default();
        if let Some((path, text)) = run_config(checkpoint)? {
            let wrong = |message| SidecarError {
                path: path.clone(),
                message,
            };
            let config: RunConfig = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
            sidecar.num_heads = config.model.num_heads;
            sidecar.image_size = config.model.image_size;
            sidecar.epsilon = config.arch.epsilon;
            sidecar.activation = config.arch.activation;
            sidecar.mean = Some(config.data.mean).filter(|list| !list.is_empty());
            sidecar.std = Some(config.data.std).filter(|list| !list.is_empty());
            sidecar.of_a_run = true;
            sidecar.files.push(path);
        }
        if let Some((path, config)) = sidecar.read::<Config>(checkpoint, "config.json")? {
            let wrong = |message| SidecarError { path, message };
            sidecar.config(config).map_err(wrong)?;
        }
        if let Some((path, config)) = sidecar.read_preprocessor(checkpoint)? {
            let wrong = |message| SidecarError { path, message };
            sidecar.preprocessor(config).map_err(wrong)?;
        }
        if let Some((path, config)) =
            sidecar.read::<OpenClipConfig>(checkpoint, "open_clip_config.json")?
        {
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
        std.iter().all(|&s| s > 0.0).then(|| Normalization {
            mean: mean.clone(),
            std: std.clone(),
        })
    }

    /// The heads of the library's class, with its name, where they are known.
    pub(crate) fn class_heads(&self) -> Option<(usize, &'static str)> {
        self.class.map(|class| (CLASS_HEADS, class))
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
        let mut paths = vec![checkpoint.with_extension(kind)];
        if is_a_librarys_name(checkpoint) {
            paths.push(checkpoint.with_file_name(kind));
        }
        for path in paths {
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

    /// How images are made ready: by a file of its own, or where there is none by the part of another.
    fn read_preprocessor(
        &mut self,
        checkpoint: &Path,
    ) -> Result<Option<(PathBuf, Preprocessor)>, SidecarError> {
        let own = self.read::<Preprocessor>(checkpoint, "preprocessor_config.json")?;
        if own.is_some() {
            return Ok(own);
        }
        let whole = self.read::<Processor>(checkpoint, "processor_config.json")?;
        Ok(whole.and_then(|(path, whole)| Some((path, whole.image_processor?))))
    }

    /// Hugging Face's or timm's `config.json`.
    fn config(&mut self, config: Config) -> Result<(), String> {
        let pretrained = match config.pretrained_cfg {
            Some(told) => told,
            None if config.architecture.is_some() => Pretrained {
                mean: of_form(config.mean),
                std: of_form(config.std),
                input_size: of_form(config.input_size),
            },
            None => Pretrained::default(),
        };
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

    /// What Hugging Face's class says of itself; what it leaves out is as in the class.
    fn of_a_class(
        &mut self,
        nested: Option<VisionConfig>,
        whole: VisionConfig,
    ) -> Result<(), String> {
        let class = nested.as_ref().and_then(|part| part.model_type.clone());
        let class = class.or_else(|| whole.model_type.clone());
        self.class = CLASSES
            .into_iter()
            .find(|known| class.as_deref() == Some(*known));
        self.class_normalization = CLASS_NORMALIZATIONS
            .into_iter()
            .find(|(known, _)| class.as_deref() == Some(*known));
        let vision = nested.unwrap_or(whole);
        self.num_heads = vision.num_attention_heads;
        self.epsilon = vision.layer_norm_eps;
        self.activation = match vision.hidden_act.as_deref() {
            None => None,
            Some("gelu") => Some(Activation::Gelu),
            Some("quick_gelu") => Some(Activation::QuickGelu),
            Some(other) => return Err(format!("hidden_act `{other}` is not computed here")),
        };
        if vision.use_swiglu_ffn == Some(true) {
            self.activation = Some(Activation::SwiGlu);
        }
        if let Some(sides) = vision.image_size {
            self.image_size = Some(sides.pair());
        }
        Ok(())
    }

    /// How Hugging Face's library makes numbers of pixels. Values of 0..255 that are normalized are those of 0..1 with a mean and
    /// a deviation 255 times smaller.
    fn preprocessor(&mut self, config: Preprocessor) -> Result<(), String> {
        let is_rescaled = config.do_rescale.unwrap_or(true);
        if is_rescaled
            && let Some(factor) = config.rescale_factor
            && (factor * 255.0 - 1.0).abs() > ROUNDED
        {
            return Err(format!(
                "rescale_factor {factor} is not computed here, 1/255 is"
            ));
        }
        // Deviations of values of 0..255 are above 1. With smaller ones the values that are not rescaled are of 0..1 already.
        let is_of_bytes = |std: &Vec<f32>| std.iter().any(|&std| std > 1.0);
        let unit: f32 = match &config.image_std {
            _ if is_rescaled => 1.0,
            Some(std) if !is_of_bytes(std) && config.do_normalize != Some(false) => 1.0,
            _ => 255.0,
        };
        let values = if unit > 1.0 { "0..255" } else { "0..1" };
        if config.do_normalize == Some(false) {
            self.unnormalized = Some(1.0 / unit);
            self.assumed.push(format!(
                "images are not normalized, values are of {values} (do_normalize is false)"
            ));
            return Ok(());
        }
        if !is_rescaled {
            self.assumed.push(format!(
                "mean and deviation are of values of {values}, by their size (do_rescale is false)"
            ));
        }
        if !is_rescaled && (config.image_mean.is_none() || config.image_std.is_none()) {
            return Err(
                "do_rescale is false, and image_mean or image_std of values of 0..255 is missing"
                    .into(),
            );
        }
        let of_unit =
            |list: Vec<f32>| -> Vec<f32> { list.into_iter().map(|value| value / unit).collect() };
        self.mean = config.image_mean.map(of_unit).or(self.mean.take());
        self.std = config.image_std.map(of_unit).or(self.std.take());
        Ok(())
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

/// The configuration of the part of a model that sees images, where it has more parts.
fn nested(parts: [Option<Value>; 4]) -> Result<Option<VisionConfig>, String> {
    let mut parts = parts.into_iter().flatten();
    match parts.find(Value::is_object) {
        Some(part) => serde_json::from_value(part)
            .map(Some)
            .map_err(|error| error.to_string()),
        None => Ok(None),
    }
}

/// Whether libraries write checkpoints, one to a folder, under this name.
pub(crate) fn is_a_librarys_name(checkpoint: &Path) -> bool {
    let name = checkpoint.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| LIBRARIES_NAMES.contains(&name))
}

/// The `config.toml` of the run that a checkpoint `RUN/checkpoints/step-N.safetensors` is of.
fn run_config(checkpoint: &Path) -> Result<Option<(PathBuf, String)>, SidecarError> {
    let folder = checkpoint
        .parent()
        .filter(|folder| folder.ends_with("checkpoints"));
    let name = checkpoint
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let Some(run) = folder
        .and_then(Path::parent)
        .filter(|_| name.starts_with("step-"))
    else {
        return Ok(None);
    };
    let path = run.join("config.toml");
    Ok(text(&path)?.map(|text| (path, text)))
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

    fn beside(files: &[(&str, &str)]) -> Result<Sidecar, SidecarError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Sidecar::beside(&folder.path().join("model.safetensors"))
    }

    #[test]
    fn files_of_three_libraries_are_read() {
        assert_eq!(beside(&[]).unwrap(), Sidecar::default());
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), "{").unwrap();
        // What a library keeps in a folder says nothing of other checkpoints there.
        let other = Sidecar::beside(&folder.path().join("dino.pth")).unwrap();
        assert_eq!(other, Sidecar::default());
        assert!(Sidecar::beside(&folder.path().join("pytorch_model.bin")).is_err());
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
    fn the_part_of_a_processor_that_sees_images_is_looked_into() {
        let whole = r#"{"image_processor": {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6],
            "do_rescale": true, "rescale_factor": 0.00392156862745098}, "processor_class": "CLIPProcessor"}"#;
        let found = beside(&[("processor_config.json", whole)]).unwrap();
        let normalization = found.normalization(3).unwrap();
        assert_eq!(normalization.mean, [0.1, 0.2, 0.3]);
        assert_eq!(normalization.std, [0.4, 0.5, 0.6]);
        assert_eq!(found.names(), "processor_config.json");
        let found = beside(&[("model.processor_config.json", whole)]).unwrap();
        assert_eq!(found.mean, Some(vec![0.1, 0.2, 0.3]));
        // A file of its own comes first.
        let own = r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#;
        let both = [
            ("preprocessor_config.json", own),
            ("processor_config.json", whole),
        ];
        assert_eq!(beside(&both).unwrap().mean, Some(vec![0.5; 3]));
        let none = r#"{"processor_class": "CLIPProcessor"}"#;
        let found = beside(&[("processor_config.json", none)]).unwrap();
        assert_eq!(found.mean, None);
        let wrong = r#"{"image_processor": {"rescale_factor": 0.5}}"#;
        let error = beside(&[("processor_config.json", wrong)]).unwrap_err();
        assert!(error.path.ends_with("processor_config.json"), "{error}");
    }

    #[test]
    fn heads_are_told_or_those_of_a_known_class() {
        let read = |config: &str| beside(&[("config.json", config)]).unwrap();
        // Hugging Face's classes that are known have twelve heads where nothing else is said.
        for config in [
            r#"{"model_type": "vit", "hidden_size": 192}"#,
            r#"{"model_type": "clip", "vision_config": {"hidden_size": 512}}"#,
            r#"{"model_type": "depth_anything", "backbone_config": {"model_type": "dinov2"}}"#,
        ] {
            let found = read(config);
            assert_eq!(found.num_heads, None, "{config}");
            assert_eq!(found.class_heads().map(|(heads, _)| heads), Some(12));
        }
        // All others have as many as they like.
        for config in [
            "{}",
            r#"{"model_type": "my_vit", "num_heads": 6}"#,
            r#"{"model_type": "flava", "image_config": {"hidden_size": 24}}"#,
            r#"{"model_type": "vit", "encoder": {"model_type": "my_vit"}}"#,
        ] {
            let found = read(config);
            assert_eq!((found.num_heads, found.class), (None, None), "{config}");
        }
    }

    #[test]
    fn the_part_that_sees_images_is_looked_into() {
        for part in [
            "vision_config",
            "image_config",
            "encoder",
            "backbone_config",
        ] {
            let told = format!(
                r#"{{"model_type": "many", "num_attention_heads": 2, "{part}": {{"model_type": "dinov2",
                    "num_attention_heads": 6, "image_size": 16, "layer_norm_eps": 1e-5, "hidden_act": "gelu"}}}}"#
            );
            let found = beside(&[("config.json", &told)]).unwrap();
            assert_eq!(found.num_heads, Some(6), "{part}");
            assert_eq!(found.epsilon, Some(1e-5), "{part}");
            assert_eq!(found.image_size, Some([16, 16]), "{part}");
            assert_eq!(found.activation, Some(Activation::Gelu), "{part}");
            let relu = format!(r#"{{"{part}": {{"hidden_act": "relu"}}}}"#);
            let error = beside(&[("config.json", &relu)]).unwrap_err();
            assert!(error.to_string().contains("relu"), "{error}");
        }
        // A part may be a name alone.
        let named = r#"{"encoder": "resnet", "backbone_config": null, "num_attention_heads": 3}"#;
        assert_eq!(
            beside(&[("config.json", named)]).unwrap().num_heads,
            Some(3)
        );
    }

    #[test]
    fn preprocessors_that_leave_a_step_out_are_followed() {
        let read = |text: &str| beside(&[("preprocessor_config.json", text)]);
        let normalization = |text: &str| read(text).unwrap().normalization(3).unwrap();
        let said = r#""image_mean": [127.5, 127.5, 127.5], "image_std": [51.0, 51.0, 51.0]"#;
        let plain = normalization(&format!(r#"{{"do_normalize": false, {said}}}"#));
        assert_eq!((plain.mean, plain.std), (vec![0.0; 3], vec![1.0; 3]));
        let bytes = normalization(&format!(r#"{{"do_rescale": false, {said}}}"#));
        assert_eq!((bytes.mean, bytes.std), (vec![0.5; 3], vec![0.2; 3]));
        let neither = normalization(r#"{"do_rescale": false, "do_normalize": false}"#);
        assert_eq!(
            (neither.mean, neither.std),
            (vec![0.0; 3], vec![1.0 / 255.0; 3])
        );
        let usual = r#"{"do_rescale": true, "rescale_factor": 0.00392156862745098, "image_mean": [0.5, 0.5, 0.5], "image_std": [1, 1, 1]}"#;
        assert_eq!(normalization(usual).mean, [0.5; 3]);
        // Images that something else brought to 0..1.
        let unit = r#"{"do_rescale": false, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}"#;
        assert_eq!(normalization(unit).mean, [0.485, 0.456, 0.406]);
        let said = read(unit).unwrap().assumed.join("; ");
        assert!(said.contains("values of 0..1"), "{said}");
        for (text, part) in [
            (r#"{"rescale_factor": 0.00784313725}"#, "rescale_factor"),
            (r#"{"do_rescale": false}"#, "do_rescale"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.path.ends_with("preprocessor_config.json"));
            assert!(error.to_string().contains(part), "{error}");
        }
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
