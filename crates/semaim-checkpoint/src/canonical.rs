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
}

/// What was found in a checkpoint and what was made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loading {
    /// Who wrote it.
    pub layout: CheckpointFormat,
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
    /// Types of the numbers used, the most frequent first.
    pub dtypes: Vec<Dtype>,
    /// Classes of objects in a pickle that were passed over without being made.
    pub opaque: Vec<String>,
}

/// The copy of an encoder that is taken out of a checkpoint.
struct Candidate<'a> {
    layout: CheckpointFormat,
    rules: &'static [Rule],
    prefix: String,
    /// Names as the tables spell them, without the prefix, and as they are in the file.
    names: BTreeMap<String, &'a str>,
    depth: usize,
    /// How many of the table's tensors are there.
    found: usize,
}

/// One layout for each set of names.
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
/// No encoder in a known layout, or one with tensors that do not fit; with `allow_partial` not for missing or unknown
/// ones.
pub(crate) fn canonical(
    path: &Path,
    archive: &Archive,
    layout: Option<CheckpointFormat>,
    allow_partial: bool,
) -> Result<Canonical, EncoderError> {
    let layouts = match &layout {
        Some(layout) => std::slice::from_ref(layout),
        None => &FAMILIES[..],
    };
    let best = layouts
        .iter()
        .flat_map(|layout| candidates(archive, *layout))
        .min_by_key(|c| (rank(&c.prefix), usize::MAX - c.found, c.prefix.len()))
        .ok_or_else(|| EncoderError::Unrecognised {
            path: path.to_path_buf(),
            layout,
            names: archive.tensors.keys().take(5).cloned().collect(),
        })?;
    let layout = layout.unwrap_or_else(|| named(&best, archive));
    let mut found = read(path, archive, &best)?;
    found.loading.layout = layout;
    let Loading {
        missing, unknown, ..
    } = &found.loading;
    if !allow_partial && !missing.is_empty() {
        return Err(EncoderError::Incomplete {
            path: path.to_path_buf(),
            layout,
            names: missing.clone(),
        });
    }
    if !allow_partial && !unknown.is_empty() {
        return Err(EncoderError::Unknown {
            path: path.to_path_buf(),
            layout,
            names: unknown.clone(),
        });
    }
    Ok(found)
}

/// The copies of an encoder in a checkpoint that have a layout's patch embedding.
fn candidates(archive: &Archive, layout: CheckpointFormat) -> Vec<Candidate<'_>> {
    let spelled: Vec<(String, &str)> = archive
        .tensors
        .keys()
        .map(|name| (layout.normalized_name(name), name.as_str()))
        .collect();
    let mut found = Vec::new();
    for rules in layout.tables() {
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
            found.push(Candidate::new(layout, rules, prefix, names));
        }
    }
    found
}

impl<'a> Candidate<'a> {
    fn new(
        layout: CheckpointFormat,
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
            layout,
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
    } else if prefix.starts_with("ema.") {
        2
    } else {
        1
    }
}

/// The layout by name, among those with the same names of tensors.
fn named(best: &Candidate<'_>, archive: &Archive) -> CheckpointFormat {
    if best.layout != CheckpointFormat::Timm {
        return best.layout;
    }
    let has = |part: &str| best.names.keys().any(|name| name.starts_with(part));
    let ends = |part: &str| best.names.keys().any(|name| name.ends_with(part));
    if archive.metadata.contains_key(crate::metadata::SIZES) {
        CheckpointFormat::Semaim
    } else if has("query_blocks.") {
        CheckpointFormat::SemaimAuthors
    } else if has("decoder_blocks.") {
        CheckpointFormat::Mae
    } else if ends(".ls1.gamma") || has("reg_token") {
        CheckpointFormat::Dinov2
    } else if best.prefix.contains("backbone") {
        CheckpointFormat::Dino
    } else {
        CheckpointFormat::Timm
    }
}

/// Tensors of an encoder that no network of these layouts has without something that is not computed here.
const STRANGE: [&str; 4] = ["dist_token", "rel_pos_bias", "attn_pool", "pos_embed_"];

fn read(path: &Path, archive: &Archive, from: &Candidate<'_>) -> Result<Canonical, EncoderError> {
    let mut weights = Weights::new();
    let mut used = BTreeSet::new();
    let mut missing = Vec::new();
    let mut dtypes: BTreeMap<&str, (usize, Dtype)> = BTreeMap::new();
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
                parts.push(stored.to_f32().map_err(damaged)?);
                let count = dtypes
                    .entry(stored.dtype().name())
                    .or_insert((0, stored.dtype()));
                count.0 += stored.elements();
            }
            weights.insert(rule.our_name(block), rule.read(parts).map_err(damaged)?);
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
        .filter(|(spelled, _)| {
            spelled.starts_with(stem) || STRANGE.iter().any(|part| spelled.starts_with(part))
        })
        .map(|(_, name)| (*name).to_string())
        .collect();
    let mut dtypes: Vec<(usize, Dtype)> = dtypes.into_values().collect();
    dtypes.sort_by_key(|(count, _)| usize::MAX - count);
    Ok(Canonical {
        weights,
        depth: from.depth,
        loading: Loading {
            layout: from.layout,
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
            dtypes: dtypes.into_iter().map(|(_, dtype)| dtype).collect(),
            opaque: archive.opaque.clone(),
        },
    })
}
