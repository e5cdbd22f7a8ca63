//! Which weights decay, and how fast each layer learns.

use std::collections::BTreeMap;

/// How a weight is updated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParamGroup {
    /// Factor on the learning rate.
    pub lr_scale: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Optimizer steps at the beginning of the run in which it stays as it is.
    pub waits: u64,
}

impl ParamGroup {
    /// Of weights in no group: they learn at the full rate and do not decay.
    const UNGROUPED: Self = Self::new(1.0, 0.0);

    /// A group that learns from the first step on.
    pub const fn new(lr_scale: f64, weight_decay: f64) -> Self {
        Self {
            lr_scale,
            weight_decay,
            waits: 0,
        }
    }
}

/// The published rules.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamGroups {
    /// Pre-training: every weight of two or more axes decays (the class token too), biases, norms and position tables do not.
    Pretrain {
        /// Weight decay where there is any.
        weight_decay: f64,
        /// Ratio of the learning rates of neighboring layers of the encoder; 1: all learn alike.
        layer_decay: f64,
        /// Number of the encoder's blocks.
        depth: usize,
        /// Optimizer steps in which what begins with trained weights waits for the parts that do not.
        waits: u64,
        /// Whether the query blocks begin with trained weights too.
        queries_trained: bool,
    },
    /// Everything learns and decays alike.
    Uniform {
        /// Weight decay.
        weight_decay: f64,
    },
    /// Members of a list (`heads.3.weight`) learn and decay each in its own way; other weights learn at the full
    /// rate and do not decay.
    PerModule(Vec<ParamGroup>),
    /// Each weight by its name; those that are not listed learn at the full rate and do not decay.
    PerWeight(BTreeMap<String, ParamGroup>),
    /// Fine-tuning: layer-wise learning-rate decay (Clark et al., 2020; Bao et al., 2022). A layer learns `decay`
    /// times as fast as the one above it; class token, position table and 1-D weights do not decay.
    LayerDecay {
        /// Weight decay where there is any.
        weight_decay: f64,
        /// Ratio of the learning rates of neighboring layers.
        decay: f64,
        /// Number of blocks.
        depth: usize,
    },
}

impl ParamGroups {
    /// Pre-training from nothing: all layers learn alike and from the first step on.
    pub fn pretrain(weight_decay: f64) -> Self {
        Self::Pretrain {
            weight_decay,
            layer_decay: 1.0,
            depth: 0,
            waits: 0,
            queries_trained: false,
        }
    }

    /// The group of a weight by its checkpoint name and its number of axes.
    pub fn of(&self, name: &str, axes: usize) -> ParamGroup {
        match *self {
            Self::Uniform { weight_decay } => ParamGroup::new(1.0, weight_decay),
            Self::PerModule(ref groups) => {
                let member = name.split('.').find_map(|part| part.parse::<usize>().ok());
                let group = member.and_then(|member| groups.get(member));
                group.copied().unwrap_or(ParamGroup::UNGROUPED)
            }
            Self::PerWeight(ref groups) => {
                groups.get(name).copied().unwrap_or(ParamGroup::UNGROUPED)
            }
            Self::Pretrain {
                weight_decay,
                layer_decay,
                depth,
                waits,
                queries_trained,
            } => {
                let decays = axes >= 2 && name != "pos_embed";
                let is_trained =
                    is_of_encoder(name) || queries_trained && name.starts_with("query_blocks.");
                ParamGroup {
                    lr_scale: lr_scale(name, layer_decay, depth),
                    weight_decay: if decays { weight_decay } else { 0.0 },
                    waits: if is_trained { waits } else { 0 },
                }
            }
            Self::LayerDecay {
                weight_decay,
                decay,
                depth,
            } => {
                let decays = axes >= 2 && !matches!(name, "cls_token" | "pos_embed" | "reg_token");
                let weight_decay = if decays { weight_decay } else { 0.0 };
                ParamGroup::new(lr_scale(name, decay, depth), weight_decay)
            }
        }
    }

    /// Whether any weight can wait: a question to ask before asking for each.
    pub fn some_wait(&self) -> bool {
        matches!(*self, Self::Pretrain { waits, .. } if waits > 0)
    }
}

/// Factor on the learning rate of a layer, each of which learns `decay` times as fast as the one above it.
fn lr_scale(name: &str, decay: f64, depth: usize) -> f64 {
    let above = (depth + 1).saturating_sub(layer(name, depth));
    decay.powi(above as i32)
}

/// What an encoder has before its blocks.
const EMBEDS: [&str; 5] = [
    "cls_token",
    "pos_embed",
    "reg_token",
    "patch_embed.",
    "norm_pre.",
];

/// Whether a weight of a model that is pre-trained is its encoder's, which is kept.
fn is_of_encoder(name: &str) -> bool {
    let parts = EMBEDS.iter().chain(&["blocks.", "norm."]);
    parts.into_iter().any(|part| name.starts_with(part))
}

/// The layer of a weight of an encoder, or of something on one, by its checkpoint name: 0 for the embedding, 1..=depth for
/// the blocks, depth + 1 for what comes after.
pub fn layer(name: &str, depth: usize) -> usize {
    if EMBEDS.iter().any(|part| name.starts_with(part)) {
        return 0;
    }
    name.strip_prefix("blocks.")
        .and_then(|rest| rest.split('.').next())
        .and_then(|number| number.parse::<usize>().ok())
        .map_or(depth + 1, |block| block + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pre_training_from_weights_lets_layers_learn_slower_and_old_parts_wait() {
        let groups = ParamGroups::Pretrain {
            weight_decay: 0.1,
            layer_decay: 0.5,
            depth: 3,
            waits: 7,
            queries_trained: false,
        };
        for (name, axes, lr_scale, weight_decay, waits) in [
            ("patch_embed.proj.weight", 4, 0.0625, 0.1, 7),
            ("cls_token", 3, 0.0625, 0.1, 7),
            ("pos_embed", 3, 0.0625, 0.0, 7),
            ("blocks.2.mlp.fc1.bias", 1, 0.5, 0.0, 7),
            ("norm.weight", 1, 1.0, 0.0, 7),
            ("query_blocks.0.attn.q.weight", 2, 1.0, 0.1, 0),
            ("prediction_head.fc1.weight", 2, 1.0, 0.1, 0),
            ("decoder_blocks.0.attn.qkv.weight", 2, 1.0, 0.1, 0),
            ("mask_token", 3, 1.0, 0.1, 0),
        ] {
            let expected = ParamGroup {
                lr_scale,
                weight_decay,
                waits,
            };
            assert_eq!(groups.of(name, axes), expected, "{name}");
        }
        let copied = ParamGroups::Pretrain {
            weight_decay: 0.1,
            layer_decay: 1.0,
            depth: 3,
            waits: 7,
            queries_trained: true,
        };
        assert_eq!(copied.of("query_blocks.0.attn.q.weight", 2).waits, 7);
        assert_eq!(copied.of("patch_embed.proj.weight", 4).lr_scale, 1.0);
    }
}
