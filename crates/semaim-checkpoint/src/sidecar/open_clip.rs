//! `open_clip_config.json`.

use semaim::config::Activation;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::hugging_face::Sides;
use super::timm::TimmArgs;
use super::{Pretrained, Sidecar};

/// The width of a head where nothing is said.
const HEAD_WIDTH: usize = 64;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OpenClipConfig {
    model_cfg: Model,
    preprocess_cfg: Pretrained,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Model {
    quick_gelu: bool,
    vision_cfg: Vision,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Vision {
    image_size: Option<Sides>,
    width: Option<usize>,
    head_width: Option<usize>,
    /// The tower is timm's, by this name.
    timm_model_name: Option<String>,
    act_kwargs: Option<Map<String, Value>>,
    norm_kwargs: Option<Map<String, Value>>,
    final_ln_after_pool: Option<bool>,
}

impl Sidecar {
    /// # Errors
    /// A tower that is not computed here.
    pub(super) fn of_open_clip(&mut self, config: OpenClipConfig) -> Result<(), String> {
        let Model {
            quick_gelu,
            vision_cfg: vision,
        } = config.model_cfg;
        self.open_clip = true;
        self.mean = config.preprocess_cfg.mean.or(self.mean.take());
        self.std = config.preprocess_cfg.std.or(self.std.take());
        self.image_size = vision.image_size.map(Sides::pair).or(self.image_size);
        if let Some(name) = vision.timm_model_name {
            // open_clip's own settings say nothing of such a tower.
            return self.of_timm(Some(&name), TimmArgs::default());
        }
        refuse_activation(vision.act_kwargs.unwrap_or_default())?;
        let epsilon = epsilon(vision.norm_kwargs.unwrap_or_default())?;
        self.epsilon = epsilon.or(self.epsilon);
        self.activation = Some(match quick_gelu {
            true => Activation::QuickGelu,
            false => Activation::Gelu,
        });
        let heads = vision
            .width
            .and_then(|width| width.checked_div(vision.head_width.unwrap_or(HEAD_WIDTH)));
        self.num_heads = heads.filter(|&heads| heads > 0).or(self.num_heads);
        if vision.final_ln_after_pool == Some(true) {
            self.assumed.push(
                "the final norm, which the model computes of its pooled tokens (final_ln_after_pool), is computed of each token".into(),
            );
        }
        Ok(())
    }
}

/// GELU is computed exactly.
fn refuse_activation(kwargs: Map<String, Value>) -> Result<(), String> {
    let is_exact = |(name, value): (&String, &Value)| name == "approximate" && value == "none";
    match kwargs.iter().all(is_exact) {
        true => Ok(()),
        false => Err(not_computed("act_kwargs", kwargs)),
    }
}

/// What layer norms add to the variance, if it is said.
fn epsilon(kwargs: Map<String, Value>) -> Result<Option<f64>, String> {
    let epsilon = kwargs.get("eps").and_then(Value::as_f64);
    match kwargs.len() == usize::from(epsilon.is_some()) {
        true => Ok(epsilon),
        false => Err(not_computed("norm_kwargs", kwargs)),
    }
}

fn not_computed(name: &str, kwargs: Map<String, Value>) -> String {
    format!("{name} {} are not computed here", Value::Object(kwargs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vision: &str) -> Result<Sidecar, String> {
        let config = format!(r#"{{"model_cfg": {{"vision_cfg": {vision}}}}}"#);
        let mut found = Sidecar::default();
        found
            .of_open_clip(serde_json::from_str(&config).unwrap())
            .map(|()| found)
    }

    #[test]
    fn towers_say_for_which_images_they_are() {
        for (vision, expected) in [
            (r#"{"image_size": 32}"#, Some([32, 32])),
            (r#"{"image_size": [16, 64]}"#, Some([16, 64])),
            (
                r#"{"image_size": [16, 64], "timm_model_name": "vit_tiny_patch16_224"}"#,
                Some([16, 64]),
            ),
            ("{}", None),
        ] {
            assert_eq!(read(vision).unwrap().image_size, expected, "{vision}");
        }
    }

    #[test]
    fn what_a_tower_computes_otherwise_is_followed_or_refused() {
        let found = read(r#"{"width": 128, "norm_kwargs": {"eps": 0.001}}"#).unwrap();
        assert_eq!((found.num_heads, found.epsilon), (Some(2), Some(0.001)));
        assert_eq!(found.activation, Some(Activation::Gelu));
        assert!(found.assumed.is_empty());
        let found = read(r#"{"act_kwargs": {"approximate": "none"}, "final_ln_after_pool": true}"#);
        assert_eq!(found.unwrap().assumed.len(), 1);
        for (vision, part) in [
            (r#"{"act_kwargs": {"approximate": "tanh"}}"#, "act_kwargs"),
            (r#"{"norm_kwargs": {"bias": false}}"#, "norm_kwargs"),
            (r#"{"norm_kwargs": {"eps": "small"}}"#, "norm_kwargs"),
            (
                r#"{"timm_model_name": "vit_pe_core_tiny_patch16_384"}"#,
                "vit_pe_core",
            ),
        ] {
            let error = read(vision).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let found = read(r#"{"timm_model_name": "vit_tiny_patch16_224"}"#).unwrap();
        assert_eq!((found.num_heads, found.activation), (Some(3), None));
    }
}
