//! Evaluation while a detector is trained: the best is kept, results are written.

use std::sync::Arc;

use semaim_checkpoint::atomic;
use semaim_data::ObjectSet;
use semaim_detect::model::MaskRcnn;
use semaim_train::callbacks::{Evaluator, Observer, Progress};
use semaim_train::error::TrainError;
use semaim_train::log::RunLog;
use semaim_train::run_dir::RunDir;
use semaim_train::state::TrainState;

use super::config::DetectConfig;
use super::data::at_most;
use super::detector::{Detector, DetectorInfo};
use super::score::score;
use super::{BEST, Evaluated, RESULTS, Results, read_results};
use crate::image_batches::BatchOptions;

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
        let items = at_most(self.set, self.config.eval.images);
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
        // A run that died after an evaluation makes the same evaluation again: what is not better replaces nothing, what
        // comes from a later time than this is of a run that was begun anew.
        let before = read_results(self.run)
            .ok()
            .map(|results| results.best)
            .filter(|best| best.epoch <= now.epoch);
        let best = match before {
            Some(best) if best.scores.bbox.ap() >= now.scores.bbox.ap() => best,
            _ => {
                self.info
                    .file(&state.model)?
                    .write(&self.run.path().join(BEST))?;
                now.clone()
            }
        };
        let results = Results {
            last: now,
            best,
            best_by: "box AP".into(),
        };
        let path = self.run.path().join(RESULTS);
        let text = serde_json::json!(results).to_string();
        atomic::write_bytes(&path, text.as_bytes()).map_err(|source| TrainError::Io {
            action: "writing",
            path,
            source,
        })
    }
}

/// An evaluation for people.
fn line(now: &Evaluated) -> String {
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
