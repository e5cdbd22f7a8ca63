//! Everything that can be set of fine-tuning, with its default; `check` says what is allowed.

use std::path::PathBuf;

use semaim::classifier::Pool;
use semaim_checkpoint::weights_source::WeightsSource;
use semaim_config::{Problems, RenamedKey, Validate};
use semaim_data::{MixupCutmix, RandAugment, RandomErasing, counted};
use semaim_train::config::{
    CheckpointConfig, DataConfig, DataNames, LogConfig, OptimizerConfig, RunSettings, TrainConfig,
    Unused, unused_of_own,
};
use semaim_train::run_dir::RunConfig;
use serde::{Deserialize, Serialize};

use crate::on_encoder::OnEncoder;

/// One fine-tuning experiment. The defaults are the recipe of masked autoencoders (SemAIM's published command warms up for 20 epochs,
/// its code for 5 as here), with a batch that fits small data sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FinetuneConfig {
    /// Seed of every random draw.
    pub seed: u64,
    /// Learning rate of a layer over that of the layer above it, in (0, 1].
    pub layer_decay: f64,
    /// Whether only the encoder's sizes are used and its weights drawn anew: what pre-training is compared with.
    pub from_scratch: bool,
    /// What of the encoder the head sees.
    pub pool: Pool,
    /// Where the network comes from.
    pub encoder: WeightsSource,
    /// The labeled images; `eval` where the evaluation images are not in `path`.
    pub data: DataConfig,
    /// What is done to images besides cropping and mirroring.
    pub augment: AugmentConfig,
    /// The run.
    pub train: TrainConfig,
    /// The update.
    pub optimizer: OptimizerConfig,
    /// Evaluation during the run.
    pub eval: EvalConfig,
    /// What is kept on the disk.
    pub checkpoint: CheckpointConfig,
    /// What is logged.
    pub log: LogConfig,
}

impl Default for FinetuneConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            layer_decay: 0.65,
            from_scratch: false,
            pool: Pool::default(),
            encoder: WeightsSource::default(),
            data: DataConfig {
                // Whoever trains on generated images says so.
                path: DataNames::default(),
                crop_scale: [0.08, 1.0],
                ..DataConfig::default()
            },
            augment: AugmentConfig::default(),
            train: TrainConfig {
                epochs: 100,
                batch_size: 128,
                clip_norm: 0.0,
                drop_path: 0.1,
                ..TrainConfig::default()
            },
            optimizer: OptimizerConfig {
                base_lr: 5e-4,
                min_lr: 1e-6,
                warmup_epochs: 5.0,
                betas: [0.9, 0.999],
                ..OptimizerConfig::default()
            },
            eval: EvalConfig::default(),
            checkpoint: CheckpointConfig::default(),
            log: LogConfig::default(),
        }
    }
}

/// What is done to images besides cropping and mirroring; the defaults are published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// RandAugment: operations per image; 0: none.
    pub rand_layers: usize,
    /// RandAugment: strength of the operations, in [0, 10].
    pub rand_magnitude: f64,
    /// RandAugment: standard deviation of the strength.
    pub rand_magnitude_std: f64,
    /// RandAugment: whether all operations do more with a larger strength.
    pub rand_increasing: bool,
    /// Probability of erasing a box, in [0, 1].
    pub erase: f64,
    /// Alpha of mixup; 0: none.
    pub mixup: f64,
    /// Alpha of CutMix; 0: none.
    pub cutmix: f64,
    /// Probability that a batch is mixed, in [0, 1].
    pub mix: f64,
    /// Probability of CutMix where both could be, in [0, 1].
    pub switch_to_cutmix: f64,
    /// Part of a target that is spread over all classes, in [0, 1].
    pub label_smoothing: f64,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        let rand = RandAugment::default();
        let mix = MixupCutmix::default();
        Self {
            rand_layers: rand.layers,
            rand_magnitude: rand.magnitude,
            rand_magnitude_std: rand.magnitude_std,
            rand_increasing: rand.increasing,
            erase: RandomErasing::default().probability,
            mixup: mix.mixup_alpha,
            cutmix: mix.cutmix_alpha,
            mix: mix.probability,
            switch_to_cutmix: mix.switch_probability,
            label_smoothing: mix.label_smoothing,
        }
    }
}

impl AugmentConfig {
    /// RandAugment as set; `None` without operations.
    pub fn rand_augment(&self) -> Option<RandAugment> {
        (self.rand_layers > 0).then_some(RandAugment {
            magnitude: self.rand_magnitude,
            layers: self.rand_layers,
            magnitude_std: self.rand_magnitude_std,
            increasing: self.rand_increasing,
            ..RandAugment::default()
        })
    }

    /// Random erasing as set; `None` where it never happens.
    pub fn random_erasing(&self) -> Option<RandomErasing> {
        (self.erase > 0.0).then_some(RandomErasing {
            probability: self.erase,
            ..RandomErasing::default()
        })
    }

    /// Mixup, CutMix and label smoothing as set.
    pub fn mixup_cutmix(&self) -> MixupCutmix {
        MixupCutmix {
            mixup_alpha: self.mixup,
            cutmix_alpha: self.cutmix,
            switch_probability: self.switch_to_cutmix,
            probability: self.mix,
            label_smoothing: self.label_smoothing,
        }
    }
}

/// Evaluation during the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// Epochs between evaluations; 0: only after the run.
    pub every_epochs: u64,
    /// Images per forward pass.
    pub batch_size: usize,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self {
            every_epochs: 5,
            batch_size: 64,
        }
    }
}

impl RunConfig for FinetuneConfig {
    fn data_sets(&mut self) -> Vec<&mut String> {
        self.data.data_sets()
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        vec![&mut self.encoder.weights]
    }

    fn unset() -> Option<Self> {
        Some(Self::default())
    }
}

impl FinetuneConfig {
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
        all.push((EMA, "fine-tuning keeps no EMA copy"));
        all.extend(self.augment.unused());
        all.extend(self.data.unused());
        unused_of_own(self, all)
    }

    /// What to say where a batch is computed in parts, each of which is mixed by itself: neither the draws nor the pairs are those of a
    /// whole batch.
    pub fn mixing_in_parts(&self) -> Option<String> {
        let parts = self.train.grad_accum_steps;
        if parts < 2 || !self.augment.mixes() {
            return None;
        }
        let images = self.train.batch_size / parts;
        let alone = match images {
            0 | 1 => "; an image that is alone in its part is not mixed",
            _ => "",
        };
        Some(format!(
            "mixup and CutMix are drawn for each of the {parts} parts of a batch, {} each, as timm does on each GPU: not the \
             numbers of a batch in one part{alone}",
            counted(images, "image")
        ))
    }
}

/// Settings of the EMA copy, which nothing that is trained on an encoder keeps.
pub(crate) const EMA: &[&str] = &["train.ema_decay", "train.ema_epochs"];

impl Validate for FinetuneConfig {
    fn check(&self, problems: &mut Problems) {
        self.run().check(problems);
        problems.within("data", |problems| self.data.check(problems));
        OnEncoder {
            layer_decay: self.layer_decay,
            encoder: &self.encoder,
            freeze: false,
            from_scratch: self.from_scratch,
            train: &self.train,
            ema_unused: "in fine-tuning",
        }
        .check(problems);
        problems.require(
            self.data.mean.is_empty() && self.data.std.is_empty(),
            "data.mean",
            "and data.std are the encoder's; leave them empty",
        );
        problems.within("augment", |problems| self.augment.check(problems));
        problems.in_range("eval.batch_size", self.eval.batch_size, 1..=65_536);
    }

    fn renamed_keys() -> Vec<RenamedKey> {
        let at_the_top =
            ["from_scratch", "pool"].map(|key| RenamedKey::new(format!("encoder.{key}"), key));
        [RunSettings::renamed_keys(), at_the_top.into()].concat()
    }
}

impl AugmentConfig {
    /// Whether any batch is mixed.
    fn mixes(&self) -> bool {
        self.mix > 0.0 && (self.mixup > 0.0 || self.cutmix > 0.0)
    }

    /// What images are not augmented by.
    fn unused(&self) -> Vec<Unused> {
        let mut all: Vec<Unused> = Vec::new();
        if self.rand_layers == 0 {
            let keys = &[
                "augment.rand_magnitude",
                "augment.rand_magnitude_std",
                "augment.rand_increasing",
            ];
            all.push((keys, "augment.rand_layers is 0"));
        }
        if self.mix == 0.0 {
            let keys = &[
                "augment.mixup",
                "augment.cutmix",
                "augment.switch_to_cutmix",
            ];
            all.push((keys, "augment.mix is 0"));
        } else if self.mixup == 0.0 && self.cutmix == 0.0 {
            let keys = &["augment.mix", "augment.switch_to_cutmix"];
            all.push((keys, "augment.mixup and augment.cutmix are 0"));
        } else if self.mixup == 0.0 || self.cutmix == 0.0 {
            let why = "augment.mixup or augment.cutmix is 0";
            all.push((&["augment.switch_to_cutmix"], why));
        }
        all
    }

    fn check(&self, problems: &mut Problems) {
        problems.in_range("rand_layers", self.rand_layers, ..=64);
        problems.in_range("rand_magnitude", self.rand_magnitude, 0.0..=10.0);
        for (key, value) in [
            ("rand_magnitude_std", self.rand_magnitude_std),
            ("mixup", self.mixup),
            ("cutmix", self.cutmix),
        ] {
            problems.in_range(key, value, 0.0..=1e6);
        }
        for (key, value) in [
            ("erase", self.erase),
            ("mix", self.mix),
            ("switch_to_cutmix", self.switch_to_cutmix),
            ("label_smoothing", self.label_smoothing),
        ] {
            problems.in_range(key, value, 0.0..=1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_config::Layers;

    fn config(settings: &[&str]) -> FinetuneConfig {
        let given = ["encoder.weights=x", "data.path=shapes"];
        let layers = Layers::new().sets([&given, settings].concat()).unwrap();
        layers.load().unwrap()
    }

    #[test]
    fn what_fine_tuning_does_not_look_at_is_named() {
        let unused = |settings: &[&str]| -> Vec<&str> {
            let unused = config(settings).unused().into_iter();
            unused.map(|(key, _)| key).collect()
        };
        assert_eq!(unused(&[]), [""; 0]);
        let all = [
            "optimizer.power=2.0",
            "train.ema_decay=[0.5,0.5]",
            "augment.cutmix=0",
            "augment.switch_to_cutmix=1.0",
        ];
        let expected = [
            "optimizer.power",
            "train.ema_decay",
            "augment.switch_to_cutmix",
        ];
        assert_eq!(unused(&all), expected);
        assert_eq!(
            unused(&["augment.rand_layers=0", "augment.rand_magnitude=3"]),
            ["augment.rand_magnitude"]
        );
        assert_eq!(
            unused(&["augment.mix=0", "augment.mixup=0.1"]),
            ["augment.mixup"]
        );
        assert_eq!(
            unused(&["optimizer.warmup_epochs=0", "optimizer.warmup_start=0.5"]),
            ["optimizer.warmup_start"]
        );
        let counts = ["data.shapes_count=7", "data.shapes_eval_count=8"];
        assert_eq!(unused(&counts), [""; 0]);
        assert_eq!(
            unused(&[&counts[..], &["data.path=photos"]].concat()),
            ["data.shapes_count", "data.shapes_eval_count"]
        );
        // An encoder of another size is resized for images of this one.
        assert_eq!(unused(&["encoder.image_size=32"]), [""; 0]);
    }

    #[test]
    fn a_small_batch_has_its_peak_below_the_usual_least_rate() {
        let said = |settings: &[&str]| config(settings).run().rising_rate();
        assert_eq!(said(&[]), None);
        let small = ["optimizer.base_lr=1e-4", "train.batch_size=2"];
        let rises = said(&small).unwrap();
        assert!(rises.contains("optimizer.min_lr 1e-6"), "{rises}");
    }

    #[test]
    fn parts_of_a_batch_are_mixed_by_themselves_and_it_is_said() {
        let said = |settings: &[&str]| config(settings).mixing_in_parts();
        let batch = "train.batch_size=16";
        assert_eq!(said(&[batch]), None);
        let parts = said(&[batch, "train.grad_accum_steps=4"]).unwrap();
        assert!(
            parts.contains("4 parts") && parts.contains("4 images"),
            "{parts}"
        );
        let alone = said(&[batch, "train.grad_accum_steps=16"]).unwrap();
        assert!(
            alone.contains("1 image each") && alone.contains("alone"),
            "{alone}"
        );
        let parts = "train.grad_accum_steps=4";
        assert_eq!(said(&[batch, parts, "augment.mix=0"]), None);
        let none = ["augment.mixup=0", "augment.cutmix=0"];
        assert_eq!(said(&[batch, parts, none[0], none[1]]), None);
    }

    #[test]
    fn a_table_given_in_part_keeps_the_recipe_and_mistakes_are_named() {
        let layers = Layers::new().set("encoder.weights=x").unwrap();
        let nowhere = layers.load::<FinetuneConfig>().unwrap_err().to_string();
        assert!(nowhere.contains("--data"), "{nowhere}");
        let layers = layers.set("data.path=shapes").unwrap();
        let given = layers.clone().set("optimizer.base_lr=1e-3").unwrap();
        let config = given.load::<FinetuneConfig>().unwrap();
        assert_eq!(config.optimizer.betas, [0.9, 0.999]);
        assert_eq!(config.train.drop_path, 0.1);
        for (setting, part) in [
            ("layer_decay=0", "layer_decay"),
            ("encoder.weights=", "encoder.weights"),
            ("data.path=", "data.path"),
            ("augment.mix=2", "augment.mix"),
            ("train.batch_size=0", "train.batch_size"),
            ("encoder.image_size=[1]", "encoder.image_size"),
            ("pool=gap", "mean"),
            ("train.ema=true", "train.ema"),
        ] {
            let wrong = layers.clone().set(setting).unwrap();
            let message = wrong.load::<FinetuneConfig>().unwrap_err().to_string();
            assert!(message.contains(part), "{setting}: {message}");
        }
    }
}
