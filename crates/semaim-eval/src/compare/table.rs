//! The table of a comparison, for people (Markdown) and for programs (JSON).

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value, json};

use super::config::CompareConfig;
use super::measure::{Measure, Scores};
use super::record::Record;
use super::statistics::Summary;

/// A number of one variant over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Over all seeds.
    pub all: Summary,
    /// Differences to the baseline with the same seed, where both are measured.
    pub difference: Option<Summary>,
}

/// A number of a variant over training.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The variant.
    pub variant: String,
    /// By step.
    pub points: Vec<(u64, Entry)>,
}

/// The entry of a variant, given what was measured of a trial.
fn entry<'a>(
    config: &CompareConfig,
    records: &'a [Record],
    variant: &str,
    measure: Measure,
    scores: impl Fn(&'a Record) -> Option<&'a Scores>,
) -> Option<Entry> {
    let by_seed = |variant: &str| -> Vec<(u64, f64)> {
        let own = records.iter().filter(|record| record.variant == variant);
        own.filter_map(|record| Some((record.seed, scores(record)?.get(measure)?)))
            .collect()
    };
    let own = by_seed(variant);
    let values: Vec<f64> = own.iter().map(|(_, value)| *value).collect();
    let baseline = by_seed(&config.baseline);
    let differences: Vec<f64> = own
        .iter()
        .filter_map(|(seed, value)| {
            let (_, other) = baseline.iter().find(|(other, _)| other == seed)?;
            Some(value - other)
        })
        .collect();
    Some(Entry {
        all: Summary::of(&values)?,
        difference: (variant != config.baseline)
            .then(|| Summary::of(&differences))
            .flatten(),
    })
}

/// A number of the trained encoder of a variant; `None` where no seed has it.
pub fn trained(
    config: &CompareConfig,
    records: &[Record],
    variant: &str,
    measure: Measure,
) -> Option<Entry> {
    entry(config, records, variant, measure, |record| {
        Some(&record.scores)
    })
}

/// A number of every variant over training, where it was measured on the way.
pub fn curves(config: &CompareConfig, records: &[Record], measure: Measure) -> Vec<Curve> {
    let curve = |variant: &str| {
        let own = records.iter().filter(|record| record.variant == variant);
        let steps = own.flat_map(|record| record.curve.iter().map(|point| point.step));
        let steps: BTreeSet<u64> = steps.collect();
        let points = steps.into_iter().filter_map(|step| {
            let found = entry(config, records, variant, measure, |record| {
                let point = record.curve.iter().find(|point| point.step == step)?;
                Some(&point.scores)
            })?;
            Some((step, found))
        });
        Curve {
            variant: variant.to_owned(),
            points: points.collect(),
        }
    };
    let all = config.variants.iter().map(|variant| curve(&variant.name));
    all.filter(|curve| !curve.points.is_empty()).collect()
}

/// What pre-training of a variant took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Optimizer steps.
    pub steps: u64,
    /// Mean time in seconds, of the trials of which it is known.
    pub seconds: Option<f64>,
}

/// Steps and mean time of pre-training of a variant; `None` where it is not pre-trained.
pub fn effort(records: &[Record], variant: &str) -> Option<Effort> {
    let done = records
        .iter()
        .filter(|record| record.variant == variant && record.steps > 0 && record.encoded);
    let steps = done.clone().next()?.steps;
    let known = done.filter(|record| !record.cut_short);
    let seconds: Vec<f64> = known.map(|record| record.pretrain_seconds).collect();
    Some(Effort {
        steps,
        seconds: Summary::of(&seconds).map(|seconds| seconds.mean),
    })
}

/// The table in Markdown: top-1 in per cent, mean ± standard deviation over seeds, and the mean paired difference to
/// the baseline in points with its 95 % confidence interval.
pub fn markdown(config: &CompareConfig, records: &[Record]) -> String {
    let mut text = String::from("| variant |");
    let mut rule = String::from("\n|---|");
    let measures = config.measures();
    for measure in &measures {
        let what = match measure.unit() {
            "top1" => ", top-1",
            _ => "",
        };
        text += &format!(" {}{what} % | to {} |", measure.name(), config.baseline);
        rule += "---|---|";
    }
    text += " steps | pre-training, s |";
    text += &rule;
    text += "---|---|\n";
    for variant in &config.variants {
        let _ = write!(text, "| {} |", variant.name);
        for &measure in &measures {
            let Some(entry) = trained(config, records, &variant.name, measure) else {
                text += " – | – |";
                continue;
            };
            let _ = write!(text, " {} |", spread(&entry.all, config.seeds.len()));
            match entry.difference {
                Some(difference) => {
                    let _ = write!(text, " {} |", interval(&difference, entry.all.count));
                }
                None => text += " |",
            }
        }
        match effort(records, &variant.name) {
            Some(Effort { steps, seconds }) => {
                let seconds = seconds.map_or("–".into(), |seconds| format!("{seconds:.0}"));
                let _ = writeln!(text, " {steps} | {seconds} |");
            }
            None => text += " 0 | – |\n",
        }
    }
    text
}

/// A mean with its standard deviation, in per cent, and of how many of the `seeds` of the comparison it is, where that is not all.
pub fn spread(summary: &Summary, seeds: usize) -> String {
    let mean = 100.0 * summary.mean;
    match summary.count {
        0 | 1 => format!("{mean:.1} (1 seed)"),
        count if count < seeds => format!(
            "{mean:.1} ± {:.1} ({count} of {seeds} seeds)",
            100.0 * summary.deviation
        ),
        _ => format!("{mean:.1} ± {:.1}", 100.0 * summary.deviation),
    }
}

/// A mean difference with its 95 % interval, in points, and of how many pairs it is, where these are fewer than the `seeds` of the mean
/// beside it, as the baseline lacks some.
pub fn interval(summary: &Summary, seeds: usize) -> String {
    let mean = 100.0 * summary.mean;
    let half = 100.0 * summary.half_width();
    let (low, high) = (mean - half, mean + half);
    match summary.count {
        0 | 1 if seeds < 2 => format!("{mean:+.1}"),
        0 | 1 => format!("{mean:+.1} (1 pair)"),
        count if count < seeds => {
            format!("{mean:+.1} ({low:+.1} to {high:+.1}, {count} pairs)")
        }
        _ => format!("{mean:+.1} ({low:+.1} to {high:+.1})"),
    }
}

/// The same for programs, with the numbers of every trial.
pub fn as_json(config: &CompareConfig, records: &[Record]) -> Value {
    let summary = |summary: &Summary| {
        let half = summary.half_width();
        json!({
            "seeds": summary.count,
            "mean": summary.mean,
            "standard_deviation": finite(summary.deviation),
            "interval_95": [finite(summary.mean - half), finite(summary.mean + half)],
        })
    };
    let entry = |measure: Measure, entry: &Entry| {
        let mut value = json!({"to_baseline": entry.difference.as_ref().map(summary)});
        value[measure.unit()] = summary(&entry.all);
        value
    };
    let variants = config.variants.iter().map(|variant| {
        let mut row = json!({"variant": variant.name});
        for measure in config.measures() {
            if let Some(found) = trained(config, records, &variant.name, measure) {
                row[measure.key()] = entry(measure, &found);
            }
        }
        if let Some(Effort { steps, seconds }) = effort(records, &variant.name) {
            row["steps"] = json!(steps);
            row["pretrain_seconds"] = json!(seconds);
        }
        row
    });
    let trials = records.iter().map(|record| {
        json!({
            "variant": record.variant,
            "seed": record.seed,
            "steps": record.steps,
            "pretrain_seconds": (!record.cut_short).then_some(record.pretrain_seconds),
            "finetune_seconds": record.finetune_seconds,
            "accuracy": record.scores.accuracy,
            "pointing": record.scores.pointing,
            "curve": record.curve,
        })
    });
    let mut over_training = json!({});
    for measure in config.curve_measures() {
        let of_variant = |curve: Curve| {
            let point = |(step, found): &(u64, Entry)| {
                let mut value = entry(measure, found);
                value["step"] = json!(step);
                value
            };
            let points: Vec<Value> = curve.points.iter().map(point).collect();
            json!({"variant": curve.variant, "points": points})
        };
        let found = curves(config, records, measure).into_iter();
        over_training[measure.key()] = found.map(of_variant).collect();
    }
    json!({
        "data": config.data,
        "baseline": config.baseline,
        "variants": variants.collect::<Vec<_>>(),
        "curves": over_training,
        "trials": trials.collect::<Vec<_>>(),
    })
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::Accuracy;
    use crate::compare::config::{Evaluation, Variant};
    use crate::compare::measure::CurvePoint;

    #[test]
    fn variants_are_paired_by_seed() {
        let variant = |name: &str| Variant {
            name: name.into(),
            ..Variant::default()
        };
        let config = CompareConfig {
            baseline: "a".into(),
            evaluations: vec![Evaluation::Knn, Evaluation::Probe],
            variants: vec![variant("a"), variant("b")],
            ..CompareConfig::default()
        };
        let scores = |top1: f64| Scores {
            accuracy: [("knn".to_string(), Accuracy { top1, top5: 1.0 })].into(),
            ..Scores::default()
        };
        let record = |name: &str, seed: u64, top1: f64| Record {
            variant: name.into(),
            seed,
            encoded: true,
            steps: 7,
            scores: scores(top1),
            curve: vec![CurvePoint {
                step: 5,
                scores: scores(top1 / 2.0),
            }],
            ..Record::default()
        };
        // Seeds differ by much, the variants of each by little; the third seed of b is not there yet.
        let records = [
            record("a", 0, 0.2),
            record("b", 0, 0.21),
            record("a", 1, 0.4),
            record("b", 1, 0.43),
            record("a", 2, 0.9),
        ];
        let text = markdown(&config, &records);
        assert!(
            text.contains("| a | 50.0 ± 36.1 | | – | – | 7 | 0 |"),
            "{text}"
        );
        // t(1) · sd/√2 = 12.706 · 1.414/1.414
        assert!(
            text.contains("| b | 32.0 ± 15.6 (2 of 3 seeds) | +2.0 (-10.7 to +14.7) |"),
            "{text}"
        );
        // The baseline lacks a seed of b.
        let fewer = [&records[1..4], &[record("b", 2, 0.8)]].concat();
        let text = markdown(&config, &fewer);
        assert!(text.contains("| +3.0 (1 pair) |"), "{text}");
        let pairs = interval(&Summary::of(&[0.01, 0.03]).unwrap(), 3);
        assert_eq!(pairs, "+2.0 (-10.7 to +14.7, 2 pairs)");
        let value = as_json(&config, &records);
        let difference = value["variants"][1]["knn"]["to_baseline"]["mean"].as_f64();
        assert!((difference.unwrap() - 0.02).abs() < 1e-12);
        assert_eq!(value["trials"].as_array().unwrap().len(), 5);
        let found = curves(&config, &records, Measure::Knn);
        assert_eq!(found.len(), 2);
        let [(step, half)] = found[1].points[..] else {
            panic!("{found:?}")
        };
        assert_eq!((step, half.all.count), (5, 2));
        assert!((half.difference.unwrap().mean - 0.01).abs() < 1e-12);
        // The time of a trial that was cut short is not known.
        let timed = |seed, pretrain_seconds, cut_short| Record {
            pretrain_seconds,
            cut_short,
            ..record("a", seed, 0.5)
        };
        let records = [timed(0, 4.0, false), timed(1, 1.0, true)];
        let found = effort(&records, "a").unwrap();
        assert_eq!((found.steps, found.seconds), (7, Some(4.0)));
        let text = markdown(&config, &records[1..]);
        assert!(text.contains("| 7 | – |"), "{text}");
    }
}
