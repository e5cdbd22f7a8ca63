//! What stands beside a checkpoint: the JSON files that libraries write with their weights, and a run's `config.toml`.
//!
//! Weights say how wide and deep a network is, but not how many heads it has, nor how its images were normalised. A
//! `config.json`, a `preprocessor_config.json` or an `open_clip_config.json` does, beside a file that libraries call by a
//! name of their own, such as `model.safetensors`. Any other `NAME.safetensors` has a `NAME.config.json` and a
//! `NAME.preprocessor_config.json`: its folder may hold checkpoints that a `config.json` says nothing of.

use std::fs;
use std::path::{Path, PathBuf};

use semaim::config::{Activation, Normalisation};
use serde::Deserialize;
use serde::de::DeserializeOwned;

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
/// Heads of the networks whose configuration does not name them: the default of `ViTConfig`, `Dinov2Config`,
/// `Dinov2WithRegistersConfig` and `CLIPVisionConfig`.
const DEFAULT_HEADS: usize = 12;
/// Heads of timm's networks by the size in their names, which come before what is more general.
const TIMM_HEADS: [(&str, usize); 13] = [
    ("giant_patch14_dinov2", 24),
    ("giant_patch14_reg4_dinov2", 24),
    ("so400m", 16),
    ("gigantic", 16),
    ("giant", 16),
    ("huge", 16),
    ("large", 16),
    ("base", 12),
    ("betwixt", 10),
    ("medium", 8),
    ("small", 6),
    ("little", 5),
    ("tiny", 3),
];

/// What the files beside a checkpoint say; nothing where there are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sidecar {
    pub(crate) num_heads: Option<usize>,
    pub(crate) epsilon: Option<f64>,
    pub(crate) activation: Option<Activation>,
    pub(crate) image_size: Option<[usize; 2]>,
    pub(crate) mean: Option<Vec<f32>>,
    pub(crate) std: Option<Vec<f32>>,
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
    vision_config: Option<VisionConfig>,
    /// timm's.
    architecture: Option<String>,
    model_args: TimmArgs,
    pretrained_cfg: Pretrained,
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
struct TimmArgs {
    num_heads: Option<usize>,
    img_size: Option<Sides>,
    act_layer: Option<String>,
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
    image_mean: Option<Vec<f32>>,
    image_std: Option<Vec<f32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OpenClipConfig {
    model_cfg: OpenClipModel,
    preprocess_cfg: Pretrained,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OpenClipModel {
    quick_gelu: bool,
    vision_cfg: OpenClipVision,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OpenClipVision {
    width: Option<usize>,
    head_width: Option<usize>,
}

/// The settings of a run that a checkpoint of it does not hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunConfig {
    model: RunModel,
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
            sidecar.mean = Some(config.data.mean).filter(|list| !list.is_empty());
            sidecar.std = Some(config.data.std).filter(|list| !list.is_empty());
            sidecar.of_a_run = true;
            sidecar.files.push(path);
        }
        if let Some((path, config)) = sidecar.read::<Config>(checkpoint, "config.json")? {
            let wrong = |message| SidecarError { path, message };
            sidecar.config(config).map_err(wrong)?;
        }
        if let Some((_, config)) =
            sidecar.read::<Preprocessor>(checkpoint, "preprocessor_config.json")?
        {
            sidecar.mean = config.image_mean.or(sidecar.mean);
            sidecar.std = config.image_std.or(sidecar.std);
        }
        if let Some((_, config)) =
            sidecar.read::<OpenClipConfig>(checkpoint, "open_clip_config.json")?
        {
            sidecar.open_clip(config);
        }
        if let Some(path) = sidecar.files.last() {
            sidecar.check().map_err(|message| SidecarError {
                path: path.clone(),
                message,
            })?;
        }
        Ok(sidecar)
    }

    /// The normalisation, if the files say one for so many channels.
    pub(crate) fn normalisation(&self, channels: usize) -> Option<Normalisation> {
        let fits = |list: &&Vec<f32>| list.len() == channels;
        let (mean, std) = (
            self.mean.as_ref().filter(fits)?,
            self.std.as_ref().filter(fits)?,
        );
        std.iter().all(|&s| s > 0.0).then(|| Normalisation {
            mean: mean.clone(),
            std: std.clone(),
        })
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

    /// Hugging Face's or timm's `config.json`.
    fn config(&mut self, config: Config) -> Result<(), String> {
        let Config {
            vision,
            vision_config,
            architecture,
            model_args,
            pretrained_cfg,
        } = config;
        self.mean = pretrained_cfg.mean;
        self.std = pretrained_cfg.std;
        self.image_size = pretrained_cfg
            .input_size
            .map(|[_, height, width]| [height, width]);
        // A class of Hugging Face's says what is not written by what it is.
        let of_a_class = vision.model_type.is_some();
        let vision = vision_config.unwrap_or(vision);
        self.num_heads = vision
            .num_attention_heads
            .or(of_a_class.then_some(DEFAULT_HEADS));
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
        if let Some(architecture) = architecture {
            self.timm = true;
            self.num_heads = self.num_heads.or(model_args.num_heads);
            if self.num_heads.is_none() {
                let size = TIMM_HEADS
                    .iter()
                    .find(|(size, _)| architecture.contains(size));
                self.num_heads = size.map(|(_, heads)| *heads);
            }
            let told = model_args.act_layer.as_deref() == Some("quick_gelu");
            if told || architecture.contains("quickgelu") {
                self.activation = Some(Activation::QuickGelu);
            } else if architecture.contains("_clip_") {
                self.activation = Some(Activation::Gelu);
            } else if architecture.contains("giant_patch14") && architecture.contains("dinov2") {
                self.activation = Some(Activation::SwiGlu);
            }
        }
        self.num_heads = self.num_heads.or(model_args.num_heads);
        self.image_size = model_args.img_size.map(Sides::pair).or(self.image_size);
        Ok(())
    }

    fn open_clip(&mut self, config: OpenClipConfig) {
        let vision = config.model_cfg.vision_cfg;
        self.open_clip = true;
        self.activation = Some(match config.model_cfg.quick_gelu {
            true => Activation::QuickGelu,
            false => Activation::Gelu,
        });
        let heads = vision
            .width
            .and_then(|width| width.checked_div(vision.head_width.unwrap_or(64)));
        self.num_heads = heads.filter(|&heads| heads > 0).or(self.num_heads);
        self.mean = config.preprocess_cfg.mean.or(self.mean.take());
        self.std = config.preprocess_cfg.std.or(self.std.take());
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
            return Err("layer_norm_eps is not between 0 and 1".into());
        }
        let numbers = self.mean.iter().chain(&self.std).flatten();
        match numbers.clone().all(|v| v.is_finite()) {
            true => Ok(()),
            false => Err("its normalisation is not finite".into()),
        }
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
    fn heads_are_those_of_the_librarys_class() {
        let heads = |config: &str| beside(&[("config.json", config)]).unwrap().num_heads;
        // Hugging Face's classes have twelve heads where nothing else is said.
        assert_eq!(
            heads(r#"{"model_type": "vit", "hidden_size": 192}"#),
            Some(12)
        );
        let clip = r#"{"model_type": "clip", "vision_config": {"hidden_size": 512}}"#;
        assert_eq!(heads(clip), Some(12));
        // timm's have those of their names, if nothing is said.
        assert_eq!(
            heads(r#"{"architecture": "deit3_small_patch16_224"}"#),
            Some(6)
        );
        assert_eq!(
            heads(r#"{"architecture": "vit_giant_patch14_dinov2"}"#),
            Some(24)
        );
        assert_eq!(
            heads(r#"{"architecture": "vit_giant_patch14_224"}"#),
            Some(16)
        );
        let told = r#"{"architecture": "vit_tiny_patch16_224", "model_args": {"num_heads": 6, "img_size": 56}}"#;
        assert_eq!(heads(told), Some(6));
        assert_eq!(
            beside(&[("config.json", told)]).unwrap().image_size,
            Some([56, 56])
        );
        assert_eq!(heads(r#"{"architecture": "resnet50"}"#), None);
        assert_eq!(heads("{}"), None);
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
