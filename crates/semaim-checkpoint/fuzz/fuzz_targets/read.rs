//! Any bytes, read as a checkpoint: as a file, and as the pickle of an archive, whose check sums keep most damage away
//! from what reads pickles. Nothing may panic, hang, or take memory out of proportion to the file.
//!
//! From the folder of the crate, with the compiler of the workspace (its sanitizers need another, and find nothing in a
//! program without `unsafe`):
//!
//! ```text
//! mkdir -p fuzz/corpus/read && cp ../semaim-pickle/tests/data/*.pth fuzz/corpus/read
//! cargo fuzz run --sanitizer none read -- -max_len=600000 -timeout=10
//! ```

#![no_main]

#[allow(dead_code)]
#[path = "../../../semaim-pickle/tests/mutations/counting.rs"]
mod counting;
#[allow(dead_code)]
#[path = "../../../semaim-pickle/tests/support/zip.rs"]
mod zip;

use std::path::Path;

use burn::tensor::Device;
use counting::peak_of;
use libfuzzer_sys::fuzz_target;
use semaim_checkpoint::archive::Archive;
use semaim_checkpoint::checkpoint::Checkpoint;
use semaim_checkpoint::weights_source::WeightsSource;
use zip::{Entry, Form, archive};

/// Reads some tensors of a file, and the encoder in it if there is one.
fn exercise(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("the folder for temporary files can be written to");
    let ((), peak) = peak_of(|| {
        if let Ok(archive) = Archive::read(path) {
            for tensor in archive.tensors.values().take(100) {
                if let Ok(weight) = tensor.read() {
                    assert_eq!(weight.values.len(), tensor.elements());
                }
            }
        }
        let options = WeightsSource {
            num_heads: Some(1),
            allow_partial: true,
            ..WeightsSource::default()
        };
        if let Ok(found) = Checkpoint::read(&options.at(path)) {
            let _ = found.encoder(&Device::flex());
        }
    });
    let length = bytes.len();
    assert!(
        peak <= 256 * length + (16 << 20),
        "{peak} bytes of memory for a file of {length}"
    );
}

fuzz_target!(|bytes: &[u8]| {
    let folder = std::env::temp_dir().join(format!("semaim-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written to");
    let path = folder.join("checkpoint");
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
