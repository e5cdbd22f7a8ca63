//! Being asked to stop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::{Exit, STOPPED};

/// A flag that the first Ctrl-C (or SIGTERM) sets; the second ends the program at once. A terminal that hangs up does
/// not stop anything. `notice` is what the first says, such as `stopping after this step`.
pub(crate) fn stop_flag(notice: &'static str) -> Result<Arc<AtomicBool>, Exit> {
    let stop = Arc::new(AtomicBool::new(false));
    listen(&stop).map_err(|error| Exit::ours(format!("cannot listen for signals: {error}")))?;
    let seen = Arc::clone(&stop);
    // Nothing may be printed from a signal's handler itself.
    std::thread::spawn(move || {
        while !seen.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
        }
        eprintln!("{notice}; once more to stop at once");
    });
    Ok(stop)
}

fn listen(stop: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: the second time finds the flag set.
        flag::register_conditional_shutdown(signal, i32::from(STOPPED), Arc::clone(stop))?;
        flag::register(signal, Arc::clone(stop))?;
    }
    #[cfg(unix)]
    flag::register(signal_hook::consts::SIGHUP, Arc::default())?;
    Ok(())
}
