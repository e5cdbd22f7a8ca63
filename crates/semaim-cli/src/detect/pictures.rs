//! A run's picture of truth beside prediction.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use burn::tensor::Device;
use semaim_checkpoint::model_file::{ModelFile, ModelKind};
use semaim_config::Layers;
use semaim_data::ObjectSet;
use semaim_eval::detect::config::DetectConfig;
use semaim_eval::detect::detector::Detector;
use semaim_eval::image_batches::{BatchOptions, at_most};

use crate::exit::Exit;
use crate::{object_pictures, report};

/// Writes it for some of the evaluation images.
pub(super) fn write(
    config: &DetectConfig,
    set: &Arc<ObjectSet>,
    run: &Path,
    device: &Device,
) -> Result<(), Exit> {
    if config.eval.pictures == 0 {
        return Ok(());
    }
    let path = run.join(ModelKind::Detector.file_name());
    let file = ModelFile::read(&path).map_err(Exit::ours)?;
    let detector = Detector::of_file(file, &path, device).map_err(Exit::ours)?;
    let options = BatchOptions {
        batch_size: config.eval.batch_size,
        workers: config.data.workers,
    };
    let items = at_most(&**set, config.eval.pictures);
    let least = config.eval.picture_score;
    let picture = object_pictures::truth_and_found(&detector, set, &items, options, least)?;
    let Some(picture) = picture else {
        return Ok(());
    };
    report::write_objects(run, &picture)
        .map_err(|error| Exit::user(format!("writing into {}: {error}", run.display())))
}

/// Writes it anew in the directory of a run that trains a detector, where it is not of the weights that are there: of a run that
/// was stopped, which does not wait for pictures.
pub(crate) fn renew(run: &Path) -> Result<(), Exit> {
    let written = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let weights = written(&run.join(ModelKind::Detector.file_name()));
    let picture = written(&report::objects_path(run));
    if weights.is_none() || picture >= weights {
        return Ok(());
    }
    let config: DetectConfig = Layers::new().file(run.join("config.toml"))?.load()?;
    let device = Device::flex();
    let file = ModelFile::read(run).map_err(Exit::user)?;
    let canvas = config.detector.canvas;
    let sets = config.data.open(&file.normalization, canvas, config.seed)?;
    write(&config, &Arc::new(sets.eval), run, &device)
}
