//! How a run ended, in words and as an exit code.

use std::process::ExitCode;

use semaim_train::trainer::RunOutcome;

use crate::exit::STOPPED;

/// For programs.
pub(crate) fn name(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Finished => "finished",
        RunOutcome::Stopped => "stopped",
        RunOutcome::AlreadyFinished => "already finished",
    }
}

/// For people.
pub(crate) fn print(outcome: RunOutcome, seconds: f64) {
    match outcome {
        RunOutcome::Finished => println!("finished in {seconds:.0} s"),
        RunOutcome::Stopped => println!("stopped and saved; the same command goes on"),
        RunOutcome::AlreadyFinished => {
            println!("this run is finished; another --out starts a new one");
        }
    }
}

/// For the shell.
pub(crate) fn code(outcome: RunOutcome) -> ExitCode {
    match outcome {
        RunOutcome::Stopped => ExitCode::from(STOPPED),
        RunOutcome::Finished | RunOutcome::AlreadyFinished => ExitCode::SUCCESS,
    }
}
