//! Why a run could not start or go on.

use std::io;
use std::path::PathBuf;

use semaim::config::SizeError;
use semaim::parameters::WeightError;
use semaim_checkpoint::error::EncoderError;
use semaim_checkpoint::error::TensorFileError;
use semaim_config::ConfigErrors;
use semaim_data::SimilarityMapError;
use semaim_data::error::{DataError, LoaderError};
use semaim_kernels::NoBf16;
use semaim_tensorboard::EventError;

/// Why a run could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// Sizes that do not fit together.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// The data set cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The similarity maps that the order follows.
    #[error(transparent)]
    Maps(#[from] SimilarityMapError),
    /// Images could not be delivered.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// The device does not compute in the precision that was asked for.
    #[error("train.precision: {0}")]
    Precision(#[from] NoBf16),
    /// Fewer images than one step needs.
    #[error(
        "a batch of {batch_size} needs more images than the {images} there are; use more or `--set train.batch_size={images}`"
    )]
    TooFewImages {
        /// Images in the data set.
        images: usize,
        /// Images of one step.
        batch_size: usize,
    },
    /// Channels that no mean and standard deviation are usual for.
    #[error(
        "model.channels is {channels}: the usual mean and standard deviation (ImageNet's) mean nothing for so many channels; give \
         data.mean and data.std with {channels} values each, as `semaim stats --channels {channels} PATH` measures them"
    )]
    Unmeasured {
        /// How many there are.
        channels: usize,
    },
    /// Too large a share of the images cannot be read.
    #[error(
        "{bad} of the {seen} images seen so far cannot be read, more than data.max_bad_fraction = {allowed} allows; the latest: {latest}"
    )]
    TooManyBadImages {
        /// Images that could not be read.
        bad: u64,
        /// Images tried.
        seen: u64,
        /// The limit.
        allowed: f64,
        /// Name and error of one of them.
        latest: String,
    },
    /// A loss or gradient is not a finite number.
    #[error(
        "step {step}: the {what} is {value}. The weights before this step are saved in {saved}. A lower learning rate (--set optimizer.base_lr=…, into another --out) or {} usually cures this; `--on-nan skip` leaves such steps out and goes on",
        clipping(*clip_norm)
    )]
    NotFinite {
        /// The step that was not taken.
        step: u64,
        /// `loss` or `gradient norm`.
        what: &'static str,
        /// The value.
        value: f64,
        /// The largest gradient norm; 0: none.
        clip_norm: f64,
        /// Where the weights before the step are.
        saved: PathBuf,
    },
    /// Most steps of a run that leaves out what is not finite were left out.
    #[error(
        "after step {step}, {skipped} of the run's {total} steps have been left out, as their loss or gradient was not a finite number: \
         more than half, so what is left is no training. The weights are saved in {saved}. A lower learning rate (--set \
         optimizer.base_lr=…, into another --out) or {} usually cures this",
        clipping(*clip_norm)
    )]
    MostlySkipped {
        /// Steps done, those included.
        step: u64,
        /// Steps left out.
        skipped: u64,
        /// Steps of the schedule.
        total: u64,
        /// The largest gradient norm; 0: none.
        clip_norm: f64,
        /// Where the weights are.
        saved: PathBuf,
    },
    /// More processes than parts of a batch.
    #[error(
        "{ranks} processes, but train.grad_accum_steps is {parts}: each process needs a part of the batch. Start fewer processes, or a \
         new run with --set train.grad_accum_steps={ranks} (a divisor of train.batch_size)"
    )]
    ManyRanks {
        /// Processes.
        ranks: usize,
        /// Parts of a batch.
        parts: usize,
    },
    /// A teacher of images with other channels.
    #[error("{path} is a teacher for images of {teacher} channels, the model's have {student}")]
    TeacherChannels {
        /// The teacher's file.
        path: PathBuf,
        /// Its channels.
        teacher: usize,
        /// The model's.
        student: usize,
    },
    /// Another teacher than the run began with.
    #[error(
        "{path} is not the teacher that the run in {run} began with: it has other weights or is read otherwise; a new run needs another directory"
    )]
    Teacher {
        /// The teacher's file.
        path: PathBuf,
        /// The run directory.
        run: PathBuf,
    },
    /// More blocks to freeze than the encoder has.
    #[error("train.freeze_blocks is {blocks}, the encoder has {depth} blocks")]
    FrozenBlocks {
        /// Blocks that are to stay as they are.
        blocks: usize,
        /// Blocks there are.
        depth: usize,
    },
    /// Weights to start from that are not of the network that the settings describe.
    #[error("{key} is {set}, the encoder in {path} has {found}")]
    OtherNetwork {
        /// The file of the weights.
        path: PathBuf,
        /// The setting.
        key: &'static str,
        /// Its value.
        set: String,
        /// What the weights have.
        found: String,
    },
    /// The folder is used by another process.
    #[error("{path} is in use by another semaim process")]
    RunInUse {
        /// The run directory.
        path: PathBuf,
    },
    /// The folder belongs to another experiment.
    #[error("{path} holds another experiment; it differs in {differences}. {advice}")]
    OtherExperiment {
        /// The run directory.
        path: PathBuf,
        /// Keys and both values.
        differences: String,
        /// What can be done.
        advice: &'static str,
    },
    /// A file of the run directory that cannot be understood.
    #[error("{path}: {message}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The folder holds something that is not a run.
    #[error("{path} is not empty and holds no run (no config.toml); give another --out")]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// The data set changed since the checkpoint was written.
    #[error(
        "the data set has {now} images, the checkpoint was written with {then}; a run can only go on with the data it began with"
    )]
    DataChanged {
        /// Images when the checkpoint was written.
        then: u64,
        /// Images now.
        now: u64,
    },
    /// The data set holds as many images as it did, but others, or with other labels.
    #[error(
        "the data set still has {images} images, but not as they were for the checkpoint: {what}; a run can only go on with the data it began with"
    )]
    OtherImages {
        /// How many images.
        images: u64,
        /// What is not what it was, in words.
        what: &'static str,
    },
    /// No checkpoint of the run can be read.
    #[error("no checkpoint in {path} can be read: {reasons}")]
    NoGoodCheckpoint {
        /// The folder of checkpoints.
        path: PathBuf,
        /// Each file with what is wrong.
        reasons: String,
    },
    /// A file or folder of the run directory.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried: `writing`, `creating` …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] TensorFileError),
    /// An encoder could not be written.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// Weights could not be moved between the host and the device.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// TensorBoard events could not be written.
    #[error(transparent)]
    Events(#[from] EventError),
    /// An evaluation during the run.
    #[error("evaluating at step {step}: {source}")]
    Evaluation {
        /// Steps done.
        step: u64,
        /// What it met.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something that should be impossible.
    #[error("{0}")]
    Internal(String),
}

/// How gradients are to be clipped that were clipped to this norm, or not at all.
fn clipping(clip_norm: f64) -> &'static str {
    match clip_norm > 0.0 {
        true => "a lower train.clip_norm",
        false => "clipping (set train.clip_norm, which is 0: off)",
    }
}

impl TrainError {
    /// Makes an error of what an evaluation met after `step` steps.
    pub fn evaluation(step: u64) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> Self {
        move |source| Self::Evaluation { step, source }
    }

    /// Whether the cause is what was given: settings, data, weights, the disk. Otherwise the program or a device is at fault.
    pub fn is_the_users(&self) -> bool {
        !matches!(
            self,
            Self::Weights(WeightError::Device { .. })
                | Self::Encoder(EncoderError::Weights(_))
                | Self::Evaluation { .. }
                | Self::Internal(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_clipped_is_not_to_be_clipped_lower() {
        let advice = |clip_norm| {
            let stopped = TrainError::NotFinite {
                step: 3,
                what: "loss",
                value: f64::NAN,
                clip_norm,
                saved: PathBuf::from("step-000000002.safetensors"),
            };
            stopped.to_string()
        };
        let clipped = advice(3.0);
        assert!(clipped.contains("or a lower train.clip_norm"), "{clipped}");
        let unclipped = advice(0.0);
        assert!(unclipped.contains("set train.clip_norm"), "{unclipped}");
        assert!(!unclipped.contains("a lower train.clip"), "{unclipped}");
    }
}
