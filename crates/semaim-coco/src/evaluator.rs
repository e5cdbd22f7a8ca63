//! Truths and detections of a whole set, category by category and image by image.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::average_precision::{Curves, RECALLS, curves};
use crate::iou::Region;
use crate::matching::{Detection, MAX_DETECTIONS, Matches, THRESHOLDS, Truth};

/// Areas in pixels, bounds inclusive: all, small, medium, large.
pub(crate) const AREA_RANGES: [[f64; 2]; 4] =
    [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];

/// At most so many detections of an image and a category, the best.
pub(crate) const DETECTIONS: [usize; 3] = [1, 10, MAX_DETECTIONS];

/// Gathers truths and detections, all boxes `[x, y, width, height]` or all masks.
#[derive(Clone, Debug)]
pub struct Evaluator<R> {
    categories: usize,
    cells: BTreeMap<(usize, usize), Cell<R>>,
}

/// What there is of one category in one image.
#[derive(Clone, Debug)]
struct Cell<R> {
    truths: Vec<Truth<R>>,
    detections: Vec<Detection<R>>,
}

/// Precision and recall of a set; see [`Evaluation::stats`].
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// For each category, `[numbers of detections][area ranges]`.
    pub(crate) categories: Vec<Vec<Vec<Option<Curves>>>>,
}

impl<R: Region + Send> Evaluator<R> {
    /// Nothing yet, of so many categories.
    pub fn new(categories: usize) -> Self {
        Self {
            categories,
            cells: BTreeMap::new(),
        }
    }

    /// Adds a truth. `image` is the image's place among all, which orders detections of equal score: in COCO's terms by
    /// ascending `id`.
    pub fn add_truth(&mut self, category: usize, image: usize, truth: Truth<R>) {
        self.cell(category, image).truths.push(truth);
    }

    /// Adds a detection; see [`Evaluator::add_truth`].
    pub fn add_detection(&mut self, category: usize, image: usize, detection: Detection<R>) {
        self.cell(category, image).detections.push(detection);
    }

    fn cell(&mut self, category: usize, image: usize) -> &mut Cell<R> {
        self.cells.entry((category, image)).or_insert(Cell {
            truths: Vec::new(),
            detections: Vec::new(),
        })
    }

    /// All categories as one, pycocotools' `useCats = 0`: what is left of a category's place is the order of an image's truths
    /// and detections.
    pub fn class_agnostic(self) -> Self {
        let mut merged = Self::new(self.categories.min(1));
        for ((_, image), cell) in self.cells {
            let into = merged.cell(0, image);
            into.truths.extend(cell.truths);
            into.detections.extend(cell.detections);
        }
        merged
    }

    /// Compares all detections with all truths. The same for any number of threads.
    pub fn evaluate(&self) -> Evaluation {
        let of_category = |category: usize| {
            let cells = self.cells.range((category, 0)..=(category, usize::MAX));
            let matches: Vec<Matches> = cells
                .map(|(_, cell)| Matches::new(&cell.truths, &cell.detections, &AREA_RANGES))
                .collect();
            let curves = |most: &usize| curves(&matches, AREA_RANGES.len(), *most);
            DETECTIONS.iter().map(curves).collect()
        };
        Evaluation {
            categories: (0..self.categories)
                .into_par_iter()
                .map(of_category)
                .collect(),
        }
    }
}

impl Evaluation {
    /// The precision of a category at each of the recalls 0, 0.01 ... 1, all areas, at most 100 detections; `None`
    /// where no truth counts. `threshold` is the index of the overlap, 0 for 0.50 to 9 for 0.95.
    pub fn precision(&self, category: usize, threshold: usize) -> Option<&[f64]> {
        let curves = self.categories.get(category)?.last()?.first()?.as_ref()?;
        if threshold >= THRESHOLDS {
            return None;
        }
        curves
            .precision
            .get(threshold * RECALLS..(threshold + 1) * RECALLS)
    }
}
