//! A class of Hugging Face's, as its `config.json` describes it; what the file leaves out is as in the class.

use semaim::config::{Activation, CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD};
use serde::Deserialize;
use serde_json::Value;

use super::Sidecar;

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

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct VisionConfig {
    model_type: Option<String>,
    num_attention_heads: Option<usize>,
    num_hidden_layers: Option<usize>,
    layer_norm_eps: Option<f64>,
    hidden_act: Option<String>,
    image_size: Option<Sides>,
    use_swiglu_ffn: Option<bool>,
}

/// One side of a square, or height and width.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Sides {
    One(usize),
    Two([usize; 2]),
}

impl Sides {
    pub(super) fn pair(self) -> [usize; 2] {
        match self {
            Self::One(side) => [side, side],
            Self::Two(sides) => sides,
        }
    }
}

impl Sidecar {
    /// The heads of the library's class, with its name, where they are known.
    pub(crate) fn class_heads(&self) -> Option<(usize, &'static str)> {
        self.class.map(|class| (CLASS_HEADS, class))
    }

    /// What Hugging Face's class says of itself; what it leaves out is as in the class.
    pub(super) fn of_a_class(
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
        self.depth = vision.num_hidden_layers.zip(self.files.last().cloned());
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
}

/// The configuration of the part of a model that sees images, where it has more parts.
pub(super) fn nested(parts: [Option<Value>; 4]) -> Result<Option<VisionConfig>, String> {
    let mut parts = parts.into_iter().flatten();
    match parts.find(Value::is_object) {
        Some(part) => serde_json::from_value(part)
            .map(Some)
            .map_err(|error| error.to_string()),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use semaim::config::Activation;

    use super::super::tests::beside;

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
}
