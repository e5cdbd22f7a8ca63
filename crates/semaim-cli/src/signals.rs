//! Being asked to stop.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::SIGTERM;
use signal_hook::flag;

use crate::exit::{Exit, STOPPED};

/// A flag that the first Ctrl-C (or SIGTERM) sets; the second ends the program at once. A terminal that hangs up does
/// not stop anything. `notice` is what the first Ctrl-C says, such as `stopping after this step`.
pub(crate) fn stop_flag(notice: &'static str) -> Result<Arc<AtomicBool>, Exit> {
    let stop = Arc::new(AtomicBool::new(false));
    let failed = |error: &dyn Display| Exit::ours(format!("cannot listen for signals: {error}"));
    let seen = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(STOPPED));
        }
        eprintln!("{notice}; once more to stop at once");
    })
    .map_err(|error| failed(&error))?;
    on_termination(&stop).map_err(|error| failed(&error))?;
    Ok(stop)
}

fn on_termination(stop: &Arc<AtomicBool>) -> io::Result<()> {
    // In this order: the second time finds the flag set.
    flag::register_conditional_shutdown(SIGTERM, i32::from(STOPPED), Arc::clone(stop))?;
    flag::register(SIGTERM, Arc::clone(stop))?;
    #[cfg(unix)]
    flag::register(signal_hook::consts::SIGHUP, Arc::default())?;
    Ok(())
}
