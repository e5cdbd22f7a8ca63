//! The 12 numbers of COCO, and average precision by category.

use serde_json::{Map, Value, json};

use crate::average_precision::{Curves, RECALLS};
use crate::evaluate::Scores;
use crate::evaluator::Evaluation;
use crate::matching::THRESHOLDS;

/// One of COCO's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// As papers write it: `AP`, `AP50`, `AR1` ...
    pub name: &'static str,
    /// Average recall instead of average precision.
    recall: bool,
    /// One overlap instead of all ten.
    threshold: Option<usize>,
    area: usize,
    detections: usize,
}

/// COCO's numbers in COCO's order.
pub const METRICS: [Metric; 12] = [
    metric("AP", false, None, 0, 2),
    metric("AP50", false, Some(0), 0, 2),
    metric("AP75", false, Some(5), 0, 2),
    metric("APs", false, None, 1, 2),
    metric("APm", false, None, 2, 2),
    metric("APl", false, None, 3, 2),
    metric("AR1", true, None, 0, 0),
    metric("AR10", true, None, 0, 1),
    metric("AR100", true, None, 0, 2),
    metric("ARs", true, None, 1, 2),
    metric("ARm", true, None, 2, 2),
    metric("ARl", true, None, 3, 2),
];

const fn metric(
    name: &'static str,
    recall: bool,
    threshold: Option<usize>,
    area: usize,
    detections: usize,
) -> Metric {
    Metric {
        name,
        recall,
        threshold,
        area,
        detections,
    }
}

impl Metric {
    /// The mean over `categories` that have truths; -1 where none has.
    fn mean<'a>(self, categories: impl Iterator<Item = &'a Vec<Vec<Option<Curves>>>>) -> f64 {
        let (mut sum, mut count) = (0.0, 0usize);
        let thresholds = match self.threshold {
            Some(one) => one..one + 1,
            None => 0..THRESHOLDS,
        };
        for category in categories {
            let Some(curves) = &category[self.detections][self.area] else {
                continue;
            };
            let values = match self.recall {
                true => &curves.recall[thresholds.clone()],
                false => &curves.precision[thresholds.start * RECALLS..thresholds.end * RECALLS],
            };
            sum += values.iter().sum::<f64>();
            count += values.len();
        }
        match count {
            0 => -1.0,
            count => sum / count as f64,
        }
    }
}

impl Evaluation {
    /// The numbers of [`METRICS`], 0 to 1; -1 where there is no truth.
    pub fn stats(&self) -> [f64; 12] {
        METRICS.map(|metric| metric.mean(self.categories.iter()))
    }

    /// AP and AP50 of a category, 0 to 1; -1 where it has no truth.
    pub fn category_ap(&self, category: usize) -> [f64; 2] {
        let of_category = |metric: Metric| metric.mean(self.categories.get(category).into_iter());
        [of_category(METRICS[0]), of_category(METRICS[1])]
    }
}

impl Scores {
    /// `{"bbox": {...}, "segm": {...}}` with what was scored; each has `stats`, the numbers of [`METRICS`], and
    /// `per_category_ap_ap50`, AP and AP50 by the category's `id`, and `category_names`.
    pub fn to_json(&self) -> Value {
        let object = |evaluation: &Evaluation| {
            let ids = self.categories.iter().enumerate();
            let by_category: Map<String, Value> = ids
                .map(|(n, (id, _))| (id.to_string(), json!(evaluation.category_ap(n))))
                .collect();
            let names: Map<String, Value> = self
                .categories
                .iter()
                .map(|(id, name)| (id.to_string(), json!(name)))
                .collect();
            json!({
                "stats": evaluation.stats(),
                "per_category_ap_ap50": by_category,
                "category_names": names,
            })
        };
        let kinds = [("bbox", &self.bbox), ("segm", &self.segm)];
        let scored = kinds
            .into_iter()
            .filter_map(|(kind, evaluation)| Some((kind.to_owned(), object(evaluation.as_ref()?))));
        Value::Object(scored.collect())
    }
}

/// A number as the COCO API prints it.
pub fn summary_line(metric: Metric, value: f64) -> String {
    let title = match metric.recall {
        true => "Average Recall     (AR)",
        false => "Average Precision  (AP)",
    };
    let overlap = match metric.threshold {
        None => "0.50:0.95",
        Some(0) => "0.50     ",
        Some(_) => "0.75     ",
    };
    let area = ["all", "small", "medium", "large"][metric.area];
    let most = crate::evaluator::DETECTIONS[metric.detections];
    format!(" {title} @[ IoU={overlap} | area={area:>6} | maxDets={most:>3} ] = {value:0.3}")
}
