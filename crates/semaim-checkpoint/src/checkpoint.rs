//! A checkpoint in any [layout](crate::format), read: its encoder's tensors under our names, and what network they make.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use semaim::config::ArchOptions;
use semaim::config::VitConfig;
use semaim::init::initialise;
use semaim::parameters::{Weight, Weights, weights, with_weights};
use semaim::vit::Vit;

use crate::architecture::{Architecture, architecture};
use crate::archive::Archive;
use crate::canonical::{Canonical, Loading, canonical};
use crate::encoder::Encoder;
use crate::error::EncoderError;
use crate::format::{CheckpointFormat, UnknownFormat};
use crate::metadata::{SIZES, check_sizes, described};
use crate::sidecar::{LIBRARIES_NAMES, Sidecar};

/// What a run calls its encoder.
const OURS: &str = "encoder.safetensors";

/// How a checkpoint is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// Its layout; `None`: told from its names.
    pub layout: Option<CheckpointFormat>,
    /// Attention heads of a block; `None`: as the file or one beside it says, or as is usual for its width.
    pub num_heads: Option<usize>,
    /// Height and width in pixels of the images that its position table is for, where no file beside it says so and it
    /// cannot be square.
    pub image_size: Option<[usize; 2]>,
    /// Whether an encoder with missing tensors, or with some that are not understood, is read all the same: what is
    /// missing gets first weights, what is not understood is left out.
    pub allow_partial: bool,
}

impl ReadOptions {
    /// From settings, in which an empty layout, no heads and no sides of images mean that they are not told.
    ///
    /// # Errors
    /// An unknown layout.
    pub fn told(
        layout: &str,
        num_heads: usize,
        image_size: &[usize],
        allow_partial: bool,
    ) -> Result<Self, UnknownFormat> {
        Ok(Self {
            layout: match layout {
                "" => None,
                name => Some(name.parse()?),
            },
            num_heads: (num_heads > 0).then_some(num_heads),
            image_size: image_size.try_into().ok(),
            allow_partial,
        })
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
    pub variant: ArchOptions,
    /// Of the images' normalisation, per channel.
    pub mean: Vec<f32>,
    /// Of the images' normalisation, per channel.
    pub std: Vec<f32>,
    /// What was used, left and missing.
    pub loading: Loading,
    /// What nothing said and was taken for granted, for people to read.
    pub assumed: Vec<String>,
    /// The files beside it that were read for what weights do not say.
    pub beside: Vec<PathBuf>,
}

impl Checkpoint {
    /// Reads the encoder of a file in any [layout](CheckpointFormat), or of a folder: a run directory of ours, or a model as
    /// Hugging Face's library keeps it. Files beside it are read for what weights do not say.
    ///
    /// # Errors
    /// [`EncoderError`], each with the path.
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self, EncoderError> {
        let path = file_of(path)?;
        let archive = Archive::read(&path)?;
        let mut found = canonical(&path, &archive, options.layout, options.allow_partial)?;
        // What a file of ours says of itself is true whatever stands beside it.
        if archive.metadata.contains_key(SIZES) {
            let mut said = described(&path, &archive.metadata)?;
            check_sizes(&said.config, &said.variant, &found.weights).map_err(|source| {
                EncoderError::Mismatch {
                    path: path.clone(),
                    source,
                }
            })?;
            if let Some(num_heads) = options.num_heads {
                said.config.num_heads = num_heads;
                said.config
                    .validate()
                    .map_err(|source| EncoderError::Sizes {
                        path: path.clone(),
                        source,
                    })?;
            }
            return Self::of(path, found, said, Vec::new());
        }
        let hints = Sidecar::beside(&path)?;
        if hints.open_clip
            && found.loading.layout == CheckpointFormat::Clip
            && options.layout.is_none()
        {
            found.loading.layout = CheckpointFormat::OpenClip;
        }
        let architecture = architecture(&path, &mut found, &hints, options)?;
        Self::of(path, found, architecture, hints.files)
    }

    fn of(
        path: PathBuf,
        found: Canonical,
        architecture: Architecture,
        beside: Vec<PathBuf>,
    ) -> Result<Self, EncoderError> {
        let Architecture {
            config,
            variant,
            mean,
            std,
            assumed,
        } = architecture;
        let mut weights = found.weights;
        if !found.loading.missing.is_empty() {
            let first = initialise(Vit::zeros_as(&config, &variant, &Device::flex()), 0);
            for (name, weight) in self::weights(&first)? {
                weights.entry(name).or_insert(weight);
            }
        }
        Ok(Self {
            path,
            weights,
            config,
            variant,
            mean,
            std,
            loading: found.loading,
            assumed,
            beside,
        })
    }

    /// The network.
    ///
    /// # Errors
    /// A tensor that does not fit.
    pub fn encoder(&self, device: &Device) -> Result<Encoder, EncoderError> {
        let vit = Vit::zeros_as(&self.config, &self.variant, device);
        let mut complete = self.scaled()?;
        fill_patch_bias(&mut complete, &self.config);
        fill_qkv_biases(&mut complete, &self.config);
        let vit = with_weights(vit, &complete).map_err(|source| EncoderError::Mismatch {
            path: self.path.clone(),
            source,
        })?;
        Ok(Encoder {
            vit,
            config: self.config.clone(),
            mean: self.mean.clone(),
            std: self.std.clone(),
        })
    }

    /// The tensors with LayerScale multiplied into the layers before it: `γ (W x + b) = (γ W) x + γ b`.
    fn scaled(&self) -> Result<Weights, EncoderError> {
        let mut weights = self.weights.clone();
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

/// The file of an encoder: itself, or the one in a folder.
fn file_of(path: &Path) -> Result<PathBuf, EncoderError> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let mut names = [OURS].into_iter().chain(LIBRARIES_NAMES);
    let found = names.find_map(|name| Some(path.join(name)).filter(|file| file.exists()));
    found.ok_or_else(|| EncoderError::NoEncoder {
        path: path.to_path_buf(),
    })
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
