//! The head of a classifier, which formats that have classifiers take along.

use semaim::classifier::Pool;
use semaim::parameters::Weights;

use crate::model_file::ModelFile;

/// What a classifier has beside its encoder.
#[derive(Clone, Debug)]
pub struct Head {
    /// What of the encoder it sees.
    pub pool: Pool,
    /// The names of the classes, by number.
    pub classes: Vec<String>,
    /// `head.*`, and `fc_norm.*` where patch tokens are averaged, which then stands in place of the encoder's `norm.*`.
    pub weights: Weights,
}

impl Head {
    /// The head of a classifier's file.
    pub fn of(file: &ModelFile) -> Self {
        let of_the_head = |name: &str| name.starts_with("head.") || name.starts_with("fc_norm.");
        let weights: Weights = file
            .weights
            .iter()
            .filter(|(name, _)| of_the_head(name))
            .map(|(name, weight)| (name.clone(), weight.clone()))
            .collect();
        Self {
            pool: match weights.contains_key("fc_norm.weight") {
                true => Pool::Mean,
                false => Pool::Cls,
            },
            classes: file.classes.clone(),
            weights,
        }
    }
}
