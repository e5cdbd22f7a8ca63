//! `semaim predict`.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use semaim_checkpoint::atomic::Unfinished;
use semaim_checkpoint::model_file::ModelFile;
use semaim_data::{OpenOptions, Source, counted, open};
use semaim_eval::classify::{PredictIter, Predictions};
use semaim_eval::image_batches::BatchOptions;
use semaim_eval::splits::ImageSubset;
use semaim_eval::vectors::csv_field;
use semaim_eval::views::{open_options, views};
use serde_json::json;

use crate::args::PredictArgs;
use crate::bar::CountingBar;
use crate::exit::{Exit, STOPPED};
use crate::{output, signals};

/// How predictions are written.
#[derive(Clone, Copy)]
enum Form {
    Csv,
    JsonLines,
}

pub(crate) fn run(args: &PredictArgs) -> Result<ExitCode, Exit> {
    let device = args.device.open()?;
    let form = form(args)?;
    let file = ModelFile::read(&args.weights).map_err(Exit::user)?;
    let model = file.classifier(&device).map_err(Exit::user)?;
    let config = &file.config;
    let options = OpenOptions {
        max_pixels: args.loader.limit.max_pixels,
        ..open_options(config)
    };
    let source = open(&args.data, args.split, &options)?;
    let part = ImageSubset::whole(source);
    let augment = views(config, &file.normalisation);
    // There are no more predictions than classes.
    let top = args.top.min(file.classes.len());
    // Before anything is written: what is unfinished is removed however early the signal comes.
    let stop = signals::stop_flag("stopping")?;
    let mut target = Target::create(args.out.as_deref())?;
    let failed = |error: io::Error| match &args.out {
        Some(path) => Exit::user(format!("writing {}: {error}", path.display())),
        None => {
            output::lost(&error);
            Exit::user(format!("writing predictions: {error}"))
        }
    };
    if let Form::Csv = form {
        let columns: Vec<String> = (1..=top)
            .map(|i| match i {
                1 => ",class,probability".to_string(),
                i => format!(",class_{i},probability_{i}"),
            })
            .collect();
        writeln!(target.writer, "path{}", columns.concat()).map_err(failed)?;
    }
    let bar = CountingBar::new(part.items.len() as u64);
    let (mut count, mut unreadable) = (0, 0);
    let options = BatchOptions {
        batch_size: args.loader.batch_size,
        workers: args.loader.workers,
    };
    for predictions in PredictIter::start(&model, &part, &augment, options) {
        let predictions = predictions?;
        if stop.load(Ordering::Relaxed) {
            return Ok(ExitCode::from(STOPPED));
        }
        write(
            &mut target.writer,
            form,
            &predictions,
            &*part.source,
            &file.classes,
            top,
        )
        .map_err(failed)?;
        count += predictions.items.len();
        unreadable += predictions.bad.len();
        bar.add(predictions.items.len(), &predictions.bad);
    }
    target.writer.flush().map_err(failed)?;
    bar.clear();
    if count == 0 {
        return Err(Exit::user(format!("{}: no image could be read", args.data)));
    }
    target.keep().map_err(failed)?;
    match &args.out {
        Some(out) if args.json => {
            let result = json!({"images": count, "unreadable": unreadable, "predictions": out});
            println!("{result}");
        }
        _ => eprintln!(
            "{} classified, {unreadable} unreadable",
            counted(count, "image")
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Where predictions go: standard output, or a file that has its name once all of them are in it.
struct Target {
    writer: BufWriter<Box<dyn Write>>,
    file: Option<Unfinished>,
}

impl Target {
    fn create(out: Option<&Path>) -> Result<Self, Exit> {
        let Some(out) = out else {
            return Ok(Self {
                writer: BufWriter::new(Box::new(io::stdout().lock())),
                file: None,
            });
        };
        let create = || {
            output::create_folder_of(out)?;
            let unfinished = Unfinished::create(out)?;
            Ok((unfinished.file()?, unfinished))
        };
        let (file, unfinished) = create().map_err(|error: io::Error| {
            Exit::user(format!("writing {}: {error}", out.display()))
        })?;
        Ok(Self {
            writer: BufWriter::new(Box::new(file)),
            file: Some(unfinished),
        })
    }

    fn keep(self) -> io::Result<()> {
        self.file.map_or(Ok(()), Unfinished::finish)
    }
}

fn form(args: &PredictArgs) -> Result<Form, Exit> {
    let Some(path) = &args.out else {
        return Ok(match args.json {
            true => Form::JsonLines,
            false => Form::Csv,
        });
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
