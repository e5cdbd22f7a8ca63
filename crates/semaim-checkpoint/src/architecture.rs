//! From tensors to the network that they belong to: sizes out of shapes, and the rest out of what stands beside.

use std::path::Path;

use semaim::config::VitConfig;
use semaim::config::{Activation, ArchOptions};
use semaim::grid::Grid;
use semaim::parameters::{Weight, Weights};

use crate::canonical::Canonical;
use crate::checkpoint::ReadOptions;
use crate::error::EncoderError;
use crate::format::CheckpointFormat;
use crate::sidecar::{Sidecar, usual_normalisation};

/// Heads of the standard widths, where nothing says how many.
const USUAL_HEADS: [(usize, usize); 9] = [
    (192, 3),
    (384, 6),
    (768, 12),
    (1024, 16),
    (1152, 16),
    (1280, 16),
    (1408, 16),
    (1536, 24),
    (1664, 16),
];
/// Width of a head in CLIP's smaller towers.
const CLIP_HEAD: usize = 64;
/// A network may need at most so many numbers for each one in its file: what is missing is filled in.
const MOST_FILLED: usize = 16;

/// A network's sizes and how its images are normalised.
#[derive(Clone, Debug)]
pub(crate) struct Architecture {
    pub(crate) config: VitConfig,
    pub(crate) variant: ArchOptions,
    pub(crate) mean: Vec<f32>,
    pub(crate) std: Vec<f32>,
    /// What nothing said and was taken for granted, for people to read.
    pub(crate) assumed: Vec<String>,
}

/// Tells the network of a checkpoint, and brings its position table into our form: with a row for the class token.
///
/// # Errors
/// Shapes that do not fit together, or a number of heads that nothing tells.
pub(crate) fn architecture(
    path: &Path,
    canonical: &mut Canonical,
    hints: &Sidecar,
    told: &ReadOptions,
) -> Result<Architecture, EncoderError> {
    let layout = canonical.loading.layout;
    let weights = &mut canonical.weights;
    let [embed_dim, channels, patch_size] = patch_embed(path, weights)?;
    let mut assumed = Vec::new();
    let sizes = [hints.image_size, told.image_size];
    let grid = position_table(path, weights, embed_dim, patch_size, sizes)?;
    let norm_pre = weights.contains_key("norm_pre.weight");
    let form = [is_gated(weights), norm_pre];
    let activation = activation(layout, hints, form, &mut assumed);
    let num_heads = match told.num_heads.or(hints.num_heads) {
        Some(heads) => heads,
        None => usual_heads(path, layout.is_clip() || norm_pre, embed_dim, &mut assumed)?,
    };
    let hidden = shape(weights, "blocks.0.mlp.fc2.weight", 1).unwrap_or(4 * embed_dim);
    let config = VitConfig {
        image_size: [grid.rows * patch_size, grid.columns * patch_size],
        patch_size,
        channels,
        embed_dim,
        depth: canonical.depth,
        num_heads,
        mlp_ratio: hidden as f64 / embed_dim as f64,
    };
    config.validate().map_err(|source| EncoderError::Sizes {
        path: path.to_path_buf(),
        source,
    })?;
    let variant = ArchOptions {
        epsilon: hints.epsilon.unwrap_or(match layout {
            CheckpointFormat::HfVit => 1e-12,
            layout if layout.is_clip() => 1e-5,
            // timm's form of CLIP's tower.
            _ if norm_pre => 1e-5,
            _ => 1e-6,
        }),
        activation,
        registers: shape(weights, "reg_token", 1).unwrap_or(0),
        norm_pre,
        projection: shape(weights, "projection.weight", 0),
    };
    check_proportion(path, weights, &config, &variant)?;
    // timm's form of CLIP's tower was trained as CLIP was.
    let trained_as = if norm_pre {
        CheckpointFormat::Clip
    } else {
        layout
    };
    let [usual_mean, usual_std] = usual_normalisation(trained_as);
    let fitting = |hint: &Option<Vec<f32>>| hint.clone().filter(|list| list.len() == channels);
    let (mean, std) = match (fitting(&hints.mean), fitting(&hints.std)) {
        (Some(mean), Some(std)) if std.iter().all(|&s| s > 0.0) => (mean, std),
        _ if channels == 3 => {
            assumed.push(format!(
                "images are normalised as is usual for {trained_as}: mean {usual_mean:?}, deviation {usual_std:?}"
            ));
            (usual_mean.to_vec(), usual_std.to_vec())
        }
        _ => {
            assumed.push("images are normalised by mean 0.5 and deviation 0.5".into());
            (vec![0.5; channels], vec![0.5; channels])
        }
    };
    Ok(Architecture {
        config,
        variant,
        mean,
        std,
        assumed,
    })
}

/// Width of tokens, channels of images and side of patches.
fn patch_embed(path: &Path, weights: &Weights) -> Result<[usize; 3], EncoderError> {
    let name = "patch_embed.proj.weight";
    let found = weights.get(name).map(|weight| weight.shape.as_slice());
    match found {
        Some(&[embed_dim, channels, height, width]) if height == width => {
            Ok([embed_dim, channels, height])
        }
        found => Err(EncoderError::Tensor {
            path: path.to_path_buf(),
            name: name.into(),
            message: format!(
                "has shape {:?}, expected [embed_dim, channels, patch_size, patch_size]",
                found.unwrap_or_default()
            ),
        }),
    }
}

/// The grid of the position table, which gets a row for the class token if it has none. Without a table (`--allow-partial`)
/// the grid of 224 pixels, or of what stands beside.
fn position_table(
    path: &Path,
    weights: &mut Weights,
    embed_dim: usize,
    patch_size: usize,
    [beside, told]: [Option<[usize; 2]>; 2],
) -> Result<Grid, EncoderError> {
    let wrong = |message: String| EncoderError::Tensor {
        path: path.to_path_buf(),
        name: "pos_embed".into(),
        message,
    };
    let side = patch_size.max(1);
    let grid = |[height, width]: [usize; 2]| Grid {
        rows: height / side,
        columns: width / side,
    };
    let (beside, told) = (beside.map(grid), told.map(grid));
    let Some(table) = weights.get_mut("pos_embed") else {
        return Ok(beside.or(told).unwrap_or(grid([224, 224])));
    };
    let &[1, places, width] = table.shape.as_slice() else {
        return Err(wrong(format!("has shape {:?}", table.shape)));
    };
    if width != embed_dim || places == 0 {
        return Err(wrong(format!(
            "has shape {:?}, the width of a token is {embed_dim}",
            table.shape
        )));
    }
    // What is told may be the size to resize to, so a table that can be square is taken for square.
    let of = |patches: usize| {
        let side = (patches as f64).sqrt().round() as usize;
        let square = Grid {
            rows: side,
            columns: side,
        };
        let mut likely = [beside, Some(square), told].into_iter().flatten();
        likely.find(|grid| patches > 0 && grid.patches() == patches)
    };
    if let Some(grid) = of(places - 1) {
        return Ok(grid);
    }
    let grid = of(places).ok_or_else(|| {
        wrong(format!(
            "has {places} places, which is no square grid with or without a class token; \
             --image-size tells the size of the images that it is for"
        ))
    })?;
    // Without a place for the class token: nothing is added to it.
    let mut values = vec![0.0; embed_dim];
    values.append(&mut table.values);
    *table = Weight {
        shape: vec![1, places + 1, embed_dim],
        values,
    };
    Ok(grid)
}

/// Whether the MLP's first layer gives a gate and what it gates.
fn is_gated(weights: &Weights) -> bool {
    let rows = shape(weights, "blocks.0.mlp.fc1.weight", 0);
    let columns = shape(weights, "blocks.0.mlp.fc2.weight", 1);
    matches!((rows, columns), (Some(rows), Some(columns)) if rows == 2 * columns)
}

fn activation(
    layout: CheckpointFormat,
    hints: &Sidecar,
    [gated, norm_pre]: [bool; 2],
    assumed: &mut Vec<String>,
) -> Activation {
    match (gated, hints.activation, layout) {
        (true, ..) => Activation::SwiGlu,
        (_, Some(activation), _) => activation,
        (_, None, CheckpointFormat::Clip) => {
            assumed.push(
                "activation QuickGELU, as in OpenAI's CLIP (--layout open-clip: GELU)".into(),
            );
            Activation::QuickGelu
        }
        (_, None, CheckpointFormat::HfClip) => {
            assumed.push("activation QuickGELU, as nothing beside it says otherwise".into());
            Activation::QuickGelu
        }
        _ => {
            if norm_pre && layout != CheckpointFormat::OpenClip {
                assumed.push("activation GELU; some of CLIP's towers have QuickGELU".into());
            }
            Activation::Gelu
        }
    }
}

fn usual_heads(
    path: &Path,
    is_clip: bool,
    embed_dim: usize,
    assumed: &mut Vec<String>,
) -> Result<usize, EncoderError> {
    let known = USUAL_HEADS.iter().find(|(width, _)| *width == embed_dim);
    let heads = match known {
        Some((_, heads)) => *heads,
        None if is_clip && embed_dim.is_multiple_of(CLIP_HEAD) => embed_dim / CLIP_HEAD,
        None => {
            return Err(EncoderError::Heads {
                path: path.to_path_buf(),
                embed_dim,
            });
        }
    };
    assumed.push(format!(
        "{heads} heads, as is usual for width {embed_dim} (--heads)"
    ));
    Ok(heads)
}

/// Checks, before memory is taken, that a network is not out of all proportion to its file.
fn check_proportion(
    path: &Path,
    weights: &Weights,
    config: &VitConfig,
    variant: &ArchOptions,
) -> Result<(), EncoderError> {
    let there: usize = weights.values().map(|weight| weight.values.len()).sum();
    let needed = needed(config, variant);
    if needed.is_none_or(|needed| needed > there.saturating_mul(MOST_FILLED)) {
        return Err(EncoderError::Damaged {
            path: path.to_path_buf(),
            message: "its shapes make a network that is far larger than the file".into(),
        });
    }
    Ok(())
}

/// About how many numbers a network has; `None` if they cannot be counted.
fn needed(config: &VitConfig, variant: &ArchOptions) -> Option<usize> {
    let d = config.embed_dim;
    let gate = 1 + usize::from(variant.activation == Activation::SwiGlu);
    let mlp = d.checked_mul(config.mlp_dim())?.checked_mul(1 + gate)?;
    let block = d.checked_mul(d)?.checked_mul(4)?.checked_add(mlp)?;
    let table = d.checked_mul(config.grid().patches().checked_add(variant.registers)?)?;
    block
        .checked_mul(config.depth)?
        .checked_add(config.patch_values().checked_mul(d)?)?
        .checked_add(table)?
        .checked_add(d.checked_mul(variant.projection.unwrap_or(0))?)
}

fn shape(weights: &Weights, name: &str, axis: usize) -> Option<usize> {
    weights.get(name)?.shape.get(axis).copied()
}
