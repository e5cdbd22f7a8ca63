//! What a user has is kept: no command writes over what it reads, and nothing goes on with other images than it began with.

use std::fs;
use std::path::{Path, PathBuf};

use crate::evaluate::{COLORS, colored, json, path, trained};
use crate::runner::{pretrain, refuse, run, semaim, succeed};

const QUICK: &[&str] = &["--set", "train.epochs=2", "--set", "eval.every_epochs=0"];

/// Runs a command that is refused, after which the file holds what it held.
fn refuse_to_touch(file: &Path, arguments: &[&str]) {
    let before = fs::read(file).unwrap();
    refuse(semaim(arguments), &["is read by this command"]);
    assert_eq!(fs::read(file).unwrap(), before, "{arguments:?}");
}

/// What `semaim embed` is told.
fn embed<'a>(weights: &'a Path, data: &'a Path, out: &'a Path) -> [&'a str; 7] {
    let [weights, data, out] = [weights, data, out].map(path);
    ["embed", "--weights", weights, "--data", data, "--out", out]
}

/// Pre-trains on the images of a folder.
fn run_on(data: &Path, out: &Path, more: &[&str]) -> std::process::Command {
    pretrain(out, &[QUICK, &["--data", path(data)], more].concat())
}

#[test]
fn what_is_read_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = trained(folder.path());
    colored(&at("data"), "train", COLORS, 6);
    let image = |name: &str| at("data").join("train/red").join(name);
    let list = at("mine.csv");
    fs::write(&list, format!("{}\n", image("0.bmp").display())).unwrap();
    let (weights, data) = (["--weights", path(&run)], at("data"));
    let encoder = run.join("encoder.safetensors");
    // The list of names beside the vectors would be the list of images.
    refuse_to_touch(&list, &embed(&run, &list, &at("mine.npy")));
    refuse_to_touch(&encoder, &embed(&run, &data, &encoder));
    // A link leads to the same file.
    let picture = at("picture.png");
    fs::copy(run.join("orders.png"), &picture).unwrap();
    let mut shown = vec![picture.clone()];
    #[cfg(unix)]
    {
        fs::create_dir(at("links")).unwrap();
        std::os::unix::fs::symlink(&picture, at("links/other.png")).unwrap();
        shown.extend([at("links"), at("links/other.png")]);
    }
    for shown in &shown {
        let images = ["--images", path(shown), "--out", path(&picture)];
        refuse_to_touch(
            &picture,
            &[&["show", weights[0], weights[1]], &images[..]].concat(),
        );
    }
    let export = ["export", weights[0], weights[1], "--layout", "timm", "--to"];
    refuse_to_touch(&encoder, &[&export[..], &[path(&encoder)]].concat());
    // Other names are free, and so are the program's own earlier answers, among the run's files, too.
    for out in [at("v.npy"), run.join("encoder-vectors.safetensors")] {
        for _ in 0..2 {
            succeed(semaim(&embed(&run, &data, &out)));
        }
    }
}

#[test]
fn what_fails_leaves_the_earlier_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = trained(folder.path());
    colored(&at("data"), "train", COLORS, 3);
    fs::create_dir(at("junk")).unwrap();
    fs::write(at("junk/a.png"), b"junk").unwrap();
    let out = at("v.npy");
    let embed = |data: &str| semaim(&embed(&run, &at(data), &out));
    succeed(embed("data"));
    let kept = || [fs::read(&out).unwrap(), fs::read(at("v.csv")).unwrap()];
    let before = kept();
    refuse(embed("junk"), &["no image could be read"]);
    assert_eq!(kept(), before);
}

#[test]
fn run_directories_among_the_images_are_no_images() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    colored(folder.path(), "photos", COLORS, 8);
    let photos = at("photos");
    let command = |more: &[&str]| run_on(&photos, &photos.join("runs/first"), more);
    succeed(command(&["--set", "eval.pictures=2"]));
    assert!(photos.join("runs/first/orders.png").is_file());
    // The same command goes on, and does not find more images.
    let again = succeed(command(&["--extend", "3", "--set", "eval.pictures=2"]));
    assert!(again.stderr.contains("runs/first"), "{}", again.stderr);
    let stats = json(&succeed(semaim(&["stats", path(&photos), "--json"])));
    let text = stats.to_string();
    assert!(
        text.contains("\"blue\"") && !text.contains("\"runs\""),
        "{text}"
    );
}

#[test]
fn a_run_goes_on_with_the_images_that_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    colored(&at("data"), "train", COLORS, 8);
    let data = at("data");
    let command = |more: &[&str]| run_on(&data, &at("out"), more);
    succeed(command(&[]));
    let config = || fs::read_to_string(at("out/config.toml")).unwrap();
    let before = config();
    let image = |name: &str| at("data/train/red").join(name);
    fs::rename(image("3.bmp"), image("30.bmp")).unwrap();
    refuse(command(&["--extend", "3"]), &["16 images", "other names"]);
    // What was refused has not lengthened the run.
    assert_eq!(config(), before);
    fs::rename(image("30.bmp"), image("3.bmp")).unwrap();
    fs::rename(image("7.bmp"), at("7.bmp")).unwrap();
    refuse(command(&["--extend", "3"]), &["15 images", "16"]);
    assert_eq!(config(), before);
    fs::rename(at("7.bmp"), image("7.bmp")).unwrap();
    succeed(command(&["--extend", "3"]));
    assert_ne!(config(), before);
    // Elsewhere they are the same images.
    fs::rename(at("data"), at("moved")).unwrap();
    let moved = at("moved");
    let more = ["--extend", "4", "--data-moved"];
    succeed(run_on(&moved, &at("out"), &more));
    // What classes are called means nothing to pre-training.
    fs::rename(moved.join("train/red"), moved.join("train/ruby")).unwrap();
    succeed(run_on(&moved, &at("out"), &["--extend", "5"]));
}

#[test]
fn classes_that_are_called_otherwise_are_other_classes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = trained(folder.path());
    for split in ["train", "val"] {
        colored(&at("data"), split, COLORS, 8);
    }
    let data = at("data");
    let finetune = |epochs: &str| {
        let fixed = [
            "finetune",
            "--weights",
            path(&run),
            "--data",
            path(&data),
            "--out",
        ];
        let mut command = semaim(&fixed);
        command.arg(at("tuned"));
        for setting in [
            "train.epochs=2",
            "train.batch_size=8",
            "optimizer.warmup_epochs=0",
        ] {
            command.args(["--set", setting]);
        }
        command.args(["--set", epochs]);
        command
    };
    succeed(finetune("eval.every_epochs=1"));
    // `blue` sorts behind `red` now, and takes its number.
    for split in ["train", "val"] {
        let split = at("data").join(split);
        fs::rename(split.join("blue"), split.join("sky")).unwrap();
    }
    refuse(finetune("eval.every_epochs=2"), &["names of classes"]);
}

#[test]
fn a_split_that_is_not_there_is_not_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = trained(folder.path());
    colored(&at("data"), "train", COLORS, 3);
    for data in [at("data"), at("data/train")] {
        let fixed = [
            "--weights",
            path(&run),
            "--data",
            path(&data),
            "--split",
            "eval",
        ];
        for (command, out) in [
            ("embed", at("v.npy")),
            ("maps", at("maps").join(data.file_name().unwrap())),
        ] {
            let arguments = [&[command], &fixed[..], &["--out", path(&out)]].concat();
            let ran = succeed(semaim(&arguments));
            assert!(ran.stderr.contains("is not divided"), "{}", ran.stderr);
        }
    }
    colored(&at("data"), "val", COLORS, 2);
    let data = at("data");
    let out = at("v.npy");
    let eval = ["--split", "eval", "--json"];
    let ran = succeed(semaim(&[&embed(&run, &data, &out)[..], &eval].concat()));
    assert_eq!(json(&ran)["images"], 4);
    assert!(!ran.stderr.contains("is not divided"), "{}", ran.stderr);
}

#[test]
fn what_a_file_of_ours_says_is_not_contradicted() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    colored(&folder.path().join("data"), "train", COLORS, 3);
    let (data, out) = (folder.path().join("data"), folder.path().join("v.npy"));
    let embed = |more: &[&str]| semaim(&[&embed(&run, &data, &out)[..], more].concat());
    refuse(embed(&["--heads", "4"]), &["2 attention heads", "4"]);
    refuse(
        embed(&["--activation", "quick-gelu"]),
        &["gelu", "quick-gelu"],
    );
    succeed(embed(&["--heads", "2", "--activation", "gelu"]));
}

#[test]
fn a_setting_is_given_once() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    for (more, key) in [
        (["--seed", "3", "--set", "seed=5"], "seed is given twice"),
        (
            ["--data", "shapes", "--set", "data.path=photos"],
            "data.path is given twice",
        ),
        (
            ["--limit", "20", "--set", "data.limit=10"],
            "data.limit is given twice",
        ),
    ] {
        refuse(pretrain(&out, &more), &[key]);
    }
    assert!(!out.exists());
}

/// A folder of maps, and what is wrong with it.
#[test]
fn maps_are_of_one_kind_and_not_among_the_images() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let teacher = trained(folder.path());
    colored(&at("data"), "train", COLORS, 6);
    let maps = |data: &Path, out: &Path, more: &[&str]| {
        let fixed = [
            "maps",
            "--weights",
            path(&teacher),
            "--data",
            path(data),
            "--out",
            path(out),
        ];
        semaim(&[&fixed[..], more].concat())
    };
    let data = at("data");
    for out in [at("data"), at("data/maps"), at("data/train/red/maps")] {
        refuse(maps(&data, &out, &[]), &["maps are images, too"]);
    }
    assert!(!at("data/maps").exists());
    for _ in 0..2 {
        succeed(maps(&data, &at("maps"), &[]));
    }
    refuse(
        maps(&data, &at("maps"), &["--similarity", "self"]),
        &["with other settings (similarity)"],
    );
    fs::create_dir(at("junk")).unwrap();
    fs::write(at("junk/a.png"), b"junk").unwrap();
    refuse(
        maps(&at("junk"), &at("of-junk"), &[]),
        &["no image could be read"],
    );
    succeed(maps(&data, &at("of-junk"), &[]));
    // A map that cannot be read is called by its own name.
    let broken: PathBuf = at("maps").join("red/0.png");
    assert!(broken.is_file());
    fs::write(&broken, b"junk").unwrap();
    let order = format!("order.maps={}", at("maps").display());
    let ran = run(run_on(
        &data,
        &at("by-maps"),
        &[
            "--set",
            "order.source=maps",
            "--set",
            &order,
            "--set",
            "data.max_bad_fraction=0.9",
        ],
    ));
    assert!(ran.stderr.contains(path(&broken)), "{}", ran.stderr);
}

#[test]
fn a_run_keeps_its_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let teacher = trained(folder.path());
    let weights = format!("teacher.weights={}", teacher.display());
    let student = || {
        let more = ["--set", "order.source=teacher", "--set", &weights];
        pretrain(&at("student"), &[QUICK, &more].concat())
    };
    succeed(student());
    let other = at("other");
    succeed(pretrain(&other, &[QUICK, &["--seed", "1"]].concat()));
    let encoder = teacher.join("encoder.safetensors");
    let before = fs::read(&encoder).unwrap();
    fs::copy(other.join("encoder.safetensors"), &encoder).unwrap();
    refuse(student(), &["is not the teacher", "student"]);
    fs::write(&encoder, before).unwrap();
    succeed(student());
}
