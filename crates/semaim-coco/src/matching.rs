//! Which detection is which truth: one image, one category.
//!
//! Detections take their turn in order of score, each the truth it overlaps most that is not taken yet; of equal
//! overlaps the later truth. Truths that do not count (crowds, or of an area outside the range) are tried after those
//! that do, and only a crowd may be taken more than once.

use crate::iou::Region;

/// The most detections of an image and a category that count, the best.
pub(crate) const MAX_DETECTIONS: usize = 100;

/// Thresholds of the overlap.
pub(crate) const THRESHOLDS: usize = 10;

/// What is in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth<R> {
    /// Its number. A match with a truth of number 0 is none, as in the COCO API: number from 1 on.
    pub id: i64,
    /// Whether it is a group of objects that were not told apart.
    pub is_crowd: bool,
    /// Its area in pixels, which decides over the area ranges.
    pub area: f64,
    /// Where it is.
    pub region: R,
}

/// What was found in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection<R> {
    /// How sure it is, finite.
    pub score: f64,
    /// Its area in pixels, which decides over the area ranges when it matches nothing.
    pub area: f64,
    /// Where it is.
    pub region: R,
}

/// What a detection counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    TruePositive,
    FalsePositive,
    /// It matches a truth that does not count, or nothing and is of an area outside the range.
    Ignored,
}

/// The detections of an image and a category against the truths, for all thresholds and area ranges.
#[derive(Debug)]
pub(crate) struct Matches {
    /// The scores of the best [`MAX_DETECTIONS`], best first.
    pub(crate) scores: Vec<f64>,
    /// For each area range, the number of truths that count.
    pub(crate) truths: Vec<usize>,
    /// For each area range, `[thresholds, detections]`.
    pub(crate) outcomes: Vec<Vec<Outcome>>,
}

/// The thresholds 0.50, 0.55 ... 0.95, with the roundings of numpy's `linspace`.
pub(crate) fn thresholds() -> [f64; THRESHOLDS] {
    let step = (0.95 - 0.5) / 9.0;
    let mut thresholds: [f64; THRESHOLDS] = std::array::from_fn(|n| n as f64 * step + 0.5);
    thresholds[THRESHOLDS - 1] = 0.95;
    thresholds
}

impl Matches {
    /// Matches for each of some area ranges, whose bounds are inclusive.
    pub(crate) fn new<R: Region>(
        truths: &[Truth<R>],
        detections: &[Detection<R>],
        area_ranges: &[[f64; 2]],
    ) -> Self {
        let mut best: Vec<&Detection<R>> = detections.iter().collect();
        // Stable, and -0 is 0.
        best.sort_by(|a, b| {
            b.score
                .partial_cmp(&a.score)
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        best.truncate(MAX_DETECTIONS);
        let regions: Vec<&R> = best.iter().map(|detection| &detection.region).collect();
        let truth_regions: Vec<(&R, bool)> =
            truths.iter().map(|t| (&t.region, t.is_crowd)).collect();
        let overlaps = R::overlaps(&regions, &truth_regions);
        let mut found = Self {
            scores: best.iter().map(|detection| detection.score).collect(),
            truths: Vec::with_capacity(area_ranges.len()),
            outcomes: Vec::with_capacity(area_ranges.len()),
        };
        for &[low, high] in area_ranges {
            let outside = |area: f64| area < low || area > high;
            let ignored = |truth: &Truth<R>| truth.is_crowd || outside(truth.area);
            // Those that count first; stable.
            let mut order: Vec<usize> = (0..truths.len()).collect();
            order.sort_by_key(|n| ignored(&truths[*n]));
            let counted = truths.iter().filter(|truth| !ignored(truth)).count();
            let mut outcomes = Vec::with_capacity(THRESHOLDS * best.len());
            for threshold in thresholds() {
                let mut taken = vec![false; truths.len()];
                for (n, detection) in best.iter().enumerate() {
                    let row = &overlaps[n * truths.len()..(n + 1) * truths.len()];
                    let place = best_truth(truths, &order, counted, &taken, row, threshold);
                    let (mut matched, mut ignore) = (false, false);
                    if let Some(place) = place {
                        let truth = order[place];
                        taken[truth] = true;
                        ignore = place >= counted;
                        matched = truths[truth].id != 0;
                    }
                    outcomes.push(match matched {
                        _ if ignore => Outcome::Ignored,
                        true => Outcome::TruePositive,
                        false if outside(detection.area) => Outcome::Ignored,
                        false => Outcome::FalsePositive,
                    });
                }
            }
            found.truths.push(counted);
            found.outcomes.push(outcomes);
        }
        found
    }
}

/// The place in `order` of the truth that a detection takes, if any. The first `counted` are those that count.
fn best_truth<R>(
    truths: &[Truth<R>],
    order: &[usize],
    counted: usize,
    taken: &[bool],
    overlaps: &[f64],
    threshold: f64,
) -> Option<usize> {
    let mut least = threshold.min(1.0 - 1e-10);
    let mut best = None;
    for (place, &truth) in order.iter().enumerate() {
        if taken[truth] && !truths[truth].is_crowd {
            continue;
        }
        if place >= counted && best.is_some_and(|best| best < counted) {
            break;
        }
        if overlaps[truth] >= least {
            least = overlaps[truth];
            best = Some(place);
        }
    }
    best
}

#[cfg(test)]
mod tests;
