//! The page of a comparison: curves over training with bands over seeds, and the table.

use semaim_config::to_toml;
use semaim_data::counted;
use semaim_eval::compare::config::CompareConfig;
use semaim_eval::compare::measure::{CHANCE, Measure};
use semaim_eval::compare::record::Record;
use semaim_eval::compare::table::{Curve, curves, effort, interval, spread, trained};
use semaim_report::{Cell, Fact, LineChart, Page, Part, Section, Series};

use super::StepTimes;
use crate::exit::Exit;

/// The page; it holds what has been measured so far.
pub(super) fn page(
    title: &str,
    config: &CompareConfig,
    records: &[Record],
    step_times: &StepTimes,
) -> Result<Page, Exit> {
    let measured = records.iter().filter(|record| record.encoded).count();
    let mut sections = Vec::new();
    if let Some(over_training) = over_training(config, records) {
        sections.push(over_training);
    }
    sections.extend(over_time(config, records, step_times));
    sections.push(at_the_end(config, records));
    sections.push(Section {
        title: "Configuration".into(),
        parts: vec![Part::Source {
            title: "The comparison, with all defaults".into(),
            text: to_toml(config)?,
        }],
    });
    Ok(Page {
        title: title.into(),
        subtitle: format!(
            "{measured} of {} trained: {}, {}",
            counted(records.len() as u64, "encoder"),
            counted(config.variants.len() as u64, "variant"),
            counted(config.seeds.len() as u64, "seed"),
        ),
        facts: vec![
            Fact {
                name: "images".into(),
                value: config.data.to_string(),
            },
            Fact {
                name: "compared with".into(),
                value: config.baseline.clone(),
            },
        ],
        sections,
    })
}

/// A chart for every number that was measured on the way, and one of its difference to the baseline.
fn over_training(config: &CompareConfig, records: &[Record]) -> Option<Section> {
    let mut charts = Vec::new();
    for measure in config.curve_measures() {
        let found = curves(config, records, measure);
        let mut series: Vec<Series> = found.iter().map(|curve| of_values(curve, 1.0)).collect();
        series.extend(chance(measure, records));
        charts.push(LineChart {
            title: measure.name(),
            x_label: "step".into(),
            y_label: "%".into(),
            series,
            ..LineChart::default()
        });
        // The baseline keeps its place, so that a variant has one color in both.
        charts.push(LineChart {
            title: format!("{}, difference to {}", measure.name(), config.baseline),
            x_label: "step".into(),
            y_label: "points".into(),
            series: found.iter().map(of_differences).collect(),
            ..LineChart::default()
        });
    }
    charts.retain(|chart| chart.series.iter().any(|series| !series.points.is_empty()));
    if charts.is_empty() {
        return None;
    }
    let text = "Lines are means over seeds. Bands are a standard deviation to both sides on the left; on the right, where variants are \
                paired by seed, they are the 95 % interval of the mean difference. One seed has no band.";
    Some(Section {
        title: "Over training".into(),
        parts: vec![Part::Text(text.into()), Part::Charts(charts)],
    })
}

/// The same charts over the time that pre-training takes to get there, where steps were timed.
fn over_time(
    config: &CompareConfig,
    records: &[Record],
    step_times: &StepTimes,
) -> Option<Section> {
    let chart = |measure: Measure| {
        let found = curves(config, records, measure);
        // A variant without a time keeps its color.
        let series = found
            .iter()
            .map(|curve| match step_times.get(&curve.variant) {
                Some(seconds) => of_values(curve, *seconds),
                None => Series {
                    name: format!("{} (not timed)", curve.variant),
                    ..Series::default()
                },
            });
        LineChart {
            title: measure.name(),
            x_label: "seconds of pre-training".into(),
            y_label: "%".into(),
            series: series.collect(),
            ..LineChart::default()
        }
    };
    if step_times.is_empty() {
        return None;
    }
    let mut charts: Vec<LineChart> = config.curve_measures().into_iter().map(chart).collect();
    charts.retain(|chart| chart.series.iter().any(|series| !series.points.is_empty()));
    let text = "Steps times the time of a step, as --time-steps measured it: the variants in turns, on one machine.";
    (!charts.is_empty()).then(|| Section {
        title: "Over time".into(),
        parts: vec![Part::Text(text.into()), Part::Charts(charts)],
    })
}

/// A curve over steps, or over what a step is worth.
fn of_values(curve: &Curve, of_step: f64) -> Series {
    let points = curve.points.iter();
    let percent = |share: f64| 100.0 * share;
    Series {
        name: curve.variant.clone(),
        points: points
            .clone()
            .map(|(step, entry)| [of_step * *step as f64, percent(entry.all.mean)])
            .collect(),
        band: points
            .map(|(step, entry)| {
                let (mean, deviation) = (entry.all.mean, entry.all.deviation);
                [
                    of_step * *step as f64,
                    percent(mean - deviation),
                    percent(mean + deviation),
                ]
            })
            .collect(),
    }
}

fn of_differences(curve: &Curve) -> Series {
    let points = curve.points.iter();
    let differences = points.filter_map(|(step, entry)| Some((*step, entry.difference?)));
    Series {
        name: curve.variant.clone(),
        points: differences
            .clone()
            .map(|(step, difference)| [step as f64, 100.0 * difference.mean])
            .collect(),
        band: differences
            .map(|(step, difference)| {
                let (mean, half) = (difference.mean, difference.half_width());
                [step as f64, 100.0 * (mean - half), 100.0 * (mean + half)]
            })
            .collect(),
    }
}

/// What a start at random would hit, as a line.
fn chance(measure: Measure, records: &[Record]) -> Option<Series> {
    if !matches!(measure, Measure::Pointing(_)) {
        return None;
    }
    let points = records.iter().flat_map(|record| &record.curve);
    let mut found: Vec<(u64, f64)> = points
        .filter_map(|point| Some((point.step, *point.scores.pointing.get(CHANCE)?)))
        .collect();
    found.sort_by_key(|(step, _)| *step);
    let (first, last) = (found.first()?.0, found.last()?.0);
    let mean = found.iter().map(|(_, chance)| chance).sum::<f64>() / found.len() as f64;
    Some(Series {
        name: "chance".into(),
        points: vec![[first as f64, 100.0 * mean], [last as f64, 100.0 * mean]],
        ..Series::default()
    })
}

/// The table.
fn at_the_end(config: &CompareConfig, records: &[Record]) -> Section {
    let measures = config.measures();
    let mut header = vec!["variant".to_owned()];
    for measure in &measures {
        header.push(format!("{}, %", measure.name()));
        header.push(format!("to {}", config.baseline));
    }
    header.extend(["steps".to_owned(), "pre-training, s".to_owned()]);
    let seeds = config.seeds.len();
    let row = |variant: &str| {
        let mut cells = vec![Cell::Text(variant.to_owned())];
        for &measure in &measures {
            let entry = trained(config, records, variant, measure);
            let text = |text: Option<String>| Cell::Number(text.unwrap_or_else(|| "–".into()));
            cells.push(text(entry.map(|entry| spread(&entry.all, seeds))));
            cells.push(text(entry.and_then(|entry| {
                Some(interval(&entry.difference?, entry.all.count))
            })));
        }
        let effort = effort(records, variant);
        let steps = effort.map_or(0, |effort| effort.steps);
        let seconds = effort.and_then(|effort| effort.seconds);
        cells.push(Cell::Number(steps.to_string()));
        let seconds = seconds.map_or("–".into(), |seconds| format!("{seconds:.0}"));
        cells.push(Cell::Number(seconds));
        cells
    };
    let text = "Mean ± standard deviation over seeds; beside it the mean difference to the same seed of the baseline with its 95 % \
                interval (Student's t).";
    Section {
        title: "Trained".into(),
        parts: vec![
            Part::Text(text.into()),
            Part::Table {
                header,
                rows: config.variants.iter().map(|v| row(&v.name)).collect(),
            },
        ],
    }
}
