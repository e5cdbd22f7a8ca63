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
        observer.say(&line(&now, self.info.settings.masks));
        Results::note(self.run, now, &BEST_BY, |path| {
            Ok(self.info.file(&state.model)?.write(path)?)
        })
    }
}

/// An evaluation for people, of a detector that was taught masks or not.
fn line(now: &Evaluated<ObjectScores>, masks: bool) -> String {
    // Below 0 where there is no truth.
    let percent = |share: f64| match share < 0.0 {
        true => "none".to_owned(),
        false => format!("{:.1}", 100.0 * share),
    };
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
    if bbox.ap() < 0.0 {
        line += "  (nothing is scored: the evaluation images have no objects)";
    }
    if masks && now.scores.segm.is_none() {
        line += "  (masks are not scored: not every object to find has one)";
    }
    line
}

#[cfg(test)]
mod tests {
    use semaim_coco::METRICS;

    use super::*;
    use crate::detect::score::KindScores;

    fn evaluated(ap: f64, masks: bool) -> Evaluated<ObjectScores> {
        let kind = KindScores {
            stats: [ap; METRICS.len()],
            per_class: Vec::new(),
            class_agnostic: None,
            precision: Vec::new(),
        };
        Evaluated {
            epoch: 1.0,
            scores: ObjectScores {
                images: 3,
                unreadable: 0,
                classes: Vec::new(),
                bbox: kind.clone(),
                segm: masks.then_some(kind),
            },
        }
    }

    #[test]
    fn what_is_not_scored_is_said() {
        let said = line(&evaluated(0.25, true), true);
        assert!(
            said.ends_with("box AP 25.0  AP50 25.0  mask AP 25.0  AP50 25.0"),
            "{said}"
        );
        let said = line(&evaluated(-1.0, true), true);
        assert!(
            said.contains("box AP none") && said.contains("have no objects"),
            "{said}"
        );
        assert!(!said.contains("-100"), "{said}");
        let said = line(&evaluated(0.25, false), true);
        assert!(said.contains("masks are not scored"), "{said}");
        assert!(!line(&evaluated(0.25, false), false).contains("mask"));
    }
}
