//! What people do with the program.

use std::fs;

use serde_json::Value;

use crate::evaluate::{COLORS, colored, json, path, trained};
use crate::runner::{pretrain, refuse, semaim, succeed};

#[test]
fn evaluations_need_their_images_and_numbers_that_mean_something() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let weights = path(&run);
    let out = folder.path().join("tuned");
    refuse(
        semaim(&["knn", "--weights", weights]),
        &["--data", "shapes"],
    );
    refuse(
        semaim(&["finetune", "--weights", weights, "--out", path(&out)]),
        &["data.path", "--data", "shapes"],
    );
    assert!(!out.exists());
    let knn = ["knn", "--weights", weights, "--data", "shapes", "--k", "5"];
    for temperature in ["nan", "0", "-1", "inf"] {
        let option = format!("--temperature={temperature}");
        refuse(semaim(&[&knn[..], &[&option]].concat()), &["temperature"]);
    }
    assert!(!run.join("evaluations.jsonl").exists());
}

#[test]
fn predict_says_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let predict = |weights: &str| semaim(&["predict", "--weights", weights, "--data", "shapes"]);
    refuse(
        predict(path(&run)),
        &["a run of pre-training", "semaim finetune --weights"],
    );
    refuse(
        predict(path(&run.join("encoder.safetensors"))),
        &["an encoder without a head", "semaim finetune --weights"],
    );
    refuse(
        predict(path(folder.path())),
        &["without a model", "semaim finetune"],
    );
}

#[test]
fn one_image_is_a_data_set_and_folders_for_results_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 20);
    colored(&data, "val", COLORS, 4);
    let image = data.join("val/red/1.bmp");
    let vectors = folder.path().join("new/below/v.npy");
    let arguments = ["--data", path(&image), "--out", path(&vectors), "--json"];
    let embed = ["embed", "--weights", path(&run)];
    let found = json(&succeed(semaim(&[&embed[..], &arguments].concat())));
    assert_eq!(found["images"], 1);
    assert!(vectors.is_file());

    let tuned = folder.path().join("tuned");
    let settings = [
        "train.epochs=2",
        "train.batch_size=8",
        "optimizer.warmup_epochs=1",
    ];
    let mut command = semaim(&["finetune", "--weights", path(&run), "--data", path(&data)]);
    command.args(["--out", path(&tuned)]);
    settings.iter().for_each(|setting| {
        command.args(["--set", setting]);
    });
    succeed(command);
    let predict = ["predict", "--weights", path(&tuned), "--data", path(&image)];
    let lines = succeed(semaim(&predict)).stdout;
    assert_eq!(lines.lines().count(), 2, "{lines}");
    let line = succeed(semaim(&[&predict[..], &["--json"]].concat())).stdout;
    let line: Value = serde_json::from_str(line.trim()).unwrap();
    assert!(line["path"].as_str().unwrap().ends_with("1.bmp"), "{line}");
    let out = folder.path().join("another/p.csv");
    let counts = [&predict[..], &["--out", path(&out), "--json"]].concat();
    let counts = json(&succeed(semaim(&counts)));
    assert_eq!(counts["images"], 1);
    assert_eq!(fs::read_to_string(&out).unwrap(), lines);
    for (command, out) in [
        (
            &["export", "--weights", path(&run), "--to"][..],
            "x/e.safetensors",
        ),
        (&["report", path(&run), "--out"], "y/r.html"),
        (
            &[
                "show",
                "--weights",
                path(&run),
                "--images",
                path(&image),
                "--out",
            ],
            "z/s.png",
        ),
    ] {
        let out = folder.path().join(out);
        succeed(semaim(&[command, &[path(&out), "--json"]].concat()));
        assert!(out.is_file(), "{}", out.display());
    }
}

#[test]
fn a_run_of_few_steps_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let few = ["--set", "train.batch_size=40", "--set", "train.epochs=4"];
    let ran = succeed(pretrain(&folder.path().join("few"), &few));
    let said = "1 step per epoch, 4 in all, 1 of them warm-up";
    assert!(ran.stdout.contains(said), "{}", ran.stdout);
    assert!(ran.stdout.contains("train.batch_size=2 "), "{}", ran.stdout);
    let enough = ["--set", "train.batch_size=5", "--set", "train.epochs=2"];
    let ran = succeed(pretrain(&folder.path().join("enough"), &enough));
    assert!(!ran.stdout.contains("warning"), "{}", ran.stdout);
}

#[test]
fn recipes_are_told_to_programs_too() {
    let list = json(&succeed(semaim(&["recipes", "--json"])));
    assert_eq!(list[0]["name"], "quickstart");
    let show = json(&succeed(semaim(&[
        "recipes",
        "show",
        "quickstart",
        "--json",
    ])));
    assert!(show["toml"].as_str().unwrap().contains("[train]"));
}

#[test]
fn images_above_the_limit_can_be_let_in_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 2);
    let out = folder.path().join("v.npy");
    let embed = ["embed", "--weights", path(&run), "--data", path(&data)];
    let embed =
        |limit: &str| semaim(&[&embed[..], &["--out", path(&out), "--max-pixels", limit]].concat());
    refuse(embed("575"), &["575", "max_pixels"]);
    succeed(embed("576"));
}
