//! Curves and key figures out of a run's metrics.

use semaim_data::counted;
use semaim_report::{Fact, LineChart, Part, Scale, Series};
use semaim_train::log::skipped_steps;
use serde_json::Value;

use super::BadImages;

/// A chart: its title, what the vertical axis is, and the curves by name and key.
struct Chart {
    title: &'static str,
    y_label: &'static str,
    scale: Scale,
    /// What numbers are multiplied by.
    factor: f64,
    curves: &'static [(&'static str, &'static str)],
}

const CHARTS: [Chart; 9] = [
    Chart {
        title: "Loss",
        y_label: "loss",
        scale: Scale::Linear,
        factor: 1.0,
        curves: &[("training", "train/loss")],
    },
    Chart {
        title: "kNN",
        y_label: "%",
        scale: Scale::Linear,
        factor: 100.0,
        curves: &[
            ("top-1", "eval/knn_top1"),
            ("top-5", "eval/knn_top5"),
            ("chance (top-1)", "eval/knn_chance"),
        ],
    },
    Chart {
        title: "Accuracy",
        y_label: "%",
        scale: Scale::Linear,
        factor: 100.0,
        curves: &[
            ("top-1", "eval/top1"),
            ("top-5", "eval/top5"),
            ("chance (top-1)", "eval/chance"),
        ],
    },
    Chart {
        title: "Losses by part",
        y_label: "loss",
        scale: Scale::Linear,
        factor: 1.0,
        curves: &[
            ("objectness of anchors", "train/loss_rpn_cls"),
            ("boxes of anchors", "train/loss_rpn_loc"),
            ("classes of regions", "train/loss_cls"),
            ("boxes of regions", "train/loss_box_reg"),
            ("masks of regions", "train/loss_mask"),
            ("head", "train/loss_main"),
            ("auxiliary head", "train/loss_auxiliary"),
        ],
    },
    Chart {
        title: "Average precision",
        y_label: "%",
        scale: Scale::Linear,
        factor: 100.0,
        curves: &[
            ("box AP", "eval/bbox_ap"),
            ("box AP50", "eval/bbox_ap50"),
            ("mask AP", "eval/segm_ap"),
            ("mask AP50", "eval/segm_ap50"),
        ],
    },
    Chart {
        title: "Classes of pixels",
        y_label: "%",
        scale: Scale::Linear,
        factor: 100.0,
        curves: &[
            ("mIoU", "eval/mean_iou"),
            ("mean accuracy", "eval/mean_accuracy"),
            ("pixel accuracy", "eval/pixel_accuracy"),
        ],
    },
    Chart {
        title: "Learning rate",
        y_label: "",
        scale: Scale::Linear,
        factor: 1.0,
        curves: &[("learning rate", "train/lr")],
    },
    Chart {
        title: "Gradient norm",
        y_label: "",
        scale: Scale::Log,
        factor: 1.0,
        curves: &[("before clipping", "train/grad_norm")],
    },
    Chart {
        title: "Throughput",
        y_label: "images/s",
        scale: Scale::Linear,
        factor: 1.0,
        curves: &[("images per second", "train/images_per_second")],
    },
];

/// The charts that there are numbers for.
pub(super) fn charts(entries: &[Value]) -> Part {
    let chart = |chart: &Chart| {
        let series = chart.curves.iter().map(|(name, key)| Series {
            name: (*name).into(),
            points: points(entries, key, chart.factor),
            ..Series::default()
        });
        LineChart {
            title: chart.title.into(),
            x_label: "epoch".into(),
            y_label: chart.y_label.into(),
            y_scale: chart.scale,
            series: series.filter(|series| !series.points.is_empty()).collect(),
        }
    };
    let charts = CHARTS
        .iter()
        .map(chart)
        .filter(|chart| !chart.series.is_empty());
    Part::Charts(charts.collect())
}

/// A number over the epochs; one that was not finite is a gap, and so is one of an evaluation without truth.
fn points(entries: &[Value], key: &str, factor: f64) -> Vec<[f64; 2]> {
    entries
        .iter()
        .filter_map(|entry| {
            let value = entry.get(key)?;
            Some([
                entry["epoch"].as_f64()?,
                factor * known(key, value).unwrap_or(f64::NAN),
            ])
        })
        .collect()
}

/// A logged number; `None` where it was not finite, or is COCO's -1 of an evaluation in which there was no truth.
fn known(key: &str, value: &Value) -> Option<f64> {
    value
        .as_f64()
        .filter(|value| *value >= 0.0 || !key.starts_with("eval/"))
}

/// How far the run has come, which is at step `now`.
pub(super) fn progress(entries: &[Value], now: Option<u64>) -> String {
    let Some(step) = now else {
        return "Nothing has been logged yet.".into();
    };
    let steps = counted(step, "step");
    // What happens to a run is logged without its epoch, and where it was stopped is not logged.
    let last = entries.iter().rev().find_map(|entry| {
        let epoch = entry.get("epoch")?.as_f64()?;
        Some((entry.get("step")?.as_u64()?, epoch))
    });
    match last {
        Some((at, epochs)) if at == step => format!("{steps}, {epochs:.1} epochs"),
        _ => steps,
    }
}

/// The last step of which the log says something.
pub(super) fn last_step(entries: &[Value]) -> Option<u64> {
    entries
        .iter()
        .filter_map(|entry| entry.get("step")?.as_u64())
        .max()
}

/// The step of an entry of a log.
fn step(entry: &Value) -> u64 {
    entry.get("step").and_then(Value::as_u64).unwrap_or(0)
}

/// The last known number of a key as `form` writes it, and when that was if the run, which is at step `now`, has gone on since.
fn latest(
    entries: &[Value],
    now: Option<u64>,
    key: &str,
    form: impl Fn(f64) -> String,
) -> Option<String> {
    let logged = |entry: &&Value| entry.get(key).is_some();
    let last = entries.iter().rev().find(logged)?;
    let (at, value) = entries
        .iter()
        .rev()
        .find_map(|entry| Some((step(entry), known(key, entry.get(key)?)?)))?;
    let value = form(value);
    Some(if at < step(last) {
        format!("{value} at step {at}, none since")
    } else if now.is_none_or(|now| at == now) || key.starts_with("train/") {
        value
    } else if at == 0 {
        format!("{value} before training")
    } else {
        format!("{value} at step {at}")
    })
}

/// Key figures of a run that is at step `now`.
pub(super) fn facts(entries: &[Value], now: Option<u64>) -> Vec<Fact> {
    let values = |key: &str| -> Vec<f64> {
        let found = entries
            .iter()
            .filter_map(|entry| known(key, entry.get(key)?));
        found.collect()
    };
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: Option<String>| {
        facts.extend(value.map(|value| Fact {
            name: name.into(),
            value,
        }));
    };
    let last = |key: &str| values(key).last().copied();
    fact(
        "loss",
        latest(entries, now, "train/loss", |v| format!("{v:.4}")),
    );
    // What it was before its first step is not what a run has learned.
    let best = |key: &str| {
        let learned = entries.iter().filter(|entry| step(entry) > 0);
        let found = learned.filter_map(|entry| known(key, entry.get(key)?));
        found.reduce(f64::max)
    };
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    for (name, key, chance) in [
        ("kNN top-1", "eval/knn_top1", "eval/knn_chance"),
        ("top-1", "eval/top1", "eval/chance"),
    ] {
        let chance = last(chance).map(|chance| format!(" (chance {})", percent(chance)));
        fact(
            &format!("{name}{}", chance.unwrap_or_default()),
            latest(entries, now, key, percent),
        );
        fact(&format!("best {name}"), best(key).map(percent));
    }
    for (name, key) in [
        ("box AP", "eval/bbox_ap"),
        ("mask AP", "eval/segm_ap"),
        ("mIoU", "eval/mean_iou"),
    ] {
        fact(name, latest(entries, now, key, percent));
        fact(&format!("best {name}"), best(key).map(percent));
    }
    let mut speeds = values("train/images_per_second");
    speeds.sort_by(f64::total_cmp);
    let median = speeds.get(speeds.len() / 2);
    fact("images/s, median", median.map(|v| format!("{v:.0}")));
    fact("unreadable images", BadImages::of(entries).in_short());
    let skipped = skipped_steps(entries);
    fact("steps left out", (skipped > 0).then(|| skipped.to_string()));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn there_is_a_chart_for_what_there_are_numbers_of() {
        let entries = [
            json!({"step": 0, "epoch": 0.0, "eval/knn_top1": 0.25, "eval/knn_top5": 0.5, "eval/knn_chance": 0.1}),
            json!({"step": 10, "epoch": 0.5, "train/loss": 1.5, "train/images_per_second": 90.0}),
            json!({"step": 20, "epoch": 1.0, "train/loss": null, "train/images_per_second": 110.0}),
            json!({"step": 20, "epoch": 1.0, "eval/knn_top1": 0.2}),
        ];
        let titles = |entries: &[Value]| -> Vec<String> {
            let Part::Charts(charts) = charts(entries) else {
                panic!("no charts")
            };
            charts.into_iter().map(|chart| chart.title).collect()
        };
        assert_eq!(titles(&entries), ["Loss", "kNN", "Throughput"]);
        assert_eq!(progress(&entries, Some(20)), "20 steps, 1.0 epochs");
        let facts = facts(&entries, Some(20));
        let fact = |name: &str| {
            facts
                .iter()
                .find(|f| f.name == name)
                .map(|f| f.value.as_str())
        };
        assert_eq!(fact("loss"), Some("1.5000 at step 10, none since"));
        assert_eq!(fact("kNN top-1 (chance 10.0 %)"), Some("20.0 %"));
        // It was better before the first step.
        assert_eq!(fact("best kNN top-1"), Some("20.0 %"));
        assert_eq!(fact("images/s, median"), Some("110"));
        assert_eq!(fact("unreadable images"), None);
        let gap = points(&entries, "train/loss", 1.0);
        assert!(gap[1][1].is_nan() && gap.len() == 2);
        assert!(titles(&[]).is_empty());
    }

    #[test]
    fn figures_are_not_of_another_time_than_they_seem() {
        let started = json!({"step": 0, "epoch": 0.0, "eval/knn_top1": 0.25, "eval/bbox_ap": -1.0});
        let trained = json!({"step": 30, "epoch": 1.5, "train/loss": 0.5});
        let skipped = json!({"step": 31, "event": "step_skipped", "loss": null});
        let facts_of = |entries: &[Value]| -> Vec<(String, String)> {
            let facts = facts(entries, last_step(entries)).into_iter();
            facts.map(|fact| (fact.name, fact.value)).collect()
        };
        let found = facts_of(&[started.clone(), trained.clone()]);
        let text = |name: &str| {
            let fact = found.iter().find(|fact| fact.0 == name);
            fact.map(|fact| fact.1.clone())
        };
        assert_eq!(text("loss").as_deref(), Some("0.5000"));
        assert_eq!(text("kNN top-1").as_deref(), Some("25.0 % before training"));
        // No truth, no AP.
        assert_eq!(text("box AP"), None);
        assert_eq!(text("best box AP"), None);
        assert!(points(&[started], "eval/bbox_ap", 100.0)[0][1].is_nan());
        // What happens has a step and no epoch.
        let entries = [trained, skipped];
        assert_eq!(progress(&entries, last_step(&entries)), "31 steps");
        assert!(facts_of(&entries).contains(&("steps left out".into(), "1".into())));
    }

    #[test]
    fn a_run_that_was_stopped_has_come_further_than_its_log() {
        let started = json!({"step": 0, "epoch": 0.0, "eval/knn_top1": 0.25});
        let knn = |entry: &Value, now| {
            let mut facts = facts(std::slice::from_ref(entry), now).into_iter();
            let knn = facts.find(|fact| fact.name == "kNN top-1");
            knn.map(|fact| fact.value)
        };
        assert_eq!(
            progress(std::slice::from_ref(&started), Some(272)),
            "272 steps"
        );
        assert_eq!(
            knn(&started, Some(272)).as_deref(),
            Some("25.0 % before training")
        );
        assert_eq!(knn(&started, Some(0)).as_deref(), Some("25.0 %"));
        // Measured first in the middle, it is not of the beginning.
        let later = json!({"step": 40, "epoch": 2.0, "eval/knn_top1": 0.5});
        assert_eq!(knn(&later, Some(50)).as_deref(), Some("50.0 % at step 40"));
        assert_eq!(progress(&[], None), "Nothing has been logged yet.");
    }

    #[test]
    fn unreadable_images_are_told_apart_from_how_often_they_were_drawn() {
        let bad = |step: u64| json!({"step": step, "event": "bad_image", "image": "a.jpg"});
        let entries: Vec<Value> = (1..=3).map(bad).collect();
        let mut facts = facts(&entries, Some(3)).into_iter();
        let unreadable = facts.find(|fact| fact.name == "unreadable images");
        assert_eq!(
            unreadable.map(|fact| fact.value),
            Some("1 (3 times)".into())
        );
    }
}
