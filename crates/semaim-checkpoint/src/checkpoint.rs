//! A checkpoint in any [layout](crate::format), read: its encoder's tensors under our names, and what network they make.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use semaim::config::{Activation, ArchOptions, Normalization, VitConfig};
use semaim::init::initialize;
use semaim::parameters::{Weight, WeightError, Weights, weights, with_weights};
use semaim::position::Interpolation;
use semaim::vit::Vit;

use crate::architecture::{Architecture, architecture, check_proportion};
use crate::archive::Archive;
use crate::canonical::{Canonical, Loading, canonical, is_ours};
use crate::encoder::Encoder;
use crate::error::EncoderError;
use crate::format::{CheckpointFormat, UnknownName};
use crate::metadata::{SIZES, check_sizes, described};
use crate::model_file::{ModelKind, kind_of};
use crate::sidecar::{LIBRARIES_NAMES, Sidecar};
use crate::weights_source::WeightsSource;

/// What runs call their encoder, or the model on it.
const OURS: [&str; 4] = [
    "encoder.safetensors",
    "classifier.safetensors",
    "detector.safetensors",
    "segmenter.safetensors",
];

/// The activation of a name.
///
/// # Errors
/// There is none of this name.
pub fn parse_activation(name: &str) -> Result<Activation, UnknownName> {
    match name {
        "gelu" => Ok(Activation::Gelu),
        "quick-gelu" => Ok(Activation::QuickGelu),
        "swiglu" => Ok(Activation::SwiGlu),
        name => Err(UnknownName::Activation { name: name.into() }),
    }
}

/// The name by which [`parse_activation`] knows it.
pub fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Gelu => "gelu",
        Activation::QuickGelu => "quick-gelu",
        Activation::SwiGlu => "swiglu",
    }
}

/// A checkpoint as it was read: the encoder's tensors under our names, and what network they belong to.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The file.
    pub path: PathBuf,
    /// The encoder's tensors under our names. LayerScale stands beside the layers it scales.
    pub weights: Weights,
    /// The network's sizes.
    pub config: VitConfig,
    /// Where it differs from SemAIM's own.
    pub arch: ArchOptions,
    /// How images are normalized.
    pub normalization: Normalization,
    /// How its library resizes its position table.
    pub interpolation: Interpolation,
    /// What was used, left and missing.
    pub loading: Loading,
    /// What nothing said and was taken for granted, for people to read.
    pub defaults_used: Vec<String>,
    /// The files beside it that were read for what weights do not say.
    pub beside: Vec<PathBuf>,
}

impl Checkpoint {
    /// Reads the encoder of a file in any [layout](CheckpointFormat), or of a folder: a run directory of ours, or a model as
    /// Hugging Face's library keeps it. Files beside it are read for what weights do not say.
    ///
    /// # Errors
    /// [`EncoderError`], each with the path.
    pub fn read(source: &WeightsSource) -> Result<Self, EncoderError> {
        let path = file_of(&source.weights)?;
        let mut archive = Archive::read(&path)?;
        match kind_of(&archive.metadata) {
            Ok(None | Some(ModelKind::Classifier)) => {}
            Ok(Some(kind)) => {
                return Err(EncoderError::OtherKind {
                    path,
                    kind,
                    wanted: "encoder on its own",
                });
            }
            Err(message) => return Err(EncoderError::Damaged { path, message }),
        }
        let norms = with_final_norms(&mut archive);
        let mut found = canonical(&path, &archive, source.layout, source.allow_partial)?;
        let mut of_the_file = std::mem::take(&mut found.assumed);
        if norms.iter().any(|norm| found.loading.used.contains(norm)) {
            of_the_file.push(NORM_OF_A_HEAD.into());
        }
        // What a file of ours says of itself is true whatever stands beside it.
        if archive.metadata.contains_key(SIZES) {
            let mut said = described(&path, &archive.metadata)?;
            match check_sizes(&said.config, &said.arch, &found.weights) {
                // It is filled in.
                Err(WeightError::Missing { .. }) if source.allow_partial => {}
                checked => checked.map_err(|source| EncoderError::Mismatch {
                    path: path.clone(),
                    source,
                })?,
            }
            check_proportion(&path, &found.weights, &said.config, &said.arch)?;
            refuse_contradiction(&path, source, &said)?;
            said.defaults_used.extend(of_the_file);
            return Self::of(path, found, said, Vec::new());
        }
        let sidecar = Sidecar::beside(&path, is_ours(&archive))?;
        let format = &mut found.loading.format;
        if source.layout.is_none() && *format == CheckpointFormat::Clip && sidecar.open_clip {
            *format = CheckpointFormat::OpenClip;
        }
        let mut architecture = architecture(&path, &mut found, &sidecar, source)?;
        architecture.defaults_used.extend(of_the_file);
        Self::of(path, found, architecture, sidecar.files)
    }

    fn of(
        path: PathBuf,
        found: Canonical,
        architecture: Architecture,
        beside: Vec<PathBuf>,
    ) -> Result<Self, EncoderError> {
        let Architecture {
            config,
            arch,
            normalization,
            interpolation,
            defaults_used,
        } = architecture;
        let mut weights = found.weights;
        if !found.loading.missing.is_empty() {
            let first = initialize(Vit::zeros_as(&config, &arch, &Device::flex()), 0);
            for (name, weight) in self::weights(&first)? {
                weights.entry(name).or_insert(weight);
            }
        }
        Ok(Self {
            path,
            weights,
            config,
            arch,
            normalization,
            interpolation,
            loading: found.loading,
            defaults_used,
            beside,
        })
    }

    /// What is to be said of the tensors that were taken, for people to read: which of a file's encoders they are, and what is missing or
    /// left out (`allow_partial`).
    pub fn notes(&self) -> Vec<String> {
        let loading = &self.loading;
        let mut notes = Vec::new();
        if !loading.prefix.is_empty() {
            notes.push(format!("its encoder under `{}` is taken", loading.prefix));
        }
        if !loading.missing.is_empty() {
            notes.push(format!(
                "tensors that it lacks got first weights: {}",
                loading.missing.join(", ")
            ));
        }
        if !loading.unknown.is_empty() {
            notes.push(format!(
                "tensors of its encoder that are not computed with: {}",
                loading.unknown.join(", ")
            ));
        }
        notes
    }

    /// How its position table is resized, for people to read, where it is resized for images of this size in pixels and nothing
    /// tells how: files under timm's bare names are written by others too, which resize in another way.
    pub fn assumed_resizing(
        &self,
        source: &WeightsSource,
        image_size: Option<[usize; 2]>,
    ) -> Option<String> {
        let is_resized = image_size.is_some_and(|size| size != self.config.image_size);
        let is_unsaid = self.loading.format == CheckpointFormat::Timm && source.layout.is_none();
        let way = match self.interpolation {
            Interpolation::Antialiased => "timm does it (bicubic, antialiased)",
            _ => "MAE does it (bicubic)",
        };
        (is_resized && is_unsaid).then(|| {
            format!(
                "the position table is resized as {way}; --layout timm, mae or dino says whose way is meant"
            )
        })
    }

    /// The network.
    ///
    /// # Errors
    /// A tensor that does not fit, or numbers that are not finite.
    pub fn encoder(self, device: &Device) -> Result<Encoder, EncoderError> {
        if let Some((name, count)) = self.loading.not_finite.first() {
            return Err(EncoderError::NotFinite {
                path: self.path,
                name: name.clone(),
                count: *count,
            });
        }
        let vit = Vit::zeros_as(&self.config, &self.arch, device);
        let (config, path) = (self.config.clone(), self.path.clone());
        let (normalization, interpolation) = (self.normalization.clone(), self.interpolation);
        let mut complete = self.scaled()?;
        fill_patch_bias(&mut complete, &config);
        fill_qkv_biases(&mut complete, &config);
        let vit = with_weights(vit, &complete)
            .map_err(|source| EncoderError::Mismatch { path, source })?;
        Ok(Encoder {
            vit,
            config,
            normalization,
            interpolation,
        })
    }

    /// The tensors with LayerScale multiplied into the layers before it: `γ (W x + b) = (γ W) x + γ b`.
    fn scaled(self) -> Result<Weights, EncoderError> {
        let mut weights = self.weights;
        for block in 0..self.config.depth {
            for (scale, layer) in [("ls1.gamma", "attn.proj"), ("ls2.gamma", "mlp.fc2")] {
                let name = format!("blocks.{block}.{scale}");
                let Some(gamma) = weights.remove(&name) else {
                    continue;
                };
                for part in ["weight", "bias"] {
                    let layer = format!("blocks.{block}.{layer}.{part}");
                    if let Some(weight) = weights.get_mut(&layer) {
                        scale_rows(weight, &gamma).map_err(|message| EncoderError::Tensor {
                            path: self.path.clone(),
                            name: name.clone(),
                            message,
                        })?;
                    }
                }
            }
        }
        Ok(weights)
    }
}

/// Multiplies each row of a weight (each number of a bias) by its factor.
fn scale_rows(weight: &mut Weight, factors: &Weight) -> Result<(), String> {
    let rows = weight.shape.first().copied().unwrap_or(0);
    if factors.shape != [rows] || rows == 0 {
        return Err(format!(
            "has shape {:?}, the layer that it scales has {rows} outputs",
            factors.shape
        ));
    }
    let width = weight.values.len() / rows;
    for (row, factor) in weight.values.chunks_mut(width.max(1)).zip(&factors.values) {
        row.iter_mut().for_each(|value| *value *= factor);
    }
    Ok(())
}

/// The file of an encoder: itself, or the one in a folder. In place of one shard of several the index of all.
fn file_of(path: &Path) -> Result<PathBuf, EncoderError> {
    if !path.is_dir() {
        return Ok(index_of(path).unwrap_or_else(|| path.to_path_buf()));
    }
    let mut names = OURS.into_iter().chain(LIBRARIES_NAMES);
    let found = names.find_map(|name| Some(path.join(name)).filter(|file| file.exists()));
    found.ok_or_else(|| EncoderError::NoEncoder {
        path: path.to_path_buf(),
    })
}

/// The index beside a shard, `model-00001-of-00004.safetensors`.
fn index_of(shard: &Path) -> Option<PathBuf> {
    let name = shard.file_name()?.to_str()?;
    let (stem, extension) = name.rsplit_once('.')?;
    let (stem, count) = stem.rsplit_once("-of-")?;
    let (stem, number) = stem.rsplit_once('-')?;
    let numbers = [number, count]
        .iter()
        .all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let index = shard.with_file_name(format!("{stem}.{extension}.index.json"));
    (numbers && index.is_file()).then_some(index)
}

/// Refuses what is told of a file of ours that says otherwise itself.
fn refuse_contradiction(
    path: &Path,
    told: &WeightsSource,
    said: &Architecture,
) -> Result<(), EncoderError> {
    let contradicted = |said: String, told: String| EncoderError::Contradicted {
        path: path.to_path_buf(),
        said,
        told,
    };
    let heads = said.config.num_heads;
    if let Some(told) = told.num_heads
        && told != heads
    {
        return Err(contradicted(
            format!("{heads} attention heads"),
            told.to_string(),
        ));
    }
    if let Some(told) = told.activation
        && told != said.arch.activation
    {
        let [said, told] = [said.arch.activation, told].map(activation_name);
        return Err(contradicted(
            format!("the activation {said}"),
            told.to_string(),
        ));
    }
    Ok(())
}

/// What is said of a final norm that was another's.
const NORM_OF_A_HEAD: &str = "the final norm, which a classifier of averaged tokens does without, is the one before its head (fc_norm)";

/// A classifier, of ours, MAE's or timm's, that looks at the mean of the patch tokens has its norm behind the mean; taken for
/// the encoder's final one, which it takes the place of. Gives the weights of those that were taken.
fn with_final_norms(archive: &mut Archive) -> Vec<String> {
    let names = archive.tensors.keys();
    let prefixes: Vec<String> = names
        .filter_map(|name| name.strip_suffix("fc_norm.weight"))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
        .filter(|prefix| {
            let has = |name: &str| archive.tensors.contains_key(&format!("{prefix}{name}"));
            has("fc_norm.bias") && has("patch_embed.proj.weight") && !has("norm.weight")
        })
        .map(str::to_string)
        .collect();
    for prefix in &prefixes {
        for part in ["weight", "bias"] {
            let norm = archive.tensors.remove(&format!("{prefix}fc_norm.{part}"));
            let ours = format!("{prefix}norm.{part}");
            archive.tensors.extend(norm.map(|norm| (ours, norm)));
        }
    }
    let weights = prefixes.iter();
    weights
        .map(|prefix| format!("{prefix}norm.weight"))
        .collect()
}

/// The patch embedding's bias, zero where a network does without (CLIP).
pub(crate) fn fill_patch_bias(weights: &mut Weights, config: &VitConfig) {
    fill(weights, "patch_embed.proj.bias".into(), config.embed_dim);
}

/// The biases of queries, keys and values, zero where a network does without.
pub(crate) fn fill_qkv_biases(weights: &mut Weights, config: &VitConfig) {
    for block in 0..config.depth {
        let name = format!("blocks.{block}.attn.qkv.bias");
        fill(weights, name, 3 * config.embed_dim);
    }
}

fn fill(weights: &mut Weights, name: String, outputs: usize) {
    weights.entry(name).or_insert_with(|| Weight {
        shape: vec![outputs],
        values: vec![0.0; outputs],
    });
}
