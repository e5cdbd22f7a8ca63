//! Event files for TensorBoard: numbers and pictures over the steps of a run.
//!
//! ```
//! use semaim_tensorboard::EventWriter;
//!
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! let mut events = EventWriter::create(dir)?;
//! events.scalar(0, "train/loss", 1.25)?;
//! events.flush()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A run that goes on from a checkpoint makes a new writer in the same folder and first calls
//! [`EventWriter::resumed_at`], so that steps which are run twice are shown once.

mod event;
mod file_name;
mod writer;

pub use writer::{EventError, EventWriter};
