//! Detectors as files: detectron2's, in and out, and training on from one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{QUICK, detect, rectangles};
use crate::evaluate::{json as parsed, path, trained};
use crate::runner::{refuse, semaim, succeed, values};

/// Those of the quick settings that are a detector's, or the others, as options.
fn settings(of_a_detector: bool) -> Vec<&'static str> {
    let chosen = QUICK
        .iter()
        .filter(|setting| setting.starts_with("detector.") == of_a_detector);
    chosen.flat_map(|setting| ["--set", *setting]).collect()
}

/// A detector that was trained on rectangles, and their annotations.
fn detector(folder: &Path) -> (PathBuf, PathBuf) {
    let encoder = trained(folder);
    let truth = rectangles(folder, 9, true);
    let out = folder.join("detector");
    let longer = ["--set", "train.epochs=8", "--set", "eval.every_epochs=8"];
    succeed(detect(
        &encoder,
        &["--annotations", path(&truth)],
        &out,
        &longer,
    ));
    (out, truth)
}

#[test]
fn what_goes_to_detectron2_and_comes_back_finds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (out, truth) = detector(folder.path());
    let at = |name: &str| folder.path().join(name);
    let predict = |weights: &Path, more: &[&str]| -> Command {
        let fixed = ["predict", "--weights", path(weights), "--json"];
        semaim(&[&fixed[..], &["--annotations", path(&truth)], more].concat())
    };
    let found = succeed(predict(&out, &[])).stdout;
    assert!(found.contains("counts"), "{found}");
    let export = |weights: &Path, layout: &str, to: &Path, more: &[&str]| {
        let fixed = ["export", "--weights", path(weights), "--layout", layout];
        semaim(&[&fixed[..], &["--to", path(to)], more].concat())
    };
    // What tensors do not say has to be told; the rest is said.
    let classes = ["--classes", path(&truth)];
    let told = [&classes[..], &["--heads", "2"], &settings(true)].concat();
    for name in ["theirs.safetensors", "theirs.pkl"] {
        let theirs = at(name);
        let ran = succeed(export(&out, "detectron2", &theirs, &[]));
        assert!(ran.stderr.contains("2 attention heads"), "{}", ran.stderr);
        let ran = succeed(predict(&theirs, &told));
        assert_eq!(ran.stdout, found, "{name}");
        assert!(ran.stderr.contains("images in RGB"), "{}", ran.stderr);
        refuse(predict(&theirs, &told[2..]), &["2 classes", "--classes"]);
        let no_heads = [&classes[..], &settings(true)].concat();
        refuse(predict(&theirs, &no_heads), &["attention heads", "--heads"]);
        let untold = [&classes[..], &["--heads", "2"]].concat();
        refuse(predict(&theirs, &untold), &["detector.attention.window"]);
        refuse(semaim(&["inspect", path(&theirs)]), &["detectron2"]);
        let ours = at("ours.safetensors");
        succeed(export(&theirs, "semaim", &ours, &told));
        assert_eq!(succeed(predict(&ours, &[])).stdout, found, "{name}");
    }
    let fixed = ["evaluate", "--annotations", path(&truth), "--json"];
    let evaluate = |weights: &Path, more: &[&str]| {
        let arguments = [&fixed[..], &["--weights", path(weights)], more].concat();
        parsed(&succeed(semaim(&arguments)))
    };
    let theirs = at("theirs.pkl");
    assert_eq!(evaluate(&theirs, &told), evaluate(&out, &[]));
    // Of a set that it was trained on, a model is evaluated on what its run held out; of another on all.
    let images = |data: &Path| {
        let arguments = ["evaluate", "--json", "--weights", path(&out), "--data"];
        let ran = succeed(semaim(&[&arguments[..], &[path(data)]].concat()));
        (parsed(&ran)["images"].as_u64().unwrap(), ran.stderr)
    };
    let (held_out, said) = images(&truth);
    assert!((1..9).contains(&held_out), "{held_out}");
    assert!(said.contains("is held out"), "{said}");
    let other = truth.with_file_name("other.json");
    fs::copy(&truth, &other).unwrap();
    assert_eq!(images(&other).0, 9);
    fs::remove_file(&other).unwrap();
    // Settings lie over those of a file, but for those that its weights are of.
    let few = succeed(predict(&out, &["--set", "detector.inference.detections=1"])).stdout;
    assert!(few.len() < found.len());
    let wider = ["--set", "detector.regions.box_hidden=32"];
    refuse(
        predict(&out, &wider),
        &["detector.regions.box_hidden", "16"],
    );
    refuse(predict(&out, &classes), &["--classes"]);
    refuse(predict(&out, &["--set", "detector.canvas=60"]), &["60"]);
    let encoder = at("run");
    let to = at("encoder.safetensors");
    refuse(
        export(&encoder, "detectron2", &to, &[]),
        &["detectron2", "detectors"],
    );
    refuse(export(&out, "timm", &to, &[]), &["detector"]);
    // A graph for libraries, of the canvas that is told.
    let graph = at("detector.onnx");
    let told = succeed(export(&out, "onnx", &graph, &["--json"])).stdout;
    assert!(told.contains("detector"), "{told}");
    let bytes = fs::read(&graph).unwrap();
    for said in [
        "NonMaxSuppression",
        "RoiAlign",
        "semaim.classes",
        "mask_threshold",
    ] {
        let said = said.as_bytes();
        assert!(bytes.windows(said.len()).any(|part| part == said));
    }
    refuse(
        export(&out, "onnx", &graph, &["--image-size", "64"]),
        &["detector.canvas"],
    );
    refuse(
        export(&out, "onnx", &graph, &["--dynamic-size"]),
        &["one size"],
    );
    let canvas = ["--set", "detector.canvas=64"];
    refuse(export(&encoder, "onnx", &graph, &canvas), &["--set"]);
    refuse(export(&out, "detectron2", &at("x.bin"), &[]), &[".pkl"]);
    let half = ["--dtype", "f16"];
    refuse(export(&out, "detectron2", &theirs, &half), &["--dtype"]);
}

#[test]
fn a_detector_is_trained_on_with_all_its_weights_or_its_encoder_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (out, truth) = detector(folder.path());
    let at = |name: &str| folder.path().join(name);
    let on = |weights: &Path, truth: &Path, name: &str, more: &[&str]| -> Command {
        let fixed = ["detect", "--weights", path(weights), "--out"];
        let data = ["--annotations", path(truth), "--set", "train.epochs=1"];
        semaim(
            &[
                &fixed[..],
                &[path(&at(name))],
                &settings(false),
                &data,
                more,
            ]
            .concat(),
        )
    };
    let first_loss = |name: &str| values(&at(name), "train/loss")[0];
    // Its settings go with it.
    let ran = succeed(on(&out, &truth, "on", &[]));
    assert!(
        ran.stdout.contains("all weights are those of"),
        "{}",
        ran.stdout
    );
    let config = fs::read_to_string(at("on/config.toml")).unwrap();
    assert!(config.contains("canvas = 64") && config.contains("box_hidden = 16"));
    let encoder_only = [&["--encoder-only"][..], &settings(true)].concat();
    let ran = succeed(on(&out, &truth, "encoder", &encoder_only));
    assert!(ran.stdout.contains("the encoder alone"), "{}", ran.stdout);
    assert!(first_loss("on") < first_loss("encoder"));
    let again = on(&out, &truth, "on", &["--json"]);
    assert_eq!(parsed(&succeed(again))["ending"], "already finished");
    refuse(
        on(&out, &truth, "on", &["--encoder-only"]),
        &["encoder_only"],
    );
    // Classes go on by name.
    let other = at("other.json");
    let text = fs::read_to_string(&truth).unwrap();
    fs::write(&other, text.replace("\"brush\"", "\"broom\"")).unwrap();
    let ran = succeed(on(&out, &other, "other", &[]));
    assert!(ran.stdout.contains("1 of 2 classes"), "{}", ran.stdout);
    assert!(ran.stdout.contains("broom"), "{}", ran.stdout);
    let wider = ["--set", "detector.regions.box_hidden=32"];
    refuse(
        on(&out, &truth, "wider", &wider),
        &["detector.regions.box_hidden", "16"],
    );
    refuse(
        on(&out, &truth, "layout", &["--layout", "timm"]),
        &["layout"],
    );
    // An encoder is no detector whose classes would have names.
    let names = [&["--classes", path(&truth)][..], &settings(true)].concat();
    refuse(
        on(&at("run"), &truth, "plain", &names),
        &["no detector", "detectron2.classes"],
    );
    // detectron2's files are trained on alike.
    let theirs = at("theirs.pkl");
    let fixed = ["export", "--weights", path(&out), "--layout", "detectron2"];
    succeed(semaim(&[&fixed[..], &["--to", path(&theirs)]].concat()));
    let classes = ["--classes", path(&truth), "--heads", "2"];
    let told = [&classes[..], &settings(true)].concat();
    succeed(on(&theirs, &truth, "theirs", &told));
    assert_eq!(first_loss("theirs"), first_loss("on"));
    refuse(
        on(&theirs, &truth, "untold", &classes),
        &["detector.attention.window"],
    );
    // What it came to is in the report of the run whose encoder it is of, as far as it is a run.
    let kept = fs::read_to_string(at("run/evaluations.jsonl")).unwrap();
    let kept: Value = serde_json::from_str(kept.lines().next().unwrap()).unwrap();
    assert_eq!(kept["evaluation"], "detection");
    assert!(kept["box_ap50"].is_number(), "{kept}");
    let report = fs::read_to_string(at("run/report.html")).unwrap();
    assert!(report.contains("mask AP50"));
    // A run needs the detector that it began with no more, nor the settings of its file.
    let written = fs::read(at("on/detector.safetensors")).unwrap();
    fs::rename(&out, at("elsewhere")).unwrap();
    let ran = succeed(on(&out, &truth, "on", &[]));
    assert!(ran.stdout.contains("is gone"), "{}", ran.stdout);
    assert_eq!(fs::read(at("on/detector.safetensors")).unwrap(), written);
    succeed(on(&at("elsewhere"), &truth, "on", &[]));
}
