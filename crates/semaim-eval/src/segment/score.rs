//! What pixels were taken for against what they are: one confusion matrix over a whole set.

use std::sync::Arc;

use semaim_data::{BadImage, IGNORED, LabelMap, LabelMapSet, Source};
use semaim_segment::confusion::{ConfusionMatrix, SegmentationMetrics};
use serde::{Deserialize, Serialize};

use super::label::{LabelError, LabelIter};
use super::segmenter::TrainedSegmenter;
use crate::known_classes::numbers_of;

/// How well pixels were labeled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentationScores {
    /// Images that were looked at.
    pub images: usize,
    /// Images, or label images, that could not be used; their pixels do not count.
    pub unreadable: usize,
    /// Pixels that have a class.
    pub pixels: u64,
    /// The names of the classes, by number.
    pub classes: Vec<String>,
    /// What the confusion matrix says.
    pub metrics: SegmentationMetrics,
}

/// Labels the pixels of the images `items` of a set and scores them. `seen` is told of each image, and of each that could not be
/// used.
///
/// # Errors
/// [`LabelError`].
pub fn score(
    segmenter: &TrainedSegmenter,
    set: &Arc<LabelMapSet>,
    items: Vec<u64>,
    mut seen: impl FnMut(usize, &[BadImage]),
) -> Result<SegmentationScores, LabelError> {
    let classes = &segmenter.info.classes;
    let numbers = numbers_of(&**set, classes)?;
    let mut matrix = ConfusionMatrix::new(classes.len());
    let (mut images, mut bad) = (0, Vec::new());
    let truth = |set: &LabelMapSet, item: u64, size| set.truth_of_size(item as usize, size);
    for labeled in LabelIter::start(segmenter, Arc::clone(set), items, truth)? {
        match labeled? {
            Ok(image) => {
                matrix.add(&renumbered(image.beside, &numbers), &image.classes);
                images += 1;
                seen(1, &[]);
            }
            Err(unusable) => {
                seen(0, std::slice::from_ref(&unusable));
                bad.push(unusable);
            }
        }
    }
    if images == 0 {
        return Err(LabelError::Empty {
            set: set.describe(),
            first: bad.into_iter().next(),
        });
    }
    let Some(metrics) = matrix.metrics() else {
        return Err(LabelError::NoLabels {
            set: set.describe(),
        });
    };
    Ok(SegmentationScores {
        images,
        unreadable: bad.len(),
        pixels: matrix.pixels(),
        classes: classes.clone(),
        metrics,
    })
}

/// Labels of a set as the segmenter numbers its classes.
pub fn renumbered(map: LabelMap, numbers: &[usize]) -> Vec<u8> {
    let mut labels = map.labels;
    for label in &mut labels {
        if *label != IGNORED {
            // A segmenter has at most 255 classes.
            *label = numbers[usize::from(*label)] as u8;
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_segmenter_and_what_says_nothing_stays() {
        let map = LabelMap {
            size: [1, 4],
            labels: vec![0, 1, IGNORED, 0],
        };
        assert_eq!(renumbered(map, &[2, 0]), [2, 0, IGNORED, 2]);
    }
}
