//! Fine-tuning, predicting, probes on images and pointing.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::evaluate::{COLORS, colored, json, path, trained};
use crate::runner::{close, killed, refuse, run, semaim, succeed, values};

/// Settings of a fine-tuning run that takes well under a second.
const QUICK: &[&str] = &[
    "train.epochs=4",
    "train.batch_size=8",
    "optimizer.warmup_epochs=1",
    "optimizer.base_lr=0.1",
    "eval.every_epochs=1",
    "log.every_steps=1",
];

pub(crate) fn sets<'a>(settings: &[&'a str]) -> Vec<&'a str> {
    settings.iter().flat_map(|s| ["--set", s]).collect()
}

/// Colors a little harder to tell apart than `COLORS`, with both splits.
pub(crate) fn data(folder: &Path) -> std::path::PathBuf {
    let data = folder.join("data");
    colored(&data, "train", COLORS, 20);
    colored(&data, "val", COLORS, 6);
    data
}

fn finetune<'a>(encoder: &'a Path, data: &'a Path) -> [&'a str; 5] {
    ["finetune", "--weights", path(encoder), "--data", path(data)]
}

#[test]
fn fine_tuning_learns_colors_and_predicts_them() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = data(folder.path());
    let out = folder.path().join("tuned");
    let out_and_json = ["--out", path(&out), "--json"];
    let fixed = [&finetune(&encoder, &data)[..], &out_and_json].concat();
    // Mixed images of two flat colors say little: the recipe's augmentation is tested below.
    let plain = [
        "augment.mixup=0",
        "augment.cutmix=0",
        "augment.rand_layers=0",
        "train.drop_path=0",
        "train.epochs=12",
    ];
    let arguments = [&fixed[..], &sets(QUICK), &sets(&plain)].concat();
    let result = json(&succeed(semaim(&arguments)));
    assert_eq!(result["top1"], 1.0, "{result}");
    assert_eq!(result["confusion"], serde_json::json!([[6, 0], [0, 6]]));
    assert_eq!(result["per_class_top1"]["red"], 1.0);
    for file in ["classifier.safetensors", "best.safetensors", "results.json"] {
        assert!(out.join(file).exists(), "{file}");
    }
    assert!(
        fs::read(out.join("confusion.png"))
            .unwrap()
            .starts_with(b"\x89PNG")
    );
    // The same command again only says what came out.
    let again = json(&succeed(semaim(&arguments)));
    assert_eq!(again["ending"], "already finished");
    assert_eq!(again["confusion"], result["confusion"]);

    let predict = ["predict", "--weights", path(&out), "--data", path(&data)];
    let table = succeed(semaim(&predict)).stdout;
    assert_eq!(table.lines().count(), 13, "{table}");
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        assert!(fields[0].contains(fields[1]), "{line}");
        assert!(fields[2].parse::<f64>().unwrap() > 0.5, "{line}");
    }
    let lines = folder.path().join("answers.jsonl");
    let more = ["--out", path(&lines), "--top", "2", "--split", "train"];
    succeed(semaim(&[&predict[..], &more].concat()));
    let text = fs::read_to_string(&lines).unwrap();
    assert_eq!(text.lines().count(), 40);
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["classes"].as_array().unwrap().len(), 2);
    let mut many = semaim(&predict);
    many.args(["--top", "9"]);
    for line in succeed(many).stdout.lines() {
        assert_eq!(line.split(',').count(), 5, "{line}");
    }
    let mut wrong = semaim(&predict);
    wrong.args(["--out", "answers.txt"]);
    refuse(wrong, &["answers.txt", ".jsonl"]);
    let mut wrong = semaim(&[
        "predict",
        "--weights",
        path(&encoder.join("encoder.safetensors")),
    ]);
    wrong.args(["--data", path(&data)]);
    refuse(wrong, &["without a head"]);
}

#[test]
fn a_killed_fine_tuning_with_the_whole_recipe_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = data(folder.path());
    let command = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let fixed = finetune(&encoder, &data);
        let larger = ["encoder.image_size=[24,24]", "checkpoint.every_steps=1"];
        let out = ["--out", path(&out)];
        semaim(&[&fixed[..], &out, &sets(QUICK), &sets(&larger), more].concat())
    };
    let files = |name: &str| {
        ["classifier.safetensors", "best.safetensors", "results.json"]
            .map(|file| fs::read(folder.path().join(name).join(file)).unwrap())
    };
    succeed(command("whole", &[]));
    killed(command("killed", &[]), &folder.path().join("killed"), 9);
    succeed(command("killed", &["--set", "data.workers=3"]));
    assert_eq!(files("killed"), files("whole"));
    let losses = values(&folder.path().join("killed"), "train/loss");
    assert_eq!(losses, values(&folder.path().join("whole"), "train/loss"));
    // Composed operations, whose images are mixed and sent ahead of their steps, come to the same losses.
    succeed(command("composed", &["--kernels", "composed"]));
    close(
        &losses,
        &values(&folder.path().join("composed"), "train/loss"),
    );
    // Other seeds, weights drawn anew and another head are other runs.
    succeed(command("scratch", &["--from-scratch"]));
    assert_ne!(files("scratch")[0], files("whole")[0]);
    succeed(command("class-token", &["--set", "pool=cls"]));
    assert_ne!(files("class-token")[0], files("whole")[0]);
    refuse(
        command("whole", &["--seed", "1"]),
        &["seed (0 then, 1 now)"],
    );
}

#[test]
fn a_stopped_fine_tuning_goes_on_with_its_own_encoder_and_test_images() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = data(folder.path());
    let at = |name: &str| folder.path().join(name);
    let command = |weights: &Path, name: &str| {
        let out = at(name);
        let out = ["--out", path(&out), "--set", "checkpoint.every_steps=1"];
        semaim(&[&finetune(weights, &data)[..], &out, &sets(QUICK)].concat())
    };
    let files = |name: &str| {
        ["classifier.safetensors", "best.safetensors", "results.json"]
            .map(|file| fs::read(at(name).join(file)).unwrap())
    };
    succeed(command(&encoder, "whole"));
    for name in ["here", "moved", "gone"] {
        killed(command(&encoder, name), &at(name), 9);
    }
    // Another encoder under the same name, and the same images shown otherwise.
    let file = encoder.join("encoder.safetensors");
    let own = fs::read(&file).unwrap();
    for (name, more) in [
        ("weights", &["--seed", "1"][..]),
        ("normalization", &["--set", "data.mean=[0.1,0.1,0.1]"]),
    ] {
        let other = at(name);
        succeed(crate::runner::pretrain(&other, more));
        fs::copy(other.join("encoder.safetensors"), &file).unwrap();
        refuse(
            command(&encoder, "here"),
            &["is not the encoder", "run/encoder.safetensors (SHA-256 "],
        );
    }
    // The run of the encoder has gone on, as it seems.
    fs::write(
        encoder.join("checkpoints/step-000000999.safetensors"),
        b"later",
    )
    .unwrap();
    fs::write(&file, own).unwrap();
    // Another image to test on.
    let more = data.join("val/red/more.bmp");
    fs::copy(data.join("val/red/0.bmp"), &more).unwrap();
    refuse(
        command(&encoder, "here"),
        &["images to evaluate on", "13 images now, 12 then"],
    );
    fs::remove_file(&more).unwrap();
    succeed(command(&encoder, "here"));
    // What it came to is of the encoder that it read at first.
    let log = fs::read_to_string(encoder.join("evaluations.jsonl")).unwrap();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["step"], 10, "{line}");
    }
    // Its file may move; and what is saved needs it no more.
    let elsewhere = at("elsewhere");
    fs::rename(&encoder, &elsewhere).unwrap();
    succeed(command(&elsewhere, "moved"));
    let ran = succeed(command(&encoder, "gone"));
    assert!(ran.stdout.contains("is gone"), "{}", ran.stdout);
    for name in ["here", "moved", "gone"] {
        assert_eq!(files(name), files("whole"), "{name}");
    }
    // A run that has not begun does.
    refuse(command(&encoder, "new"), &["run"]);
    assert!(!at("new").exists());
}

#[test]
fn what_cannot_be_fine_tuned_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let on = |data: &Path, more: &[&str]| {
        let out = folder.path().join("out");
        let fixed = finetune(&encoder, data);
        semaim(&[&fixed[..], &["--out", path(&out)], more].concat())
    };
    let folder_of = |name: &str| folder.path().join(name);
    let other = folder_of("other");
    colored(&other, "train", COLORS, 3);
    colored(
        &other,
        "val",
        &[("blue", [180, 0, 0]), ("green", [0, 180, 0])],
        3,
    );
    refuse(on(&other, &[]), &["green", "red"]);
    let flat = other.join("train/red");
    refuse(on(&flat, &[]), &["labels"]);
    let one = folder_of("one");
    colored(&one, "train", &COLORS[..1], 30);
    colored(&one, "val", &COLORS[..1], 3);
    refuse(on(&one, &[]), &["one class", "blue"]);
    let single = folder_of("single");
    colored(&single, "train", &COLORS[..1], 9);
    colored(&single, "train", &COLORS[1..], 1);
    refuse(on(&single, &[]), &["red", "1"]);
    let mut probe = semaim(&["probe", "--weights", path(&encoder)]);
    probe.args(["--data", path(&single)]);
    refuse(probe, &["red", "1"]);
    let missing = folder_of("missing");
    colored(&missing, "train", COLORS, 9);
    fs::create_dir_all(missing.join("val/blue")).unwrap();
    refuse(on(&missing, &[]), &["val"]);
    let list = folder_of("list.txt");
    fs::write(&list, "other/train/red/0.bmp 0\nother/train/red/1.bmp\n").unwrap();
    refuse(on(&list, &[]), &[]);
    let labeled = data(folder.path());
    let unlabeled = ["--eval-data", path(&flat)];
    refuse(on(&labeled, &unlabeled), &["other/train/red", "labels"]);
    let good = data(folder.path());
    refuse(
        on(&good, &["--set", "encoder.image_size=[25,24]"]),
        &["image_size", "25"],
    );
    refuse(on(&good, &["--set", "augment.erase=2"]), &["augment.erase"]);
    refuse(on(&good, &["--set", "train.batch_size=999"]), &["999"]);
    let mut none = semaim(&["finetune", "--data", path(&good)]);
    none.current_dir(folder.path());
    refuse(none, &["encoder.weights"]);
    // Weights of another width: named before any image is read.
    let bytes = fs::read(encoder.join("encoder.safetensors")).unwrap();
    let (width, other) = (b"\\\"embed_dim\\\":16", b"\\\"embed_dim\\\":32");
    let at = bytes.windows(16).position(|part| part == width).unwrap();
    let mut wrong = bytes;
    wrong[at..at + 16].copy_from_slice(other);
    let file = folder_of("wrong.safetensors");
    fs::write(&file, wrong).unwrap();
    let mut command = semaim(&["finetune", "--weights", path(&file)]);
    command.args(["--data", "nowhere", "--out", path(&folder_of("out"))]);
    refuse(command, &["patch_embed.proj.weight", "16", "32"]);
    assert!(!folder_of("out").exists());
}

#[test]
fn probes_on_changing_views_resume_and_tell_colors_apart() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = data(folder.path());
    for (name, more) in [
        ("augmented", &["--augment"][..]),
        ("attentive", &["--head", "attentive", "--weight-decay", "0"]),
    ] {
        let out = folder.path().join(name);
        let fixed = [
            "probe",
            "--weights",
            path(&encoder),
            "--data",
            path(&data),
            "--json",
        ];
        let size = [
            "--epochs",
            "15",
            "--probe-batch-size",
            "9",
            "--out",
            path(&out),
        ];
        let arguments = [&fixed[..], &size, more].concat();
        let first = succeed(semaim(&arguments));
        let found = json(&first);
        assert_eq!(found["top1"], 1.0, "{name}: {found}");
        assert!(out.join("config.toml").exists());
        // What is finished is not trained again, and says the same.
        assert_eq!(first.stdout, succeed(semaim(&arguments)).stdout, "{name}");
    }
    // Each has a line of its own in the report of the encoder's run.
    let report = fs::read_to_string(encoder.join("report.html")).unwrap();
    for line in ["15 epochs, augmented views, mean", "attentive probe"] {
        assert_eq!(report.matches(line).count(), 1, "{line}");
    }
}

#[test]
fn a_probe_on_images_of_one_set_holds_back_and_knows_its_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = folder.path().join("one");
    colored(&data, "", COLORS, 40);
    let out = folder.path().join("probe");
    let command = |weights: &Path| {
        let fixed = ["probe", "--weights", path(weights), "--data", path(&data)];
        let more = [
            "--augment",
            "--epochs",
            "4",
            "--probe-batch-size",
            "9",
            "--json",
        ];
        semaim(&[&fixed[..], &more, &["--out", path(&out)]].concat())
    };
    let found = json(&succeed(command(&encoder)));
    let (trained_on, tested) = (&found["trained_on"], &found["tested_on"]);
    let sum = trained_on.as_u64().unwrap() + tested.as_u64().unwrap();
    // About a tenth of what is not tested chooses.
    assert!((66..80).contains(&sum), "{found}");
    // Another encoder under the same name is another probe; other workers are the same.
    let mut again = command(&encoder);
    again.args(["--workers", "3"]);
    assert_eq!(json(&succeed(again)), found);
    let other = folder.path().join("other");
    succeed(crate::runner::pretrain(&other, &["--seed", "1"]));
    fs::copy(
        other.join("encoder.safetensors"),
        encoder.join("encoder.safetensors"),
    )
    .unwrap();
    refuse(command(&encoder), &["encoder", "another experiment"]);
}

#[test]
fn pointing_is_measured_for_a_run_and_over_its_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let keep = ["--set", "checkpoint.keep_every_epochs=1"];
    succeed(crate::runner::pretrain(&out, &keep));
    let fixed = [
        "bench",
        "pointing",
        "--weights",
        path(&out),
        "--count",
        "40",
        "--json",
    ];
    let found = json(&succeed(semaim(&fixed)));
    let gap = &found["pointing"][0]["gap"];
    assert_eq!(gap["images"], 40);
    for name in ["hits", "chance"] {
        let share = gap[name].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&share), "{found}");
    }
    let over = json(&succeed(semaim(&[&fixed[..], &["--over-epochs"]].concat())));
    let over = over["pointing"].as_array().unwrap();
    assert_eq!(over.len(), 3);
    assert_eq!(over[2]["gap"], *gap);
    let larger = ["--over-epochs", "--image-size", "32x48"];
    let larger = json(&succeed(semaim(&[&fixed[..], &larger].concat())));
    assert_eq!(larger["pointing"].as_array().map(Vec::len), Some(3));
    let mut file = semaim(&fixed[..2]);
    file.args([
        "--weights",
        path(&out.join("encoder.safetensors")),
        "--over-epochs",
    ]);
    refuse(file, &["run directory"]);
    let broken = folder.path().join("instances.json");
    fs::write(&broken, b"{\"images\": 3}").unwrap();
    let mut coco = semaim(&fixed[..4]);
    coco.args(["--coco", path(&broken), "--images", path(folder.path())]);
    refuse(coco, &["instances.json"]);
    assert_ne!(run(semaim(&["bench", "pointing"])).code, Some(0));
}

#[test]
fn a_dry_run_of_fine_tuning_tells_memory_and_steps() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = data(folder.path());
    let out = folder.path().join("tuned");
    let fixed = finetune(&encoder, &data);
    let more = ["--out", path(&out), "--dry-run"];
    let arguments = [&fixed[..], &more, &sets(QUICK)].concat();
    let said = succeed(semaim(&arguments)).stdout;
    for part in [
        "# memory",
        "# steps            5 per epoch, 20 in all",
        "[augment]",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let planned = json(&succeed(semaim(&[&arguments[..], &["--json"]].concat())));
    assert!(planned["memory_bytes"].as_u64().unwrap() > 0, "{planned}");
    let slow = ["--set", "optimizer.base_lr=1e-5"];
    let ran = succeed(semaim(&[&arguments[..], &slow].concat()));
    let rises = "warning: the learning rate rises";
    assert!(ran.stderr.contains(rises), "{}", ran.stderr);
    assert!(!out.exists());
    let short = [&fixed[..], &["--dry-run", "--set", "train.epochs=2"]].concat();
    refuse(semaim(&short), &["--set optimizer.warmup_epochs="]);
}

#[test]
fn evaluation_images_that_cannot_be_read_are_named_and_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = data(folder.path());
    fs::write(data.join("val/red/broken.bmp"), "BM broken").unwrap();
    let tuned = folder.path().join("tuned");
    let fixed = [&finetune(&encoder, &data)[..], &["--out", path(&tuned)]].concat();
    let ran = succeed(semaim(&[&fixed[..], &sets(QUICK)].concat()));
    // It is evaluated four times.
    let named = "1 image left out of the evaluation";
    assert_eq!(ran.stdout.matches(named).count(), 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("broken.bmp"), "{}", ran.stdout);
    let log = fs::read_to_string(tuned.join("metrics.jsonl")).unwrap();
    assert_eq!(log.matches("broken.bmp").count(), 1, "{log}");

    let probe = folder.path().join("probe");
    let fixed = ["probe", "--weights", path(&encoder), "--data", path(&data)];
    let more = [
        "--epochs",
        "2",
        "--augment",
        "--json",
        "--out",
        path(&probe),
    ];
    let ran = succeed(semaim(&[&fixed[..], &more].concat()));
    assert_eq!(json(&ran)["tested_on"], 12);
    assert!(ran.stderr.contains(named), "{}", ran.stderr);
    let ran = succeed(semaim(&[&fixed[..], &["--json"]].concat()));
    assert_eq!(json(&ran)["tested_on"], 12);

    let knn = folder.path().join("knn");
    let more = ["--data", path(&data), "--set", "eval.every_epochs=1"];
    let ran = succeed(crate::runner::pretrain(&knn, &more));
    assert_eq!(ran.stdout.matches(named).count(), 1, "{}", ran.stdout);
}
