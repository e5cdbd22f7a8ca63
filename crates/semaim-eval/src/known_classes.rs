//! Classes of a data set as a trained model numbers them: by name.

use std::collections::HashMap;

use semaim_data::Source;

/// A set with a class that a model does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{set}: the class `{class}` is none of the model's, which are {}", known.join(", "))]
pub struct UnknownClass {
    /// The set.
    pub set: String,
    /// The first class that is not known.
    pub class: String,
    /// Those that are.
    pub known: Vec<String>,
}

/// The number that a model has for each class of a set.
///
/// # Errors
/// [`UnknownClass`]; the set may lack classes that the model knows.
pub fn numbers_of(
    set: &(impl Source + ?Sized),
    known: &[String],
) -> Result<Vec<usize>, UnknownClass> {
    let numbers: HashMap<&String, usize> = known.iter().zip(0..).collect();
    let number = |class: &String| {
        numbers.get(class).copied().ok_or_else(|| UnknownClass {
            set: set.describe(),
            class: class.clone(),
            known: known.to_vec(),
        })
    };
    set.classes().iter().map(number).collect()
}
