//! Which weights decay, and how fast each layer learns.

use std::collections::BTreeMap;

/// How a weight is updated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParamGroup {
    /// Factor on the learning rate.
    pub lr_scale: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

impl ParamGroup {
    /// Of weights in no group.
    const UNGROUPED: Self = Self {
        lr_scale: 1.0,
        weight_decay: 0.0,
    };
}

/// The published rules.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamGroups {
    /// Pre-training: every weight of two or more axes decays (the class token too), biases and norms do not.
    Pretrain {
        /// Weight decay where there is any.
        weight_decay: f64,
    },
    /// Everything learns and decays alike.
    Uniform {
        /// Weight decay.
        weight_decay: f64,
    },
    /// Members of a list (`heads.3.weight`) learn and decay each in its own way; other weights as they are.
    PerModule(Vec<ParamGroup>),
    /// Each weight by its name; weights without one as they are.
    PerWeight(BTreeMap<String, ParamGroup>),
    /// Fine-tuning: layer-wise learning-rate decay (Clark et al., 2020; Bao et al., 2022). A layer learns `decay`
    /// times as fast as the one above it; class token, position table and 1-D weights do not decay.
    LayerDecay {
        /// Weight decay where there is any.
        weight_decay: f64,
        /// Ratio of the learning rates of neighbouring layers.
        decay: f64,
        /// Number of blocks.
        depth: usize,
    },
}

impl ParamGroups {
    /// The group of a weight by its checkpoint name and its number of axes.
    pub fn of(&self, name: &str, axes: usize) -> ParamGroup {
        match *self {
            Self::Uniform { weight_decay } => ParamGroup {
                lr_scale: 1.0,
                weight_decay,
            },
            Self::PerModule(ref groups) => {
                let member = name.split('.').find_map(|part| part.parse::<usize>().ok());
                let group = member.and_then(|member| groups.get(member));
                group.copied().unwrap_or(ParamGroup::UNGROUPED)
            }
            Self::PerWeight(ref groups) => {
                groups.get(name).copied().unwrap_or(ParamGroup::UNGROUPED)
            }
            Self::Pretrain { weight_decay } => ParamGroup {
                lr_scale: 1.0,
                weight_decay: if axes >= 2 { weight_decay } else { 0.0 },
            },
            Self::LayerDecay {
                weight_decay,
                decay,
                depth,
            } => {
                let decays = axes >= 2 && !matches!(name, "cls_token" | "pos_embed" | "reg_token");
                let above = (depth + 1).saturating_sub(layer(name, depth));
                ParamGroup {
                    lr_scale: decay.powi(above as i32),
                    weight_decay: if decays { weight_decay } else { 0.0 },
                }
            }
        }
    }
}

/// 0 for the embedding, 1..=depth for the blocks, depth + 1 for what comes after.
fn layer(name: &str, depth: usize) -> usize {
    let embeds = [
        "cls_token",
        "pos_embed",
        "reg_token",
        "patch_embed.",
        "norm_pre.",
    ];
    if embeds.iter().any(|part| name.starts_with(part)) {
        return 0;
    }
    name.strip_prefix("blocks.")
        .and_then(|rest| rest.split('.').next())
        .and_then(|number| number.parse::<usize>().ok())
        .map_or(depth + 1, |block| block + 1)
}
