//! How a run ended, in words and as an exit code.

use std::process::ExitCode;

use semaim_train::trainer::Ending;

use crate::exit::STOPPED;

/// For programs.
pub(crate) fn name(ending: Ending) -> &'static str {
    match ending {
        Ending::Finished => "finished",
        Ending::Stopped => "stopped",
        Ending::AlreadyFinished => "already finished",
    }
}

/// For people.
pub(crate) fn print(ending: Ending, seconds: f64) {
    match ending {
        Ending::Finished => println!("finished in {seconds:.0} s"),
        Ending::Stopped => println!("stopped and saved; the same command goes on"),
        Ending::AlreadyFinished => {
            println!("this run is finished; another --out starts a new one");
        }
    }
}

/// For the shell.
pub(crate) fn code(ending: Ending) -> ExitCode {
    match ending {
        Ending::Stopped => ExitCode::from(STOPPED),
        Ending::Finished | Ending::AlreadyFinished => ExitCode::SUCCESS,
    }
}
