//! Learning rate and EMA decay over a run (method, sections 3 and 4).

/// Linear warm-up, then half a cosine, evaluated at every optimiser step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRate {
    /// The highest rate, reached at the end of the warm-up.
    pub peak: f64,
    /// The rate at the end of the run.
    pub min: f64,
    /// Length of the warm-up in epochs.
    pub warmup_epochs: f64,
    /// Length of the run in epochs.
    pub epochs: f64,
}

impl LearningRate {
    /// The rate at a time in epochs; whole steps are fractions of an epoch.
    pub fn at(&self, epoch: f64) -> f64 {
        if epoch < self.warmup_epochs {
            return self.peak * epoch / self.warmup_epochs;
        }
        let progress = (epoch - self.warmup_epochs) / (self.epochs - self.warmup_epochs);
        let cosine = (std::f64::consts::PI * progress).cos();
        self.min + (self.peak - self.min) * 0.5 * (1.0 + cosine)
    }
}

/// The peak rate for a batch, from the rate per 256 images (Goyal et al., 2017).
pub fn scaled_to_batch(base_lr: f64, batch_size: usize) -> f64 {
    base_lr * batch_size as f64 / 256.0
}

/// Decay of the EMA copy: from 0.999 to 0.9999 over the first 100 epochs, then constant.
pub fn ema_decay(epoch: u64) -> f64 {
    0.999 + (0.9999 - 0.999) * (epoch as f64 / 100.0).min(1.0)
}
