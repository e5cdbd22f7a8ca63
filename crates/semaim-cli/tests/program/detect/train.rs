//! Training: losses, resuming, freezing, what a run would be.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{LOSSES, detect, rectangles};
use crate::evaluate::{json as parsed, path, trained};
use crate::runner::{close, killed, metrics, pretrain, refuse, semaim, succeed, values};

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
    // Composed operations, whose images are sent ahead of their steps, begin with the same losses.
    succeed(command("composed", &["--kernels", "composed"]));
    let composed = values(&folder.path().join("composed"), "train/loss");
    close(&losses[..2], &composed[..2]);
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
    // A run without a picture of its weights gets one with its report.
    let picture = whole.join("objects.png");
    let drawn = fs::read(&picture).unwrap();
    fs::remove_file(&picture).unwrap();
    succeed(semaim(&["report", path(&whole)]));
    assert_eq!(fs::read(&picture).unwrap(), drawn);
    let results: Value =
        serde_json::from_slice(&fs::read(whole.join("results.json")).unwrap()).unwrap();
    assert_eq!(results["best_by"], "box AP");

    killed(command("killed", &[]), &folder.path().join("killed"), 7);
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
fn a_stopped_detector_goes_on_with_its_own_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let truth = rectangles(folder.path(), 10, true);
    let out = folder.path().join("out");
    let command = |weights: &Path| {
        let longer = [
            "--set",
            "checkpoint.every_steps=1",
            "--set",
            "train.epochs=6",
        ];
        detect(weights, &["--annotations", path(&truth)], &out, &longer)
    };
    killed(command(&encoder), &out, 7);
    let file = encoder.join("encoder.safetensors");
    let own = fs::read(&file).unwrap();
    let other = folder.path().join("other");
    succeed(pretrain(&other, &["--seed", "1"]));
    fs::copy(other.join("encoder.safetensors"), &file).unwrap();
    refuse(command(&encoder), &["is not the encoder", "SHA-256"]);
    fs::write(&file, own).unwrap();
    // A box that has moved, of an image to train on or to evaluate.
    let text = fs::read_to_string(&truth).unwrap();
    let annotations: Value = serde_json::from_str(&text).unwrap();
    let boxes = annotations["annotations"].as_array().unwrap().len();
    assert_eq!(boxes, 9);
    for moved in 0..boxes {
        let mut changed = annotations.clone();
        changed["annotations"][moved]["bbox"][2] = 1.5.into();
        fs::write(&truth, changed.to_string()).unwrap();
        refuse(
            command(&encoder),
            &["other boxes, masks or similarity maps"],
        );
    }
    fs::write(&truth, text).unwrap();
    // What is saved needs no file of the encoder.
    fs::rename(&encoder, folder.path().join("elsewhere")).unwrap();
    let ran = succeed(command(&encoder));
    assert!(ran.stdout.contains("is gone"), "{}", ran.stdout);
    succeed(command(&folder.path().join("elsewhere")));
}

/// Of a configuration with annotations, images of another form take the place of all that names those.
#[test]
fn a_configuration_serves_for_other_images() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let truth = rectangles(folder.path(), 10, true);
    let out = folder.path().join("out");
    let file = folder.path().join("objects.toml");
    let text = format!(
        "[data]\nannotations = '{0}'\neval_annotations = '{0}'\n",
        path(&truth)
    );
    fs::write(&file, text).unwrap();
    let dry = ["--config", path(&file), "--dry-run"];
    let both = ["--data", "shapes", "--eval-data", "shapes"];
    succeed(detect(&encoder, &both, &out, &dry));
    // The annotations to evaluate on go with others to train on.
    let one = ["--data", "shapes"];
    refuse(
        detect(&encoder, &one, &out, &dry),
        &["data.eval_annotations", "data.annotations"],
    );
    succeed(detect(
        &encoder,
        &["--annotations", path(&truth)],
        &out,
        &dry,
    ));
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
    let frozen = ["--dry-run", "--json", "--freeze"];
    let frozen = [&frozen[..], &["--set", "layer_decay=0.5"]].concat();
    let ran = succeed(detect(&encoder, &data, &out, &frozen));
    let unused = "warning: without effect on training: layer_decay (freeze is true)";
    assert!(ran.stderr.contains(unused), "{}", ran.stderr);
    let frozen = parsed(&ran);
    assert_eq!(frozen["parameters"], planned["parameters"]);
    assert!(frozen["parameters_trained"].as_u64() < planned["parameters_trained"].as_u64());
    assert!(!out.exists());
}
