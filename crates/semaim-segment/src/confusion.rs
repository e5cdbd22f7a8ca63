//! How often each class is taken for each: one matrix over a whole set, and the numbers that are reported of it.

use serde::{Deserialize, Serialize};

use crate::IGNORED;

/// Pixels of each class, by what they were taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    /// `[truth, prediction]`.
    counts: Vec<u64>,
}

/// What a confusion matrix says, all in 0..=1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentationMetrics {
    /// Mean IoU over the classes that have one.
    pub mean_iou: f64,
    /// Mean accuracy over the classes that occur in the truth.
    pub mean_accuracy: f64,
    /// Share of pixels that were taken for what they are.
    pub pixel_accuracy: f64,
    /// Intersection over union of truth and prediction by class; none for a class that occurs in neither.
    pub iou: Vec<Option<f64>>,
    /// Share of a class's pixels that were taken for it; none for a class that does not occur in the truth.
    pub accuracy: Vec<Option<f64>>,
}

impl ConfusionMatrix {
    /// Nothing counted yet.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
        }
    }

    /// Counts pixels; those whose truth is [`IGNORED`] are left out. All others, and all predictions, must be classes.
    pub fn add(&mut self, truth: &[u8], predicted: &[u8]) {
        assert_eq!(truth.len(), predicted.len(), "pixels");
        for (&truth, &predicted) in truth.iter().zip(predicted) {
            if truth != IGNORED {
                self.counts[usize::from(truth) * self.classes + usize::from(predicted)] += 1;
            }
        }
    }

    /// Pixels of class `truth` that were taken for `predicted`.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * self.classes + predicted]
    }

    /// Pixels that were counted.
    pub fn pixels(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The numbers that are reported; `None` when no pixel was counted.
    pub fn metrics(&self) -> Option<SegmentationMetrics> {
        let pixels = self.pixels();
        if pixels == 0 {
            return None;
        }
        let classes = 0..self.classes;
        let right = |class: usize| self.count(class, class);
        let truth = |class: usize| classes.clone().map(|p| self.count(class, p)).sum::<u64>();
        let predicted = |class: usize| classes.clone().map(|t| self.count(t, class)).sum::<u64>();
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let union = |class| truth(class) + predicted(class) - right(class);
        let of_classes = |of: &dyn Fn(usize) -> Option<f64>| classes.clone().map(of).collect();
        let iou: Vec<Option<f64>> = of_classes(&|class| share(right(class), union(class)));
        let accuracy: Vec<Option<f64>> = of_classes(&|class| share(right(class), truth(class)));
        Some(SegmentationMetrics {
            mean_iou: mean(&iou),
            mean_accuracy: mean(&accuracy),
            pixel_accuracy: classes.clone().map(right).sum::<u64>() as f64 / pixels as f64,
            iou,
            accuracy,
        })
    }
}

/// The mean of the numbers that there are; there must be one.
fn mean(numbers: &[Option<f64>]) -> f64 {
    let (sum, count) = numbers
        .iter()
        .flatten()
        .fold((0.0, 0), |(sum, count), number| (sum + number, count + 1));
    sum / f64::from(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_random::{Key, KeyedRng, Stream};

    #[test]
    fn classes_that_occur_nowhere_are_left_out_of_the_mean() {
        let mut matrix = ConfusionMatrix::new(4);
        assert_eq!(matrix.metrics(), None);
        matrix.add(&[0, 0, 0, 1, IGNORED], &[0, 0, 1, 1, 3]);
        // Class 2 is predicted and occurs nowhere; class 3 is neither, for what is ignored is not counted.
        matrix.add(&[1, IGNORED], &[2, 2]);
        let metrics = matrix.metrics().unwrap();
        assert_eq!(
            metrics.iou,
            [Some(2.0 / 3.0), Some(1.0 / 3.0), Some(0.0), None]
        );
        assert_eq!(metrics.accuracy, [Some(2.0 / 3.0), Some(0.5), None, None]);
        assert!((metrics.mean_iou - 1.0 / 3.0).abs() < 1e-12);
        assert!((metrics.mean_accuracy - 7.0 / 12.0).abs() < 1e-12);
        assert!((metrics.pixel_accuracy - 0.6).abs() < 1e-12);
        assert_eq!((matrix.count(0, 1), matrix.pixels()), (1, 5));
    }

    /// Sets of pixels, counted one class at a time.
    #[test]
    fn a_brute_force_count_agrees() {
        for draw in 0..20 {
            let mut rng = KeyedRng::new(Key::new(0, 0, draw), Stream::Init);
            let classes = 2 + rng.below(9) as usize;
            let pixels = 1 + rng.below(300) as usize;
            // Some classes are hardly ever drawn, so that some occur nowhere.
            let mut class = || (rng.below(classes as u64).min(rng.below(classes as u64))) as u8;
            let images: Vec<[Vec<u8>; 2]> = (0..3)
                .map(|_| {
                    let mut image =
                        [(); 2].map(|()| (0..pixels).map(|_| class()).collect::<Vec<u8>>());
                    for label in image[0].iter_mut().step_by(7) {
                        *label = IGNORED;
                    }
                    image
                })
                .collect();
            let mut matrix = ConfusionMatrix::new(classes);
            let mut counted = Vec::new();
            for [truth, predicted] in &images {
                matrix.add(truth, predicted);
                counted.extend(truth.iter().zip(predicted).filter(|(t, _)| **t != IGNORED));
            }
            let Some(metrics) = matrix.metrics() else {
                assert!(counted.is_empty());
                continue;
            };
            let mut ious = Vec::new();
            let mut accuracies = Vec::new();
            for class in 0..classes as u8 {
                let of = |test: &dyn Fn(bool, bool) -> bool| {
                    let pixels = counted.iter();
                    pixels
                        .filter(|(t, p)| test(**t == class, **p == class))
                        .count() as f64
                };
                let (both, either) = (of(&|t, p| t && p), of(&|t, p| t || p));
                let truth = of(&|t, _| t);
                let expected = [
                    (either > 0.0).then(|| both / either),
                    (truth > 0.0).then(|| both / truth),
                ];
                let found = [
                    metrics.iou[class as usize],
                    metrics.accuracy[class as usize],
                ];
                assert_eq!(found, expected);
                ious.extend(expected[0]);
                accuracies.extend(expected[1]);
            }
            let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len() as f64;
            let right = counted.iter().filter(|(t, p)| t == p).count() as f64;
            for (found, expected) in [
                (metrics.mean_iou, mean(&ious)),
                (metrics.mean_accuracy, mean(&accuracies)),
                (metrics.pixel_accuracy, right / counted.len() as f64),
            ] {
                assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            }
        }
    }
}
