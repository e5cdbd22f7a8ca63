//! Training a detector, and using it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::bitmap::bitmap;
use crate::evaluate::{COLOURS, coloured, json as parsed, path, trained};
use crate::runner::{metrics, refuse, semaim, succeed, values};

/// Settings of a detector that trains in a second or two.
const QUICK: &[&str] = &[
    "detector.canvas=64",
    "detector.pyramid_channels=8",
    "detector.attention.window=0",
    "detector.attention.relative_positions=false",
    "detector.proposals.anchor_sizes=[8,16,24,32,64]",
    "detector.proposals.convolutions=1",
    "detector.proposals.samples=32",
    "detector.proposals.before_nms_training=64",
    "detector.proposals.before_nms_inference=64",
    "detector.proposals.after_nms_training=16",
    "detector.proposals.after_nms_inference=16",
    "detector.regions.samples=16",
    "detector.regions.channels=8",
    "detector.regions.box_bins=3",
    "detector.regions.box_convolutions=1",
    "detector.regions.box_hidden=16",
    "detector.regions.mask_bins=4",
    "detector.regions.mask_convolutions=1",
    "train.batch_size=4",
    "train.epochs=3",
    "optimiser.base_lr=0.2",
    "optimiser.schedule=cosine",
    "optimiser.milestones=[]",
    "jitter.scale=[0.8,1.2]",
    "eval.every_epochs=1",
    "eval.pictures=2",
    "log.every_steps=1",
];

/// The losses of a detector, as detectron2 calls them.
const LOSSES: &[&str] = &[
    "train/loss_rpn_cls",
    "train/loss_rpn_loc",
    "train/loss_cls",
    "train/loss_box_reg",
    "train/loss_mask",
];

/// `semaim detect` of a small detector on an encoder, into `out`.
fn detect(encoder: &Path, data: &[&str], out: &Path, more: &[&str]) -> Command {
    let mut command = semaim(&["detect", "--weights", path(encoder), "--out", path(out)]);
    command.args(data);
    for setting in QUICK {
        command.args(["--set", setting]);
    }
    command.args(more);
    command
}

const KINDS: [(u64, &str, [u8; 3]); 2] = [(7, "cup", [0, 0, 220]), (3, "brush", [220, 60, 0])];

/// A set in COCO's format: pictures of a rectangle each, which is a cup or a brush by its colour; the last has none. Masks
/// where they are asked for.
fn rectangles(folder: &Path, count: u64, masks: bool) -> PathBuf {
    let images = folder.join("images");
    fs::create_dir_all(&images).unwrap();
    let mut annotations = Vec::new();
    let mut entries = Vec::new();
    for number in 0..count {
        let (id, name) = (100 - 3 * number, format!("{number}.bmp"));
        entries.push(json!({"id": id, "file_name": name, "width": 48, "height": 48}));
        let (category, _, colour) = KINDS[number as usize % 2];
        let [x, y, width, height] = [4 + number % 9, 6 + number % 5, 20, 16 + number % 4];
        let is_negative = number + 1 == count;
        let inside = |column: usize, row: usize| {
            // Rows of a bitmap are from below.
            let (column, row) = (column as u64, 47 - row as u64);
            !is_negative && (x..x + width).contains(&column) && (y..y + height).contains(&row)
        };
        let picture = bitmap(48, |column, row| match inside(column, row) {
            true => colour,
            false => [90, 90, (60 + column + row) as u8],
        });
        fs::write(images.join(&name), picture).unwrap();
        if is_negative {
            continue;
        }
        let mut annotation = json!({
            "id": number + 1, "image_id": id, "category_id": category, "iscrowd": 0,
            "bbox": [x, y, width, height], "area": width * height,
        });
        if masks {
            let (right, bottom) = (x + width, y + height);
            annotation["segmentation"] = json!([[x, y, right, y, right, bottom, x, bottom]]);
        }
        annotations.push(annotation);
    }
    let categories = KINDS.map(|(id, name, _)| json!({"id": id, "name": name}));
    let file = folder.join("instances.json");
    let text = json!({"images": entries, "annotations": annotations, "categories": categories});
    fs::write(&file, text.to_string()).unwrap();
    file
}

#[test]
fn a_detector_on_generated_images_logs_every_loss_and_resumes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let shapes = ["--data", "shapes", "--set", "data.shapes_count=16"];
    let shapes = [&shapes[..], &["--set", "data.shapes_eval_count=6"]].concat();
    let saving = ["--set", "checkpoint.every_steps=1"];
    let command = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        detect(&encoder, &shapes, &out, &[&saving, more].concat())
    };
    let whole = folder.path().join("whole");
    let ran = succeed(command("whole", &["--json"]));
    let result = parsed(&ran);
    assert_eq!(result["ending"], "finished", "{result}");
    assert_eq!(
        result["scores"]["bbox"]["stats"].as_array().unwrap().len(),
        12
    );
    assert_eq!(
        result["scores"]["segm"]["stats"].as_array().unwrap().len(),
        12
    );
    assert_eq!(result["scores"]["images"], 6);
    for entry in metrics(&whole)
        .iter()
        .filter(|e| e.get("train/loss").is_some())
    {
        let value = |name: &&str| entry[*name].as_f64().unwrap();
        let sum: f64 = LOSSES.iter().map(value).sum();
        let loss = value(&"train/loss");
        assert!((sum - loss).abs() < 1e-5 * loss.abs(), "{entry}");
    }
    let losses = values(&whole, "train/loss");
    assert_eq!(losses.len(), 12);
    assert!(losses[11] < losses[0], "{losses:?}");
    assert_eq!(values(&whole, "eval/bbox_ap").len(), 3);
    let report = fs::read_to_string(whole.join("report.html")).unwrap();
    for part in [
        "Losses by part",
        "Truth and prediction",
        "APl",
        "Precision over recall",
    ] {
        assert!(report.contains(part), "{part}");
    }
    let results: Value =
        serde_json::from_slice(&fs::read(whole.join("results.json")).unwrap()).unwrap();
    assert_eq!(results["best_by"], "box AP");

    let mut child = command("killed", &[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let log = folder.path().join("killed/metrics.jsonl");
    loop {
        let logged = fs::read(&log).unwrap_or_default();
        let lines = logged.iter().filter(|&&byte| byte == b'\n').count();
        if lines >= 7 || child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let mut again = command("killed", &["--set", "data.workers=3"]);
    again.env("RAYON_NUM_THREADS", "3");
    succeed(again);
    let files = |name: &str| {
        ["detector.safetensors", "best.safetensors", "results.json"]
            .map(|file| fs::read(folder.path().join(name).join(file)).unwrap())
    };
    assert_eq!(files("killed"), files("whole"));
    assert_eq!(values(&folder.path().join("killed"), "train/loss"), losses);
    // What is finished is not trained again; another experiment is refused.
    assert_eq!(
        parsed(&succeed(command("whole", &["--json"])))["ending"],
        "already finished"
    );
    refuse(
        command("whole", &["--freeze"]),
        &["freeze (false then, true now)"],
    );
    refuse(
        command("whole", &["--set", "detector.canvas=96"]),
        &["detector.canvas"],
    );
    // Frozen, the encoder keeps its weights, and the rest learns.
    succeed(command("frozen", &["--freeze"]));
    let weight = |name: &str, weight: &str| {
        let bytes = fs::read(folder.path().join(name)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        tensors.tensor(weight).unwrap().data().to_vec()
    };
    let block = "blocks.0.attn.qkv.weight";
    let in_detector = format!("backbone.{block}");
    let before = weight("run/encoder.safetensors", block);
    assert_eq!(weight("frozen/detector.safetensors", &in_detector), before);
    assert_ne!(weight("whole/detector.safetensors", &in_detector), before);
    succeed(command("scratch", &["--from-scratch"]));
    assert_ne!(files("scratch")[0], files("whole")[0]);
}

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
    // Images without annotations are numbered by their order, and named.
    let folder_of = folder.path().join("images");
    let plain = folder.path().join("plain.json");
    let mut command = semaim(&["predict", "--weights", path(&out), "--out", path(&plain)]);
    command.args(["--data", path(&folder_of)]);
    succeed(command);
    let text = fs::read_to_string(&plain).unwrap();
    let plain: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(plain.len(), detections.len());
    assert_eq!(plain[0]["image_id"], 1);
    assert!(plain[0]["file_name"].as_str().unwrap().ends_with("0.bmp"));
}

#[test]
fn boxes_alone_teach_boxes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let truth = rectangles(folder.path(), 10, false);
    let out = folder.path().join("detector");
    let ran = succeed(detect(
        &encoder,
        &["--annotations", path(&truth)],
        &out,
        &[],
    ));
    assert!(
        ran.stdout.contains("no object has a mask"),
        "{}",
        ran.stdout
    );
    assert!(
        values(&out, "train/loss_mask")
            .iter()
            .all(|loss| *loss == 0.0)
    );
    assert!(values(&out, "eval/segm_ap").is_empty());
    let lines = [
        "predict",
        "--weights",
        path(&out),
        "--json",
        "--annotations",
        path(&truth),
    ];
    let said = succeed(semaim(&lines)).stdout;
    assert!(
        said.contains("bbox") && !said.contains("segmentation"),
        "{said}"
    );
    let evaluate = [
        "evaluate",
        "--weights",
        path(&out),
        "--json",
        "--annotations",
        path(&truth),
    ];
    let ran = succeed(semaim(&evaluate));
    assert!(parsed(&ran).get("segm").is_none(), "{}", ran.stdout);
    assert!(ran.stderr.contains("taught none"), "{}", ran.stderr);
}

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
        detect(&out, &set, &folder.path().join("next"), &[]),
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
}

#[test]
fn a_dry_run_of_detection_tells_memory_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let truth = rectangles(folder.path(), 21, true);
    let out = folder.path().join("out");
    let data = ["--annotations", path(&truth)];
    let said = succeed(detect(&encoder, &data, &out, &["--dry-run"])).stdout;
    for part in [
        "# memory",
        "# time",
        "s per step",
        "[detector.regions]",
        "canvas = 64",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let planned = parsed(&succeed(detect(
        &encoder,
        &data,
        &out,
        &["--dry-run", "--json"],
    )));
    assert!(planned["memory_bytes"].as_u64().unwrap() > 0, "{planned}");
    assert!(
        planned["seconds_per_step"].as_f64().unwrap() > 0.0,
        "{planned}"
    );
    let frozen = parsed(&succeed(detect(
        &encoder,
        &data,
        &out,
        &["--dry-run", "--json", "--freeze"],
    )));
    assert_eq!(frozen["parameters"], planned["parameters"]);
    assert!(frozen["parameters_trained"].as_u64() < planned["parameters_trained"].as_u64());
    assert!(!out.exists());
}

#[test]
fn a_classifier_is_evaluated_as_fine_tuning_evaluated_it() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = folder.path().join("data");
    coloured(&data, "train", COLOURS, 12);
    coloured(&data, "val", COLOURS, 5);
    let out = folder.path().join("tuned");
    let mut command = semaim(&[
        "finetune",
        "--weights",
        path(&encoder),
        "--data",
        path(&data),
    ]);
    command.args(["--out", path(&out), "--json", "--set", "train.epochs=3"]);
    command.args([
        "--set",
        "train.batch_size=8",
        "--set",
        "optimiser.warmup_epochs=1",
    ]);
    let tuned = parsed(&succeed(command));
    let evaluate = |data: &Path, more: &[&str]| {
        let fixed = ["evaluate", "--weights", path(&out), "--data", path(data)];
        semaim(&[&fixed[..], more].concat())
    };
    let found = parsed(&succeed(evaluate(&data, &["--json"])));
    for name in ["top1", "top5", "confusion", "per_class_top1"] {
        assert_eq!(found[name], tuned[name], "{name}");
    }
    assert_eq!(found["images"], 10);
    let said = succeed(evaluate(&data, &["--split", "train"])).stdout;
    assert!(said.contains("top-1") && said.contains("blue"), "{said}");
    // One of the classes in a set of its own keeps its number; one that is not known is refused.
    let red = folder.path().join("red");
    coloured(&red, "val", &COLOURS[1..], 4);
    let of_red = parsed(&succeed(evaluate(&red, &["--json"])));
    assert_eq!(of_red["per_class_top1"]["blue"], Value::Null);
    assert!(of_red["per_class_top1"]["red"].is_number(), "{of_red}");
    let green = folder.path().join("green");
    coloured(&green, "val", &[("green", [0, 180, 0])], 4);
    refuse(evaluate(&green, &[]), &["green", "blue, red"]);
    refuse(evaluate(&data, &["--out", "x"]), &[]);
    let truth = rectangles(folder.path(), 3, true);
    let fixed = [
        "evaluate",
        "--weights",
        path(&out),
        "--annotations",
        path(&truth),
    ];
    refuse(semaim(&fixed), &["classifier"]);
}
