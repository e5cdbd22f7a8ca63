//! A model out of a run directory, to show what it predicts.

use std::path::Path;

use burn::tensor::Device;
use semaim::mae::Mae;
use semaim::model::Semaim;
use semaim::parameters::{Weights, with_weights};
use semaim_checkpoint::tensors::TensorFile;
use semaim_config::Layers;

use crate::config::{Method, PretrainConfig};
use crate::error::TrainError;
use crate::run_dir::{checkpoints, table};
use crate::state::MODEL;

/// A pre-trained model, by whatever method.
#[derive(Debug)]
pub enum Restored {
    /// By SemAIM.
    Semaim(Box<Semaim>),
    /// By masking.
    Mae(Box<Mae>),
}

/// The configuration of a pre-training run; `None` if the folder is none's.
///
/// # Errors
/// A configuration that is damaged.
pub fn run_config(run: &Path) -> Result<Option<PretrainConfig>, TrainError> {
    let path = run.join("config.toml");
    // Runs of fine-tuning and probes have other keys.
    if !path.is_file() || !run.join("encoder.safetensors").is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(|source| TrainError::Io {
        action: "reading",
        path: path.clone(),
        source,
    })?;
    let table = table::<PretrainConfig>(&path, &text)?;
    let layers = Layers::new().text(path.display().to_string(), &table.to_string())?;
    Ok(Some(layers.load()?))
}

/// The model of a run's latest checkpoint.
///
/// # Errors
/// No checkpoint, or one that does not fit the configuration.
pub fn restore(
    run: &Path,
    config: &PretrainConfig,
    device: &Device,
) -> Result<Restored, TrainError> {
    let latest = checkpoints(run)?.into_iter().next_back();
    let (_, path) = latest.ok_or_else(|| TrainError::NoGoodCheckpoint {
        path: run.join("checkpoints"),
        reasons: "there is none".into(),
    })?;
    let weights = TensorFile::read(&path)?.weights;
    let weights: Weights = weights
        .into_iter()
        .filter_map(|(name, weight)| Some((name.strip_prefix(MODEL)?.to_string(), weight)))
        .collect();
    let target = config.target(None);
    Ok(match config.method {
        Method::Semaim => {
            let model = config.semaim().init(&target, config.seed, device)?;
            Restored::Semaim(Box::new(with_weights(model, &weights)?))
        }
        Method::Mae => {
            let model =
                config
                    .mae
                    .init(&config.model, &config.arch, &target, config.seed, device)?;
            Restored::Mae(Box::new(with_weights(model, &weights)?))
        }
    })
}
