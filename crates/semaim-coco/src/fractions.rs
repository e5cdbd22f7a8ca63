//! Boxes and polygons written as fractions of their images where pixels belong, as far as it can be told.

use std::path::Path;

use crate::error::{CocoError, Entry};
use crate::segmentation::Segmentation;

/// How far a fraction may be out of 0 to 1: programs round.
const SLACK: f64 = 0.01;

/// The boxes and polygons of a file, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Fractions {
    boxes: Seen,
    polygons: Seen,
}

/// What was seen of one kind of outlines.
#[derive(Debug, Default)]
struct Seen {
    count: usize,
    first: Option<Entry>,
    /// Whether one can only be in pixels, or is in an image of which fractions and pixels are the same.
    in_pixels: bool,
    /// Whether one covers something: boxes of zeros stand for no box.
    covering: bool,
}

impl Fractions {
    /// Looks at the outlines of an entry in an image of the given columns and rows.
    pub(crate) fn look(
        &mut self,
        entry: Entry,
        bbox: Option<[f64; 4]>,
        segmentation: Option<&Segmentation>,
        size: Option<[u32; 2]>,
    ) {
        if let Some([x, y, width, height]) = bbox {
            let covers = width > 0.0 && height > 0.0;
            let corners = [x, y, x + width, y + height];
            self.boxes.add(entry, &corners, covers, size);
        }
        if let Some(Segmentation::Polygons(polygons)) = segmentation {
            for corners in polygons {
                let covers = corners.iter().any(|value| *value > 0.0);
                self.polygons.add(entry, corners, covers, size);
            }
        }
    }

    /// Refuses a file all of whose boxes, or all of whose polygons, can only be fractions.
    pub(crate) fn judge(self, path: &Path) -> Result<(), CocoError> {
        for (what, seen) in [("boxes", self.boxes), ("polygons", self.polygons)] {
            if let Some(first) = seen.first.filter(|_| seen.covering && !seen.in_pixels) {
                return Err(CocoError::Fractions {
                    path: path.to_owned(),
                    what,
                    count: seen.count,
                    first,
                });
            }
        }
        Ok(())
    }
}

impl Seen {
    /// Looks at the corners of an outline.
    fn add(&mut self, entry: Entry, corners: &[f64], covers: bool, size: Option<[u32; 2]>) {
        self.count += 1;
        self.first.get_or_insert(entry);
        self.covering |= covers;
        let within = |value: &f64| (-SLACK..=1.0 + SLACK).contains(value);
        let is_small = size.is_some_and(|size| size.contains(&1));
        self.in_pixels |= is_small || !corners.iter().all(within);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What entries with the given boxes, and others with the given polygons, are refused for.
    fn refused(
        boxes: &[[f64; 4]],
        polygons: &[[f64; 6]],
        size: Option<[u32; 2]>,
    ) -> Option<&'static str> {
        let mut fractions = Fractions::default();
        let entry = Entry::Annotation(5);
        for bbox in boxes {
            fractions.look(entry, Some(*bbox), None, size);
        }
        for polygon in polygons {
            let polygons = Segmentation::Polygons(vec![polygon.to_vec()]);
            fractions.look(entry, None, Some(&polygons), size);
        }
        match fractions.judge(Path::new("instances.json")) {
            Ok(()) => None,
            Err(CocoError::Fractions { what, .. }) => Some(what),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn fractions_are_refused_where_nothing_is_in_pixels() {
        let size = Some([64, 48]);
        let boxes = [[0.1, 0.2, 0.5, 0.25], [0.0, 0.0, 1.0, 1.0]];
        assert_eq!(refused(&boxes, &[], size), Some("boxes"));
        assert_eq!(refused(&boxes, &[], None), Some("boxes"));
        // One that reaches further speaks for all; zeros alone are no boxes; one pixel is the whole of its image.
        let with_larger = [&boxes[..], &[[10.0, 5.0, 20.0, 10.0]]].concat();
        assert_eq!(refused(&with_larger, &[], size), None);
        assert_eq!(refused(&[[0.0; 4]; 3], &[], size), None);
        assert_eq!(refused(&boxes, &[], Some([1, 1])), None);
        assert_eq!(refused(&[], &[], size), None);
        let polygon = [0.1, 0.1, 0.9, 0.1, 0.5, 0.8];
        let pixels = [[10.0, 5.0, 20.0, 10.0]];
        assert_eq!(refused(&pixels, &[polygon], size), Some("polygons"));
        let larger = [1.0, 1.0, 9.0, 1.0, 5.0, 8.0];
        assert_eq!(refused(&pixels, &[polygon, larger], size), None);
    }
}
