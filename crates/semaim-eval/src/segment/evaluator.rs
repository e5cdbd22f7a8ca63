//! Evaluation while a segmenter is trained: the best is kept, results are written.

use std::sync::Arc;

use semaim_data::LabelMapSet;
use semaim_segment::model::Segmenter;
use semaim_train::callbacks::{Evaluator, Observer, Progress};
use semaim_train::error::TrainError;
use semaim_train::log::RunLog;
use semaim_train::run_dir::RunDir;
use semaim_train::state::TrainState;

use super::Results;
use super::config::SegmentConfig;
use super::score::{SegmentationScores, score};
use super::segmenter::{SegmenterInfo, TrainedSegmenter};
use crate::image_batches::at_most;
use crate::results::{Criterion, Evaluated};

/// What the best is chosen by.
const BEST_BY: Criterion<SegmentationScores> = Criterion {
    name: "mIoU",
    of: |scores| scores.metrics.mean_iou,
};

pub(super) struct SegmentEvaluator<'a> {
    pub(super) config: &'a SegmentConfig,
    pub(super) info: &'a SegmenterInfo,
    pub(super) set: &'a Arc<LabelMapSet>,
    pub(super) run: &'a RunDir,
}

impl Evaluator<Segmenter> for SegmentEvaluator<'_> {
    fn evaluate(
        &mut self,
        state: &TrainState<Segmenter>,
        progress: Progress,
        log: &mut RunLog,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        if progress.step == 0 {
            // A head that has learnt nothing has nothing to show.
            return Ok(());
        }
        observer.doing("evaluating");
        let items = at_most(&**self.set, self.config.eval.images);
        let segmenter = TrainedSegmenter {
            model: state.model.clone(),
            info: self.info.clone(),
        };
        let scores = score(&segmenter, self.set, items, |_, _| {});
        let scores = scores.map_err(|error| TrainError::Evaluation {
            step: progress.step,
            source: error.into(),
        })?;
        let now = Evaluated {
            epoch: progress.epoch(),
            scores,
        };
        let metrics = &now.scores.metrics;
        let scalars = [
            ("eval/mean_iou", metrics.mean_iou),
            ("eval/mean_accuracy", metrics.mean_accuracy),
            ("eval/pixel_accuracy", metrics.pixel_accuracy),
        ];
        log.scalars(progress.step, progress.epoch(), &scalars)?;
        observer.say(&line(&now));
        Results::note(self.run, now, &BEST_BY, |path| {
            Ok(self.info.file(&state.model)?.write(path)?)
        })
    }
}

/// An evaluation for people.
fn line(now: &Evaluated<SegmentationScores>) -> String {
    let metrics = &now.scores.metrics;
    let mut line = format!(
        "epoch {:>5.1}  mIoU {:.1}  mean accuracy {:.1}  pixel accuracy {:.1}",
        now.epoch,
        100.0 * metrics.mean_iou,
        100.0 * metrics.mean_accuracy,
        100.0 * metrics.pixel_accuracy
    );
    if now.scores.unreadable > 0 {
        line += &format!("  ({} unreadable)", now.scores.unreadable);
    }
    line
}
