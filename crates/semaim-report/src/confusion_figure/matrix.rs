//! What was taken for what, in numbers.

use crate::error::FigureError;

/// How often each class was taken for each: at least one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: Vec<String>,
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// Takes the names of the classes and `counts`, `[classes, classes]`: row by row the true class, in a row the
    /// predicted one.
    ///
    /// # Errors
    ///
    /// [`FigureError::NoRows`] without classes, [`FigureError::CountsLength`] when there is not one count for each pair.
    pub fn new(classes: Vec<String>, counts: Vec<u64>) -> Result<ConfusionMatrix, FigureError> {
        if classes.is_empty() {
            return Err(FigureError::NoRows);
        }
        let expected = classes.len().saturating_mul(classes.len());
        if counts.len() != expected {
            return Err(FigureError::CountsLength {
                classes: classes.len(),
                expected,
                found: counts.len(),
            });
        }
        Ok(ConfusionMatrix { classes, counts })
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The counts, `[classes, classes]`.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The counts of a true class, one for each predicted class; empty when there is no such class.
    pub fn row(&self, class: usize) -> &[u64] {
        let mut rows = self.counts.chunks_exact(self.classes.len());
        rows.nth(class).unwrap_or(&[])
    }

    /// How many samples a true class has.
    pub fn samples(&self, class: usize) -> u128 {
        self.row(class).iter().copied().map(u128::from).sum()
    }

    /// The share of a class's samples that were taken for it, 0 to 1; `None` when it has no samples.
    pub fn class_accuracy(&self, class: usize) -> Option<f64> {
        let right = self.row(class).get(class).copied().unwrap_or(0);
        share(right.into(), self.samples(class))
    }

    /// The share of all samples that were taken for what they are, 0 to 1; `None` when there are none.
    pub fn accuracy(&self) -> Option<f64> {
        let classes = 0..self.classes.len();
        let right = classes.filter_map(|class| self.row(class).get(class));
        let right = right.copied().map(u128::from).sum();
        share(right, self.total())
    }

    /// The mean over the classes that have samples of the accuracy of the class, 0 to 1; `None` when none has.
    pub fn mean_class_accuracy(&self) -> Option<f64> {
        let classes = 0..self.classes.len();
        let known: Vec<f64> = classes.filter_map(|c| self.class_accuracy(c)).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }

    /// How many samples there are.
    pub fn total(&self) -> u128 {
        self.counts.iter().copied().map(u128::from).sum()
    }
}

fn share(part: u128, whole: u128) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| n.to_string()).collect()
    }

    #[test]
    fn there_is_a_count_for_each_pair() {
        assert!(matches!(
            ConfusionMatrix::new(vec![], vec![]),
            Err(FigureError::NoRows)
        ));
        let error = ConfusionMatrix::new(names(3), vec![0; 8]).unwrap_err();
        assert!(matches!(
            error,
            FigureError::CountsLength {
                classes: 3,
                expected: 9,
                found: 8
            }
        ));
    }

    #[test]
    fn accuracies_are_shares_of_rows() {
        let counts = vec![3, 1, 0, 0, 0, 0, 2, 2, 4];
        let matrix = ConfusionMatrix::new(names(3), counts).unwrap();
        assert_eq!(matrix.row(2), [2, 2, 4]);
        assert!(matrix.row(3).is_empty());
        let each: Vec<Option<f64>> = (0..3).map(|c| matrix.class_accuracy(c)).collect();
        assert_eq!(each, [Some(0.75), None, Some(0.5)]);
        assert_eq!(matrix.accuracy(), Some(7.0 / 12.0));
        assert_eq!(matrix.mean_class_accuracy(), Some(0.625));
    }

    #[test]
    fn the_largest_counts_do_not_overflow() {
        let matrix = ConfusionMatrix::new(names(2), vec![u64::MAX; 4]).unwrap();
        assert_eq!(matrix.accuracy(), Some(0.5));
        let empty = ConfusionMatrix::new(names(2), vec![0; 4]).unwrap();
        assert_eq!(
            (empty.accuracy(), empty.mean_class_accuracy()),
            (None, None)
        );
    }
}
