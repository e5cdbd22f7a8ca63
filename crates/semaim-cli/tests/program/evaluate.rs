//! Commands that use a finished encoder.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::Value;

use crate::bitmap::bitmap;
use crate::detect::rectangles;
use crate::runner::{Ran, pretrain, refuse, semaim, succeed};

pub(crate) fn json(ran: &Ran) -> Value {
    serde_json::from_str(ran.stdout.trim()).unwrap()
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A run of the small model in `folder`.
pub(crate) fn trained(folder: &Path) -> PathBuf {
    let run = folder.join("run");
    succeed(pretrain(&run, &["--set", "train.epochs=2"]));
    run
}

/// Class folders with `count` pictures each, of a color per class.
pub(crate) fn colored(root: &Path, split: &str, classes: &[(&str, [u8; 3])], count: u8) {
    for (class, color) in classes {
        let folder = root.join(split).join(class);
        std::fs::create_dir_all(&folder).unwrap();
        for i in 0..count {
            let picture = bitmap(24, |x, y| {
                color.map(|value| value.saturating_add((x + y) as u8 + 2 * i))
            });
            std::fs::write(folder.join(format!("{i}.bmp")), picture).unwrap();
        }
    }
}

pub(crate) const COLORS: &[(&str, [u8; 3])] = &[("blue", [180, 0, 0]), ("red", [0, 0, 180])];

#[test]
fn vectors_are_the_same_in_every_form_and_batch_and_of_every_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 5);
    let embed = |name: &str, more: &[&str]| -> PathBuf {
        let out = folder.path().join(name);
        let fixed = ["embed", "--weights", path(&run), "--data", path(&data)];
        let arguments = [&fixed[..], &["--out", path(&out)], more].concat();
        succeed(semaim(&arguments));
        out
    };
    let values = |file: &Path| -> Vec<f32> {
        let bytes = std::fs::read(file).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let features = tensors.tensor("features").unwrap();
        assert_eq!(features.shape()[0], 10);
        let (numbers, _) = features.data().as_chunks::<4>();
        numbers.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    let mean = values(&embed("a.safetensors", &[]));
    assert_eq!(mean.len(), 10 * 16);
    assert_eq!(
        mean,
        values(&embed("b.safetensors", &["--batch-size", "3"]))
    );
    let composed = values(&embed("c.safetensors", &["--kernels", "composed"]));
    let largest = mean.iter().fold(0.0, |a: f32, b| a.max(b.abs()));
    for (a, b) in mean.iter().zip(&composed) {
        assert!((a - b).abs() <= 1e-5 * largest, "{a} {b}");
    }
    let both = values(&embed("d.safetensors", &["--feature", "both"]));
    assert_eq!(both[16..32], mean[..16]);
    let tokens = values(&embed("e.safetensors", &["--tokens"]));
    assert_eq!(tokens.len(), 10 * 6 * 16);
    for axis in 0..16 {
        let sum: f32 = (0..6).map(|patch| tokens[patch * 16 + axis]).sum();
        assert!((sum / 6.0 - mean[axis]).abs() <= 1e-5 * largest);
    }
    let npy = std::fs::read(embed("f.npy", &[])).unwrap();
    // Its paths and labels are in f.csv, which no other vectors may take.
    let other = folder.path().join("f.parquet");
    let fixed = ["embed", "--weights", path(&run), "--data", path(&data)];
    let wrong = [&fixed[..], &["--out", path(&other)]].concat();
    refuse(semaim(&wrong), &["f.csv", "f.npy"]);
    let bytes: Vec<u8> = mean.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert!(npy.starts_with(b"\x93NUMPY") && npy.ends_with(&bytes));
    let names = std::fs::read_to_string(folder.path().join("f.csv")).unwrap();
    assert_eq!(names.lines().count(), 11, "{names}");
    assert!(names.contains("blue") && names.contains("red"), "{names}");
}

#[test]
fn neighbors_and_a_probe_tell_colors_apart() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 20);
    colored(&data, "val", COLORS, 6);
    let fixed = ["--weights", path(&run), "--data", path(&data), "--json"];
    let knn = json(&succeed(semaim(
        &[&["knn", "--k", "3,5"], &fixed[..]].concat(),
    )));
    assert_eq!((&knn["bank"], &knn["queries"]), (&40.into(), &12.into()));
    assert_eq!(knn["knn"][1]["k"], 5);
    assert_eq!(knn["knn"][0]["top1"], 1.0, "{knn}");
    let arguments = [
        &["probe", "--epochs", "20", "--probe-batch-size", "8"],
        &fixed[..],
    ]
    .concat();
    let first = succeed(semaim(&arguments));
    let probe = json(&first);
    assert_eq!(probe["tested_on"], 12);
    assert_eq!(probe["grid"].as_array().unwrap().len(), 24);
    assert_eq!(probe["top1"], 1.0, "{probe}");
    assert_eq!(first.stdout, succeed(semaim(&arguments)).stdout);
    assert!(!first.stderr.contains("settle"), "{}", first.stderr);
    let short = [&["probe", "--epochs", "20"], &fixed[..]].concat();
    let short = succeed(semaim(&short)).stderr;
    assert!(short.contains("20 steps are few"), "{short}");
    let log = std::fs::read_to_string(run.join("evaluations.jsonl")).unwrap();
    assert!(log.contains("20 epochs, mean, batches of 8"), "{log}");
}

#[test]
fn files_of_vectors_are_searched_without_an_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 8);
    colored(&data, "val", COLORS, 4);
    let weights = ["--weights", path(&run), "--data", path(&data)];
    let files = ["train", "eval"].map(|split| {
        let out = folder.path().join(format!("{split}.safetensors"));
        let arguments = ["embed", "--split", split, "--out", path(&out)];
        succeed(semaim(&[&arguments[..], &weights].concat()));
        out
    });
    let direct = json(&succeed(semaim(
        &[&["knn", "--json", "--k", "3"], &weights[..]].concat(),
    )));
    let from_files = json(&succeed(semaim(&[
        "knn",
        "--json",
        "--k",
        "3",
        "--bank",
        path(&files[0]),
        "--queries",
        path(&files[1]),
    ])));
    assert_eq!(direct["knn"], from_files["knn"]);
    assert_eq!(from_files["queries"], 8);
    // An image that is in the bank finds itself.
    let search = |queries: &Path| {
        let named = ["--bank", path(&files[0]), "--queries", path(queries)];
        succeed(semaim(&[&["knn", "--k", "3"], &named[..]].concat())).stderr
    };
    let said = search(&files[0]);
    let warning = "warning: 16 of the 16 queries are in the bank, too: ";
    assert!(
        said.contains(warning) && said.contains("/blue/0.bmp"),
        "{said}"
    );
    let said = search(&files[1]);
    assert!(!said.contains("in the bank"), "{said}");
    assert!(!said.contains("do not compare"), "{said}");
    // A folder in the place of the file is found out at once.
    let taken = folder.path().join("taken.npy");
    std::fs::create_dir(&taken).unwrap();
    let arguments = ["embed", "--split", "eval", "--out", path(&taken)];
    let refused = refuse(semaim(&[&arguments[..], &weights].concat()), &["taken.npy"]);
    assert!(!refused.stderr.contains("images/s"), "{}", refused.stderr);
    // Vectors of another kind of as many numbers.
    let cls = folder.path().join("cls.safetensors");
    let arguments = ["embed", "--split", "eval", "--feature", "cls", "--out"];
    let out = [path(&cls)];
    succeed(semaim(&[&arguments[..], &out, &weights].concat()));
    let said = search(&cls);
    assert!(
        said.contains("do not compare: one is --feature mean, the other cls"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_evaluated_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 3);
    colored(
        &data,
        "val",
        &[("blue", [180, 0, 0]), ("green", [0, 180, 0])],
        3,
    );
    let on = |command: &'static str, weights: &Path, data: &Path| {
        semaim(&[command, "--weights", path(weights), "--data", path(data)])
    };
    for command in ["knn", "probe"] {
        refuse(on(command, &run, &data), &["green", "red"]);
        refuse(on(command, &folder.path().join("none"), &data), &["none"]);
        let flat = data.join("train/red");
        refuse(on(command, &run, &flat), &["labels"]);
    }
    let same = folder.path().join("same");
    colored(&same, "train", COLORS, 3);
    colored(&same, "val", COLORS, 3);
    let mut command = on("knn", &run, &same);
    command.args(["--k", "50"]);
    refuse(command, &["50"]);
    let mut command = on("probe", &run, &same);
    command.args(["--lr", "-1"]);
    refuse(command, &[]);
    let one = folder.path().join("one");
    colored(&one, "train", &COLORS[..1], 30);
    colored(&one, "val", &COLORS[..1], 3);
    refuse(on("probe", &run, &one), &["one class"]);
    let damaged = folder.path().join("damaged.safetensors");
    std::fs::write(&damaged, b"no weights").unwrap();
    refuse(on("knn", &damaged, &same), &["damaged.safetensors"]);
    let out = folder.path().join("vectors.txt");
    let mut command = on("embed", &run, &same);
    command.args(["--out", path(&out)]);
    refuse(command, &["vectors.txt"]);
    assert!(!out.exists());
}

#[test]
fn classes_of_vectors_are_compared_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    // The classes have other numbers in each of the two data sets.
    let (bank, queries) = (folder.path().join("bank"), folder.path().join("queries"));
    colored(&bank, "train", &[("amber", [0, 180, 180])], 6);
    colored(&bank, "train", COLORS, 6);
    colored(&queries, "train", COLORS, 4);
    let files = [&bank, &queries].map(|data| {
        let out = data.with_extension("safetensors");
        let fixed = ["embed", "--weights", path(&run), "--data", path(data)];
        succeed(semaim(&[&fixed[..], &["--out", path(&out)]].concat()));
        out
    });
    let arguments = ["knn", "--json", "--k", "1", "--bank", path(&files[0])];
    let arguments = [&arguments[..], &["--queries", path(&files[1])]].concat();
    let found = json(&succeed(semaim(&arguments)));
    assert_eq!(found["knn"][0]["top1"], 1.0, "{found}");
    // Classes that the bank does not have are named.
    let swapped = ["knn", "--k", "1", "--queries", path(&files[0])];
    let swapped = [&swapped[..], &["--bank", path(&files[1])]].concat();
    let ran = succeed(semaim(&swapped));
    assert!(ran.stderr.contains("amber"), "{}", ran.stderr);
    // Numbers of one data set and names of another say nothing of each other.
    std::fs::remove_file(files[1].with_extension("csv")).unwrap();
    refuse(semaim(&arguments), &["queries.csv"]);
}

#[test]
fn whoever_evaluates_says_on_what() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let out = folder.path().join("tuned");
    refuse(semaim(&["knn", "--weights", path(&run)]), &["--data"]);
    let fixed = ["finetune", "--weights", path(&run), "--out", path(&out)];
    refuse(semaim(&fixed), &["--data"]);
    assert!(!out.exists() && !run.join("evaluations.jsonl").exists());
}

#[test]
fn vectors_that_are_no_numbers_are_not_ranked() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 8);
    let out = folder.path().join("v.safetensors");
    let fixed = ["embed", "--weights", path(&run), "--data", path(&data)];
    succeed(semaim(&[&fixed[..], &["--out", path(&out)]].concat()));
    let mut bytes = std::fs::read(&out).unwrap();
    let end = {
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let features = tensors.tensor("features").unwrap().data().as_ptr() as usize;
        features - bytes.as_ptr() as usize + 16 * 4
    };
    bytes[end - 4..end].copy_from_slice(&f32::NAN.to_le_bytes());
    let broken = folder.path().join("broken.safetensors");
    std::fs::write(&broken, bytes).unwrap();
    std::fs::copy(out.with_extension("csv"), broken.with_extension("csv")).unwrap();
    for (bank, queries) in [(&out, &broken), (&broken, &out)] {
        let files = ["--bank", path(bank), "--queries", path(queries)];
        refuse(
            semaim(&[&["knn", "--k", "1"], &files[..]].concat()),
            &["NaN"],
        );
    }
}

#[test]
fn a_probe_on_images_sizes_its_batch_and_has_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 20);
    colored(&data, "val", COLORS, 6);
    let probe = |more: &[&str]| {
        let fixed = ["probe", "--weights", path(&run), "--data", path(&data)];
        let few = ["--epochs", "1", "--lr", "0.1", "--weight-decay", "0"];
        let mut command = semaim(&[&fixed[..], &few, more].concat());
        command.current_dir(folder.path());
        command
    };
    for more in [
        &["--augment"][..],
        &["--head", "attentive"],
        &["--head", "attentive", "--augment"],
    ] {
        let planned = json(&succeed(probe(&[more, &["--dry-run", "--json"]].concat())));
        assert!(
            planned["memory_bytes"].as_u64().unwrap() <= 1_000_000_000,
            "{planned}"
        );
        assert_eq!(planned["steps"], 1, "{planned}");
        let ran = succeed(probe(more));
        assert!(ran.stdout.contains("GB"), "{}", ran.stdout);
    }
    for name in [
        "probe-augment",
        "probe-attentive",
        "probe-attentive-augment",
    ] {
        assert!(folder.path().join("runs").join(name).exists(), "{name}");
    }
    let kept = std::fs::read_to_string(run.join("evaluations.jsonl")).unwrap();
    assert_eq!(kept.lines().count(), 3, "{kept}");
    assert_eq!(kept.matches("augmented views").count(), 2, "{kept}");
    assert!(!kept.contains("1 epochs"), "{kept}");
    // Without either there is no folder.
    let vectors = json(&succeed(probe(&["--dry-run", "--json"])));
    assert_eq!(vectors["train_images"], 40);
}

#[test]
fn a_probe_whose_heads_all_diverge_stops_and_has_saved_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 20);
    colored(&data, "val", COLORS, 6);
    let out = folder.path().join("probe");
    let fixed = ["probe", "--weights", path(&run), "--data", path(&data)];
    let hot = ["--lr", "1e300", "--weight-decay", "0", "--epochs", "5"];
    let more = ["--augment", "--probe-batch-size", "8", "--out", path(&out)];
    let command = || semaim(&[&fixed[..], &hot, &more].concat());
    let ran = refuse(command(), &["the loss is NaN", "saved in"]);
    let saved = ran.stderr.split("saved in ").nth(1).unwrap();
    let saved = saved.split(". ").next().unwrap();
    assert!(Path::new(saved).is_file(), "{saved}");
    assert!(!run.join("evaluations.jsonl").exists());
}

#[test]
fn a_classifier_is_evaluated_as_fine_tuning_evaluated_it() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 12);
    colored(&data, "val", COLORS, 5);
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
        "optimizer.warmup_epochs=1",
    ]);
    let tuned = json(&succeed(command));
    let evaluate = |data: &Path, more: &[&str]| {
        let fixed = ["evaluate", "--weights", path(&out), "--data", path(data)];
        semaim(&[&fixed[..], more].concat())
    };
    let found = json(&succeed(evaluate(&data, &["--json"])));
    for name in ["top1", "top5", "confusion", "per_class_top1"] {
        assert_eq!(found[name], tuned[name], "{name}");
    }
    assert_eq!(found["images"], 10);
    let said = succeed(evaluate(&data, &["--split", "train"])).stdout;
    assert!(said.contains("top-1") && said.contains("blue"), "{said}");
    // One of the classes in a set of its own keeps its number; one that is not known is refused.
    let red = folder.path().join("red");
    colored(&red, "val", &COLORS[1..], 4);
    let of_red = json(&succeed(evaluate(&red, &["--json"])));
    assert_eq!(of_red["per_class_top1"]["blue"], Value::Null);
    assert!(of_red["per_class_top1"]["red"].is_number(), "{of_red}");
    let green = folder.path().join("green");
    colored(&green, "val", &[("green", [0, 180, 0])], 4);
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

#[test]
fn images_that_a_classifier_was_trained_on_are_not_evaluated_as_held_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let encoder = trained(folder.path());
    for name in ["data/photos", "other/photos"] {
        colored(&folder.path().join(name), "", COLORS, 12);
    }
    let (data, other, out) = (at("data/photos"), at("other/photos"), at("tuned"));
    let fixed = ["finetune", "--weights", path(&encoder)];
    let sets = [
        "train.epochs=1",
        "train.batch_size=8",
        "optimizer.warmup_epochs=0",
    ];
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let train = |out: &Path, more: &[&str]| {
        let named = [
            "--data",
            path(&data),
            "--out",
            path(out),
            "--json",
            "--seed",
            "5",
        ];
        let mut command = semaim(&[&fixed[..], &named, more].concat());
        command.args(sets.clone());
        json(&succeed(command))
    };
    let tuned = train(&out, &[]);
    let evaluate = |run: &Path, data: &Path, more: &[&str]| {
        let fixed = [
            "evaluate",
            "--weights",
            path(run),
            "--data",
            path(data),
            "--json",
        ];
        let ran = succeed(semaim(&[&fixed[..], more].concat()));
        (json(&ran), ran.stderr)
    };
    let (held_out, said) = evaluate(&out, &data, &[]);
    assert_eq!(held_out["confusion"], tuned["confusion"]);
    assert!(said.contains("by seed 5"), "{said}");
    let count = held_out["images"].as_u64().unwrap();
    assert!((1..24).contains(&count), "{held_out}");
    let (seen, _) = evaluate(&out, &data, &["--split", "train"]);
    assert_eq!(seen["images"], 24 - count);
    // Another set has nothing that was held out, and a model elsewhere tells nothing.
    let (all, said) = evaluate(&out, &other, &[]);
    assert_eq!(all["images"], 24);
    assert!(!said.contains("has seen"), "{said}");
    let alone = at("alone.safetensors");
    std::fs::copy(out.join("classifier.safetensors"), &alone).unwrap();
    let (all, said) = evaluate(&alone, &data, &[]);
    assert_eq!(all["images"], 24);
    assert!(said.contains("may have seen"), "{said}");
    // With images of its own to evaluate on nothing was held out.
    let whole = at("whole");
    train(&whole, &["--eval-data", path(&other)]);
    let (all, said) = evaluate(&whole, &data, &[]);
    assert_eq!(all["images"], 24);
    assert!(said.contains("has seen"), "{said}");
    // The report of the encoder says on what either was evaluated, and what was not as usual.
    let log = std::fs::read_to_string(encoder.join("evaluations.jsonl")).unwrap();
    let images = format!("\"{}, evaluated on {}\"", path(&data), path(&other));
    assert_eq!(log.matches(&images).count(), 1, "{log}");
    let setting = "\"1 epoch, batch 8, base_lr 5e-4, seed 5\"";
    assert_eq!(log.matches(setting).count(), 2, "{log}");
}

#[test]
fn a_classifier_predicts_with_numbers_and_with_options_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 8);
    colored(&data, "val", COLORS, 4);
    let out = folder.path().join("tuned");
    let mut command = semaim(&["finetune", "--weights", path(&encoder)]);
    command.args(["--data", path(&data), "--out", path(&out)]);
    command.args(["--set", "train.epochs=1", "--set", "train.batch_size=8"]);
    command.args(["--set", "optimizer.warmup_epochs=0"]);
    succeed(command);
    let predict = |weights: &Path, more: &[&str]| {
        let fixed = ["predict", "--weights", path(weights), "--data", path(&data)];
        semaim(&[&fixed[..], more].concat())
    };
    succeed(predict(&out, &["--top", "2"]));
    refuse(
        predict(&out, &["--picture-score", "0.9"]),
        &["--picture-score is for detectors", "is a classifier"],
    );
    refuse(
        predict(&out, &["--pictures", "seen"]),
        &[
            "--pictures is for detectors and segmenters",
            "is a classifier",
        ],
    );
    // A class that is never taken: all probabilities are numbers.
    let mut bytes = std::fs::read(out.join("classifier.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    // A checksum of another name is none.
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
    let header = header.replace("crc32c", "crc32d").into_bytes();
    bytes.splice(8..8 + length, header);
    let at = {
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let bias = tensors.tensor("head.bias").unwrap().data().as_ptr() as usize;
        bias - bytes.as_ptr() as usize
    };
    bytes[at..at + 4].copy_from_slice(&f32::NEG_INFINITY.to_le_bytes());
    let broken = folder.path().join("broken.safetensors");
    std::fs::write(&broken, bytes).unwrap();
    refuse(
        predict(&broken, &[]),
        &["broken.safetensors", "head.bias is not finite"],
    );
}
