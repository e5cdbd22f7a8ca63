//! What objects of an image are in a view of it.

use semaim_coco::{Rle, Segmentation, SegmentationProblem};

use crate::objects::Objects;
use crate::view::ViewGeometry;

/// The farthest that a corner of a polygon may be from 0, in pixels.
const FAR: f64 = 1e6;

impl Objects {
    /// Adds an object by its mask, unless nothing of that is there.
    pub(super) fn add_mask(&mut self, class: u32, mask: Rle) {
        let [x, y, width, height] = mask.bounding_box().map(|edge| edge as f32);
        if width > 0.0 && height > 0.0 {
            self.boxes.push([x, y, x + width, y + height]);
            self.classes.push(class);
            self.masks.push(Some(mask));
        }
    }

    /// Adds an object by its box, unless that has no area.
    pub(super) fn add_box(&mut self, class: u32, corners: [f32; 4]) {
        let [x0, y0, x1, y1] = corners;
        if x0 < x1 && y0 < y1 {
            self.boxes.push(corners);
            self.classes.push(class);
            self.masks.push(None);
        }
    }
}

/// A box `[x, y, width, height]` of the image as corners in the view, cut to the part that shows the image.
pub(super) fn box_in_view([x, y, width, height]: [f64; 4], view: &ViewGeometry) -> [f32; 4] {
    let [a, b] = [[x, y], [x + width, y + height]].map(|corner| view.to_view(corner));
    let [rows, columns] = view.valid_size.map(|side| side as f64);
    let left = a[0].min(b[0]);
    let right = a[0].max(b[0]);
    [
        left.clamp(0.0, columns),
        a[1].clamp(0.0, rows),
        right.clamp(0.0, columns),
        b[1].clamp(0.0, rows),
    ]
    .map(|edge| edge as f32)
}

/// A segmentation of the image as a mask of the part of the view that shows the image: polygons are drawn at the view's size, run
/// lengths resampled to it.
pub(super) fn segmentation_in_view(
    segmentation: &Segmentation,
    view: &ViewGeometry,
) -> Result<Rle, SegmentationProblem> {
    let Segmentation::Polygons(polygons) = segmentation else {
        let [width, height] = view.image_size;
        return Ok(mask_in_view(&segmentation.rle(width, height)?, view));
    };
    let moved = polygons.iter().map(|polygon| {
        let corners = polygon.chunks_exact(2);
        let corners = corners.flat_map(|corner| view.to_view([corner[0], corner[1]]));
        corners.map(|edge| edge.clamp(-FAR, FAR)).collect()
    });
    let [rows, columns] = view.valid_size.map(|side| side as u32);
    Segmentation::Polygons(moved.collect()).rle(columns, rows)
}

/// A mask of the image as one of the part of the view that shows the image, each pixel being that of the image in which its
/// middle lies.
pub(super) fn mask_in_view(mask: &Rle, view: &ViewGeometry) -> Rle {
    let [columns, rows] = view.nearest_pixels();
    mask.sampled(&columns, &rows)
}
