//! timm's `config.json`: the name of a network and its arguments.

use std::collections::BTreeMap;

use semaim::config::Activation;
use serde::Deserialize;
use serde_json::Value;

use super::Sidecar;
use super::hugging_face::Sides;

/// Heads of timm's networks by the size in their names, which come before what is more general.
const HEADS: [(&str, usize); 17] = [
    ("giant_patch14_dinov2", 24),
    ("giant_patch14_reg4_dinov2", 24),
    ("giant_patch14_reg1_tipsv2", 24),
    ("base_patch16_plus", 14),
    ("base_patch32_plus", 14),
    ("xsmall", 4),
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
/// What stands in the names of networks that compute something else and may have the tensors of a plain one.
const UNLIKE: [(&str, &str); 6] = [
    ("rope", "rotary positions"),
    ("dinov3", "rotary positions"),
    ("_pe_", "rotary positions"),
    ("relpos", "relative positions"),
    ("rpn", "norms behind its layers"),
    ("pwee", "attention and MLP beside each other"),
];
/// Arguments that make a network compute something else without another tensor, with the values that do not.
const ARGUMENTS: [(&str, &[&str]); 9] = [
    ("use_rot_pos_emb", &[]),
    ("rope_type", &["", "none"]),
    ("rope_mixed_mode", &[]),
    ("use_post_norm", &[]),
    ("swiglu_mlp", &[]),
    ("attn_type", &["", "eva"]),
    ("attn_layer", &[""]),
    ("mlp_layer", &["", "mlp"]),
    ("block_fn", &["", "block"]),
];
/// The epsilon of timm's own layer norm.
const EPSILON: f64 = 1e-6;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TimmArgs {
    num_heads: Option<usize>,
    img_size: Option<Sides>,
    act_layer: Option<String>,
    norm_layer: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

impl Sidecar {
    /// What a network of timm's is by its name, if it has one, and its arguments.
    ///
    /// # Errors
    /// One that is not computed here.
    pub(super) fn of_timm(&mut self, name: Option<&str>, args: TimmArgs) -> Result<(), String> {
        self.timm |= name.is_some();
        let name = name.unwrap_or_default();
        refuse_unlike(name)?;
        refuse_arguments(&args.others)?;
        self.num_heads = self.num_heads.or(args.num_heads);
        if self.num_heads.is_none()
            && let Some((_, heads)) = HEADS.iter().find(|(size, _)| name.contains(size))
        {
            self.num_heads = Some(*heads);
            self.heads_by_name = Some(name.to_string());
        }
        let told = args.act_layer.as_deref().filter(|told| !told.is_empty());
        if let Some(activation) = activation(name, told)? {
            self.activation = Some(activation);
        }
        // timm reads names without regard to case and underscores, and an empty one as none.
        let norm = args.norm_layer.unwrap_or_default();
        match norm.replace('_', "").to_lowercase().as_str() {
            "" => {}
            "layernorm" | "layernormfp32" => self.epsilon = Some(EPSILON),
            _ => return Err(format!("norm_layer `{norm}` is not computed here")),
        }
        self.image_size = args.img_size.map(Sides::pair).or(self.image_size);
        Ok(())
    }
}

fn refuse_unlike(name: &str) -> Result<(), String> {
    match UNLIKE.iter().find(|(part, _)| name.contains(part)) {
        Some((_, what)) => Err(format!(
            "`{name}` is a network with {what}, which is not computed here"
        )),
        None => Ok(()),
    }
}

fn refuse_arguments(arguments: &BTreeMap<String, Value>) -> Result<(), String> {
    for (name, plain) in ARGUMENTS {
        let Some(value) = arguments.get(name) else {
            continue;
        };
        let is_plain = match value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => plain.iter().any(|plain| plain == text),
            _ => false,
        };
        if !is_plain {
            return Err(format!(
                "`{name}` of {value} in model_args is not computed here"
            ));
        }
    }
    Ok(())
}

/// What stands between the layers of an MLP, by the argument that says so or by the name; `None` if neither does.
fn activation(name: &str, told: Option<&str>) -> Result<Option<Activation>, String> {
    let is_gated = name.contains("giant_patch14")
        && ["dinov2", "tipsv2"].iter().any(|kind| name.contains(kind));
    Ok(match told {
        None | Some("silu" | "swish") if is_gated => Some(Activation::SwiGlu),
        Some("gelu") if !is_gated => Some(Activation::Gelu),
        Some("quick_gelu") if !is_gated => Some(Activation::QuickGelu),
        Some(other) => return Err(format!("act_layer `{other}` is not computed here")),
        None if name.contains("quickgelu") => Some(Activation::QuickGelu),
        None if name.contains("_clip_") => Some(Activation::Gelu),
        None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, args: &str) -> Result<Sidecar, String> {
        let mut found = Sidecar::default();
        let args = serde_json::from_str(args).unwrap();
        found.of_timm(Some(name), args).map(|()| found)
    }

    #[test]
    fn heads_are_told_or_those_of_the_name() {
        for (name, args, heads) in [
            ("deit3_small_patch16_224", "{}", Some(6)),
            ("vit_giant_patch14_dinov2", "{}", Some(24)),
            ("vit_giant_patch14_224", "{}", Some(16)),
            ("vit_giant_patch14_reg1_tipsv2", "{}", Some(24)),
            ("vit_large_patch14_reg1_tipsv2", "{}", Some(16)),
            ("vit_base_patch16_plus_240", "{}", Some(14)),
            ("vit_base_patch16_plus_clip_240", "{}", Some(14)),
            ("vit_base_patch32_plus_256", "{}", Some(14)),
            ("vit_base_patch16_224", "{}", Some(12)),
            ("vit_xsmall_patch16_clip_224", "{}", Some(4)),
            ("resnet50", "{}", None),
            ("vit_tiny_patch16_224", r#"{"num_heads": 6}"#, Some(6)),
        ] {
            assert_eq!(read(name, args).unwrap().num_heads, heads, "{name}");
        }
        // Heads that the name alone says are known as such.
        let by_name = |args: &str| read("vit_tiny_patch16_224", args).unwrap().heads_by_name;
        assert_eq!(by_name("{}").as_deref(), Some("vit_tiny_patch16_224"));
        assert_eq!(by_name(r#"{"num_heads": 6}"#), None);
        let sized = read("vit_tiny_patch16_224", r#"{"img_size": 56}"#).unwrap();
        assert_eq!((sized.image_size, sized.timm), (Some([56, 56]), true));
    }

    #[test]
    fn networks_that_compute_something_else_are_refused_by_name() {
        for name in [
            "vit_tiny_patch16_rope_ape_224",
            "vit_small_patch16_rope_mixed_ape_224",
            "vit_small_patch16_dinov3",
            "vit_pe_spatial_tiny_patch16_512",
            "vit_relpos_base_patch16_rpn_224",
        ] {
            let error = read(name, "{}").unwrap_err();
            assert!(error.contains(name), "{error}");
        }
        for (args, part) in [
            (r#"{"use_rot_pos_emb": true}"#, "use_rot_pos_emb"),
            (r#"{"attn_type": "rope"}"#, "attn_type"),
            (r#"{"use_post_norm": 1}"#, "use_post_norm"),
            (r#"{"act_layer": "gelu_tanh"}"#, "gelu_tanh"),
            (r#"{"act_layer": "relu"}"#, "relu"),
            (r#"{"norm_layer": "layernorm2d"}"#, "layernorm2d"),
        ] {
            let error = read("vit_tiny_patch16_224", args).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let plain = r#"{"use_rot_pos_emb": false, "attn_type": "eva", "attn_layer": null, "qkv_bias": true}"#;
        assert!(read("vit_tiny_patch16_224", plain).is_ok());
    }

    #[test]
    fn activations_are_told_or_those_of_the_name() {
        for (name, args, expected) in [
            ("vit_tiny_patch16_224", "{}", None),
            (
                "vit_tiny_patch16_224",
                r#"{"act_layer": "gelu", "norm_layer": "layernorm"}"#,
                Some(Activation::Gelu),
            ),
            (
                "vit_base_patch16_clip_224",
                r#"{"act_layer": "quick_gelu"}"#,
                Some(Activation::QuickGelu),
            ),
            ("vit_base_patch16_clip_224", "{}", Some(Activation::Gelu)),
            (
                "vit_base_patch16_clip_quickgelu_224",
                "{}",
                Some(Activation::QuickGelu),
            ),
            ("vit_giant_patch14_dinov2", "{}", Some(Activation::SwiGlu)),
            (
                "vit_giant_patch14_reg1_tipsv2",
                "{}",
                Some(Activation::SwiGlu),
            ),
            ("vit_large_patch14_reg1_tipsv2", "{}", None),
        ] {
            assert_eq!(read(name, args).unwrap().activation, expected, "{name}");
        }
        assert!(read("vit_giant_patch14_dinov2", r#"{"act_layer": "gelu"}"#).is_err());
    }
}
