//! Boxes and masks that do not belong together, as where an image was resized with one of them alone. Amodal boxes, which are around
//! hidden parts too, and empty masks look the same.

use crate::annotations::{Annotation, Image};
use crate::error::Entry;
use crate::iou::box_iou;
use crate::repairs::{Repaired, Repairs};

/// The least overlap of a box with the box around its mask: far below what rounding and careless outlines leave.
const LEAST_OVERLAP: f64 = 0.5;

/// The least side of a box that is looked at, in pixels: of smaller ones, rounding and whether the last pixel counts are much.
const LEAST_SIDE: f64 = 4.0;

/// Counts an annotation whose box has little to do with the box around its mask, `[x, y, width, height]` where that is known. Crowds
/// are outlined roughly.
pub(crate) fn look(
    image: &Image,
    annotation: &Annotation,
    around: Option<[f64; 4]>,
    repairs: &mut Repairs,
) {
    let (Some(bbox), Some(around)) = (annotation.bbox, around) else {
        return;
    };
    if !annotation.is_crowd && are_apart(bbox, around, image.size) {
        repairs.count(Repaired::Apart, Entry::Annotation(annotation.id));
    }
}

/// Whether a box and the box around a mask do not belong together, as far as they are inside an image of the given columns and rows:
/// some programs cut off what reaches out of one of them.
fn are_apart(bbox: [f64; 4], around: [f64; 4], size: Option<[u32; 2]>) -> bool {
    let (bbox, around) = (inside(bbox, size), inside(around, size));
    bbox[2].min(bbox[3]) >= LEAST_SIDE && box_iou(&around, &bbox, false) < LEAST_OVERLAP
}

/// The part of a box that is inside an image.
fn inside(bbox: [f64; 4], size: Option<[u32; 2]>) -> [f64; 4] {
    let Some([columns, rows]) = size.map(|size| size.map(f64::from)) else {
        return bbox;
    };
    let [x, y, width, height] = bbox;
    let (left, right) = (x.clamp(0.0, columns), (x + width).clamp(0.0, columns));
    let (top, bottom) = (y.clamp(0.0, rows), (y + height).clamp(0.0, rows));
    [left, top, right - left, bottom - top]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_of_other_places_and_sizes_are_apart() {
        let bbox = [40.0, 20.0, 20.0, 10.0];
        let half = bbox.map(|value| value / 2.0);
        for size in [None, Some([100, 80])] {
            let apart = |bbox, around| are_apart(bbox, around, size);
            assert!(!apart(bbox, bbox));
            assert!(apart(bbox, half) && apart(half, bbox));
            // A mask without pixels.
            assert!(apart(bbox, [0.0; 4]));
            // Rounding, and outlines through the middles of pixels.
            assert!(!apart(bbox, [40.4, 19.6, 19.0, 9.0]));
            assert!(!apart([40.0, 20.0, 4.0, 50.0], [40.5, 20.5, 3.0, 49.0]));
            // Half of it is enough.
            assert!(!apart(bbox, [40.0, 20.0, 10.0, 10.0]));
            assert!(apart(bbox, [40.0, 20.0, 9.9, 10.0]));
            // Too small to tell.
            assert!(!apart([40.0, 20.0, 3.9, 50.0], half));
            assert!(!apart([0.0; 4], half));
        }
        // What reaches out of the image does not count.
        let far = [90.0, 20.0, 70.0, 10.0];
        let cut = [90.0, 20.0, 10.0, 10.0];
        assert!(!are_apart(cut, far, Some([100, 80])) && !are_apart(far, cut, Some([100, 80])));
        assert!(are_apart(cut, far, None));
    }
}
