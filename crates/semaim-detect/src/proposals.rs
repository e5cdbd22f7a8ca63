//! From the region proposal network's output to proposals.

use crate::box_coding::BoxCoder;
use crate::boxes::BoundingBox;
use crate::nms::{by_score, nms_within};

/// How deltas of proposals are coded.
pub const PROPOSAL_CODER: BoxCoder = BoxCoder { weights: [1.0; 4] };

/// How many proposals are looked at and kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProposalSelection {
    /// Best of each level that are decoded.
    pub before_nms: usize,
    /// Best that are kept.
    pub after_nms: usize,
    /// Overlap with a better one of the same level above which a proposal is dropped.
    pub nms_iou: f32,
}

/// Where an object may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proposal {
    /// Inside the image, with an area.
    pub bounds: BoundingBox,
    /// How likely, before the sigmoid.
    pub logit: f32,
}

impl ProposalSelection {
    /// The proposals of one image of `[height, width]`, best first, from the anchors of all levels one after the other with
    /// a logit and four deltas each. Anchors whose output is no number are passed over.
    ///
    /// # Panics
    /// If there are not as many logits, and four times as many deltas, as anchors.
    pub fn select(
        &self,
        levels: &[Vec<BoundingBox>],
        logits: &[f32],
        deltas: &[f32],
        image: [usize; 2],
    ) -> Vec<Proposal> {
        let anchors = levels.iter().map(Vec::len).sum::<usize>();
        assert_eq!((logits.len(), deltas.len()), (anchors, 4 * anchors));
        let (deltas, _) = deltas.as_chunks::<4>();
        let mut boxes = Vec::new();
        let mut scores = Vec::new();
        let mut level_of = Vec::new();
        let mut first = 0;
        for (level, anchors) in levels.iter().enumerate() {
            let logits = &logits[first..][..anchors.len()];
            let deltas = &deltas[first..][..anchors.len()];
            first += anchors.len();
            for anchor in by_score(logits).into_iter().take(self.before_nms) {
                let decoded = PROPOSAL_CODER.decode(anchors[anchor], deltas[anchor]);
                if !decoded.is_finite() || !logits[anchor].is_finite() {
                    continue;
                }
                let clipped = decoded.clipped(image);
                if clipped.has_area() {
                    boxes.push(clipped);
                    scores.push(logits[anchor]);
                    level_of.push(level);
                }
            }
        }
        let mut kept = nms_within(&boxes, &scores, &level_of, self.nms_iou);
        kept.truncate(self.after_nms);
        kept.into_iter()
            .map(|i| Proposal {
                bounds: boxes[i],
                logit: scores[i],
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipped_suppressed_within_levels_and_counted() {
        let square = |x: f32, y: f32| BoundingBox::new(x, y, x + 10.0, y + 10.0);
        let levels = vec![
            vec![
                square(-5.0, 0.0),
                square(0.0, 0.0),
                square(1.0, 0.0),
                square(50.0, 0.0),
            ],
            vec![square(0.0, 0.0), square(20.0, 20.0)],
        ];
        let logits = [0.1, 3.0, 4.0, 9.0, 2.0, f32::NAN];
        let deltas = [0.0; 24];
        let selection = ProposalSelection {
            before_nms: 10,
            after_nms: 10,
            nms_iou: 0.7,
        };
        let found = selection.select(&levels, &logits, &deltas, [40, 40]);
        // The fourth lies outside, the second overlaps the third, the last is no number.
        let logits_of = |found: &[Proposal]| found.iter().map(|p| p.logit).collect::<Vec<_>>();
        assert_eq!(logits_of(&found), [4.0, 2.0, 0.1]);
        assert_eq!(found[2].bounds, BoundingBox::new(0.0, 0.0, 5.0, 10.0));
        let few = ProposalSelection {
            before_nms: 3,
            after_nms: 2,
            nms_iou: 1.0,
        };
        let found = few.select(&levels, &logits, &deltas, [40, 40]);
        assert_eq!(logits_of(&found), [4.0, 3.0]);
    }
}
