//! What a run of ours keeps in its folder: `config.toml`, and `start.json` where it started from an encoder.

use std::path::Path;

use semaim::config::Activation;
use semaim::position::Interpolation;
use serde::Deserialize;

use super::{Sidecar, SidecarError, text};

/// The settings of a run that a checkpoint of it does not hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunConfig {
    /// Of runs that do not start from an encoder.
    model: Option<RunModel>,
    encoder: RunEncoder,
    arch: RunArch,
    data: RunNormalization,
}

/// How a run that starts from an encoder takes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunEncoder {
    /// The size that its position table is resized for; empty: its own.
    image_size: Vec<usize>,
}

/// What a run that starts from an encoder keeps of that.
#[derive(Debug, Deserialize)]
struct RunStart {
    normalization: RunNormalization,
    network: RunNetwork,
}

#[derive(Debug, Deserialize)]
struct RunNetwork {
    config: RunModel,
    arch: RunArch,
    interpolation: Interpolation,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunModel {
    num_heads: Option<usize>,
    image_size: Option<[usize; 2]>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunArch {
    epsilon: Option<f64>,
    activation: Option<Activation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunNormalization {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Sidecar {
    /// What the run of a checkpoint `RUN/checkpoints/step-N.safetensors` keeps.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn read_run(&mut self, checkpoint: &Path) -> Result<(), SidecarError> {
        let Some(run) = run_of(checkpoint) else {
            return Ok(());
        };
        let path = run.join("config.toml");
        let Some(config) = text(&path)? else {
            return Ok(());
        };
        let wrong = |message| SidecarError {
            path: path.clone(),
            message,
        };
        let config: RunConfig = toml::from_str(&config).map_err(|e| wrong(e.to_string()))?;
        self.files.push(path);
        self.normalized(config.data);
        match config.model {
            Some(model) => self.computes(model, config.arch),
            None => self.read_start(run, &config.encoder)?,
        }
        Ok(())
    }

    /// What a run that started from an encoder keeps of it; runs of before keep nothing.
    fn read_start(&mut self, run: &Path, taken: &RunEncoder) -> Result<(), SidecarError> {
        let path = run.join("start.json");
        let Some(start) = text(&path)? else {
            return Ok(());
        };
        let start: RunStart = serde_json::from_str(&start).map_err(|error| SidecarError {
            path: path.clone(),
            message: error.to_string(),
        })?;
        self.files.push(path);
        // The run's own, where it has one, comes before the encoder's.
        if self.mean.is_none() && self.std.is_none() {
            self.normalized(start.normalization);
        }
        let RunNetwork {
            config,
            arch,
            interpolation,
        } = start.network;
        self.interpolation = Some(interpolation);
        self.computes(config, arch);
        if let &[height, width] = taken.image_size.as_slice() {
            self.image_size = Some([height, width]);
        }
        Ok(())
    }

    fn computes(&mut self, model: RunModel, arch: RunArch) {
        self.num_heads = model.num_heads;
        self.image_size = model.image_size;
        self.epsilon = arch.epsilon;
        self.activation = arch.activation;
        self.by_its_run = true;
    }

    fn normalized(&mut self, RunNormalization { mean, std }: RunNormalization) {
        self.mean = Some(mean).filter(|list| !list.is_empty());
        self.std = Some(std).filter(|list| !list.is_empty());
    }
}

/// The folder of the run that a checkpoint is of, by their names.
fn run_of(checkpoint: &Path) -> Option<&Path> {
    let name = checkpoint.file_name()?.to_str()?;
    let folder = checkpoint.parent()?;
    let is_one = name.starts_with("step-") && folder.ends_with("checkpoints");
    folder.parent().filter(|_| is_one)
}
