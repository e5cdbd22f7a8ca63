//! What stands beside a checkpoint: the JSON files that libraries write with their weights.
//!
//! Weights say how wide and deep a network is, but not how many heads it has, nor how its images were normalised. A
//! `config.json`, a `preprocessor_config.json` or an `open_clip_config.json` does, beside a file that libraries call by a
//! name of their own, such as `model.safetensors`. Any other `NAME.safetensors` has a `NAME.config.json` and a
//! `NAME.preprocessor_config.json`: its folder may hold checkpoints that a `config.json` says nothing of.

use std::fs;
use std::path::{Path, PathBuf};

use semaim::config::Activation;
use serde_json::Value;

use crate::format::CheckpointFormat;

/// What libraries call a checkpoint in a folder of its own.
pub(crate) const LIBRARIES_NAMES: [&str; 4] = [
    "model.safetensors",
    "pytorch_model.bin",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
];
/// The largest size in such a file that is believed.
const LARGEST: u64 = 65_536;
/// The longest such file that is read, in bytes.
const MOST: u64 = 16 << 20;

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

impl Sidecar {
    /// Reads what stands beside a checkpoint.
    ///
    /// # Errors
    /// A file that is no JSON, or says of the network what cannot be.
    pub(crate) fn beside(checkpoint: &Path) -> Result<Self, SidecarError> {
        let mut hints = Self::default();
        if let Some((path, config)) = hints.read(checkpoint, "config.json")? {
            let wrong = |message| SidecarError { path, message };
            hints.config(&config).map_err(wrong)?;
        }
        if let Some((_, config)) = hints.read(checkpoint, "preprocessor_config.json")? {
            hints.mean = numbers(&config["image_mean"]).or(hints.mean);
            hints.std = numbers(&config["image_std"]).or(hints.std);
        }
        if let Some((_, config)) = hints.read(checkpoint, "open_clip_config.json")? {
            hints.open_clip(&config);
        }
        Ok(hints)
    }

    /// The file of a kind beside a checkpoint, if there is one.
    fn read(
        &mut self,
        checkpoint: &Path,
        kind: &str,
    ) -> Result<Option<(PathBuf, Value)>, SidecarError> {
        let mut paths = vec![checkpoint.with_extension(kind)];
        if is_a_librarys_name(checkpoint) {
            paths.push(checkpoint.with_file_name(kind));
        }
        for path in paths {
            if let Some(content) = json(&path)? {
                self.files.push(path.clone());
                return Ok(Some((path, content)));
            }
        }
        Ok(None)
    }

    /// Hugging Face's or timm's `config.json`.
    fn config(&mut self, config: &Value) -> Result<(), String> {
        let pretrained = &config["pretrained_cfg"];
        self.mean = numbers(&pretrained["mean"]);
        self.std = numbers(&pretrained["std"]);
        if let [_, height, width] = sizes(&pretrained["input_size"])[..] {
            self.image_size = Some([height, width]);
        }
        let vision = match &config["vision_config"] {
            Value::Null => config,
            vision => vision,
        };
        self.num_heads = size(&vision["num_attention_heads"])?;
        self.epsilon = vision["layer_norm_eps"].as_f64();
        if self.epsilon.is_some_and(|e| !(e > 0.0 && e < 1.0)) {
            return Err("layer_norm_eps is not between 0 and 1".into());
        }
        self.activation = match vision["hidden_act"].as_str() {
            None => None,
            Some("gelu") => Some(Activation::Gelu),
            Some("quick_gelu") => Some(Activation::QuickGelu),
            Some(other) => return Err(format!("hidden_act `{other}` is not computed here")),
        };
        // timm says it in the name of its model.
        let architecture = config["architecture"].as_str().unwrap_or_default();
        if architecture.contains("quickgelu") {
            self.activation = Some(Activation::QuickGelu);
        }
        match (
            &vision["image_size"],
            sizes(&vision["image_size"]).as_slice(),
        ) {
            (Value::Number(_), _) => {
                self.image_size = size(&vision["image_size"])?.map(|side| [side, side]);
            }
            (_, &[height, width]) => self.image_size = Some([height, width]),
            _ => {}
        }
        Ok(())
    }

    fn open_clip(&mut self, config: &Value) {
        let model = &config["model_cfg"];
        let quick = model["quick_gelu"].as_bool().unwrap_or(false);
        self.open_clip = true;
        self.activation = Some(match quick {
            true => Activation::QuickGelu,
            false => Activation::Gelu,
        });
        let vision = &model["vision_cfg"];
        if let (Some(width), Some(head)) = (
            vision["width"].as_u64(),
            vision["head_width"].as_u64().or(Some(64)),
        ) {
            let heads = width.checked_div(head).filter(|&heads| heads > 0);
            self.num_heads = heads.map(|heads| heads as usize);
        }
        self.mean = numbers(&config["preprocess_cfg"]["mean"]).or(self.mean.take());
        self.std = numbers(&config["preprocess_cfg"]["std"]).or(self.std.take());
    }
}

/// Whether libraries write checkpoints, one to a folder, under this name.
pub(crate) fn is_a_librarys_name(checkpoint: &Path) -> bool {
    let name = checkpoint.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| LIBRARIES_NAMES.contains(&name))
}

/// A JSON file; `None` if it is not there.
fn json(path: &Path) -> Result<Option<Value>, SidecarError> {
    let wrong = |message: String| SidecarError {
        path: path.to_path_buf(),
        message,
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= MOST => {}
        Ok(_) => return Err(wrong("is no file of a sensible size".into())),
        Err(_) => return Ok(None),
    }
    let text = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| wrong(error.to_string()))
}

fn size(value: &Value) -> Result<Option<usize>, String> {
    match value.as_u64() {
        Some(0) => Err("a size in it is 0".into()),
        Some(size) if size > LARGEST => Err(format!("a size in it is {size}")),
        number => Ok(number.map(|number| number as usize)),
    }
}

fn sizes(value: &Value) -> Vec<usize> {
    let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .filter_map(|v| {
            let size = v.as_u64().filter(|size| (1..=LARGEST).contains(size));
            size.map(|size| size as usize)
        })
        .collect()
}

/// A list of finite numbers that is not empty.
fn numbers(value: &Value) -> Option<Vec<f32>> {
    let all: Option<Vec<f32>> = value
        .as_array()?
        .iter()
        .map(|v| v.as_f64().map(|v| v as f32).filter(|v| v.is_finite()))
        .collect();
    all.filter(|all| !all.is_empty())
}

/// How images were normalised in the training of most checkpoints of a layout: mean and standard deviation of red,
/// green and blue in 0..1.
pub(crate) fn usual_normalisation(layout: CheckpointFormat) -> [[f32; 3]; 2] {
    match layout {
        CheckpointFormat::Clip | CheckpointFormat::OpenClip | CheckpointFormat::HfClip => [
            [0.481_454_66, 0.457_827_5, 0.408_210_73],
            [0.268_629_54, 0.261_302_6, 0.275_777_1],
        ],
        CheckpointFormat::HfVit => [[0.5; 3]; 2],
        // ImageNet's.
        _ => [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]],
    }
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
        let hints = beside(&[
            ("config.json", vit),
            ("preprocessor_config.json", processor),
        ]);
        let hints = hints.unwrap();
        assert_eq!(hints.num_heads, Some(3));
        assert_eq!(hints.epsilon, Some(1e-12));
        assert_eq!(hints.image_size, Some([56, 56]));
        assert_eq!(hints.std, Some(vec![0.25, 0.5, 0.5]));
        let clip = r#"{"vision_config": {"num_attention_heads": 12, "hidden_act": "quick_gelu", "image_size": [8, 16]}}"#;
        let hints = beside(&[("model.config.json", clip), ("config.json", vit)]).unwrap();
        assert_eq!(hints.num_heads, Some(12));
        assert_eq!(hints.activation, Some(Activation::QuickGelu));
        assert_eq!(hints.image_size, Some([8, 16]));
        let timm = r#"{"pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "input_size": [3, 32, 64]}}"#;
        let hints = beside(&[("config.json", timm)]).unwrap();
        assert_eq!(hints.mean, Some(vec![0.1, 0.2, 0.3]));
        assert_eq!(hints.image_size, Some([32, 64]));
        let open = r#"{"model_cfg": {"vision_cfg": {"width": 1280, "head_width": 80}}, "preprocess_cfg": {"mean": [0.0]}}"#;
        let hints = beside(&[("open_clip_config.json", open)]).unwrap();
        assert_eq!((hints.num_heads, hints.open_clip), (Some(16), true));
        assert_eq!(hints.activation, Some(Activation::Gelu));
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
