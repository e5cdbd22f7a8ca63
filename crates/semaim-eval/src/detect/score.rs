//! What is found against what is there, on COCO's terms.

use std::collections::HashMap;
use std::sync::Arc;

use semaim_coco::{Detection, Evaluator, METRICS, Region, Rle, Truth};
use semaim_data::{BadImage, ImageObjects, ObjectSet, Source};
use serde::{Deserialize, Serialize};

use super::detector::Detector;
use super::find::{FindError, FindIter, FoundObject, ImageFinds};
use crate::image_batches::BatchOptions;
use crate::known_classes::numbers_of;

/// How well objects were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectScores {
    /// Images that were looked at.
    pub images: usize,
    /// Images that could not be read, or whose annotations could not be used; their objects do not count.
    pub unreadable: usize,
    /// The names of the classes, by number.
    pub classes: Vec<String>,
    /// Boxes.
    pub bbox: KindScores,
    /// Masks, where the detector was taught them and every object has one.
    pub segm: Option<KindScores>,
}

/// COCO's numbers of boxes or of masks.
///
/// Which detections are small, medium or large is told by their boxes for boxes and by the pixels of their masks for masks, as
/// detectron2 does it, with which the published numbers were measured. A file of results that has both boxes and masks scores
/// otherwise: pycocotools takes the boxes' areas for the masks then (see [`semaim_coco::evaluate`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindScores {
    /// The numbers of [`METRICS`], 0 to 1; -1 where there is no truth.
    pub stats: [f64; METRICS.len()],
    /// AP and AP50 of each class; -1 where it has no truth.
    pub per_class: Vec<[f64; 2]>,
    /// AP and AP50 with all classes of the set as one: whether objects are found, whatever they are taken for. `None` in files of
    /// earlier versions.
    #[serde(default)]
    pub class_agnostic: Option<[f64; 2]>,
    /// Precision at the recalls 0, 0.01 ... 1, the mean over classes with truths, at the overlaps of [`CURVES`]; empty without
    /// truths.
    pub precision: Vec<Vec<f64>>,
}

/// The overlaps of which there are curves, with their places among COCO's ten.
pub const CURVES: [(f64, usize); 3] = [(0.5, 0), (0.75, 5), (0.9, 8)];

impl KindScores {
    fn of<R: Region + Send>(evaluator: Evaluator<R>, classes: usize) -> Self {
        let evaluation = evaluator.evaluate();
        let as_one = evaluator.class_agnostic().evaluate();
        let mean = |threshold: usize| {
            let curves: Vec<&[f64]> = (0..classes)
                .filter_map(|class| evaluation.precision(class, threshold))
                .collect();
            let points = curves.first().map_or(0, |curve| curve.len());
            let at = |point: usize| curves.iter().map(|curve| curve[point]).sum::<f64>();
            (0..points)
                .map(|point| at(point) / curves.len() as f64)
                .collect()
        };
        Self {
            stats: evaluation.stats(),
            per_class: (0..classes).map(|c| evaluation.category_ap(c)).collect(),
            class_agnostic: Some(as_one.category_ap(0)),
            precision: CURVES
                .iter()
                .map(|(_, threshold)| mean(*threshold))
                .filter(|curve: &Vec<f64>| !curve.is_empty())
                .collect(),
        }
    }

    /// The first of [`METRICS`].
    pub fn ap(&self) -> f64 {
        self.stats[0]
    }

    /// The second of [`METRICS`].
    pub fn ap50(&self) -> f64 {
        self.stats[1]
    }
}

/// Finds the objects of the images `items` of a set and scores them. `seen` is told of each batch's images and of those that
/// could not be read.
///
/// # Errors
/// [`FindError`].
pub fn score(
    detector: &Detector,
    set: &Arc<ObjectSet>,
    items: &[u64],
    options: BatchOptions,
    mut seen: impl FnMut(usize, &[BadImage]),
) -> Result<ObjectScores, FindError> {
    let info = &detector.info;
    let numbers = numbers_of(&**set, &info.classes)?;
    let mut tally = Tally::new(info.classes.len(), info.settings.masks);
    let ranks = ranks(set, items);
    let mut bad: Vec<BadImage> = Vec::new();
    let source = Arc::clone(set) as Arc<dyn Source>;
    for finds in FindIter::start(detector, source, items.iter().copied(), options) {
        let mut finds = finds?;
        let mut misfits = Vec::new();
        for found in &finds.images {
            match truth_of(set, found) {
                Err(misfit) => misfits.push(misfit),
                Ok(truth) => tally.add(ranks[&found.item], &truth, &numbers, found),
            }
        }
        let scored = finds.images.len() - misfits.len();
        finds.bad.append(&mut misfits);
        seen(scored, &finds.bad);
        bad.extend(finds.bad);
    }
    if tally.images == 0 {
        return Err(FindError::Empty {
            set: set.describe(),
            first: bad.into_iter().next(),
        });
    }
    Ok(tally.scores(&info.classes, bad.len()))
}

/// What is there in an image; or why it cannot be scored: annotations that cannot be used or are for an image of another size, which
/// training does not take either.
fn truth_of(set: &ObjectSet, found: &ImageFinds) -> Result<ImageObjects, BadImage> {
    let item = found.item as usize;
    let bad = |error: String| BadImage {
        item: found.item,
        name: set.name(item),
        error,
    };
    let truth = set
        .truth(item)
        .map_err(|error| bad(error.problem.to_string()))?;
    let [stated_rows, stated_columns] = truth.size.map(|side| side as usize);
    let [rows, columns] = found.size;
    if [rows, columns] == [stated_rows, stated_columns] {
        return Ok(truth);
    }
    Err(bad(format!(
        "the image is {columns}x{rows} pixels, its annotations are for {stated_columns}x{stated_rows}"
    )))
}

/// The places of images in ascending order of their numbers in files, which decides between detections of equal score.
fn ranks(set: &ObjectSet, items: &[u64]) -> HashMap<u64, usize> {
    let mut order: Vec<u64> = items.to_vec();
    order.sort_by_key(|item| set.image_id(*item as usize));
    order.into_iter().zip(0..).collect()
}

/// Truths and finds of the images so far.
struct Tally {
    images: usize,
    boxes: Evaluator<[f64; 4]>,
    /// `None` as soon as an object has no mask.
    masks: Option<Evaluator<Rle>>,
}

impl Tally {
    fn new(classes: usize, masks: bool) -> Self {
        Self {
            images: 0,
            boxes: Evaluator::new(classes),
            masks: masks.then(|| Evaluator::new(classes)),
        }
    }

    /// Adds an image. `numbers` are the detector's for the classes of the truth.
    fn add(&mut self, rank: usize, truth: &ImageObjects, numbers: &[usize], found: &ImageFinds) {
        self.images += 1;
        for (object, &class) in truth.classes.iter().enumerate() {
            let class = numbers[class as usize];
            let region = truth.boxes[object];
            self.boxes
                .add_truth(class, rank, counted(truth, object, region));
            match (&truth.masks[object], &mut self.masks) {
                (Some(mask), Some(masks)) => {
                    masks.add_truth(class, rank, counted(truth, object, mask.clone()));
                }
                _ => self.masks = None,
            }
        }
        // Of a class that the set does not have nothing says whether it is there: with all classes as one it would be wrong.
        let of_set = |object: &&FoundObject| numbers.contains(&object.class);
        for object in found.objects.iter().filter(of_set) {
            let (score, bbox) = (f64::from(object.score), object.bbox());
            let detection = Detection {
                score,
                area: bbox[2] * bbox[3],
                region: bbox,
            };
            self.boxes.add_detection(object.class, rank, detection);
            if let (Some(mask), Some(masks)) = (&object.mask, &mut self.masks) {
                // As detectron2 has it, which takes the boxes from results before masks are scored.
                let detection = Detection {
                    score,
                    area: mask.area() as f64,
                    region: mask.clone(),
                };
                masks.add_detection(object.class, rank, detection);
            }
        }
    }

    fn scores(self, classes: &[String], unreadable: usize) -> ObjectScores {
        let count = classes.len();
        ObjectScores {
            images: self.images,
            unreadable,
            classes: classes.to_vec(),
            bbox: KindScores::of(self.boxes, count),
            segm: self.masks.map(|masks| KindScores::of(masks, count)),
        }
    }
}

/// An object of an image as it is counted, by its box or its mask.
fn counted<R>(truth: &ImageObjects, object: usize, region: R) -> Truth<R> {
    Truth {
        id: truth.annotation_ids[object],
        is_crowd: truth.crowds[object],
        area: truth.areas[object],
        region,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_data::{ObjectSpec, OpenOptions, Split, open_objects};
    use semaim_detect::boxes::BoundingBox;

    fn square(x: u32) -> Rle {
        let inside = |i: usize| (x as usize..x as usize + 8).contains(&(i % 32)) && i / 32 < 8;
        let bits: Vec<bool> = (0..32 * 16).map(inside).collect();
        Rle::from_bits(&bits, 32, 16).unwrap()
    }

    fn truth(masks: bool) -> ImageObjects {
        ImageObjects {
            size: [16, 32],
            boxes: vec![[0.0, 0.0, 8.0, 8.0], [20.0, 0.0, 8.0, 8.0]],
            classes: vec![0, 1],
            areas: vec![64.0; 2],
            crowds: vec![false; 2],
            masks: [0, 20].map(|x| masks.then(|| square(x))).into(),
            annotation_ids: vec![1, 2],
        }
    }

    fn found(class: usize, x: u32) -> FoundObject {
        FoundObject {
            class,
            score: 0.9,
            bounds: BoundingBox::new(x as f32, 0.0, x as f32 + 8.0, 8.0),
            mask: Some(square(x)),
        }
    }

    fn scores(masks: bool, objects: Vec<FoundObject>) -> ObjectScores {
        let names = ["a", "b", "c"].map(str::to_string);
        let mut tally = Tally::new(3, true);
        let found = ImageFinds {
            item: 5,
            size: [16, 32],
            objects,
        };
        // The set's first class is the detector's third.
        tally.add(0, &truth(masks), &[2, 0], &found);
        tally.scores(&names, 1)
    }

    #[test]
    fn what_is_there_and_found_counts_under_the_detectors_numbers() {
        let all = scores(true, vec![found(2, 0), found(0, 20)]);
        assert!((all.bbox.ap() - 1.0).abs() < 1e-9 && (all.bbox.ap50() - 1.0).abs() < 1e-9);
        assert!((all.segm.as_ref().unwrap().ap() - 1.0).abs() < 1e-9);
        assert_eq!(all.bbox.per_class[1], [-1.0; 2]);
        assert_eq!(all.bbox.precision.len(), CURVES.len());
        assert!(all.bbox.precision.iter().all(|curve| curve.len() == 101));
        assert_eq!((all.images, all.unreadable), (1, 1));
        assert!((all.bbox.class_agnostic.unwrap()[0] - 1.0).abs() < 1e-9);
        let half = scores(true, vec![found(2, 0), found(1, 20)]);
        assert!((half.bbox.ap() - 0.5).abs() < 1e-9, "{half:?}");
        assert_eq!(half.bbox.per_class[0], [0.0; 2]);
        // What is taken for another class of the set is there; of the detector's second class the set says nothing.
        let mistaken = scores(true, vec![found(0, 0), found(0, 20), found(1, 12)]);
        let as_one = |scores: &ObjectScores| scores.bbox.class_agnostic.unwrap()[0];
        assert!((as_one(&mistaken) - 1.0).abs() < 1e-9, "{mistaken:?}");
        assert!(as_one(&scores(true, vec![found(1, 12), found(0, 0)])) > 0.5);
    }

    #[test]
    fn the_size_of_a_mask_is_that_of_its_pixels() {
        let square = |side: usize| {
            let bits: Vec<bool> = (0..64 * 64)
                .map(|i| i % 64 < side && i / 64 < side)
                .collect();
            Rle::from_bits(&bits, 64, 64).unwrap()
        };
        let there = ImageObjects {
            size: [64, 64],
            boxes: vec![[0.0, 0.0, 30.0, 30.0]],
            classes: vec![0],
            areas: vec![900.0],
            crowds: vec![false],
            masks: vec![Some(square(30))],
            annotation_ids: vec![1],
        };
        let object = |score: f32, corners: [f32; 4], side: usize| {
            let [x0, y0, x1, y1] = corners;
            FoundObject {
                class: 0,
                score,
                bounds: BoundingBox::new(x0, y0, x1, y1),
                mask: Some(square(side)),
            }
        };
        let found = ImageFinds {
            item: 0,
            size: [64, 64],
            // The best one is of nothing: few pixels in a box of medium size.
            objects: vec![
                object(0.9, [20.0, 20.0, 60.0, 60.0], 12),
                object(0.8, [0.0, 0.0, 30.0, 30.0], 30),
            ],
        };
        let mut tally = Tally::new(1, true);
        tally.add(0, &there, &[0], &found);
        let scores = tally.scores(&["a".to_string()], 0);
        // AP of small objects: a box of medium size is not among them, its mask is.
        let small = METRICS
            .iter()
            .position(|metric| metric.name == "APs")
            .unwrap();
        assert!((scores.bbox.stats[small] - 1.0).abs() < 1e-6);
        assert!((scores.segm.unwrap().stats[small] - 0.5).abs() < 1e-6);
    }

    #[test]
    fn an_image_whose_annotations_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.json");
        // Nothing says how large the second image is, and it cannot be read.
        let images = serde_json::json!([
            {"id": 1, "file_name": "1.png", "width": 8, "height": 6},
            {"id": 2, "file_name": "2.png"},
        ]);
        let text = serde_json::json!({
            "images": images,
            "annotations": [],
            "categories": [{"id": 1, "name": "a"}],
        });
        std::fs::write(&file, text.to_string()).unwrap();
        for name in ["1.png", "2.png"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let spec = ObjectSpec {
            whole: true,
            ..ObjectSpec::of(file.to_str().unwrap())
        };
        let set = open_objects(&spec, Split::Eval, &OpenOptions::default()).unwrap();
        let of = |item: u64, size: [usize; 2]| {
            let found = ImageFinds {
                item,
                size,
                objects: Vec::new(),
            };
            truth_of(&set, &found).map_err(|bad| (bad.name, bad.error))
        };
        assert!(of(0, [6, 8]).is_ok());
        let (_, turned) = of(0, [8, 6]).unwrap_err();
        assert!(
            turned.contains("6x8 pixels, its annotations are for 8x6"),
            "{turned}"
        );
        let (name, unusable) = of(1, [6, 8]).unwrap_err();
        assert!(
            name.ends_with("2.png") && !unusable.is_empty(),
            "{unusable}"
        );
    }

    #[test]
    fn masks_are_scored_where_every_object_has_one() {
        let boxes = scores(false, vec![found(2, 0)]);
        assert!(boxes.segm.is_none());
        assert!((boxes.bbox.ap() - 0.5).abs() < 1e-9);
    }
}
