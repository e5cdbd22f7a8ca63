//! Boxes as deltas to other boxes, as R-CNN regresses them (Girshick et al., CVPR 2014).

use crate::boxes::BoundingBox;

/// Largest logarithm of a change in size that is decoded: one pixel to the published 1000.
pub const LARGEST_LOG_SCALE: f64 = 4.135_166_556_742_356; // ln(1000 / 16)

/// Deltas `[dx, dy, dw, dh]`: the shift of the center over the size, and the logarithm of the change in size, each
/// multiplied by a weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxCoder {
    /// Of dx, dy, dw, dh.
    pub weights: [f32; 4],
}

impl BoxCoder {
    /// The deltas that make `to` of `from`. Both must have an area.
    pub fn encode(&self, from: BoundingBox, to: BoundingBox) -> [f32; 4] {
        let [x, y, width, height] = from.center();
        let [to_x, to_y, to_width, to_height] = to.center();
        let [wx, wy, ww, wh] = self.weights;
        [
            wx * (to_x - x) / width,
            wy * (to_y - y) / height,
            ww * (to_width / width).ln(),
            wh * (to_height / height).ln(),
        ]
    }

    /// The box that deltas make of `from`; its size grows at most by the factor 1000/16.
    pub fn decode(&self, from: BoundingBox, [dx, dy, dw, dh]: [f32; 4]) -> BoundingBox {
        let [x, y, width, height] = from.center();
        let [wx, wy, ww, wh] = self.weights;
        let largest = LARGEST_LOG_SCALE as f32;
        BoundingBox::from_center([
            dx / wx * width + x,
            dy / wy * height + y,
            (dw / ww).min(largest).exp() * width,
            (dh / wh).min(largest).exp() * height,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_undoes_encoding() {
        let from = BoundingBox::new(10.0, 20.0, 50.0, 40.0);
        let to = BoundingBox::new(0.0, 25.0, 30.0, 75.0);
        for weights in [[1.0; 4], [10.0, 10.0, 5.0, 5.0]] {
            let coder = BoxCoder { weights };
            let back = coder.decode(from, coder.encode(from, to));
            for (found, expected) in back.corners().into_iter().zip(to.corners()) {
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
        let coder = BoxCoder { weights: [1.0; 4] };
        let deltas = coder.encode(from, to);
        assert_eq!(deltas[..2], [-0.375, 1.0]);
        assert!((deltas[3] - 2.5_f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn growth_is_bounded() {
        let coder = BoxCoder { weights: [1.0; 4] };
        let unit = BoundingBox::new(0.0, 0.0, 16.0, 16.0);
        let large = coder.decode(unit, [0.0, 0.0, 100.0, 100.0]);
        assert!((large.width() - 1000.0).abs() < 1e-2, "{}", large.width());
        assert!(large.is_finite());
        assert!((LARGEST_LOG_SCALE - (1000.0_f64 / 16.0).ln()).abs() < 1e-15);
    }
}
