//! Names of weights in Hugging Face's checkpoints of UPerNet on a plain transformer.

/// A part of a weight of ours, along its first axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The weight of this name.
    Named(String),
    /// Zeros, where the other layer has no bias.
    Zeros,
}

/// Where a weight of a [`crate::model::Segmenter`] with UPerNet stands in a checkpoint: its parts, one after the other
/// along the first axis. Empty: there is none (the encoder's final norm).
pub fn huggingface_parts(name: &str) -> Vec<Part> {
    let one = |name: String| vec![Part::Named(name)];
    if let Some(rest) = name.strip_prefix("head.") {
        return one(head(rest));
    }
    let embeddings = match name {
        "cls_token" => "cls_token",
        "pos_embed" => "position_embeddings",
        "patch_embed.proj.weight" => "patch_embeddings.projection.weight",
        "patch_embed.proj.bias" => "patch_embeddings.projection.bias",
        _ => return block(name).unwrap_or_default(),
    };
    one(format!("backbone.beit.embeddings.{embeddings}"))
}

/// Of a block, `blocks.3.mlp.fc1.bias`.
fn block(name: &str) -> Option<Vec<Part>> {
    let (number, rest) = name.strip_prefix("blocks.")?.split_once('.')?;
    let of = |layer: &str| Part::Named(format!("backbone.beit.layers.{number}.{layer}"));
    let (layer, kind) = rest.rsplit_once('.')?;
    let layers: &[&str] = match layer {
        "norm1" => &["layernorm_before"],
        "norm2" => &["layernorm_after"],
        "attn.qkv" => &["attention.q_proj", "attention.k_proj", "attention.v_proj"],
        "attn.proj" => &["attention.o_proj"],
        "mlp.fc1" => &["mlp.fc1"],
        "mlp.fc2" => &["mlp.fc2"],
        _ => return None,
    };
    let part = |layer: &&str| match (*layer, kind) {
        ("attention.k_proj", "bias") => Part::Zeros,
        (layer, kind) => of(&format!("{layer}.{kind}")),
    };
    Some(layers.iter().map(part).collect())
}

/// Of the neck and the heads.
fn head(name: &str) -> String {
    const PARTS: &[(&str, &str)] = &[
        ("neck.finer4.first.", "backbone.fpn.fpn1.conv_transpose1."),
        ("neck.finer4.norm.", "backbone.fpn.fpn1.normalization."),
        ("neck.finer4.second.", "backbone.fpn.fpn1.conv_transpose2."),
        ("neck.finer2.", "backbone.fpn.fpn2."),
        ("pyramid_pooling.bottleneck.", "decode_head.bottleneck."),
        ("lateral.", "decode_head.lateral_convs."),
        ("output.", "decode_head.fpn_convs."),
        ("fusion.", "decode_head.fpn_bottleneck."),
        ("auxiliary.conv.", "auxiliary_head.convs.0."),
        ("auxiliary.classifier.", "auxiliary_head.classifier."),
    ];
    for (ours, theirs) in PARTS {
        if let Some(rest) = name.strip_prefix(ours) {
            return format!("{theirs}{rest}");
        }
    }
    let pooled = name.strip_prefix("pyramid_pooling.scales.");
    match pooled.and_then(|rest| rest.split_once('.')) {
        Some((number, rest)) => format!("decode_head.psp_modules.{number}.1.{rest}"),
        None => format!("decode_head.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (ours, theirs) in [
            ("pos_embed", "backbone.beit.embeddings.position_embeddings"),
            (
                "blocks.3.norm2.weight",
                "backbone.beit.layers.3.layernorm_after.weight",
            ),
            (
                "blocks.11.attn.proj.bias",
                "backbone.beit.layers.11.attention.o_proj.bias",
            ),
            (
                "head.neck.finer4.norm.running_var",
                "backbone.fpn.fpn1.normalization.running_var",
            ),
            (
                "head.pyramid_pooling.scales.2.conv.weight",
                "decode_head.psp_modules.2.1.conv.weight",
            ),
            (
                "head.pyramid_pooling.bottleneck.batch_norm.bias",
                "decode_head.bottleneck.batch_norm.bias",
            ),
            (
                "head.fusion.conv.weight",
                "decode_head.fpn_bottleneck.conv.weight",
            ),
            ("head.classifier.bias", "decode_head.classifier.bias"),
            (
                "head.auxiliary.conv.batch_norm.running_mean",
                "auxiliary_head.convs.0.batch_norm.running_mean",
            ),
        ] {
            assert_eq!(huggingface_parts(ours), [Part::Named(theirs.into())]);
        }
        assert_eq!(huggingface_parts("norm.weight"), []);
    }

    #[test]
    fn keys_have_no_bias() {
        let named = |part: &str| Part::Named(format!("backbone.beit.layers.0.attention.{part}"));
        assert_eq!(
            huggingface_parts("blocks.0.attn.qkv.bias"),
            [named("q_proj.bias"), Part::Zeros, named("v_proj.bias")]
        );
        assert_eq!(
            huggingface_parts("blocks.0.attn.qkv.weight"),
            ["q_proj", "k_proj", "v_proj"].map(|part| named(&format!("{part}.weight")))
        );
    }
}
