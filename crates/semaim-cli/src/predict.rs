//! `semaim predict`.

mod classes;
mod objects;
mod pixels;
mod target;

use std::process::ExitCode;

use semaim_checkpoint::model_file::{ModelFile, ModelKind};
use semaim_data::{ObjectSet, ObjectSpec, OpenOptions, Split, open_objects};
use semaim_eval::detect::data::evaluated;

use crate::args::PredictArgs;
use crate::exit::Exit;
use crate::{detector_file, segmenter_file};
use target::Target;

/// How predictions are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    JsonLines,
    /// One JSON list of detections, as COCO's tools take them.
    CocoResults,
}

pub(crate) fn run(args: &PredictArgs) -> Result<ExitCode, Exit> {
    let device = args.model.device.open()?;
    if let Some(found) = segmenter_file::open(
        &args.model.weights,
        &args.model.detector,
        args.model.heads,
        &device,
    )? {
        args.refuse_unused(ModelKind::Segmenter)?;
        return pixels::run(args, &found);
    }
    if let Some(file) =
        detector_file::open(&args.model.weights, &args.model.detector, args.model.heads)?
    {
        args.refuse_unused(ModelKind::Detector)?;
        return objects::run(args, file, form(args)?, &device);
    }
    let file = ModelFile::read(&args.model.weights).map_err(Exit::user)?;
    detector_file::refuse_options(
        &args.model.detector,
        args.model.heads,
        &args.model.weights,
        file.kind,
    )?;
    args.refuse_unused(file.kind)?;
    match file.kind {
        ModelKind::Classifier => classes::run(args, &file, form(args)?, &device),
        ModelKind::Detector => Err(Exit::ours("a detector was not read as one")),
        ModelKind::Segmenter => Err(Exit::ours("a segmenter was not read as one")),
    }
}

fn form(args: &PredictArgs) -> Result<Form, Exit> {
    let Some(path) = &args.out else {
        return Ok(match args.json {
            true => Form::JsonLines,
            false => Form::Csv,
        });
    };
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    match extension.to_lowercase().as_str() {
        "csv" => Ok(Form::Csv),
        "jsonl" | "ndjson" => Ok(Form::JsonLines),
        "json" => Ok(Form::CocoResults),
        _ => Err(Exit::user(format!(
            "--out {}: the name must end in .csv or .jsonl, or for a detector in .json",
            path.display()
        ))),
    }
}

/// Opens the images of a set with annotations of objects: those of a file that is named, or of a split where the set is divided, or
/// else all that are there, with annotations or without.
fn open_annotated(args: &PredictArgs, options: &OpenOptions) -> Result<ObjectSet, Exit> {
    let spec = ObjectSpec {
        every_image: true,
        ..evaluated(
            args.annotated()?,
            args.annotations.as_deref(),
            args.images.as_deref(),
        )
    };
    let split = match args.annotations {
        Some(_) => Split::Eval,
        None => args.split,
    };
    Ok(open_objects(&spec, split, options)?)
}

/// Keeps what was written, if any image could be read, and says so.
fn finish(
    args: &PredictArgs,
    target: Target,
    images: usize,
    say: impl FnOnce(),
) -> Result<ExitCode, Exit> {
    if images == 0 {
        return Err(Exit::user(format!(
            "{}: no image could be read",
            args.named()
        )));
    }
    target.keep()?;
    say();
    Ok(ExitCode::SUCCESS)
}
