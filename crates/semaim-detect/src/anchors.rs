//! Anchors: boxes of fixed sizes and shapes at every position of every map (Faster R-CNN).

use semaim::grid::Grid;

use crate::boxes::BoundingBox;

/// The anchors of one level of the pyramid.
#[derive(Clone, Debug, PartialEq)]
pub struct AnchorLevel {
    /// Side of a square anchor in pixels; the others have its area.
    pub size: f64,
    /// Height over width of each anchor at a position.
    pub aspect_ratios: Vec<f64>,
    /// Pixels between positions.
    pub stride: f64,
}

impl AnchorLevel {
    /// All anchors of a map, `rows · columns · ratios`, in this order. The first position is the image's top left corner.
    pub fn anchors(&self, map: Grid) -> Vec<BoundingBox> {
        let shapes: Vec<[f32; 2]> = self
            .aspect_ratios
            .iter()
            .map(|ratio| {
                let width = (self.size * self.size / ratio).sqrt();
                [width as f32, (ratio * width) as f32]
            })
            .collect();
        map.places()
            .flat_map(|(row, column)| {
                let x = (column as f64 * self.stride) as f32;
                let y = (row as f64 * self.stride) as f32;
                shapes.iter().map(move |[width, height]| {
                    let (right, below) = (width / 2.0, height / 2.0);
                    BoundingBox::new(x - right, y - below, x + right, y + below)
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_by_row_the_ratios_innermost() {
        let level = AnchorLevel {
            size: 32.0,
            aspect_ratios: vec![0.25, 1.0, 4.0],
            stride: 8.0,
        };
        let anchors = level.anchors(Grid {
            rows: 2,
            columns: 3,
        });
        assert_eq!(anchors.len(), 18);
        // A ratio below 1 is a wide anchor.
        assert_eq!(anchors[0], BoundingBox::new(-32.0, -8.0, 32.0, 8.0));
        assert_eq!(anchors[1], BoundingBox::new(-16.0, -16.0, 16.0, 16.0));
        assert_eq!(anchors[2], BoundingBox::new(-8.0, -32.0, 8.0, 32.0));
        assert_eq!(anchors[4].center(), [8.0, 0.0, 32.0, 32.0]);
        assert_eq!(anchors[10].center(), [0.0, 8.0, 32.0, 32.0]);
    }
}
