//! What is allowed: every value, or combination of values, that a run cannot use is named.

use semaim::grid::Grid;
use semaim::predicted::PredictedPatches;
use semaim::representation::Representation;
use semaim_config::{Problems, RenamedKey, Validate};

use crate::schedule::ScheduleKind;

use super::{
    CheckpointConfig, DataConfig, Loading, LogConfig, Method, OptimizerConfig, OrderSource,
    PretrainConfig, QueryStart, RunSettings, TargetKind, TrainConfig,
};

impl Validate for PretrainConfig {
    fn check(&self, problems: &mut Problems) {
        match self.method {
            Method::Semaim => {
                if let Err(error) = self.semaim().validate() {
                    let table = match error.key {
                        "query_depth" | "query_dim" | "predict_fraction" => "decoder",
                        _ => "model",
                    };
                    problems.add(format!("{table}.{}", error.key), error.message);
                } else {
                    self.check_predicted(problems);
                }
                problems.in_range("mae.mask_ratio", self.mae.mask_ratio, 0.0..=1.0);
            }
            Method::Mae => {
                if let Err(error) = self.mae.validate(&self.model) {
                    let table = match error.key {
                        "mask_ratio" | "decoder_dim" | "decoder_depth" | "decoder_heads" => "mae",
                        _ => "model",
                    };
                    problems.add(format!("{table}.{}", error.key), error.message);
                }
                for (key, default) in [
                    ("decoder.query_dim", !self.decoder.is_narrow()),
                    (
                        "decoder.predict_fraction",
                        self.decoder.predict_fraction == 1.0,
                    ),
                    (
                        "decoder.predict",
                        self.decoder.predict == PredictedPatches::Random,
                    ),
                ] {
                    problems.require(
                        default,
                        key,
                        "is of the query stream, which a masked autoencoder has none of; mae.mask_ratio says how much it predicts, \
                         mae.decoder_dim how wide its decoder is",
                    );
                }
                problems.in_range("mae.decoder_depth", self.mae.decoder_depth, ..=1_000);
                problems.in_range("mae.decoder_dim", self.mae.decoder_dim, ..=65_536);
            }
        }
        problems.in_range("model.depth", self.model.depth, ..=1_000);
        problems.in_range("model.embed_dim", self.model.embed_dim, ..=65_536);
        for (axis, side) in self.model.image_size.into_iter().enumerate() {
            problems.in_range(format!("model.image_size[{axis}]"), side, ..=8_192);
        }
        problems.within("data", |problems| {
            self.data.check(problems);
            self.data.check_normalization(self.model.channels, problems);
        });
        problems.within("target", |problems| {
            problems.in_range("blur_size", self.target.blur_size, ..=255);
            problems.require(
                self.target.blur_size == 0 || self.target.blur_size % 2 == 1,
                "blur_size",
                format!("must be odd or 0, is {}", self.target.blur_size),
            );
            let sigma = self.target.blur_sigma;
            let positive = sigma.is_finite() && sigma > 0.0;
            problems.require(
                positive,
                "blur_sigma",
                format!("must be above 0, is {sigma}"),
            );
        });
        self.check_downscale(problems);
        problems.require(
            self.order.source != OrderSource::Ema || self.train.ema,
            "order.source",
            "is `ema`, which needs train.ema = true",
        );
        let maps_are_named = !self.order.maps.as_os_str().is_empty();
        problems.require(
            self.order_source() != Some(OrderSource::Maps) || maps_are_named,
            "order.maps",
            "must name the folder of maps, as order.source is `maps`",
        );
        problems.require(
            self.order.source == OrderSource::Maps || !maps_are_named,
            "order.maps",
            "is named, but order.source is not `maps`",
        );
        problems.require(
            !matches!(self.order.source, OrderSource::Maps | OrderSource::Masks)
                || self.order.kind.needs_similarity()
                || self.method == Method::Mae,
            "order.kind",
            "follows no similarity, but order.source gives maps or masks for it",
        );
        problems.require(
            self.target.kind != TargetKind::Ema || self.train.ema,
            "target.kind",
            "is `ema`, which needs train.ema = true",
        );
        problems.require(
            self.method == Method::Semaim || self.target.kind == TargetKind::Pixels,
            "target.kind",
            "must be `pixels` for method = \"mae\"",
        );
        problems.require(
            !self.needs_teacher() || self.teacher.is_named(),
            "teacher.weights",
            "must name an encoder, as order.source or target.kind is `teacher`",
        );
        problems.require(
            self.teacher_cache.as_os_str().is_empty() || self.data.crop_scale == [1.0, 1.0],
            "teacher_cache",
            "is of use only where views are fixed but for mirroring: data.crop_scale = [1.0, 1.0]",
        );
        self.run().check(problems);
        self.check_start(problems);
        problems.within("eval", |problems| {
            problems.require(
                self.eval.feature != Representation::Patches,
                "feature",
                "must be one vector per image: cls, mean or both",
            );
            problems.in_range("knn_k", self.eval.knn_k, 1..);
            let temperature = self.eval.knn_temperature;
            let positive = temperature.is_finite() && temperature > 0.0;
            problems.require(
                positive,
                "knn_temperature",
                format!("must be above 0, is {temperature}"),
            );
            problems.in_range("batch_size", self.eval.batch_size, 1..=65_536);
            problems.in_range("pictures", self.eval.pictures, ..=64);
        });
    }

    fn renamed_keys() -> Vec<RenamedKey> {
        let own = [
            ("teacher.cache", "teacher_cache"),
            ("target.normalise", "target.normalize"),
        ];
        let own = own.map(|(old, new)| RenamedKey::new(old, new));
        [RunSettings::renamed_keys(), own.into()].concat()
    }
}

impl PretrainConfig {
    /// What is allowed of the patches that are predicted, where the sizes are.
    fn check_predicted(&self, problems: &mut Problems) {
        let (fraction, patches) = (self.decoder.predict_fraction, self.model.grid().patches());
        let all = self.decoder.predicted(patches) == patches;
        problems.require(
            !all || fraction == 1.0 || patches == 1,
            "decoder.predict_fraction",
            format!("is {fraction}, which of {patches} patches is all of them"),
        );
        problems.require(
            !all || self.decoder.predict == PredictedPatches::Random,
            "decoder.predict",
            "says which patches are predicted where not all are: it needs decoder.predict_fraction below 1",
        );
    }

    /// What is allowed of the size of the images that give the order.
    fn check_downscale(&self, problems: &mut Problems) {
        const KEY: &str = "order.downscale";
        let (divisor, source) = (self.order.downscale, self.order_source());
        problems.in_range(KEY, divisor, 1..=64);
        if divisor <= 1 || self.model.validate().is_err() {
            return;
        }
        let Grid { rows, columns } = self.model.grid();
        problems.require(
            rows.is_multiple_of(divisor) && columns.is_multiple_of(divisor),
            KEY,
            format!("{divisor} does not divide the grid of {rows} × {columns} patches"),
        );
        problems.require(
            rows * columns > divisor * divisor,
            KEY,
            format!("{divisor} leaves one of {rows} × {columns} patches: all would be alike"),
        );
        let why_not = match source {
            None | Some(OrderSource::Maps | OrderSource::Masks) => {
                "has nothing to shrink: no encoding gives the order of this run"
            }
            Some(OrderSource::Teacher) => {
                "is not for order.source = \"teacher\": a teacher sees images at its own size"
            }
            Some(_) if source == self.target_source() => {
                "saves nothing where target.kind takes the tokens of the same network: one encoding serves both"
            }
            Some(OrderSource::Model | OrderSource::Ema) => return,
        };
        problems.add(KEY, why_not);
    }

    /// What is allowed of the weights that a run starts from, and of how they learn.
    fn check_start(&self, problems: &mut Problems) {
        problems.require(
            self.layer_decay > 0.0 && self.layer_decay <= 1.0,
            "layer_decay",
            format!("must be in (0, 1], is {}", self.layer_decay),
        );
        problems.require(
            self.train.freeze_blocks <= self.model.depth,
            "train.freeze_blocks",
            format!(
                "is {}, the encoder has {} blocks",
                self.train.freeze_blocks, self.model.depth
            ),
        );
        let epochs = self.train.epochs as f64;
        problems.require(
            self.new_parts_epochs >= 0.0 && self.new_parts_epochs < epochs,
            "new_parts_epochs",
            format!("must be in [0, train.epochs), is {}", self.new_parts_epochs),
        );
        problems.require(
            self.new_parts_epochs == 0.0 || self.encoder.is_named(),
            "new_parts_epochs",
            "needs weights to start from (--init): without them all parts are new",
        );
        problems.require(
            self.query_start == QueryStart::Fresh || self.encoder.is_named(),
            "query_start",
            "is `encoder`, which needs weights to start from (--init)",
        );
        problems.require(
            self.query_start == QueryStart::Fresh || self.method == Method::Semaim,
            "query_start",
            "is `encoder`: a masked autoencoder has no query stream",
        );
        problems.require(
            self.query_start == QueryStart::Fresh || !self.decoder.is_narrow(),
            "query_start",
            "is `encoder`, whose weights are wider than decoder.query_dim",
        );
        problems.within("arch", |problems| {
            problems.in_range("registers", self.arch.registers, ..=256);
            let epsilon = self.arch.epsilon;
            problems.require(
                epsilon > 0.0 && epsilon <= 1.0,
                "epsilon",
                format!("must be in (0, 1], is {epsilon}"),
            );
            problems.require(
                self.arch.projection.is_none(),
                "projection",
                "cannot be set for pre-training: tokens are used before the projection",
            );
        });
    }
}

impl RunSettings<'_> {
    /// Reports every value of these tables that is not allowed.
    pub fn check(&self, problems: &mut Problems) {
        problems.within("data", |problems| self.loading.check(problems));
        problems.within("train", |problems| self.train.check(problems));
        problems.within("optimizer", |problems| {
            self.optimizer.check(self.train.epochs, problems)
        });
        problems.within("checkpoint", |problems| self.checkpoint.check(problems));
        problems.within("log", |problems| self.log.check(problems));
    }

    /// What to say of a run whose least learning rate is above the peak, so that the rate rises where it is to fall: the least rate
    /// of a recipe for large batches may be above the peak of a small one.
    pub fn rising_rate(&self) -> Option<String> {
        let schedule = self.lr_schedule();
        (schedule.min > schedule.peak).then(|| {
            format!(
                "the learning rate rises after the warm-up: optimizer.min_lr {:e} is above the peak {:.3e}, which is optimizer.base_lr \
                 {:e} times train.batch_size {} over 256; --set optimizer.min_lr=0 lets it fall",
                schedule.min, schedule.peak, self.optimizer.base_lr, self.train.batch_size
            )
        })
    }
}

impl CheckpointConfig {
    fn check(&self, problems: &mut Problems) {
        let minutes = self.every_minutes;
        problems.require(
            minutes.is_finite() && minutes > 0.0,
            "every_minutes",
            format!("must be above 0, is {minutes}"),
        );
    }
}

impl LogConfig {
    fn check(&self, problems: &mut Problems) {
        problems.in_range("every_steps", self.every_steps, 1..);
    }
}

impl DataConfig {
    fn check_normalization(&self, channels: usize, problems: &mut Problems) {
        for (key, values) in [("mean", &self.mean), ("std", &self.std)] {
            problems.require(
                values.is_empty() || values.len() == channels,
                key,
                format!("has {} values for {channels} channels", values.len()),
            );
            problems.require(values.iter().all(|v| v.is_finite()), key, "must be finite");
        }
        problems.require(self.std.iter().all(|&v| v > 0.0), "std", "must be above 0");
    }

    /// Reports every value that is not allowed, but for those of [`Loading`].
    pub fn check(&self, problems: &mut Problems) {
        problems.require(
            !self.path.is_empty(),
            "path",
            "must name the images (--data; `shapes` for the generated ones)",
        );
        self.path.check("path", problems);
        self.eval.check("eval", problems);
        problems.in_range("shapes_count", self.shapes_count, 1..);
        problems.in_range("shapes_eval_count", self.shapes_eval_count, 1..);
        let [low, high] = self.crop_scale;
        let scale = low > 0.0 && low <= high && high <= 1.0;
        problems.require(
            scale,
            "crop_scale",
            format!("must be two rising numbers within (0, 1], is [{low}, {high}]"),
        );
        let [low, high] = self.crop_ratio;
        let ratio = low > 0.0 && low <= high && high.is_finite();
        problems.require(
            ratio,
            "crop_ratio",
            format!("must be two rising numbers above 0, is [{low}, {high}]"),
        );
        problems.in_range("flip", self.flip, 0.0..=1.0);
        problems.in_range("max_pixels", self.max_pixels, 1..);
    }
}

impl Loading {
    fn check(&self, problems: &mut Problems) {
        problems.in_range("max_bad_fraction", self.max_bad_fraction, 0.0..=1.0);
        problems.in_range("workers", self.workers, ..=1_024);
        problems.in_range("queue", self.queue, 1..=1_024);
    }
}

impl TrainConfig {
    fn check(&self, problems: &mut Problems) {
        problems.in_range("epochs", self.epochs, 1..=1_000_000);
        let ends = std::iter::once(&self.epochs).chain(&self.extended_to);
        problems.require(
            ends.clone().is_sorted_by(|a, b| a < b)
                && ends.max().is_some_and(|&end| end <= 1_000_000),
            "extended_to",
            format!(
                "must rise from train.epochs {} on, to 1000000 at most",
                self.epochs
            ),
        );
        problems.in_range("freeze_blocks", self.freeze_blocks, ..=1_000);
        problems.in_range("batch_size", self.batch_size, 1..=1_048_576);
        problems.require(
            self.grad_accum_steps >= 1
                && self.batch_size.is_multiple_of(self.grad_accum_steps.max(1)),
            "grad_accum_steps",
            format!(
                "{} does not divide train.batch_size {}",
                self.grad_accum_steps, self.batch_size
            ),
        );
        problems.require(
            self.clip_norm.is_finite() && self.clip_norm >= 0.0,
            "clip_norm",
            format!("must be 0 or above, is {}", self.clip_norm),
        );
        for (i, decay) in self.ema_decay.into_iter().enumerate() {
            problems.in_range(format!("ema_decay[{i}]"), decay, 0.0..=1.0);
        }
        problems.require(
            self.ema_epochs.is_finite() && self.ema_epochs >= 0.0,
            "ema_epochs",
            format!("must be 0 or above, is {}", self.ema_epochs),
        );
        problems.require(
            (0.0..1.0).contains(&self.drop_path),
            "drop_path",
            format!("must be in [0, 1), is {}", self.drop_path),
        );
    }
}

impl OptimizerConfig {
    fn check(&self, epochs: u64, problems: &mut Problems) {
        let not_negative = |problems: &mut Problems, key: &str, value: f64| {
            let fits = value.is_finite() && value >= 0.0;
            problems.require(fits, key, format!("must be 0 or above, is {value}"));
        };
        not_negative(problems, "base_lr", self.base_lr);
        not_negative(problems, "min_lr", self.min_lr);
        not_negative(problems, "weight_decay", self.weight_decay);
        problems.require(
            self.warmup_epochs >= 0.0 && self.warmup_epochs < epochs as f64,
            "warmup_epochs",
            format!(
                "is {}: the warm-up must be shorter than the run, and train.epochs is {epochs}; set it too, as in --set optimizer.warmup_epochs={}",
                self.warmup_epochs,
                epochs as f64 / 10.0
            ),
        );
        problems.in_range("warmup_start", self.warmup_start, 0.0..=1.0);
        let rising = self.milestones.is_sorted_by(|a, b| a < b);
        let within = |at: &f64| *at > 0.0 && *at < epochs as f64;
        problems.require(
            rising && self.milestones.iter().all(within),
            "milestones",
            format!("must rise, each between 0 and train.epochs {epochs}"),
        );
        let steps = self.schedule == ScheduleKind::Steps;
        problems.require(
            steps != self.milestones.is_empty(),
            "milestones",
            "are the epochs of schedule = \"steps\", which needs them; no other schedule uses them",
        );
        problems.in_range("gamma", self.gamma, 0.0..=1.0);
        problems.require(
            self.power.is_finite() && self.power > 0.0,
            "power",
            format!("must be above 0, is {}", self.power),
        );
        for (i, beta) in self.betas.into_iter().enumerate() {
            let fits = (0.0..1.0).contains(&beta);
            problems.require(
                fits,
                format!("betas[{i}]"),
                format!("must be in [0, 1), is {beta}"),
            );
        }
        problems.require(
            self.epsilon.is_finite() && self.epsilon > 0.0,
            "epsilon",
            format!("must be above 0, is {}", self.epsilon),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_config::Layers;

    fn problem(setting: &str) -> String {
        match Layers::new().set(setting).unwrap().load::<PretrainConfig>() {
            Ok(_) => String::new(),
            Err(errors) => errors.to_string(),
        }
    }

    #[test]
    fn the_default_is_valid_and_survives_toml() {
        let config = Layers::new().load::<PretrainConfig>().unwrap();
        let text = semaim_config::to_toml(&config).unwrap();
        let again = Layers::new()
            .text("config", &text)
            .unwrap()
            .load::<PretrainConfig>()
            .unwrap();
        assert_eq!(again, config);
    }

    fn problem_of(settings: &[&str]) -> String {
        let layers = settings.iter().fold(Layers::new(), |layers, setting| {
            layers.set(setting).unwrap()
        });
        match layers.load::<PretrainConfig>() {
            Ok(_) => String::new(),
            Err(errors) => errors.to_string(),
        }
    }

    #[test]
    fn some_patches_are_predicted_by_a_query_stream_alone() {
        let some = "decoder.predict_fraction=0.25";
        assert_eq!(problem_of(&[some]), "");
        assert_eq!(problem_of(&[some, "decoder.predict=late"]), "");
        let message = problem_of(&[some, "method=mae"]);
        assert!(message.contains("mae.mask_ratio"), "{message}");
        let message = problem_of(&["decoder.predict=late", "method=mae"]);
        assert!(message.contains("`decoder.predict`"), "{message}");
    }

    #[test]
    fn a_narrow_query_stream_has_weights_of_its_own() {
        let narrow = "decoder.query_dim=64";
        assert_eq!(problem_of(&[narrow]), "");
        for (setting, part) in [
            ("decoder.weights=shared", "decoder.query_dim"),
            ("query_start=encoder", "wider than decoder.query_dim"),
            ("method=mae", "mae.decoder_dim"),
        ] {
            let message = problem_of(&[narrow, setting]);
            assert!(message.contains(part), "{setting}: {message}");
        }
    }

    #[test]
    fn images_are_shrunk_for_the_order_only_where_that_saves_something() {
        // The default grid is 8 × 8.
        let half = "order.downscale=2";
        assert_eq!(problem_of(&[half]), "");
        let ema = ["train.ema=true", "order.source=ema"];
        assert_eq!(problem_of(&[half, ema[0], ema[1]]), "");
        assert_eq!(problem_of(&[half, ema[0], "target.kind=ema"]), "");
        for (settings, part) in [
            (&["order.downscale=0"][..], "order.downscale"),
            (&["order.downscale=3"], "does not divide the grid of 8 × 8"),
            (&["order.downscale=8"], "leaves one"),
            (&[half, "model.image_size=[64,72]"], "8 × 9"),
            (&[half, "order.kind=raster"], "no encoding gives the order"),
            (&[half, "method=mae"], "no encoding gives the order"),
            (&[half, "order.source=masks"], "no encoding gives the order"),
            (&[half, "order.source=teacher"], "a teacher sees images"),
            (&[half, "target.kind=self"], "one encoding serves both"),
            (
                &[half, ema[0], ema[1], "target.kind=ema"],
                "one encoding serves both",
            ),
        ] {
            let message = problem_of(settings);
            assert!(message.contains(part), "{settings:?}: {message}");
        }
    }

    #[test]
    fn a_rate_that_rises_is_said_with_peak_and_least() {
        let said = |settings: &[&str]| {
            let layers = Layers::new().sets(settings).unwrap();
            layers.load::<PretrainConfig>().unwrap().run().rising_rate()
        };
        let (base, least) = ("optimizer.base_lr=1e-4", "optimizer.min_lr=1e-6");
        assert_eq!(said(&[base]), None);
        assert_eq!(said(&[base, least]), None);
        // A batch of 2 has a peak of 1e-4 · 2 / 256.
        let small = said(&[base, least, "train.batch_size=2"]).unwrap();
        for part in ["optimizer.min_lr 1e-6", "the peak 7.81", "batch_size 2 "] {
            assert!(small.contains(part), "{part}: {small}");
        }
        assert_eq!(said(&[base, "train.batch_size=2"]), None);
    }

    #[test]
    fn one_side_makes_a_square() {
        let one = Layers::new().set("model.image_size=32").unwrap();
        let config = one.load::<PretrainConfig>().unwrap();
        assert_eq!(config.model.image_size, [32, 32]);
        let message = problem("model.image_size=wide");
        assert!(message.contains("[224, 336]"), "{message}");
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (setting, part) in [
            ("model.image_size=[65,64]", "model.image_size"),
            ("model.embed_dim=130", "model.embed_dim"),
            ("decoder.query_depth=3", "decoder.query_depth"),
            ("decoder.query_dim=128", "decoder.query_dim"),
            ("decoder.query_dim=30", "decoder.query_dim"),
            ("decoder.predict_fraction=0", "decoder.predict_fraction"),
            ("decoder.predict_fraction=1.5", "decoder.predict_fraction"),
            ("decoder.predict_fraction=0.999", "all of them"),
            ("decoder.predict=late", "predict_fraction below 1"),
            ("method=mea", "mae"),
            ("train.grad_accum_steps=7", "train.grad_accum_steps"),
            ("train.drop_path=1.0", "train.drop_path"),
            ("train.epochs=0", "train.epochs"),
            ("train.extended_to=[20]", "train.extended_to"),
            ("train.extended_to=[30,25]", "train.extended_to"),
            ("train.freeze_blocks=5", "train.freeze_blocks"),
            ("layer_decay=0", "layer_decay"),
            ("new_parts_epochs=-1", "new_parts_epochs"),
            ("new_parts_epochs=1", "new_parts_epochs"),
            ("arch.registers=-1", "arch.registers"),
            ("arch.epsilon=0", "arch.epsilon"),
            ("query_start=encoder", "query_start"),
            ("optimizer.warmup_epochs=1000", "optimizer.warmup_epochs"),
            ("optimizer.base_lr=nan", "optimizer.base_lr"),
            ("optimizer.schedule=steps", "optimizer.milestones"),
            ("optimizer.milestones=[5]", "optimizer.milestones"),
            ("train.ema_decay=[0.9,1.5]", "train.ema_decay"),
            ("train.ema_epochs=-1", "train.ema_epochs"),
            ("train.epochs=2", "--set optimizer.warmup_epochs=0.2"),
            ("eval.feature=patches", "eval.feature"),
            ("optimizer.gamma=nan", "optimizer.gamma"),
            ("optimizer.power=0", "optimizer.power"),
            ("train.accumulate=2", "train.grad_accum_steps"),
            ("order.source=ema", "order.source"),
            ("data.mean=[0.5]", "data.mean"),
            ("data.std=[0.0,1,1]", "data.std"),
            ("data.crop_scale=[0.5,0.2]", "data.crop_scale"),
            ("target.blur_size=4", "target.blur_size"),
            ("train.epoch=3", "train.epochs"),
            ("order.kind=semanti", "semantic"),
        ] {
            let message = problem(setting);
            assert!(message.contains(part), "{setting}: {message}");
        }
    }
}
