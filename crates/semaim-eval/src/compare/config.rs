//! The file of a comparison.

use semaim::representation::Representation;
use semaim_config::{ConfigErrors, Layers, Problems, RenamedKey, Validate, to_toml};
use semaim_train::config::{DataNames, EvalConfig, PretrainConfig, setting};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{CompareError, PAGE, STEP_TIMES, TABLE, TABLE_JSON};
use crate::finetune::config::FinetuneConfig;
use crate::probe::ProbeOptions;

/// A comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompareConfig {
    /// Labeled images, for pre-training (without their labels) and for every evaluation.
    pub data: DataNames,
    /// Seeds: each variant is trained once with each.
    pub seeds: Vec<u64>,
    /// Name of the variant that the others are compared with.
    pub baseline: String,
    /// What is measured of the trained encoder.
    pub evaluations: Vec<Evaluation>,
    /// What is measured at every checkpoint that `pretrain.checkpoint.keep_every_epochs` keeps, too: curves over training.
    pub curve: Vec<Evaluation>,
    /// What represents an image for kNN and probe.
    pub feature: Representation,
    /// Neighbors for kNN.
    pub knn_k: usize,
    /// Temperature for kNN.
    pub knn_temperature: f64,
    /// Passes of the probe.
    pub probe_epochs: usize,
    /// Images per step of the probe.
    pub probe_batch_size: usize,
    /// Shares of the training labels that a probe learns from, each in (0, 1], each a column.
    pub probe_labels: Vec<f64>,
    /// The most training images that kNN searches and probes learn from, spread evenly; 0: all.
    pub max_bank: usize,
    /// The most images that kNN and probes classify, spread evenly; 0: all.
    pub max_queries: usize,
    /// Generated images that pointing is measured on.
    pub pointing_images: usize,
    /// What is compared.
    pub variants: Vec<Variant>,
    /// What all variants have in common, as for `semaim pretrain`.
    pub pretrain: PretrainConfig,
    /// How all of them are fine-tuned, as for `semaim finetune`.
    pub finetune: FinetuneConfig,
}

impl Default for CompareConfig {
    fn default() -> Self {
        let eval = EvalConfig::default();
        Self {
            data: "shapes".into(),
            seeds: vec![0, 1, 2],
            baseline: "random".into(),
            evaluations: vec![Evaluation::Knn, Evaluation::Probe, Evaluation::Finetune],
            curve: Vec::new(),
            feature: eval.feature,
            knn_k: eval.knn_k,
            knn_temperature: eval.knn_temperature,
            probe_epochs: 90,
            probe_batch_size: 256,
            probe_labels: vec![1.0],
            max_bank: 0,
            max_queries: 0,
            pointing_images: 2_000,
            variants: vec![Variant {
                name: "random".into(),
                pretrain: false,
                set: Vec::new(),
            }],
            pretrain: PretrainConfig::default(),
            finetune: FinetuneConfig::default(),
        }
    }
}

/// What is measured of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evaluation {
    /// Nearest neighbors.
    Knn,
    /// A linear layer on frozen features.
    Probe,
    /// The whole network, fine-tuned.
    Finetune,
    /// Whether orders start on the object, for `shapes`.
    Pointing,
}

/// One way of pre-training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Variant {
    /// Its name, in tables and as the name of its folder.
    pub name: String,
    /// Whether it is pre-trained at all; otherwise the first weights are evaluated.
    pub pretrain: bool,
    /// Settings that differ from `[pretrain]`, as for `--set`.
    pub set: Vec<String>,
}

impl Default for Variant {
    fn default() -> Self {
        Self {
            name: String::new(),
            pretrain: true,
            set: Vec::new(),
        }
    }
}

impl CompareConfig {
    /// How a variant is pre-trained with a seed.
    ///
    /// # Errors
    /// [`CompareError::Variant`] for settings that cannot be used.
    pub fn pretrain(&self, variant: &Variant, seed: u64) -> Result<PretrainConfig, CompareError> {
        let load = || -> Result<PretrainConfig, ConfigErrors> {
            let layers = Layers::new().text("pretrain", &to_toml(&self.pretrain)?)?;
            layers.sets(&variant.set)?.load()
        };
        let mut config = load().map_err(|source| CompareError::Variant {
            variant: variant.name.clone(),
            source,
        })?;
        config.seed = seed;
        config.data.path.clone_from(&self.data);
        config.data.eval = DataNames::default();
        Ok(config)
    }

    /// How an encoder is fine-tuned with a seed.
    pub fn finetune(&self, encoder: &std::path::Path, seed: u64) -> FinetuneConfig {
        let mut config = self.finetune.clone();
        config.seed = seed;
        config.data.path.clone_from(&self.data);
        config.data.eval = DataNames::default();
        config.encoder.weights = encoder.to_path_buf();
        config
    }

    /// How a probe is trained.
    pub fn probe(&self, seed: u64) -> ProbeOptions {
        ProbeOptions {
            epochs: self.probe_epochs,
            batch_size: self.probe_batch_size,
            seed,
            ..ProbeOptions::default()
        }
    }
}

impl Validate for CompareConfig {
    fn check(&self, problems: &mut Problems) {
        problems.require(!self.data.is_empty(), "data", "must not be empty");
        problems.require(!self.seeds.is_empty(), "seeds", "must not be empty");
        problems.require(!self.variants.is_empty(), "variants", "must not be empty");
        problems.require(
            !self.evaluations.is_empty(),
            "evaluations",
            "must not be empty",
        );
        problems.require(
            distinct(&self.seeds),
            "seeds",
            "must differ from each other",
        );
        let names: Vec<&str> = self.variants.iter().map(|v| v.name.as_str()).collect();
        problems.require(distinct(&names), "variants", "must have different names");
        problems.require(
            names.contains(&self.baseline.as_str()),
            "baseline",
            format!(
                "`{}` is none of the variants: {}",
                self.baseline,
                names.join(", ")
            ),
        );
        let is_name = |name: &&str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
        };
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            problems.add(
                "variants",
                format!("`{name}` cannot be the name of a folder; use letters, digits, - and _"),
            );
        }
        let is_a_result = |name: &&&str| {
            let results = [PAGE, TABLE, TABLE_JSON, STEP_TIMES];
            results
                .iter()
                .any(|result| name.eq_ignore_ascii_case(result))
        };
        if let Some(name) = names.iter().find(is_a_result) {
            problems.add(
                "variants",
                format!("`{name}` is the name of a file of results"),
            );
        }
        problems.require(
            self.feature != Representation::Patches,
            "feature",
            "must be one vector per image: cls, mean or both",
        );
        problems.require(
            distinct(&self.evaluations),
            "evaluations",
            "must differ from each other",
        );
        problems.require(
            !self.curve.contains(&Evaluation::Finetune),
            "curve",
            "cannot hold finetune: checkpoints on the way are not fine-tuned",
        );
        problems.require(
            self.curve.is_empty() || self.pretrain.checkpoint.keep_every_epochs > 0,
            "pretrain.checkpoint.keep_every_epochs",
            "must be above 0, as curve measures the checkpoints that are kept",
        );
        let points = |evaluations: &[Evaluation]| evaluations.contains(&Evaluation::Pointing);
        let shapes = self.data.as_slice() == ["shapes"];
        problems.require(
            shapes || !(points(&self.evaluations) || points(&self.curve)),
            "evaluations",
            "pointing needs data = \"shapes\", whose objects are known",
        );
        problems.in_range("pointing_images", self.pointing_images, 1..);
        problems.require(
            !self.probe_labels.is_empty()
                && self
                    .probe_labels
                    .iter()
                    .all(|&share| share > 0.0 && share <= 1.0)
                && distinct(&self.probe_labels),
            "probe_labels",
            format!(
                "must be different shares in (0, 1], are {:?}",
                self.probe_labels
            ),
        );
        problems.in_range("knn_k", self.knn_k, 1..);
        problems.require(
            self.knn_temperature.is_finite() && self.knn_temperature > 0.0,
            "knn_temperature",
            "must be above 0",
        );
        problems.in_range("probe_epochs", self.probe_epochs, 1..);
        problems.in_range("probe_batch_size", self.probe_batch_size, 2..);
        self.check_own(problems);
        problems.within("pretrain", |problems| self.pretrain.check(problems));
        // The encoder is the trial's.
        let finetune = self.finetune("encoder".as_ref(), 0);
        problems.within("finetune", |problems| finetune.check(problems));
    }

    fn renamed_keys() -> Vec<RenamedKey> {
        let within = |table, keys: Vec<RenamedKey>| keys.into_iter().map(move |k| k.within(table));
        within("pretrain", PretrainConfig::renamed_keys())
            .chain(within("finetune", FinetuneConfig::renamed_keys()))
            .collect()
    }
}

/// Settings of runs that a comparison makes itself or has its own of, and what it calls them.
const OWN: [(&str, &str); 8] = [
    ("seed", "seeds"),
    ("data.path", "data"),
    ("data.eval", "data"),
    ("eval.feature", "feature"),
    ("eval.knn_k", "knn_k"),
    ("eval.knn_temperature", "knn_temperature"),
    ("eval.max_bank", "max_bank"),
    ("eval.max_queries", "max_queries"),
];

/// What is said of a setting that a comparison has of its own, by that name.
fn has_own(own: &str) -> String {
    format!("has no effect in a comparison, which has `{own}` of its own")
}

impl CompareConfig {
    /// Refuses what the comparison says for all trials and would not look at elsewhere.
    fn check_own(&self, problems: &mut Problems) {
        let tables = [
            (
                "pretrain",
                json!(self.pretrain),
                json!(PretrainConfig::default()),
            ),
            (
                "finetune",
                json!(self.finetune),
                json!(FinetuneConfig::default()),
            ),
        ];
        for (table, said, default) in &tables {
            for (key, own) in OWN {
                problems.require(
                    setting(said, key) == setting(default, key),
                    format!("{table}.{key}"),
                    has_own(own),
                );
            }
        }
        problems.require(
            !self.finetune.encoder.is_named(),
            "finetune.encoder.weights",
            has_own("variants"),
        );
        problems.require(
            !self.finetune.from_scratch,
            "finetune.from_scratch",
            "would fine-tune the same random weights for all `variants`; one with `pretrain = false` is not pre-trained",
        );
        for variant in &self.variants {
            // Settings that cannot be read are refused with the variant.
            let Ok(layers) = Layers::new().sets(&variant.set) else {
                continue;
            };
            for (key, _) in OWN {
                if layers.names(key).unwrap_or_default() {
                    problems.add(
                        "variants",
                        format!(
                            "`{}` sets {key}, which is the comparison's and the same for all",
                            variant.name
                        ),
                    );
                }
            }
        }
    }
}

fn distinct<T: PartialEq>(values: &[T]) -> bool {
    values
        .iter()
        .enumerate()
        .all(|(i, value)| !values[..i].contains(value))
}
