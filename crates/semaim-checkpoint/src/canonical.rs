//! Other people's tensors under our names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use semaim::parameters::Weights;
use semaim_pickle::Dtype;

use crate::archive::Archive;
use crate::error::EncoderError;
use crate::format::CheckpointFormat;
use crate::format::rule::{Need, Rule};

/// A checkpoint's encoder under our names, nothing computed yet: LayerScale stands beside the layers it scales.
#[derive(Clone, Debug)]
pub(crate) struct Canonical {
    pub(crate) weights: Weights,
    pub(crate) depth: usize,
    pub(crate) loading: Loading,
    /// Whether nothing but its own names says which project it is of.
    pub(crate) is_pickle: bool,
}

/// What was found in a checkpoint and what was made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loading {
    /// Who wrote it.
    pub format: CheckpointFormat,
    /// What stands before the names of the encoder that was taken, such as `teacher.backbone.`.
    pub prefix: String,
    /// The tensors that were used.
    pub used: Vec<String>,
    /// The tensors that were not: heads, decoders, other copies.
    pub unused: Vec<String>,
    /// The tensors that the encoder needs and the checkpoint does not have.
    pub missing: Vec<String>,
    /// Tensors inside the encoder that belong to something that is not computed here.
    pub unknown: Vec<String>,
    /// Tensors that were used and have numbers that are not finite, with how many.
    pub not_finite: Vec<(String, usize)>,
    /// Types of the numbers used, the most frequent first.
    pub dtypes: Vec<Dtype>,
    /// Classes of objects in a pickle that were passed over without being made.
    pub opaque: Vec<String>,
}

/// The copy of an encoder that is taken out of a checkpoint.
struct Candidate<'a> {
    format: CheckpointFormat,
    rules: &'static [Rule],
    prefix: String,
    /// Names as the tables spell them, without the prefix, and as they are in the file.
    names: BTreeMap<String, &'a str>,
    depth: usize,
    /// How many of the table's tensors are there.
    found: usize,
}

/// Numbers that a byte of a file may stand for: one of 8 bits, shared by a few tensors.
const MOST_NUMBERS: u64 = 8;

/// One format for each set of names.
const FAMILIES: [CheckpointFormat; 5] = [
    CheckpointFormat::Timm,
    CheckpointFormat::Clip,
    CheckpointFormat::HfVit,
    CheckpointFormat::HfDinov2,
    CheckpointFormat::HfClip,
];

/// Finds the encoder in a checkpoint and gives its tensors our names.
///
/// # Errors
/// No encoder in a known format, or one with tensors that do not fit; with `allow_partial` not for missing or unknown
/// ones.
pub(crate) fn canonical(
    path: &Path,
    archive: &Archive,
    format: Option<CheckpointFormat>,
    allow_partial: bool,
) -> Result<Canonical, EncoderError> {
    let formats = match &format {
        Some(format) => std::slice::from_ref(format),
        None => &FAMILIES[..],
    };
    let best = formats
        .iter()
        .flat_map(|format| candidates(archive, *format))
        .min_by_key(|c| (rank(&c.prefix), usize::MAX - c.found, c.prefix.len()))
        .ok_or_else(|| EncoderError::Unrecognised {
            path: path.to_path_buf(),
            format,
            names: archive.tensors.keys().take(5).cloned().collect(),
        })?;
    let format = format.unwrap_or_else(|| named(&best, archive));
    let mut found = read(path, archive, &best)?;
    found.loading.format = format;
    let Loading {
        missing, unknown, ..
    } = &found.loading;
    if !allow_partial && !missing.is_empty() {
        return Err(EncoderError::Incomplete {
            path: path.to_path_buf(),
            format,
            names: missing.clone(),
        });
    }
    if !allow_partial && !unknown.is_empty() {
        return Err(EncoderError::Unknown {
            path: path.to_path_buf(),
            format,
            names: unknown.clone(),
        });
    }
    Ok(found)
}

/// The copies of an encoder in a checkpoint that have a format's patch embedding.
fn candidates(archive: &Archive, format: CheckpointFormat) -> Vec<Candidate<'_>> {
    let spelled: Vec<(String, &str)> = archive
        .tensors
        .keys()
        .map(|name| (format.normalized_name(name), name.as_str()))
        .collect();
    let mut found = Vec::new();
    for rules in format.tables() {
        let anchor = rules[0].their_names(0).remove(0);
        let prefixes = spelled.iter().filter_map(|(name, _)| {
            let prefix = name.strip_suffix(&anchor)?;
            (prefix.is_empty() || prefix.ends_with('.')).then(|| prefix.to_string())
        });
        for prefix in prefixes.collect::<BTreeSet<String>>() {
            let names: BTreeMap<String, &str> = spelled
                .iter()
                .filter_map(|(name, original)| {
                    Some((name.strip_prefix(&prefix)?.to_string(), *original))
                })
                .collect();
            found.push(Candidate::new(format, rules, prefix, names));
        }
    }
    found
}

impl<'a> Candidate<'a> {
    fn new(
        format: CheckpointFormat,
        rules: &'static [Rule],
        prefix: String,
        names: BTreeMap<String, &'a str>,
    ) -> Self {
        let is_there = |rule: &Rule, block| {
            let theirs = rule.their_names(block);
            theirs.iter().any(|name| names.contains_key(name))
        };
        let mut per_block = rules.iter().filter(|rule| rule.is_per_block());
        let first = per_block.next();
        let depth = (0..)
            .take_while(|block| first.is_some_and(|rule| is_there(rule, *block)))
            .count();
        let found = rules
            .iter()
            .map(|rule| blocks(rule, depth).filter(|b| is_there(rule, *b)).count())
            .sum();
        Self {
            format,
            rules,
            prefix,
            names,
            depth,
            found,
        }
    }
}

/// The blocks that a rule speaks of: all, or one that does not matter.
fn blocks(rule: &Rule, depth: usize) -> std::ops::Range<usize> {
    match rule.is_per_block() {
        true => 0..depth,
        false => 0..1,
    }
}

/// Which of several copies in a checkpoint is wanted, the smallest first: a teacher or an average of weights before a
/// plain copy, a student and what optimisers keep last. In our own checkpoints the model itself comes first.
fn rank(prefix: &str) -> u8 {
    let has = |parts: &[&str]| parts.iter().any(|part| prefix.contains(part));
    if has(&["optim", "adam", "sgd", "exp_avg"]) {
        4
    } else if has(&["student"]) {
        3
    } else if has(&["teacher", "_ema"]) {
        0
    } else if prefix.starts_with("ema.") || has(&["momentum"]) {
        2
    } else {
        1
    }
}

/// The format by name, among those with the same names of tensors.
fn named(best: &Candidate<'_>, archive: &Archive) -> CheckpointFormat {
    let begins = |part: &str| best.names.keys().any(|name| name.starts_with(part));
    let originals = || best.names.values();
    let ends = |part: &str| originals().any(|name| name.ends_with(part));
    let under = |parts: &[&str]| parts.iter().any(|part| best.prefix.contains(part));
    match best.format {
        CheckpointFormat::Clip if is_open_clips(best, archive) => CheckpointFormat::OpenClip,
        CheckpointFormat::Timm => {
            if archive.metadata.contains_key(crate::metadata::SIZES)
                || archive.metadata.contains_key(RUN_VERSION)
            {
                CheckpointFormat::Semaim
            } else if begins("query_blocks.") {
                CheckpointFormat::SemaimAuthors
            } else if begins("decoder_blocks.") {
                CheckpointFormat::Mae
            } else if under(&["base_encoder.", "momentum_encoder."]) {
                CheckpointFormat::MocoV3
            } else if ends("register_tokens")
                || ends(".mlp.w12.weight")
                || ends(".ls1.gamma") && begins("mask_token")
            {
                CheckpointFormat::Dinov2
            } else if under(&["backbone."]) && under(&["teacher.", "student."]) {
                CheckpointFormat::Dino
            } else {
                CheckpointFormat::Timm
            }
        }
        format => format,
    }
}

/// Whether CLIP's tower was trained by `open_clip`, whose checkpoints have a state under the names of its training script
/// or of its towers for texts. OpenAI published models in half precision alone.
fn is_open_clips(best: &Candidate<'_>, archive: &Archive) -> bool {
    let trained = ["state_dict.", "module."]
        .iter()
        .any(|part| best.prefix.starts_with(part));
    let root = best.prefix.trim_end_matches("visual.");
    trained
        || archive.tensors.keys().any(|name| {
            name.strip_prefix(root)
                .is_some_and(|name| name.starts_with("text."))
        })
}

/// The metadata key of checkpoints of our runs.
const RUN_VERSION: &str = "semaim_version";

/// Beginnings of names inside an encoder. What is not used of them belongs to something that is not computed here, unless it
/// is [training's](TRAINING).
const INSIDE: [&str; 17] = [
    "patch_embed.",
    "patch_embedding.",
    "embeddings.",
    "pos_embed",
    "cls_token",
    "dist_token",
    "reg_token",
    "rel_pos_bias",
    "attn_pool",
    "norm_pre.",
    "norm.",
    "rope",
    "conv1.",
    "ln_pre.",
    "ln_post.",
    "layernorm.",
    "pre_layrnorm.",
];
/// Of these, what only training uses, and tables that are numbers in a row.
const TRAINING: [&str; 3] = [
    "mask_token",
    "embeddings.mask_token",
    "embeddings.position_ids",
];

fn read(path: &Path, archive: &Archive, from: &Candidate<'_>) -> Result<Canonical, EncoderError> {
    let mut weights = Weights::new();
    let mut used = BTreeSet::new();
    let mut missing = Vec::new();
    let mut not_finite = Vec::new();
    let mut dtypes: BTreeMap<&str, (usize, Dtype)> = BTreeMap::new();
    // Tensors may share a storage, but not so that a small file makes a large network.
    let mut numbers = 0_usize;
    for rule in from.rules {
        let mut absent = Vec::new();
        let mut present = 0;
        for block in blocks(rule, from.depth) {
            let theirs = rule.their_names(block);
            let there: Vec<&str> = theirs
                .iter()
                .filter_map(|name| from.names.get(name).copied())
                .collect();
            if there.len() < theirs.len() {
                let gone = theirs.iter().filter(|name| !from.names.contains_key(*name));
                absent.extend(gone.map(|name| format!("{}{name}", from.prefix)));
                present += usize::from(!there.is_empty());
                continue;
            }
            present += 1;
            let mut parts = Vec::new();
            let damaged = |message: String| EncoderError::Tensor {
                path: path.to_path_buf(),
                name: there.join(", "),
                message,
            };
            for name in &there {
                let stored = &archive.tensors[*name];
                numbers = numbers.saturating_add(stored.elements());
                if numbers as u64 > MOST_NUMBERS.saturating_mul(archive.len) {
                    return Err(damaged(
                        "stands for more numbers than the file can hold".into(),
                    ));
                }
                parts.push(stored.read().map_err(damaged)?);
                let count = dtypes
                    .entry(stored.dtype().name())
                    .or_insert((0, stored.dtype()));
                count.0 += stored.elements();
            }
            let weight = rule.read(parts).map_err(damaged)?;
            let wrong = weight.values.iter().filter(|v| !v.is_finite()).count();
            if wrong > 0 {
                not_finite.push((there.join(", "), wrong));
            }
            weights.insert(rule.our_name(block), weight);
            used.extend(there);
        }
        // What some blocks have and others do not is not optional.
        if rule.need == Need::Required || present > 0 {
            missing.extend(absent);
        }
    }
    let stem = from.rules.iter().find(|rule| rule.is_per_block());
    let stem = stem.map_or(String::new(), |rule| rule.their_names(0).remove(0));
    let stem = stem.split_once('0').map_or("", |(stem, _)| stem);
    let left: Vec<(&String, &str)> = from
        .names
        .iter()
        .filter(|(_, name)| !used.contains(*name))
        .map(|(spelled, name)| (spelled, *name))
        .collect();
    let unknown = left
        .iter()
        .filter(|(name, _)| {
            let inside = name.starts_with(stem) || INSIDE.iter().any(|part| name.starts_with(part));
            inside && !TRAINING.iter().any(|part| name.starts_with(part))
        })
        .map(|(_, name)| (*name).to_string())
        .collect();
    let mut dtypes: Vec<(usize, Dtype)> = dtypes.into_values().collect();
    dtypes.sort_by_key(|(count, _)| usize::MAX - count);
    Ok(Canonical {
        weights,
        depth: from.depth,
        is_pickle: archive.is_pickle,
        loading: Loading {
            format: from.format,
            prefix: from.prefix.clone(),
            unused: archive
                .tensors
                .keys()
                .filter(|name| !used.contains(name.as_str()))
                .cloned()
                .collect(),
            used: used.into_iter().map(str::to_string).collect(),
            missing,
            unknown,
            not_finite,
            dtypes: dtypes.into_iter().map(|(_, dtype)| dtype).collect(),
            opaque: archive.opaque.clone(),
        },
    })
}
