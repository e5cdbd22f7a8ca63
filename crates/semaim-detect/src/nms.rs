//! Non-maximum suppression: of boxes that overlap, the one with the best score.

use crate::boxes::BoundingBox;

/// The boxes that stay, best first: a box goes when one that stays has a better score and an intersection over union
/// above `threshold`. Equal scores count in the order given. A box without area overlaps nothing, so it stays.
///
/// # Panics
/// If there are not as many scores as boxes.
pub fn nms(boxes: &[BoundingBox], scores: &[f32], threshold: f32) -> Vec<usize> {
    nms_within(boxes, scores, &vec![0; boxes.len()], threshold)
}

/// As [`nms`], but boxes of different groups (levels, classes) leave each other alone.
///
/// # Panics
/// If there are not as many scores and groups as boxes.
pub fn nms_within(
    boxes: &[BoundingBox],
    scores: &[f32],
    groups: &[usize],
    threshold: f32,
) -> Vec<usize> {
    assert_eq!(boxes.len(), scores.len(), "scores of boxes");
    assert_eq!(boxes.len(), groups.len(), "groups of boxes");
    let order = by_score(scores);
    let mut kept_of_group: Vec<Vec<usize>> = Vec::new();
    let mut kept = Vec::new();
    for box_number in order {
        let group = groups[box_number];
        if group >= kept_of_group.len() {
            kept_of_group.resize(group + 1, Vec::new());
        }
        let rivals = &mut kept_of_group[group];
        let candidate = boxes[box_number];
        if rivals
            .iter()
            .all(|&rival| boxes[rival].iou(candidate) <= threshold)
        {
            rivals.push(box_number);
            kept.push(box_number);
        }
    }
    kept
}

/// Numbers of the scores, the best first, equal ones in their order. NaN comes last.
pub(crate) fn by_score(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (scores[a], scores[b]);
        a.is_nan()
            .cmp(&b.is_nan())
            .then(b.partial_cmp(&a).unwrap_or(std::cmp::Ordering::Equal))
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_random::{Key, KeyedRng, Stream};

    /// The definition: again and again the best box left, and away with what it overlaps.
    fn brute_force(boxes: &[BoundingBox], scores: &[f32], threshold: f32) -> Vec<usize> {
        let mut left: Vec<usize> = (0..boxes.len()).collect();
        let mut kept = Vec::new();
        while !left.is_empty() {
            let mut best = left[0];
            for &i in &left {
                if scores[i] > scores[best] {
                    best = i;
                }
            }
            kept.push(best);
            left.retain(|&i| i != best && boxes[best].iou(boxes[i]) <= threshold);
        }
        kept
    }

    /// Boxes on a coarse grid and few different scores: ties, equal boxes, boxes without area and outside the image.
    fn random(rng: &mut KeyedRng, count: usize) -> (Vec<BoundingBox>, Vec<f32>) {
        let mut boxes = Vec::new();
        let mut scores = Vec::new();
        for _ in 0..count {
            let x = rng.below(12) as f32 * 4.0 - 8.0;
            let y = rng.below(12) as f32 * 4.0 - 8.0;
            let width = rng.below(6) as f32 * 4.0;
            let height = rng.below(6) as f32 * 4.0;
            boxes.push(BoundingBox::new(x, y, x + width, y + height));
            scores.push(rng.below(8) as f32 / 8.0);
        }
        (boxes, scores)
    }

    #[test]
    fn agrees_with_brute_force() {
        let mut rng = KeyedRng::new(Key::new(3, 0, 0), Stream::Init);
        for count in [0, 1, 2, 3, 10, 100, 300] {
            for threshold in [0.0, 0.3, 0.5, 0.7, 1.0] {
                for _ in 0..5 {
                    let (boxes, scores) = random(&mut rng, count);
                    let kept = nms(&boxes, &scores, threshold);
                    assert_eq!(kept, brute_force(&boxes, &scores, threshold));
                }
            }
        }
    }

    #[test]
    fn groups_leave_each_other_alone() {
        let mut rng = KeyedRng::new(Key::new(4, 0, 0), Stream::Init);
        let (boxes, scores) = random(&mut rng, 120);
        let groups: Vec<usize> = (0..120).map(|_| rng.below(4) as usize).collect();
        let kept = nms_within(&boxes, &scores, &groups, 0.4);
        for group in 0..4 {
            let members: Vec<usize> = (0..120).filter(|&i| groups[i] == group).collect();
            let of = |i: &usize| (boxes[*i], scores[*i]);
            let (boxes, scores): (Vec<_>, Vec<_>) = members.iter().map(of).unzip();
            let expected = brute_force(&boxes, &scores, 0.4);
            let expected: Vec<usize> = expected.into_iter().map(|i| members[i]).collect();
            let found: Vec<usize> = kept
                .iter()
                .copied()
                .filter(|&i| groups[i] == group)
                .collect();
            assert_eq!(found, expected);
        }
        assert!(kept.windows(2).all(|w| scores[w[0]] >= scores[w[1]]));
    }

    #[test]
    fn a_score_that_is_no_number_comes_last() {
        assert_eq!(by_score(&[0.1, f32::NAN, 0.5, 0.1]), [2, 0, 3, 1]);
    }
}
