//! What a detector finds, and what it is worth.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{detect, rectangles};
use crate::evaluate::{json as parsed, path, trained};
use crate::runner::{overflowing, refuse, semaim, succeed};

#[test]
fn predictions_are_what_coco_scores_and_evaluate_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let truth = rectangles(folder.path(), 13, true);
    let out = folder.path().join("detector");
    let data = [
        "--annotations",
        path(&truth),
        "--eval-annotations",
        path(&truth),
    ];
    let longer = ["--set", "train.epochs=20", "--set", "eval.every_epochs=10"];
    let result = parsed(&succeed(detect(
        &encoder,
        &data,
        &out,
        &[&longer[..], &["--json"]].concat(),
    )));
    let ap50 = result["best"]["bbox"]["stats"][1].as_f64().unwrap();
    assert!(ap50 > 0.25, "{result}");
    let log = fs::read_to_string(encoder.join("evaluations.jsonl")).unwrap();
    let images = format!("\"{0}, evaluated on {0}\"", path(&truth));
    assert!(log.contains(&images), "{log}");

    let evaluate = [
        "evaluate",
        "--weights",
        path(&out),
        "--annotations",
        path(&truth),
    ];
    let found = parsed(&succeed(semaim(&[&evaluate[..], &["--json"]].concat())));
    assert_eq!(found["bbox"], result["scores"]["bbox"]);
    assert_eq!(found["segm"], result["scores"]["segm"]);
    assert_eq!(found["images"], 13);
    let said = succeed(semaim(&evaluate)).stdout;
    assert!(
        said.contains("maxDets=100") && said.contains("brush"),
        "{said}"
    );
    let batches = [
        &evaluate[..],
        &["--json", "--batch-size", "3", "--workers", "2"],
    ]
    .concat();
    assert_eq!(parsed(&succeed(semaim(&batches))), found);

    let predict = |name: &str, more: &[&str]| {
        let file = folder.path().join(name);
        let fixed = [
            "predict",
            "--weights",
            path(&out),
            "--annotations",
            path(&truth),
        ];
        succeed(semaim(
            &[&fixed[..], &["--out", path(&file)], more].concat(),
        ));
        fs::read_to_string(file).unwrap()
    };
    let pictures = folder.path().join("pictures");
    let text = predict(
        "found.json",
        &["--pictures", path(&pictures), "--picture-score", "0.1"],
    );
    let detections: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(!detections.is_empty());
    for detection in &detections {
        assert!(
            [3, 7].contains(&detection["category_id"].as_i64().unwrap()),
            "{detection}"
        );
        let id = detection["image_id"].as_i64().unwrap();
        assert!(
            (100 - id) % 3 == 0 && (64..=100).contains(&id),
            "{detection}"
        );
        assert_eq!(detection["segmentation"]["size"], json!([48, 48]));
        assert!(detection.get("file_name").is_none());
    }
    // What is written scores as what was evaluated; masks without the boxes, whose areas the COCO API takes for theirs.
    let masks = folder.path().join("masks.json");
    let mut without_boxes = detections.clone();
    for detection in &mut without_boxes {
        detection.as_object_mut().unwrap().remove("bbox");
    }
    fs::write(&masks, json!(without_boxes).to_string()).unwrap();
    let file = folder.path().join("found.json");
    for (kind, file) in [("bbox", &file), ("segm", &masks)] {
        let score = [
            "coco-eval",
            "--annotations",
            path(&truth),
            "--detections",
            path(file),
            "--json",
        ];
        let scored = parsed(&succeed(semaim(&score)));
        let stats = |value: &Value| -> Vec<f64> {
            let stats = value[kind]["stats"].as_array().unwrap();
            stats.iter().map(|v| v.as_f64().unwrap()).collect()
        };
        for (written, evaluated) in stats(&scored).iter().zip(stats(&found)) {
            assert!(
                (written - evaluated).abs() < 1e-9,
                "{kind}: {scored} {found}"
            );
        }
    }
    for number in 0..13 {
        let picture = fs::read(pictures.join(format!("{number}.png"))).unwrap();
        assert!(picture.starts_with(b"\x89PNG"));
    }
    // A file that numbers the classes otherwise, and lacks one, has its own numbers in results.
    let other = folder.path().join("other.json");
    let mut value: Value = serde_json::from_str(&fs::read_to_string(&truth).unwrap()).unwrap();
    value["categories"] = json!([{"id": 40, "name": "fork"}, {"id": 50, "name": "cup"}]);
    value.as_object_mut().unwrap().remove("annotations");
    fs::write(&other, value.to_string()).unwrap();
    let renumbered = folder.path().join("renumbered.json");
    let mut command = semaim(&["predict", "--weights", path(&out)]);
    command.args(["--annotations", path(&other), "--out", path(&renumbered)]);
    let ran = succeed(command);
    for part in ["matched by their names", "left out of the results: brush"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    let cups: Vec<Value> = serde_json::from_str(&fs::read_to_string(&renumbered).unwrap()).unwrap();
    let of_cups = detections.iter().filter(|d| d["category_id"] == 7);
    assert_eq!(cups.len(), of_cups.count());
    assert!(cups.iter().all(|d| d["category_id"] == 50), "{cups:?}");
    value["categories"] = json!([{"id": 40, "name": "fork"}]);
    fs::write(&other, value.to_string()).unwrap();
    let mut command = semaim(&["predict", "--weights", path(&out)]);
    command.args(["--annotations", path(&other), "--out", path(&renumbered)]);
    refuse(command, &["fork", "brush, cup"]);
    // A folder that is not divided: every image, none of them held out.
    let whole = folder.path().join("whole");
    rectangles(&whole, 13, true);
    fs::copy(whole.join("images/0.bmp"), whole.join("images/20.bmp")).unwrap();
    let mut command = semaim(&["predict", "--weights", path(&out), "--json"]);
    command.args(["--data", path(&whole)]);
    let ran = succeed(command);
    assert_eq!(ran.stdout.lines().count(), 14, "{}", ran.stdout);
    assert!(!ran.stderr.contains("held out"), "{}", ran.stderr);
    let table = predict("found.csv", &[]);
    assert_eq!(table.lines().count(), detections.len() + 1);
    let lines = predict("found.jsonl", &[]);
    assert_eq!(lines.lines().count(), 13);
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["width"], &first["height"]),
        (&json!(48), &json!(48))
    );
    // Images without annotations have the numbers that their names are, as COCO's have.
    let bare = folder.path().join("images");
    let numbered = |bare: &Path, name: &str, said: &str| -> Vec<Value> {
        let file = folder.path().join(name);
        let fixed = ["predict", "--weights", path(&out), "--data", path(bare)];
        let ran = succeed(semaim(&[&fixed[..], &["--out", path(&file)]].concat()));
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
        serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
    };
    let by_name = numbered(&bare, "by_name.json", "the number that an image's name is");
    assert_eq!(by_name.len(), detections.len());
    let ids = |found: &[Value]| -> BTreeSet<u64> {
        let ids = found.iter().map(|d| d["image_id"].as_u64().unwrap());
        ids.collect()
    };
    let of_names = |id: &u64| (100 - id) / 3;
    assert_eq!(
        ids(&by_name),
        ids(&detections).iter().map(of_names).collect()
    );
    assert!(by_name[0]["file_name"].is_string());
    // Other names leave their order.
    fs::rename(bare.join("0.bmp"), bare.join("a.bmp")).unwrap();
    let by_order = numbered(&bare, "by_order.json", "place from 1 on");
    assert_eq!(by_order.len(), detections.len());
    let last = by_order.iter().rfind(|d| d["image_id"] == 13);
    let last = last
        .and_then(|d| d["file_name"].as_str())
        .unwrap_or("a.bmp");
    assert!(last.ends_with("a.bmp"), "{last}");
    assert!(by_order.iter().all(|d| d["file_name"].is_string()));
    // What is no number is no absence of objects.
    let overflowing = overflowing(&out.join("detector.safetensors"));
    let fixed = ["evaluate", "--weights", path(&overflowing)];
    refuse(
        semaim(&[&fixed[..], &["--annotations", path(&truth)]].concat()),
        &["no image could be read", "holds a NaN"],
    );
}
