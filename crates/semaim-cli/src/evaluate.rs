//! `semaim evaluate`.

use std::process::ExitCode;
use std::sync::Arc;

use burn::tensor::Device;
use semaim_checkpoint::model_file::{ModelFile, ModelKind};
use semaim_data::{
    DataError, LabelMapSpec, ObjectSpec, OpenOptions, Source, Split, counted, open_all,
    open_label_maps, open_objects, same_images, warn_of_unlabeled,
};
use semaim_eval::classify::classify;
use semaim_eval::detect::data::evaluated;
use semaim_eval::detect::detector::Detector;
use semaim_eval::detect::file::DetectorFile;
use semaim_eval::detect::score::score;
use semaim_eval::finetune::config::FinetuneConfig;
use semaim_eval::known_classes::numbers_of;
use semaim_eval::run_start::{EvaluatedImages, RunStart};
use semaim_eval::segment;
use semaim_eval::segment::data::labeled;
use semaim_eval::segment::segmenter::TrainedSegmenter;
use semaim_eval::splits::{ImageSubset, LabeledSplits, SplitsError};
use semaim_eval::views::{open_options, views};
use serde_json::json;

use crate::args::EvaluateArgs;
use crate::bar::CountingBar;
use crate::exit::Exit;
use crate::trained_on::{Seen, run_of};
use crate::{detector_file, scores, segmenter_file};

pub(crate) fn run(args: &EvaluateArgs) -> Result<ExitCode, Exit> {
    let device = args.model.device.open()?;
    if let Some(found) = segmenter_file::open(
        &args.model.weights,
        &args.model.detector,
        args.model.heads,
        &device,
    )? {
        return segmenter(args, &found);
    }
    if args.labels.is_some() {
        return Err(Exit::user(format!(
            "--labels are for segmenters; {} is none",
            args.model.weights.display()
        )));
    }
    if let Some(file) =
        detector_file::open(&args.model.weights, &args.model.detector, args.model.heads)?
    {
        return detector(args, file, &device);
    }
    let file = ModelFile::read(&args.model.weights).map_err(Exit::user)?;
    detector_file::refuse_options(
        &args.model.detector,
        args.model.heads,
        &args.model.weights,
        file.kind,
    )?;
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
            args.model.weights.display()
        )));
    }
    file.check_finite(&args.model.weights).map_err(Exit::user)?;
    let model = file.classifier(device).map_err(Exit::user)?;
    let options = OpenOptions {
        max_pixels: args.model.loader.limit.max_pixels,
        ..open_options(&file.config, &file.normalization)
    };
    let part = labeled_part(args, &args.selection.of(options))?;
    warn_of_unlabeled(&*part.as_source());
    let numbers = numbers_of(&*part.source, &file.classes).map_err(Exit::user)?;
    say_matching(&*part.source, &file.classes);
    let augment = views(&file.config, &file.normalization);
    let mut found = classify(&model, &part, &augment, args.model.loader.batches(64))?;
    for label in found.labels.iter_mut().flatten() {
        *label = numbers[*label as usize] as u32;
    }
    for bad in &found.bad {
        eprintln!("left out {}: {}", bad.name, bad.error);
    }
    let classification = found.against(&file.classes)?;
    let scored = found.labels.iter().flatten().count();
    if args.json {
        let mut value = scores::classification_json(&classification);
        value["images"] = json!(scored);
        value["unlabeled"] = json!(found.items.len() - scored);
        value["unreadable"] = json!(found.bad.len());
        println!("{value}");
    } else {
        println!(
            "{}, {} unreadable",
            counted(scored, "image"),
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
        max_pixels: args.model.loader.limit.max_pixels,
        ..info.open_options()
    };
    let spec = evaluated(
        args.annotated()?,
        args.annotations.as_deref(),
        args.images.as_deref(),
    );
    let seen = seen_of_annotated(args);
    let spec = ObjectSpec {
        whole: is_used_whole(args, seen),
        ..spec
    };
    let set = Arc::new(open_objects(
        &spec,
        args.split.unwrap_or(Split::Eval),
        &options,
    )?);
    say_seen(args, seen, &*set, || {
        open_objects(&spec, Split::Train, &options)
    });
    say_matching(&*set, &info.classes);
    let items: Vec<u64> = (0..set.len() as u64).collect();
    let bar = CountingBar::new(items.len() as u64);
    let batches = args.model.loader.batches(4);
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
    args.model
        .loader
        .refuse_for_segmenter(&args.model.weights)?;
    let info = &segmenter.info;
    let options = OpenOptions {
        max_pixels: args.model.loader.limit.max_pixels,
        ..info.open_options()
    };
    let spec = labeled(
        info,
        args.annotated()?,
        args.labels.as_deref(),
        args.annotations.as_deref(),
        args.images.as_deref(),
    )?;
    let seen = seen_of_annotated(args);
    let spec = LabelMapSpec {
        whole: is_used_whole(args, seen),
        ..spec
    };
    let set = Arc::new(open_label_maps(
        &spec,
        args.split.unwrap_or(Split::Eval),
        &options,
    )?);
    say_seen(args, seen, &*set, || {
        open_label_maps(&spec, Split::Train, &options)
    });
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

/// The labeled images that a classifier is evaluated on. A set that is not divided is divided as fine-tuning divided it if the model was
/// trained on it, or if a part is asked for, and is used whole otherwise.
fn labeled_part(args: &EvaluateArgs, options: &OpenOptions) -> Result<ImageSubset, Exit> {
    let unlabeled = || {
        Exit::user(SplitsError::Unlabeled {
            name: args.data.join(", "),
        })
    };
    let (split, other) = match args.split {
        Some(Split::Train) => (Split::Train, Split::Eval),
        _ => (Split::Eval, Split::Train),
    };
    let wanted = open_all(&args.data, split, options)?;
    if wanted.classes().is_empty() {
        return Err(unlabeled());
    }
    let data = args.data.iter().map(String::as_str);
    let seen = Seen::of(&args.model.weights, data, &args.selection);
    // The other split may be large: it is looked at where it matters whether there is one.
    if seen == Seen::Nothing && args.split.is_none() {
        return Ok(ImageSubset::whole(wanted));
    }
    // A set may have nothing to train on.
    let other = open_all(&args.data, other, options).ok();
    let Some(other) = other.filter(|other| same_images(&*wanted, &**other)) else {
        return Ok(ImageSubset::whole(wanted));
    };
    let name = args.data.join(", ");
    let (seed, is_known) = match (seen, args.split) {
        (Seen::AllButHeldOut { seed }, _) => (seed, true),
        (seen, split) => {
            if let Some(line) = seen.warning(&name) {
                eprintln!("{line}");
            }
            if split.is_none() {
                return Ok(ImageSubset::whole(wanted));
            }
            (FinetuneConfig::default().seed, false)
        }
    };
    let all = wanted.len();
    let parts = LabeledSplits::divide(Arc::clone(&wanted), other, seed).map_err(Exit::user)?;
    let parts = parts.ok_or_else(unlabeled)?;
    let changed = is_known.then(|| divided_otherwise(args, &parts)).flatten();
    if let Some(what) = changed {
        let message = format!(
            "{name} is not as it was when the model was trained on it ({what}): which images were held out cannot be told"
        );
        if args.split.is_some() {
            return Err(Exit::user(message));
        }
        eprintln!("warning: {message}; all are evaluated, also those that it has seen");
        return Ok(ImageSubset::whole(wanted));
    }
    let (all, held_out) = (counted(all, "image"), parts.test.items.len());
    match is_known {
        true => eprintln!(
            "note: the set is not divided; of its {all}, {held_out} are held out of training by seed {seed}"
        ),
        false => eprintln!(
            "note: the set is not divided; of its {all}, training with seed {seed} would hold out {held_out}"
        ),
    }
    Ok(match args.split {
        Some(Split::Train) => parts.train,
        _ => parts.test,
    })
}

/// What tells the images that would be held out now from those that the model's run was tested on; `None` where they are the same, or
/// it kept nothing of them.
fn divided_otherwise(args: &EvaluateArgs, parts: &LabeledSplits) -> Option<String> {
    let start = match RunStart::read(run_of(&args.model.weights)) {
        Ok(start) => start,
        Err(error) => return Some(error.to_string()),
    };
    let now = EvaluatedImages::of(&*parts.test.as_source());
    now.difference(&start?.evaluated?)
}

/// Whether the file of annotations or the folder of label images is named itself.
fn is_named(args: &EvaluateArgs) -> bool {
    args.annotations.is_some() || args.labels.is_some()
}

/// Whether all images of a set that is not divided are meant: where the file or folder of what is to be found is named itself, and
/// otherwise unless the model was trained on the set and a part was held out, or a part is asked for.
fn is_used_whole(args: &EvaluateArgs, seen: Seen) -> bool {
    is_named(args) || args.split.is_none() && !matches!(seen, Seen::AllButHeldOut { .. })
}

/// What names the images with annotations or label images.
fn annotated(args: &EvaluateArgs) -> impl Iterator<Item = &str> {
    let files = [&args.annotations, &args.labels].into_iter().flatten();
    let named = args.data.iter().map(String::as_str);
    files.filter_map(|path| path.to_str()).chain(named)
}

/// What the model has seen of images with annotations or label images, if they are not divided.
fn seen_of_annotated(args: &EvaluateArgs) -> Seen {
    Seen::of(&args.model.weights, annotated(args), &args.selection)
}

/// Says what the model may have seen of the images of a set that turns out not to be divided: those to train on are the same.
fn say_seen<S: Source>(
    args: &EvaluateArgs,
    seen: Seen,
    set: &S,
    to_train_on: impl FnOnce() -> Result<S, DataError>,
) {
    let Some(line) = annotated(args).next().and_then(|name| seen.warning(name)) else {
        return;
    };
    let is_divided =
        || !is_named(args) && to_train_on().is_ok_and(|other| !same_images(set, &other));
    if is_used_whole(args, seen) && !is_divided() {
        eprintln!("{line}");
    }
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
