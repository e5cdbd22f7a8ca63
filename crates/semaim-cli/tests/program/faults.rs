//! Bad input gets a clear error, exit code 2, and nothing is lost.

use std::fs;
use std::path::Path;

use crate::runner::{encoder, metrics, pretrain, refuse, run, semaim, succeed, values};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn settings_that_are_wrong_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    for (setting, parts) in [
        (
            "train.epoch=3",
            &["unknown key `train.epoch`", "train.epochs"][..],
        ),
        ("train.epochs=ten", &["train.epochs", "integer"]),
        ("train.epochs=0", &["train.epochs", "at least 1"]),
        (
            "model.image_size=[30,24]",
            &["model.image_size", "30", "patch_size 8"],
        ),
        ("model.embed_dim=18", &["model.embed_dim"]),
        ("model.num_heads=3", &["model.embed_dim", "num_heads 3"]),
        ("order.kind=spiral", &["order.kind", "raster"]),
        ("nonsense", &["nonsense"]),
    ] {
        refuse(pretrain(&out, &["--set", setting]), parts);
    }
    let config = folder.path().join("mine.toml");
    fs::write(&config, "[train]\nepochs = 3\nbatchsize = 8\n").unwrap();
    refuse(
        pretrain(&out, &["--config", text(&config)]),
        &["mine.toml:3", "train.batch_size"],
    );
    fs::write(&config, "[train\n").unwrap();
    refuse(
        pretrain(&out, &["--config", text(&config)]),
        &["mine.toml:1"],
    );
    refuse(
        pretrain(&out, &["--config", "nowhere.toml"]),
        &["nowhere.toml"],
    );
    refuse(
        pretrain(&out, &["--recipe", "vit-z"]),
        &["vit-z", "quickstart"],
    );
    assert!(!out.exists());
}

#[test]
fn data_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    refuse(
        pretrain(&out, &["--data", "no/such/folder"]),
        &["no/such/folder"],
    );
    refuse(pretrain(&out, &["--data", text(&empty)]), &["empty", "jpg"]);
    fs::write(empty.join("a.txt"), "not an image").unwrap();
    refuse(pretrain(&out, &["--data", text(&empty)]), &["empty"]);
    fs::write(empty.join("a.jpg"), "").unwrap();
    refuse(
        pretrain(&out, &["--data", text(&empty)]),
        &["than the 1 there are", "batch"],
    );
    refuse(
        pretrain(
            &out,
            &["--data", text(&empty), "--set", "train.batch_size=1"],
        ),
        &["a.jpg"],
    );
    let broken = folder.path().join("broken.tar");
    fs::write(&broken, vec![7; 700]).unwrap();
    refuse(pretrain(&out, &["--data", text(&broken)]), &["broken.tar"]);
    refuse(pretrain(&out, &["--eval-data", text(&empty)]), &["labels"]);
}

#[test]
fn one_bad_image_is_replaced_and_many_stop_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    // 1 × 1 images are images.
    for i in 0..40 {
        fs::write(images.join(format!("{i:02}.bmp")), one_pixel(i)).unwrap();
    }
    fs::write(images.join("07.bmp"), "BM broken").unwrap();
    let out = folder.path().join("run");
    let arguments = [
        "--data",
        text(&images),
        "--set",
        "data.max_bad_fraction=0.1",
    ];
    let ran = succeed(pretrain(&out, &arguments));
    assert!(ran.stderr.contains("07.bmp"), "{}", ran.stderr);
    let bad: Vec<_> = metrics(&out)
        .into_iter()
        .filter(|entry| entry["event"] == "bad_image")
        .collect();
    assert!(
        !bad.is_empty()
            && bad
                .iter()
                .all(|entry| entry["image"].as_str().unwrap().contains("07.bmp"))
    );
    assert_eq!(
        values(&out, "train/bad_images").last(),
        Some(&(bad.len() as f64))
    );

    for i in 10..30 {
        fs::write(images.join(format!("{i:02}.bmp")), "BM broken").unwrap();
    }
    let out = folder.path().join("second");
    refuse(pretrain(&out, &arguments), &["max_bad_fraction", ".bmp"]);
}

#[test]
fn a_huge_image_is_refused_from_its_header() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = one_pixel(0);
    bytes[18..22].copy_from_slice(&20_000_u32.to_le_bytes());
    bytes[22..26].copy_from_slice(&20_000_u32.to_le_bytes());
    for i in 0..8 {
        fs::write(folder.path().join(format!("{i}.bmp")), &bytes).unwrap();
    }
    let out = folder.path().join("run");
    let ran = run(pretrain(&out, &["--data", text(folder.path())]));
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("20000"), "{}", ran.stderr);
}

#[test]
fn another_experiments_folder_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    succeed(pretrain(&out, &[]));
    let before = encoder(&out);
    refuse(
        pretrain(&out, &["--seed", "3"]),
        &["another experiment", "seed (0 then, 3 now)"],
    );
    refuse(
        pretrain(&out, &["--set", "train.epochs=9"]),
        &["train.epochs (3 then, 9 now)"],
    );
    assert_eq!(encoder(&out), before);
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    fs::write(photos.join("holiday.txt"), "precious").unwrap();
    refuse(pretrain(&photos, &[]), &["photos", "not empty"]);
    assert_eq!(fs::read_dir(&photos).unwrap().count(), 1);
    let file = folder.path().join("file");
    fs::write(&file, "precious").unwrap();
    refuse(pretrain(&file, &[]), &["file"]);
    refuse(pretrain(&file.join("below"), &[]), &["file"]);
}

#[test]
fn data_that_changed_cannot_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    for i in 0..16 {
        fs::write(images.join(format!("{i:02}.bmp")), one_pixel(i)).unwrap();
    }
    let out = folder.path().join("run");
    succeed(pretrain(&out, &["--data", text(&images)]));
    fs::write(images.join("99.bmp"), one_pixel(9)).unwrap();
    refuse(pretrain(&out, &["--data", text(&images)]), &["17", "16"]);
}

#[test]
fn devices_that_are_not_there_are_answered_with_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    refuse(
        pretrain(&out, &["--device", "toaster"]),
        &["toaster", "Devices that are there: cpu"],
    );
    refuse(pretrain(&out, &["--device", "cuda:x"]), &["cuda:x"]);
    refuse(
        pretrain(&out, &["--device", "cpu:1"]),
        &["cpu:1", "Devices that are there: cpu"],
    );
    if !cfg!(feature = "cuda") {
        refuse(
            pretrain(&out, &["--device", "cuda:0"]),
            &["--features cuda", "Devices that are there: cpu"],
        );
    }
}

#[test]
fn numbers_that_are_not_finite_stop_the_run_or_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    // A learning rate that throws the weights to infinity.
    let wild = [
        "--set",
        "optimizer.base_lr=1e38",
        "--set",
        "train.clip_norm=0.0",
        "--set",
        "eval.pictures=0",
        "--set",
        "eval.every_epochs=0",
        "--set",
        "data.eval=shapes",
    ];
    let ran = refuse(
        pretrain(&out, &wild),
        &["step ", "--on-nan skip", "base_lr"],
    );
    assert!(out.join("encoder.safetensors").exists(), "{}", ran.stderr);
    let mut skip = wild.to_vec();
    skip.extend(["--on-nan", "skip"]);
    // All steps but the first are left out: that is no training.
    let parts = ["is left out", "steps have been left out", "base_lr"];
    let ran = refuse(pretrain(&out, &skip), &parts);
    assert!(!ran.stderr.contains("--on-nan"), "{}", ran.stderr);
    // Nor does it become one step by step.
    let steps = metrics(&out).len();
    for _ in 0..2 {
        refuse(pretrain(&out, &skip), &parts[1..]);
    }
    assert_eq!(metrics(&out).len(), steps);
    assert!(
        values(&out, "train/skipped_steps")
            .last()
            .is_some_and(|&count| count > 0.0)
    );
    refuse(
        pretrain(&out, &["--on-nan", "ignore"]),
        &["train.on_nan", "skip"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_or_a_read_only_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    refuse(pretrain(Path::new("/proc/semaim"), &[]), &["/proc/semaim"]);
    // A file size limit ends writes like a full disk does; the shell ignores the signal that comes with it.
    let out = folder.path().join("run");
    let inner = pretrain(&out, &[]);
    let mut command = std::process::Command::new("bash");
    command.args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\""]);
    command.arg(inner.get_program()).args(inner.get_args());
    let ran = refuse(command, &["writing"]);
    assert!(!ran.stdout.contains("finished in"), "{}", ran.stdout);
    let left: Vec<_> = fs::read_dir(out.join("checkpoints")).unwrap().collect();
    assert!(left.is_empty(), "half a checkpoint is left: {left:?}");
    succeed(pretrain(&out, &[]));
}

#[test]
fn unknown_commands_and_options_are_usage_errors() {
    refuse(semaim(&["pretrian"]), &["pretrian", "pretrain"]);
    refuse(semaim(&["pretrain", "--dta", "x"]), &["--dta"]);
    refuse(semaim(&["bench", "loader", "--image-size", "0"]), &["0"]);
    refuse(
        semaim(&["bench", "loader", "--data", "no/such/folder"]),
        &["no/such/folder"],
    );
}

/// A BMP file of one pixel.
fn one_pixel(shade: u8) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    bytes.extend(58_u32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(54_u32.to_le_bytes());
    bytes.extend(40_u32.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(24_u16.to_le_bytes());
    bytes.extend([0; 24]);
    bytes.extend([shade, 100, 200, 0]);
    bytes
}
