//! The objects of an image, as a detector is taught them.

use semaim_coco::Rle;

/// The objects of an image as they are in a view of it: the target of detection. An image without objects is a negative.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// `[x0, y0, x1, y1]` in pixels of the view, each with an area and inside the part that shows the image.
    pub boxes: Vec<[f32; 4]>,
    /// Indices into the set's classes, one per box.
    pub classes: Vec<u32>,
    /// The pixels of each object, in the part of the view that shows the image
    /// ([`crate::ViewGeometry::valid_size`]); `None` where only its box is known.
    pub masks: Vec<Option<Rle>>,
}
