//! Running the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use semaim_checkpoint::tensors::TensorFile;
use serde_json::Value;

/// Settings of a model that trains in well under a second.
pub(crate) const SMALL: &[&str] = &[
    "model.image_size=[16,24]",
    "model.patch_size=8",
    "model.channels=3",
    "model.embed_dim=16",
    "model.depth=2",
    "model.num_heads=2",
    "decoder.query_depth=1",
    "train.epochs=3",
    "train.batch_size=8",
    "optimizer.warmup_epochs=1",
    "data.shapes_count=40",
    "data.shapes_eval_count=20",
    "eval.pictures=2",
    "log.every_steps=1",
];

/// The program, with no terminal and no environment of ours.
pub(crate) fn semaim(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_semaim"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// `semaim pretrain` of the small model into `out`, with more arguments.
pub(crate) fn pretrain(out: &Path, more: &[&str]) -> Command {
    let mut command = semaim(&["pretrain", "--out"]);
    command.arg(out);
    for setting in SMALL {
        command.args(["--set", setting]);
    }
    command.args(more);
    command
}

/// What a run said and how it ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

pub(crate) fn run(mut command: Command) -> Ran {
    command.output().expect("the program starts").into()
}

/// Runs and expects success.
pub(crate) fn succeed(command: Command) -> Ran {
    let ran = run(command);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    ran
}

/// The whole lines of a file that a process may be writing; none where there is no file yet.
pub(crate) fn lines(file: &Path) -> usize {
    let text = std::fs::read(file).unwrap_or_default();
    text.iter().filter(|&&byte| byte == b'\n').count()
}

/// Starts a training and kills it when the log of its run `out` has `logged` whole lines.
pub(crate) fn killed(mut command: Command, out: &Path, logged: usize) {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    let log = out.join("metrics.jsonl");
    while lines(&log) < logged && child.try_wait().expect("a child").is_none() {
        std::thread::yield_now();
    }
    child.kill().expect("a child");
    child.wait().expect("a child");
}

/// Runs and expects a user's mistake whose message holds all of `parts`, without a panic.
pub(crate) fn refuse(command: Command, parts: &[&str]) -> Ran {
    let ran = run(command);
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    for part in parts {
        assert!(
            ran.stderr.contains(part),
            "`{part}` is missing in: {}",
            ran.stderr
        );
    }
    ran
}

/// The entries of a run's log.
pub(crate) fn metrics(out: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out.join("metrics.jsonl")).expect("a log");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect()
}

/// A copy of a model whose weights are finite and whose answers are no numbers.
pub(crate) fn overflowing(model: &Path) -> PathBuf {
    let mut file = TensorFile::read(model).unwrap();
    for (name, weight) in &mut file.weights {
        if name.ends_with("patch_embed.proj.weight") {
            weight.values.fill(3e38);
        }
    }
    let copy = model.with_file_name("overflowing.safetensors");
    file.write(&copy).unwrap();
    copy
}

/// Refuses losses that differ by more than rounding.
pub(crate) fn close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    for (x, y) in a.iter().zip(b) {
        assert!((x - y).abs() < 1e-3 * x.abs(), "{a:?} {b:?}");
    }
}

/// Values of one name in a run's log, in order.
pub(crate) fn values(out: &Path, name: &str) -> Vec<f64> {
    metrics(out)
        .iter()
        .filter_map(|entry| entry.get(name)?.as_f64())
        .collect()
}

pub(crate) fn encoder(out: &Path) -> Vec<u8> {
    std::fs::read(out.join("encoder.safetensors")).expect("an encoder")
}
