//! Boxes: corners, areas, overlaps.

/// An axis-aligned box by its corners, in pixels: x to the right, y down, pixel (0, 0) covering [0, 1) × [0, 1).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BoundingBox {
    /// Left.
    pub x0: f32,
    /// Top.
    pub y0: f32,
    /// Right.
    pub x1: f32,
    /// Bottom.
    pub y1: f32,
}

impl BoundingBox {
    /// The box from (`x0`, `y0`) to (`x1`, `y1`).
    pub fn new(x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        Self { x0, y0, x1, y1 }
    }

    /// The box `[x0, y0, x1, y1]`.
    pub fn from_corners([x0, y0, x1, y1]: [f32; 4]) -> Self {
        Self { x0, y0, x1, y1 }
    }

    /// `[x0, y0, x1, y1]`.
    pub fn corners(self) -> [f32; 4] {
        [self.x0, self.y0, self.x1, self.y1]
    }

    /// The box of a center and a size, `[center x, center y, width, height]`.
    pub fn from_center([x, y, width, height]: [f32; 4]) -> Self {
        Self {
            x0: x - 0.5 * width,
            y0: y - 0.5 * height,
            x1: x + 0.5 * width,
            y1: y + 0.5 * height,
        }
    }

    /// `[center x, center y, width, height]`.
    pub fn center(self) -> [f32; 4] {
        let (width, height) = (self.width(), self.height());
        [self.x0 + 0.5 * width, self.y0 + 0.5 * height, width, height]
    }

    /// Width; negative where the corners are swapped.
    pub fn width(self) -> f32 {
        self.x1 - self.x0
    }

    /// Height; negative where the corners are swapped.
    pub fn height(self) -> f32 {
        self.y1 - self.y0
    }

    /// Area in square pixels.
    pub fn area(self) -> f32 {
        self.width() * self.height()
    }

    /// Whether the box has an area. A box with a NaN has none.
    pub fn has_area(self) -> bool {
        self.width() > 0.0 && self.height() > 0.0
    }

    /// Whether all corners are finite.
    pub fn is_finite(self) -> bool {
        self.corners().into_iter().all(f32::is_finite)
    }

    /// The part inside an image of `[height, width]`.
    pub fn clipped(self, [height, width]: [usize; 2]) -> Self {
        let (width, height) = (width as f32, height as f32);
        Self {
            x0: self.x0.clamp(0.0, width),
            y0: self.y0.clamp(0.0, height),
            x1: self.x1.clamp(0.0, width),
            y1: self.y1.clamp(0.0, height),
        }
    }

    /// The box in an image that has been enlarged by these factors.
    pub fn scaled(self, x: f32, y: f32) -> Self {
        Self {
            x0: self.x0 * x,
            y0: self.y0 * y,
            x1: self.x1 * x,
            y1: self.y1 * y,
        }
    }

    /// Intersection over union; 0 where the boxes do not overlap, also when one of them has no area.
    pub fn iou(self, other: Self) -> f32 {
        let width = (self.x1.min(other.x1) - self.x0.max(other.x0)).max(0.0);
        let height = (self.y1.min(other.y1) - self.y0.max(other.y0)).max(0.0);
        let intersection = width * height;
        if intersection > 0.0 {
            intersection / (self.area() + other.area() - intersection)
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps() {
        let a = BoundingBox::new(0.0, 0.0, 10.0, 10.0);
        assert_eq!(a.iou(a), 1.0);
        assert_eq!(a.iou(BoundingBox::new(5.0, 0.0, 15.0, 10.0)), 50.0 / 150.0);
        assert_eq!(a.iou(BoundingBox::new(2.0, 2.0, 7.0, 4.0)), 0.1);
        // Touching, apart, without area.
        assert_eq!(a.iou(BoundingBox::new(10.0, 0.0, 20.0, 10.0)), 0.0);
        assert_eq!(a.iou(BoundingBox::new(11.0, 11.0, 20.0, 20.0)), 0.0);
        assert_eq!(a.iou(BoundingBox::new(3.0, 3.0, 3.0, 8.0)), 0.0);
        let point = BoundingBox::new(3.0, 3.0, 3.0, 3.0);
        assert_eq!(point.iou(point), 0.0);
        assert!(a.has_area() && !point.has_area());
        assert!(!BoundingBox::new(f32::NAN, 0.0, 1.0, 1.0).has_area());
    }

    #[test]
    fn center_and_back() {
        let a = BoundingBox::new(2.0, 3.0, 10.0, 5.0);
        assert_eq!(a.center(), [6.0, 4.0, 8.0, 2.0]);
        assert_eq!(BoundingBox::from_center(a.center()), a);
        assert_eq!(BoundingBox::from_corners(a.corners()), a);
    }

    #[test]
    fn clipping_and_scaling() {
        let a = BoundingBox::new(-4.0, 2.0, 30.0, 50.0);
        assert_eq!(a.clipped([40, 20]), BoundingBox::new(0.0, 2.0, 20.0, 40.0));
        let outside = BoundingBox::new(25.0, 2.0, 30.0, 5.0).clipped([40, 20]);
        assert!(!outside.has_area());
        assert_eq!(a.scaled(0.5, 2.0), BoundingBox::new(-2.0, 4.0, 15.0, 100.0));
    }
}
