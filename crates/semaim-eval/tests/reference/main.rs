//! Agreement with numbers recorded from the authors' implementation.
//!
//! Reads every `*.safetensors` in the folder that `SEMAIM_REFERENCE_DIR` names (default: the copy in this
//! project's test data) and tells from each file's metadata what it holds and with which settings. A file that
//! cannot be read, or has settings that are not handled, fails. `SEMAIM_DEVICE` names another device than the CPU, in a
//! build that has it.

// A test says what is wrong by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checkpoints;
mod compare;
mod detect;
mod mae;
mod orders;
mod recipes;
mod recorded;

mod segment;
mod settings;
mod step;
mod trajectory;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use semaim_kernels::{Kernels, device};

use recorded::Recorded;

/// Where everything is computed.
pub(crate) fn device() -> Device {
    let name = std::env::var("SEMAIM_DEVICE").unwrap_or_else(|_| "cpu".into());
    device::find(&name).unwrap_or_else(|error| panic!("SEMAIM_DEVICE: {error}"))
}

/// A sentence that says what does not agree.
pub(crate) type Failure = String;

pub(crate) fn folder() -> PathBuf {
    match std::env::var_os("SEMAIM_REFERENCE_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/reference"),
    }
}

/// All files; without `SEMAIM_REFERENCE_DIR` also those that are too large for this project and lie beside it, if they do.
fn paths() -> Vec<PathBuf> {
    let recorded = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
            .collect()
    };
    let mut paths = recorded(&folder());
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference");
    if std::env::var_os("SEMAIM_REFERENCE_DIR").is_none() && beside.is_dir() {
        let large = |path: &PathBuf| {
            let file = path.file_name().unwrap_or_default();
            let name = file.to_string_lossy();
            let dense = name.starts_with("detect_") || name.starts_with("segment_");
            dense && !folder().join(file).exists()
        };
        paths.extend(recorded(&beside).into_iter().filter(large));
    }
    paths.sort();
    paths
}

/// The number of things that were compared and agree.
fn check(path: &Path) -> Result<usize, Failure> {
    let recorded = Recorded::read(path)?;
    match recorded.metadata("kind")?.as_str() {
        "step" => step::check(&recorded),
        "trajectory" => trajectory::check(&recorded),
        "orders" => orders::check(&recorded),
        "recipes" => recipes::check(&recorded, &path.with_extension("json")),
        "mae_step" => mae::check(&recorded),
        "detect_step" => detect::check(&recorded),
        "segment_step" => segment::check(&recorded),
        other => Err(format!("unknown kind `{other}`")),
    }
}

#[test]
fn every_recorded_file_agrees() {
    let paths = paths();
    assert!(
        !paths.is_empty(),
        "no *.safetensors in {}",
        folder().display()
    );
    let mut failures = Vec::new();
    let both = [Kernels::Composed, Kernels::Fused];
    // What is fused is fused for the CPU.
    let forms = if device() == Device::flex() { 2 } else { 1 };
    for &kernels in &both[..forms] {
        semaim_kernels::choose(kernels);
        println!("{kernels:?} kernels");
        check_all(&paths, &mut failures);
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn check_all(paths: &[PathBuf], failures: &mut Vec<String>) {
    for path in paths {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match check(path) {
            Ok(count) => println!("agrees   {name}: {count} comparisons"),
            Err(failure) => {
                println!("FAILS    {name}: {failure}");
                failures.push(format!("{name}: {failure}"));
            }
        }
    }
}

#[test]
fn a_file_that_is_not_understood_is_a_failure() {
    let folder = std::env::temp_dir().join(format!("semaim-reference-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("x.safetensors");
    std::fs::write(&path, b"not a file of tensors").unwrap();
    assert!(check(&path).is_err());
    let header = br#"{"__metadata__":{"kind":"step","order":"sideways"}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header);
    std::fs::write(&path, bytes).unwrap();
    assert!(check(&path).is_err());
    std::fs::remove_dir_all(&folder).unwrap();
}
