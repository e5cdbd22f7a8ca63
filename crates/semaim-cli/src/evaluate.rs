//! `semaim evaluate`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use burn::tensor::Device;
use semaim_checkpoint::model_file::{ModelFile, ModelKind};
use semaim_data::{
    LabelMapSpec, ObjectSpec, OpenOptions, Source, Split, counted, open_all, open_label_maps,
    open_objects,
};
use semaim_eval::classify::classify;
use semaim_eval::detect::data::evaluated;
use semaim_eval::detect::detector::Detector;
use semaim_eval::detect::file::DetectorFile;
use semaim_eval::detect::score::score;
use semaim_eval::known_classes::numbers_of;
use semaim_eval::segment;
use semaim_eval::segment::data::labeled;
use semaim_eval::segment::segmenter::TrainedSegmenter;
use semaim_eval::splits::ImageSubset;
use semaim_eval::views::{open_options, views};
use serde_json::json;

use crate::args::EvaluateArgs;
use crate::bar::CountingBar;
use crate::exit::Exit;
use crate::{detector_file, scores, segmenter_file};

pub(crate) fn run(args: &EvaluateArgs) -> Result<ExitCode, Exit> {
    let device = args.device.open()?;
    if let Some(found) = segmenter_file::open(&args.weights, &args.detector, args.heads, &device)? {
        return segmenter(args, &found);
    }
    if args.labels.is_some() {
        return Err(Exit::user(format!(
            "--labels are for segmenters; {} is none",
            args.weights.display()
        )));
    }
    if let Some(file) = detector_file::open(&args.weights, &args.detector, args.heads)? {
        return detector(args, file, &device);
    }
    let file = ModelFile::read(&args.weights).map_err(Exit::user)?;
    detector_file::refuse_options(&args.detector, args.heads, &args.weights, file.kind)?;
    match file.kind {
        ModelKind::Classifier => classifier(args, &file, &device),
        ModelKind::Detector => Err(Exit::ours("a detector was not read as one")),
        ModelKind::Segmenter => Err(Exit::ours("a segmenter was not read as one")),
    }
}

fn classifier(args: &EvaluateArgs, file: &ModelFile, device: &Device) -> Result<ExitCode, Exit> {
    if args.annotations.is_some() {
        return Err(Exit::user(format!(
            "--annotations are for detectors; {} is a classifier",
            args.weights.display()
        )));
    }
    let model = file.classifier(device).map_err(Exit::user)?;
    let options = OpenOptions {
        max_pixels: args.loader.limit.max_pixels,
        ..open_options(&file.config, &file.normalization)
    };
    let part = ImageSubset::whole(open_all(
        &args.data,
        args.split,
        &args.selection.of(options),
    )?);
    if part.source.classes().is_empty() {
        return Err(Exit::user(format!(
            "{}: this needs labels (class folders, .cls members or a list with labels)",
            args.data.join(", ")
        )));
    }
    let numbers = numbers_of(&*part.source, &file.classes).map_err(Exit::user)?;
    say_matching(&*part.source, &file.classes);
    let augment = views(&file.config, &file.normalization);
    let mut found = classify(&model, &part, &augment, args.loader.batches(64))?;
    for label in found.labels.iter_mut().flatten() {
        *label = numbers[*label as usize] as u32;
    }
    for bad in &found.bad {
        eprintln!("left out {}: {}", bad.name, bad.error);
    }
    let classification = found.against(&file.classes)?;
    if args.json {
        let mut value = scores::classification_json(&classification);
        value["images"] = json!(found.items.len());
        value["unreadable"] = json!(found.bad.len());
        println!("{value}");
    } else {
        println!(
            "{}, {} unreadable",
            counted(found.items.len(), "image"),
            found.bad.len()
        );
        scores::print_classification(&classification);
    }
    Ok(ExitCode::SUCCESS)
}

fn detector(args: &EvaluateArgs, file: DetectorFile, device: &Device) -> Result<ExitCode, Exit> {
    let detector = Detector::of_file(file.model, &file.path, device).map_err(Exit::user)?;
    let info = &detector.info;
    let options = OpenOptions {
        max_pixels: args.loader.limit.max_pixels,
        ..info.open_options()
    };
    let spec = ObjectSpec {
        whole: is_used_whole(args)?,
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
    let set = Arc::new(open_objects(&spec, split, &options)?);
    say_matching(&*set, &info.classes);
    let items: Vec<u64> = (0..set.len() as u64).collect();
    let bar = CountingBar::new(items.len() as u64);
    let batches = args.loader.batches(4);
    let seen = |done: usize, bad: &[_]| bar.add(done, bad);
    let found = score(&detector, &set, &items, batches, seen);
    bar.clear();
    let found = found?;
    if found.bbox.ap() < 0.0 {
        tracing::warn!("the set has no object to find, so that nothing is scored (-1)");
    }
    if found.segm.is_none() {
        let why = match info.settings.masks {
            true => "not every object of the set has one",
            false => "the detector was taught none",
        };
        tracing::warn!("masks are not scored: {why}");
    }
    if args.json {
        println!("{}", scores::objects_json(&found));
    } else {
        scores::print_objects(&found);
    }
    Ok(ExitCode::SUCCESS)
}

fn segmenter(args: &EvaluateArgs, segmenter: &TrainedSegmenter) -> Result<ExitCode, Exit> {
    args.loader.refuse_for_segmenter(&args.weights)?;
    let info = &segmenter.info;
    let options = OpenOptions {
        max_pixels: args.loader.limit.max_pixels,
        ..info.open_options()
    };
    let spec = LabelMapSpec {
        whole: is_used_whole(args)?,
        ..labeled(
            info,
            args.annotated()?,
            args.labels.as_deref(),
            args.annotations.as_deref(),
            args.images.as_deref(),
        )?
    };
    let split = match args.annotations.as_ref().or(args.labels.as_ref()) {
        Some(_) => Split::Eval,
        None => args.split,
    };
    let set = Arc::new(open_label_maps(&spec, split, &options)?);
    let items: Vec<u64> = (0..set.len() as u64).collect();
    let bar = CountingBar::new(items.len() as u64);
    let found = segment::score::score(segmenter, &set, items, |done, bad| bar.add(done, bad));
    bar.clear();
    let found = found?;
    if args.json {
        println!("{}", scores::labels_json(&found));
    } else {
        scores::print_labels(&found);
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether all images of the set are meant, as of a file of annotations that is named itself, and says so. The part that is trained on
/// may still be asked for.
fn is_used_whole(args: &EvaluateArgs) -> Result<bool, Exit> {
    let file = args.annotated()?.map(Path::new);
    let is_json = |path: &&Path| {
        let extension = path.extension().unwrap_or_default();
        extension.eq_ignore_ascii_case("json") && path.is_file()
    };
    let Some(file) = file.filter(is_json).filter(|_| args.split == Split::Eval) else {
        return Ok(false);
    };
    eprintln!(
        "note: all images of {} are evaluated; if the model was trained on this file, it has seen most of them",
        file.display()
    );
    Ok(true)
}

/// Says that classes are told apart by their names, where a set does not have those of the model in their order. Names that the
/// model does not know are refused later.
fn say_matching(set: &(impl Source + ?Sized), known: &[String]) {
    if set.classes() == known {
        return;
    }
    eprintln!(
        "note: classes are matched by their names; the set has {} of the model's {}",
        set.classes().len(),
        known.len()
    );
}
