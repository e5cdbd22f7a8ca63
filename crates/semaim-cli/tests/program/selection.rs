//! `--exclude`, `--limit` and several `--data`, and what they leave in runs and tables.

use std::fs;

use crate::evaluate::{COLORS, colored, json, path, trained};
use crate::runner::{metrics, pretrain, refuse, semaim, succeed, values};

#[test]
fn a_run_on_several_sets_records_them_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    colored(&at("one"), "train", COLORS, 6);
    colored(
        &at("two"),
        "train",
        &[("green", [0, 180, 0]), ("red", [0, 0, 90])],
        6,
    );
    let (one, two) = (at("one"), at("two"));
    let data = ["--data", path(&one), "--data", path(&two)];
    let selection = ["--exclude", "5.bmp", "--limit", "18"];
    let out = at("run");
    let ran = succeed(pretrain(&out, &[&data[..], &selection].concat()));
    for words in ["18 of 2 data sets: 20 images", "3 classes"] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
    assert_eq!(values(&out, "eval/knn_top1").len(), 2);
    let config = fs::read_to_string(out.join("config.toml")).unwrap();
    assert!(config.contains("exclude = [\"5.bmp\"]") && config.contains("limit = 18"));
    // The same command is the same run, another is not.
    succeed(pretrain(&out, &[&data[..], &selection].concat()));
    refuse(
        pretrain(
            &out,
            &[&data[..], &["--exclude", "5.bmp", "--limit", "17"]].concat(),
        ),
        &["data.limit (18 then, 17 now)"],
    );
    refuse(
        pretrain(&out, &[&["--data", path(&one)][..], &selection].concat()),
        &["data.path", "--data-moved"],
    );
}

#[test]
fn encoders_are_measured_on_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    for (root, name) in [(&one, "green"), (&two, "white")] {
        for split in ["train", "val"] {
            colored(root, split, COLORS, 4);
            colored(root, split, &[(name, [90, 90, 90])], 2);
        }
    }
    let with = |command: &'static str, more: &[&str]| {
        let fixed = [
            command,
            "--weights",
            path(&run),
            "--data",
            path(&one),
            "--json",
        ];
        semaim(&[&fixed[..], more].concat())
    };
    let both = json(&succeed(with("knn", &["--data", path(&two), "--k", "1"])));
    assert_eq!(
        (both["bank"].as_u64(), both["queries"].as_u64()),
        (Some(20), Some(20))
    );
    let left = ["--exclude", "gr*", "--limit", "6", "--k", "1"];
    let some = json(&succeed(with("knn", &left)));
    assert_eq!(
        (some["bank"].as_u64(), some["queries"].as_u64()),
        (Some(6), Some(6))
    );
    let log = fs::read_to_string(run.join("evaluations.jsonl")).unwrap();
    assert!(log.contains("without gr* (6 images at most)"), "{log}");
    let out = folder.path().join("vectors.npy");
    let embedded = succeed(with(
        "embed",
        &[
            "--data",
            path(&two),
            "--exclude",
            "red",
            "--out",
            path(&out),
        ],
    ));
    assert_eq!(json(&embedded)["images"].as_u64(), Some(12));
    let names = fs::read_to_string(out.with_extension("csv")).unwrap();
    assert!(
        !names.contains("/red/") && names.contains("white"),
        "{names}"
    );
    let ran = succeed(with("knn", &["--exclude", "nothing", "--k", "1"]));
    assert!(
        ran.stderr.contains("--exclude nothing: no image of"),
        "{}",
        ran.stderr
    );
    refuse(
        with("knn", &["--exclude", "*.bmp"]),
        &["leaves out all 10 images"],
    );
    refuse(with("knn", &["--exclude", "[x"]), &["--exclude", "[x"]);
    refuse(
        with("knn", &["--data", path(&one.join("train"))]),
        &["is in two of the data sets"],
    );
}

#[test]
fn the_table_of_metrics_has_each_entry_once_after_a_resumption() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let stop = ["--set", "checkpoint.every_steps=2"];
    succeed(pretrain(&out, &stop));
    let rows = |out: &std::path::Path| -> Vec<Vec<String>> {
        let text = fs::read_to_string(out.join("metrics.csv")).unwrap();
        let cells = |line: &str| line.split(',').map(str::to_owned).collect();
        text.lines().map(cells).collect()
    };
    let agrees = |rows: &[Vec<String>]| {
        let entries: Vec<_> = metrics(&out)
            .into_iter()
            .filter(|entry| entry.get("event").is_none())
            .collect();
        assert_eq!(rows.len(), entries.len() + 1);
        for (row, entry) in rows[1..].iter().zip(&entries) {
            for (name, cell) in rows[0].iter().zip(row) {
                let value = entry.get(name).filter(|value| !value.is_null());
                let cell: Option<f64> = cell.parse().ok();
                let value = value.and_then(serde_json::Value::as_f64);
                let near = |(a, b): (f64, f64)| (a - b).abs() <= 1e-8 * b.abs();
                assert_eq!(cell.is_some(), value.is_some(), "{name}");
                assert!(
                    cell.zip(value).is_none_or(near),
                    "{name}: {cell:?} {value:?}"
                );
            }
        }
    };
    let whole = rows(&out);
    agrees(&whole);
    assert!(whole[0].contains(&"train/loss".to_owned()));
    // As if it had been killed after step 8.
    fs::remove_file(out.join("checkpoints/step-000000015.safetensors")).unwrap();
    succeed(pretrain(&out, &stop));
    let again = rows(&out);
    agrees(&again);
    let steps = |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(steps(&again), steps(&whole));
}
