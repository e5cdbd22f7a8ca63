//! A file of results against a file of annotations, as pycocotools 2.0.11 does it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::annotations::{Annotation, Annotations, Image, checked};
use crate::apart;
use crate::corners::Corners;
use crate::error::{BoxProblem, CocoError, Entry, OtherImage};
use crate::evaluator::{Evaluation, Evaluator};
use crate::file_name;
use crate::fractions::Fractions;
use crate::matching::{Detection, Truth};
use crate::repairs::{Repair, Repaired, Repairs};
use crate::results::{Results, ScoredResult};
use crate::rle::Rle;
use crate::segmentation::Segmentation;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IouType {
    /// Boxes.
    Bbox,
    /// Masks.
    Segm,
}

/// How [`evaluate`] compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvaluateOptions {
    /// Boxes or masks alone; `None`: boxes, and masks where both files have them.
    pub only: Option<IouType>,
    /// Whether all categories count as one, pycocotools' `useCats = 0`.
    pub class_agnostic: bool,
}

/// What [`evaluate`] finds. Categories are in ascending order of their `id`.
#[derive(Clone, Debug)]
pub struct Scores {
    /// The `id` and name of each category; one of -1 for all of them as one.
    pub categories: Vec<(i64, String)>,
    /// Boxes, unless masks alone were asked for.
    pub bbox: Option<Evaluation>,
    /// Masks, where both files have them and not boxes alone were asked for.
    pub segm: Option<Evaluation>,
    /// The file because of which masks were not scored, where boxes alone were not asked for.
    pub without_masks: Option<PathBuf>,
    /// What was put right in the annotations.
    pub annotation_repairs: Vec<Repair>,
    /// What was put right in the results.
    pub result_repairs: Vec<Repair>,
}

/// Compares results with annotations.
///
/// A file of results gives the areas of its detections as pycocotools takes them: when the first result has a box, the
/// areas of the boxes, for masks as well; otherwise those of the masks, and each missing box is the one around the mask.
///
/// # Errors
///
/// What is wrong with either file, with the entry; [`CocoError::OtherImage`] when a result has the number of one image and
/// the name of another.
pub fn evaluate(
    annotations: &Annotations,
    results: Results,
    options: EvaluateOptions,
) -> Result<Scores, CocoError> {
    let only = options.only;
    let without_masks = without_masks(annotations, &results)
        .filter(|_| only != Some(IouType::Bbox))
        .map(Path::to_owned);
    let (boxes, masks) = match (only, &without_masks) {
        (Some(IouType::Bbox), _) => (true, false),
        (Some(IouType::Segm), None) => (false, true),
        (Some(IouType::Segm), Some(path)) => {
            return Err(CocoError::NoMasks { path: path.clone() });
        }
        (None, without) => (true, without.is_none()),
    };
    // Both in ascending order of their ids.
    let images = ascending(annotations.images().iter().map(|image| image.id));
    let categories = ascending(annotations.categories().iter().map(|category| category.id));
    let count = categories.order.len();
    let mut sets = Sets {
        boxes: boxes.then(|| Evaluator::new(count)),
        masks: masks.then(|| Evaluator::new(count)),
    };
    let mut annotation_repairs = Repairs(annotations.repairs().to_vec());
    add_truths(
        annotations,
        &images,
        &categories,
        &mut sets,
        &mut annotation_repairs,
    )?;
    let mut result_repairs = Repairs::default();
    add_results(
        annotations,
        results,
        &images,
        &categories,
        &mut sets,
        &mut result_repairs,
    )?;
    let named = |place: &usize| {
        let category = &annotations.categories()[*place];
        (category.id, category.name.clone())
    };
    let mut names: Vec<(i64, String)> = categories.order.iter().map(named).collect();
    if options.class_agnostic {
        names = vec![(-1, "all as one".into())];
        sets = Sets {
            boxes: sets.boxes.map(Evaluator::class_agnostic),
            masks: sets.masks.map(Evaluator::class_agnostic),
        };
    }
    Ok(Scores {
        categories: names,
        bbox: sets.boxes.map(|boxes| boxes.evaluate()),
        segm: sets.masks.map(|masks| masks.evaluate()),
        without_masks,
        annotation_repairs: annotation_repairs.0,
        result_repairs: result_repairs.0,
    })
}

/// What is gathered.
struct Sets {
    boxes: Option<Evaluator<[f64; 4]>>,
    masks: Option<Evaluator<Rle>>,
}

/// The file that has no masks, if one has none; a file without entries may have them.
fn without_masks<'a>(annotations: &'a Annotations, results: &'a Results) -> Option<&'a Path> {
    let mut truths = annotations
        .images()
        .iter()
        .flat_map(|image| &image.annotations)
        .peekable();
    let truth_has = truths.peek().is_none() || truths.any(|truth| truth.segmentation.is_some());
    let has_mask = |result: &ScoredResult| result.segmentation.is_some();
    let results_have = results.results.is_empty() || results.results.iter().any(has_mask);
    match (truth_has, results_have) {
        (true, true) => None,
        (false, _) => Some(annotations.path()),
        (true, false) => Some(results.path()),
    }
}

/// Entries in ascending order of their ids.
struct Ascending {
    /// The places in the file.
    order: Vec<usize>,
    /// From the id to the place in the order.
    rank: HashMap<i64, usize>,
}

fn ascending(ids: impl Iterator<Item = i64>) -> Ascending {
    let ids: Vec<i64> = ids.collect();
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|place| ids[*place]);
    let rank = order
        .iter()
        .enumerate()
        .map(|(rank, place)| (ids[*place], rank));
    Ascending {
        rank: rank.collect(),
        order,
    }
}

fn add_truths(
    annotations: &Annotations,
    images: &Ascending,
    categories: &Ascending,
    sets: &mut Sets,
    repairs: &mut Repairs,
) -> Result<(), CocoError> {
    let (mut corners, mut fractions) = (Corners::default(), Fractions::default());
    for (rank, place) in images.order.iter().enumerate() {
        let image = &annotations.images()[*place];
        for annotation in &image.annotations {
            let entry = Entry::Annotation(annotation.id);
            // Looked at only where it is needed: boxes can be scored where masks are broken.
            let boxless = annotation.bbox.is_none() && annotation.segmentation.is_some();
            let mask = match sets.masks.is_some() || boxless {
                true => Some(annotations.mask(image, annotation)?),
                false => None,
            };
            let bbox = annotations.checked_box(annotation, mask.as_ref(), repairs)?;
            corners.look(entry, bbox, image.size);
            let drawn = annotation.segmentation.as_ref().zip(mask.as_ref());
            let outline = drawn.map(|(outline, _)| outline);
            fractions.look(entry, annotation.bbox, outline, image);
            let around = drawn.and_then(|(outline, mask)| outline.extent(mask));
            apart::look(image, annotation, around, repairs);
            annotations.check_area(annotation, repairs)?;
            let area = match (annotation.area, &mask, &annotation.segmentation) {
                // The same whether masks are scored or not.
                (None, None, Some(_)) => annotations.mask(image, annotation)?.area() as f64,
                _ => annotation.area_or_of(mask.as_ref(), bbox),
            };
            if annotation.id == 0 {
                repairs.count(Repaired::IdZero, entry);
            }
            let category = categories.rank[&annotations.categories()[annotation.category].id];
            if let Some(boxes) = &mut sets.boxes {
                boxes.add_truth(category, rank, truth(annotation, area, bbox));
            }
            if let (Some(masks), Some(mask)) = (&mut sets.masks, mask) {
                masks.add_truth(category, rank, truth(annotation, area, mask));
            }
        }
    }
    corners.judge(annotations.path(), repairs)?;
    fractions.judge(annotations.path())
}

fn truth<R>(annotation: &Annotation, area: f64, region: R) -> Truth<R> {
    Truth {
        id: annotation.id,
        is_crowd: annotation.is_crowd,
        area,
        region,
    }
}

fn add_results(
    annotations: &Annotations,
    results: Results,
    images: &Ascending,
    categories: &Ascending,
    sets: &mut Sets,
    repairs: &mut Repairs,
) -> Result<(), CocoError> {
    let path = results.path;
    let with_boxes = results
        .results
        .first()
        .is_some_and(|first| first.bbox.is_some());
    // Elsewhere it does not matter what is wrong with masks.
    let draws_masks = sets.masks.is_some() || !with_boxes;
    let mut names = Names::new(annotations);
    let (mut corners, mut fractions) = (Corners::default(), Fractions::default());
    for (index, result) in results.results.into_iter().enumerate() {
        let entry = Entry::Result(index);
        let rank = |ranks: &Ascending, what, id| {
            let rank = ranks.rank.get(&id).copied();
            rank.ok_or_else(|| CocoError::Unknown {
                path: path.clone(),
                entry,
                what,
                id,
                there: "the annotations do",
            })
        };
        let image_rank = rank(images, "image", result.image_id)?;
        let category = rank(categories, "category", result.category_id)?;
        let image = &annotations.images()[images.order[image_rank]];
        names.check(image, &path, entry, &result)?;
        let boxed = |problem| CocoError::Box {
            path: path.clone(),
            entry,
            problem,
        };
        let given = result.bbox.map(checked).transpose().map_err(boxed)?;
        if with_boxes && given.is_none() || given.is_none() && result.segmentation.is_none() {
            return Err(boxed(BoxProblem::Absent));
        }
        let outline = result.segmentation.as_ref().filter(|_| draws_masks);
        fractions.look(entry, given, outline, image);
        let segmentation = match (result.segmentation, given) {
            (None, Some(bbox)) if sets.masks.is_some() => {
                repairs.count(Repaired::MaskOfBox, entry);
                Some(rectangle(bbox))
            }
            (segmentation, _) => segmentation,
        };
        let mask = match draws_masks {
            true => image.mask(segmentation.as_ref()).map(Some),
            false => Ok(None),
        };
        let mask = mask.map_err(|problem| CocoError::Segmentation {
            path: path.clone(),
            entry,
            problem,
        })?;
        let around = || mask.as_ref().map(Rle::bounding_box);
        let bbox = given.or_else(around).unwrap_or_default();
        if given.is_some() {
            corners.look(entry, bbox, image.size);
        }
        let area = match &mask {
            Some(mask) if !with_boxes => mask.area() as f64,
            _ => bbox[2] * bbox[3],
        };
        let score = result.score;
        if let Some(boxes) = &mut sets.boxes {
            let region = bbox;
            boxes.add_detection(
                category,
                image_rank,
                Detection {
                    score,
                    area,
                    region,
                },
            );
        }
        if let (Some(masks), Some(region)) = (&mut sets.masks, mask) {
            masks.add_detection(
                category,
                image_rank,
                Detection {
                    score,
                    area,
                    region,
                },
            );
        }
    }
    corners.judge(&path, repairs)?;
    fractions.judge_results(&path)
}

/// The names of the annotations' images, to which those of results are compared.
struct Names<'a> {
    annotations: &'a Annotations,
    /// By [`file_name::stem`]; made when a name is not as stated.
    by_stem: Option<HashMap<&'a str, Vec<&'a Image>>>,
}

impl<'a> Names<'a> {
    fn new(annotations: &'a Annotations) -> Self {
        Self {
            annotations,
            by_stem: None,
        }
    }

    /// Refuses a result that names the file of another image than its own: its number is of other images than those of the
    /// annotations. Which of the two is meant is not guessed. A name that is nearer to no other image's, as where files were moved,
    /// converted or renamed, says nothing.
    fn check(
        &mut self,
        image: &Image,
        path: &Path,
        entry: Entry,
        result: &ScoredResult,
    ) -> Result<(), CocoError> {
        let (Some(found), Some(stated)) = (&result.file_name, &image.file_name) else {
            return Ok(());
        };
        let own = file_name::distance(found, stated);
        if own == Some(0) {
            return Ok(());
        }
        let annotations = self.annotations;
        let by_stem = self.by_stem.get_or_insert_with(|| by_stem(annotations));
        let alike = by_stem.get(file_name::stem(found)).into_iter().flatten();
        let distances = alike.filter_map(|other| {
            let name = other.file_name.as_ref()?;
            Some((file_name::distance(found, name)?, other.id))
        });
        match distances.min() {
            Some((distance, named)) if own.is_none_or(|own| distance < own) => {
                Err(CocoError::OtherImage(Box::new(OtherImage {
                    path: path.to_owned(),
                    entry,
                    image: image.id,
                    found: found.clone(),
                    annotations: annotations.path().to_owned(),
                    stated: stated.clone(),
                    named,
                })))
            }
            _ => Ok(()),
        }
    }
}

/// The images that have names, by these without folders and extensions.
fn by_stem(annotations: &Annotations) -> HashMap<&str, Vec<&Image>> {
    let mut by_stem: HashMap<&str, Vec<&Image>> = HashMap::new();
    for image in annotations.images() {
        if let Some(name) = &image.file_name {
            let stem = file_name::stem(name);
            by_stem.entry(stem).or_default().push(image);
        }
    }
    by_stem
}

/// A box as a polygon.
fn rectangle([x, y, width, height]: [f64; 4]) -> Segmentation {
    let (right, bottom) = (x + width, y + height);
    Segmentation::Polygons(vec![vec![x, y, x, bottom, right, bottom, right, y]])
}

#[cfg(test)]
mod tests;
