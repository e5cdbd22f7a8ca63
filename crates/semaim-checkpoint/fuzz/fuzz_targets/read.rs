//! Any bytes, read as a checkpoint: as a file, and as the pickle of an archive, whose check sums keep most damage away
//! from what reads pickles.
//!
//! Without a nightly compiler, from the folder of the crate:
//!
//! ```text
//! mkdir -p fuzz/corpus/read && cp ../semaim-pickle/tests/data/*.pth fuzz/corpus/read
//! RUSTC_BOOTSTRAP=1 cargo fuzz run read -- -max_len=600000 -malloc_limit_mb=64 -timeout=10
//! ```

#![no_main]

#[allow(dead_code)]
#[path = "../../../semaim-pickle/tests/support/zip.rs"]
mod zip;

use std::path::Path;

use burn::tensor::Device;
use libfuzzer_sys::fuzz_target;
use semaim_checkpoint::archive::Archive;
use semaim_checkpoint::checkpoint::Checkpoint;
use zip::{Entry, Form, archive};

/// Reads some tensors of a file, and the encoder in it if there is one.
fn exercise(path: &Path, bytes: &[u8]) {
    if std::fs::write(path, bytes).is_err() {
        return;
    }
    if let Ok(archive) = Archive::read(path) {
        for tensor in archive.tensors.values().take(100) {
            if let Ok(weight) = tensor.read() {
                assert_eq!(weight.values.len(), tensor.elements());
            }
        }
    }
    let options = WeightsSource { num_heads: Some(1), allow_partial: true, ..WeightsSource::default() };
    if let Ok(found) = Checkpoint::read(&options.at(path)) {
        let _ = found.encoder(&Device::flex());
    }
}

fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("semaim-fuzz-{}", std::process::id()));
    exercise(&path, bytes);
    if bytes.len() < 20_000 && !bytes.starts_with(b"PK") {
        let storage: Vec<u8> = (0..64).collect();
        let entries = [
            Entry::stored("a/data.pkl", bytes),
            Entry::stored("a/data/0", &storage),
            Entry::deflated("a/data/1", &storage),
        ];
        exercise(&path, &archive(&entries, Form::Wide));
    }
});
