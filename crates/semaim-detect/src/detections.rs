//! From the heads' output to detections.

use crate::bitmask::BitMask;
use crate::box_head::REGION_CODER;
use crate::boxes::BoundingBox;
use crate::config::InferenceConfig;
use crate::nms::nms_within;
use crate::paste::paste;

/// An object that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Inside the image.
    pub bounds: BoundingBox,
    /// In 0..=1.
    pub score: f32,
    /// Number of the class.
    pub class: usize,
    /// Probabilities that pixels inside `bounds` belong to the object, `side · side` for some side, row by row.
    pub mask: Vec<f32>,
}

/// The best detections of an image of `[height, width]`, without masks: `probabilities [regions, classes + 1]` and
/// `deltas [regions, classes, 4]` of its regions. Regions whose output is no number are passed over.
///
/// # Panics
/// If numbers of values do not fit.
pub fn select(
    config: &InferenceConfig,
    regions: &[BoundingBox],
    probabilities: &[f32],
    deltas: &[f32],
    classes: usize,
    image: [usize; 2],
) -> Vec<Detection> {
    assert_eq!(probabilities.len(), regions.len() * (classes + 1));
    assert_eq!(deltas.len(), regions.len() * classes * 4);
    let (deltas, _) = deltas.as_chunks::<4>();
    let mut boxes = Vec::new();
    let mut scores = Vec::new();
    let mut class_of = Vec::new();
    for (region, (probabilities, deltas)) in regions.iter().zip(
        probabilities
            .chunks(classes + 1)
            .zip(deltas.chunks(classes)),
    ) {
        let decoded: Vec<BoundingBox> = deltas
            .iter()
            .map(|deltas| REGION_CODER.decode(*region, *deltas))
            .collect();
        if !probabilities.iter().all(|p| p.is_finite()) || !decoded.iter().all(|b| b.is_finite()) {
            continue;
        }
        for (class, (bounds, &score)) in decoded.iter().zip(probabilities).enumerate() {
            if score > config.score {
                boxes.push(bounds.clipped(image));
                scores.push(score);
                class_of.push(class);
            }
        }
    }
    let mut kept = nms_within(&boxes, &scores, &class_of, config.nms_iou);
    kept.truncate(config.detections);
    kept.into_iter()
        .map(|i| Detection {
            bounds: boxes[i],
            score: scores[i],
            class: class_of[i],
            mask: Vec::new(),
        })
        .collect()
}

/// Detections of an image of size `from` as they are in the same image of size `to`, both `[height, width]`; those that
/// have no area there are left out.
pub fn resized(detections: Vec<Detection>, from: [usize; 2], to: [usize; 2]) -> Vec<Detection> {
    let factor = |axis: usize| to[axis] as f32 / from[axis] as f32;
    detections
        .into_iter()
        .map(|detection| Detection {
            bounds: detection.bounds.scaled(factor(1), factor(0)).clipped(to),
            ..detection
        })
        .filter(|detection| detection.bounds.has_area())
        .collect()
}

impl Detection {
    /// The object's pixels in the image of `[height, width]` that the detection lies in.
    pub fn pixels(&self, image: [usize; 2], threshold: f32) -> BitMask {
        let side = self.mask.len().isqrt();
        paste(&self.mask, side, self.bounds, image, threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> InferenceConfig {
        InferenceConfig {
            detections: 3,
            ..InferenceConfig::default()
        }
    }

    #[test]
    fn classes_are_suppressed_apart_and_the_best_are_kept() {
        let square = |x: f32| BoundingBox::new(x, 0.0, x + 10.0, 10.0);
        let regions = [square(0.0), square(1.0), square(30.0), square(60.0)];
        let probabilities = [
            0.5,
            0.1,
            0.4, // both classes
            0.6,
            0.05,
            0.35, // better than the first in class 0; class 1 not above the threshold
            0.04,
            0.01,
            0.95, // background
            0.2,
            f32::NAN,
            0.3,
        ];
        let found = select(&config(), &regions, &probabilities, &[0.0; 32], 2, [8, 100]);
        let found: Vec<_> = found.iter().map(|d| (d.bounds, d.score, d.class)).collect();
        let clipped = |x: f32| square(x).clipped([8, 100]);
        assert_eq!(found, [(clipped(1.0), 0.6, 0), (clipped(0.0), 0.1, 1)]);
        assert!(select(&config(), &[], &[], &[], 2, [8, 8]).is_empty());
    }

    #[test]
    fn back_to_the_original_image() {
        let detection = |x0: f32| Detection {
            bounds: BoundingBox::new(x0, 10.0, 40.0, 20.0),
            score: 0.5,
            class: 0,
            mask: vec![1.0; 9],
        };
        let found = resized(vec![detection(20.0), detection(40.0)], [40, 40], [20, 80]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].bounds, BoundingBox::new(40.0, 5.0, 80.0, 10.0));
        let pixels = found[0].pixels([20, 80], 0.5);
        // Full but for the corners, where the mask fades in both directions.
        assert_eq!(pixels.pixels.iter().filter(|&&on| on).count(), 192);
    }
}
