//! Precision over recall of one category, from the detections of all images.

use crate::matching::{Matches, Outcome, THRESHOLDS};

/// Recalls 0, 0.01 ... 1 at which precision is taken.
pub(crate) const RECALLS: usize = 101;

/// Precision and recall of one category, area range and number of detections.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Curves {
    /// `[thresholds, recalls]`: the best precision at this recall or a higher one, 0 where it is not reached.
    pub(crate) precision: Vec<f64>,
    /// `[thresholds]`: the recall with all detections.
    pub(crate) recall: [f64; THRESHOLDS],
}

/// The curves of a category for each area range with at most `max_detections` per image; `None` where no truth counts.
///
/// Detections of equal score stay in the order of the images.
pub(crate) fn curves(
    images: &[Matches],
    ranges: usize,
    max_detections: usize,
) -> Vec<Option<Curves>> {
    let mut order: Vec<(f64, usize, usize)> = Vec::new();
    for (image, matches) in images.iter().enumerate() {
        let scores = matches.scores.iter().take(max_detections).enumerate();
        order.extend(scores.map(|(n, score)| (*score, image, n)));
    }
    order.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(std::cmp::Ordering::Equal));
    let range_curves = |range: usize| {
        let truths: usize = images.iter().map(|matches| matches.truths[range]).sum();
        if truths == 0 {
            return None;
        }
        let mut precision = Vec::with_capacity(THRESHOLDS * RECALLS);
        let mut recall = [0.0; THRESHOLDS];
        for (threshold, recall) in recall.iter_mut().enumerate() {
            let outcomes = order.iter().map(|&(_, image, n)| {
                let matches = &images[image];
                matches.outcomes[range][threshold * matches.scores.len() + n]
            });
            *recall = push_curve(outcomes, truths, &mut precision);
        }
        Some(Curves { precision, recall })
    };
    (0..ranges).map(range_curves).collect()
}

/// Appends the precision at each recall; gives the recall with all detections, best first.
fn push_curve(
    outcomes: impl Iterator<Item = Outcome>,
    truths: usize,
    precision: &mut Vec<f64>,
) -> f64 {
    let (mut right, mut wrong) = (0.0, 0.0);
    let mut points: Vec<(f64, f64)> = outcomes
        .map(|outcome| {
            match outcome {
                Outcome::TruePositive => right += 1.0,
                Outcome::FalsePositive => wrong += 1.0,
                Outcome::Ignored => {}
            }
            // The epsilon is the API's; it stands in the last digits of its numbers.
            (
                right / truths as f64,
                right / (wrong + right + f64::EPSILON),
            )
        })
        .collect();
    for n in (1..points.len()).rev() {
        points[n - 1].1 = points[n - 1].1.max(points[n].1);
    }
    let mut reached = points.iter().peekable();
    for n in 0..RECALLS {
        let wanted = if n + 1 == RECALLS {
            1.0
        } else {
            n as f64 * 0.01
        };
        while reached.next_if(|(recall, _)| *recall < wanted).is_some() {}
        precision.push(reached.peek().map_or(0.0, |(_, precision)| *precision));
    }
    points.last().map_or(0.0, |(recall, _)| *recall)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{FalsePositive, Ignored, TruePositive};

    fn curve(outcomes: &[Outcome], truths: usize) -> (Vec<f64>, f64) {
        let mut precision = Vec::new();
        let recall = push_curve(outcomes.iter().copied(), truths, &mut precision);
        (precision, recall)
    }

    #[test]
    fn precision_is_the_best_at_this_recall_or_a_higher_one() {
        let outcomes = [
            FalsePositive,
            TruePositive,
            Ignored,
            TruePositive,
            FalsePositive,
        ];
        let (precision, recall) = curve(&outcomes, 4);
        assert_eq!(recall, 0.5);
        // Two of three right at the recall 0.5; the half at 0.25 is hidden behind it.
        assert!(
            precision[..=50]
                .iter()
                .all(|p| (p - 2.0 / 3.0).abs() < 1e-12)
        );
        assert!(precision[51..].iter().all(|p| *p == 0.0));
    }

    #[test]
    fn nothing_found_is_0_everywhere() {
        assert_eq!(curve(&[], 3), (vec![0.0; RECALLS], 0.0));
        assert_eq!(curve(&[FalsePositive], 3), (vec![0.0; RECALLS], 0.0));
        let (precision, recall) = curve(&[TruePositive], 1);
        assert!(recall == 1.0 && precision.iter().all(|p| (p - 1.0).abs() < 1e-12));
    }
}
