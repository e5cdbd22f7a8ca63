//! What a report says of a detector: precision over recall, COCO's numbers, truth beside prediction.

use std::fs;
use std::path::Path;

use semaim_coco::METRICS;
use semaim_eval::detect::Results;
use semaim_eval::detect::score::{CURVES, KindScores, ObjectScores};
use semaim_eval::results::RESULTS;
use semaim_report::{Cell, LineChart, Part, Picture, Section, Series};

use super::{left_out, read_picture};

/// Truth and prediction of some images that are not trained on.
pub(super) const PICTURE: &str = "objects.png";
/// The most classes whose numbers are shown.
const MOST_CLASSES: usize = 200;

/// The sections of a run that trains a detector; none of other runs.
pub(super) fn sections(run: &Path) -> Vec<Section> {
    let text = fs::read_to_string(run.join(RESULTS)).unwrap_or_default();
    // Results of other kinds of runs have other forms.
    let Ok(results) = serde_json::from_str::<Results>(&text) else {
        return Vec::new();
    };
    let scores = &results.last.scores;
    let unreadable = left_out(scores.unreadable);
    let mut sections = vec![Section {
        title: "Average precision".into(),
        parts: vec![
            Part::Text(format!(
                "Of {} evaluation images{unreadable} after {:.1} epochs, in per cent, as COCO counts. The best by {} was that after {:.1} epochs; \
                 it is chosen on the images that it is measured on.",
                scores.images, results.last.epoch, results.best_by, results.best.epoch
            )),
            numbers(&results),
            Part::Text(match scores.classes.len() {
                all if all > MOST_CLASSES => format!("The first {MOST_CLASSES} of {all} classes:"),
                _ => "By class:".into(),
            }),
            classes(scores),
        ],
    }];
    let curves = curves(scores);
    if !curves.is_empty() {
        sections.push(Section {
            title: "Precision and recall".into(),
            parts: vec![Part::Charts(curves)],
        });
    }
    if let Some(png) = read_picture(&run.join(PICTURE)) {
        sections.push(Section {
            title: "Truth and prediction".into(),
            parts: vec![Part::Pictures(vec![Picture {
                caption: "Of the last weights".into(),
                png,
                alt: "Images with their objects, and with what was found".into(),
            }])],
        });
    }
    sections
}

fn kinds(scores: &ObjectScores) -> Vec<(&'static str, &KindScores)> {
    let kinds = [
        ("boxes", Some(&scores.bbox)),
        ("masks", scores.segm.as_ref()),
    ];
    let kinds = kinds.into_iter();
    kinds
        .filter_map(|(kind, scores)| Some((kind, scores?)))
        .collect()
}

fn percent(share: f64) -> Cell {
    // Of what there is no truth.
    match share < 0.0 {
        true => Cell::Text("none".into()),
        false => Cell::Number(format!("{:.1}", 100.0 * share)),
    }
}

/// COCO's numbers: a row for boxes and for masks of the last and of the best.
fn numbers(results: &Results) -> Part {
    let mut header = vec![String::new()];
    header.extend(METRICS.map(|metric| metric.name.to_string()));
    let rows = [("last", &results.last), ("best", &results.best)]
        .into_iter()
        .flat_map(|(name, evaluated)| {
            kinds(&evaluated.scores)
                .into_iter()
                .map(move |(kind, scores)| {
                    let first = Cell::Text(format!("{name}, {kind}"));
                    let values = scores.stats.into_iter().map(percent);
                    std::iter::once(first).chain(values).collect()
                })
        });
    Part::Table {
        rows: rows.collect(),
        header,
    }
}

/// AP and AP50 of each class, of the first where there are many.
fn classes(scores: &ObjectScores) -> Part {
    let kinds = kinds(scores);
    let mut header = vec!["class".to_string()];
    for (kind, _) in &kinds {
        header.extend([format!("{kind} AP"), format!("{kind} AP50")]);
    }
    let classes = scores.classes.iter().enumerate().take(MOST_CLASSES);
    let rows = classes.map(|(number, class)| {
        let values = kinds
            .iter()
            .flat_map(|(_, scores)| scores.per_class[number]);
        let values = values.map(percent);
        std::iter::once(Cell::Text(class.clone()))
            .chain(values)
            .collect()
    });
    Part::Table {
        rows: rows.collect(),
        header,
    }
}

/// Precision over recall, the mean over classes, for boxes and for masks.
fn curves(scores: &ObjectScores) -> Vec<LineChart> {
    let chart = |(kind, scores): (&str, &KindScores)| {
        let series = CURVES.iter().zip(&scores.precision);
        let series = series.map(|((overlap, _), precision)| Series {
            name: format!("IoU {overlap:.2}"),
            points: precision
                .iter()
                .enumerate()
                .map(|(recall, precision)| [recall as f64, 100.0 * precision])
                .collect(),
            ..Series::default()
        });
        LineChart {
            title: format!("Precision over recall, {kind}"),
            x_label: "recall, %".into(),
            y_label: "precision, %".into(),
            series: series.collect(),
            ..LineChart::default()
        }
    };
    let charts = kinds(scores).into_iter().map(chart);
    charts.filter(|chart| !chart.series.is_empty()).collect()
}
