//! Boxes and polygons written as fractions of their images where pixels belong, as far as it can be told.

use std::path::Path;

use crate::annotations::Image;
use crate::error::{CocoError, Entry};
use crate::segmentation::Segmentation;

/// How far a fraction may be out of 0 to 1: programs round.
const SLACK: f64 = 0.01;

/// So many results at least can only be fractions; fewer may be poor ones.
const LEAST_RESULTS: usize = 10;

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
    /// Entries, of which one may have several polygons.
    entries: usize,
    last: Option<Entry>,
    /// The first one's image and corners.
    sample: Option<(i64, Vec<f64>)>,
    /// Whether there are others in another image.
    in_several_images: bool,
    /// Whether there are others with other corners.
    differ: bool,
    /// Whether one can only be in pixels, or is in an image of which fractions and pixels are the same.
    in_pixels: bool,
    /// Whether one covers something: boxes of zeros stand for no box.
    covering: bool,
}

impl Fractions {
    /// Looks at the outlines of an entry in an image.
    pub(crate) fn look(
        &mut self,
        entry: Entry,
        bbox: Option<[f64; 4]>,
        segmentation: Option<&Segmentation>,
        image: &Image,
    ) {
        if let Some([x, y, width, height]) = bbox {
            let covers = width > 0.0 && height > 0.0;
            let corners = [x, y, x + width, y + height];
            self.boxes.add(entry, &corners, covers, image);
        }
        if let Some(Segmentation::Polygons(polygons)) = segmentation {
            for corners in polygons {
                let covers = corners.iter().any(|value| *value > 0.0);
                self.polygons.add(entry, corners, covers, image);
            }
        }
    }

    /// Refuses a file all of whose boxes, or all of whose polygons, can only be fractions.
    pub(crate) fn judge(self, path: &Path) -> Result<(), CocoError> {
        self.refuse(path, |_| true)
    }

    /// As [`Fractions::judge`], for results: those of a poor model may be small too, so that few, or all alike, say nothing.
    pub(crate) fn judge_results(self, path: &Path) -> Result<(), CocoError> {
        self.refuse(path, |seen| {
            seen.entries >= LEAST_RESULTS && seen.in_several_images && seen.differ
        })
    }

    /// Refuses a file of fractions that are enough to tell.
    fn refuse(self, path: &Path, are_enough: impl Fn(&Seen) -> bool) -> Result<(), CocoError> {
        for (what, seen) in [("boxes", self.boxes), ("polygons", self.polygons)] {
            let are_fractions = seen.covering && !seen.in_pixels && are_enough(&seen);
            if let Some(first) = seen.first.filter(|_| are_fractions) {
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
    fn add(&mut self, entry: Entry, corners: &[f64], covers: bool, image: &Image) {
        self.count += 1;
        self.first.get_or_insert(entry);
        if self.last.replace(entry) != Some(entry) {
            self.entries += 1;
        }
        match &self.sample {
            None => self.sample = Some((image.id, corners.to_vec())),
            Some((id, known)) => {
                self.in_several_images |= *id != image.id;
                self.differ |= known != corners;
            }
        }
        self.covering |= covers;
        let within = |value: &f64| (-SLACK..=1.0 + SLACK).contains(value);
        let is_small = image.size.is_some_and(|size| size.contains(&1));
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
            fractions.look(entry, Some(*bbox), None, &image(7, size));
        }
        for polygon in polygons {
            let polygons = Segmentation::Polygons(vec![polygon.to_vec()]);
            fractions.look(entry, None, Some(&polygons), &image(7, size));
        }
        what(fractions.judge(Path::new("instances.json")))
    }

    fn image(id: i64, size: Option<[u32; 2]>) -> Image {
        Image {
            id,
            file_name: None,
            size,
            annotations: Vec::new(),
        }
    }

    /// What is refused.
    fn what(judged: Result<(), CocoError>) -> Option<&'static str> {
        match judged {
            Ok(()) => None,
            Err(CocoError::Fractions { what, .. }) => Some(what),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn few_results_or_all_alike_are_poor_ones() {
        let refused = |count: usize, images: i64, step: f64| {
            let (mut boxes, mut polygons) = (Fractions::default(), Fractions::default());
            for at in 0..count {
                let image = image(at as i64 % images, Some([64, 48]));
                let shift = step * at as f64;
                let bbox = [0.1 + shift, 0.2, 0.3, 0.4];
                boxes.look(Entry::Result(at), Some(bbox), None, &image);
                let triangle = vec![0.1 + shift, 0.2, 0.4, 0.2, 0.4, 0.6];
                // Two of them are of one entry.
                let outline = Segmentation::Polygons(vec![triangle; 2]);
                polygons.look(Entry::Result(at), None, Some(&outline), &image);
            }
            let path = Path::new("results.json");
            [boxes, polygons].map(|fractions| what(fractions.judge_results(path)))
        };
        let both = [Some("boxes"), Some("polygons")];
        assert_eq!(refused(10, 2, 0.01), both);
        assert_eq!(refused(9, 2, 0.01), [None; 2]);
        assert_eq!(refused(10, 1, 0.01), [None; 2]);
        assert_eq!(refused(10, 2, 0.0), [None; 2]);
        // One that reaches out of the unit square.
        assert_eq!(refused(10, 2, 0.2), [None; 2]);
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
