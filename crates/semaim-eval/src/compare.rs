//! Several ways of pre-training, with several seeds each, evaluated alike and put side by side.
//!
//! A comparison is a file: a base configuration, variants that change settings of it, seeds, and evaluations. Each
//! (variant, seed) is a *cell* with a folder of its own ([`cell`]); what is finished in a cell is written down at once
//! and never done again. The table ([`table`]) pairs variants by seed.

pub mod cell;
pub mod config;
pub mod statistics;
pub mod table;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use semaim_checkpoint::error::EncoderError;
use semaim_config::ConfigErrors;
use semaim_data::DataError;
use semaim_train::error::TrainError;
use semaim_train::watch::Observer;

use crate::embed::EmbedError;
use crate::finetune::FinetuneError;
use crate::knn::KnnError;
use crate::labelled::LabelledError;
use crate::probe::ProbeError;
use cell::{Cell, Record};
use config::CompareConfig;

/// Why a comparison could not start or go on. Cells that are finished stay.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A variant's settings cannot be used.
    #[error("variant `{variant}`: {source}")]
    Variant {
        /// The variant.
        variant: String,
        /// What is wrong.
        source: ConfigErrors,
    },
    /// A cell was made with other settings.
    #[error(
        "{path} was made with other settings than this comparison's; give another --out, or remove it to make it anew"
    )]
    OtherSettings {
        /// The cell's record.
        path: PathBuf,
    },
    /// A file of the comparison.
    #[error("{action} {path}: {message}")]
    File {
        /// What was tried: `writing`, `reading`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        message: String,
    },
    /// Images cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Labelled images cannot be used.
    #[error(transparent)]
    Labelled(#[from] LabelledError),
    /// Pre-training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Fine-tuning.
    #[error(transparent)]
    Finetune(#[from] FinetuneError),
    /// An encoder's file.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// Embedding.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// kNN.
    #[error(transparent)]
    Knn(#[from] KnnError),
    /// The probe.
    #[error(transparent)]
    Probe(#[from] ProbeError),
}

/// How a comparison ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every cell is finished.
    Finished,
    /// It was asked to stop; the same comparison goes on.
    Stopped,
}

/// Runs every cell that is not finished in `out`, seed by seed, so that early tables have all variants.
///
/// # Errors
/// [`CompareError`]; the comparison goes on from there when it is run again.
pub fn compare(
    config: &CompareConfig,
    out: &Path,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Ending, CompareError> {
    let cells: Vec<Cell> = cells(config, out)?;
    for cell in cells {
        if cell.run(config, device, observer)? == Ending::Stopped {
            return Ok(Ending::Stopped);
        }
    }
    Ok(Ending::Finished)
}

/// What there is of every cell, in the order of seeds, then variants.
///
/// # Errors
/// A record that cannot be read or belongs to another comparison.
pub fn records(config: &CompareConfig, out: &Path) -> Result<Vec<Record>, CompareError> {
    let read = |cell: Cell| cell.record();
    cells(config, out)?.into_iter().map(read).collect()
}

fn cells(config: &CompareConfig, out: &Path) -> Result<Vec<Cell>, CompareError> {
    let mut cells = Vec::new();
    for &seed in &config.seeds {
        for variant in &config.variants {
            cells.push(Cell::new(config, variant, seed, out)?);
        }
    }
    Ok(cells)
}
