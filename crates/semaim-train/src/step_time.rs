//! How long the steps of a run will take, measured on an image or two before it starts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::module::Module;
use semaim_data::{Dataset, LoaderOptions, Position, TrainingLoader};
use semaim_kernels::with_precision;

use crate::config::RunSettings;
use crate::error::TrainError;
use crate::gradients::Gradients;
use crate::state::TrainState;
use crate::task::{MicroBatch, Task};
use crate::trainer::Images;

/// The time of one optimizer step of a run: that of `together` images at a time, as often as the batch has so many, and of one
/// update. The first images, which find everything cold, do not count.
///
/// # Errors
/// Those of a step.
pub fn step_time<T: Task, D: Dataset<Target = T::Target> + ?Sized>(
    task: &T,
    mut state: TrainState<T::Model>,
    settings: RunSettings<'_>,
    images: &Images<D>,
    together: usize,
) -> Result<Duration, TrainError> {
    let options = LoaderOptions {
        batch_size: together,
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
        let micro_batch = MicroBatch {
            model: &model,
            state: &state,
            batch,
            sent: None,
        };
        let loss = with_precision(settings.train.precision, || task.loss(micro_batch))?;
        let gradients = Gradients::of(&model, loss.total.backward());
        drop(model);
        // A device that computes in the background is waited for.
        gradients.norm()?;
        let of_images = start.elapsed();
        let start = Instant::now();
        state.optimizer.step(&mut state.model, gradients, 1.0, 0.0);
        let times = settings.train.batch_size as f64 / together.max(1) as f64;
        time = of_images.mul_f64(times) + start.elapsed();
    }
    Ok(time)
}
