//! How far a command is: a bar on a terminal, a line a minute where there is none.

use std::cell::Cell;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use semaim_data::BadImage;
use semaim_train::callbacks::{Observer, Progress, StepReport};
use semaim_train::ranks;

use crate::exit::Exit;
use crate::{output, signals, warnings};

/// Looks on at a run and shows where it stands.
#[derive(Debug)]
pub(crate) struct TrainingBar {
    /// Set by Ctrl-C.
    stop: Arc<AtomicBool>,
    /// Whether only the final JSON object goes to standard output.
    json: bool,
    /// Whether another process tells where the run stands.
    quiet: bool,
    bar: ProgressBar,
    lines: Lines,
    pace: Pace,
}

/// What is said of a step, from those before it.
#[derive(Debug, Default)]
struct Pace {
    /// Exponential mean of the time per step.
    seconds: Option<f64>,
    /// The latest loss that is known.
    loss: Option<f64>,
}

impl Pace {
    /// Epoch, loss, learning rate, images per second and time left.
    fn message(&mut self, report: &StepReport) -> String {
        let seconds = report.time.as_secs_f64();
        let pace = self
            .seconds
            .map_or(seconds, |pace| 0.9 * pace + 0.1 * seconds);
        self.seconds = Some(pace);
        let progress = report.progress;
        let left = pace * (progress.total_steps - progress.step) as f64;
        if let Some(numbers) = &report.numbers {
            self.loss = Some(numbers.loss.total);
        }
        // A device is not asked for the loss of each step: the latest that is known.
        let loss = self.loss.map_or("-".into(), |loss| format!("{loss:.4}"));
        format!(
            "epoch {:.1} loss {loss} lr {:.1e} {:.0} img/s {} left",
            progress.epoch(),
            report.lr,
            report.images as f64 / pace.max(1e-9),
            duration(left)
        )
    }
}

impl TrainingBar {
    /// From here on Ctrl-C stops the run after a step, and neither a lost terminal nor a lost standard output stops it.
    ///
    /// # Errors
    /// Signals cannot be listened to.
    pub(crate) fn new(json: bool) -> Result<Self, Exit> {
        output::go_on_without_stdout();
        let stop = signals::stop_flag("stopping after this step")?;
        let quiet = !ranks::current().is_root();
        let bar = ProgressBar::with_draw_target(None, target(quiet));
        warnings::keep_above(&bar);
        Ok(Self {
            stop,
            json,
            quiet,
            bar,
            lines: Lines::new(),
            pace: Pace::default(),
        })
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
                "resuming after step {} of {}",
                progress.step, progress.total_steps
            ));
        }
        self.pace.seconds = None;
        self.bar.reset();
        self.bar.set_length(progress.total_steps);
        self.bar.set_position(progress.step);
        self.bar.reset_eta();
        if let Ok(style) = ProgressStyle::with_template("{bar:10} {pos}/{len} {wide_msg}") {
            self.bar.set_style(style);
        }
        self.bar.enable_steady_tick(Duration::from_millis(500));
    }

    fn stepped(&mut self, report: &StepReport) {
        let progress = report.progress;
        let message = self.pace.message(report);
        if self.lines.due(Instant::now()) && !self.quiet {
            eprintln!("step {}/{}  {message}", progress.step, progress.total_steps);
        }
        self.bar.set_position(progress.step);
        self.bar.set_message(message);
        if progress.step == progress.total_steps {
            self.clear();
        }
    }

    fn doing(&mut self, what: &'static str) {
        self.bar.set_message(what);
    }

    /// Above the bar; on standard error when standard output is for a program.
    fn say(&mut self, line: &str) {
        if self.quiet {
            return;
        }
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

/// How many of so many images are done.
#[derive(Debug)]
pub(crate) struct CountingBar {
    bar: ProgressBar,
    /// Whether another process tells.
    quiet: bool,
    lines: Lines,
}

impl CountingBar {
    pub(crate) fn new(images: u64) -> Self {
        let quiet = !ranks::current().is_root();
        let bar = ProgressBar::with_draw_target(Some(images), target(quiet));
        let template = "{bar:20} {pos}/{len} images {per_sec} {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        warnings::keep_above(&bar);
        Self {
            bar,
            quiet,
            lines: Lines::new(),
        }
    }

    /// A batch is done; its images that could not be read are named.
    pub(crate) fn add(&self, done: usize, bad: &[BadImage]) {
        if self.quiet {
            return;
        }
        for bad in bad {
            self.bar
                .suspend(|| eprintln!("left out {}: {}", bad.name, bad.error));
        }
        self.bar.inc((done + bad.len()) as u64);
        if self.lines.due(Instant::now()) {
            eprintln!(
                "{}/{} images  {:.0} img/s  {} left",
                self.bar.position(),
                self.bar.length().unwrap_or_default(),
                self.bar.per_sec(),
                duration(self.bar.eta().as_secs_f64())
            );
        }
    }

    /// All are done.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// When the next line is due where there is no bar.
#[derive(Debug)]
struct Lines {
    /// `None` on a terminal.
    every: Option<Duration>,
    last: Cell<Instant>,
}

impl Lines {
    /// Seconds between lines.
    const SECONDS: u64 = 60;

    fn new() -> Self {
        let seconds = std::env::var("SEMAIM_PROGRESS_SECONDS").ok();
        let seconds = seconds.and_then(|seconds| seconds.parse().ok());
        let every = Duration::from_secs(seconds.unwrap_or(Self::SECONDS));
        Self::from((!has_bar()).then_some(every), Instant::now())
    }

    fn from(every: Option<Duration>, now: Instant) -> Self {
        Self {
            every,
            last: Cell::new(now),
        }
    }

    /// Whether a line is due; then it counts as written.
    fn due(&self, now: Instant) -> bool {
        let due = self
            .every
            .is_some_and(|every| now.duration_since(self.last.get()) >= every);
        if due {
            self.last.set(now);
        }
        due
    }
}

fn target(quiet: bool) -> ProgressDrawTarget {
    match has_bar() && !quiet {
        true => ProgressDrawTarget::stderr_with_hz(5),
        false => ProgressDrawTarget::hidden(),
    }
}

/// Whether standard error is a terminal that can move its cursor.
fn has_bar() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A time for people.
pub(crate) fn duration(seconds: f64) -> String {
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
    use semaim_train::callbacks::StepNumbers;
    use semaim_train::loss_values::LossValues;

    use super::*;

    #[test]
    fn a_line_is_due_once_a_minute_and_never_beside_a_bar() {
        let start = Instant::now();
        let lines = Lines::from(Some(Duration::from_secs(60)), start);
        let written: Vec<u64> = (0..200)
            .filter(|second| lines.due(start + Duration::from_secs(*second)))
            .collect();
        assert_eq!(written, [60, 120, 180]);
        // Whoever is late is not late for ever: the next minute begins with the line.
        assert!(lines.due(start + Duration::from_secs(290)));
        assert!(!lines.due(start + Duration::from_secs(349)));
        assert!(lines.due(start + Duration::from_secs(350)));
        let bar = Lines::from(None, start);
        assert!(!bar.due(start + Duration::from_secs(10_000)));
    }

    #[test]
    fn a_line_tells_loss_rate_and_time_left() {
        let mut pace = Pace::default();
        let report = |step, loss| StepReport {
            progress: Progress {
                step,
                total_steps: 100,
                steps_per_epoch: 10,
            },
            lr: 1e-3,
            images: 64,
            time: Duration::from_millis(500),
            numbers: loss,
            bad: Vec::new(),
        };
        assert_eq!(
            pace.message(&report(10, None)),
            "epoch 1.0 loss - lr 1.0e-3 128 img/s 45 s left"
        );
        let loss = StepNumbers {
            loss: LossValues {
                total: 0.25,
                parts: Vec::new(),
            },
            grad_norm: 1.0,
        };
        pace.message(&report(11, Some(loss)));
        // The latest loss that is known.
        assert_eq!(
            pace.message(&report(40, None)),
            "epoch 4.0 loss 0.2500 lr 1.0e-3 128 img/s 30 s left"
        );
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(59.4), "59 s");
        assert_eq!(duration(61.0), "1:01 min");
        assert_eq!(duration(3.0 * 3600.0 + 62.0), "3:01 h");
    }
}
