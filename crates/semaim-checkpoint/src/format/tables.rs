//! The tables.

use super::rule::{Need, Rule, Theirs};

/// A tensor that every network of the layout has.
const fn always(ours: &'static str, theirs: &'static str) -> Rule {
    shaped(ours, theirs, 0)
}

/// A tensor that not every network has.
const fn if_there(ours: &'static str, theirs: &'static str) -> Rule {
    Rule {
        need: Need::Optional,
        ..always(ours, theirs)
    }
}

/// A tensor with so many axes in the layout.
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

/// timm's names, which are ours; DINO's, DINOv2's, MAE's and SemAIM's too.
pub(crate) const TIMM: &[Rule] = &[
    always("patch_embed.proj.weight", "patch_embed.proj.weight"),
    if_there("patch_embed.proj.bias", "patch_embed.proj.bias"),
    always("cls_token", "cls_token"),
    always("pos_embed", "pos_embed"),
    if_there("reg_token", "reg_token"),
    if_there("norm_pre.weight", "norm_pre.weight"),
    if_there("norm_pre.bias", "norm_pre.bias"),
    always("blocks.{n}.norm1.weight", "blocks.{n}.norm1.weight"),
    always("blocks.{n}.norm1.bias", "blocks.{n}.norm1.bias"),
    always("blocks.{n}.attn.qkv.weight", "blocks.{n}.attn.qkv.weight"),
    if_there("blocks.{n}.attn.qkv.bias", "blocks.{n}.attn.qkv.bias"),
    always("blocks.{n}.attn.proj.weight", "blocks.{n}.attn.proj.weight"),
    always("blocks.{n}.attn.proj.bias", "blocks.{n}.attn.proj.bias"),
    if_there("blocks.{n}.ls1.gamma", "blocks.{n}.ls1.gamma"),
    always("blocks.{n}.norm2.weight", "blocks.{n}.norm2.weight"),
    always("blocks.{n}.norm2.bias", "blocks.{n}.norm2.bias"),
    always("blocks.{n}.mlp.fc1.weight", "blocks.{n}.mlp.fc1.weight"),
    always("blocks.{n}.mlp.fc1.bias", "blocks.{n}.mlp.fc1.bias"),
    always("blocks.{n}.mlp.fc2.weight", "blocks.{n}.mlp.fc2.weight"),
    always("blocks.{n}.mlp.fc2.bias", "blocks.{n}.mlp.fc2.bias"),
    if_there("blocks.{n}.ls2.gamma", "blocks.{n}.ls2.gamma"),
    always("norm.weight", "norm.weight"),
    always("norm.bias", "norm.bias"),
    if_there("projection.weight", "projection.weight"),
];

/// The visual tower of CLIP, by OpenAI and by `open_clip`.
pub(crate) const CLIP: &[Rule] = &[
    always("patch_embed.proj.weight", "conv1.weight"),
    shaped("cls_token", "class_embedding", 1),
    shaped("pos_embed", "positional_embedding", 2),
    always("norm_pre.weight", "ln_pre.weight"),
    always("norm_pre.bias", "ln_pre.bias"),
    always(
        "blocks.{n}.norm1.weight",
        "transformer.resblocks.{n}.ln_1.weight",
    ),
    always(
        "blocks.{n}.norm1.bias",
        "transformer.resblocks.{n}.ln_1.bias",
    ),
    always(
        "blocks.{n}.attn.qkv.weight",
        "transformer.resblocks.{n}.attn.in_proj_weight",
    ),
    always(
        "blocks.{n}.attn.qkv.bias",
        "transformer.resblocks.{n}.attn.in_proj_bias",
    ),
    always(
        "blocks.{n}.attn.proj.weight",
        "transformer.resblocks.{n}.attn.out_proj.weight",
    ),
    always(
        "blocks.{n}.attn.proj.bias",
        "transformer.resblocks.{n}.attn.out_proj.bias",
    ),
    if_there(
        "blocks.{n}.ls1.gamma",
        "transformer.resblocks.{n}.ls_1.gamma",
    ),
    always(
        "blocks.{n}.norm2.weight",
        "transformer.resblocks.{n}.ln_2.weight",
    ),
    always(
        "blocks.{n}.norm2.bias",
        "transformer.resblocks.{n}.ln_2.bias",
    ),
    always(
        "blocks.{n}.mlp.fc1.weight",
        "transformer.resblocks.{n}.mlp.c_fc.weight",
    ),
    always(
        "blocks.{n}.mlp.fc1.bias",
        "transformer.resblocks.{n}.mlp.c_fc.bias",
    ),
    always(
        "blocks.{n}.mlp.fc2.weight",
        "transformer.resblocks.{n}.mlp.c_proj.weight",
    ),
    always(
        "blocks.{n}.mlp.fc2.bias",
        "transformer.resblocks.{n}.mlp.c_proj.bias",
    ),
    if_there(
        "blocks.{n}.ls2.gamma",
        "transformer.resblocks.{n}.ls_2.gamma",
    ),
    always("norm.weight", "ln_post.weight"),
    always("norm.bias", "ln_post.bias"),
    Rule {
        ours: "projection.weight",
        theirs: Theirs::Transposed("proj"),
        need: Need::Optional,
    },
];

/// `ViTModel`, as written until version 4 of transformers (and read by all).
pub(crate) const HF_VIT_4: &[Rule] = &[
    always(
        "patch_embed.proj.weight",
        "embeddings.patch_embeddings.projection.weight",
    ),
    always(
        "patch_embed.proj.bias",
        "embeddings.patch_embeddings.projection.bias",
    ),
    always("cls_token", "embeddings.cls_token"),
    always("pos_embed", "embeddings.position_embeddings"),
    always(
        "blocks.{n}.norm1.weight",
        "encoder.layer.{n}.layernorm_before.weight",
    ),
    always(
        "blocks.{n}.norm1.bias",
        "encoder.layer.{n}.layernorm_before.bias",
    ),
    joined(
        "blocks.{n}.attn.qkv.weight",
        [
            "encoder.layer.{n}.attention.attention.query.weight",
            "encoder.layer.{n}.attention.attention.key.weight",
            "encoder.layer.{n}.attention.attention.value.weight",
        ],
        Need::Required,
    ),
    joined(
        "blocks.{n}.attn.qkv.bias",
        [
            "encoder.layer.{n}.attention.attention.query.bias",
            "encoder.layer.{n}.attention.attention.key.bias",
            "encoder.layer.{n}.attention.attention.value.bias",
        ],
        Need::Optional,
    ),
    always(
        "blocks.{n}.attn.proj.weight",
        "encoder.layer.{n}.attention.output.dense.weight",
    ),
    always(
        "blocks.{n}.attn.proj.bias",
        "encoder.layer.{n}.attention.output.dense.bias",
    ),
    always(
        "blocks.{n}.norm2.weight",
        "encoder.layer.{n}.layernorm_after.weight",
    ),
    always(
        "blocks.{n}.norm2.bias",
        "encoder.layer.{n}.layernorm_after.bias",
    ),
    always(
        "blocks.{n}.mlp.fc1.weight",
        "encoder.layer.{n}.intermediate.dense.weight",
    ),
    always(
        "blocks.{n}.mlp.fc1.bias",
        "encoder.layer.{n}.intermediate.dense.bias",
    ),
    always(
        "blocks.{n}.mlp.fc2.weight",
        "encoder.layer.{n}.output.dense.weight",
    ),
    always(
        "blocks.{n}.mlp.fc2.bias",
        "encoder.layer.{n}.output.dense.bias",
    ),
    always("norm.weight", "layernorm.weight"),
    always("norm.bias", "layernorm.bias"),
];

/// `ViTModel`, as written since version 5 of transformers.
pub(crate) const HF_VIT_5: &[Rule] = &[
    always(
        "patch_embed.proj.weight",
        "embeddings.patch_embeddings.projection.weight",
    ),
    always(
        "patch_embed.proj.bias",
        "embeddings.patch_embeddings.projection.bias",
    ),
    always("cls_token", "embeddings.cls_token"),
    always("pos_embed", "embeddings.position_embeddings"),
    always(
        "blocks.{n}.norm1.weight",
        "layers.{n}.layernorm_before.weight",
    ),
    always("blocks.{n}.norm1.bias", "layers.{n}.layernorm_before.bias"),
    joined(
        "blocks.{n}.attn.qkv.weight",
        [
            "layers.{n}.attention.q_proj.weight",
            "layers.{n}.attention.k_proj.weight",
            "layers.{n}.attention.v_proj.weight",
        ],
        Need::Required,
    ),
    joined(
        "blocks.{n}.attn.qkv.bias",
        [
            "layers.{n}.attention.q_proj.bias",
            "layers.{n}.attention.k_proj.bias",
            "layers.{n}.attention.v_proj.bias",
        ],
        Need::Optional,
    ),
    always(
        "blocks.{n}.attn.proj.weight",
        "layers.{n}.attention.o_proj.weight",
    ),
    always(
        "blocks.{n}.attn.proj.bias",
        "layers.{n}.attention.o_proj.bias",
    ),
    always(
        "blocks.{n}.norm2.weight",
        "layers.{n}.layernorm_after.weight",
    ),
    always("blocks.{n}.norm2.bias", "layers.{n}.layernorm_after.bias"),
    always("blocks.{n}.mlp.fc1.weight", "layers.{n}.mlp.fc1.weight"),
    always("blocks.{n}.mlp.fc1.bias", "layers.{n}.mlp.fc1.bias"),
    always("blocks.{n}.mlp.fc2.weight", "layers.{n}.mlp.fc2.weight"),
    always("blocks.{n}.mlp.fc2.bias", "layers.{n}.mlp.fc2.bias"),
    always("norm.weight", "layernorm.weight"),
    always("norm.bias", "layernorm.bias"),
];

/// `Dinov2Model` and `Dinov2WithRegistersModel`, as written until version 4 of transformers (and read by all).
pub(crate) const HF_DINOV2_4: &[Rule] = &[
    always(
        "patch_embed.proj.weight",
        "embeddings.patch_embeddings.projection.weight",
    ),
    always(
        "patch_embed.proj.bias",
        "embeddings.patch_embeddings.projection.bias",
    ),
    always("cls_token", "embeddings.cls_token"),
    Rule {
        need: Need::Optional,
        ..shaped("mask_token", "embeddings.mask_token", 2)
    },
    if_there("reg_token", "embeddings.register_tokens"),
    always("pos_embed", "embeddings.position_embeddings"),
    always("blocks.{n}.norm1.weight", "encoder.layer.{n}.norm1.weight"),
    always("blocks.{n}.norm1.bias", "encoder.layer.{n}.norm1.bias"),
    joined(
        "blocks.{n}.attn.qkv.weight",
        [
            "encoder.layer.{n}.attention.attention.query.weight",
            "encoder.layer.{n}.attention.attention.key.weight",
            "encoder.layer.{n}.attention.attention.value.weight",
        ],
        Need::Required,
    ),
    joined(
        "blocks.{n}.attn.qkv.bias",
        [
            "encoder.layer.{n}.attention.attention.query.bias",
            "encoder.layer.{n}.attention.attention.key.bias",
            "encoder.layer.{n}.attention.attention.value.bias",
        ],
        Need::Optional,
    ),
    always(
        "blocks.{n}.attn.proj.weight",
        "encoder.layer.{n}.attention.output.dense.weight",
    ),
    always(
        "blocks.{n}.attn.proj.bias",
        "encoder.layer.{n}.attention.output.dense.bias",
    ),
    always(
        "blocks.{n}.ls1.gamma",
        "encoder.layer.{n}.layer_scale1.lambda1",
    ),
    always("blocks.{n}.norm2.weight", "encoder.layer.{n}.norm2.weight"),
    always("blocks.{n}.norm2.bias", "encoder.layer.{n}.norm2.bias"),
    always(
        "blocks.{n}.mlp.fc1.weight",
        "encoder.layer.{n}.mlp.fc1.weight",
    ),
    always("blocks.{n}.mlp.fc1.bias", "encoder.layer.{n}.mlp.fc1.bias"),
    always(
        "blocks.{n}.mlp.fc2.weight",
        "encoder.layer.{n}.mlp.fc2.weight",
    ),
    always("blocks.{n}.mlp.fc2.bias", "encoder.layer.{n}.mlp.fc2.bias"),
    always(
        "blocks.{n}.ls2.gamma",
        "encoder.layer.{n}.layer_scale2.lambda1",
    ),
    always("norm.weight", "layernorm.weight"),
    always("norm.bias", "layernorm.bias"),
];

/// `Dinov2Model` and `Dinov2WithRegistersModel`, as written since version 5 of transformers.
pub(crate) const HF_DINOV2_5: &[Rule] = &[
    always(
        "patch_embed.proj.weight",
        "embeddings.patch_embeddings.projection.weight",
    ),
    always(
        "patch_embed.proj.bias",
        "embeddings.patch_embeddings.projection.bias",
    ),
    always("cls_token", "embeddings.cls_token"),
    Rule {
        need: Need::Optional,
        ..shaped("mask_token", "embeddings.mask_token", 2)
    },
    if_there("reg_token", "embeddings.register_tokens"),
    always("pos_embed", "embeddings.position_embeddings"),
    always("blocks.{n}.norm1.weight", "encoder.layer.{n}.norm1.weight"),
    always("blocks.{n}.norm1.bias", "encoder.layer.{n}.norm1.bias"),
    joined(
        "blocks.{n}.attn.qkv.weight",
        [
            "encoder.layer.{n}.attention.q_proj.weight",
            "encoder.layer.{n}.attention.k_proj.weight",
            "encoder.layer.{n}.attention.v_proj.weight",
        ],
        Need::Required,
    ),
    joined(
        "blocks.{n}.attn.qkv.bias",
        [
            "encoder.layer.{n}.attention.q_proj.bias",
            "encoder.layer.{n}.attention.k_proj.bias",
            "encoder.layer.{n}.attention.v_proj.bias",
        ],
        Need::Optional,
    ),
    always(
        "blocks.{n}.attn.proj.weight",
        "encoder.layer.{n}.attention.o_proj.weight",
    ),
    always(
        "blocks.{n}.attn.proj.bias",
        "encoder.layer.{n}.attention.o_proj.bias",
    ),
    always(
        "blocks.{n}.ls1.gamma",
        "encoder.layer.{n}.layer_scale1.lambda1",
    ),
    always("blocks.{n}.norm2.weight", "encoder.layer.{n}.norm2.weight"),
    always("blocks.{n}.norm2.bias", "encoder.layer.{n}.norm2.bias"),
    always(
        "blocks.{n}.mlp.fc1.weight",
        "encoder.layer.{n}.mlp.fc1.weight",
    ),
    always("blocks.{n}.mlp.fc1.bias", "encoder.layer.{n}.mlp.fc1.bias"),
    always(
        "blocks.{n}.mlp.fc2.weight",
        "encoder.layer.{n}.mlp.fc2.weight",
    ),
    always("blocks.{n}.mlp.fc2.bias", "encoder.layer.{n}.mlp.fc2.bias"),
    always(
        "blocks.{n}.ls2.gamma",
        "encoder.layer.{n}.layer_scale2.lambda1",
    ),
    always("norm.weight", "layernorm.weight"),
    always("norm.bias", "layernorm.bias"),
];

/// The vision tower of `CLIPModel`, without its own name in front.
pub(crate) const HF_CLIP: &[Rule] = &[
    always(
        "patch_embed.proj.weight",
        "embeddings.patch_embedding.weight",
    ),
    shaped("cls_token", "embeddings.class_embedding", 1),
    shaped("pos_embed", "embeddings.position_embedding.weight", 2),
    // The library's own spelling.
    always("norm_pre.weight", "pre_layrnorm.weight"),
    always("norm_pre.bias", "pre_layrnorm.bias"),
    always(
        "blocks.{n}.norm1.weight",
        "encoder.layers.{n}.layer_norm1.weight",
    ),
    always(
        "blocks.{n}.norm1.bias",
        "encoder.layers.{n}.layer_norm1.bias",
    ),
    joined(
        "blocks.{n}.attn.qkv.weight",
        [
            "encoder.layers.{n}.self_attn.q_proj.weight",
            "encoder.layers.{n}.self_attn.k_proj.weight",
            "encoder.layers.{n}.self_attn.v_proj.weight",
        ],
        Need::Required,
    ),
    joined(
        "blocks.{n}.attn.qkv.bias",
        [
            "encoder.layers.{n}.self_attn.q_proj.bias",
            "encoder.layers.{n}.self_attn.k_proj.bias",
            "encoder.layers.{n}.self_attn.v_proj.bias",
        ],
        Need::Required,
    ),
    always(
        "blocks.{n}.attn.proj.weight",
        "encoder.layers.{n}.self_attn.out_proj.weight",
    ),
    always(
        "blocks.{n}.attn.proj.bias",
        "encoder.layers.{n}.self_attn.out_proj.bias",
    ),
    always(
        "blocks.{n}.norm2.weight",
        "encoder.layers.{n}.layer_norm2.weight",
    ),
    always(
        "blocks.{n}.norm2.bias",
        "encoder.layers.{n}.layer_norm2.bias",
    ),
    always(
        "blocks.{n}.mlp.fc1.weight",
        "encoder.layers.{n}.mlp.fc1.weight",
    ),
    always("blocks.{n}.mlp.fc1.bias", "encoder.layers.{n}.mlp.fc1.bias"),
    always(
        "blocks.{n}.mlp.fc2.weight",
        "encoder.layers.{n}.mlp.fc2.weight",
    ),
    always("blocks.{n}.mlp.fc2.bias", "encoder.layers.{n}.mlp.fc2.bias"),
    always("norm.weight", "post_layernorm.weight"),
    always("norm.bias", "post_layernorm.bias"),
    if_there("projection.weight", "visual_projection.weight"),
];
