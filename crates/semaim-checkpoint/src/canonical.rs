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
    /// Whether OpenAI published it, if it is a tower of CLIP's.
    pub(crate) by_openai: ByOpenAi,
    /// What was taken for granted in the choice of the encoder, for people to read.
    pub(crate) assumed: Vec<String>,
}

/// Whether OpenAI published a file with a tower of CLIP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByOpenAi {
    /// It has entries that no other file has.
    Surely,
    /// It is whole, not wrapped and in half precision, as theirs are.
    Presumably,
    /// Nothing tells.
    Unknown,
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
    rules: Vec<Rule>,
    prefix: String,
    /// Names as the tables spell them, without the prefix, and as they are in the file.
    names: BTreeMap<String, &'a str>,
    /// Names that two tensors of the file have as the tables spell them, with the other tensor.
    twice: BTreeMap<String, &'a str>,
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
    let is_ours = is_ours(archive);
    let with_ours = is_ours || format == Some(CheckpointFormat::Semaim);
    let copies: Vec<Candidate<'_>> = formats
        .iter()
        .flat_map(|format| candidates(archive, *format, with_ours))
        .collect();
    let best = copies
        .iter()
        .min_by_key(|c| (c.place(is_ours), c.prefix.len()))
        .ok_or_else(|| EncoderError::Unrecognized {
            path: path.to_path_buf(),
            format,
            names: archive.tensors.keys().take(5).cloned().collect(),
        })?;
    let format = format.unwrap_or_else(|| named(best, archive));
    let mut found = read(path, archive, best)?;
    found.loading.format = format;
    if best.format.is_clip() {
        found.by_openai = by_openai(best, archive, &found.loading.dtypes);
    }
    found.assumed.extend(other_copies(best, &copies, is_ours));
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

/// The copies of an encoder in a checkpoint that have a format's patch embedding; `with_ours` with the tensors that only files of
/// ours have.
fn candidates(archive: &Archive, format: CheckpointFormat, with_ours: bool) -> Vec<Candidate<'_>> {
    let spelled: Vec<(String, &str)> = archive
        .tensors
        .keys()
        .map(|name| (format.normalized_name(name), name.as_str()))
        .collect();
    let mut found = Vec::new();
    for table in format.tables() {
        let known = |rule: &&Rule| with_ours || rule.need != Need::Ours;
        let rules: Vec<Rule> = table.iter().filter(known).copied().collect();
        let anchor = table[0].their_names(0).remove(0);
        let prefixes = spelled.iter().filter_map(|(name, _)| {
            let prefix = name.strip_suffix(&anchor)?;
            (prefix.is_empty() || prefix.ends_with('.')).then(|| prefix.to_string())
        });
        for prefix in prefixes.collect::<BTreeSet<String>>() {
            let (mut names, mut twice) = (BTreeMap::new(), BTreeMap::new());
            for (name, original) in &spelled {
                let Some(name) = name.strip_prefix(&prefix) else {
                    continue;
                };
                if let Some(other) = names.insert(name.to_string(), *original) {
                    twice.insert(name.to_string(), other);
                }
            }
            found.push(Candidate {
                twice,
                ..Candidate::new(format, rules.clone(), prefix, names)
            });
        }
    }
    found
}

impl<'a> Candidate<'a> {
    fn new(
        format: CheckpointFormat,
        rules: Vec<Rule>,
        prefix: String,
        names: BTreeMap<String, &'a str>,
    ) -> Self {
        let is_there = |rule: &Rule, block| {
            let theirs = rule.their_names(block);
            theirs.iter().any(|name| names.contains_key(name))
        };
        // A block that lacks something is one.
        let has_block = |block: &usize| {
            let mut per_block = rules.iter().filter(|rule| rule.is_per_block());
            per_block.any(|rule| is_there(rule, *block))
        };
        let depth = (0..).take_while(has_block).count();
        let found = rules
            .iter()
            .map(|rule| blocks(rule, depth).filter(|b| is_there(rule, *b)).count())
            .sum();
        Self {
            format,
            rules,
            prefix,
            names,
            twice: BTreeMap::new(),
            depth,
            found,
        }
    }

    /// Its place among the copies in a checkpoint, the smallest first.
    fn place(&self, is_ours: bool) -> (u8, usize) {
        (rank(&self.prefix, is_ours), usize::MAX - self.found)
    }

    /// Refuses two tensors of one name, as blocks that are numbered anew in each stage have.
    fn refuse_twice(&self, path: &Path, theirs: &[String]) -> Result<(), EncoderError> {
        let found = theirs.iter().find_map(|name| {
            let other = self.twice.get(name)?;
            Some((name, other, self.names.get(name)?))
        });
        match found {
            Some((name, other, one)) => Err(EncoderError::Tensor {
                path: path.to_path_buf(),
                name: format!("{other}, {one}"),
                message: format!(
                    "are both `{}{name}` once wrappers and numbers of chunks are left out: nothing says which is meant",
                    self.prefix
                ),
            }),
            None => Ok(()),
        }
    }
}

/// Says of other copies that would have done as well that they are there.
fn other_copies(best: &Candidate<'_>, copies: &[Candidate<'_>], is_ours: bool) -> Option<String> {
    let alike = |copy: &&Candidate<'_>| {
        copy.prefix != best.prefix && copy.place(is_ours) == best.place(is_ours)
    };
    let others: BTreeSet<String> = copies
        .iter()
        .filter(alike)
        .map(|copy| place_of(&copy.prefix))
        .collect();
    let others: Vec<String> = others.into_iter().collect();
    (!others.is_empty()).then(|| {
        format!(
            "the encoder {} is read; as complete are those {}",
            place_of(&best.prefix),
            others.join(", ")
        )
    })
}

/// Where an encoder is in a file, for people to read.
fn place_of(prefix: &str) -> String {
    match prefix {
        "" => "at the root".into(),
        prefix => format!("under `{prefix}`"),
    }
}

/// The blocks that a rule speaks of: all, or one that does not matter.
fn blocks(rule: &Rule, depth: usize) -> std::ops::Range<usize> {
    match rule.is_per_block() {
        true => 0..depth,
        false => 0..1,
    }
}

/// Which of several copies in a checkpoint is wanted, the smallest first: a teacher, a target or an average of weights before a
/// plain copy, a student and what optimizers keep last. In our own checkpoints the model itself comes before its average, and so
/// does what MoCo trains: its project publishes it.
fn rank(prefix: &str, is_ours: bool) -> u8 {
    let has = |parts: &[&str]| parts.iter().any(|part| prefix.contains(part));
    let is_average = |part: &str| {
        part == "ema"
            || ["ema_", "target_"]
                .iter()
                .any(|start| part.starts_with(start))
    };
    if has(&["optim", "adam", "sgd", "exp_avg"]) {
        4
    } else if has(&["student"]) {
        3
    } else if has(&["teacher", "_ema"]) || !is_ours && prefix.split('.').any(is_average) {
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
            if is_ours(archive) {
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

/// Whether CLIP's tower is in a file of `open_clip`'s, whose models alone have their towers for texts under this name.
fn is_open_clips(best: &Candidate<'_>, archive: &Archive) -> bool {
    let root = best.prefix.trim_end_matches("visual.");
    archive.tensors.keys().any(|name| {
        name.strip_prefix(root)
            .is_some_and(|name| name.starts_with("text."))
    })
}

/// Entries of the archives that OpenAI published, which open_clip leaves out where it takes them over.
const OPENAIS_ENTRIES: [&str; 3] = ["input_resolution", "context_length", "vocab_size"];
/// Entries of a whole model at the root of a file.
const WHOLE: [&str; 3] = ["logit_scale", "text_projection", "token_embedding.weight"];

/// Whether OpenAI published a file with a tower of CLIP's. Half precision and a missing wrapper alone say nothing.
fn by_openai(best: &Candidate<'_>, archive: &Archive, dtypes: &[Dtype]) -> ByOpenAi {
    let has = |names: &[&str]| names.iter().all(|name| archive.tensors.contains_key(*name));
    if best.prefix != "visual." || !archive.is_pickle {
        return ByOpenAi::Unknown;
    }
    if has(&OPENAIS_ENTRIES) {
        ByOpenAi::Surely
    } else if has(&WHOLE) && dtypes.first() == Some(&Dtype::F16) {
        ByOpenAi::Presumably
    } else {
        ByOpenAi::Unknown
    }
}

/// Whether a file says of itself that it is ours.
pub(crate) fn is_ours(archive: &Archive) -> bool {
    [crate::metadata::SIZES, RUN_VERSION]
        .iter()
        .any(|key| archive.metadata.contains_key(*key))
}

/// The metadata key of checkpoints of our runs.
const RUN_VERSION: &str = "semaim_version";

/// Beginnings of names inside an encoder. What is not used of them belongs to something that is not computed here, unless it
/// is [training's](TRAINING).
const INSIDE: [&str; 25] = [
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
    "prompt",
    "deep_prompt",
    "time_embed",
    "temporal_embed",
    "sie_embed",
    "channel_embed",
    "adapter",
    "lora",
];
/// Of these, what only training uses, and tables that are numbers in a row.
const TRAINING: [&str; 3] = [
    "mask_token",
    "embeddings.mask_token",
    "embeddings.position_ids",
];

/// Whether numbers of a type, which is read, are no fractions.
fn is_integer(dtype: Dtype) -> bool {
    let floats = [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::Bf16];
    dtype.is_read() && !floats.contains(&dtype)
}

fn read(path: &Path, archive: &Archive, from: &Candidate<'_>) -> Result<Canonical, EncoderError> {
    let mut weights = Weights::new();
    let mut used = BTreeSet::new();
    let mut missing = Vec::new();
    let mut not_finite = Vec::new();
    let mut dtypes: BTreeMap<&str, (usize, Dtype)> = BTreeMap::new();
    // Tensors may share a storage, but not so that a small file makes a large network.
    let mut numbers = 0_usize;
    for rule in &from.rules {
        let mut absent = Vec::new();
        let mut present = 0;
        for block in blocks(rule, from.depth) {
            let theirs = rule.their_names(block);
            from.refuse_twice(path, &theirs)?;
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
                if is_integer(stored.dtype()) {
                    return Err(damaged(format!(
                        "has type {}: weights in integers are quantized, and what they stand for is not read",
                        stored.dtype()
                    )));
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
    // The projection of tokens that is computed has no bias. Where it is none, neither is its bias.
    let projection = from.names.get("projection.weight");
    let is_projected = projection.is_some_and(|name| used.contains(name));
    let unknown = left
        .iter()
        .filter(|(name, _)| {
            let inside = name.starts_with(stem)
                || INSIDE.iter().any(|part| name.starts_with(part))
                || is_projected && name.as_str() == "projection.bias";
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
        by_openai: ByOpenAi::Unknown,
        assumed: Vec::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_come_before_what_is_trained() {
        for (first, second) in [
            ("ema.", "model."),
            ("ema_state_dict.", "model."),
            ("ema_model.module.", "model.module."),
            ("state_dict_ema.", "state_dict."),
            ("model_ema.", "model."),
            ("target_encoder.", "encoder."),
            ("teacher.backbone.", "student.backbone."),
            ("model.", "optimizer.state."),
            ("module.base_encoder.", "module.momentum_encoder."),
            ("encoder.", "momentum_encoder."),
        ] {
            assert!(rank(first, false) < rank(second, false), "{first} {second}");
        }
        // A run of ours is read as its model, and what only looks like an average is none.
        assert!(rank("model.", true) < rank("ema.", true));
        for name in ["cinema.", "schema.x.", "retarget_x."] {
            assert_eq!(rank(name, false), rank("model.", false), "{name}");
        }
    }

    #[test]
    fn numbers_of_encoders_are_fractions() {
        for (dtype, expected) in [
            (Dtype::F32, false),
            (Dtype::Bf16, false),
            (Dtype::I8, true),
            (Dtype::U8, true),
            (Dtype::Bool, true),
            // What is said of these is that they are not read.
            (Dtype::Unread("qint8"), false),
        ] {
            assert_eq!(is_integer(dtype), expected, "{dtype}");
        }
    }
}
