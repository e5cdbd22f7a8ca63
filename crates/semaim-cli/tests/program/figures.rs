//! What the program says of runs and encoders is of what was computed, and of when it was.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::detect;
use crate::evaluate::{COLORS, colored, json, path, trained};
use crate::runner::{metrics, pretrain, refuse, semaim, succeed};
use crate::segment;

/// Both splits of the colors.
fn data(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    colored(&data, "train", COLORS, 20);
    colored(&data, "val", COLORS, 6);
    data
}

#[test]
fn neighbors_are_counted_alike_with_and_without_files() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    // Fewer neighbors than classes, in no order of classes.
    let few = [
        "--weights",
        path(&run),
        "--data",
        "shapes",
        "--limit",
        "200",
    ];
    let files = ["train", "eval"].map(|split| {
        let out = folder.path().join(format!("{split}.safetensors"));
        let arguments = ["embed", "--split", split, "--out", path(&out)];
        succeed(semaim(&[&arguments[..], &few].concat()));
        out
    });
    let counted = ["knn", "--json", "--k", "2,6"];
    let direct = json(&succeed(semaim(&[&counted[..], &few].concat())));
    let named = ["--bank", path(&files[0]), "--queries", path(&files[1])];
    let from_files = json(&succeed(semaim(&[&counted[..], &named].concat())));
    assert_eq!(direct["knn"], from_files["knn"]);
}

#[test]
fn an_image_that_cannot_be_read_is_one_image_however_often_it_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 20);
    fs::write(data.join("train/blue/3.bmp"), "BM broken").unwrap();
    let out = folder.path().join("run");
    let more = ["--data", path(&data), "--set", "data.max_bad_fraction=0.5"];
    let longer = ["--set", "train.epochs=6", "--json"];
    let summary = json(&succeed(pretrain(&out, &[&more[..], &longer].concat())));
    let drawn = metrics(&out)
        .iter()
        .filter(|entry| entry["event"] == "bad_image" && entry["evaluation"] != true)
        .count();
    assert!(drawn > 1);
    assert_eq!(summary["bad_images_distinct"], 1, "{summary}");
    assert_eq!(summary["bad_images_times"], drawn, "{summary}");
    // The same run says so to people.
    let ran = succeed(pretrain(&out, &[&more[..], &longer[..2]].concat()));
    let said = format!("1 image that could not be read ({drawn} times)");
    assert!(ran.stdout.contains(&said), "{}", ran.stdout);
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains(&format!("1 ({drawn} times)")));
}

#[test]
fn where_nothing_is_computed_it_stays_said_what_with() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    colored(&images, "", COLORS, 8);
    let out = folder.path().join("run");
    let on = |more: &[&str]| pretrain(&out, &[&["--data", path(&images)], more].concat());
    let said = || -> Value {
        serde_json::from_slice(&fs::read(out.join("environment.json")).unwrap()).unwrap()
    };
    succeed(on(&[]));
    let first = said();
    assert!(first["continued"].is_null(), "{first}");
    // It is finished.
    succeed(on(&["--kernels", "composed"]));
    assert_eq!(said(), first);
    // It is not the same data any more.
    fs::copy(images.join("red/0.bmp"), images.join("red/another.bmp")).unwrap();
    refuse(on(&["--extend", "4"]), &["17", "16"]);
    assert_eq!(said(), first);
    fs::remove_file(images.join("red/another.bmp")).unwrap();
    succeed(on(&["--extend", "4"]));
    let longer = said();
    assert_eq!(longer["started"], first["started"]);
    assert!(longer["continued"].is_string(), "{longer}");
}

#[cfg(unix)]
#[test]
fn a_run_that_was_stopped_between_lines_of_its_log_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let settings = [
        "train.epochs=4000",
        "log.every_steps=1000000",
        "checkpoint.every_steps=1",
        "eval.every_epochs=0",
        "eval.pictures=0",
    ];
    let settings: Vec<&str> = settings.iter().flat_map(|set| ["--set", set]).collect();
    let mut child = pretrain(&out, &[&settings[..], &["--json"]].concat())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let newest = || -> Option<u64> {
        let files = fs::read_dir(out.join("checkpoints")).ok()?.flatten();
        let step = |file: fs::DirEntry| -> Option<u64> {
            let name = file.file_name().into_string().ok()?;
            let step = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
            step.parse().ok()
        };
        files.filter_map(step).max()
    };
    while newest() < Some(2) && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let process = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &process])
        .status();
    assert!(sent.unwrap().success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    let summary: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let steps = newest().unwrap();
    assert_eq!(summary["steps"], steps, "{summary}");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains(&format!("{steps} steps")), "{steps}");
    assert!(!page.contains("0 steps, 0.0 epochs"));
}

#[test]
fn a_probe_takes_two_images_at_a_time_at_least() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = data(folder.path());
    let out = folder.path().join("probe");
    for more in [&["--dry-run"][..], &["--augment", "--out", path(&out)], &[]] {
        let fixed = ["probe", "--weights", path(&run), "--data", path(&data)];
        let one = ["--probe-batch-size", "1"];
        refuse(
            semaim(&[&fixed[..], &one, more].concat()),
            &["batch size", "at least 2"],
        );
    }
    assert!(!out.exists());
}

#[test]
fn a_probe_that_diverged_is_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = data(folder.path());
    let probe = |decays: &str, more: &[&str]| {
        let fixed = ["probe", "--weights", path(&run), "--data", path(&data)];
        let grid = ["--epochs", "10", "--lr", "0.1", "--weight-decay", decays];
        semaim(&[&fixed[..], &grid, more].concat())
    };
    let parts = ["diverged", "learning rate 0.1 and weight decay 1e30"];
    let ran = refuse(probe("1e30", &[]), &parts);
    assert!(!ran.stdout.contains("top-1"), "{}", ran.stdout);
    assert!(!run.join("evaluations.jsonl").exists());
    // One that did not is chosen, and what did is said.
    let found = json(&succeed(probe("1e30,0", &["--json"])));
    assert_eq!(found["chosen"]["weight_decay"], 0.0, "{found}");
    let finite = ["finite", "validation_top1"].map(|name| found["grid"][0][name].clone());
    assert_eq!(finite, [Value::Bool(false), Value::Null]);
    let table = succeed(probe("1e30,0", &[])).stdout;
    assert_eq!(table.matches("not finite").count(), 1, "{table}");
}

#[test]
fn a_plan_counts_the_weights_of_frozen_blocks_as_not_trained() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let truth = detect::rectangles(folder.path(), 21, true);
    let fields = folder.path().join("fields");
    segment::fields(&fields, "training", 16, [0, 1, 255]);
    segment::fields(&fields, "validation", 5, [0, 1, 255]);
    let out = folder.path().join("out");
    let commands = [
        (["detect", "--annotations", path(&truth)], detect::QUICK),
        (["segment", "--data", path(&fields)], segment::QUICK),
    ];
    for (command, quick) in commands {
        let quick: Vec<&str> = quick.iter().flat_map(|set| ["--set", set]).collect();
        let trained = |more: &[&str]| {
            let fixed = ["--weights", path(&run), "--out", path(&out)];
            let fixed = [&fixed[..], &["--dry-run", "--json"]].concat();
            let planned = json(&succeed(semaim(
                &[&command[..], &fixed, &quick, more].concat(),
            )));
            planned["parameters_trained"].as_u64().unwrap()
        };
        let [all, first, blocks, head] = [
            trained(&[]),
            trained(&["--set", "train.freeze_blocks=1"]),
            trained(&["--set", "train.freeze_blocks=2"]),
            trained(&["--freeze"]),
        ];
        // Behind the blocks the encoder has a norm.
        assert!(
            all > first && first > blocks && blocks >= head,
            "{command:?}"
        );
    }
}
