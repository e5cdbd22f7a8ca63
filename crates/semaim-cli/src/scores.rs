//! What evaluations come to, for people and for programs.

use std::collections::HashMap;

use semaim_coco::{METRICS, summary_line};
use semaim_data::counted;
use semaim_eval::classify::Classification;
use semaim_eval::detect::score::{KindScores, ObjectScores};
use semaim_eval::segment::score::SegmentationScores;
use serde_json::{Map, Value, json};

/// Accuracy over all images.
pub(crate) fn classification_in_short(found: &Classification) -> String {
    let accuracy = found.accuracy;
    format!(
        "top-1 {:.2} %, top-5 {:.2} %",
        100.0 * accuracy.top1,
        100.0 * accuracy.top5
    )
}

/// Accuracy over all images and of each class.
pub(crate) fn print_classification(found: &Classification) {
    println!("{}", classification_in_short(found));
    print_per_class(found);
}

/// Accuracy of each class.
pub(crate) fn print_per_class(found: &Classification) {
    for (class, share) in found.classes.iter().zip(found.per_class()) {
        match share {
            Some(share) => println!("  {class:<24} {:>6.2} %", 100.0 * share),
            None => println!("  {class:<24} no image"),
        }
    }
}

pub(crate) fn classification_json(found: &Classification) -> Value {
    let shares = keys(&found.classes).into_iter().zip(found.per_class());
    let per_class: Map<String, Value> =
        shares.map(|(class, share)| (class, json!(share))).collect();
    json!({
        "top1": found.accuracy.top1,
        "top5": found.accuracy.top5,
        "per_class_top1": per_class,
        "confusion": found.confusion,
    })
}

/// What classes are called in JSON, where names are keys: a name of several is followed by the class's number, from 0.
fn keys(classes: &[String]) -> Vec<String> {
    let mut counts: HashMap<&String, usize> = HashMap::new();
    for class in classes {
        *counts.entry(class).or_default() += 1;
    }
    let numbered = classes.iter().enumerate();
    numbered
        .map(|(number, class)| match counts.get(class) {
            Some(2..) => format!("{class} ({number})"),
            _ => class.clone(),
        })
        .collect()
}

/// Boxes, and masks where they were scored.
fn kinds(scores: &ObjectScores) -> impl Iterator<Item = (&'static str, &KindScores)> {
    let kinds = [("bbox", Some(&scores.bbox)), ("segm", scores.segm.as_ref())];
    kinds
        .into_iter()
        .filter_map(|(kind, scores)| Some((kind, scores?)))
}

fn title(kind: &str) -> &'static str {
    match kind {
        "bbox" => "Boxes",
        _ => "Masks",
    }
}

/// COCO's 12 numbers as its tools print them, and AP of each class.
pub(crate) fn print_objects(scores: &ObjectScores) {
    println!(
        "{}, {} unreadable",
        counted(scores.images, "image"),
        scores.unreadable
    );
    for (kind, scored) in kinds(scores) {
        println!("{}", title(kind));
        for (metric, value) in METRICS.into_iter().zip(scored.stats) {
            println!("{}", summary_line(metric, value));
        }
        if let Some([ap, ap50]) = scored.class_agnostic {
            println!(" All classes as one: AP {ap:.3}, AP50 {ap50:.3}");
        }
    }
    let names = scores.classes.iter().map(|name| name.chars().count());
    let width = names.max().unwrap_or(0).max("class".len());
    print!("{:<width$}", "class");
    for (kind, _) in kinds(scores) {
        print!("  {:>12}", format!("{kind} AP"));
        print!("  {:>12}", format!("{kind} AP50"));
    }
    println!();
    for (number, class) in scores.classes.iter().enumerate() {
        print!("{class:<width$}");
        for (_, scored) in kinds(scores) {
            for value in scored.per_class[number] {
                match value < 0.0 {
                    true => print!("  {:>12}", "none"),
                    false => print!("  {value:>12.3}"),
                }
            }
        }
        println!();
    }
}

/// AP and AP50 in per cent of boxes, and of masks where they were scored.
pub(crate) fn objects_in_short(scores: &ObjectScores) -> String {
    let said = kinds(scores).map(|(kind, scored)| {
        let kind = if kind == "bbox" { "box" } else { "mask" };
        // Below 0 where there is no truth.
        let [ap, ap50] = [scored.ap(), scored.ap50()].map(|share| match share < 0.0 {
            true => "none".to_owned(),
            false => format!("{:.1}", 100.0 * share),
        });
        format!("{kind} AP {ap}, AP50 {ap50}")
    });
    said.collect::<Vec<_>>().join("; ")
}

/// COCO's numbers in COCO's order, and AP and AP50 of each class.
pub(crate) fn objects_json(scores: &ObjectScores) -> Value {
    let mut object = json!({
        "images": scores.images,
        "unreadable": scores.unreadable,
        "metrics": METRICS.map(|metric| metric.name),
    });
    for (kind, scored) in kinds(scores) {
        let classes = keys(&scores.classes).into_iter().zip(&scored.per_class);
        let per_class: Map<String, Value> = classes
            .map(|(class, [ap, ap50])| (class, json!({"ap": ap, "ap50": ap50})))
            .collect();
        let as_one = scored.class_agnostic;
        let as_one = as_one.map(|[ap, ap50]| json!({"ap": ap, "ap50": ap50}));
        object[kind] =
            json!({"stats": scored.stats, "per_class": per_class, "class_agnostic": as_one});
    }
    object
}

/// mIoU, mean accuracy and pixel accuracy, and IoU and accuracy of each class.
pub(crate) fn print_labels(scores: &SegmentationScores) {
    println!(
        "{}, {} unreadable; {} with a class",
        counted(scores.images, "image"),
        scores.unreadable,
        counted(scores.pixels, "pixel")
    );
    let metrics = &scores.metrics;
    for (name, share) in [
        ("mIoU", metrics.mean_iou),
        ("mean accuracy", metrics.mean_accuracy),
        ("pixel accuracy", metrics.pixel_accuracy),
    ] {
        println!("{name:<16} {:>6.2} %", 100.0 * share);
    }
    let names = scores.classes.iter().map(|name| name.chars().count());
    let width = names.max().unwrap_or(0).max("class".len());
    println!("{:<width$}  {:>8}  {:>8}", "class", "IoU", "accuracy");
    let percent = |share: Option<f64>| match share {
        Some(share) => format!("{:.2} %", 100.0 * share),
        None => "none".into(),
    };
    for (number, class) in scores.classes.iter().enumerate() {
        let [iou, accuracy] = [metrics.iou[number], metrics.accuracy[number]].map(percent);
        println!("{class:<width$}  {iou:>8}  {accuracy:>8}");
    }
}

/// mIoU and pixel accuracy in per cent.
pub(crate) fn labels_in_short(scores: &SegmentationScores) -> String {
    let metrics = &scores.metrics;
    format!(
        "mIoU {:.1}, mean accuracy {:.1}, pixel accuracy {:.1}",
        100.0 * metrics.mean_iou,
        100.0 * metrics.mean_accuracy,
        100.0 * metrics.pixel_accuracy
    )
}

/// The same numbers, 0 to 1; `null` for a class that occurs nowhere.
pub(crate) fn labels_json(scores: &SegmentationScores) -> Value {
    let metrics = &scores.metrics;
    let each = metrics.iou.iter().zip(&metrics.accuracy);
    let per_class: Map<String, Value> = keys(&scores.classes)
        .into_iter()
        .zip(each)
        .map(|(class, (iou, accuracy))| (class, json!({"iou": iou, "accuracy": accuracy})))
        .collect();
    json!({
        "images": scores.images,
        "unreadable": scores.unreadable,
        "pixels": scores.pixels,
        "mean_iou": metrics.mean_iou,
        "mean_accuracy": metrics.mean_accuracy,
        "pixel_accuracy": metrics.pixel_accuracy,
        "per_class": per_class,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(ap: f64, classes: &[&str]) -> ObjectScores {
        ObjectScores {
            images: 1,
            unreadable: 0,
            classes: classes.iter().map(|name| (*name).to_owned()).collect(),
            bbox: KindScores {
                stats: [ap; METRICS.len()],
                per_class: (0..classes.len()).map(|n| [n as f64 / 4.0; 2]).collect(),
                class_agnostic: None,
                precision: Vec::new(),
            },
            segm: None,
        }
    }

    #[test]
    fn what_is_not_scored_is_none() {
        assert_eq!(
            objects_in_short(&scores(0.25, &[])),
            "box AP 25.0, AP50 25.0"
        );
        assert_eq!(
            objects_in_short(&scores(-1.0, &[])),
            "box AP none, AP50 none"
        );
    }

    #[test]
    fn classes_of_one_name_are_all_there() {
        let value = objects_json(&scores(0.5, &["cup", "brush", "cup"]));
        let per_class = &value["bbox"]["per_class"];
        assert_eq!(per_class["brush"]["ap"], 0.25);
        assert_eq!(per_class["cup (0)"]["ap"], 0.0);
        assert_eq!(per_class["cup (2)"]["ap"], 0.5);
        assert_eq!(per_class.as_object().unwrap().len(), 3);
    }
}
