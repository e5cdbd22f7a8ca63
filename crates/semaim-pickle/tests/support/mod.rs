//! Writers of small checkpoints, and the files that PyTorch wrote.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod pickle;
pub(crate) mod zip;

use std::path::{Path, PathBuf};

/// The checkpoints that PyTorch wrote.
pub(crate) const FILES: [&str; 4] = [
    "clip_state_dict.fp16.pth",
    "dino_backbone.legacy.pth",
    "dino_full_checkpoint.pth",
    "semaim_authors_training.pth",
];

/// The folder of [`FILES`]: `checkpoints` in the folder that `SEMAIM_REFERENCE_DIR` names, or the copy in this
/// project's test data.
pub(crate) fn folder() -> PathBuf {
    match std::env::var_os("SEMAIM_REFERENCE_DIR") {
        Some(folder) => Path::new(&folder).join("checkpoints"),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"),
    }
}
