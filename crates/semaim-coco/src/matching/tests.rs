use semaim_random::{Key, KeyedRng, Stream};

use super::*;
use crate::evaluator::AREA_RANGES;

type Boxes = (Vec<Truth<[f64; 4]>>, Vec<Detection<[f64; 4]>>);

/// Small boxes on few places, so that overlaps and scores are often equal.
fn random(case: u64) -> Boxes {
    let mut rng = KeyedRng::new(Key::new(5, 0, case), Stream::Shapes);
    let mut below = |n: u64| rng.below(n) as f64;
    let mut region = || {
        [
            below(3) * 4.0,
            below(3) * 4.0,
            20.0 + below(3) * 6.0,
            20.0 + below(3) * 6.0,
        ]
    };
    let regions: Vec<[f64; 4]> = (0..20).map(|_| region()).collect();
    let (truths, detections) = (below(8) as usize, below(12) as usize);
    let truths = (0..truths).map(|n| Truth {
        id: n as i64,
        is_crowd: below(4) == 0.0,
        area: 1000.0 + below(3) * 24.0,
        region: regions[n],
    });
    let truths: Vec<_> = truths.collect();
    let detections = (0..detections).map(|n| Detection {
        score: below(4),
        area: 1000.0 + below(3) * 24.0,
        region: regions[8 + n],
    });
    (truths, detections.collect())
}

/// The rule as it is told: the best of the free truths that count, otherwise the best of the others; the last of
/// several.
fn naive((truths, detections): &Boxes, [low, high]: [f64; 2], threshold: f64) -> Vec<Outcome> {
    let outside = |area: f64| area < low || area > high;
    let mut taken = vec![false; truths.len()];
    let mut outcomes = Vec::new();
    let mut best: Vec<_> = detections.iter().collect();
    best.sort_by(|a, b| b.score.total_cmp(&a.score));
    for detection in best {
        let overlap = |n: &usize| {
            let truth = &truths[*n];
            crate::iou::box_iou(&detection.region, &truth.region, truth.is_crowd)
        };
        let counts = |n: &usize| !truths[*n].is_crowd && !outside(truths[*n].area);
        let free: Vec<usize> = (0..truths.len())
            .filter(|n| truths[*n].is_crowd || !taken[*n])
            .filter(|n| overlap(n) >= threshold)
            .collect();
        let best_of = |wanted: bool| {
            let some = free.iter().copied().filter(|n| counts(n) == wanted);
            some.max_by(|a, b| overlap(a).total_cmp(&overlap(b)))
        };
        outcomes.push(match best_of(true).or_else(|| best_of(false)) {
            Some(truth) => {
                taken[truth] = true;
                match (counts(&truth), truths[truth].id) {
                    (false, _) => Outcome::Ignored,
                    (true, 0) if outside(detection.area) => Outcome::Ignored,
                    (true, 0) => Outcome::FalsePositive,
                    (true, _) => Outcome::TruePositive,
                }
            }
            None if outside(detection.area) => Outcome::Ignored,
            None => Outcome::FalsePositive,
        });
    }
    outcomes
}

#[test]
fn matches_are_those_of_the_rule() {
    let mut seen = [0; 3];
    for case in 0..2000 {
        let boxes = random(case);
        let found = Matches::new(&boxes.0, &boxes.1, &AREA_RANGES);
        for (range, outcomes) in AREA_RANGES.into_iter().zip(&found.outcomes) {
            for (n, threshold) in thresholds().into_iter().enumerate() {
                let count = boxes.1.len();
                let expected = naive(&boxes, range, threshold);
                assert_eq!(
                    outcomes[n * count..(n + 1) * count],
                    expected,
                    "case {case}, {range:?}"
                );
                for outcome in expected {
                    seen[outcome as usize] += 1;
                }
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 1000), "{seen:?}");
}

#[test]
fn bounds_of_area_ranges_belong_to_both() {
    let truth = |area| Truth {
        id: 1,
        is_crowd: false,
        area,
        region: [0.0, 0.0, 32.0, 32.0],
    };
    let counted = |area| Matches::new(&[truth(area)], &[], &AREA_RANGES).truths;
    assert_eq!(counted(0.0), [1, 1, 0, 0]);
    assert_eq!(counted(1024.0), [1, 1, 1, 0]);
    assert_eq!(counted(9216.0), [1, 0, 1, 1]);
    assert_eq!(counted(1e10), [1, 0, 0, 1]);
    assert_eq!(counted(1.1e10), [0, 0, 0, 0]);
}

#[test]
fn the_best_100_count() {
    let detections = (0..130).map(|n| Detection {
        score: f64::from(n % 40),
        area: 4.0,
        region: [0.0, 0.0, 2.0, 2.0],
    });
    let detections: Vec<_> = detections.collect();
    let found = Matches::new(&[], &detections, &AREA_RANGES);
    assert_eq!(found.scores.len(), 100);
    assert!(found.scores.is_sorted_by(|a, b| a >= b));
    assert_eq!(found.scores[99], 7.0);
}

#[test]
fn thresholds_are_those_of_numpy() {
    // `numpy.linspace(.5, .95, 10)`, recorded.
    let expected = [
        0.5,
        0.55,
        0.6,
        0.65,
        0.7,
        0.75,
        0.8,
        0.85,
        0.8999999999999999,
        0.95,
    ];
    assert_eq!(thresholds(), expected);
}
