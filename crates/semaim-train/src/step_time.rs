//! How long the steps of a run will take, measured on one image before it starts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::module::Module;
use semaim_data::{Dataset, LoaderOptions, Position, TrainingLoader};

use crate::config::RunSettings;
use crate::error::TrainError;
use crate::gradients::Gradients;
use crate::state::TrainState;
use crate::task::{MicroBatch, Task};
use crate::trainer::Images;

/// The time of one optimiser step of a run: that of one image, once for all images of the batch, and of one update. The first
/// image, which finds everything cold, does not count.
///
/// # Errors
/// Those of a step.
pub fn step_time<T: Task, D: Dataset<Target = T::Target> + ?Sized>(
    task: &T,
    mut state: TrainState<T::Model>,
    settings: RunSettings<'_>,
    images: &Images<D>,
) -> Result<Duration, TrainError> {
    let options = LoaderOptions {
        batch_size: 1,
        batches_per_epoch: 2,
        workers: 1,
        seed: settings.seed,
        ..LoaderOptions::default()
    };
    let source = Arc::clone(&images.source);
    let batches =
        TrainingLoader::start(source, images.augment.clone(), options, Position::default());
    let mut time = Duration::ZERO;
    for batch in batches {
        let batch = &batch?;
        let start = Instant::now();
        let model = state.model.clone().train();
        let loss = task.loss(MicroBatch {
            model: &model,
            state: &state,
            batch,
        })?;
        let gradients = Gradients::of(&model, loss.total.backward());
        drop(model);
        // A device that computes in the background is waited for.
        gradients.norm()?;
        let of_image = start.elapsed();
        let start = Instant::now();
        state.optimiser.step(&mut state.model, gradients, 1.0, 0.0);
        let images = u32::try_from(settings.train.batch_size).unwrap_or(u32::MAX);
        time = of_image * images + start.elapsed();
    }
    Ok(time)
}
