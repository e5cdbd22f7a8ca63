//! The table of a comparison, for people (Markdown) and for programs (JSON).

use std::fmt::Write;

use serde_json::{Value, json};

use super::config::{CompareConfig, Evaluation};
use super::statistics::Summary;
use super::trial::Record;

/// One variant in one evaluation.
struct Entry {
    all: Summary,
    /// Differences to the baseline with the same seed, where both are measured.
    difference: Option<Summary>,
}

/// Top-1 of a variant by seed.
fn top1(records: &[Record], variant: &str, evaluation: Evaluation) -> Vec<(u64, f64)> {
    records
        .iter()
        .filter(|record| record.variant == variant)
        .filter_map(|record| Some((record.seed, record.accuracy.get(evaluation.key())?.top1)))
        .collect()
}

fn entry(
    config: &CompareConfig,
    records: &[Record],
    variant: &str,
    evaluation: Evaluation,
) -> Option<Entry> {
    let own = top1(records, variant, evaluation);
    let values: Vec<f64> = own.iter().map(|(_, value)| *value).collect();
    let baseline = top1(records, &config.baseline, evaluation);
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

/// Steps and mean time of pre-training of a variant; `None` where it is not pre-trained.
fn effort(records: &[Record], variant: &str) -> Option<(u64, f64)> {
    let done: Vec<&Record> = records
        .iter()
        .filter(|record| record.variant == variant && record.steps > 0 && record.encoded)
        .collect();
    let seconds: f64 = done.iter().map(|record| record.pretrain_seconds).sum();
    Some((done.first()?.steps, seconds / done.len() as f64))
}

/// The table in Markdown: top-1 in per cent, mean ± standard deviation over seeds, and the mean paired difference to
/// the baseline in points with its 95 % confidence interval.
pub fn markdown(config: &CompareConfig, records: &[Record]) -> String {
    let mut text = String::from("| variant |");
    let mut rule = String::from("\n|---|");
    for evaluation in &config.evaluations {
        let name = evaluation.name();
        text += &format!(" {name}, top-1 % | to {} |", config.baseline);
        rule += "---|---|";
    }
    text += " steps | pre-training, s |";
    text += &rule;
    text += "---|---|\n";
    for variant in &config.variants {
        let _ = write!(text, "| {} |", variant.name);
        for &evaluation in &config.evaluations {
            let Some(entry) = entry(config, records, &variant.name, evaluation) else {
                text += " – | – |";
                continue;
            };
            let _ = write!(text, " {} |", spread(&entry.all));
            match entry.difference {
                Some(difference) => {
                    let _ = write!(text, " {} |", interval(&difference));
                }
                None => text += " |",
            }
        }
        match effort(records, &variant.name) {
            Some((steps, seconds)) => {
                let _ = writeln!(text, " {steps} | {seconds:.0} |");
            }
            None => text += " 0 | – |\n",
        }
    }
    text
}

fn spread(summary: &Summary) -> String {
    let mean = 100.0 * summary.mean;
    if summary.count < 2 {
        format!("{mean:.1} (1 seed)")
    } else {
        format!("{mean:.1} ± {:.1}", 100.0 * summary.deviation)
    }
}

fn interval(summary: &Summary) -> String {
    let mean = 100.0 * summary.mean;
    if summary.count < 2 {
        return format!("{mean:+.1}");
    }
    let half = 100.0 * summary.half_width();
    format!("{mean:+.1} ({:+.1} to {:+.1})", mean - half, mean + half)
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
    let variants = config.variants.iter().map(|variant| {
        let mut row = json!({"variant": variant.name});
        for &evaluation in &config.evaluations {
            if let Some(entry) = entry(config, records, &variant.name, evaluation) {
                row[evaluation.key()] = json!({
                    "top1": summary(&entry.all),
                    "to_baseline": entry.difference.as_ref().map(summary),
                });
            }
        }
        if let Some((steps, seconds)) = effort(records, &variant.name) {
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
            "pretrain_seconds": record.pretrain_seconds,
            "finetune_seconds": record.finetune_seconds,
            "accuracy": record.accuracy,
        })
    });
    json!({
        "data": config.data,
        "baseline": config.baseline,
        "variants": variants.collect::<Vec<_>>(),
        "cells": trials.collect::<Vec<_>>(),
    })
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::Accuracy;
    use crate::compare::config::Variant;

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
        let record = |name: &str, seed: u64, top1: f64| Record {
            variant: name.into(),
            seed,
            encoded: true,
            steps: 7,
            accuracy: [("knn".to_string(), Accuracy { top1, top5: 1.0 })].into(),
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
            text.contains("| b | 32.0 ± 15.6 | +2.0 (-10.7 to +14.7) |"),
            "{text}"
        );
        let value = as_json(&config, &records);
        let difference = value["variants"][1]["knn"]["to_baseline"]["mean"].as_f64();
        assert!((difference.unwrap() - 0.02).abs() < 1e-12);
        assert_eq!(value["cells"].as_array().unwrap().len(), 5);
    }
}
