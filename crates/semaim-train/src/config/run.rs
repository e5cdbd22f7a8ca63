//! What every training run sets, whatever it trains.

use semaim_config::RenamedKey;
use semaim_data::counted;
use semaim_kernels::{Precision, Recompute};
use serde::{Deserialize, Serialize};

use super::data::Loading;
use crate::optimizer::{Optimizer, UpdateRule};
use crate::param_groups::ParamGroups;
use crate::schedule::{Decay, EmaDecay, LrSchedule, ScheduleKind, scaled_to_batch};

/// What to do about a loss or gradient that is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNan {
    /// Save the last good weights and stop.
    #[default]
    Stop,
    /// Leave the step out, count it and go on.
    Skip,
}

/// The run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the images.
    pub epochs: u64,
    /// Ends of the parts by which a run was lengthened (`--extend`), in epochs from its start, rising, all above `epochs`. In
    /// each of them the learning rate goes through warm-up and fall again, stretched or squeezed to its length.
    pub extended_to: Vec<u64>,
    /// Images per optimizer step.
    pub batch_size: usize,
    /// Parts that a batch is computed in, one after the other to save memory, or by several processes; divides `batch_size`.
    pub grad_accum_steps: usize,
    /// What the backward pass computes again to save memory: `none`, the hidden layers of the MLPs (`mlp`), or all of
    /// each block (`block`). The results are the same to the bit. Only the fused operations of the CPU do this.
    pub recompute: Recompute,
    /// In which numbers the matrix products of blocks, linear layers and MLPs are formed in training: `f32` or `bf16`. Weights,
    /// optimizer, norms, softmax, losses and convolutions are `f32` either way, and so is evaluation.
    pub precision: Precision,
    /// Largest gradient norm; larger gradients are scaled down. 0: no clipping.
    pub clip_norm: f64,
    /// Blocks of the encoder, from the first, that stay as they are, with the embedding before them; 0: all learns.
    pub freeze_blocks: usize,
    /// Probability of leaving out a residual branch of the last block, in [0, 1).
    pub drop_path: f64,
    /// Whether an EMA copy is kept.
    pub ema: bool,
    /// Decay of the EMA copy in the first epoch and after `ema_epochs`.
    pub ema_decay: [f64; 2],
    /// Epochs over which its decay rises; as published 100, whatever the length of the run.
    pub ema_epochs: f64,
    /// What to do about a loss or gradient that is not finite. Devices other than the CPU leave such steps out at once and tell of
    /// them with the next line of the log.
    pub on_nan: OnNan,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 20,
            extended_to: Vec::new(),
            batch_size: 64,
            grad_accum_steps: 1,
            recompute: Recompute::None,
            precision: Precision::F32,
            clip_norm: 3.0,
            freeze_blocks: 0,
            drop_path: 0.0,
            ema: false,
            ema_decay: [EmaDecay::PUBLISHED.first, EmaDecay::PUBLISHED.last],
            ema_epochs: EmaDecay::PUBLISHED.epochs,
            on_nan: OnNan::Stop,
        }
    }
}

/// The update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Peak learning rate per 256 images of the batch.
    pub base_lr: f64,
    /// Learning rate at the end; with steps, the least one.
    pub min_lr: f64,
    /// Length of the linear warm-up in epochs.
    pub warmup_epochs: f64,
    /// Share of the peak rate that the warm-up begins at, in [0, 1].
    pub warmup_start: f64,
    /// How the rate falls after that: `cosine`, `steps` or `polynomial`.
    pub schedule: ScheduleKind,
    /// Epochs at which the rate falls, rising, for `schedule = "steps"`.
    pub milestones: Vec<f64>,
    /// What the rate is multiplied by at each of them.
    pub gamma: f64,
    /// The power of `schedule = "polynomial"`; 1: a straight line.
    pub power: f64,
    /// Decoupled weight decay; biases and norms have none.
    pub weight_decay: f64,
    /// Decay of AdamW's running means.
    pub betas: [f64; 2],
    /// AdamW's epsilon.
    pub epsilon: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            base_lr: 4e-3,
            min_lr: 0.0,
            warmup_epochs: 2.0,
            warmup_start: 0.0,
            schedule: ScheduleKind::Cosine,
            milestones: Vec::new(),
            gamma: 0.1,
            power: 1.0,
            weight_decay: 0.05,
            betas: [0.9, 0.95],
            epsilon: 1e-8,
        }
    }
}

/// What is kept on the disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Longest time without a checkpoint, in minutes.
    pub every_minutes: f64,
    /// Steps between checkpoints; 0: by time, and at the end of the run.
    pub every_steps: u64,
    /// Keep the checkpoint of every n-th epoch beside the newest two; 0: only the newest two.
    pub keep_every_epochs: u64,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            every_minutes: 5.0,
            every_steps: 0,
            keep_every_epochs: 0,
        }
    }
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Steps between lines of `metrics.jsonl`; devices other than the CPU are asked for losses no more often.
    pub every_steps: u64,
    /// Whether TensorBoard event files are written.
    pub tensorboard: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            every_steps: 10,
            tensorboard: true,
        }
    }
}

/// Keys that may change when a run goes on: they change neither what it computes nor what an evaluation comes to (on devices other than the
/// CPU the steps that are left out by `on_nan = "skip"` are known when `log.every_steps` has it). Of `eval` those
/// alone that say when, in what batches, and what is drawn: a curve is of one measure from its beginning to its end.
pub const RESUMABLE_KEYS: &[&str] = &[
    "data.workers",
    "data.queue",
    "data.max_bad_fraction",
    "eval.every_epochs",
    "eval.batch_size",
    "eval.pictures",
    "eval.picture_score",
    "teacher_cache",
    "feature_cache_mb",
    "checkpoint",
    "log",
    "train.on_nan",
];

impl TrainConfig {
    /// Passes over the images, those by which the run was lengthened among them.
    pub fn total_epochs(&self) -> u64 {
        self.extended_to.last().copied().unwrap_or(self.epochs)
    }

    /// Images per forward and backward pass.
    pub fn micro_batch(&self) -> usize {
        self.batch_size / self.grad_accum_steps.max(1)
    }
}

impl TrainConfig {
    /// Decay of the EMA copy over the run.
    pub fn ema_decay(&self) -> EmaDecay {
        let [first, last] = self.ema_decay;
        EmaDecay {
            first,
            last,
            epochs: self.ema_epochs,
        }
    }
}

impl OptimizerConfig {
    /// AdamW before its first step.
    pub fn adamw(&self, param_groups: ParamGroups) -> Optimizer {
        let (betas, epsilon) = (self.betas, self.epsilon);
        Optimizer::new(UpdateRule::AdamW { betas, epsilon }, param_groups)
    }

    fn decay(&self) -> Decay {
        match self.schedule {
            ScheduleKind::Cosine => Decay::Cosine,
            ScheduleKind::Steps => Decay::Steps {
                milestones: self.milestones.clone(),
                gamma: self.gamma,
            },
            ScheduleKind::Polynomial => Decay::Polynomial { power: self.power },
        }
    }
}

/// Steps of an epoch below which a smaller batch learns more from the same images.
const FEW_STEPS: u64 = 8;

/// The tables of a configuration that a [trainer](crate::trainer) reads, whatever it trains.
#[derive(Clone, Copy, Debug)]
pub struct RunSettings<'a> {
    /// Seed of every random draw.
    pub seed: u64,
    /// The table `data`.
    pub loading: Loading,
    /// The run.
    pub train: &'a TrainConfig,
    /// The update.
    pub optimizer: &'a OptimizerConfig,
    /// Epochs between evaluations; 0: only before and after.
    pub evaluate_every_epochs: u64,
    /// What is kept on the disk.
    pub checkpoint: &'a CheckpointConfig,
    /// What is logged.
    pub log: &'a LogConfig,
}

impl RunSettings<'_> {
    /// The learning rate over the run.
    pub fn lr_schedule(&self) -> LrSchedule {
        LrSchedule {
            peak: scaled_to_batch(self.optimizer.base_lr, self.train.batch_size),
            min: self.optimizer.min_lr,
            warmup_epochs: self.optimizer.warmup_epochs,
            warmup_start: self.optimizer.warmup_start,
            epochs: self.train.epochs as f64,
            decay: self.optimizer.decay(),
            extended_to: self
                .train
                .extended_to
                .iter()
                .map(|&end| end as f64)
                .collect(),
        }
    }

    /// What to say of a run on so many images that takes few steps per epoch, and what can be set; `None` where there are
    /// enough.
    pub fn few_steps(&self, images: usize) -> Option<String> {
        let train = self.train;
        let per_epoch = (images / train.batch_size.max(1)) as u64;
        let batch = 1_usize << (images as u64 / (2 * FEW_STEPS)).max(1).ilog2();
        if per_epoch >= FEW_STEPS || batch >= train.batch_size {
            return None;
        }
        let warm_up = self.optimizer.warmup_epochs * per_epoch as f64;
        let whole = if train.grad_accum_steps > 1 {
            " --set train.grad_accum_steps=1"
        } else {
            ""
        };
        Some(format!(
            "{} per epoch, {} in all, {warm_up:.0} of them warm-up: few for this method; --set train.batch_size={batch}{whole} \
             makes {} per epoch of these images, --set train.epochs=N more epochs",
            counted(per_epoch, "step"),
            per_epoch * train.total_epochs(),
            images / batch,
        ))
    }

    /// Keys of these tables that once had another name.
    pub fn renamed_keys() -> Vec<RenamedKey> {
        vec![
            RenamedKey::new("train.accumulate", "train.grad_accum_steps"),
            RenamedKey::new("optimiser", "optimizer"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::config::PretrainConfig;

    #[test]
    fn few_steps_are_said_with_what_to_set() {
        let mut config = PretrainConfig::default();
        config.train.batch_size = 2048;
        config.train.grad_accum_steps = 32;
        config.train.epochs = 100;
        config.optimizer.warmup_epochs = 30.0;
        let said = config.run().few_steps(3_068).unwrap();
        assert_eq!(
            said,
            "1 step per epoch, 100 in all, 30 of them warm-up: few for this method; --set train.batch_size=128 \
             --set train.grad_accum_steps=1 makes 23 per epoch of these images, --set train.epochs=N more epochs"
        );
        config.train.batch_size = 128;
        assert_eq!(config.run().few_steps(3_068), None);
        // Eight images make no more steps than one each.
        config.train.batch_size = 1;
        assert_eq!(config.run().few_steps(7), None);
    }
}
