//! What can be wrong with weight files, and with encoders in them.

use std::io;
use std::path::{Path, PathBuf};

use semaim::config::SizeError;
use semaim::parameters::WeightError;

use crate::format::{CheckpointFormat, UnknownName};
use crate::model_file::ModelKind;
use crate::sidecar::SidecarError;

/// Why a weight file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TensorFileError {
    /// The file system refused.
    #[error("{action} {path}: {source}")]
    Io {
        /// `reading` or `writing`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The content is not what it should be.
    #[error("{path} is damaged: {message}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A file that is neither safetensors nor one that PyTorch wrote, or a damaged one.
    #[error("{path}: {source}")]
    Pickle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<semaim_pickle::Error>,
    },
    /// A number that the type in which it is to be written does not hold.
    #[error(
        "{path}: `{name}` has the number {value:e}, which {precision} does not hold; {holds} does"
    )]
    TooLarge {
        /// The file to be written.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The number.
        value: f32,
        /// The type.
        precision: &'static str,
        /// A type that holds it.
        holds: &'static str,
    },
}

impl TensorFileError {
    pub(crate) fn reading(path: &Path, source: io::Error) -> Self {
        Self::Io {
            action: "reading",
            path: path.to_path_buf(),
            source,
        }
    }
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
        "{path} is a folder without encoder.safetensors (a pre-training run writes it at its end), classifier.safetensors (fine-tuning), model.safetensors or pytorch_model.bin"
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
    /// A file or folder that holds no model with the heads of a task.
    #[error("{path} is {what}")]
    NotAModel {
        /// The file or folder.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// A model of another kind than is needed.
    #[error(
        "{path} is a {kind}, as `semaim {}` trains them, and no {wanted}; `semaim predict` and `semaim evaluate` take it",
        kind.command()
    )]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: ModelKind,
        /// What is needed.
        wanted: &'static str,
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
        format.map_or("any layout that is known".to_string(), |format| format!("the layout {format}")),
        names.join(", ")
    )]
    Unrecognized {
        /// The file.
        path: PathBuf,
        /// The layout that was told.
        format: Option<CheckpointFormat>,
        /// Some names in it.
        names: Vec<String>,
    },
    /// An encoder without some of its tensors.
    #[error(
        "{path} ({format}) lacks {} that the encoder needs, the first: {} (--allow-partial fills in first weights)",
        counted(names.len()),
        first(names)
    )]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// Its layout.
        format: CheckpointFormat,
        /// The tensors that are missing.
        names: Vec<String>,
    },
    /// An encoder with parts that are not computed here.
    #[error(
        "{path} ({format}) has {} inside its encoder that belong to something semaim does not compute, the first: {} \
         (--allow-partial leaves them out)",
        counted(names.len()),
        first(names)
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Its layout.
        format: CheckpointFormat,
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
        "{path}: nothing says how many attention heads an encoder of width {embed_dim} has; tell it with --heads, a teacher's with \
         teacher.num_heads{}",
        usual.map_or(String::new(), |heads| format!(" ({heads} are usual, but not everywhere)"))
    )]
    Heads {
        /// The file.
        path: PathBuf,
        /// Width of its tokens.
        embed_dim: usize,
        /// What most networks of this width have.
        usual: Option<usize>,
    },
    /// What was told of a file of ours that says otherwise itself.
    #[error("{path} says of itself that it has {said}; it cannot be read with {told}")]
    Contradicted {
        /// The file.
        path: PathBuf,
        /// What it says.
        said: String,
        /// What was told.
        told: String,
    },
    /// Numbers that are not finite.
    #[error("{path}: {name} is not finite: {count} of its numbers NaN or infinite")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The first tensor with such numbers.
        name: String,
        /// How many it has.
        count: usize,
    },
    /// A format or an activation that is not known.
    #[error(transparent)]
    CheckpointFormat(#[from] UnknownName),
    /// A file beside the checkpoint cannot be used.
    #[error(transparent)]
    Hint(#[from] SidecarError),
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
