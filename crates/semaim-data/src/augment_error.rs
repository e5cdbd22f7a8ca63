//! What can be wrong with the settings of the augmentations and with the data they are given.

/// An augmentation that cannot be done. The data are as they were.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AugmentError {
    /// A setting outside its range.
    #[error("{setting} is {value}, it must be {wanted}")]
    Setting {
        /// The field.
        setting: &'static str,
        /// Its value.
        value: f64,
        /// The range, in words.
        wanted: &'static str,
    },
    /// Data of another length than their shape promises.
    #[error("the {what} have {given} numbers, the shape {shape:?} has {wanted}")]
    Length {
        /// What the data are.
        what: &'static str,
        /// The shape given for them.
        shape: Vec<usize>,
        /// Their length.
        given: usize,
        /// The product of the shape.
        wanted: usize,
    },
    /// A label that is not the number of a class.
    #[error("the label of image {index} of the batch is {label}, there are {classes} classes")]
    Label {
        /// The image within the batch, from 0.
        index: usize,
        /// Its label.
        label: u32,
        /// How many classes there are.
        classes: usize,
    },
}

impl AugmentError {
    /// Refuses a setting that is not within `low..=high`; NaN never is.
    pub(crate) fn check_range(
        setting: &'static str,
        value: f64,
        [low, high]: [f64; 2],
        wanted: &'static str,
    ) -> Result<(), Self> {
        if (low..=high).contains(&value) {
            Ok(())
        } else {
            Err(Self::Setting {
                setting,
                value,
                wanted,
            })
        }
    }

    /// Refuses data whose length is not the product of their shape.
    pub(crate) fn check_length(
        what: &'static str,
        given: usize,
        shape: &[usize],
    ) -> Result<(), Self> {
        // A product beyond `usize` is the length of nothing.
        let wanted = shape
            .iter()
            .try_fold(1usize, |n, &side| n.checked_mul(side));
        if wanted == Some(given) {
            Ok(())
        } else {
            Err(Self::Length {
                what,
                shape: shape.to_vec(),
                given,
                wanted: wanted.unwrap_or(usize::MAX),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_beyond_memory_are_refused() {
        assert!(AugmentError::check_length("images", 24, &[2, 3, 4]).is_ok());
        assert!(AugmentError::check_length("images", 23, &[2, 3, 4]).is_err());
        assert!(AugmentError::check_length("images", 0, &[usize::MAX, 2]).is_err());
    }

    #[test]
    fn nan_is_in_no_range() {
        assert!(AugmentError::check_range("p", 1.0, [0.0, 1.0], "in [0, 1]").is_ok());
        let error = AugmentError::check_range("p", f64::NAN, [0.0, 1.0], "in [0, 1]");
        assert_eq!(
            error.unwrap_err().to_string(),
            "p is NaN, it must be in [0, 1]"
        );
    }
}
