//! Any bytes, read as a file and as the pickle of an archive.
//!
//! Without a nightly compiler, from the folder of the crate, with the files of its tests as seeds:
//!
//! ```text
//! mkdir -p fuzz/corpus/read
//! cp tests/data/*.pth fuzz/corpus/read
//! RUSTC_BOOTSTRAP=1 cargo fuzz run read -- -max_len=600000 -malloc_limit_mb=16 -timeout=10
//! ```

#![no_main]

#[allow(dead_code)]
#[path = "../../tests/support/zip.rs"]
mod zip;

use libfuzzer_sys::fuzz_target;
use semaim_pickle::Checkpoint;
use zip::{Entry, Form, archive};

/// Reads a file and everything in it.
fn exercise(file: Vec<u8>) {
    let length = file.len();
    let Ok(read) = Checkpoint::from_bytes(file) else {
        return;
    };
    let mut values = 0;
    // Looking up each of very many paths would take long without being new.
    for (path, tensor) in read.tensors().into_iter().take(100) {
        // Many tensors may share few bytes; a file's worth of values is enough.
        if values <= length + (1 << 20)
            && let Ok(all) = tensor.to_f32()
        {
            assert_eq!(all.len(), tensor.elements());
            values += all.len();
        }
        // Keys may hold dots, so that another object may have the path too, but there is one.
        assert!(read.get(&path).is_some(), "{path}");
        if values > length + (1 << 20) {
            break;
        }
    }
    for (path, _) in read.opaque().into_iter().take(100) {
        assert!(read.get(&path).is_some(), "{path}");
    }
}

fuzz_target!(|bytes: &[u8]| {
    exercise(bytes.to_vec());
    // Check sums keep most damage away from what reads pickles, so the bytes are also given the right ones.
    if bytes.len() < 20_000 && !bytes.starts_with(b"PK") {
        let storage: Vec<u8> = (0..64).collect();
        let entries = [
            Entry::stored("a/data.pkl", bytes),
            Entry::stored("a/data/0", &storage),
            Entry::deflated("a/data/1", &storage),
        ];
        exercise(archive(&entries, Form::Wide));
    }
});
