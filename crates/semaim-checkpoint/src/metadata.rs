//! What a file of ours says of its network, in its metadata.

use std::collections::BTreeMap;
use std::path::Path;

use semaim::config::{ArchOptions, Normalization, VitConfig};
use semaim::parameters::{WeightError, Weights};
use semaim::position::Interpolation;
use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::error::EncoderError;

/// The metadata key under which an encoder's sizes stand.
pub(crate) const SIZES: &str = "semaim.vit";

/// What the metadata says of an encoder.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sizes {
    image_size: [usize; 2],
    patch_size: usize,
    channels: usize,
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
    mlp_ratio: f64,
    mean: Vec<f32>,
    std: Vec<f32>,
    /// Left out where it is SemAIM's own.
    #[serde(rename = "variant", default, skip_serializing_if = "Option::is_none")]
    arch: Option<ArchOptions>,
    /// Left out where it is SemAIM's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interpolation: Option<Interpolation>,
}

/// What a file of ours says: the sizes of a network, where it differs from ours, the normalization of its input and how its
/// position table is resized.
pub(crate) fn metadata(
    config: &VitConfig,
    arch: &ArchOptions,
    normalization: &Normalization,
    interpolation: Interpolation,
) -> BTreeMap<String, String> {
    let sizes = Sizes {
        image_size: config.image_size,
        patch_size: config.patch_size,
        channels: config.channels,
        embed_dim: config.embed_dim,
        depth: config.depth,
        num_heads: config.num_heads,
        mlp_ratio: config.mlp_ratio,
        mean: normalization.mean.clone(),
        std: normalization.std.clone(),
        arch: (*arch != ArchOptions::default()).then(|| arch.clone()),
        interpolation: (interpolation != Interpolation::default()).then_some(interpolation),
    };
    let metadata = [
        // What other readers of the format look for.
        ("format".to_string(), "pt".to_string()),
        (SIZES.to_string(), serde_json::json!(sizes).to_string()),
    ];
    metadata.into_iter().collect()
}

/// Reads and checks what a file says of its network. Sizes from a file are not to be believed before
/// [they are checked](check_sizes) against its tensors.
pub(crate) fn described(
    path: &Path,
    metadata: &BTreeMap<String, String>,
) -> Result<Architecture, EncoderError> {
    let text = metadata.get(SIZES).ok_or_else(|| EncoderError::NoSizes {
        path: path.to_path_buf(),
    })?;
    let damaged = |message: String| EncoderError::Damaged {
        path: path.to_path_buf(),
        message,
    };
    let sizes: Sizes = serde_json::from_str(text)
        .map_err(|error| damaged(format!("the metadata `{SIZES}`: {error}")))?;
    let config = VitConfig {
        image_size: sizes.image_size,
        patch_size: sizes.patch_size,
        channels: sizes.channels,
        embed_dim: sizes.embed_dim,
        depth: sizes.depth,
        num_heads: sizes.num_heads,
        mlp_ratio: sizes.mlp_ratio,
    };
    config.validate().map_err(|source| EncoderError::Sizes {
        path: path.to_path_buf(),
        source,
    })?;
    if sizes.mean.len() != config.channels || sizes.std.len() != config.channels {
        return Err(damaged(format!(
            "{} means and {} deviations for {} channels",
            sizes.mean.len(),
            sizes.std.len(),
            config.channels
        )));
    }
    Ok(Architecture {
        config,
        arch: sizes.arch.unwrap_or_default(),
        normalization: Normalization {
            mean: sizes.mean,
            std: sizes.std,
        },
        interpolation: sizes.interpolation.unwrap_or_default(),
        defaults_used: Vec::new(),
    })
}

/// Checks that a file holds the weights that fix every size: the patch embedding, the position table, one of each block,
/// and what other people's encoders have beside.
pub(crate) fn check_sizes(
    config: &VitConfig,
    arch: &ArchOptions,
    weights: &Weights,
) -> Result<(), WeightError> {
    let (d, p, hidden) = (config.embed_dim, config.patch_size, config.mlp_dim());
    let patches = config.grid().patches();
    let fixed = [
        ("patch_embed.proj.weight", vec![d, config.channels, p, p]),
        ("pos_embed", vec![1, 1 + patches, d]),
    ];
    let registers = (arch.registers > 0).then(|| ("reg_token", vec![1, arch.registers, d]));
    let projection = arch
        .projection
        .map(|width| ("projection.weight", vec![width, d]));
    let fixed = fixed.into_iter().chain(registers).chain(projection);
    let fixed = fixed.map(|(name, shape)| (name.to_string(), shape));
    let blocks = (0..config.depth).map(|i| (format!("blocks.{i}.mlp.fc2.weight"), vec![d, hidden]));
    for (name, expected) in fixed.chain(blocks) {
        match weights.get(&name) {
            None => return Err(WeightError::Missing { name, expected }),
            Some(weight) if weight.shape != expected => {
                let found = weight.shape.clone();
                return Err(WeightError::Shape {
                    name,
                    expected,
                    found,
                });
            }
            Some(_) => {}
        }
    }
    let next = format!("blocks.{}.mlp.fc2.weight", config.depth);
    match weights.get(&next) {
        Some(weight) => Err(WeightError::Shape {
            name: next,
            expected: Vec::new(),
            found: weight.shape.clone(),
        }),
        None => Ok(()),
    }
}
