//! The objects of an image, as training is told of them.

use crate::bitmask::BitMask;
use crate::boxes::BoundingBox;
use crate::error::DetectError;

/// The objects of one image, in pixels of the image as it lies on the canvas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instances {
    /// Bounds.
    pub boxes: Vec<BoundingBox>,
    /// Numbers of classes, one per box.
    pub classes: Vec<usize>,
    /// Pixels, one mask of the size of the image per box; `None` where only the box is known, which teaches no mask.
    pub masks: Vec<Option<BitMask>>,
}

impl Instances {
    /// Checks that everything fits together for image `number` of `[height, width]` and so many classes.
    ///
    /// # Errors
    /// [`DetectError::Instances`] with what does not.
    pub fn check(
        &self,
        number: usize,
        [height, width]: [usize; 2],
        classes: usize,
    ) -> Result<(), DetectError> {
        let refuse = |message: String| Err(DetectError::Instances { number, message });
        let count = self.boxes.len();
        if self.classes.len() != count || self.masks.len() != count {
            return refuse(format!(
                "{count} boxes, {} classes, {} masks",
                self.classes.len(),
                self.masks.len()
            ));
        }
        if let Some(class) = self.classes.iter().find(|&&class| class >= classes) {
            return refuse(format!("class {class} of {classes}"));
        }
        if let Some(bounds) = self.boxes.iter().find(|b| !b.has_area() || !b.is_finite()) {
            return refuse(format!("a box without an area: {:?}", bounds.corners()));
        }
        for mask in self.masks.iter().flatten() {
            if (mask.height, mask.width) != (height, width) || mask.pixels.len() != height * width {
                return refuse(format!(
                    "a mask of {} × {} ({} pixels) in an image of {height} × {width}",
                    mask.height,
                    mask.width,
                    mask.pixels.len()
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let good = Instances {
            boxes: vec![BoundingBox::new(0.0, 0.0, 3.0, 2.0)],
            classes: vec![1],
            masks: vec![Some(BitMask::empty([4, 5]))],
        };
        assert!(good.check(0, [4, 5], 2).is_ok());
        assert!(Instances::default().check(0, [4, 5], 2).is_ok());
        assert!(good.check(0, [4, 5], 1).is_err());
        assert!(good.check(0, [5, 4], 2).is_err());
        let mut flat = good.clone();
        flat.boxes[0].y1 = 0.0;
        assert!(flat.check(0, [4, 5], 2).is_err());
        let mut boxes = good.clone();
        boxes.masks[0] = None;
        assert!(boxes.check(0, [7, 8], 2).is_ok());
        let mut fewer = good;
        fewer.masks.clear();
        assert!(fewer.check(0, [4, 5], 2).is_err());
    }
}
