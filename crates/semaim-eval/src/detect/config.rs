//! Everything that can be set of a detector's training, with its default; `check` says what is allowed.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use semaim_checkpoint::weights_source::WeightsSource;
use semaim_config::{Problems, RenamedKey, Validate};
use semaim_data::{Augment, Framing, LARGE_SCALE_JITTER, Normalization};
use semaim_detect::config::DetectorConfig;
use semaim_train::config::{
    CheckpointConfig, LogConfig, OptimizerConfig, RunSettings, TrainConfig, unused_counts,
    unused_of_own,
};
use semaim_train::run_dir::RunConfig;
use semaim_train::schedule::ScheduleKind;
use serde::{Deserialize, Serialize};

use super::DetectRunError;
use super::data::ObjectDataConfig;
use super::file::{DetectorFile, Detectron2Config, ToldDetector};
use crate::finetune::config::EMA;
use crate::on_encoder::OnEncoder;
use crate::run_start::{StartError, StartingEncoder, has_begun};
use crate::views::are_generated;

/// Settings of an encoder that learns.
const LEARNING: &[&str] = &[
    "layer_decay",
    "train.drop_path",
    "train.freeze_blocks",
    RECOMPUTE,
];
const RECOMPUTE: &str = "train.recompute";

/// One training of a detector. The defaults are ViTDet's published recipe for ViT-B, but for the batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectConfig {
    /// Seed of every random draw.
    pub seed: u64,
    /// Learning rate of a layer over that of the layer above it, in (0, 1].
    pub layer_decay: f64,
    /// Whether only the encoder's sizes are used and its weights drawn anew: what pre-training is compared with.
    pub from_scratch: bool,
    /// Whether the encoder stays as it is, without drop path, and pyramid and heads alone learn.
    pub freeze: bool,
    /// Whether of a detector in `encoder.weights` the encoder alone is taken, and not all of it is trained on.
    pub encoder_only: bool,
    /// Where the encoder comes from, or the detector that is trained on.
    pub encoder: WeightsSource,
    /// What a detector of detectron2's does not say.
    pub detectron2: Detectron2Config,
    /// The images and their objects.
    pub data: ObjectDataConfig,
    /// How training images are shown.
    pub jitter: JitterConfig,
    /// The detector.
    pub detector: DetectorConfig,
    /// The run.
    pub train: TrainConfig,
    /// The update.
    pub optimizer: OptimizerConfig,
    /// Evaluation during the run.
    pub eval: DetectEvalConfig,
    /// What is kept on the disk.
    pub checkpoint: CheckpointConfig,
    /// What is logged.
    pub log: LogConfig,
}

impl Default for DetectConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            layer_decay: 0.7,
            from_scratch: false,
            freeze: false,
            encoder_only: false,
            encoder: WeightsSource::default(),
            detectron2: Detectron2Config::default(),
            data: ObjectDataConfig::default(),
            jitter: JitterConfig::default(),
            detector: DetectorConfig::default(),
            train: TrainConfig {
                epochs: 100,
                batch_size: 16,
                clip_norm: 0.0,
                drop_path: 0.1,
                ..TrainConfig::default()
            },
            optimizer: OptimizerConfig {
                // 1e-4 for 64 images.
                base_lr: 4e-4,
                min_lr: 0.0,
                // 250 of 184,375 steps, and eight and 26/3 ninths of them.
                warmup_epochs: 0.1356,
                warmup_start: 0.001,
                schedule: ScheduleKind::Steps,
                milestones: vec![88.889, 96.296],
                gamma: 0.1,
                weight_decay: 0.1,
                betas: [0.9, 0.999],
                ..OptimizerConfig::default()
            },
            eval: DetectEvalConfig::default(),
            checkpoint: CheckpointConfig::default(),
            log: LogConfig::default(),
        }
    }
}

/// Large-scale jitter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JitterConfig {
    /// Smallest and largest size of a training image, where 1 fits it into the canvas; above 0.
    pub scale: [f64; 2],
    /// Probability of mirroring, in [0, 1].
    pub flip: f64,
}

impl Default for JitterConfig {
    fn default() -> Self {
        Self {
            scale: LARGE_SCALE_JITTER,
            flip: 0.5,
        }
    }
}

/// Evaluation during the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectEvalConfig {
    /// Epochs between evaluations; 0: only after the run.
    pub every_epochs: u64,
    /// Images per forward pass.
    pub batch_size: usize,
    /// The most images of an evaluation, spread evenly over the set; 0: all.
    pub images: usize,
    /// Images for the pictures of truth and prediction; 0: none.
    pub pictures: usize,
    /// The least score of what those pictures show, in [0, 1].
    pub picture_score: f64,
}

impl Default for DetectEvalConfig {
    fn default() -> Self {
        Self {
            every_epochs: 5,
            batch_size: 4,
            images: 0,
            pictures: 8,
            picture_score: 0.5,
        }
    }
}

impl RunConfig for DetectConfig {
    fn data_sets(&mut self) -> Vec<&mut String> {
        vec![&mut self.data.path, &mut self.data.eval]
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        let data = &mut self.data;
        vec![
            &mut self.encoder.weights,
            &mut self.detectron2.classes,
            &mut data.annotations,
            &mut data.images,
            &mut data.eval_annotations,
            &mut data.eval_images,
        ]
    }

    fn unset() -> Option<Self> {
        Some(Self::default())
    }
}

impl DetectConfig {
    /// What the trainer reads.
    pub fn run(&self) -> RunSettings<'_> {
        RunSettings {
            seed: self.seed,
            loading: self.data.loading(),
            train: &self.train,
            optimizer: &self.optimizer,
            evaluate_every_epochs: self.eval.every_epochs,
            checkpoint: &self.checkpoint,
            log: &self.log,
        }
    }

    /// The keys of settings that are not at their defaults and that training does not look at, each with the reason.
    pub fn unused(&self) -> Vec<(&'static str, &'static str)> {
        let mut all = self.optimizer.unused();
        all.push((EMA, "a detector has no EMA copy"));
        if self.freeze {
            all.push((LEARNING, "freeze is true"));
        }
        if self.detector.attention.relative_positions && !self.freeze {
            // Such a block is composed, and keeps everything.
            let why = "detector.attention.relative_positions is true";
            all.push((&[RECOMPUTE], why));
        }
        if self.from_scratch {
            all.push((&["encoder_only"], "from_scratch is true"));
        }
        if self.detector.attention.window == 0 {
            let why = "detector.attention.window is 0";
            all.push((&["detector.attention.global_blocks"], why));
        }
        let [trained, evaluated] = self.generated();
        all.extend(unused_counts(trained, evaluated));
        if self.eval.pictures == 0 {
            all.push((&["eval.picture_score"], "eval.pictures is 0"));
        }
        unused_of_own(self, all)
    }

    /// Whether the images that are trained on and those that are evaluated are generated.
    fn generated(&self) -> [bool; 2] {
        let data = &self.data;
        let files = [&data.annotations, &data.eval_annotations];
        are_generated(&data.path, &data.eval, &files)
    }

    /// The whole detector that `encoder.weights` names; `None` where it names an encoder.
    ///
    /// # Errors
    /// A detector that cannot be read, and ways of reading encoders that are told of it.
    pub(super) fn starting_detector(&self) -> Result<Option<DetectorFile>, DetectRunError> {
        let all = ToldDetector::by(&self.detector, &self.detectron2);
        let encoder_only = self.encoder_only || self.from_scratch;
        let told = ToldDetector {
            num_heads: self.encoder.num_heads,
            // The anchors of the new detector are not those of the one whose encoder is taken.
            anchors: all.anchors.clone().filter(|_| !encoder_only),
            encoder_only,
            ..all
        };
        let Some(found) = DetectorFile::read(&self.encoder.weights, &told)? else {
            return Ok(None);
        };
        let WeightsSource {
            layout,
            activation,
            allow_partial,
            image_size,
            ..
        } = &self.encoder;
        for (given, key) in [
            (layout.is_some(), "layout"),
            (activation.is_some(), "activation"),
            (*allow_partial, "allow_partial"),
            (image_size.is_some(), "image_size"),
        ] {
            if given {
                return Err(DetectRunError::NotOfADetector {
                    path: found.path,
                    key,
                });
            }
        }
        Ok(Some(found))
    }

    /// The encoder that `encoder.weights` names, where that is no detector.
    ///
    /// # Errors
    /// An encoder that cannot be read, and what a new run is told of a detector that it does not begin with.
    pub(super) fn starting_encoder(
        &self,
        run: &Path,
        device: &Device,
    ) -> Result<StartingEncoder, DetectRunError> {
        let start = StartingEncoder::read(&self.encoder, run, device)?;
        if let Some(key) = self.detectron2.given()
            && !has_begun(run).map_err(StartError::from)?
        {
            return Err(DetectRunError::NoDetector {
                path: self.encoder.weights.clone(),
                key,
            });
        }
        Ok(match self.encoder.image_size {
            Some(size) => start.resized(size)?,
            None => start,
        })
    }

    /// How images are shown in training: as the encoder learned to see them, jittered.
    pub(super) fn augment(&self, normalization: &Normalization) -> Augment {
        Augment {
            normalization: normalization.clone(),
            flip: self.jitter.flip,
            framing: Framing::Canvas {
                scale: self.jitter.scale,
            },
            ..Augment::on_canvas([self.detector.canvas; 2], normalization.mean.len())
        }
    }
}

impl Validate for DetectConfig {
    fn check(&self, problems: &mut Problems) {
        self.run().check(problems);
        OnEncoder {
            layer_decay: self.layer_decay,
            encoder: &self.encoder,
            freeze: self.freeze,
            from_scratch: self.from_scratch,
            train: &self.train,
            ema_unused: "by detectors",
        }
        .check(problems);
        problems.within("detectron2", |problems| self.detectron2.check(problems));
        problems.within("data", |problems| self.data.check(problems));
        problems.within("jitter", |problems| {
            problems.in_range("flip", self.jitter.flip, 0.0..=1.0);
            let [low, high] = self.jitter.scale;
            problems.require(
                low > 0.0 && low <= high && high <= 100.0,
                "scale",
                format!("must be two rising numbers above 0, at most 100, is [{low}, {high}]"),
            );
        });
        if let Err(refused) = self.detector.validate_alone() {
            problems.add(format!("detector.{}", refused.key), refused.message);
        }
        problems.in_range("detector.canvas", self.detector.canvas, ..=8_192);
        problems.in_range("eval.batch_size", self.eval.batch_size, 1..=65_536);
        problems.in_range("eval.pictures", self.eval.pictures, ..=64);
        problems.in_range("eval.picture_score", self.eval.picture_score, 0.0..=1.0);
    }

    fn optional_keys() -> &'static [&'static str] {
        &["detector.attention.global_blocks"]
    }

    fn renamed_keys() -> Vec<RenamedKey> {
        RunSettings::renamed_keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_config::Layers;
    use semaim_train::run_dir::{DataPlace, RunDir};

    #[test]
    fn what_the_training_of_a_detector_does_not_look_at_is_named() {
        let unused = |settings: &[&str]| -> Vec<&str> {
            let given = ["encoder.weights=x", "data.path=shapes"];
            let layers = Layers::new().sets([&given, settings].concat()).unwrap();
            let config: DetectConfig = layers.load().unwrap();
            config.unused().into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(unused(&[]), [""; 0]);
        // Its schedule has steps.
        assert_eq!(unused(&["optimizer.gamma=0.5"]), [""; 0]);
        let cosine = ["optimizer.schedule=cosine", "optimizer.milestones=[]"];
        assert_eq!(
            unused(&[&cosine[..], &["optimizer.gamma=0.5"]].concat()),
            ["optimizer.gamma"]
        );
        let learning = ["layer_decay=0.5", "train.drop_path=0.2"];
        assert_eq!(unused(&learning), [""; 0]);
        assert_eq!(
            unused(&[&learning[..], &["freeze=true"]].concat()),
            ["layer_decay", "train.drop_path"]
        );
        assert_eq!(unused(&["train.ema_epochs=3"]), ["train.ema_epochs"]);
        let blocks = "detector.attention.global_blocks=[1]";
        assert_eq!(unused(&[blocks]), [""; 0]);
        assert_eq!(
            unused(&[blocks, "detector.attention.window=0"]),
            ["detector.attention.global_blocks"]
        );
        assert_eq!(
            unused(&["encoder_only=true", "from_scratch=true"]),
            ["encoder_only"]
        );
        assert_eq!(
            unused(&["eval.picture_score=0.25", "eval.pictures=0"]),
            ["eval.picture_score"]
        );
        let counts = ["data.shapes_count=7", "data.shapes_eval_count=8"];
        let with = |settings: &[&str]| unused(&[&counts[..], settings].concat());
        assert_eq!(with(&[]), [""; 0]);
        assert_eq!(with(&["data.eval=photos"]), ["data.shapes_eval_count"]);
        assert_eq!(
            with(&["data.path=photos", "data.eval=shapes"]),
            ["data.shapes_count"]
        );
        assert_eq!(
            with(&["data.path=''", "data.annotations=a.json"]),
            ["data.shapes_count", "data.shapes_eval_count"]
        );
    }

    #[test]
    fn all_that_names_data_may_have_moved() {
        let folder = tempfile::tempdir().unwrap();
        let at = |place: &str| {
            let mut config = DetectConfig::default();
            for (number, set) in config.data_sets().into_iter().enumerate() {
                *set = format!("/{place}/{number}");
            }
            // The encoder is no data.
            for (number, file) in config.files().into_iter().enumerate().skip(1) {
                *file = format!("/{place}/{number}.json").into();
            }
            config
        };
        let open = |place: &str, data| RunDir::open(folder.path(), &at(place), data);
        drop(open("then", DataPlace::Recorded).unwrap());
        let refused = open("now", DataPlace::Recorded).unwrap_err().to_string();
        assert!(refused.contains("--data-moved"), "{refused}");
        open("now", DataPlace::Moved).unwrap();
    }
}
