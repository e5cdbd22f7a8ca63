//! `semaim segment`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use semaim_checkpoint::model_file::{ModelFile, ModelKind};
use semaim_config::Layers;
use semaim_data::{LabelMapSet, Source};
use semaim_eval::image_batches::at_most;
use semaim_eval::segment::config::SegmentConfig;
use semaim_eval::segment::segmenter::TrainedSegmenter;
use semaim_eval::segment::{Caching, Results, SegmentRunError, prepare, segment};
use semaim_segment::config::HeadKind;
use semaim_train::callbacks::Observer;
use semaim_train::ranks;
use semaim_train::run_dir::RunDir;
use semaim_train::trainer::{RunOutcome, steps_per_epoch};
use serde_json::json;

use crate::args::{SegmentArgs, data_place};
use crate::bar::TrainingBar;
use crate::evaluation_log::{self, Evaluation, Worth};
use crate::exit::{Exit, STOPPED};
use crate::trained::Trained;
use crate::{device, dry_run, label_pictures, outcome, recipes, report, scores, settings};

pub(crate) fn run(args: &SegmentArgs) -> Result<ExitCode, Exit> {
    let out = settings::out_dir(
        args.out.as_deref(),
        args.recipe.as_deref(),
        &args.run,
        "segment",
    );
    let (config, own) = load_config(args, &out)?;
    settings::warn(&config.unused(), &own, config.run().rising_rate())?;
    let device = args.device.open_to_train(config.train.precision)?;
    let prepared = prepare(&config, &out, &device)?;
    let (train, eval) = (prepared.train(), prepared.eval());
    let steps_per_epoch = steps_per_epoch(config.train.batch_size, train.len())?;
    if args.run.dry_run {
        let kernels = device::kernels(&args.device.name);
        let json = args.run.json;
        dry_run::segmentation(&config, &prepared, steps_per_epoch, &device, kernels, json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let run = RunDir::open(&out, &config, data_place(args.run.data_moved))?;
    let mut bar = TrainingBar::new(args.run.json)?;
    bar.say(&format!(
        "{} to train on; {} to evaluate; into {}",
        train.describe(),
        eval.len(),
        out.display()
    ));
    if let Caching::Every(why) = prepared.caching() {
        bar.say(&format!("the frozen encoder sees every view anew: {why}"));
    }
    let start = Instant::now();
    let mut observer = report::noting_environment(run.path(), &args.device, &mut bar);
    let (outcome, results) = match segment(&config, &prepared, &run, &device, &mut observer) {
        // A run that was stopped before its first evaluation has no results.
        Err(SegmentRunError::Results(_)) if bar.stop_requested() => {
            bar.say("stopped and saved; the same command goes on");
            return Ok(ExitCode::from(STOPPED));
        }
        other => other?,
    };
    if !ranks::current().is_root() {
        return Ok(outcome::code(outcome));
    }
    let seconds = start.elapsed().as_secs_f64();
    // Whoever stops a run does not wait for pictures.
    let wanted = match outcome {
        RunOutcome::Finished => true,
        RunOutcome::Stopped => false,
        RunOutcome::AlreadyFinished => !report::has_labels(run.path()),
    };
    if wanted {
        bar.doing("pictures");
        write_pictures(&config, eval, &run, &device)?;
    }
    let trained = Trained {
        kind: ModelKind::Segmenter,
        run: &run,
        results: &results,
        outcome,
        seconds,
    };
    // Trained from scratch, a network says nothing of the encoder whose sizes it has.
    let encoder = (!config.from_scratch).then_some(config.encoder.weights.as_path());
    let data = &config.data;
    let images = evaluation_log::annotated_images(
        [&data.path, &data.eval],
        [
            &[&data.labels, &data.annotations],
            &[&data.eval_labels, &data.eval_annotations],
        ],
    );
    trained.record(Some(&evaluation(&config, &images, &results)), encoder)?;
    match args.run.json {
        true => println!("{}", trained.json(scores::labels_json)),
        false => trained.print(scores::labels_in_short),
    }
    Ok(outcome::code(outcome))
}

/// What the run says of its encoder, on these images.
fn evaluation<'a>(config: &SegmentConfig, images: &'a str, results: &Results) -> Evaluation<'a> {
    let head = match config.head {
        HeadKind::Linear => "linear",
        HeadKind::Upernet => "UPerNet",
    };
    let last = &results.last;
    let metrics = &last.scores.metrics;
    let training = evaluation_log::training(config.freeze, &config.run(), last.epoch);
    Evaluation {
        name: "segmentation",
        data: images,
        setting: format!("{head}, {training}"),
        worth: Worth::Pixels {
            mean_iou: metrics.mean_iou,
            mean_accuracy: metrics.mean_accuracy,
            pixel_accuracy: metrics.pixel_accuracy,
        },
    }
}

/// Writes truth beside prediction for some of the evaluation images.
fn write_pictures(
    config: &SegmentConfig,
    set: &Arc<LabelMapSet>,
    run: &RunDir,
    device: &Device,
) -> Result<(), Exit> {
    if config.eval.pictures == 0 {
        return Ok(());
    }
    let path = run.path().join(ModelKind::Segmenter.file_name());
    let file = ModelFile::read(&path).map_err(Exit::ours)?;
    let segmenter = TrainedSegmenter::of_file(file, &path, device).map_err(Exit::ours)?;
    let items = at_most(&**set, config.eval.pictures);
    let picture = label_pictures::truth_and_predicted(&segmenter, set, items)?;
    let Some(picture) = picture else {
        return Ok(());
    };
    report::write_labels(run.path(), &picture)
        .map_err(|error| Exit::user(format!("writing into {}: {error}", run.path().display())))
}

/// Defaults, recipe or file, `--set`, then the options that stand for a setting; beside the configuration what file and `--set` say.
fn load_config(args: &SegmentArgs, out: &Path) -> Result<(SegmentConfig, Layers), Exit> {
    let recipe = recipes::layers(args.recipe.as_deref(), "segment")?;
    let own = settings::own(&args.run)?;
    let layers = recipe.under(&own);
    let path = |path: &Option<PathBuf>| {
        settings::quoted(path.as_ref().map(|path| path.to_string_lossy()).as_deref())
    };
    let head = args.head.map(|head| json!(head).to_string());
    let on = |given: bool| given.then(|| "true".to_string());
    let mut options = settings::encoder(args.weights.as_deref(), &args.layout);
    options.extend([
        ("head", head),
        ("from_scratch", on(args.from_scratch)),
        ("freeze", on(args.freeze)),
        ("data.path", settings::quoted(args.data.as_deref())),
        ("data.ignore_zero", on(args.ignore_zero)),
        ("data.classes", path(&args.classes)),
        ("data.labels", path(&args.labels)),
        ("data.annotations", path(&args.annotations)),
        ("data.images", path(&args.images)),
        ("data.eval", settings::quoted(args.eval_data.as_deref())),
        ("data.eval_labels", path(&args.eval_labels)),
        ("data.eval_annotations", path(&args.eval_annotations)),
        ("data.eval_images", path(&args.eval_images)),
    ]);
    options.extend(settings::of_run(&args.run));
    let trained = [
        (args.data.is_some(), "data.path"),
        (args.labels.is_some(), "data.labels"),
        (args.annotations.is_some(), "data.annotations"),
    ];
    let evaluated = [
        (args.eval_data.is_some(), "data.eval"),
        (args.eval_labels.is_some(), "data.eval_labels"),
        (args.eval_annotations.is_some(), "data.eval_annotations"),
    ];
    let others = [
        settings::other_forms(&trained, "data.images"),
        settings::other_forms(&evaluated, "data.eval_images"),
    ];
    let layers = settings::without(layers, &args.run.set, others.concat())?;
    let layers = settings::with_options(layers, &args.run.set, &options)?;
    let config = settings::in_parts::<SegmentConfig>(layers, out)?.load()?;
    Ok((config, own))
}
