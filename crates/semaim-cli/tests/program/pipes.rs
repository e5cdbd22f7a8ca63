//! Where standard output and the terminal go away, and what is shown where there is no terminal.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::evaluate::{COLORS, colored, path, trained};
use crate::runner::{Ran, encoder, lines, pretrain, run, semaim, succeed};

/// Starts a command whose reader closes both pipes before it has said a word.
fn without_reader(mut command: Command) -> Child {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    drop(child.stderr.take());
    child
}

/// Runs with standard output into a file that takes nothing.
#[cfg(target_os = "linux")]
fn onto_full_disk(mut command: Command) -> Ran {
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    command.stdout(full.unwrap());
    run_with(command)
}

#[cfg(target_os = "linux")]
fn run_with(mut command: Command) -> Ran {
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    child.wait_with_output().unwrap().into()
}

#[cfg(unix)]
fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Waits until something is true of a process that runs.
#[cfg(unix)]
fn until(child: &mut Child, mut holds: impl FnMut() -> bool) {
    while !holds() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
}

#[test]
fn training_goes_on_when_nobody_reads() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, lost) = (folder.path().join("whole"), folder.path().join("lost"));
    succeed(pretrain(&whole, &[]));
    let ended = without_reader(pretrain(&lost, &[])).wait().unwrap();
    assert_eq!(ended.code(), Some(0));
    assert_eq!(encoder(&whole), encoder(&lost));
}

#[cfg(target_os = "linux")]
#[test]
fn training_goes_on_when_its_output_does_not_fit_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let ran = onto_full_disk(pretrain(folder.path(), &[]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("going on without"), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "said once: {}", ran.stderr);
    encoder(folder.path());
}

#[cfg(unix)]
#[test]
fn a_terminal_that_hangs_up_does_not_stop_training() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = pretrain(folder.path(), &["--set", "train.epochs=6"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    until(&mut child, || {
        lines(&folder.path().join("metrics.jsonl")) >= 4
    });
    send("-HUP", &child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    encoder(folder.path());
}

#[cfg(unix)]
#[test]
fn a_run_that_was_stopped_shows_nothing_that_it_did_not_measure() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["--set", "train.epochs=400", "--set", "eval.every_epochs=0"];
    for (more, signal) in [(&["--json"][..], "-INT"), (&[], "-TERM")] {
        let mut command = pretrain(folder.path(), &[&settings[..], more].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = folder.path().join("metrics.jsonl");
        let before = lines(&log);
        until(&mut child, || lines(&log) >= before + 4);
        send(signal, &child);
        let ran: Ran = child.wait_with_output().unwrap().into();
        assert_eq!(ran.code, Some(130), "{}{}", ran.stdout, ran.stderr);
        if more.is_empty() {
            let said = "before, not measured since";
            assert!(ran.stdout.contains(said), "{}", ran.stdout);
            assert!(!ran.stdout.contains("% now"), "{}", ran.stdout);
        } else {
            let result: Value = serde_json::from_str(&ran.stdout).unwrap();
            assert!(result["knn_top1_before"].is_number(), "{result}");
            assert!(result["knn_top1"].is_null(), "{result}");
        }
    }
}

#[test]
fn other_commands_end_quietly_when_the_reader_has_enough() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = trained(folder.path());
    let weights = path(&run_dir);
    for arguments in [
        &["inspect", weights, "--tensors"][..],
        &["recipes", "show", "quickstart"],
        &["pretrain", "--dry-run"],
        &["completions", "zsh"],
        &["man"],
        &["knn", "--weights", weights, "--data", "shapes", "--k", "1"],
    ] {
        let mut command = semaim(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ran: Ran = child.wait_with_output().unwrap().into();
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stderr, "", "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn other_commands_say_when_their_output_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = trained(folder.path());
    for arguments in [
        &["inspect", path(&run_dir)][..],
        &["recipes"],
        &["completions", "bash"],
        &["man"],
    ] {
        let ran = onto_full_disk(semaim(arguments));
        assert_eq!(ran.code, Some(2), "{arguments:?}");
        assert!(ran.stderr.contains("standard output"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
}

#[cfg(unix)]
#[test]
fn a_stopped_embed_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = trained(folder.path());
    let out = folder.path().join("new/vectors.npy");
    let mut command = semaim(&["embed", "--weights", path(&run_dir), "--data", "shapes"]);
    command.args(["--out", path(&out), "--batch-size", "1", "--workers", "1"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let started = || fs::read_dir(out.parent().unwrap()).is_ok_and(|files| files.count() > 0);
    until(&mut child, started);
    assert!(started(), "nothing was started");
    send("-TERM", &child);
    let code = child.wait().unwrap().code();
    let left: Vec<_> = fs::read_dir(out.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    match code {
        Some(130) => assert!(left.is_empty(), "{left:?}"),
        // It was faster than the signal.
        _ => assert!(code == Some(0) && out.exists(), "{code:?} {left:?}"),
    }
}

#[test]
fn without_a_terminal_lines_say_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut command = pretrain(&out, &[]);
    command.env("SEMAIM_PROGRESS_SECONDS", "0");
    let ran = succeed(command);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 15, "{}", ran.stderr);
    for (line, step) in lines.iter().zip(1..) {
        assert!(line.starts_with(&format!("step {step}/15 ")), "{line}");
        for part in ["epoch ", "loss ", "lr ", "img/s", " left"] {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(line.len() <= 80, "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
    let vectors = folder.path().join("v.npy");
    let mut command = semaim(&["embed", "--weights", path(&out), "--data", "shapes"]);
    command.args(["--out", path(&vectors), "--batch-size", "500"]);
    command.env("SEMAIM_PROGRESS_SECONDS", "0");
    let ran = succeed(command);
    assert!(ran.stderr.contains(" images  "), "{}", ran.stderr);
    assert!(ran.stderr.contains("img/s"), "{}", ran.stderr);
}

/// Runs in a terminal of 80 columns; `None` where there is no program that makes one.
#[cfg(target_os = "linux")]
fn in_terminal(command: &Command, term: &str) -> Option<String> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| format!("'{}'", word.to_str().unwrap()));
    let line = format!(
        "stty cols 80; exec {}",
        quoted.collect::<Vec<_>>().join(" ")
    );
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env("TERM", term);
    let output = script.stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(target_os = "linux")]
#[test]
fn the_bar_fits_a_terminal_of_80_columns() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--set", "train.epochs=40", "--set", "eval.every_epochs=0"];
    let command = pretrain(&folder.path().join("bar"), &more);
    let Some(shown) = in_terminal(&command, "xterm") else {
        return;
    };
    let drawn: Vec<String> = shown.split(['\r', '\n']).map(visible).collect();
    let bars: Vec<&String> = drawn.iter().filter(|line| line.contains("loss")).collect();
    assert!(!bars.is_empty(), "{shown}");
    for line in bars {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let command = pretrain(&folder.path().join("dumb"), &[]);
    let shown = in_terminal(&command, "dumb").unwrap();
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

/// A line without what moves the cursor or sets colors.
#[cfg(target_os = "linux")]
fn visible(line: &str) -> String {
    let mut visible = String::new();
    let mut rest = line.chars();
    while let Some(next) = rest.next() {
        match next {
            '\u{1b}' => {
                // The sequence ends with a letter.
                rest.find(char::is_ascii_alphabetic);
            }
            next if next.is_control() => {}
            next => visible.push(next),
        }
    }
    visible
}

#[test]
fn log_files_hold_no_colors() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 20);
    fs::write(data.join("train/blue/3.bmp"), "BM broken").unwrap();
    let out = folder.path().join("run");
    let ran = run(pretrain(
        &out,
        &["--data", path(&data), "--set", "data.max_bad_fraction=0.5"],
    ));
    assert!(ran.stderr.contains("3.bmp"), "{}", ran.stderr);
    assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
    assert!(!ran.stderr.contains("bug in semaim"), "{}", ran.stderr);
    assert!(ran.stdout.contains("left out"), "{}", ran.stdout);
}
