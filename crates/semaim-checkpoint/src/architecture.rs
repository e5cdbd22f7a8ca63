//! From tensors to the network that they belong to: sizes out of shapes, and the rest out of what stands beside.

use std::path::Path;

use semaim::config::{Activation, ArchOptions, Normalization, VitConfig};
use semaim::grid::Grid;
use semaim::parameters::{Weight, Weights};
use semaim::position::Interpolation;

use crate::canonical::{ByOpenAi, Canonical};
use crate::checkpoint::activation_name;
use crate::error::EncoderError;
use crate::format::CheckpointFormat;
use crate::sidecar::{Sidecar, SidecarError};
use crate::weights_source::WeightsSource;

/// A network may need at most so many numbers for each one in its file: what is missing is filled in.
const MOST_FILLED: usize = 16;

/// A network's sizes and how its images are normalized.
#[derive(Clone, Debug)]
pub(crate) struct Architecture {
    pub(crate) config: VitConfig,
    pub(crate) arch: ArchOptions,
    pub(crate) normalization: Normalization,
    pub(crate) interpolation: Interpolation,
    /// What nothing said and was taken for granted, for people to read.
    pub(crate) defaults_used: Vec<String>,
}

/// Tells the network of a checkpoint, and brings its position table into our form: a row for the class token and one for
/// each patch.
///
/// # Errors
/// Shapes that do not fit together, or what changes the numbers and nothing tells: heads, activation.
pub(crate) fn architecture(
    path: &Path,
    canonical: &mut Canonical,
    sidecar: &Sidecar,
    explicit: &WeightsSource,
) -> Result<Architecture, EncoderError> {
    let format = canonical.loading.format;
    let by_openai = canonical.by_openai;
    let weights = &mut canonical.weights;
    let [embed_dim, channels, patch_size] = patch_embed(path, weights)?;
    let mut defaults_used = sidecar.assumed.clone();
    let sizes = TableSizes {
        beside: sidecar.image_size,
        explicit: explicit.image_size,
    };
    let grid = position_table(
        path,
        format,
        weights,
        patch_size,
        &sizes,
        &mut defaults_used,
    )?;
    let norm_pre = weights.contains_key("norm_pre.weight");
    let told = told_activation(explicit, sidecar, &mut defaults_used);
    let told = told.or_else(|| by_trainer(format, explicit, by_openai, &mut defaults_used));
    let by_user = explicit.activation;
    let activation = activation(
        path,
        format,
        weights,
        told,
        by_user,
        sidecar,
        &mut defaults_used,
    )?;
    let num_heads = heads(
        path,
        format,
        embed_dim,
        sidecar,
        explicit,
        &mut defaults_used,
    )?;
    if let Some((said, file)) = sidecar.depth.as_ref()
        && *said != canonical.depth
        && !explicit.allow_partial
    {
        return Err(EncoderError::Hint(SidecarError {
            path: file.clone(),
            message: format!(
                "it says that there are {said} layers, {} has {}",
                path.display(),
                canonical.depth
            ),
        }));
    }
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
    // timm's form of CLIP's tower was trained as CLIP was; a run of ours as its settings say, whatever its network.
    let trained_as = if norm_pre && format != CheckpointFormat::Semaim {
        CheckpointFormat::Clip
    } else {
        format
    };
    let arch = ArchOptions {
        epsilon: sidecar.epsilon.unwrap_or(trained_as.epsilon()),
        activation,
        registers: shape(weights, "reg_token", 1).unwrap_or(0),
        norm_pre,
        projection: shape(weights, "projection.weight", 0),
    };
    check_proportion(path, weights, &config, &arch)?;
    let normalization = sidecar.normalization(channels).unwrap_or_else(|| {
        let (whose, usual) = match sidecar.class_normalization {
            Some((class, figures)) => (
                format!("transformers' `{class}`"),
                of_colors(figures, channels),
            ),
            None => (
                trained_as.to_string(),
                usual_normalization(trained_as, channels),
            ),
        };
        // A run whose settings do not say it has its defaults.
        if !sidecar.by_its_run {
            defaults_used.push(format!(
                "images are normalized as is usual for {whose}: mean {:?}, deviation {:?}",
                usual.mean, usual.std
            ));
        }
        usual
    });
    // Under timm's names, research code saves pickles, whose published fine-tuning resizes as MAE's does; timm itself
    // writes safetensors.
    let by_others = format == CheckpointFormat::Timm
        && explicit.layout.is_none()
        && canonical.is_pickle
        && !sidecar.timm;
    let usual = match by_others {
        true => Interpolation::Bicubic,
        false => format.interpolation(arch.registers),
    };
    let interpolation = sidecar.interpolation.unwrap_or(usual);
    Ok(Architecture {
        config,
        arch,
        normalization,
        interpolation,
        defaults_used,
    })
}

/// The heads, as is told, as a file beside says, or as all networks of a library's class or of a format have.
fn heads(
    path: &Path,
    format: CheckpointFormat,
    embed_dim: usize,
    sidecar: &Sidecar,
    explicit: &WeightsSource,
    defaults_used: &mut Vec<String>,
) -> Result<usize, EncoderError> {
    if let Some(told) = explicit.num_heads {
        if let Some(said) = sidecar.num_heads
            && said != told
        {
            defaults_used.push(format!(
                "{told} heads, as told (--heads), where the files beside it say {said} ({})",
                sidecar.names()
            ));
        }
        return Ok(told);
    }
    if let Some(said) = sidecar.num_heads {
        if let Some(name) = &sidecar.heads_by_name {
            defaults_used.push(format!(
                "{said} heads, as timm's `{name}` has by its name (--heads)"
            ));
        }
        return Ok(said);
    }
    if let Some((heads, class)) = sidecar.class_heads() {
        defaults_used.push(format!(
            "{heads} heads, as transformers' `{class}` has where nothing is said of them in {} (--heads)",
            sidecar.names()
        ));
        return Ok(heads);
    }
    let heads = format.heads(embed_dim).ok_or_else(|| EncoderError::Heads {
        path: path.to_path_buf(),
        embed_dim,
        usual: usual_heads(embed_dim),
    })?;
    defaults_used.push(format!(
        "{heads} heads, as all of {format} of width {embed_dim} have (--heads)"
    ));
    Ok(heads)
}

/// The activation that is told, or that a file beside says.
fn told_activation(
    explicit: &WeightsSource,
    sidecar: &Sidecar,
    defaults_used: &mut Vec<String>,
) -> Option<Activation> {
    if let (Some(told), Some(said)) = (explicit.activation, sidecar.activation)
        && told != said
    {
        defaults_used.push(format!(
            "{}, as told (--activation), where the files beside it say {} ({})",
            activation_name(told),
            activation_name(said),
            sidecar.names()
        ));
    }
    explicit.activation.or(sidecar.activation)
}

/// The activation of a tower of CLIP's by who trained it, where the layout that is told or the file itself says who.
fn by_trainer(
    format: CheckpointFormat,
    explicit: &WeightsSource,
    by_openai: ByOpenAi,
    defaults_used: &mut Vec<String>,
) -> Option<Activation> {
    match (explicit.layout, by_openai) {
        (Some(CheckpointFormat::Clip), _) => Some(Activation::QuickGelu),
        (Some(CheckpointFormat::OpenClip), _) => Some(Activation::Gelu),
        // A file beside it says that open_clip wrote it.
        _ if format != CheckpointFormat::Clip => None,
        (_, ByOpenAi::Surely) => Some(Activation::QuickGelu),
        (_, ByOpenAi::Presumably) => {
            defaults_used.push(
                "quick-gelu, as OpenAI's models have, which were published whole and in half precision as this one is (--activation)"
                    .into(),
            );
            Some(Activation::QuickGelu)
        }
        (_, ByOpenAi::Unknown) => None,
    }
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

/// What is said of the size of the images that a position table is for.
struct TableSizes {
    /// By a file beside it.
    beside: Option<[usize; 2]>,
    /// By the user, for whom it may be the size to resize to.
    explicit: Option<[usize; 2]>,
}

/// The grid of the position table, which is brought into our form: a row for the class token, which it may not have, and
/// none for registers, to which theirs are added. Without a table (`--allow-partial`) the grid of 224 pixels, or of what is
/// said.
///
/// The table has as many places as the grid and the tokens before it. What is said decides which they are; else the grid is
/// square, if only one can be.
fn position_table(
    path: &Path,
    format: CheckpointFormat,
    weights: &mut Weights,
    patch_size: usize,
    sizes: &TableSizes,
    defaults_used: &mut Vec<String>,
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
    let (beside, explicit) = (sizes.beside.map(grid), sizes.explicit.map(grid));
    let embed_dim = shape(weights, "patch_embed.proj.weight", 0).unwrap_or(0);
    let Some(table) = weights.get("pos_embed") else {
        return Ok(beside.or(explicit).unwrap_or_else(|| {
            defaults_used.push(
                "images of 224 x 224 pixels, where there is no position table (--image-size)"
                    .into(),
            );
            grid([224, 224])
        }));
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
    let registers = shape(weights, "reg_token", 1).unwrap_or(0);
    // Tokens before the patches that have a place: the class token, all, or none. DINOv2 gives registers no place, timm
    // gives one to all tokens before the patches or to none.
    let before: &[usize] = match registers {
        // Ours has a row for the class token.
        0 if format == CheckpointFormat::Semaim => &[1],
        0 => &[1, 0],
        registers if format == CheckpointFormat::Timm => &[1 + registers, 0],
        _ => &[1],
    };
    let of = |grid: Grid| {
        let fits = |before: &&usize| places.checked_sub(**before) == Some(grid.patches());
        before.iter().find(fits).map(|before| (grid, *before))
    };
    let squares: Vec<(Grid, usize)> = before
        .iter()
        .filter_map(|before| {
            let patches = places.checked_sub(*before).filter(|&patches| patches > 0)?;
            let side = patches.isqrt();
            (side * side == patches).then_some((
                Grid {
                    rows: side,
                    columns: side,
                },
                *before,
            ))
        })
        .collect();
    let said = beside.and_then(of).or(explicit.and_then(of));
    let (grid, before) = match (said, squares.as_slice()) {
        (Some(said), squares) => {
            if beside.and_then(of).is_none() && squares.iter().any(|square| *square != said) {
                defaults_used.push(format!(
                    "the position table is for {} x {} patches, as --image-size says, and not square",
                    said.0.rows, said.0.columns
                ));
            }
            said
        }
        (None, [square]) => {
            let (grid, before) = *square;
            let size = [grid.rows * side, grid.columns * side];
            if before == 0 {
                // With a place for the class token it would be for a grid that is not square.
                defaults_used.push(format!(
                    "the {places} places of the position table are those of {} x {} patches, none of the class token (--image-size)",
                    grid.rows, grid.columns
                ));
            }
            if let Some([height, width]) = sizes.beside {
                defaults_used.push(format!(
                    "images of {} x {} pixels, for which the position table is, and not of {height} x {width}, as a file beside it says",
                    size[0], size[1]
                ));
            }
            (grid, before)
        }
        (None, squares) => {
            let which = match squares {
                [] => "which is no square grid with or without a class token".to_string(),
                several => format!("which may be squares of {}", {
                    let sides = several.iter().map(|(grid, _)| grid.rows.to_string());
                    sides.collect::<Vec<_>>().join(" or ")
                }),
            };
            return Err(wrong(format!(
                "has {places} places, {which}; --image-size tells the size of the images that it is for"
            )));
        }
    };
    let Some(mut table) = weights.remove("pos_embed") else {
        return Ok(grid);
    };
    let mut values = vec![0.0; embed_dim];
    let rows = table
        .values
        .split_off((before * embed_dim).min(table.values.len()));
    // Without a place for the class token nothing is added to it.
    let own = table.values.len().min(embed_dim);
    values[..own].copy_from_slice(&table.values[..own]);
    if let Some(register) = weights.get_mut("reg_token") {
        let places = table.values.iter().skip(embed_dim);
        for (value, place) in register.values.iter_mut().zip(places) {
            *value += place;
        }
    }
    values.extend(rows);
    let shape = vec![1, 1 + grid.patches(), embed_dim];
    weights.insert("pos_embed".into(), Weight { shape, values });
    Ok(grid)
}

/// What stands between the layers of an MLP: as is told, or as all networks of the format have it.
fn activation(
    path: &Path,
    format: CheckpointFormat,
    weights: &Weights,
    told: Option<Activation>,
    explicit: Option<Activation>,
    sidecar: &Sidecar,
    defaults_used: &mut Vec<String>,
) -> Result<Activation, EncoderError> {
    let rows = shape(weights, "blocks.0.mlp.fc1.weight", 0);
    let columns = shape(weights, "blocks.0.mlp.fc2.weight", 1);
    let is_gated = matches!((rows, columns), (Some(rows), Some(columns)) if rows == 2 * columns);
    let untold = |name: &str, message: &str| EncoderError::Tensor {
        path: path.to_path_buf(),
        name: name.into(),
        message: message.into(),
    };
    if is_gated {
        let by_format = matches!(
            format,
            CheckpointFormat::Dinov2 | CheckpointFormat::HfDinov2
        );
        if let Some(explicit) = explicit.filter(|explicit| *explicit != Activation::SwiGlu) {
            return Err(untold(
                "blocks.0.mlp.fc1.weight",
                &format!(
                    "gives a gate beside what it gates, which {} does not have; leave --activation out",
                    activation_name(explicit)
                ),
            ));
        }
        // What Hugging Face calls the activation of a gated layer is not looked at by the library either.
        return match told {
            Some(Activation::SwiGlu) => Ok(Activation::SwiGlu),
            _ if by_format => Ok(Activation::SwiGlu),
            _ => Err(untold(
                "blocks.0.mlp.fc1.weight",
                "gives a gate beside what it gates, as SwiGLU does (--activation swiglu) and GEGLU, which is not computed",
            )),
        };
    }
    let is_clips = weights.contains_key("norm_pre.weight") || format.is_clip();
    match told {
        Some(Activation::SwiGlu) => Err(untold(
            "blocks.0.mlp.fc1.weight",
            "gives no gate, which SwiGLU needs",
        )),
        Some(activation) => Ok(activation),
        None if is_clips => Err(untold(
            "norm_pre",
            "is CLIP's, with QuickGELU if OpenAI trained it and GELU if open_clip did (--activation quick-gelu or gelu)",
        )),
        None => {
            // What the settings of a run leave out is as ours, and what timm's arguments do, as in the network of that name.
            if !sidecar.by_its_run && !sidecar.timm {
                defaults_used.push(format!("gelu, as all of {format} have (--activation)"));
            }
            Ok(Activation::Gelu)
        }
    }
}

/// How images of so many channels are usually normalized.
pub(crate) fn usual_normalization(format: CheckpointFormat, channels: usize) -> Normalization {
    if format == CheckpointFormat::Semaim {
        return Normalization::usual(channels);
    }
    of_colors(format.normalization(), channels)
}

/// Images normalized by the mean and the standard deviation of red, green and blue, and those of other channels by a half.
fn of_colors([mean, std]: [[f32; 3]; 2], channels: usize) -> Normalization {
    let (mean, std): (&[f32], &[f32]) = match channels {
        3 => (&mean, &std),
        _ => (&[], &[]),
    };
    Normalization::filled(mean, std, [0.5; 2], channels)
}

/// What is usual for a width, for people to read.
fn usual_heads(embed_dim: usize) -> Option<usize> {
    let heads = embed_dim / 64;
    (heads > 0 && embed_dim.is_multiple_of(64)).then_some(heads)
}

/// Checks, before memory is taken, that a network is not out of all proportion to its file.
///
/// # Errors
/// [`EncoderError::Damaged`].
pub(crate) fn check_proportion(
    path: &Path,
    weights: &Weights,
    config: &VitConfig,
    arch: &ArchOptions,
) -> Result<(), EncoderError> {
    let there: usize = weights.values().map(|weight| weight.values.len()).sum();
    let needed = needed(config, arch);
    if needed.is_none_or(|needed| needed > there.saturating_mul(MOST_FILLED)) {
        return Err(EncoderError::Damaged {
            path: path.to_path_buf(),
            message: "its shapes make a network that is far larger than the file".into(),
        });
    }
    Ok(())
}

/// About how many numbers a network has; `None` if they cannot be counted.
fn needed(config: &VitConfig, arch: &ArchOptions) -> Option<usize> {
    let d = config.embed_dim;
    let gate = 1 + usize::from(arch.activation == Activation::SwiGlu);
    let mlp = d.checked_mul(config.mlp_dim())?.checked_mul(1 + gate)?;
    let block = d.checked_mul(d)?.checked_mul(4)?.checked_add(mlp)?;
    let table = d.checked_mul(config.grid().patches().checked_add(arch.registers)?)?;
    block
        .checked_mul(config.depth)?
        .checked_add(config.patch_values().checked_mul(d)?)?
        .checked_add(table)?
        .checked_add(d.checked_mul(arch.projection.unwrap_or(0))?)
}

fn shape(weights: &Weights, name: &str, axis: usize) -> Option<usize> {
    weights.get(name)?.shape.get(axis).copied()
}
