//! The tensors of PyTorch checkpoints, read as data.
//!
//! A file that `torch.save` wrote is a program for a small stack machine: it says which functions of Python to import
//! and what to call them with. Here nothing is imported and nothing is called. The few functions that make tensors and
//! containers are imitated; every other object is kept as the name of its class and its attributes.
//!
//! ```no_run
//! use semaim_pickle::Checkpoint;
//!
//! let checkpoint = Checkpoint::open("dino_deitsmall16_pretrain.pth".as_ref())?;
//! for (path, tensor) in &checkpoint.tensors {
//!     println!("{path} {} {:?}", tensor.dtype(), tensor.shape());
//! }
//! # Ok::<(), semaim_pickle::Error>(())
//! ```
//!
//! Both formats are read: the archives written since version 1.6 and what came before, back to 0.1.10; and pickles that hold
//! arrays of NumPy's in place of tensors, as detectron2 publishes its models. Opening reads the
//! description alone; the numbers of a tensor are read when they are [asked for](Tensor::read). Tensors of a type that
//! is not read (complex, quantized, 8-bit floats) are listed with it, and the rest of the file is read all the same.
//!
//! Files come from anywhere, so a damaged or malicious one is an error that says where it stands: it can neither crash
//! the program nor make it take memory out of proportion to the file (see `budget`).

mod arrays;
mod budget;
mod calls;
mod checkpoint;
mod container;
mod dtype;
mod error;
mod heap;
mod input;
mod machine;
mod tensor;
mod walk;
mod writer;

pub use checkpoint::Checkpoint;
pub use dtype::Dtype;
pub use error::{Error, TensorError};
pub use tensor::Tensor;
pub use writer::{Array, write_arrays};
