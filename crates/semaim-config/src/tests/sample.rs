//! A configuration with one of everything.

use serde::{Deserialize, Serialize};

use crate::{ConfigErrors, Layers, Problems, RenamedKey, Validate};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Experiment {
    pub(super) train: Train,
    pub(super) optimizer: Optimizer,
    pub(super) data: Data,
    /// A scalar after the tables, which TOML has to write before them.
    pub(super) seed: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Train {
    pub(super) epochs: u32,
    pub(super) warmup: u32,
    pub(super) method: Method,
    pub(super) compile: bool,
    pub(super) resume: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Method {
    Semaim,
    MaskedPixels,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Optimizer {
    pub(super) learning_rate: f64,
    pub(super) betas: [f32; 2],
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stage {
    pub(super) width: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Data {
    pub(super) path: String,
    pub(super) sizes: Vec<u32>,
    pub(super) stages: Vec<Stage>,
}

impl Default for Experiment {
    fn default() -> Self {
        Experiment {
            train: Train {
                epochs: 800,
                warmup: 40,
                method: Method::Semaim,
                compile: true,
                resume: None,
            },
            optimizer: Optimizer {
                learning_rate: 1.5e-4,
                betas: [0.9, 0.95],
            },
            data: Data {
                path: "data".into(),
                sizes: vec![224, 96],
                stages: Vec::new(),
            },
            seed: 0,
        }
    }
}

impl Validate for Experiment {
    fn check(&self, problems: &mut Problems) {
        problems.within("train", |problems| {
            problems.in_range("epochs", self.train.epochs, 1..);
            problems.require(
                self.train.warmup <= self.train.epochs,
                "warmup",
                format!("must be at most train.epochs ({})", self.train.epochs),
            );
        });
        let rate = self.optimizer.learning_rate;
        problems.require(
            rate.is_finite() && rate > 0.0,
            "optimizer.learning_rate",
            format!("must be a finite number above 0, is {rate}"),
        );
        for (index, size) in self.data.sizes.iter().enumerate() {
            problems.in_range(format!("data.sizes[{index}]"), *size, 16..);
        }
    }

    fn optional_keys() -> &'static [&'static str] {
        &["train.resume"]
    }

    fn renamed_keys() -> Vec<RenamedKey> {
        vec![
            RenamedKey::new("train.warm", "train.warmup"),
            RenamedKey::new("set", "data"),
        ]
    }
}

/// Loads one text, named `x.toml`.
pub(super) fn load(text: &str) -> Result<Experiment, ConfigErrors> {
    Layers::new().text("x.toml", text)?.load()
}

/// The errors of one text, one a line.
pub(super) fn errors(text: &str) -> Vec<String> {
    lines(load(text))
}

/// The lines of an error.
pub(super) fn lines<T: std::fmt::Debug>(result: Result<T, ConfigErrors>) -> Vec<String> {
    result
        .unwrap_err()
        .to_string()
        .lines()
        .map(str::to_owned)
        .collect()
}
