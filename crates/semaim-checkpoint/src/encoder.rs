//! An encoder on its own, under timm's names.
//!
//! `cls_token`, `pos_embed`, `patch_embed.proj.*`, `blocks.N.*`, `norm.*`: a `vit_*_patch*` of timm with the same
//! sizes loads the file with no renaming.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use semaim::config::{SizeError, VitConfig};
use semaim::parameters::{WeightError, weights, with_weights};
use semaim::vit::Vit;
use serde::{Deserialize, Serialize};

use crate::tensors::{TensorFile, TensorFileError, checksum};

/// The metadata key under which an encoder's sizes stand.
const SIZES: &str = "semaim.vit";

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
}

/// An encoder from a file.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// The network.
    pub vit: Vit,
    /// Its sizes.
    pub config: VitConfig,
    /// What is subtracted from each channel of its input, of values in [0, 1].
    pub mean: Vec<f32>,
    /// What each channel is divided by after that.
    pub std: Vec<f32>,
}

/// Why an encoder could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// The weights did not come off the device.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The file was not read or written.
    #[error(transparent)]
    File(#[from] TensorFileError),
    /// There is no encoder in a folder.
    #[error("{path} is a folder without encoder.safetensors; a run writes it at its end")]
    NoEncoder {
        /// The folder.
        path: PathBuf,
    },
    /// The file does not say what network it belongs to.
    #[error(
        "{path} does not say what sizes its network has (metadata `semaim.vit`): it is no encoder written by semaim"
    )]
    NoSizes {
        /// The file.
        path: PathBuf,
    },
    /// The file says nothing of classes.
    #[error(
        "{path} does not name its classes (metadata `semaim.classes`): it is no classifier written by semaim"
    )]
    NoClasses {
        /// The file.
        path: PathBuf,
    },
    /// The sizes in the file cannot be read.
    #[error("{path}: the metadata `semaim.vit` is damaged: {message}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The sizes in the file do not fit together.
    #[error("{path}: {source}")]
    Sizes {
        /// The file.
        path: PathBuf,
        /// Which.
        source: SizeError,
    },
    /// An image size that does not fit the patches.
    #[error(transparent)]
    Resize(#[from] SizeError),
    /// A weight does not fit the sizes in the file.
    #[error("{path}: {source}")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Which.
        source: WeightError,
    },
}

/// Writes an encoder with its sizes and the normalisation of its input (per channel, for values in 0..1) in the
/// metadata. Equal encoders give equal bytes.
///
/// # Errors
/// [`EncoderError`].
pub fn write_encoder(
    path: &Path,
    encoder: &Vit,
    config: &VitConfig,
    mean: &[f32],
    std: &[f32],
) -> Result<(), EncoderError> {
    TensorFile {
        weights: weights(&encoder.clone().no_grad())?,
        metadata: metadata(config, mean, std),
    }
    .write(path)?;
    Ok(())
}

/// The sizes of a network and the normalisation of its input, as they stand in a file.
pub(crate) fn metadata(config: &VitConfig, mean: &[f32], std: &[f32]) -> BTreeMap<String, String> {
    let sizes = Sizes {
        image_size: config.image_size,
        patch_size: config.patch_size,
        channels: config.channels,
        embed_dim: config.embed_dim,
        depth: config.depth,
        num_heads: config.num_heads,
        mlp_ratio: config.mlp_ratio,
        mean: mean.to_vec(),
        std: std.to_vec(),
    };
    let metadata = [
        // What other readers of the format look for.
        ("format".to_string(), "pt".to_string()),
        (SIZES.to_string(), serde_json::json!(sizes).to_string()),
    ];
    metadata.into_iter().collect()
}

impl Encoder {
    /// Reads what [`write_encoder`] wrote: a file, or the `encoder.safetensors` of a run directory.
    ///
    /// # Errors
    /// [`EncoderError`], each with the path; the first weight that is missing or has another shape is named.
    pub fn read(path: &Path, device: &Device) -> Result<Self, EncoderError> {
        let file_path = if path.is_dir() {
            path.join("encoder.safetensors")
        } else {
            path.to_path_buf()
        };
        if path.is_dir() && !file_path.exists() {
            return Err(EncoderError::NoEncoder {
                path: path.to_path_buf(),
            });
        }
        let path = file_path;
        let file = TensorFile::read(&path)?;
        let Described { config, mean, std } = described(&path, &file)?;
        let vit = with_weights(Vit::zeros(&config, device), &file.weights)
            .map_err(|source| EncoderError::Mismatch { path, source })?;
        Ok(Self {
            vit,
            config,
            mean,
            std,
        })
    }
}

impl Encoder {
    /// A checksum over the names, shapes and values of all weights.
    ///
    /// # Errors
    /// [`EncoderError::Weights`] when the backend fails.
    pub fn checksum(&self) -> Result<String, EncoderError> {
        Ok(checksum(weights(&self.vit)?.iter()))
    }

    /// The same encoder with the weights that a run's checkpoint holds under `prefix`.
    ///
    /// # Errors
    /// [`EncoderError`], each with the path.
    pub fn at(&self, checkpoint: &Path, prefix: &str) -> Result<Self, EncoderError> {
        let mut found = TensorFile::read(checkpoint)?.weights;
        found.retain(|name, _| name.starts_with(prefix));
        let named = |(name, weight): (String, _)| (name[prefix.len()..].to_string(), weight);
        let found = found.into_iter().map(named).collect();
        let vit =
            with_weights(self.vit.clone(), &found).map_err(|source| EncoderError::Mismatch {
                path: checkpoint.to_path_buf(),
                source,
            })?;
        Ok(Self {
            vit,
            ..self.clone()
        })
    }

    /// The same encoder for images of another size in pixels: the position table is resized as in the published
    /// fine-tuning code (see [`semaim::position::resize`]).
    ///
    /// # Errors
    /// A size that the patches do not fill.
    pub fn resized(mut self, image_size: [usize; 2]) -> Result<Self, EncoderError> {
        self.config.image_size = image_size;
        self.config.validate()?;
        self.vit = self.vit.resized(self.config.grid())?;
        Ok(self)
    }
}

/// What a file says of its network.
pub(crate) struct Described {
    pub(crate) config: VitConfig,
    pub(crate) mean: Vec<f32>,
    pub(crate) std: Vec<f32>,
}

/// Reads and checks what a file says of its network: sizes from a file are not to be believed before memory is taken
/// for them.
pub(crate) fn described(path: &Path, file: &TensorFile) -> Result<Described, EncoderError> {
    let text = file
        .metadata
        .get(SIZES)
        .ok_or_else(|| EncoderError::NoSizes {
            path: path.to_path_buf(),
        })?;
    let damaged = |message: String| EncoderError::Damaged {
        path: path.to_path_buf(),
        message,
    };
    let sizes: Sizes = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
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
    check_sizes(&config, file).map_err(|source| EncoderError::Mismatch {
        path: path.to_path_buf(),
        source,
    })?;
    Ok(Described {
        config,
        mean: sizes.mean,
        std: sizes.std,
    })
}

/// Checks that the file holds the weights that fix every size: the patch embedding, the position table, and the first
/// and last block's MLP.
fn check_sizes(config: &VitConfig, file: &TensorFile) -> Result<(), WeightError> {
    let (d, p, hidden) = (config.embed_dim, config.patch_size, config.mlp_dim());
    let last = config.depth - 1;
    let expected = [
        (
            "patch_embed.proj.weight".to_string(),
            vec![d, config.channels, p, p],
        ),
        (
            "pos_embed".to_string(),
            vec![1, 1 + config.grid().patches(), d],
        ),
        ("blocks.0.mlp.fc1.weight".to_string(), vec![hidden, d]),
        (format!("blocks.{last}.mlp.fc1.weight"), vec![hidden, d]),
    ];
    for (name, expected) in expected {
        match file.weights.get(&name) {
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
    let next = format!("blocks.{}.mlp.fc1.weight", config.depth);
    match file.weights.get(&next) {
        Some(weight) => Err(WeightError::Shape {
            name: next,
            expected: Vec::new(),
            found: weight.shape.clone(),
        }),
        None => Ok(()),
    }
}
