//! Checkpoints are written beside the steps: from a copy of the state, by a thread of its own, one at a time.
//!
//! On the CPU the copy shares its numbers with the state until a step changes them: taking it costs no time, and at most the memory of
//! another state while it is written. Off a device it is copied to the host's memory first.

use std::thread::{Scope, ScopedJoinHandle};

use crate::error::TrainError;
use crate::process_memory::has_room;
use crate::run_dir::RunDir;
use crate::state::TrainState;
use crate::task::Task;

/// Writes checkpoints and, after each, what others read.
pub(super) struct Saver<'scope, 'env, T> {
    pub(super) scope: &'scope Scope<'scope, 'env>,
    pub(super) task: &'env T,
    pub(super) run: &'env RunDir,
    /// Every so many steps a checkpoint is kept for good; 0: none is.
    pub(super) keep_every: u64,
    /// Whether it was said that there is no room to write from a copy.
    pub(super) no_room: bool,
    /// The one that is being written.
    pub(super) writing: Option<ScopedJoinHandle<'scope, Result<(), TrainError>>>,
}

impl<'scope, T: Task + Sync> Saver<'scope, '_, T> {
    /// Starts to write a state; where there is no room for a copy, writes it. Waits for the one before, if it is not on the disk yet.
    ///
    /// # Errors
    /// Those of the one before, and of copying it off a device.
    pub(super) fn save(&mut self, state: &TrainState<T::Model>) -> Result<(), TrainError> {
        self.wait()?;
        let (task, run, keep_every) = (self.task, self.run, self.keep_every);
        let write = move |state: &TrainState<T::Model>| {
            run.save(state, |step| is_kept(step, keep_every))?;
            task.export(run, state)
        };
        let bytes = state.bytes();
        if !has_room(bytes) {
            if !std::mem::replace(&mut self.no_room, true) {
                tracing::warn!(
                    "steps wait for checkpoints to be written: there is no room for a copy of the state ({:.1} GB) to write them from",
                    bytes as f64 / 1e9
                );
            }
            return write(state);
        }
        let copy = state.on_host();
        let thread = std::thread::Builder::new().name("checkpoint".into());
        let writing = thread.spawn_scoped(self.scope, move || write(&copy));
        self.writing = Some(writing.map_err(|source| TrainError::Io {
            action: "writing",
            path: self.run.checkpoints(),
            source,
        })?);
        Ok(())
    }

    /// Waits until the last checkpoint is on the disk.
    ///
    /// # Errors
    /// Those of writing it.
    pub(super) fn wait(&mut self) -> Result<(), TrainError> {
        match self.writing.take().map(ScopedJoinHandle::join) {
            None => Ok(()),
            Some(Ok(written)) => written,
            Some(Err(_)) => Err(TrainError::Internal(
                "the thread that writes checkpoints panicked".into(),
            )),
        }
    }
}

/// Whether the checkpoint of a step is kept for good.
pub(super) fn is_kept(step: u64, keep_every: u64) -> bool {
    keep_every > 0 && step > 0 && step.is_multiple_of(keep_every)
}
