//! The tables.

use super::rule::{Need, Rule, Theirs};

/// A tensor that every network of the format has.
const fn required(ours: &'static str, theirs: &'static str) -> Rule {
    shaped(ours, theirs, 0)
}

/// A tensor that not every network has.
const fn optional(ours: &'static str, theirs: &'static str) -> Rule {
    Rule {
        need: Need::Optional,
        ..required(ours, theirs)
    }
}

/// A tensor with so many axes in the format.
const fn shaped(ours: &'static str, theirs: &'static str, axes: usize) -> Rule {
    Rule {
        ours,
        theirs: Theirs::One(theirs, axes),
        need: Need::Required,
    }
}

/// Queries, keys and values, which are one tensor here.
const fn joined(ours: &'static str, theirs: [&'static str; 3], need: Need) -> Rule {
    Rule {
        ours,
        theirs: Theirs::Joined(theirs),
        need,
    }
}

/// A table: single tensors, of which the patch embedding is the first; layers, which have a weight and a bias; and how
/// queries, keys and values are called where they are three layers.
macro_rules! table {
    (
        single: [$($single:expr),* $(,)?],
        layers: [$($ours:literal: $theirs:literal),* $(,)?],
        qkv: [$($q:literal, $k:literal, $v:literal, $bias:expr)?] $(,)?
    ) => {
        &[
            $($single,)*
            $(
                required(concat!($ours, ".weight"), concat!($theirs, ".weight")),
                required(concat!($ours, ".bias"), concat!($theirs, ".bias")),
            )*
            $(
                joined(
                    "blocks.{n}.attn.qkv.weight",
                    [concat!($q, ".weight"), concat!($k, ".weight"), concat!($v, ".weight")],
                    Need::Required,
                ),
                joined(
                    "blocks.{n}.attn.qkv.bias",
                    [concat!($q, ".bias"), concat!($k, ".bias"), concat!($v, ".bias")],
                    $bias,
                ),
            )?
        ]
    };
}

/// timm's names, which are ours; DINO's, DINOv2's, MAE's and SemAIM's too.
pub(crate) const TIMM: &[Rule] = table! {
    single: [
        required("patch_embed.proj.weight", "patch_embed.proj.weight"),
        optional("patch_embed.proj.bias", "patch_embed.proj.bias"),
        required("cls_token", "cls_token"),
        required("pos_embed", "pos_embed"),
        optional("reg_token", "reg_token"),
        optional("norm_pre.weight", "norm_pre.weight"),
        optional("norm_pre.bias", "norm_pre.bias"),
        required("blocks.{n}.attn.qkv.weight", "blocks.{n}.attn.qkv.weight"),
        optional("blocks.{n}.attn.qkv.bias", "blocks.{n}.attn.qkv.bias"),
        optional("blocks.{n}.ls1.gamma", "blocks.{n}.ls1.gamma"),
        optional("blocks.{n}.ls2.gamma", "blocks.{n}.ls2.gamma"),
        Rule {
            need: Need::Ours,
            ..required("projection.weight", "projection.weight")
        },
    ],
    layers: [
        "blocks.{n}.norm1": "blocks.{n}.norm1",
        "blocks.{n}.attn.proj": "blocks.{n}.attn.proj",
        "blocks.{n}.norm2": "blocks.{n}.norm2",
        "blocks.{n}.mlp.fc1": "blocks.{n}.mlp.fc1",
        "blocks.{n}.mlp.fc2": "blocks.{n}.mlp.fc2",
        "norm": "norm",
    ],
    qkv: [],
};

/// The visual tower of CLIP, by OpenAI and by `open_clip`.
pub(crate) const CLIP: &[Rule] = table! {
    single: [
        required("patch_embed.proj.weight", "conv1.weight"),
        shaped("cls_token", "class_embedding", 1),
        shaped("pos_embed", "positional_embedding", 2),
        required("blocks.{n}.attn.qkv.weight", "transformer.resblocks.{n}.attn.in_proj_weight"),
        required("blocks.{n}.attn.qkv.bias", "transformer.resblocks.{n}.attn.in_proj_bias"),
        optional("blocks.{n}.ls1.gamma", "transformer.resblocks.{n}.ls_1.gamma"),
        optional("blocks.{n}.ls2.gamma", "transformer.resblocks.{n}.ls_2.gamma"),
        Rule {
            ours: "projection.weight",
            theirs: Theirs::Transposed("proj"),
            need: Need::Optional,
        },
    ],
    layers: [
        "norm_pre": "ln_pre",
        "blocks.{n}.norm1": "transformer.resblocks.{n}.ln_1",
        "blocks.{n}.attn.proj": "transformer.resblocks.{n}.attn.out_proj",
        "blocks.{n}.norm2": "transformer.resblocks.{n}.ln_2",
        "blocks.{n}.mlp.fc1": "transformer.resblocks.{n}.mlp.c_fc",
        "blocks.{n}.mlp.fc2": "transformer.resblocks.{n}.mlp.c_proj",
        "norm": "ln_post",
    ],
    qkv: [],
};

/// What DINOv2 has more than a plain encoder: what stands for a masked patch in training, registers, scales of branches.
const MASK_TOKEN: Rule = Rule {
    need: Need::Optional,
    ..shaped("mask_token", "embeddings.mask_token", 2)
};
const REGISTERS: Rule = optional("reg_token", "embeddings.register_tokens");
const LAYER_SCALE_1: Rule = required(
    "blocks.{n}.ls1.gamma",
    "encoder.layer.{n}.layer_scale1.lambda1",
);
const LAYER_SCALE_2: Rule = required(
    "blocks.{n}.ls2.gamma",
    "encoder.layer.{n}.layer_scale2.lambda1",
);

/// A table of the transformers library: what `ViTModel` and `Dinov2Model` have in common, and how the rest is called.
macro_rules! transformers {
    (
        single: [$($single:expr),* $(,)?],
        norms: [$norm1:literal, $norm2:literal],
        qkv: [$q:literal, $k:literal, $v:literal],
        proj: $proj:literal,
        mlp: [$fc1:literal, $fc2:literal] $(,)?
    ) => {
        table! {
            single: [
                required("patch_embed.proj.weight", "embeddings.patch_embeddings.projection.weight"),
                required("patch_embed.proj.bias", "embeddings.patch_embeddings.projection.bias"),
                required("cls_token", "embeddings.cls_token"),
                required("pos_embed", "embeddings.position_embeddings"),
                $($single,)*
            ],
            layers: [
                "blocks.{n}.norm1": $norm1,
                "blocks.{n}.attn.proj": $proj,
                "blocks.{n}.norm2": $norm2,
                "blocks.{n}.mlp.fc1": $fc1,
                "blocks.{n}.mlp.fc2": $fc2,
                "norm": "layernorm",
            ],
            qkv: [$q, $k, $v, Need::Optional],
        }
    };
}

/// `ViTModel`, as written until version 4 of transformers (and read by all).
pub(crate) const HF_VIT_4: &[Rule] = transformers! {
    single: [],
    norms: ["encoder.layer.{n}.layernorm_before", "encoder.layer.{n}.layernorm_after"],
    qkv: [
        "encoder.layer.{n}.attention.attention.query",
        "encoder.layer.{n}.attention.attention.key",
        "encoder.layer.{n}.attention.attention.value"
    ],
    proj: "encoder.layer.{n}.attention.output.dense",
    mlp: ["encoder.layer.{n}.intermediate.dense", "encoder.layer.{n}.output.dense"],
};

/// `ViTModel`, as written since version 5 of transformers.
pub(crate) const HF_VIT_5: &[Rule] = transformers! {
    single: [],
    norms: ["layers.{n}.layernorm_before", "layers.{n}.layernorm_after"],
    qkv: [
        "layers.{n}.attention.q_proj",
        "layers.{n}.attention.k_proj",
        "layers.{n}.attention.v_proj"
    ],
    proj: "layers.{n}.attention.o_proj",
    mlp: ["layers.{n}.mlp.fc1", "layers.{n}.mlp.fc2"],
};

/// `Dinov2Model` and `Dinov2WithRegistersModel`, as written until version 4 of transformers (and read by all).
pub(crate) const HF_DINOV2_4: &[Rule] = transformers! {
    single: [MASK_TOKEN, REGISTERS, LAYER_SCALE_1, LAYER_SCALE_2],
    norms: ["encoder.layer.{n}.norm1", "encoder.layer.{n}.norm2"],
    qkv: [
        "encoder.layer.{n}.attention.attention.query",
        "encoder.layer.{n}.attention.attention.key",
        "encoder.layer.{n}.attention.attention.value"
    ],
    proj: "encoder.layer.{n}.attention.output.dense",
    mlp: ["encoder.layer.{n}.mlp.fc1", "encoder.layer.{n}.mlp.fc2"],
};

/// The same, as written since version 5 of transformers.
pub(crate) const HF_DINOV2_5: &[Rule] = transformers! {
    single: [MASK_TOKEN, REGISTERS, LAYER_SCALE_1, LAYER_SCALE_2],
    norms: ["encoder.layer.{n}.norm1", "encoder.layer.{n}.norm2"],
    qkv: [
        "encoder.layer.{n}.attention.q_proj",
        "encoder.layer.{n}.attention.k_proj",
        "encoder.layer.{n}.attention.v_proj"
    ],
    proj: "encoder.layer.{n}.attention.o_proj",
    mlp: ["encoder.layer.{n}.mlp.fc1", "encoder.layer.{n}.mlp.fc2"],
};

/// The vision tower of `CLIPModel`, without its own name in front; the norm before the blocks in the library's spelling.
pub(crate) const HF_CLIP: &[Rule] = table! {
    single: [
        required("patch_embed.proj.weight", "embeddings.patch_embedding.weight"),
        shaped("cls_token", "embeddings.class_embedding", 1),
        shaped("pos_embed", "embeddings.position_embedding.weight", 2),
        optional("projection.weight", "visual_projection.weight"),
    ],
    layers: [
        "norm_pre": "pre_layrnorm",
        "blocks.{n}.norm1": "encoder.layers.{n}.layer_norm1",
        "blocks.{n}.attn.proj": "encoder.layers.{n}.self_attn.out_proj",
        "blocks.{n}.norm2": "encoder.layers.{n}.layer_norm2",
        "blocks.{n}.mlp.fc1": "encoder.layers.{n}.mlp.fc1",
        "blocks.{n}.mlp.fc2": "encoder.layers.{n}.mlp.fc2",
        "norm": "post_layernorm",
    ],
    qkv: [
        "encoder.layers.{n}.self_attn.q_proj",
        "encoder.layers.{n}.self_attn.k_proj",
        "encoder.layers.{n}.self_attn.v_proj",
        Need::Required
    ],
};
