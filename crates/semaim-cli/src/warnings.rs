//! Warnings of the library crates, on standard error, above the progress bar if there is one.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Prints warnings from here on; in color on a terminal alone.
pub(crate) fn print_to_stderr() {
    let color = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .without_time()
        .with_target(false)
        .with_ansi(color)
        .with_writer(|| AboveBar)
        .init();
}

/// Tells which bar to write above.
pub(crate) fn keep_above(bar: &ProgressBar) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
}

struct AboveBar;

impl Write for AboveBar {
    /// Never fails: a warning that nobody can read is no reason to stop.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let print = || {
            let _ = io::stderr().write_all(bytes);
        };
        let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
