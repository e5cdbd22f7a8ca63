//! What cannot be trained or used.

use std::fs;

use serde_json::{Value, json};

use super::{detect, rectangles};
use crate::bitmap::bitmap;
use crate::evaluate::{path, trained};
use crate::runner::{refuse, semaim, succeed};

#[test]
fn what_cannot_be_detected_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let truth = rectangles(folder.path(), 10, true);
    let out = folder.path().join("out");
    let on = |data: &[&str], more: &[&str]| detect(&encoder, data, &out, more);
    let set = ["--annotations", path(&truth)];
    refuse(on(&[], &[]), &["data.path", "--annotations"]);
    refuse(on(&["--data", "nowhere"], &[]), &["nowhere"]);
    refuse(
        on(&set, &["--set", "detector.canvas=60"]),
        &["detector.canvas", "patch size 8"],
    );
    refuse(
        on(&set, &["--set", "detector.classes=3"]),
        &["detector.classes"],
    );
    refuse(
        on(&set, &["--set", "jitter.scale=[2,1]"]),
        &["jitter.scale"],
    );
    refuse(on(&set, &["--set", "train.batch_size=99"]), &["99"]);
    refuse(
        on(&set, &["--recipe", "quickstart"]),
        &["semaim pretrain", "detect-small"],
    );
    let bare = folder.path().join("images");
    refuse(on(&["--data", path(&bare)], &[]), &["no annotations found"]);
    let text = fs::read_to_string(&truth).unwrap();
    let empty = folder.path().join("empty.json");
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["annotations"] = json!([]);
    fs::write(&empty, value.to_string()).unwrap();
    refuse(on(&["--annotations", path(&empty)], &[]), &["no object"]);
    assert!(!out.exists());

    // Models of other kinds, and sets of other classes.
    succeed(on(&set, &["--set", "train.epochs=1"]));
    let other = folder.path().join("other.json");
    fs::write(&other, text.replace("\"brush\"", "\"broom\"")).unwrap();
    let evaluate = |more: &[&str]| semaim(&[&["evaluate", "--weights", path(&out)], more].concat());
    refuse(
        evaluate(&["--annotations", path(&other)]),
        &["broom", "brush"],
    );
    // Both are called alike, which the detector tells apart by nothing.
    fs::write(&other, text.replace("\"brush\"", "\"cup\"")).unwrap();
    refuse(
        evaluate(&["--annotations", path(&other)]),
        &["several classes are called `cup`"],
    );
    // An image that is another than that of the annotations is not scored.
    let image = folder.path().join("images/3.bmp");
    fs::write(&image, bitmap(24, |_, _| [9; 3])).unwrap();
    let ran = succeed(evaluate(&["--json", "--annotations", path(&truth)]));
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&found["images"], &found["unreadable"]),
        (&json!(9), &json!(1))
    );
    assert!(ran.stderr.contains("24x24 pixels"), "{}", ran.stderr);
    refuse(
        semaim(&[
            "evaluate",
            "--weights",
            path(&encoder),
            "--annotations",
            path(&truth),
        ]),
        &["semaim detect"],
    );
    refuse(
        semaim(&["knn", "--weights", path(&out), "--data", "shapes"]),
        &["detector", "predict"],
    );
    let txt = [
        "predict",
        "--weights",
        path(&out),
        "--data",
        path(&bare),
        "--out",
        "found.txt",
    ];
    refuse(semaim(&txt), &["found.txt", ".json"]);
    let with = |more: &[&str]| semaim(&[&txt[..5], more].concat());
    refuse(
        with(&["--top", "3"]),
        &["--top is for classifiers", "is a detector"],
    );
    // Nothing is drawn without a folder for it.
    refuse(
        with(&["--picture-score", "0.9"]),
        &["--picture-score", "--pictures"],
    );
}
