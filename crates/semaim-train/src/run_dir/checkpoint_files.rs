//! How the files of checkpoints are called, and which there are.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::TrainError;

/// The name of the checkpoint of a step.
pub(super) fn file_name(step: u64) -> String {
    format!("step-{step:09}.safetensors")
}

/// The checkpoints in a run directory, by step; the directory need not be ours alone.
///
/// # Errors
/// The file system.
pub fn checkpoints(run: &Path) -> Result<Vec<(u64, PathBuf)>, TrainError> {
    let folder = run.join("checkpoints");
    let failed = |source| TrainError::Io {
        action: "reading",
        path: folder.clone(),
        source,
    };
    let mut steps = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let step = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_prefix("step-")?.strip_suffix(".safetensors"))
            .and_then(|number| number.parse().ok());
        if let Some(step) = step {
            steps.push((step, path));
        }
    }
    steps.sort();
    Ok(steps)
}
