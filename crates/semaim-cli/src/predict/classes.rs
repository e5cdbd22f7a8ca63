//! What a classifier says of images.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use burn::tensor::Device;
use semaim_checkpoint::model_file::ModelFile;
use semaim_data::{OpenOptions, Source, counted};
use semaim_eval::classify::{PredictIter, Predictions};
use semaim_eval::splits::ImageSubset;
use semaim_eval::vectors::csv_field;
use semaim_eval::views::{open_options, views};
use serde_json::json;

use super::target::Target;
use super::{Form, finish};
use crate::args::PredictArgs;
use crate::bar::CountingBar;
use crate::exit::{Exit, STOPPED};
use crate::signals;

pub(super) fn run(
    args: &PredictArgs,
    file: &ModelFile,
    form: Form,
    device: &Device,
) -> Result<ExitCode, Exit> {
    if form == Form::CocoResults {
        return Err(Exit::user(
            "--out: a classifier's predictions are written as .csv or .jsonl; .json is for what detectors find",
        ));
    }
    file.check_finite(&args.model.weights).map_err(Exit::user)?;
    let model = file.classifier(device).map_err(Exit::user)?;
    let config = &file.config;
    let options = OpenOptions {
        max_pixels: args.model.loader.limit.max_pixels,
        ..open_options(config, &file.normalization)
    };
    let part = ImageSubset::whole(args.open(options)?);
    let augment = views(config, &file.normalization);
    // There are no more predictions than classes.
    let top = args.top.unwrap_or(1).min(file.classes.len());
    // Before anything is written: what is unfinished is removed however early the signal comes.
    let stop = signals::stop_flag("stopping")?;
    let mut target = Target::create(args, &*part.source)?;
    if form == Form::Csv {
        let columns: Vec<String> = (1..=top)
            .map(|i| match i {
                1 => ",class,probability".to_string(),
                i => format!(",class_{i},probability_{i}"),
            })
            .collect();
        target.write(|out| writeln!(out, "path{}", columns.concat()))?;
    }
    let bar = CountingBar::new(part.items.len() as u64);
    let (mut count, mut unreadable) = (0, 0);
    let options = args.model.loader.batches(64);
    for predictions in PredictIter::start(&model, &part, &augment, options) {
        let predictions = predictions?;
        if stop.load(Ordering::Relaxed) {
            return Ok(ExitCode::from(STOPPED));
        }
        target.write(|out| {
            let source = &*part.source;
            write(out, form, &predictions, source, &file.classes, top)
        })?;
        count += predictions.items.len();
        unreadable += predictions.bad.len();
        bar.add(predictions.items.len(), &predictions.bad);
    }
    bar.clear();
    finish(args, target, count, || match &args.out {
        Some(out) if args.json => {
            let result = json!({"images": count, "unreadable": unreadable, "predictions": out});
            println!("{result}");
        }
        _ => eprintln!(
            "{} classified, {unreadable} unreadable",
            counted(count, "image")
        ),
    })
}

fn write(
    target: &mut dyn Write,
    form: Form,
    predictions: &Predictions,
    source: &dyn Source,
    classes: &[String],
    top: usize,
) -> io::Result<()> {
    let rows = predictions.probabilities.chunks(predictions.classes.max(1));
    for ((ranked, probabilities), &item) in predictions.ranked().zip(rows).zip(&predictions.items) {
        let name = source.name(item as usize);
        let best = ranked.into_iter().take(top);
        let best = best.filter_map(|class| Some((classes.get(class)?, probabilities[class])));
        if form == Form::Csv {
            write!(target, "{}", csv_field(&name))?;
            for (class, probability) in best {
                write!(target, ",{},{probability:.6}", csv_field(class))?;
            }
            writeln!(target)?;
        } else {
            let named = |(class, probability)| json!({"class": class, "probability": probability});
            let best: Vec<_> = best.map(named).collect();
            writeln!(target, "{}", json!({"path": name, "classes": best}))?;
        }
    }
    Ok(())
}
