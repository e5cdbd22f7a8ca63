//! The progress bar of a run, hidden where nobody looks.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use semaim_eval::embed::Embeddings;
use semaim_train::callbacks::{Observer, Progress, StepReport};

use crate::warnings;

/// Looks on at a run and shows where it stands.
#[derive(Debug)]
pub(crate) struct TrainingBar {
    /// Set by Ctrl-C.
    stop: Arc<AtomicBool>,
    /// Whether only the final JSON object goes to standard output.
    json: bool,
    bar: ProgressBar,
    /// Exponential mean of the time per step.
    pace: Option<f64>,
}

impl TrainingBar {
    pub(crate) fn new(stop: Arc<AtomicBool>, json: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, target());
        warnings::keep_above(&bar);
        Self {
            stop,
            json,
            bar,
            pace: None,
        }
    }

    /// The run is over.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for TrainingBar {
    fn started(&mut self, progress: Progress) {
        if progress.step > 0 {
            self.say(&format!(
                "going on after step {} of {}",
                progress.step, progress.total_steps
            ));
        }
        self.pace = None;
        self.bar.reset();
        self.bar.set_length(progress.total_steps);
        self.bar.set_position(progress.step);
        self.bar.reset_eta();
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
            self.bar.set_style(style);
        }
        self.bar.enable_steady_tick(Duration::from_millis(500));
    }

    fn stepped(&mut self, report: &StepReport) {
        let seconds = report.time.as_secs_f64();
        let pace = self.pace.map_or(seconds, |pace| 0.9 * pace + 0.1 * seconds);
        self.pace = Some(pace);
        let progress = report.progress;
        let left = pace * (progress.total_steps - progress.step) as f64;
        self.bar.set_position(progress.step);
        self.bar.set_message(format!(
            "epoch {:.1}  loss {:.4}  lr {:.2e}  {:.1} images/s  {} left",
            progress.epoch(),
            report.loss,
            report.lr,
            report.images as f64 / pace.max(1e-9),
            duration(left)
        ));
        if progress.step == progress.total_steps {
            self.clear();
        }
    }

    fn doing(&mut self, what: &'static str) {
        self.bar.set_message(what);
    }

    /// Above the bar; on standard error when standard output is for a program.
    fn say(&mut self, line: &str) {
        self.bar.suspend(|| {
            if self.json {
                eprintln!("{line}")
            } else {
                println!("{line}")
            }
        });
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn target() -> ProgressDrawTarget {
    if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr_with_hz(5)
    } else {
        ProgressDrawTarget::hidden()
    }
}

/// A bar for so many images, hidden where nobody looks.
pub(crate) fn counting_bar(images: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(images), target());
    let template = "{bar:30} {pos}/{len} images  {per_sec}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Moves a bar on by a batch and names its images that could not be read.
pub(crate) fn count_batch(bar: &ProgressBar, batch: &Embeddings) {
    for bad in &batch.bad {
        bar.suspend(|| eprintln!("left out {}: {}", bad.name, bad.error));
    }
    bar.inc((batch.items.len() + batch.bad.len()) as u64);
}

fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes}:{seconds:02} min"),
        _ => format!("{hours}:{minutes:02} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(59.4), "59 s");
        assert_eq!(duration(61.0), "1:01 min");
        assert_eq!(duration(3.0 * 3600.0 + 62.0), "3:01 h");
    }
}
