//! Boxes written as corners where width and height belong, as far as it can be told.

use std::path::Path;

use crate::error::{CocoError, Entry};
use crate::repairs::{Repair, Repaired, Repairs};

/// How far a box may reach out of its image, in pixels: detectors and annotators round.
const SLACK: f64 = 1.0;

/// From so many boxes on that reach out of their images and would not as corners, while all would do as corners, it is no
/// accident: of boxes at random, one in four would do.
const SURE: usize = 5;

/// The boxes of a file, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Corners {
    boxes: usize,
    /// Those that reach out of their image and would not as corners, and the first of them.
    outside: usize,
    first: Option<Entry>,
    /// Whether some box is no pair of corners, the first above and to the left of the second.
    impossible: bool,
}

impl Corners {
    /// Looks at a box in an image of the given columns and rows.
    pub(crate) fn look(&mut self, entry: Entry, bbox: [f64; 4], size: Option<[u32; 2]>) {
        let Some([width, height]) = size.map(|size| size.map(f64::from)) else {
            return;
        };
        let [x, y, a, b] = bbox;
        self.boxes += 1;
        self.impossible |= a < x || b < y;
        let reaches_out =
            |right: f64, bottom: f64| right > width + SLACK || bottom > height + SLACK;
        if reaches_out(x + a, y + b) && !reaches_out(a, b) {
            self.outside += 1;
            self.first.get_or_insert(entry);
        }
    }

    /// Refuses boxes that can only be corners, and names those that may be.
    pub(crate) fn judge(self, path: &Path, repairs: &mut Repairs) -> Result<(), CocoError> {
        let Some(first) = self.first.filter(|_| !self.impossible) else {
            return Ok(());
        };
        if self.outside >= SURE {
            return Err(CocoError::Corners {
                path: path.to_owned(),
                outside: self.outside,
                boxes: self.boxes,
                first,
            });
        }
        repairs.0.push(Repair {
            what: Repaired::MaybeCorners,
            count: self.outside,
            first,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Boxes in an image of 100 x 80 pixels: whether they are refused, and how many are named.
    fn judged(boxes: &[[f64; 4]]) -> (bool, usize) {
        let mut corners = Corners::default();
        for (n, bbox) in boxes.iter().enumerate() {
            corners.look(Entry::Result(n), *bbox, Some([100, 80]));
        }
        let mut repairs = Repairs::default();
        let refused = corners.judge(Path::new("found.json"), &mut repairs);
        let named = repairs.0.iter().map(|repair| repair.count).sum();
        (refused.is_err(), named)
    }

    #[test]
    fn boxes_are_refused_when_they_can_only_be_corners() {
        let corners = [[60.0, 10.0, 90.0, 40.0]; 5];
        assert_eq!(judged(&corners), (true, 0));
        assert_eq!(judged(&corners[..4]), (false, 4));
        // One that is no pair of corners speaks for all; one that reaches out as such as well says nothing.
        for (other, refused) in [
            ([40.0, 40.0, 20.0, 60.0], false),
            ([40.0, 40.0, 50.0, 90.0], true),
        ] {
            assert_eq!(judged(&[&corners[..], &[other]].concat()), (refused, 0));
        }
        assert_eq!(judged(&[[0.0, 0.0, 130.0, 90.0]; 9]), (false, 0));
        // A pixel too much is rounding.
        assert_eq!(judged(&[[50.0, 40.0, 51.0, 41.0]; 9]), (false, 0));
        assert_eq!(judged(&[]), (false, 0));
        let mut unknown = Corners::default();
        unknown.look(Entry::Result(0), corners[0], None);
        assert!(unknown.first.is_none());
    }
}
