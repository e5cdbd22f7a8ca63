//! Learning rate and EMA decay over a run.

use serde::{Deserialize, Serialize};

/// How the learning rate falls after the warm-up.
#[derive(Clone, Debug, PartialEq)]
pub enum Decay {
    /// Half a cosine down to the least rate.
    Cosine,
    /// The rate is multiplied by `gamma` at each milestone.
    Steps {
        /// In epochs, rising.
        milestones: Vec<f64>,
        /// The factor.
        gamma: f64,
    },
    /// (1 − progress)^power of the way down to the least rate.
    Polynomial {
        /// 1: a straight line.
        power: f64,
    },
}

/// The names of [`Decay`] in configurations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// Half a cosine.
    #[default]
    Cosine,
    /// Steps at `milestones`.
    Steps,
    /// A polynomial of `power`.
    Polynomial,
}

/// A linear warm-up and then a decay, evaluated at every optimizer step.
#[derive(Clone, Debug, PartialEq)]
pub struct LrSchedule {
    /// The highest rate, reached at the end of the warm-up.
    pub peak: f64,
    /// The rate at the end of the run; with steps, the least rate.
    pub min: f64,
    /// Length of the warm-up in epochs.
    pub warmup_epochs: f64,
    /// Share of the highest rate that the warm-up begins at.
    pub warmup_start: f64,
    /// Length of the run in epochs.
    pub epochs: f64,
    /// What comes after the warm-up.
    pub decay: Decay,
    /// Ends of the parts by which the run was lengthened, in epochs from its start, rising. In each of them all of the above
    /// is gone through again, stretched or squeezed to its length (warm restarts; Loshchilov and Hutter, 2017).
    pub extended_to: Vec<f64>,
}

impl LrSchedule {
    /// The rate at a time in epochs; whole steps are fractions of an epoch.
    pub fn at(&self, epoch: f64) -> f64 {
        let mut start = self.epochs;
        if epoch < start || self.extended_to.is_empty() {
            return self.at_first(epoch);
        }
        let mut end = start;
        for &next in &self.extended_to {
            (start, end) = (end, next);
            if epoch < end {
                break;
            }
        }
        self.at_first((epoch - start) / (end - start) * self.epochs)
    }

    /// The rate in the run's first part.
    fn at_first(&self, epoch: f64) -> f64 {
        if epoch < self.warmup_epochs {
            let risen = self.peak * epoch / self.warmup_epochs;
            return self.warmup_start * self.peak + (1.0 - self.warmup_start) * risen;
        }
        let progress = (epoch - self.warmup_epochs) / (self.epochs - self.warmup_epochs);
        match self.decay {
            Decay::Cosine => {
                let cosine = (std::f64::consts::PI * progress).cos();
                self.min + (self.peak - self.min) * 0.5 * (1.0 + cosine)
            }
            Decay::Steps {
                ref milestones,
                gamma,
            } => {
                let passed = milestones.iter().filter(|&&at| epoch >= at).count();
                (self.peak * gamma.powi(passed as i32)).max(self.min)
            }
            Decay::Polynomial { power } => {
                self.min + (self.peak - self.min) * (1.0 - progress).max(0.0).powf(power)
            }
        }
    }
}

/// The peak rate for a batch, from the rate per 256 images (Goyal et al., 2017).
pub fn scaled_to_batch(base_lr: f64, batch_size: usize) -> f64 {
    base_lr * batch_size as f64 / 256.0
}

/// Decay of the EMA copy: it rises with the epoch, then stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EmaDecay {
    /// In the first epoch.
    pub first: f64,
    /// After `epochs` epochs.
    pub last: f64,
    /// How long it rises.
    pub epochs: f64,
}

impl EmaDecay {
    /// As published: from 0.999 to 0.9999 over 100 epochs.
    pub const PUBLISHED: Self = Self {
        first: 0.999,
        last: 0.9999,
        epochs: 100.0,
    };

    /// The decay in an epoch, from 0.
    pub fn at(&self, epoch: u64) -> f64 {
        let progress = if self.epochs > 0.0 {
            (epoch as f64 / self.epochs).min(1.0)
        } else {
            1.0
        };
        self.first + (self.last - self.first) * progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(decay: Decay, epochs: [f64; 5]) -> [f64; 5] {
        let schedule = LrSchedule {
            peak: 0.02,
            min: 0.0,
            warmup_epochs: 2.0,
            warmup_start: 0.0,
            epochs: 12.0,
            decay,
            extended_to: Vec::new(),
        };
        epochs.map(|epoch| schedule.at(epoch))
    }

    #[test]
    fn a_warm_up_begins_where_it_is_told() {
        let schedule = LrSchedule {
            peak: 1e-4,
            min: 0.0,
            warmup_epochs: 250.0,
            warmup_start: 0.001,
            epochs: 1000.0,
            decay: Decay::Cosine,
            extended_to: Vec::new(),
        };
        for (at, share) in [(0.0, 0.001), (125.0, 0.5005), (250.0, 1.0)] {
            assert!((schedule.at(at) / 1e-4 - share).abs() < 1e-12, "{at}");
        }
    }

    #[test]
    fn a_longer_run_goes_through_its_schedule_again() {
        let mut schedule = LrSchedule {
            peak: 1.0,
            min: 0.125,
            warmup_epochs: 2.0,
            warmup_start: 0.0,
            epochs: 8.0,
            decay: Decay::Cosine,
            extended_to: Vec::new(),
        };
        let before: Vec<f64> = (0..80).map(|i| schedule.at(f64::from(i) / 10.0)).collect();
        schedule.extended_to = vec![12.0, 28.0];
        for (i, rate) in before.iter().enumerate() {
            let at = i as f64 / 10.0;
            assert_eq!(schedule.at(at), *rate, "the past stays as it was");
            assert!((schedule.at(8.0 + at / 2.0) - rate).abs() < 1e-12, "{at}");
            assert!((schedule.at(12.0 + at * 2.0) - rate).abs() < 1e-12, "{at}");
        }
        assert!((schedule.at(28.0) - 0.125).abs() < 1e-12);
    }

    fn near(found: [f64; 5], expected: [f64; 5]) {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
        }
    }

    #[test]
    fn the_ema_copy_slows_down_as_published_or_as_told() {
        let published = [0, 50, 100, 400].map(|epoch| EmaDecay::PUBLISHED.at(epoch));
        for (found, expected) in published.into_iter().zip([0.999, 0.99945, 0.9999, 0.9999]) {
            assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
        }
        let constant = EmaDecay {
            first: 0.9,
            last: 0.99,
            epochs: 0.0,
        };
        assert_eq!(constant.at(0), 0.99);
    }

    #[test]
    fn steps_and_polynomials_follow_the_same_warm_up() {
        let milestones = vec![8.0, 11.0];
        let steps = Decay::Steps {
            milestones,
            gamma: 0.1,
        };
        near(
            rates(steps, [1.0, 2.0, 7.9, 8.0, 11.5]),
            [0.01, 0.02, 0.02, 0.002, 0.0002],
        );
        let straight = Decay::Polynomial { power: 1.0 };
        near(
            rates(straight, [1.0, 2.0, 7.0, 11.0, 12.0]),
            [0.01, 0.02, 0.01, 0.002, 0.0],
        );
        let square = Decay::Polynomial { power: 2.0 };
        near(
            rates(square, [0.0, 2.0, 7.0, 11.0, 12.0]),
            [0.0, 0.02, 0.005, 0.0002, 0.0],
        );
    }
}
