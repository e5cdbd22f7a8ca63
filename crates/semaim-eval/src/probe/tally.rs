//! What is counted for each member of a grid.

use crate::accuracy::{Accuracy, HitCounter, rank_of_label};

/// How often a member of the grid is right, and whether its logits are numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    hits: HitCounter,
    finite: bool,
}

impl Tally {
    /// One for each of `members`, of no image yet.
    pub(super) fn of_each(members: usize) -> Vec<Self> {
        let nothing = Self {
            hits: HitCounter::default(),
            finite: true,
        };
        vec![nothing; members]
    }

    /// Counts an image of a class by its logits, one per class.
    pub(super) fn add(&mut self, logits: &[f32], class: usize) {
        self.finite &= logits.iter().all(|logit| logit.is_finite());
        self.hits.add(rank_of_label(logits, class));
    }

    /// Images counted.
    pub(super) fn images(&self) -> usize {
        self.hits.images() as usize
    }

    /// What came out.
    pub(super) fn score(&self) -> Score {
        Score {
            accuracy: self.hits.accuracy(),
            finite: self.finite,
        }
    }
}

/// What a member of the grid comes to on some images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Score {
    /// Without meaning where the logits are no numbers.
    pub(super) accuracy: Accuracy,
    /// Whether all logits were finite.
    pub(super) finite: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_that_is_none_is_enough() {
        let mut tally = Tally::of_each(3);
        for logits in [[0.5, 2.0], [1.0, 0.0]] {
            tally[0].add(&logits, 0);
            tally[1].add(&[logits[0], f32::NAN], 0);
            tally[2].add(&[f32::INFINITY, logits[1]], 0);
        }
        let finite: Vec<bool> = tally.iter().map(|tally| tally.score().finite).collect();
        assert_eq!(finite, [true, false, false]);
        assert_eq!(
            (tally[0].images(), tally[0].score().accuracy.top1),
            (2, 0.5)
        );
    }
}
