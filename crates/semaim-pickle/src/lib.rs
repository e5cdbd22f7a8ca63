//! The tensors of PyTorch checkpoints, read as data.
//!
//! A file that `torch.save` wrote is a program for a small machine: it says which functions of Python to import and
//! what to call them with. Here nothing is imported and nothing is called. The few functions that make tensors and
//! containers are imitated; every other object is kept by its name and attributes, see [`Opaque`].
//!
//! ```no_run
//! use semaim_pickle::Checkpoint;
//!
//! let checkpoint = Checkpoint::read("dino_deitsmall16_pretrain.pth".as_ref())?;
//! for (path, tensor) in checkpoint.tensors() {
//!     println!("{path} {} {:?}", tensor.dtype(), tensor.shape());
//! }
//! # Ok::<(), semaim_pickle::ReadError>(())
//! ```
//!
//! Both formats are read: the archives written since version 1.6 and what came before, back to 0.1.10. Files come
//! from anywhere, so a damaged or malicious one is an error that says where it stands: it can neither crash the
//! program nor make it take more than 16 bytes of memory per byte of the file and 1 MiB, beside the file itself.

mod archive;
mod archive_error;
mod array;
mod budget;
mod call;
mod checkpoint;
mod cursor;
mod directory;
mod dtype;
mod error;
mod escape;
mod freeze;
mod heap;
mod instruction;
mod layout;
mod legacy;
mod machine;
mod opcode;
mod paths;
mod persistent;
mod pickle_error;
mod rebuild;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod rendered;
mod stack;
mod storage;
mod tensor;
mod value;
mod zipped;

pub use archive_error::ArchiveError;
pub use budget::OverBudget;
pub use checkpoint::Checkpoint;
pub use dtype::Dtype;
pub use error::{ContentError, ReadError, StorageFault, StructureFault};
pub use layout::LayoutError;
pub use pickle_error::{PickleError, PickleFault};
pub use tensor::{Tensor, TensorError};
pub use value::{Opaque, Value};

// The tests of this crate share a writer of archives with the fuzz target.
#[cfg(test)]
#[path = "../tests/support/zip.rs"]
mod zip_writer;
