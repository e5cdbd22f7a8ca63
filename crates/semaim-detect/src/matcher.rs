//! Which object a candidate (an anchor, a proposal) stands for, by its overlap with all.

use crate::boxes::BoundingBox;

/// What a candidate is taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// That nothing is there.
    Negative,
    /// Nothing: its best overlap is neither large nor small.
    Ignored,
    /// The object that it overlaps most.
    Positive,
}

/// By the best overlap of a candidate: below `low` negative, from `high` on positive, ignored between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matcher {
    /// Intersection over union.
    pub low: f32,
    /// Intersection over union, at least `low`.
    pub high: f32,
    /// Whether an object's best candidates, all of them if several are equal, are positive whatever their overlap. They
    /// must overlap at all.
    pub keep_best: bool,
}

/// For each candidate, the object that it overlaps most (0 if there is none) and its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Matches {
    /// Numbers of objects; of equally good ones the first.
    pub objects: Vec<usize>,
    /// Labels.
    pub labels: Vec<Label>,
}

impl Matcher {
    /// Matches candidates with the objects of their image.
    pub fn matches(&self, objects: &[BoundingBox], candidates: &[BoundingBox]) -> Matches {
        let mut best = vec![(0.0_f32, 0_usize); candidates.len()];
        let mut best_of_object = vec![0.0_f32; objects.len()];
        for (number, object) in objects.iter().enumerate() {
            for (candidate, best) in candidates.iter().zip(&mut best) {
                let iou = object.iou(*candidate);
                if iou > best.0 {
                    *best = (iou, number);
                }
                best_of_object[number] = best_of_object[number].max(iou);
            }
        }
        let mut labels: Vec<Label> = best
            .iter()
            .map(|&(iou, _)| {
                if objects.is_empty() || iou < self.low {
                    Label::Negative
                } else if iou < self.high {
                    Label::Ignored
                } else {
                    Label::Positive
                }
            })
            .collect();
        if self.keep_best {
            for (object, &most) in objects.iter().zip(&best_of_object) {
                if most > 0.0 {
                    for (candidate, label) in candidates.iter().zip(&mut labels) {
                        if object.iou(*candidate) == most {
                            *label = Label::Positive;
                        }
                    }
                }
            }
        }
        Matches {
            objects: best.into_iter().map(|(_, number)| number).collect(),
            labels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squares(places: &[(f32, f32)]) -> Vec<BoundingBox> {
        places
            .iter()
            .map(|&(x, y)| BoundingBox::new(x, y, x + 10.0, y + 10.0))
            .collect()
    }

    #[test]
    fn labels_by_overlap() {
        let matcher = Matcher {
            low: 0.3,
            high: 0.7,
            keep_best: false,
        };
        let objects = squares(&[(0.0, 0.0), (100.0, 0.0)]);
        // Overlaps 9/11, 5/15 and 5.5/14.5, none, and exactly one.
        let candidates = squares(&[
            (1.0, 0.0),
            (5.0, 0.0),
            (104.5, 0.0),
            (50.0, 0.0),
            (100.0, 0.0),
        ]);
        let matches = matcher.matches(&objects, &candidates);
        assert_eq!(matches.objects, [0, 0, 1, 0, 1]);
        assert_eq!(
            matches.labels,
            [
                Label::Positive,
                Label::Ignored,
                Label::Ignored,
                Label::Negative,
                Label::Positive
            ]
        );
    }

    #[test]
    fn the_best_of_an_object_is_kept_ties_too() {
        let matcher = Matcher {
            low: 0.3,
            high: 0.7,
            keep_best: true,
        };
        let objects = squares(&[(0.0, 0.0)]);
        let candidates = squares(&[(8.0, 0.0), (0.0, 8.0), (9.0, 0.0)]);
        let matches = matcher.matches(&objects, &candidates);
        assert_eq!(
            matches.labels,
            [Label::Positive, Label::Positive, Label::Negative]
        );
        // An object that nothing overlaps makes nothing positive.
        let matches = matcher.matches(&squares(&[(500.0, 500.0)]), &candidates);
        assert_eq!(matches.labels, [Label::Negative; 3]);
    }

    #[test]
    fn without_objects_all_is_background() {
        let matcher = Matcher {
            low: 0.0,
            high: 0.0,
            keep_best: true,
        };
        let matches = matcher.matches(&[], &squares(&[(0.0, 0.0), (1.0, 1.0)]));
        assert_eq!(matches.labels, [Label::Negative; 2]);
        assert_eq!(matches.objects, [0, 0]);
        assert!(
            matcher
                .matches(&squares(&[(0.0, 0.0)]), &[])
                .labels
                .is_empty()
        );
    }
}
