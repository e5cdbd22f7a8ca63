//! Encoders and classifiers for other programs: the tables of [`crate::format`] followed the other way.

mod head;
mod huggingface;
mod timm;

use std::path::{Path, PathBuf};

use semaim::config::{SizeError, VitConfig};
use semaim::parameters::{Weight, Weights};
use semaim::position::resize;
use serde_json::Value;

use crate::atomic;
use crate::checkpoint::Checkpoint;
use crate::error::TensorFileError;
use crate::metadata::{SIZES, metadata};
use crate::sidecar::{is_a_librarys_name, sidecars};
use crate::tensors::{Precision, TensorFile};

pub use head::Head;

/// For whom an encoder is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// timm's vision transformers, with a `config.json`.
    Timm,
    /// Hugging Face's library: `ViTModel`, `Dinov2Model`, `Dinov2WithRegistersModel` or `CLIPVisionModel`, or a classifier's
    /// `ViTForImageClassification`, `Dinov2ForImageClassification`, `Dinov2WithRegistersForImageClassification` or
    /// `BeitForImageClassification`, whichever computes the same, with a `config.json` and a `preprocessor_config.json`.
    HuggingFace,
    /// The published masked autoencoders.
    Mae,
    /// Ourselves: sizes in the metadata, everything kept.
    Semaim,
}

impl ExportFormat {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timm => "timm",
            Self::HuggingFace => "huggingface",
            Self::Mae => "mae",
            Self::Semaim => "semaim",
        }
    }

    /// Whether classifiers are written in it with their heads.
    pub fn has_classifiers(self) -> bool {
        matches!(self, Self::Timm | Self::HuggingFace)
    }
}

/// An encoder as it will be written.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Its tensors with their metadata.
    pub file: TensorFile,
    /// Files to stand beside it, by what libraries call them.
    pub beside: Vec<(&'static str, Value)>,
    /// What the format cannot say of the network, for people to read.
    pub notes: Vec<String>,
}

/// Why an encoder cannot be written in a format.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The format's network does not compute what the encoder does.
    #[error("the format {} has no {what}, which {path} has", format.name())]
    NotInFormat {
        /// The encoder's file.
        path: PathBuf,
        /// The format.
        format: ExportFormat,
        /// What it does not have.
        what: &'static str,
    },
    /// A tensor that cannot be brought into the format.
    #[error("{path}: `{name}` {message}")]
    Tensor {
        /// The encoder's file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file of another model, by which the encoder would be read.
    #[error(
        "{beside} is there, which this export does not write and by which {path} would be read: remove it, or write elsewhere"
    )]
    Beside {
        /// Where the encoder was to be written.
        path: PathBuf,
        /// The file that is there.
        beside: PathBuf,
    },
    /// A size of images that the patches do not fill.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// A file was not written.
    #[error(transparent)]
    File(#[from] TensorFileError),
}

impl Checkpoint {
    /// The same encoder for images of another size (height, width): its position table is resized as by
    /// [`semaim::position::resize`].
    ///
    /// # Errors
    /// A size that the patches do not fill.
    pub fn resized(mut self, image_size: [usize; 2]) -> Result<Self, ExportError> {
        let from = self.config.grid();
        self.config.image_size = image_size;
        self.config.validate()?;
        let (to, d) = (self.config.grid(), self.config.embed_dim);
        if let Some(table) = self.weights.get_mut("pos_embed") {
            *table = Weight {
                values: resize(&table.values, d, from, to, self.interpolation),
                shape: vec![1, 1 + to.patches(), d],
            };
        }
        Ok(self)
    }

    /// The encoder in a format, with the head of a classifier on it if there is one: formats without classifiers
    /// ([`ExportFormat::has_classifiers`]) refuse it.
    ///
    /// # Errors
    /// An encoder, or a classifier, that computes what the format's network does not.
    pub fn export(
        &self,
        format: ExportFormat,
        head: Option<&Head>,
    ) -> Result<Exported, ExportError> {
        if head.is_some() && !format.has_classifiers() {
            return Err(self.refused(format, "classifier"));
        }
        match format {
            ExportFormat::Semaim => Ok(Exported {
                file: TensorFile {
                    weights: self.weights.clone(),
                    metadata: metadata(
                        &self.config,
                        &self.arch,
                        &self.normalization,
                        self.interpolation,
                    ),
                },
                beside: Vec::new(),
                notes: Vec::new(),
            }),
            ExportFormat::Timm => self.timm(head),
            ExportFormat::Mae => self.mae(),
            ExportFormat::HuggingFace => self.huggingface(head),
        }
    }

    fn refused(&self, format: ExportFormat, what: &'static str) -> ExportError {
        ExportError::NotInFormat {
            path: self.path.clone(),
            format,
            what,
        }
    }

    fn layer_scale(&self) -> bool {
        self.weights.contains_key("blocks.0.ls1.gamma")
    }
}

fn exported(weights: Weights) -> Exported {
    let metadata = [("format".to_string(), "pt".to_string())];
    Exported {
        file: TensorFile {
            weights,
            metadata: metadata.into_iter().collect(),
        },
        beside: Vec::new(),
        notes: Vec::new(),
    }
}

fn zeros(shape: Vec<usize>) -> Weight {
    Weight {
        values: vec![0.0; shape.iter().product()],
        shape,
    }
}

/// Takes the bias of the patch embedding off and adds it to the patches' rows of the position table: the same for networks of
/// libraries whose patch embedding has none.
fn fold_patch_bias(weights: &mut Weights) {
    if !weights.contains_key("pos_embed") {
        return;
    }
    let bias = weights.remove("patch_embed.proj.bias");
    let (Some(bias), Some(table)) = (bias, weights.get_mut("pos_embed")) else {
        return;
    };
    // The first row is the class token's.
    for row in table.values.chunks_mut(bias.values.len().max(1)).skip(1) {
        let both = row.iter_mut().zip(&bias.values);
        both.for_each(|(value, bias)| *value += bias);
    }
}

/// Scales of one where a network has none.
fn fill_layer_scale(weights: &mut Weights, config: &VitConfig) {
    for block in 0..config.depth {
        for scale in ["ls1", "ls2"] {
            let ones = || Weight {
                shape: vec![config.embed_dim],
                values: vec![1.0; config.embed_dim],
            };
            let name = format!("blocks.{block}.{scale}.gamma");
            weights.entry(name).or_insert_with(ones);
        }
    }
}

fn is_square([height, width]: [usize; 2]) -> bool {
    height == width
}

impl Exported {
    /// Writes the file, and what stands beside it: `config.json` beside a `model.safetensors`, `NAME.config.json` beside
    /// any other, so that nothing is said of other files in the folder. Gives the paths beside.
    ///
    /// # Errors
    /// The file system, or a file beside it that would be read of another model.
    pub fn write(&self, path: &Path, precision: Precision) -> Result<Vec<PathBuf>, ExportError> {
        let own = |name: &str| match is_a_librarys_name(path) {
            true => path.with_file_name(name),
            false => path.with_extension(name),
        };
        let own: Vec<PathBuf> = self.beside.iter().map(|(name, _)| own(name)).collect();
        // What says everything of itself is not read by others.
        let mut others = match self.file.metadata.contains_key(SIZES) {
            true => Vec::new(),
            false => sidecars(path),
        }
        .into_iter();
        if let Some(beside) = others.find(|other| other.exists() && !own.contains(other)) {
            let path = path.to_path_buf();
            return Err(ExportError::Beside { path, beside });
        }
        self.file.write_as(path, precision)?;
        let mut written = Vec::new();
        for (beside, (_, content)) in own.into_iter().zip(&self.beside) {
            let text = format!("{content:#}\n");
            atomic::write_bytes(&beside, text.as_bytes()).map_err(|source| {
                TensorFileError::Io {
                    action: "writing",
                    path: beside.clone(),
                    source,
                }
            })?;
            written.push(beside);
        }
        Ok(written)
    }
}
