//! `semaim predict`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use semaim_checkpoint::classifier::ClassifierFile;
use semaim_data::{Source, open};
use semaim_eval::classify::{PredictIter, Predictions};
use semaim_eval::finetune::LAST;
use semaim_eval::image_batches::BatchOptions;
use semaim_eval::splits::ImageSubset;
use semaim_eval::vectors::csv_field;
use semaim_eval::views::{open_options, views};
use serde_json::json;

use crate::args::PredictArgs;
use crate::bar::counting_bar;
use crate::exit::Exit;

/// How predictions are written.
#[derive(Clone, Copy)]
enum Form {
    Csv,
    JsonLines,
}

pub(crate) fn run(args: &PredictArgs) -> Result<ExitCode, Exit> {
    let device = args.device.open()?;
    let form = form(args.out.as_deref())?;
    let path = match args.weights.is_dir() {
        true => args.weights.join(LAST),
        false => args.weights.clone(),
    };
    let classifier = ClassifierFile::read(&path, &device).map_err(Exit::user)?;
    let config = &classifier.config;
    let source = open(&args.data, args.split, &open_options(config))?;
    let part = ImageSubset::whole(source);
    let augment = views(config, &classifier.mean, &classifier.std);
    // There are no more predictions than classes.
    let top = args.top.min(classifier.classes.len());
    let failed = |error: io::Error| Exit::user(format!("writing predictions: {error}"));
    let target: Box<dyn Write> = match &args.out {
        Some(path) => Box::new(
            File::create(path)
                .map_err(|error| Exit::user(format!("writing {}: {error}", path.display())))?,
        ),
        None => Box::new(io::stdout().lock()),
    };
    let mut target = BufWriter::new(target);
    if let Form::Csv = form {
        let columns: Vec<String> = (1..=top)
            .map(|i| match i {
                1 => ",class,probability".to_string(),
                i => format!(",class_{i},probability_{i}"),
            })
            .collect();
        writeln!(target, "path{}", columns.concat()).map_err(failed)?;
    }
    let bar = counting_bar(part.items.len() as u64);
    let (mut count, mut unreadable) = (0, 0);
    let options = BatchOptions {
        batch_size: args.loader.batch_size,
        workers: args.loader.workers,
    };
    for predictions in PredictIter::start(&classifier.model, &part, &augment, options) {
        let predictions = predictions.map_err(Exit::ours)?;
        for bad in &predictions.bad {
            bar.suspend(|| eprintln!("left out {}: {}", bad.name, bad.error));
        }
        write(
            &mut target,
            form,
            &predictions,
            &*part.source,
            &classifier.classes,
            top,
        )
        .map_err(failed)?;
        count += predictions.items.len();
        unreadable += predictions.bad.len();
        bar.inc((predictions.items.len() + predictions.bad.len()) as u64);
    }
    target.flush().map_err(failed)?;
    bar.finish_and_clear();
    if count == 0 {
        return Err(Exit::user(format!("{}: no image could be read", args.data)));
    }
    eprintln!("{count} images classified, {unreadable} unreadable");
    Ok(ExitCode::SUCCESS)
}

fn form(out: Option<&Path>) -> Result<Form, Exit> {
    let Some(path) = out else {
        return Ok(Form::Csv);
    };
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(Form::Csv),
        Some("jsonl" | "ndjson") => Ok(Form::JsonLines),
        _ => Err(Exit::user(format!(
            "{}: predictions are written as .csv or .jsonl",
            path.display()
        ))),
    }
}

fn write(
    target: &mut impl Write,
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
        match form {
            Form::Csv => {
                write!(target, "{}", csv_field(&name))?;
                for (class, probability) in best {
                    write!(target, ",{},{probability:.6}", csv_field(class))?;
                }
                writeln!(target)?;
            }
            Form::JsonLines => {
                let named =
                    |(class, probability)| json!({"class": class, "probability": probability});
                let best: Vec<_> = best.map(named).collect();
                writeln!(target, "{}", json!({"path": name, "classes": best}))?;
            }
        }
    }
    Ok(())
}
