//! Evaluation while fine-tuning: the best classifier is kept, results are written.

use semaim::classifier::Classifier;
use semaim_checkpoint::atomic;
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::model_file::ModelFile;
use semaim_data::Augment;
use semaim_train::callbacks::{Evaluator, Observer, Progress};
use semaim_train::error::TrainError;
use semaim_train::log::RunLog;
use semaim_train::run_dir::RunDir;
use semaim_train::state::TrainState;

use super::config::FinetuneConfig;
use super::{BEST, Evaluated, RESULTS, Results, read_results};
use crate::classify::classify;
use crate::image_batches::BatchOptions;
use crate::splits::ImageSubset;

pub(super) struct FinetuneEvaluator<'a> {
    pub(super) config: &'a FinetuneConfig,
    pub(super) encoder: &'a Encoder,
    pub(super) classes: &'a [String],
    /// The images that are evaluated.
    pub(super) images: &'a ImageSubset,
    pub(super) augment: &'a Augment,
    pub(super) run: &'a RunDir,
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
            // A head of zeros has nothing to show.
            return Ok(());
        }
        let failed = TrainError::evaluation(progress.step);
        let options = BatchOptions {
            batch_size: self.config.eval.batch_size,
            workers: self.config.data.workers,
        };
        let found = classify(&state.model, self.images, self.augment, options)
            .and_then(|predictions| predictions.against(self.classes))
            .map_err(|error| failed(error.into()))?;
        let now = Evaluated {
            epoch: progress.epoch(),
            classification: found,
        };
        let accuracy = now.classification.accuracy;
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
        // A run that died after an evaluation makes the same evaluation again: what is not better replaces nothing, what
        // comes from a later time than this is of a run that was begun anew.
        let before = read_results(self.run)
            .ok()
            .map(|results| results.best)
            .filter(|best| best.epoch <= now.epoch);
        let best = match before {
            Some(best) if best.classification.accuracy.top1 >= accuracy.top1 => best,
            _ => {
                let path = self.run.path().join(BEST);
                ModelFile::of_classifier(self.encoder, self.classes, &state.model)?.write(&path)?;
                now.clone()
            }
        };
        let results = Results { last: now, best };
        let path = self.run.path().join(RESULTS);
        let text = serde_json::json!(results).to_string();
        atomic::write_bytes(&path, text.as_bytes()).map_err(|source| TrainError::Io {
            action: "writing",
            path,
            source,
        })
    }
}
