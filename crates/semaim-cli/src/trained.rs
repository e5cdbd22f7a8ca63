//! What training a classifier, a detector or a segmenter came to, for people and for programs.

use std::path::Path;

use semaim_checkpoint::model_file::ModelKind;
use semaim_eval::results::{BEST, Results};
use semaim_train::run_dir::RunDir;
use semaim_train::start::{StartRecord, step_of};
use semaim_train::trainer::RunOutcome;
use serde_json::{Value, json};

use crate::evaluation_log::Evaluation;
use crate::exit::Exit;
use crate::{outcome, report};

/// A run that has ended, or was stopped, and its results.
pub(crate) struct Trained<'a, S> {
    pub(crate) kind: ModelKind,
    pub(crate) run: &'a RunDir,
    pub(crate) results: &'a Results<S>,
    pub(crate) outcome: RunOutcome,
    pub(crate) seconds: f64,
}

impl<S> Trained<'_, S> {
    /// Keeps what the run came to in its own report and, if it says something of an encoder, in that of the encoder's run: as of the step
    /// after which the encoder was read, as that run may have gone on since. Of a run that was stopped nothing is kept: it is not what
    /// it was to be.
    pub(crate) fn record(
        &self,
        evaluation: Option<&Evaluation<'_>>,
        encoder: Option<&Path>,
    ) -> Result<(), Exit> {
        let stopped = self.outcome == RunOutcome::Stopped;
        let Some(evaluation) = evaluation.filter(|_| !stopped) else {
            report::write(self.run.path(), None)?;
            return Ok(());
        };
        report::record(self.run.path(), evaluation);
        if let Some(encoder) = encoder.filter(|_| self.outcome == RunOutcome::Finished) {
            let step = match StartRecord::read(self.run.path())? {
                Some(start) => start.step,
                // It began before runs kept their start.
                None => step_of(encoder),
            };
            report::record_at(encoder, step, evaluation);
        }
        Ok(())
    }

    /// Prints the last and the best, scores as `in_short` says them.
    pub(crate) fn print(&self, in_short: impl Fn(&S) -> String) {
        let (run, results) = (self.run.path(), self.results);
        outcome::print(self.outcome, self.seconds);
        for (name, at, file) in [
            ("last", &results.last, self.kind.file_name()),
            ("best", &results.best, BEST),
        ] {
            println!(
                "{name}       epoch {:.1}: {}, {}",
                at.epoch,
                in_short(&at.scores),
                run.join(file).display()
            );
        }
        println!("best by    {}", results.best_by);
        println!("report     {}", run.join(report::PAGE).display());
    }

    /// The same for programs.
    pub(crate) fn json(&self, scores: impl Fn(&S) -> Value) -> Value {
        let Results {
            last,
            best,
            best_by,
        } = self.results;
        json!({
            "ending": outcome::name(self.outcome),
            "run": self.run.path(),
            "seconds": self.seconds,
            "epoch": last.epoch,
            "scores": scores(&last.scores),
            "best_epoch": best.epoch,
            "best_by": best_by,
            "best": scores(&best.scores),
        })
    }
}
