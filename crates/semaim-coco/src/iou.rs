//! How much a detection and a truth overlap.

use crate::rle::Rle;

/// What detections and truths are: boxes, or masks.
pub trait Region: Sync {
    /// The overlap of each detection with each truth, `[detections, truths]`, 0 to 1.
    ///
    /// It is intersection over union; with a crowd, intersection over the detection's area.
    fn overlaps(detections: &[&Self], truths: &[(&Self, bool)]) -> Vec<f64>;
}

impl Region for [f64; 4] {
    fn overlaps(detections: &[&Self], truths: &[(&Self, bool)]) -> Vec<f64> {
        let pairs = detections.iter().flat_map(|detection| {
            truths
                .iter()
                .map(|(truth, is_crowd)| box_iou(detection, truth, *is_crowd))
        });
        pairs.collect()
    }
}

impl Region for Rle {
    fn overlaps(detections: &[&Self], truths: &[(&Self, bool)]) -> Vec<f64> {
        let with_box = |mask: &Self| (mask.bounding_box(), mask.area());
        let truth_boxes: Vec<_> = truths.iter().map(|(truth, _)| with_box(truth)).collect();
        let mut overlaps = Vec::with_capacity(detections.len() * truths.len());
        if truths.is_empty() {
            return overlaps;
        }
        for detection in detections {
            let (detection_box, area) = with_box(detection);
            for ((truth, is_crowd), (truth_box, truth_area)) in truths.iter().zip(&truth_boxes) {
                let apart = box_iou(&detection_box, truth_box, *is_crowd) == 0.0;
                let common = match apart {
                    true => 0,
                    false => detection.intersection_area(truth),
                };
                let all = match is_crowd {
                    true => area,
                    false => area + truth_area - common,
                };
                overlaps.push(match common {
                    0 => 0.0,
                    common => common as f64 / all as f64,
                });
            }
        }
        overlaps
    }
}

/// The overlap of two boxes `[x, y, width, height]`, 0 to 1: intersection over union, or over the area of `detection`
/// where the truth is a crowd.
pub fn box_iou(detection: &[f64; 4], truth: &[f64; 4], is_crowd: bool) -> f64 {
    let common = |axis: usize| {
        let end = (detection[axis] + detection[axis + 2]).min(truth[axis] + truth[axis + 2]);
        end - detection[axis].max(truth[axis])
    };
    let (width, height) = (common(0), common(1));
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let area = |bbox: &[f64; 4]| bbox[2] * bbox[3];
    let intersection = width * height;
    let all = match is_crowd {
        true => area(detection),
        false => area(detection) + area(truth) - intersection,
    };
    intersection / all
}

#[cfg(test)]
mod tests {
    use semaim_random::{Key, KeyedRng, Stream};

    use super::*;

    #[test]
    fn boxes_of_whole_pixels_overlap_as_their_masks() {
        let (width, height) = (12u32, 10u32);
        let bits = |[x, y, w, h]: [u32; 4]| -> Vec<bool> {
            let inside = |n: u32| {
                let (column, row) = (n % width, n / width);
                (x..x + w).contains(&column) && (y..y + h).contains(&row)
            };
            (0..width * height).map(inside).collect()
        };
        for case in 0..1000 {
            let mut rng = KeyedRng::new(Key::new(3, 0, case), Stream::Shapes);
            let mut some = || {
                let mut below = |n: u32| rng.below(n.into()) as u32;
                let (x, y) = (below(width), below(height));
                [x, y, below(width - x) + 1, below(height - y) + 1]
            };
            let (a, b) = (some(), some());
            for is_crowd in [false, true] {
                let boxes = box_iou(&a.map(f64::from), &b.map(f64::from), is_crowd);
                let (a, b) = (bits(a), bits(b));
                let both = a.iter().zip(&b).filter(|(x, y)| **x && **y).count() as f64;
                let either = a.iter().zip(&b).filter(|(x, y)| **x || **y).count() as f64;
                let own = a.iter().filter(|x| **x).count() as f64;
                let expected = both / if is_crowd { own } else { either };
                assert_eq!(boxes, expected);
                let [a, b] = [a, b].map(|bits| Rle::from_bits(&bits, width, height).unwrap());
                assert_eq!(Rle::overlaps(&[&a], &[(&b, is_crowd)]), [expected]);
            }
        }
    }

    #[test]
    fn nothing_overlaps_what_has_no_area() {
        let empty = [3.0, 3.0, 0.0, 4.0];
        for is_crowd in [false, true] {
            assert_eq!(box_iou(&empty, &empty, is_crowd), 0.0);
            assert_eq!(box_iou(&empty, &[0.0, 0.0, 9.0, 9.0], is_crowd), 0.0);
            let nothing = Rle::from_counts(&[6], 3, 2).unwrap();
            let all = Rle::from_counts(&[0, 6], 3, 2).unwrap();
            let truths = [(&nothing, is_crowd), (&all, is_crowd)];
            assert_eq!(
                Rle::overlaps(&[&nothing, &all], &truths),
                [0.0, 0.0, 0.0, 1.0]
            );
        }
    }
}
