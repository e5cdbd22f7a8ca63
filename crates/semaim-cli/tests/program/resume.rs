//! A run that was stopped, in whatever way, ends with the bytes of one that was not.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::evaluate::{COLORS, colored};
use crate::runner::{self, Ran, encoder, pretrain, refuse, run, succeed, values};

/// What the runs of this file share: enough steps to be killed in the middle of.
const LONGER: &[&str] = &[
    "--set",
    "train.epochs=6",
    "--set",
    "checkpoint.every_steps=1",
    "--set",
    "train.ema=true",
    "--set",
    "train.drop_path=0.2",
    "--set",
    "order.source=ema",
    "--set",
    "eval.every_epochs=2",
];

fn checkpoints(out: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(out.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    files.sort();
    files
}

#[test]
fn killed_twice_ends_with_the_same_bytes() {
    killed_twice(LONGER);
}

#[test]
fn a_masked_autoencoder_killed_twice_ends_with_the_same_bytes() {
    let mae = [
        "method=mae",
        "mae.decoder_dim=8",
        "mae.decoder_depth=1",
        "mae.decoder_heads=2",
        "order.source=model",
    ];
    let mae = mae.iter().flat_map(|setting| ["--set", setting]);
    killed_twice(&LONGER.iter().copied().chain(mae).collect::<Vec<_>>());
}

#[test]
fn a_run_of_cheaper_steps_killed_twice_ends_with_the_same_bytes() {
    let some = [
        "decoder.query_dim=8",
        "decoder.predict_fraction=0.5",
        "train.grad_accum_steps=2",
        "model.image_size=[16,32]",
        "order.downscale=2",
    ];
    let some = some.iter().flat_map(|setting| ["--set", setting]);
    killed_twice(&LONGER.iter().copied().chain(some).collect::<Vec<_>>());
}

fn killed_twice(settings: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    succeed(pretrain(&whole, settings));
    for lines in [5, 14] {
        runner::killed(pretrain(&killed, settings), &killed, lines);
    }
    let last = succeed(pretrain(&killed, settings));
    assert!(
        last.stdout.contains("resuming after step"),
        "{}",
        last.stdout
    );
    assert_eq!(encoder(&killed), encoder(&whole));
    let ema = |out: &Path| fs::read(out.join("encoder_ema.safetensors")).unwrap();
    assert_eq!(ema(&killed), ema(&whole));
    assert_ne!(ema(&whole), encoder(&whole));
    // Neither a step nor an evaluation is logged twice.
    for name in ["train/loss", "eval/knn_top1"] {
        assert_eq!(values(&killed, name), values(&whole, name), "{name}");
    }
}

#[test]
fn workers_and_threads_do_not_change_the_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let with = |name: &str, workers: &str, threads: &str| {
        let out = folder.path().join(name);
        let mut command = pretrain(&out, &["--set", workers]);
        command.env("RAYON_NUM_THREADS", threads);
        succeed(command);
        encoder(&out)
    };
    let one = with("a", "data.workers=1", "1");
    assert_eq!(with("b", "data.workers=5", "3"), one);
    let seed = folder.path().join("seed");
    succeed(pretrain(&seed, &["--seed", "1"]));
    assert_ne!(encoder(&seed), one);
}

#[test]
fn a_damaged_newest_checkpoint_is_reported_and_the_one_before_it_used() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, damaged) = (folder.path().join("whole"), folder.path().join("damaged"));
    succeed(pretrain(&whole, LONGER));
    runner::killed(pretrain(&damaged, LONGER), &damaged, 12);
    let newest = checkpoints(&damaged).pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).unwrap();
    let ran = succeed(pretrain(&damaged, LONGER));
    assert!(ran.stderr.contains("is damaged"), "{}", ran.stderr);
    assert_eq!(encoder(&damaged), encoder(&whole));
}

#[test]
fn the_newest_two_and_every_nth_checkpoint_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = LONGER.to_vec();
    arguments.extend(["--set", "checkpoint.keep_every_epochs=2"]);
    succeed(pretrain(folder.path(), &arguments));
    let names: Vec<String> = checkpoints(folder.path())
        .iter()
        .map(|p| p.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        names,
        [
            "step-000000010",
            "step-000000020",
            "step-000000029",
            "step-000000030"
        ]
    );
}

#[cfg(unix)]
#[test]
fn a_signal_saves_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
    let long = ["--set", "train.epochs=40"];
    let mut child = pretrain(&stopped, &long)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The kNN line before the first step says that the handler stands.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.contains("kNN"))
        .unwrap();
    let interrupted = run({
        let mut kill = std::process::Command::new("kill");
        kill.args(["-INT", &child.id().to_string()]);
        kill
    });
    assert_eq!(interrupted.code, Some(0));
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(
        rest.iter()
            .any(|line| line.contains("the same command goes on")),
        "{rest:?}"
    );
    let before = values(&stopped, "train/loss").len();
    assert!(before < 200, "it ran to its end");
    succeed(pretrain(&stopped, &long));
    succeed(pretrain(&whole, &long));
    assert_eq!(encoder(&stopped), encoder(&whole));
}

#[test]
fn a_run_that_lost_its_checkpoints_never_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    runner::killed(pretrain(&out, LONGER), &out, 12);
    for file in checkpoints(&out) {
        fs::write(file, b"damaged").unwrap();
    }
    let log = fs::read(out.join("metrics.jsonl")).unwrap();
    for _ in 0..2 {
        refuse(pretrain(&out, LONGER), &["no checkpoint", "damaged"]);
    }
    fs::remove_dir_all(out.join("checkpoints")).unwrap();
    refuse(pretrain(&out, LONGER), &["no checkpoint"]);
    assert_eq!(fs::read(out.join("metrics.jsonl")).unwrap(), log);
}

#[test]
fn the_same_images_are_the_same_experiment_however_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (out, data) = (folder.path().join("run"), folder.path().join("val"));
    colored(&data, "train", COLORS, 16);
    let with = |data: &str, more: &[&str]| {
        let few = ["--data", data, "--set", "train.epochs=2"];
        let mut command = pretrain(&out, &[&few[..], more].concat());
        command.current_dir(folder.path());
        command
    };
    succeed(with(data.to_str().unwrap(), &[]));
    let already = |ran: Ran| assert!(ran.stdout.contains("finished"), "{}", ran.stdout);
    for named in ["val", "val/", "./val", "val/../val"] {
        already(succeed(with(named, &[])));
    }
    fs::rename(&data, folder.path().join("moved")).unwrap();
    refuse(with("moved", &[]), &["data.path", "--data-moved"]);
    already(succeed(with("moved", &["--data-moved"])));
    already(succeed(with("moved", &[])));
}

#[test]
fn a_run_of_few_steps_says_what_to_set() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        "--set",
        "data.shapes_count=40",
        "--set",
        "train.batch_size=32",
    ];
    let warm = [
        "--set",
        "train.epochs=3",
        "--set",
        "optimizer.warmup_epochs=1",
    ];
    let settings = [&settings[..], &warm].concat();
    let said = "1 step per epoch, 3 in all, 1 of them warm-up";
    for more in [&["--dry-run"][..], &[]] {
        let ran = succeed(pretrain(folder.path(), &[&settings[..], more].concat()));
        assert!(ran.stdout.contains(said), "{}", ran.stdout);
        assert!(ran.stdout.contains("train.batch_size=2 "), "{}", ran.stdout);
    }
}
