//! An object's pixels, and the part of them that a region's mask should show.

use crate::boxes::BoundingBox;

/// The pixels of an image that belong to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitMask {
    /// Rows of the image.
    pub height: usize,
    /// Columns of the image.
    pub width: usize,
    /// Row by row, `height · width`.
    pub pixels: Vec<bool>,
}

impl BitMask {
    /// Nothing.
    pub fn empty([height, width]: [usize; 2]) -> Self {
        Self {
            height,
            width,
            pixels: vec![false; height * width],
        }
    }

    /// The part inside `bounds` in `side · side` cells, row by row: those of which at least half belongs to the object, by
    /// ROIAlign with bilinear samples.
    ///
    /// Cells that belong to the object by exactly a half are common, so the order of operations is that of the published
    /// implementation, not the one of [`semaim_kernels::roi_align`].
    pub fn cropped(&self, bounds: BoundingBox, side: usize) -> Vec<bool> {
        let down = samples(bounds.y0, bounds.y1, side, self.height);
        let across = samples(bounds.x0, bounds.x1, side, self.width);
        let (rows, columns) = (down.len() / side, across.len() / side);
        let count = (rows * columns).max(1) as f32;
        let at = |y: usize, x: usize| f32::from(u8::from(self.pixels[y * self.width + x]));
        let mut cells = Vec::with_capacity(side * side);
        for row in 0..side {
            for column in 0..side {
                let mut sum = 0.0_f32;
                for y in down[row * rows..][..rows].iter().flatten() {
                    for x in across[column * columns..][..columns].iter().flatten() {
                        let (before_y, before_x) = (1.0 - y.after, 1.0 - x.after);
                        sum += before_y * before_x * at(y.low, x.low)
                            + before_y * x.after * at(y.low, x.high)
                            + y.after * before_x * at(y.high, x.low)
                            + y.after * x.after * at(y.high, x.high);
                    }
                }
                cells.push(sum / count >= 0.5);
            }
        }
        cells
    }
}

/// A sample between two pixels.
struct Sample {
    low: usize,
    high: usize,
    after: f32,
}

/// The samples of all cells along an axis, as many in each; `None` for one outside the image.
fn samples(from: f32, to: f32, cells: usize, size: usize) -> Vec<Option<Sample>> {
    let start = from - 0.5;
    let cell = ((to - 0.5) - start) / cells as f32;
    let count = cell.ceil().max(0.0) as usize;
    let mut samples = Vec::with_capacity(cells * count);
    for number in 0..cells {
        for sample in 0..count {
            let within = (sample as f32 + 0.5) * cell / count as f32;
            let place = start + number as f32 * cell + within;
            samples.push((place >= -1.0 && place <= size as f32).then(|| {
                let place = place.max(0.0);
                let low = place as usize;
                if low + 1 >= size {
                    Sample {
                        low: size - 1,
                        high: size - 1,
                        after: 0.0,
                    }
                } else {
                    Sample {
                        low,
                        high: low + 1,
                        after: place - low as f32,
                    }
                }
            }));
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_shows_what_is_inside() {
        let mut mask = BitMask::empty([8, 10]);
        // Columns 4 to 7 of rows 2 to 5.
        for y in 2..6 {
            for x in 4..8 {
                mask.pixels[y * 10 + x] = true;
            }
        }
        let crop = |x0, y0, x1, y1| mask.cropped(BoundingBox::new(x0, y0, x1, y1), 4);
        assert_eq!(crop(4.0, 2.0, 8.0, 6.0), [true; 16]);
        // Twice as large, in the middle of it.
        let inner = |i: usize| matches!(i, 5 | 6 | 9 | 10);
        let expected: Vec<bool> = (0..16).map(inner).collect();
        assert_eq!(crop(2.0, 0.0, 10.0, 8.0), expected);
        assert_eq!(crop(-5.0, -5.0, 1.0, 1.0), [false; 16]);
        assert_eq!(crop(5.0, 3.0, 5.0, 3.0), [false; 16]);
        let half: Vec<bool> = (0..16).map(|i| i % 4 < 2).collect();
        assert_eq!(crop(6.0, 2.0, 10.0, 6.0), half);
    }
}
