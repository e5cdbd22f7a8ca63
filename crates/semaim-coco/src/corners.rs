//! Boxes written as corners where width and height belong, as far as it can be told.

use std::path::Path;

use crate::error::{CocoError, Entry};
use crate::repairs::{Repair, Repaired, Repairs};

/// How far a box may reach out of its image, in pixels: detectors and annotators round.
const SLACK: f64 = 1.0;

/// From so many boxes on that reach out of their images, while all would do as corners, it is no accident: of boxes at
/// random, one in four would do as corners.
const SURE: usize = 5;

/// The boxes of a file, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Corners {
    boxes: usize,
    /// Those that reach out, and the first of them.
    outside: usize,
    first: Option<Entry>,
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
        self.impossible |= a < x || b < y || a > width + SLACK || b > height + SLACK;
        if x + a > width + SLACK || y + b > height + SLACK {
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
