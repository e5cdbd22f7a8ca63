//! Evaluation while fine-tuning: the best classifier is kept, results are written.

use semaim::classifier::Classifier;
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::model_file::ModelFile;
use semaim_data::Augment;
use semaim_train::callbacks::{Evaluator, Observer, Progress};
use semaim_train::error::TrainError;
use semaim_train::log::RunLog;
use semaim_train::run_dir::RunDir;
use semaim_train::state::TrainState;

use super::Results;
use super::config::FinetuneConfig;
use crate::classify::{Classification, classify};
use crate::image_batches::BatchOptions;
use crate::results::{Criterion, Evaluated};
use crate::splits::ImageSubset;
use crate::unreadable::Unreadable;

/// What the best is chosen by.
const BEST_BY: Criterion<Classification> = Criterion {
    name: "top-1",
    of: |scores| scores.accuracy.top1,
};

pub(super) struct FinetuneEvaluator<'a> {
    pub(super) config: &'a FinetuneConfig,
    pub(super) encoder: &'a Encoder,
    pub(super) classes: &'a [String],
    /// The images that are evaluated.
    pub(super) images: &'a ImageSubset,
    pub(super) augment: &'a Augment,
    pub(super) run: &'a RunDir,
    pub(super) unreadable: Unreadable,
}

impl Evaluator<Classifier> for FinetuneEvaluator<'_> {
    fn evaluate(
        &mut self,
        state: &TrainState<Classifier>,
        progress: Progress,
        log: &mut RunLog,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        if progress.step == 0 {
            // A head that has learnt nothing has nothing to show.
            return Ok(());
        }
        let failed = TrainError::evaluation(progress.step);
        let options = BatchOptions {
            batch_size: self.config.eval.batch_size,
            workers: self.config.data.workers,
        };
        let predictions = classify(&state.model, self.images, self.augment, options)
            .map_err(|error| failed(error.into()))?;
        self.unreadable
            .note(&predictions.bad, progress.step, log, observer)?;
        let scores = predictions
            .against(self.classes)
            .map_err(|error| failed(error.into()))?;
        let now = Evaluated {
            epoch: progress.epoch(),
            scores,
        };
        let accuracy = now.scores.accuracy;
        let scalars = [
            ("eval/top1", accuracy.top1),
            ("eval/top5", accuracy.top5),
            // The top-1 accuracy of guessing.
            ("eval/chance", 1.0 / self.classes.len().max(1) as f64),
        ];
        log.scalars(progress.step, progress.epoch(), &scalars)?;
        observer.say(&format!(
            "epoch {:>5.1}  top-1 {:.2} %  top-5 {:.2} %",
            progress.epoch(),
            100.0 * accuracy.top1,
            100.0 * accuracy.top5
        ));
        Results::note(self.run, now, &BEST_BY, |path| {
            Ok(ModelFile::of_classifier(self.encoder, self.classes, &state.model)?.write(path)?)
        })
    }
}
