//! `coco-eval`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::evaluate::path;
use crate::runner::{refuse, semaim, succeed};

/// Two images and three categories; the first image with a cup and a crowd of brushes.
fn truth() -> Value {
    let square = |x: u32| json!([[x, 10, x + 20, 10, x + 20, 40, x, 40]]);
    json!({
        "images": [
            {"id": 4, "file_name": "a.jpg", "width": 100, "height": 80},
            {"id": 2, "file_name": "b.jpg", "width": 100, "height": 80},
        ],
        "categories": [{"id": 7, "name": "cup"}, {"id": 1, "name": "brush"}, {"id": 3, "name": "none"}],
        "annotations": [
            {"id": 1, "image_id": 4, "category_id": 7, "bbox": [10, 10, 20, 30], "area": 600, "iscrowd": 0,
             "segmentation": square(10)},
            {"id": 2, "image_id": 4, "category_id": 1, "bbox": [50, 10, 20, 30], "area": 600, "iscrowd": 1,
             "segmentation": square(50)},
            {"id": 3, "image_id": 2, "category_id": 1, "bbox": [60, 10, 20, 30], "area": 600, "iscrowd": 0,
             "segmentation": square(60)},
        ],
    })
}

/// Right for the cup; of the brushes one at the crowd, one that is half off.
fn detections() -> Value {
    json!([
        {"image_id": 4, "category_id": 7, "score": 0.9, "bbox": [10, 10, 20, 30]},
        {"image_id": 4, "category_id": 1, "score": 0.8, "bbox": [52, 12, 10, 10]},
        {"image_id": 2, "category_id": 1, "score": 0.3, "bbox": [60, 10, 20, 18]},
    ])
}

fn written(folder: &Path, name: &str, value: &Value) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, value.to_string()).unwrap();
    file
}

/// `coco-eval` of a truth and detections.
fn coco_eval(
    folder: &Path,
    truth: &Value,
    detections: &Value,
    more: &[&str],
) -> std::process::Command {
    let truth = written(folder, "truth.json", truth);
    let detections = written(folder, "found.json", detections);
    let files = [
        "coco-eval",
        "--annotations",
        path(&truth),
        "--detections",
        path(&detections),
    ];
    semaim(&[&files[..], more].concat())
}

/// With a mask for each detection, that of its box.
fn with_masks(mut detections: Value) -> Value {
    for detection in detections.as_array_mut().unwrap() {
        let number = |n: usize| detection["bbox"][n].as_f64().unwrap();
        let (x, y, width, height) = (number(0), number(1), number(2), number(3));
        let polygon = [x, y, x + width, y, x + width, y + height, x, y + height];
        detection["segmentation"] = json!([polygon]);
    }
    detections
}

#[test]
fn boxes_and_masks_are_scored() {
    let folder = tempfile::tempdir().unwrap();
    let eval = |detections: &Value, more: &[&str]| {
        succeed(coco_eval(folder.path(), &truth(), detections, more))
    };
    let ran = eval(&with_masks(detections()), &["--json"]);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    for kind in ["bbox", "segm"] {
        let stats: Vec<f64> = serde_json::from_value(found[kind]["stats"].clone()).unwrap();
        // The cup at all ten overlaps, the brush at 0.50 to 0.60: 0.6 is reached, the crowd counts for nothing.
        let expected = [
            0.65, 1.0, 0.5, 0.65, -1.0, -1.0, 0.65, 0.65, 0.65, 0.65, -1.0, -1.0,
        ];
        for (found, expected) in stats.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{kind}: {stats:?}");
        }
        let by_category = &found[kind]["per_category_ap_ap50"];
        assert_eq!(by_category["3"], json!([-1.0, -1.0]));
        assert!((by_category["1"][0].as_f64().unwrap() - 0.3).abs() < 1e-9);
    }
    // The same for any number of threads.
    let mut one = coco_eval(
        folder.path(),
        &truth(),
        &with_masks(detections()),
        &["--json"],
    );
    one.env("RAYON_NUM_THREADS", "1");
    assert_eq!(succeed(one).stdout, ran.stdout);
    let ran = eval(&with_masks(detections()), &[]);
    for line in [
        "Boxes",
        " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.650",
        " Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = -1.000",
        "Masks",
    ] {
        assert!(ran.stdout.lines().any(|l| l == line), "{}", ran.stdout);
    }
    assert!(
        ran.stdout
            .lines()
            .any(|l| l.starts_with("cup") && l.contains("1.000"))
    );
    // Boxes alone, because there is nothing else or because it was asked for.
    let ran = eval(&detections(), &["--json"]);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(found.get("segm").is_none() && found.get("bbox").is_some());
    assert!(
        ran.stderr.contains("masks are not scored"),
        "{}",
        ran.stderr
    );
    let ran = eval(&with_masks(detections()), &["--json", "--iou-type", "segm"]);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(found.get("bbox").is_none() && found.get("segm").is_some());
    refuse(
        coco_eval(
            folder.path(),
            &truth(),
            &detections(),
            &["--iou-type", "segm"],
        ),
        &["found.json", "no masks"],
    );
    // No detections: nothing is found.
    let ran = eval(&json!([]), &["--json"]);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found["bbox"]["stats"][0], json!(0.0));
    assert!(ran.stderr.contains("no detections"), "{}", ran.stderr);
}

#[test]
fn what_is_put_right_is_counted_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut truth = truth();
    let first = truth["annotations"][0].as_object_mut().unwrap();
    first.remove("iscrowd");
    first.remove("area");
    first.insert("id".into(), json!(0));
    let ran = succeed(coco_eval(
        folder.path(),
        &truth,
        &with_masks(detections()),
        &["--json"],
    ));
    for part in [
        "truth.json: 1 annotation without `iscrowd`",
        "1 annotation without `area`: that of the mask",
        "1 annotation with the id 0",
        "the first: annotation 0",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        found["bbox"]["per_category_ap_ap50"]["7"],
        json!([0.0, 0.0])
    );
}

#[test]
fn what_is_broken_is_refused_with_file_entry_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |truth: &Value, detections: &Value, parts: &[&str]| {
        refuse(coco_eval(folder.path(), truth, detections, &[]), parts);
    };
    let broken_truth = |field: &str, value: Value, parts: &[&str]| {
        let mut truth = truth();
        truth["annotations"][1][field] = value;
        refused(
            &truth,
            &with_masks(detections()),
            &[&["truth.json"], parts].concat(),
        );
    };
    broken_truth("id", json!(1), &["several annotations with the id 1"]);
    broken_truth("id", json!("2"), &["annotations[1].id", "string \"2\""]);
    broken_truth(
        "image_id",
        json!("4"),
        &["annotations[1].image_id", "string"],
    );
    broken_truth("image_id", json!(5), &["annotation 2", "image 5"]);
    broken_truth("category_id", json!(5), &["annotation 2", "category 5"]);
    broken_truth(
        "bbox",
        json!([1, 2, 3]),
        &["annotations[1].bbox", "4 numbers"],
    );
    broken_truth("bbox", json!([9, 9, -3, 3]), &["annotation 2", "-3 wide"]);
    broken_truth("area", json!(-1), &["annotation 2", "area -1"]);
    broken_truth("iscrowd", json!("no"), &["annotations[1].iscrowd"]);
    broken_truth(
        "segmentation",
        json!([[1, 2, 3, 4]]),
        &["annotation 2", "polygon 0"],
    );
    broken_truth(
        "segmentation",
        Value::Null,
        &["annotation 2", "no segmentation"],
    );
    let runs = |height: u32, count: u32| json!({"size": [height, 100], "counts": [count]});
    broken_truth("segmentation", runs(81, 8100), &["annotation 2", "81x100"]);
    broken_truth(
        "segmentation",
        runs(80, 8001),
        &["annotation 2", "8001 pixels"],
    );
    let broken_result = |field: &str, value: Value, parts: &[&str]| {
        let mut found = with_masks(detections());
        found[1][field] = value;
        refused(&truth(), &found, &[&["found.json"], parts].concat());
    };
    broken_result("image_id", json!(5), &["results[1]", "image 5"]);
    broken_result("category_id", json!(5), &["results[1]", "category 5"]);
    broken_result("score", Value::Null, &["results[1].score"]);
    broken_result("score", json!("0.5"), &["results[1].score", "string"]);
    broken_result("bbox", Value::Null, &["results[1]", "no `bbox`"]);
    broken_result("segmentation", runs(79, 7900), &["results[1]", "79x100"]);
    refused(&truth(), &truth(), &["found.json", "a sequence"]);
    // Words that are no JSON, as Python writes them.
    for word in ["NaN", "Infinity", "-Infinity"] {
        let text = detections().to_string().replace("0.8", word);
        let (truth, found) = (
            written(folder.path(), "truth.json", &truth()),
            folder.path().join("nan.json"),
        );
        fs::write(&found, text).unwrap();
        refuse(
            semaim(&[
                "coco-eval",
                "--annotations",
                path(&truth),
                "--detections",
                path(&found),
            ]),
            &["nan.json", "results[1].score", word],
        );
    }
}

#[test]
fn results_that_name_other_images_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let eval = |names: &[&str]| {
        let mut found = detections();
        for (result, name) in found.as_array_mut().unwrap().iter_mut().zip(names) {
            result["file_name"] = json!(name);
        }
        coco_eval(folder.path(), &truth(), &found, &["--json"])
    };
    let without = succeed(eval(&[])).stdout;
    let fitting = ["photos/a.jpg", "a.jpg", "/photos/b.jpg"];
    assert_eq!(succeed(eval(&fitting)).stdout, without);
    // Places in a folder for the numbers of the annotations.
    refuse(
        eval(&["a.jpg", "a.jpg", "photos/a.jpg"]),
        &[
            "found.json: results[2]",
            "image_id 2",
            "photos/a.jpg",
            "image 2 of",
            "truth.json is b.jpg",
            "is image 4 there",
            "predict --annotations FILE",
        ],
    );
    // Other folders and extensions, and names of no image.
    for names in [["old/a.jpg", "a.png", "new/b.jpg"], ["1.png", "c", "2.png"]] {
        assert_eq!(succeed(eval(&names)).stdout, without);
    }
    // Numbers are no names.
    let mut found = detections();
    found[0]["file_name"] = json!(2);
    let ran = succeed(coco_eval(folder.path(), &truth(), &found, &["--json"]));
    assert_eq!(ran.stdout, without);
}

#[test]
fn boxes_that_can_only_be_fractions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut found = detections();
    for result in found.as_array_mut().unwrap() {
        for (at, side) in [100.0, 80.0, 100.0, 80.0].into_iter().enumerate() {
            let pixels = result["bbox"][at].as_f64().unwrap();
            result["bbox"][at] = json!(pixels / side);
        }
    }
    // So few may be those of a poor model.
    succeed(coco_eval(folder.path(), &truth(), &found, &[]));
    let few = found.as_array().unwrap();
    let many = Value::Array(vec![few.clone(); 4].concat());
    refuse(
        coco_eval(folder.path(), &truth(), &many, &[]),
        &["found.json", "all 12 boxes lie within 0 to 1", "results[0]"],
    );
}

#[test]
fn boxes_that_can_only_be_corners_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let boxes = |boxes: &[[u32; 4]]| {
        let result =
            |bbox: &[u32; 4]| json!({"image_id": 4, "category_id": 7, "score": 0.5, "bbox": bbox});
        Value::Array(boxes.iter().map(result).collect())
    };
    let corners = [
        [60, 10, 90, 40],
        [50, 30, 70, 60],
        [10, 50, 30, 79],
        [70, 1, 99, 5],
        [55, 5, 66, 9],
        [1, 2, 3, 4],
    ];
    refuse(
        coco_eval(folder.path(), &truth(), &boxes(&corners), &[]),
        &[
            "found.json",
            "5 of 6 reach out",
            "results[0]",
            "[x, y, width, height]",
        ],
    );
    let ran = succeed(coco_eval(
        folder.path(),
        &truth(),
        &boxes(&corners[..2]),
        &[],
    ));
    assert!(
        ran.stderr.contains("2 results with a box that reaches out"),
        "{}",
        ran.stderr
    );
    // One box that cannot be corners: all are what they must be.
    let mut mixed = corners.to_vec();
    mixed.push([40, 40, 20, 20]);
    let ran = succeed(coco_eval(folder.path(), &truth(), &boxes(&mixed), &[]));
    assert!(!ran.stderr.contains("reaches out"), "{}", ran.stderr);
}
