//! Whether two sets have the same classes.

use std::fmt::Display;
use std::path::PathBuf;

use crate::error::DataError;

/// The classes of a set, under the numbers that its files give them.
#[derive(Clone, Copy)]
pub(crate) struct NumberedClasses<'a, N> {
    /// The set, for messages.
    pub(crate) set: &'a str,
    /// The numbers.
    pub(crate) numbers: &'a [N],
    /// The names, as many.
    pub(crate) names: &'a [String],
}

impl<N: Display> NumberedClasses<'_, N> {
    fn said(&self, at: usize) -> String {
        match (self.numbers.get(at), self.names.get(at)) {
            (Some(number), Some(name)) => format!("{number} `{name}`"),
            _ => "none".to_owned(),
        }
    }

    /// Refuses another set, such as the evaluation split of a training split, whose classes are not the same under the same
    /// numbers.
    ///
    /// # Errors
    ///
    /// [`DataError::Annotations`] with the first difference.
    pub(crate) fn check_same(&self, other: &Self) -> Result<(), DataError> {
        let most = self.names.len().max(other.names.len());
        match (0..most).find(|at| self.said(*at) != other.said(*at)) {
            None => Ok(()),
            Some(at) => Err(DataError::Annotations {
                path: PathBuf::from(self.set),
                reason: format!(
                    "class {at} is {} here and {} in {}: their classes must be the same",
                    self.said(at),
                    other.said(at),
                    other.set
                ),
            }),
        }
    }
}
