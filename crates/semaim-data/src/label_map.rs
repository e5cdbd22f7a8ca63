//! The class of every pixel, as a segmenter is taught it.

use crate::view::ViewGeometry;

/// A label that says nothing about its pixel.
pub const IGNORED: u8 = 255;

/// The class of every pixel of a view: the target of semantic segmentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMap {
    /// Rows and columns.
    pub size: [usize; 2],
    /// Indices into the set's classes, or [`IGNORED`], `[rows, columns]` row by row; padding is ignored.
    pub labels: Vec<u8>,
}

impl LabelMap {
    /// The label map of an image as it is in a view of it: each pixel has the label of the pixel of the image in which its middle
    /// lies. Padding is [`IGNORED`].
    pub fn in_view(&self, view: &ViewGeometry) -> Self {
        let [columns, rows] = view.nearest_pixels();
        let mut labels = vec![IGNORED; view.size[0] * view.size[1]];
        let shown = labels.chunks_exact_mut(view.size[1].max(1));
        for (target, y) in shown.zip(rows) {
            let from = y as usize * self.size[1];
            let row = self
                .labels
                .get(from..from + self.size[1])
                .unwrap_or_default();
            for (label, x) in target.iter_mut().zip(&columns) {
                *label = row.get(*x as usize).copied().unwrap_or(IGNORED);
            }
        }
        Self {
            size: view.size,
            labels,
        }
    }

    /// Whether it shows two classes or more, none of them in `max_share` or more of the pixels that have a class.
    pub(crate) fn is_varied(&self, max_share: f64) -> bool {
        let mut counts = [0usize; 256];
        for label in &self.labels {
            counts[usize::from(*label)] += 1;
        }
        counts[usize::from(IGNORED)] = 0;
        let all: usize = counts.iter().sum();
        let most = counts.iter().max().copied().unwrap_or(0);
        most < all && (most as f64) < max_share * all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_view() {
        let map = LabelMap {
            size: [2, 3],
            labels: vec![0, 1, 2, 3, 4, 5],
        };
        let mut view = ViewGeometry {
            image_size: [3, 2],
            source: [1.0, 0.0, 2.0, 2.0],
            flip: false,
            size: [3, 5],
            valid_size: [2, 4],
        };
        let shown = [1, 1, 2, 2, 255, 4, 4, 5, 5, 255, 255, 255, 255, 255, 255];
        assert_eq!(map.in_view(&view).labels, shown);
        view.flip = true;
        let mirrored = [2, 2, 1, 1, 255, 5, 5, 4, 4, 255, 255, 255, 255, 255, 255];
        assert_eq!(map.in_view(&view).labels, mirrored);
    }

    #[test]
    fn a_view_is_varied_when_no_class_has_most_of_it() {
        let varied = |labels: &[u8]| {
            let labels = labels.to_vec();
            let size = [1, labels.len()];
            LabelMap { size, labels }.is_varied(0.75)
        };
        assert!(varied(&[0, 0, 1]));
        assert!(varied(&[0, 0, 1, 255, 255, 255, 255, 255]));
        assert!(!varied(&[0, 0, 0, 1]));
        assert!(!varied(&[3, 3, 255]));
        assert!(!varied(&[255, 255]));
    }
}
