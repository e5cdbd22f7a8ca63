//! An encoder on its own: ours, under timm's names, and other people's in any [layout](crate::layout).
//!
//! `cls_token`, `pos_embed`, `patch_embed.proj.*`, `blocks.N.*`, `norm.*`: a `vit_*_patch*` of timm with the same
//! sizes loads a file of ours with no renaming.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use semaim::config::{SizeError, VitConfig};
use semaim::init::initialise;
use semaim::parameters::{Weight, WeightError, Weights, weights, with_weights};
use semaim::variant::{Activation, Variant};
use semaim::vit::Vit;
use serde::{Deserialize, Serialize};

use crate::architecture::{Architecture, architecture};
use crate::archive::Archive;
use crate::canonical::{Canonical, Loading, canonical};
use crate::hints::{HintError, Hints, LIBRARIES_NAMES};
use crate::layout::{Layout, UnknownLayout};
use crate::tensors::{TensorFile, TensorFileError, checksum};

/// The metadata key under which an encoder's sizes stand.
pub(crate) const SIZES: &str = "semaim.vit";

/// What a run calls its encoder.
const OURS: &str = "encoder.safetensors";

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant: Option<Differences>,
}

/// [`Variant`] as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Differences {
    epsilon: f64,
    activation: Name,
    registers: usize,
    norm_pre: bool,
    projection: Option<usize>,
}

/// [`Activation`] as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Name {
    Gelu,
    QuickGelu,
    SwiGlu,
}

impl From<&Variant> for Differences {
    fn from(variant: &Variant) -> Self {
        Self {
            epsilon: variant.epsilon,
            activation: match variant.activation {
                Activation::Gelu => Name::Gelu,
                Activation::QuickGelu => Name::QuickGelu,
                Activation::SwiGlu => Name::SwiGlu,
            },
            registers: variant.registers,
            norm_pre: variant.norm_pre,
            projection: variant.projection,
        }
    }
}

impl From<Differences> for Variant {
    fn from(written: Differences) -> Self {
        Self {
            epsilon: written.epsilon,
            activation: match written.activation {
                Name::Gelu => Activation::Gelu,
                Name::QuickGelu => Activation::QuickGelu,
                Name::SwiGlu => Activation::SwiGlu,
            },
            registers: written.registers,
            norm_pre: written.norm_pre,
            projection: written.projection,
        }
    }
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

/// How a checkpoint is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// Its layout; `None`: told from its names.
    pub layout: Option<Layout>,
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
    ) -> Result<Self, UnknownLayout> {
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
    pub variant: Variant,
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
    #[error(
        "{path} is a folder without encoder.safetensors (a run writes it at its end), model.safetensors or pytorch_model.bin"
    )]
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
    /// What the file says of itself, or its shapes, make no sense.
    #[error("{path} is damaged: {message}")]
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
    /// There is no encoder in a file, in any layout that is known or in the one that was told.
    #[error(
        "{path} holds no vision transformer in {}; its first tensors: {}",
        layout.map_or("any layout that is known".to_string(), |layout| format!("the layout {layout}")),
        names.join(", ")
    )]
    Unrecognised {
        /// The file.
        path: PathBuf,
        /// The layout that was told.
        layout: Option<Layout>,
        /// Some names in it.
        names: Vec<String>,
    },
    /// An encoder without some of its tensors.
    #[error(
        "{path} ({layout}) lacks {} that the encoder needs, the first: {} (--allow-partial fills in first weights)",
        counted(names.len()),
        first(names)
    )]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// Its layout.
        layout: Layout,
        /// The tensors that are missing.
        names: Vec<String>,
    },
    /// An encoder with parts that are not computed here.
    #[error(
        "{path} ({layout}) has {} inside its encoder that belong to something semaim does not compute, the first: {} \
         (--allow-partial leaves them out)",
        counted(names.len()),
        first(names)
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Its layout.
        layout: Layout,
        /// The tensors that are not understood.
        names: Vec<String>,
    },
    /// A tensor that is not what it should be.
    #[error("{path}: `{name}` {message}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor, or several that belong together.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// Nothing says how many heads there are.
    #[error(
        "{path}: nothing says how many attention heads an encoder of width {embed_dim} has; tell it with --heads"
    )]
    Heads {
        /// The file.
        path: PathBuf,
        /// Width of its tokens.
        embed_dim: usize,
    },
    /// A layout that is not known.
    #[error(transparent)]
    Layout(#[from] UnknownLayout),
    /// A file beside the checkpoint cannot be used.
    #[error(transparent)]
    Hint(#[from] HintError),
    /// A weight does not fit the sizes in the file.
    #[error("{path}: {source}")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Which.
        source: WeightError,
    },
}

fn counted(count: usize) -> String {
    match count {
        1 => "a tensor".into(),
        count => format!("{count} tensors"),
    }
}

fn first(names: &[String]) -> &str {
    names.first().map_or("", String::as_str)
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
        metadata: metadata(config, &encoder.variant(), mean, std),
    }
    .write(path)?;
    Ok(())
}

/// The sizes of a network and the normalisation of its input, as they stand in a file.
pub(crate) fn metadata(
    config: &VitConfig,
    variant: &Variant,
    mean: &[f32],
    std: &[f32],
) -> BTreeMap<String, String> {
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
        variant: (*variant != Variant::default()).then(|| variant.into()),
    };
    let metadata = [
        // What other readers of the format look for.
        ("format".to_string(), "pt".to_string()),
        (SIZES.to_string(), serde_json::json!(sizes).to_string()),
    ];
    metadata.into_iter().collect()
}

impl Checkpoint {
    /// Reads the encoder of a file in any [layout](Layout), or of a folder: a run directory of ours, or a model as
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
            let described = described(&path, &archive.metadata)?;
            check_sizes(&described.config, &described.variant, &found.weights).map_err(
                |source| EncoderError::Mismatch {
                    path: path.clone(),
                    source,
                },
            )?;
            let Described {
                mut config,
                variant,
                mean,
                std,
            } = described;
            if let Some(num_heads) = options.num_heads {
                config.num_heads = num_heads;
                config.validate().map_err(|source| EncoderError::Sizes {
                    path: path.clone(),
                    source,
                })?;
            }
            let architecture = Architecture {
                config,
                variant,
                mean,
                std,
                assumed: Vec::new(),
            };
            return Self::of(path, found, architecture, Vec::new());
        }
        let hints = Hints::beside(&path)?;
        if hints.open_clip && found.loading.layout == Layout::Clip && options.layout.is_none() {
            found.loading.layout = Layout::OpenClip;
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
        // Some networks do without certain biases.
        let biases = weights(&vit)?.into_iter();
        for (name, bias) in biases.filter(|(name, _)| name.ends_with(".bias")) {
            complete.entry(name).or_insert(bias);
        }
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

impl Encoder {
    /// Reads an encoder of any layout, as it comes; see [`Checkpoint::read`].
    ///
    /// # Errors
    /// [`EncoderError`], each with the path; the first weight that is missing or has another shape is named.
    pub fn read(path: &Path, device: &Device) -> Result<Self, EncoderError> {
        Self::read_with(path, &ReadOptions::default(), device)
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Encoder::read`].
    pub fn read_with(
        path: &Path,
        options: &ReadOptions,
        device: &Device,
    ) -> Result<Self, EncoderError> {
        Checkpoint::read(path, options)?.encoder(device)
    }
}

impl Encoder {
    /// A checksum over everything that its tokens depend on: the names, shapes and values of all weights, the sizes, where
    /// the network differs from ours, and the normalisation of images.
    ///
    /// # Errors
    /// [`EncoderError::Weights`] when the backend fails.
    pub fn checksum(&self) -> Result<String, EncoderError> {
        let metadata = metadata(&self.config, &self.vit.variant(), &self.mean, &self.std);
        let network = metadata.get(SIZES).map_or("", String::as_str);
        let network = crc32c::crc32c(network.as_bytes());
        let weights = checksum(weights(&self.vit)?.iter());
        Ok(format!("{weights}{network:08x}"))
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
    pub(crate) variant: Variant,
    pub(crate) mean: Vec<f32>,
    pub(crate) std: Vec<f32>,
}

/// Reads and checks what a file says of its network. Sizes from a file are not to be believed before
/// [they are checked](check_sizes) against its tensors.
pub(crate) fn described(
    path: &Path,
    metadata: &BTreeMap<String, String>,
) -> Result<Described, EncoderError> {
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
    Ok(Described {
        config,
        variant: sizes.variant.map(Variant::from).unwrap_or_default(),
        mean: sizes.mean,
        std: sizes.std,
    })
}

/// Checks that a file holds the weights that fix every size: the patch embedding, the position table, one of each block,
/// and what other people's encoders have beside.
pub(crate) fn check_sizes(
    config: &VitConfig,
    variant: &Variant,
    weights: &Weights,
) -> Result<(), WeightError> {
    let (d, p, hidden) = (config.embed_dim, config.patch_size, config.mlp_dim());
    let patches = config.grid().patches();
    let fixed = [
        ("patch_embed.proj.weight", vec![d, config.channels, p, p]),
        ("pos_embed", vec![1, 1 + patches, d]),
    ];
    let registers = (variant.registers > 0).then(|| ("reg_token", vec![1, variant.registers, d]));
    let projection = variant
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
