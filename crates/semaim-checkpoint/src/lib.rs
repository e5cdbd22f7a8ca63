//! Weight files: other people's checkpoints in, safetensors out, written so that a crash never leaves half a file behind.
//!
//! * [`atomic`]: write to a temporary name, flush to the disk, rename.
//! * [`archive`]: named tensors out of safetensors and PyTorch files.
//! * [`tensors`]: a file of named tensors with metadata and a checksum, as we write it.
//! * [`mod@format`]: who names what how, as tables.
//! * [`checkpoint`]: a file of any layout, read; [`error`]: what can be wrong with it; [`Misfit`]: tensors that do not fit its network.
//! * [`encoder`]: an encoder ready to run, and ours under timm's names.
//! * [`model_file`]: an encoder with the heads of a task; `classifier` with those of classification.
//! * [`digest`]: SHA-256 of files; [`file_lock`]: what one process at a time may do.
//! * [`weights_source`]: which file it is, and what is told about it.
//! * [`export`]: encoders and classifiers for other programs.
//!
//! From a file to an encoder: `archive` gives tensors, `canonical` finds the encoder among them and gives it our names,
//! `architecture` tells the network from shapes and, with `sidecar`, from the files beside; `metadata` is what our own files say.

mod architecture;
pub mod archive;
pub mod atomic;
mod canonical;
mod channels;
pub mod checkpoint;
mod checksum;
mod classifier;
pub mod digest;
pub mod encoder;
pub mod error;
pub mod export;
pub mod file_lock;
pub mod format;
mod metadata;
mod misfit;
pub mod model_file;
mod sidecar;
pub mod tensors;
pub mod weights_source;

pub use canonical::Loading;
pub use misfit::Misfit;
pub use semaim_pickle::{Dtype, Error as PickleError};
pub use sidecar::SidecarError;
