//! Kind `recipes`: tables, schedules, parameter groups, EMA decay, kNN.

use std::collections::BTreeSet;
use std::path::Path;

use semaim::grid::Grid;
use semaim::position::{Interpolation, resize, sin_cos};
use semaim_eval::knn::{Labeled, knn};
use semaim_train::param_groups::ParamGroups;
use semaim_train::schedule::{Decay, EmaDecay, LrSchedule};
use serde_json::Value;

use crate::Failure;
use crate::compare::{Comparisons, Tolerance};
use crate::recorded::{Array, Recorded};

pub(crate) fn check(file: &Recorded, json: &Path) -> Result<usize, Failure> {
    let text = std::fs::read_to_string(json).map_err(|e| format!("{}: {e}", json.display()))?;
    let json: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let mut compare = Comparisons::default();
    for (name, array) in &file.tensors {
        match name.split('.').next() {
            Some("sincos") => table(&mut compare, name, array)?,
            Some("interpolated") => interpolated(&mut compare, name, array)?,
            Some("schedule") => schedule(&mut compare, name, array)?,
            Some("knn") => {}
            _ => return Err(format!("a tensor `{name}` that is not handled")),
        }
    }
    for (key, value) in json.as_object().ok_or("the JSON is no object")? {
        match key.as_str() {
            "layer_decay" => layer_decay(&mut compare, value)?,
            "ema_decay_by_epoch" => decay(&mut compare, value)?,
            "knn" => neighbors(&mut compare, file, value)?,
            _ => return Err(format!("a part `{key}` that is not handled")),
        }
    }
    Ok(compare.count)
}

/// The numbers in a name such as `sincos.dim36.grid14`, in order.
fn numbers<const N: usize>(name: &str) -> Result<[f64; N], Failure> {
    let mut found = Vec::new();
    let mut rest = name;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        rest = &rest[start..];
        // The longest prefix that is a number: takes `5e-4` whole, and `2_warm` only to the 2.
        let end = (1..=rest.len())
            .rev()
            .filter(|&end| rest.is_char_boundary(end))
            .find(|&end| rest[..end].parse::<f64>().is_ok())
            .ok_or_else(|| format!("no number in `{name}`"))?;
        found.push(
            rest[..end]
                .trim_end_matches('.')
                .parse()
                .map_err(|_| format!("`{name}`"))?,
        );
        rest = &rest[end..];
    }
    found
        .try_into()
        .map_err(|found| format!("numbers {found:?} in `{name}`"))
}

fn square(side: f64) -> Grid {
    Grid {
        rows: side as usize,
        columns: side as usize,
    }
}

fn as_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn table(compare: &mut Comparisons, name: &str, array: &Array) -> Result<(), Failure> {
    let [dim, side] = numbers(name)?;
    let ours = sin_cos(dim as usize, square(side));
    compare.slice(
        name,
        &as_f64(&ours),
        &array.values,
        Tolerance::relative(1e-6),
    )
}

/// The published table, resized.
fn interpolated(compare: &mut Comparisons, name: &str, array: &Array) -> Result<(), Failure> {
    let [from, to] = numbers(name)?;
    let dim = array.shape.last().copied().unwrap_or(0);
    let ours = resize(
        &sin_cos(dim, square(from)),
        dim,
        square(from),
        square(to),
        Interpolation::Bicubic,
    );
    compare.slice(
        name,
        &as_f64(&ours),
        &array.values,
        Tolerance::relative(1e-5),
    )
}

fn schedule(compare: &mut Comparisons, name: &str, array: &Array) -> Result<(), Failure> {
    let [peak, min, warmup_epochs, epochs, every] = numbers(name)?;
    let schedule = LrSchedule {
        extended_to: Vec::new(),
        decay: Decay::Cosine,
        peak,
        min,
        warmup_epochs,
        warmup_start: 0.0,
        epochs,
    };
    let ours: Vec<f64> = (0..array.values.len())
        .map(|i| schedule.at(i as f64 * every))
        .collect();
    compare.slice(name, &ours, &array.values, Tolerance::relative(1e-9))
}

fn layer_decay(compare: &mut Comparisons, value: &Value) -> Result<(), Failure> {
    let number =
        |value: &Value, key: &str| value[key].as_f64().ok_or_else(|| format!("no `{key}`"));
    let param_groups = ParamGroups::LayerDecay {
        weight_decay: number(value, "weight_decay")?,
        decay: number(value, "decay")?,
        depth: number(value, "depth")? as usize,
    };
    for (name, recorded) in value["parameters"].as_object().ok_or("no `parameters`")? {
        let axes = match name.as_str() {
            "cls_token" | "pos_embed" => 3,
            name if name.contains("norm") || name.ends_with(".bias") => 1,
            _ => 2,
        };
        let group = param_groups.of(name, axes);
        let recorded = [
            number(recorded, "lr_scale")?,
            number(recorded, "weight_decay")?,
        ];
        let ours = [group.lr_scale, group.weight_decay];
        compare.slice(
            &format!("layer_decay.{name}"),
            &ours,
            &recorded,
            Tolerance::relative(1e-9),
        )?;
    }
    Ok(())
}

fn decay(compare: &mut Comparisons, value: &Value) -> Result<(), Failure> {
    for (epoch, recorded) in value.as_object().ok_or("ema_decay_by_epoch is no object")? {
        let ours = EmaDecay::PUBLISHED.at(epoch.parse().map_err(|_| format!("epoch `{epoch}`"))?);
        let recorded = recorded.as_f64().ok_or("an EMA decay that is no number")?;
        compare.slice(
            &format!("ema decay of epoch {epoch}"),
            &[ours],
            &[recorded],
            Tolerance::relative(1e-9),
        )?;
    }
    Ok(())
}

fn neighbors(compare: &mut Comparisons, file: &Recorded, value: &Value) -> Result<(), Failure> {
    let features =
        |part: &str| Ok::<_, Failure>(file.array(&format!("knn.{part}_features"))?.as_f32());
    let labels = |part: &str| -> Result<Vec<u32>, Failure> {
        Ok(file
            .array(&format!("knn.{part}_labels"))?
            .values
            .iter()
            .map(|&v| v as u32)
            .collect())
    };
    let (bank, bank_labels) = (features("train")?, labels("train")?);
    let (queries, query_labels) = (features("test")?, labels("test")?);
    let temperature = value["temperature"].as_f64().ok_or("no `temperature`")?;
    for (k, recorded) in value["top1_top5_percent_by_k"]
        .as_object()
        .ok_or("no accuracies")?
    {
        let k: usize = k.parse().map_err(|_| format!("k `{k}`"))?;
        let accuracy = knn(
            Labeled {
                features: &bank,
                labels: &bank_labels,
            },
            Labeled {
                features: &queries,
                labels: &query_labels,
            },
            &[k],
            temperature,
            &crate::device(),
        )
        .map_err(|e| e.to_string())?[0];
        let recorded: Vec<f64> = recorded
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_f64)
            .collect();
        // The published evaluation counts as found, beside what ours does, classes that no neighbor votes for.
        let unvoted = found_without_votes([&bank, &queries], [&bank_labels, &query_labels], k);
        let ours = [
            100.0 * accuracy.top1,
            100.0 * (accuracy.top5 + unvoted as f64 / query_labels.len() as f64),
        ];
        compare.slice(
            &format!("knn with k = {k}"),
            &ours,
            &recorded,
            Tolerance::relative(1e-9),
        )?;
    }
    Ok(())
}

/// Of how many queries no neighbor is of their class, which is yet among the first five: those without a vote fill the places
/// behind those with one by their numbers.
fn found_without_votes(features: [&[f32]; 2], labels: [&[u32]; 2], k: usize) -> usize {
    let width = features[0].len() / labels[0].len();
    let [bank, queries] = features.map(|rows| rows.chunks(width).map(unit).collect::<Vec<_>>());
    let classes: BTreeSet<u32> = labels.concat().into_iter().collect();
    let is_found = |(query, class): (&Vec<f64>, &u32)| {
        let cosine = |row: &Vec<f64>| row.iter().zip(query).map(|(a, b)| a * b).sum::<f64>();
        let mut nearest: Vec<(f64, u32)> = bank
            .iter()
            .map(cosine)
            .zip(labels[0].iter().copied())
            .collect();
        nearest.sort_by(|a, b| b.0.total_cmp(&a.0));
        let voted: BTreeSet<u32> = nearest[..k].iter().map(|(_, label)| *label).collect();
        let before = classes
            .iter()
            .filter(|other| *other < class && !voted.contains(*other));
        !voted.contains(class) && voted.len() + before.count() < k.min(5)
    };
    queries
        .iter()
        .zip(labels[1])
        .filter(|pair| is_found(*pair))
        .count()
}

fn unit(row: &[f32]) -> Vec<f64> {
    let row = row.iter().map(|&value| f64::from(value));
    let length = row.clone().map(|value| value * value).sum::<f64>().sqrt();
    row.map(|value| value / length).collect()
}
