//! Evaluation while a detector is trained: the best is kept, results are written.

use std::sync::Arc;

use semaim_data::ObjectSet;
use semaim_detect::model::MaskRcnn;
use semaim_train::callbacks::{Evaluator, Observer, Progress};
use semaim_train::error::TrainError;
use semaim_train::log::RunLog;
use semaim_train::run_dir::RunDir;
use semaim_train::state::TrainState;

use super::Results;
use super::config::DetectConfig;
use super::detector::{Detector, DetectorInfo};
use super::score::{ObjectScores, score};
use crate::image_batches::{BatchOptions, at_most};
use crate::results::{Criterion, Evaluated};

/// What the best is chosen by.
const BEST_BY: Criterion<ObjectScores> = Criterion {
    name: "box AP",
    of: |scores| scores.bbox.ap(),
};

pub(super) struct DetectEvaluator<'a> {
    pub(super) config: &'a DetectConfig,
    pub(super) info: &'a DetectorInfo,
    pub(super) set: &'a Arc<ObjectSet>,
    pub(super) run: &'a RunDir,
}

impl Evaluator<MaskRcnn> for DetectEvaluator<'_> {
    fn evaluate(
        &mut self,
        state: &TrainState<MaskRcnn>,
        progress: Progress,
        log: &mut RunLog,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        if progress.step == 0 {
            // Heads that have learnt nothing have nothing to show.
            return Ok(());
        }
        observer.doing("evaluating");
        let options = BatchOptions {
            batch_size: self.config.eval.batch_size,
            workers: self.config.data.workers,
        };
        let items = at_most(&**self.set, self.config.eval.images);
        let detector = Detector {
            model: state.model.clone(),
            info: self.info.clone(),
        };
        let scores = score(&detector, self.set, &items, options, |_, _| {});
        let scores = scores.map_err(|error| TrainError::Evaluation {
            step: progress.step,
            source: error.into(),
        })?;
        let now = Evaluated {
            epoch: progress.epoch(),
            scores,
        };
        let kinds = [
            ("bbox", Some(&now.scores.bbox)),
            ("segm", now.scores.segm.as_ref()),
        ];
        let names = ["ap", "ap50", "ap75"];
        let scalars: Vec<(String, f64)> = kinds
            .iter()
            .filter_map(|(kind, scores)| Some((kind, (*scores)?)))
            .flat_map(|(kind, scores)| {
                let values = names.iter().zip(scores.stats);
                values.map(move |(name, value)| (format!("eval/{kind}_{name}"), value))
            })
            .collect();
        let scalars: Vec<(&str, f64)> = scalars.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        log.scalars(progress.step, progress.epoch(), &scalars)?;
        observer.say(&line(&now));
        Results::note(self.run, now, &BEST_BY, |path| {
            Ok(self.info.file(&state.model)?.write(path)?)
        })
    }
}

/// An evaluation for people.
fn line(now: &Evaluated<ObjectScores>) -> String {
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    let bbox = &now.scores.bbox;
    let mut line = format!(
        "epoch {:>5.1}  box AP {}  AP50 {}",
        now.epoch,
        percent(bbox.ap()),
        percent(bbox.ap50())
    );
    if let Some(segm) = &now.scores.segm {
        line += &format!(
            "  mask AP {}  AP50 {}",
            percent(segm.ap()),
            percent(segm.ap50())
        );
    }
    if now.scores.unreadable > 0 {
        line += &format!("  ({} unreadable)", now.scores.unreadable);
    }
    line
}
