//! What a report says of a segmenter: mIoU, IoU of each class, truth beside prediction.

use std::fs;
use std::path::Path;

use semaim_eval::results::RESULTS;
use semaim_eval::segment::Results;
use semaim_eval::segment::score::SegmentationScores;
use semaim_report::{Cell, Part, Picture, Section};

use super::{left_out, read_picture};

/// Truth and prediction of some images that are not trained on.
pub(super) const PICTURE: &str = "labels.png";

/// The sections of a run that trains a segmenter; none of other runs.
pub(super) fn sections(run: &Path) -> Vec<Section> {
    let text = fs::read_to_string(run.join(RESULTS)).unwrap_or_default();
    // Results of other kinds of runs have other forms.
    let Ok(results) = serde_json::from_str::<Results>(&text) else {
        return Vec::new();
    };
    let scores = &results.last.scores;
    let unreadable = left_out(scores.unreadable);
    let mut sections = vec![Section {
        title: "Intersection over union".into(),
        parts: vec![
            Part::Text(format!(
                "Of all pixels that have a class of {} evaluation images{unreadable} after {:.1} epochs, in per cent, from one \
                 confusion matrix. The best by {} was that after {:.1} epochs; it is chosen on the images that it is measured on.",
                scores.images, results.last.epoch, results.best_by, results.best.epoch
            )),
            numbers(&results),
            classes(scores, &results.best.scores),
        ],
    }];
    if let Some(png) = read_picture(&run.join(PICTURE)) {
        sections.push(Section {
            title: "Truth and prediction".into(),
            parts: vec![Part::Pictures(vec![Picture {
                caption: "Of the last weights".into(),
                png,
                alt: "Images with the true and the predicted classes of their pixels".into(),
            }])],
        });
    }
    sections
}

fn percent(share: Option<f64>) -> Cell {
    match share {
        Some(share) => Cell::Number(format!("{:.1}", 100.0 * share)),
        None => Cell::Text("none".into()),
    }
}

/// The means, of the last and of the best.
fn numbers(results: &Results) -> Part {
    let row = |(name, scores): (&str, &SegmentationScores)| {
        let metrics = &scores.metrics;
        let values = [
            metrics.mean_iou,
            metrics.mean_accuracy,
            metrics.pixel_accuracy,
        ];
        let values = values.map(|value| percent(Some(value)));
        std::iter::once(Cell::Text(name.into()))
            .chain(values)
            .collect()
    };
    let both = [("last", &results.last), ("best", &results.best)];
    Part::Table {
        header: ["", "mIoU", "mean accuracy", "pixel accuracy"]
            .map(str::to_string)
            .into(),
        rows: both.map(|(name, at)| row((name, &at.scores))).into(),
    }
}

/// IoU and accuracy of each class, the best class first.
fn classes(last: &SegmentationScores, best: &SegmentationScores) -> Part {
    let mut order: Vec<usize> = (0..last.classes.len()).collect();
    let iou = |class: usize| last.metrics.iou[class].unwrap_or(-1.0);
    order.sort_by(|a, b| iou(*b).total_cmp(&iou(*a)));
    let row = |class: usize| {
        vec![
            Cell::Text(last.classes[class].clone()),
            percent(last.metrics.iou[class]),
            percent(last.metrics.accuracy[class]),
            percent(best.metrics.iou.get(class).copied().flatten()),
        ]
    };
    Part::Table {
        header: ["class", "IoU", "accuracy", "IoU of the best"]
            .map(str::to_string)
            .into(),
        rows: order.into_iter().map(row).collect(),
    }
}
