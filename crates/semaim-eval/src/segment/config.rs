//! Everything that can be set of a segmenter's training, with its default; `check` says what is allowed.

use std::path::PathBuf;

use semaim_checkpoint::weights_source::WeightsSource;
use semaim_config::{Problems, RenamedKey, Validate};
use semaim_data::{Augment, Framing, Normalization, PhotometricDistortion, SEGMENTATION_SCALE};
use semaim_segment::config::{
    HeadKind, InferenceConfig, InferenceMode, SegmenterConfig, UperNetConfig,
};
use semaim_train::config::{
    CheckpointConfig, LogConfig, OptimizerConfig, RunSettings, TrainConfig, unused_counts,
    unused_of_own,
};
use semaim_train::run_dir::RunConfig;
use semaim_train::schedule::ScheduleKind;
use serde::{Deserialize, Serialize};

use super::data::LabelDataConfig;
use super::segmenter::TestSize;
use crate::finetune::config::EMA;
use crate::on_encoder::OnEncoder;
use crate::views::are_generated;

/// Settings of UPerNet.
const UPERNET: &[&str] = &[
    "upernet.taps",
    "upernet.pool_scales",
    "upernet.channels",
    "upernet.auxiliary_channels",
    "upernet.auxiliary_weight",
];
/// Settings of an encoder that learns.
const LEARNING: &[&str] = &[
    "layer_decay",
    "train.drop_path",
    "train.freeze_blocks",
    "train.recompute",
];
/// Settings of the changes of colors.
const PHOTOMETRIC: &[&str] = &[
    "augment.brightness",
    "augment.contrast",
    "augment.saturation",
    "augment.hue",
];
/// Settings of views that are cut.
const CUTS: &[&str] = &[
    "augment.short_side",
    "augment.scale",
    "augment.max_class_share",
];

/// One training of a segmenter. The defaults are the published recipe of UPerNet on masked autoencoders (ViT-B, ADE20K).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentConfig {
    /// Seed of every random draw.
    pub seed: u64,
    /// Learning rate of a layer over that of the layer above it, in (0, 1].
    pub layer_decay: f64,
    /// Whether only the encoder's sizes are used and its weights drawn anew: what pre-training is compared with.
    pub from_scratch: bool,
    /// Whether the encoder stays as it is, without drop path, and the head alone learns.
    pub freeze: bool,
    /// The most memory in MB for what a frozen encoder gives of training images, each of which it then sees once; 0: none. Only
    /// where views do not change from epoch to epoch but for mirroring: `augment.view = "whole"` and no `augment.photometric`.
    pub feature_cache_mb: usize,
    /// What stands on the encoder: `linear` or `upernet`.
    pub head: HeadKind,
    /// UPerNet; the linear head has no settings.
    pub upernet: UperNetConfig,
    /// Where the encoder comes from.
    pub encoder: WeightsSource,
    /// The images and the classes of their pixels.
    pub data: LabelDataConfig,
    /// How training images are shown.
    pub augment: SegmentAugmentConfig,
    /// The run.
    pub train: TrainConfig,
    /// The update.
    pub optimizer: OptimizerConfig,
    /// Evaluation during the run, and how the finished segmenter sees images.
    pub eval: SegmentEvalConfig,
    /// What is kept on the disk.
    pub checkpoint: CheckpointConfig,
    /// What is logged.
    pub log: LogConfig,
}

impl Default for SegmentConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            layer_decay: 0.65,
            from_scratch: false,
            freeze: false,
            feature_cache_mb: 2048,
            head: HeadKind::default(),
            upernet: UperNetConfig::default(),
            encoder: WeightsSource::default(),
            data: LabelDataConfig::default(),
            augment: SegmentAugmentConfig::default(),
            train: TrainConfig {
                // 160,000 steps of 16 of 20,210 images.
                epochs: 127,
                batch_size: 16,
                clip_norm: 0.0,
                drop_path: 0.1,
                ..TrainConfig::default()
            },
            optimizer: OptimizerConfig {
                // 1e-4 for 16 images.
                base_lr: 1.6e-3,
                min_lr: 0.0,
                // 1,500 steps.
                warmup_epochs: 1.1876,
                warmup_start: 1e-6,
                schedule: ScheduleKind::Polynomial,
                power: 1.0,
                weight_decay: 0.05,
                betas: [0.9, 0.999],
                ..OptimizerConfig::default()
            },
            eval: SegmentEvalConfig::default(),
            checkpoint: CheckpointConfig::default(),
            log: LogConfig::default(),
        }
    }
}

/// Which part of an image is trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainingView {
    /// A cut at a drawn scale and place.
    #[default]
    Crop,
    /// All of it, as large as fits; the rest is padding, which is ignored.
    Whole,
}

/// How training images are shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentAugmentConfig {
    /// Side in pixels of the square that is trained on; a multiple of the encoder's patch size.
    pub crop: usize,
    /// Which part of an image it shows: `crop` or `whole`.
    pub view: TrainingView,
    /// What the short side of an image is resized to at the scale 1, for `view = "crop"`; 0: `crop`.
    pub short_side: usize,
    /// Smallest and largest scale, for `view = "crop"`; above 0.
    pub scale: [f64; 2],
    /// The share of a cut that one class may have, in (0, 1]: of ten cuts the first is taken of which no class has as much.
    pub max_class_share: f64,
    /// Probability of mirroring, in [0, 1].
    pub flip: f64,
    /// Whether brightness, contrast, saturation and hue are changed, each of them in every second view.
    pub photometric: bool,
    /// The most that is added to values of 0 to 255, or taken from them.
    pub brightness: f64,
    /// Smallest and largest factor on values.
    pub contrast: [f64; 2],
    /// Smallest and largest factor on saturations.
    pub saturation: [f64; 2],
    /// The most that hues are turned by, in degrees.
    pub hue: f64,
}

impl Default for SegmentAugmentConfig {
    fn default() -> Self {
        let PhotometricDistortion {
            brightness,
            contrast,
            saturation,
            hue,
        } = PhotometricDistortion::default();
        Self {
            crop: 512,
            view: TrainingView::Crop,
            short_side: 0,
            scale: SEGMENTATION_SCALE,
            max_class_share: 0.75,
            flip: 0.5,
            photometric: true,
            brightness,
            contrast,
            saturation,
            hue,
        }
    }
}

/// Evaluation during the run, and how images are seen in testing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentEvalConfig {
    /// Epochs between evaluations; 0: only after the run.
    pub every_epochs: u64,
    /// The most images of an evaluation, spread evenly over the set; 0: all.
    pub images: usize,
    /// Images for the pictures of truth and prediction; 0: none.
    pub pictures: usize,
    /// What the short side of an image is resized to; 0: that of training, with `augment.view = "whole"` not looked at.
    pub short_side: usize,
    /// What the long side is resized to instead; 0: with `augment.view = "whole"` `augment.crop`, otherwise not looked at.
    pub long_side: usize,
    /// Whether images are seen `whole` or through a window that slides over them (`slide`).
    pub mode: InferenceMode,
    /// Side in pixels of the window; 0: `augment.crop`.
    pub crop: usize,
    /// Pixels between windows; 0: two thirds of the window.
    pub stride: usize,
    /// Whether mirror images are seen as well.
    pub flip: bool,
    /// Sizes in which images are seen, as factors.
    pub scales: Vec<f64>,
}

impl Default for SegmentEvalConfig {
    fn default() -> Self {
        Self {
            every_epochs: 5,
            images: 0,
            pictures: 8,
            short_side: 0,
            long_side: 0,
            mode: InferenceMode::Slide,
            crop: 0,
            stride: 0,
            flip: false,
            scales: vec![1.0],
        }
    }
}

impl RunConfig for SegmentConfig {
    fn data_sets(&mut self) -> Vec<&mut String> {
        vec![&mut self.data.path, &mut self.data.eval]
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        let data = &mut self.data;
        vec![
            &mut self.encoder.weights,
            &mut data.annotations,
            &mut data.images,
            &mut data.labels,
            &mut data.eval_annotations,
            &mut data.eval_images,
            &mut data.eval_labels,
            &mut data.classes,
        ]
    }

    fn unset() -> Option<Self> {
        Some(Self::default())
    }
}

/// A number, or another where it is 0.
fn or(number: usize, usual: usize) -> usize {
    if number == 0 { usual } else { number }
}

impl SegmentConfig {
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

    /// The keys of settings that are not at their defaults and that neither training nor evaluation looks at, each with the reason.
    pub fn unused(&self) -> Vec<(&'static str, &'static str)> {
        let mut all = self.optimizer.unused();
        all.push((EMA, "a segmenter has no EMA copy"));
        match self.head {
            HeadKind::Linear => all.push((UPERNET, "head is `linear`")),
            HeadKind::Upernet if self.upernet.auxiliary_weight == 0.0 => {
                let why = "upernet.auxiliary_weight is 0";
                all.push((&["upernet.auxiliary_channels"], why));
            }
            HeadKind::Upernet => {}
        }
        match self.freeze {
            true => all.push((LEARNING, "freeze is true")),
            false => all.push((&["feature_cache_mb"], "freeze is false")),
        }
        let why =
            "but for a position table that does not tell its own size: images are of augment.crop";
        all.push((&["encoder.image_size"], why));
        if !self.augment.photometric {
            all.push((PHOTOMETRIC, "augment.photometric is false"));
        }
        if self.augment.view == TrainingView::Whole {
            all.push((CUTS, "augment.view is `whole`"));
        }
        if self.eval.mode == InferenceMode::Whole {
            all.push((&["eval.crop", "eval.stride"], "eval.mode is `whole`"));
        }
        let [trained, evaluated] = self.generated();
        all.extend(unused_counts(trained, evaluated));
        unused_of_own(self, all)
    }

    /// Whether the images that are trained on and those that are evaluated are generated.
    fn generated(&self) -> [bool; 2] {
        let data = &self.data;
        let files = [&data.labels, &data.annotations, &data.eval_labels];
        are_generated(&data.path, &data.eval, &files)
    }

    /// The network, for so many classes.
    pub fn segmenter(&self, classes: usize) -> SegmenterConfig {
        let crop = or(self.eval.crop, self.augment.crop);
        SegmenterConfig {
            classes,
            head: self.head,
            upernet: self.upernet.clone(),
            inference: InferenceConfig {
                mode: self.eval.mode,
                crop,
                stride: or(self.eval.stride, (2 * crop / 3).max(1)),
                flip: self.eval.flip,
                scales: self.eval.scales.clone(),
                square: self.augment.view == TrainingView::Whole,
            },
        }
    }

    /// What images are resized to in testing: as they are at the scale 1 in training, if nothing else is told.
    pub(super) fn test_size(&self) -> TestSize {
        let SegmentAugmentConfig {
            crop,
            view,
            short_side,
            ..
        } = self.augment;
        match (self.eval.short_side, self.eval.long_side, view) {
            (0, 0, TrainingView::Whole) => TestSize::LongSide(crop),
            (0, 0, TrainingView::Crop) => TestSize::ShortSide(or(short_side, crop)),
            (0, long_side, _) => TestSize::LongSide(long_side),
            (short_side, ..) => TestSize::ShortSide(short_side),
        }
    }

    /// How images are shown in training: normalized as the encoder learned to see them.
    pub(super) fn augment(&self, normalization: &Normalization) -> Augment {
        let augment = &self.augment;
        let framing = match augment.view {
            TrainingView::Crop => Framing::ScaledCrop {
                short_side: or(augment.short_side, augment.crop),
                scale: augment.scale,
            },
            TrainingView::Whole => Framing::Canvas { scale: [1.0; 2] },
        };
        Augment {
            framing,
            flip: augment.flip,
            photometric: augment.photometric.then_some(PhotometricDistortion {
                brightness: augment.brightness,
                contrast: augment.contrast,
                saturation: augment.saturation,
                hue: augment.hue,
            }),
            normalization: normalization.clone(),
            ..Augment::new([augment.crop; 2], normalization.mean.len())
        }
    }
}

impl Validate for SegmentConfig {
    fn check(&self, problems: &mut Problems) {
        self.run().check(problems);
        OnEncoder {
            layer_decay: self.layer_decay,
            encoder: &self.encoder,
            freeze: self.freeze,
            from_scratch: self.from_scratch,
            train: &self.train,
            ema_unused: "by segmenters",
        }
        .check(problems);
        problems.in_range("feature_cache_mb", self.feature_cache_mb, ..=1_048_576);
        // Batch norm has no variance of the one value that a scale of 1 leaves of an image.
        let needs_two = self.head == HeadKind::Upernet && self.upernet.pool_scales.contains(&1);
        problems.require(
            !needs_two || self.train.micro_batch() > 1,
            "train.batch_size",
            format!(
                "over train.grad_accum_steps must be at least 2 with UPerNet, whose pooling to one value batch norm follows, is {}; or \
                 leave 1 out of upernet.pool_scales",
                self.train.micro_batch()
            ),
        );
        problems.within("data", |problems| self.data.check(problems));
        problems.within("augment", |problems| self.augment.check(problems));
        problems.within("eval", |problems| self.eval.check(problems));
        // The number of classes is not known yet.
        if let Err(refused) = self.segmenter(2).validate_alone() {
            let key = refused.key.replacen("inference.", "eval.", 1);
            problems.add(key, refused.message);
        }
    }

    fn optional_keys() -> &'static [&'static str] {
        &["upernet.taps", "upernet.channels"]
    }

    fn renamed_keys() -> Vec<RenamedKey> {
        RunSettings::renamed_keys()
    }
}

impl SegmentAugmentConfig {
    fn check(&self, problems: &mut Problems) {
        problems.in_range("crop", self.crop, 1..=8_192);
        problems.in_range("short_side", self.short_side, ..=8_192);
        problems.in_range("flip", self.flip, 0.0..=1.0);
        problems.require(
            self.max_class_share > 0.0 && self.max_class_share <= 1.0,
            "max_class_share",
            format!("must be in (0, 1], is {}", self.max_class_share),
        );
        problems.in_range("brightness", self.brightness, 0.0..=255.0);
        problems.in_range("hue", self.hue, 0.0..=180.0);
        for (key, [low, high], least) in [
            ("scale", self.scale, f64::MIN_POSITIVE),
            ("contrast", self.contrast, 0.0),
            ("saturation", self.saturation, 0.0),
        ] {
            problems.require(
                low >= least && low <= high && high <= 100.0,
                key,
                format!("must be two rising numbers, at most 100, is [{low}, {high}]"),
            );
        }
    }
}

impl SegmentEvalConfig {
    fn check(&self, problems: &mut Problems) {
        problems.in_range("pictures", self.pictures, ..=64);
        problems.in_range("short_side", self.short_side, ..=8_192);
        problems.in_range("long_side", self.long_side, ..=8_192);
        problems.require(
            self.short_side == 0 || self.long_side == 0,
            "long_side",
            "and short_side are both told; one of them says what images are resized to",
        );
        problems.in_range("crop", self.crop, ..=8_192);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_config::Layers;
    use semaim_train::run_dir::{DataPlace, RunDir};

    fn given() -> Layers {
        let layers = Layers::new().set("encoder.weights=x").unwrap();
        layers.set("data.path=y").unwrap()
    }

    #[test]
    fn sizes_that_are_not_told_follow_the_crop() {
        let config = given().load::<SegmentConfig>().unwrap();
        let inference = config.segmenter(150).inference;
        assert_eq!((inference.crop, inference.stride), (512, 341));
        assert!(!inference.square);
        assert_eq!(config.test_size(), TestSize::ShortSide(512));
        let layers = given()
            .sets(["augment.crop=96", "augment.short_side=128"])
            .unwrap();
        let config = layers.load::<SegmentConfig>().unwrap();
        let inference = config.segmenter(3).inference;
        assert_eq!((inference.crop, inference.stride), (96, 64));
        assert_eq!(config.test_size(), TestSize::ShortSide(128));
        let normalization = Normalization::usual(3);
        let augment = config.augment(&normalization);
        let (short_side, scale) = (128, SEGMENTATION_SCALE);
        assert_eq!(augment.framing, Framing::ScaledCrop { short_side, scale });
        assert_eq!(augment.photometric, Some(PhotometricDistortion::default()));
        let whole = layers.set("augment.view=whole").unwrap();
        let config = whole.load::<SegmentConfig>().unwrap();
        assert_eq!(config.test_size(), TestSize::LongSide(96));
        assert!(config.segmenter(3).inference.square);
    }

    #[test]
    fn what_the_training_of_a_segmenter_does_not_look_at_is_named() {
        let unused = |settings: &[&str]| -> Vec<&str> {
            let layers = given().set("data.path=shapes").unwrap();
            let layers = layers.sets(settings).unwrap();
            let config: SegmentConfig = layers.load().unwrap();
            config.unused().into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(unused(&[]), [""; 0]);
        for (setting, why, key) in [
            ("upernet.channels=7", "head=linear", "upernet.channels"),
            ("upernet.taps=[1,1,2,2]", "head=linear", "upernet.taps"),
            (
                "upernet.auxiliary_channels=8",
                "upernet.auxiliary_weight=0",
                "upernet.auxiliary_channels",
            ),
            ("layer_decay=0.5", "freeze=true", "layer_decay"),
            ("augment.hue=9", "augment.photometric=false", "augment.hue"),
            (
                "augment.short_side=700",
                "augment.view=whole",
                "augment.short_side",
            ),
            ("eval.stride=99", "eval.mode=whole", "eval.stride"),
            (
                "data.shapes_count=7",
                "data.path=photos",
                "data.shapes_count",
            ),
            (
                "data.shapes_eval_count=7",
                "data.eval=photos",
                "data.shapes_eval_count",
            ),
        ] {
            assert_eq!(unused(&[setting]), [""; 0], "{setting}");
            assert_eq!(unused(&[setting, why]), [key], "{setting} {why}");
        }
        assert_eq!(unused(&["feature_cache_mb=7"]), ["feature_cache_mb"]);
        assert_eq!(unused(&["feature_cache_mb=7", "freeze=true"]), [""; 0]);
        assert_eq!(unused(&["optimizer.gamma=0.5"]), ["optimizer.gamma"]);
        assert_eq!(unused(&["train.ema_epochs=3"]), ["train.ema_epochs"]);
    }

    #[test]
    fn all_that_names_data_may_have_moved() {
        let folder = tempfile::tempdir().unwrap();
        let at = |place: &str| {
            let mut config = SegmentConfig::default();
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

    #[test]
    fn mistakes_are_named() {
        for (setting, part) in [
            ("layer_decay=0", "layer_decay"),
            ("head=fcn", "head"),
            ("train.ema=true", "train.ema"),
            ("train.grad_accum_steps=16", "train.batch_size"),
            ("upernet.channels=0", "upernet.channels"),
            ("augment.view=half", "augment.view"),
            ("augment.max_class_share=0", "augment.max_class_share"),
            ("eval.stride=600", "eval.stride"),
            ("eval.scales=[]", "eval.scales"),
            ("eval={short_side=64,long_side=96}", "eval.long_side"),
            ("data.labels=z", "data.images"),
            ("data.path=", "data.path"),
        ] {
            let wrong = given().set(setting).unwrap();
            let message = wrong.load::<SegmentConfig>().unwrap_err().to_string();
            assert!(message.contains(part), "{setting}: {message}");
        }
        let linear = ["head=linear", "train.batch_size=1"];
        assert!(
            given()
                .sets(linear)
                .unwrap()
                .load::<SegmentConfig>()
                .is_ok()
        );
    }
}
