//! How fast images arrive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::augment::Augment;
use crate::error::LoaderError;
use crate::loader::{LoaderOptions, Position, TrainingLoader};
use crate::prefetch::worker_count;
use crate::source::Source;

/// Images per batch while measuring.
const BATCH: u64 = 32;

/// The result of [`measure`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throughput {
    /// Training views prepared.
    pub images: u64,
    /// Images that could not be read and were replaced.
    pub bad: u64,
    /// Worker threads.
    pub workers: usize,
    /// From the start of the threads to the arrival of the last batch.
    pub elapsed: Duration,
}

impl Throughput {
    /// Images per second; 0 when nothing was measured.
    pub fn images_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 {
            self.images as f64 / seconds
        } else {
            0.0
        }
    }
}

/// Prepares at least `images` training views (in whole batches of 32) with `workers` threads (0: one per core) and
/// takes the time.
///
/// # Errors
///
/// When the source is empty or a batch consists of unreadable images only.
pub fn measure(
    source: Arc<dyn Source>,
    augment: Augment,
    workers: usize,
    images: u64,
) -> Result<Throughput, LoaderError> {
    let options = LoaderOptions {
        batch_size: BATCH as usize,
        batches_per_epoch: images.div_ceil(BATCH).max(1),
        workers,
        ..LoaderOptions::default()
    };
    let mut result = Throughput {
        images: 0,
        bad: 0,
        workers: worker_count(workers),
        elapsed: Duration::ZERO,
    };
    let start = Instant::now();
    for batch in TrainingLoader::start(source, augment, options, Position::default()) {
        let batch = batch?;
        result.images += batch.items.len() as u64;
        result.bad += batch.bad.len() as u64;
        result.elapsed = start.elapsed();
    }
    Ok(result)
}
