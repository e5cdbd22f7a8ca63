//! Looking on at a run: progress bar, kNN, pictures, and stopping on request.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burn::tensor::Device;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use semaim::model::Semaim;
use semaim_checkpoint::atomic;
use semaim_eval::embed::{EmbedOptions, Embeddings, embed};
use semaim_eval::knn::{Accuracy, knn};
use semaim_eval::labelled::{LabelledSets, Part};
use semaim_eval::orders::learned_orders;
use semaim_train::config::PretrainConfig;
use semaim_train::error::TrainError;
use semaim_train::log::RunLog;
use semaim_train::run_dir::RunDir;
use semaim_train::watch::{Progress, StepReport, Watcher};

use crate::pictures::orders_png;
use crate::warnings;

/// Names of the kNN entries in the log.
pub(crate) const KNN_TOP1: &str = "eval/knn_top1";
const KNN_TOP5: &str = "eval/knn_top5";

/// Looks on for the command line.
pub(crate) struct Console<'a> {
    pub(crate) config: &'a PretrainConfig,
    pub(crate) run: &'a RunDir,
    pub(crate) device: &'a Device,
    /// Labelled images, where there are any.
    pub(crate) labelled: Option<LabelledSets>,
    /// Images for the picture.
    pub(crate) pictures: Part,
    /// Set by Ctrl-C.
    pub(crate) stop: Arc<AtomicBool>,
    /// Whether only the final JSON object goes to standard output.
    pub(crate) json: bool,
    bar: ProgressBar,
    /// Exponential mean of the time per step.
    pace: Option<f64>,
}

impl<'a> Console<'a> {
    pub(crate) fn new(
        config: &'a PretrainConfig,
        run: &'a RunDir,
        device: &'a Device,
        labelled: Option<LabelledSets>,
        pictures: Part,
        stop: Arc<AtomicBool>,
        json: bool,
    ) -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr_with_hz(5)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        warnings::keep_above(&bar);
        Self {
            config,
            run,
            device,
            labelled,
            pictures,
            stop,
            json,
            bar,
            pace: None,
        }
    }

    /// Says a line above the bar; on standard error when standard output is for a program.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| {
            if self.json {
                eprintln!("{line}")
            } else {
                println!("{line}")
            }
        });
    }

    fn embed(
        &self,
        model: &Semaim,
        part: &Part,
    ) -> Result<Embeddings, semaim_eval::embed::EmbedError> {
        let options = EmbedOptions {
            representation: self.config.eval.feature.into(),
            batch_size: self.config.eval.batch_size,
            workers: self.config.data.workers,
        };
        embed(
            &model.encoder,
            &part.source,
            &part.items,
            &self.config.augment(),
            options,
            self.device,
        )
    }

    fn knn(
        &self,
        model: &Semaim,
        sets: &LabelledSets,
    ) -> Result<Accuracy, Box<dyn std::error::Error + Send + Sync>> {
        let bank = self.embed(model, &sets.bank)?.labelled();
        let queries = self.embed(model, &sets.queries)?.labelled();
        // A small bank has fewer images than the usual number of neighbours.
        let k = self.config.eval.knn_k.min(bank.labels.len().max(1));
        let accuracies = knn(
            bank.view(),
            queries.view(),
            &[k],
            self.config.eval.knn_temperature,
            self.device,
        )?;
        accuracies
            .first()
            .copied()
            .ok_or_else(|| "no accuracy".into())
    }

    fn picture(
        &self,
        model: &Semaim,
        progress: Progress,
        log: &mut RunLog,
    ) -> Result<(), TrainError> {
        let failed = failed_at(progress);
        let part = &self.pictures;
        let seen = learned_orders(model, self.config, &part.source, &part.items, self.device)
            .map_err(|error| failed(error.into()))?;
        if seen.is_empty() {
            return Ok(());
        }
        let title = format!("Learned orders after {:.0} epochs", progress.epoch());
        let png = orders_png(seen, self.config, title).map_err(|error| failed(error.into()))?;
        let path = self.run.path().join("orders.png");
        atomic::write_bytes(&path, &png).map_err(|source| TrainError::Io {
            action: "writing",
            path,
            source,
        })?;
        log.picture(progress.step, "orders", &png)
    }
}

/// Makes an error of what an evaluation met.
fn failed_at(
    progress: Progress,
) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> TrainError {
    move |source| TrainError::Evaluation {
        step: progress.step,
        source,
    }
}

/// A bar for so many images, hidden where nobody looks.
pub(crate) fn counting_bar(images: u64) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr_with_hz(5)
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(images), target);
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

impl Watcher for Console<'_> {
    fn started(&mut self, progress: Progress) {
        if progress.step > 0 {
            self.say(&format!(
                "going on after step {} of {}",
                progress.step, progress.total_steps
            ));
        }
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
    }

    fn evaluate(
        &mut self,
        model: &Semaim,
        progress: Progress,
        log: &mut RunLog,
    ) -> Result<(), TrainError> {
        let failed = failed_at(progress);
        if let Some(sets) = &self.labelled {
            self.bar.set_message("kNN");
            let accuracy = self.knn(model, sets).map_err(failed)?;
            let scalars = [(KNN_TOP1, accuracy.top1), (KNN_TOP5, accuracy.top5)];
            log.scalars(progress.step, progress.epoch(), &scalars)?;
            self.say(&format!(
                "epoch {:>5.1}  kNN top-1 {:.1} %  top-5 {:.1} %",
                progress.epoch(),
                100.0 * accuracy.top1,
                100.0 * accuracy.top5
            ));
        }
        if !self.pictures.items.is_empty() {
            self.bar.set_message("picture");
            self.picture(model, progress, log)?;
        }
        if progress.step == progress.total_steps {
            self.bar.finish_and_clear();
        }
        Ok(())
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
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
