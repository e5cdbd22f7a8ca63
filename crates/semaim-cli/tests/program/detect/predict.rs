//! What a detector finds, and what it is worth.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{detect, rectangles};
use crate::evaluate::{json as parsed, path, trained};
use crate::runner::{semaim, succeed};

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
    // What is written scores as what was evaluated.
    let file = folder.path().join("found.json");
    let score = [
        "coco-eval",
        "--truth",
        path(&truth),
        "--detections",
        path(&file),
        "--json",
    ];
    let scored = parsed(&succeed(semaim(&score)));
    for kind in ["bbox", "segm"] {
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
    assert!(by_name[0].get("file_name").is_none());
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
}
