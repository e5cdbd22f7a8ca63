//! How the files of checkpoints are called, and which there are.

use std::fs;
use std::path::{Path, PathBuf};

use semaim_checkpoint::atomic;

use crate::error::TrainError;

/// The name of the checkpoint of a step.
pub(super) fn file_name(step: u64) -> String {
    format!("step-{step:09}.safetensors")
}

/// The step of a checkpoint by its name; `None` of another file.
fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
    step.parse().ok()
}

/// Removes what killed processes left of checkpoints that they were writing: nobody else would, as the run may save after other
/// steps from now on.
pub(super) fn remove_abandoned(run: &Path) {
    atomic::remove_abandoned_in(&run.join("checkpoints"), |name| step_of(name).is_some());
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
        let name = path.file_name().and_then(|name| name.to_str());
        let step = name.and_then(step_of);
        if let Some(step) = step {
            steps.push((step, path));
        }
    }
    steps.sort();
    Ok(steps)
}
