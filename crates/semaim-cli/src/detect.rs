//! `semaim detect`.

pub(crate) mod pictures;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use semaim_checkpoint::model_file::ModelKind;
use semaim_config::Layers;
use semaim_data::{Source, counted};
use semaim_eval::detect::config::DetectConfig;
use semaim_eval::detect::file::{DetectorFile, ToldDetector};
use semaim_eval::detect::{DetectRunError, detect, prepare};
use semaim_train::callbacks::Observer;
use semaim_train::ranks;
use semaim_train::run_dir::RunDir;
use semaim_train::trainer::{RunOutcome, steps_per_epoch};
use toml::Table;

use crate::args::{DetectArgs, data_place};
use crate::bar::TrainingBar;
use crate::evaluation_log::{self, Evaluation, Worth};
use crate::exit::{Exit, STOPPED};
use crate::trained::Trained;
use crate::{detector_file, device, dry_run, outcome, recipes, report, scores, settings};

pub(crate) fn run(args: &DetectArgs) -> Result<ExitCode, Exit> {
    let out = settings::out_dir(
        args.out.as_deref(),
        args.recipe.as_deref(),
        &args.run,
        "detect",
    );
    let (config, own) = load_config(args, &out)?;
    let ranks = ranks::current();
    settings::warn(&config.unused(), &own, config.run().rising_rate())?;
    let device = args.device.open_to_train(config.train.precision)?;
    let prepared = prepare(&config, &out, &device)?;
    let (train, eval) = (prepared.train(), prepared.eval());
    let steps_per_epoch = steps_per_epoch(config.train.batch_size, train.len())?;
    if args.run.dry_run {
        let kernels = device::kernels(&args.device.name);
        let json = args.run.json;
        dry_run::detection(&config, &prepared, steps_per_epoch, &device, kernels, json)?;
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
    for line in prepared.said() {
        bar.say(line);
    }
    let objects = train.count_objects();
    match objects.all - objects.with_masks {
        0 => {}
        _ if objects.with_masks == 0 => {
            bar.say("no object has a mask: boxes alone are learned, evaluated and predicted");
        }
        without => bar.say(&format!(
            "{without} of {} have no mask; only their boxes are trained on",
            counted(objects.all, "object")
        )),
    }
    let start = Instant::now();
    let mut observer = report::noting_environment(run.path(), &args.device, &mut bar);
    let (outcome, results) = match detect(&config, &prepared, &run, &device, &mut observer) {
        // A run that was stopped before its first evaluation has no results.
        Err(DetectRunError::Results(_)) if bar.stop_requested() => {
            bar.say("stopped and saved; the same command goes on");
            return Ok(ExitCode::from(STOPPED));
        }
        other => other?,
    };
    if !ranks.is_root() {
        return Ok(outcome::code(outcome));
    }
    let seconds = start.elapsed().as_secs_f64();
    // Whoever stops a run does not wait for pictures.
    let wanted = match outcome {
        RunOutcome::Finished => true,
        RunOutcome::Stopped => false,
        RunOutcome::AlreadyFinished => !report::objects_path(run.path()).exists(),
    };
    if wanted {
        bar.doing("pictures");
        pictures::write(&config, eval, run.path(), &device)?;
    }
    let last = &results.last;
    let data = &config.data;
    let images = evaluation_log::annotated_images(
        [&data.path, &data.eval],
        [&[&data.annotations], &[&data.eval_annotations]],
    );
    let evaluation = Evaluation {
        name: "detection",
        data: &images,
        setting: evaluation_log::training(config.freeze, &config.run(), last.epoch),
        worth: Worth::Objects {
            boxes: [last.scores.bbox.ap(), last.scores.bbox.ap50()],
            masks: last
                .scores
                .segm
                .as_ref()
                .map(|masks| [masks.ap(), masks.ap50()]),
        },
    };
    let trained = Trained {
        kind: ModelKind::Detector,
        run: &run,
        results: &results,
        outcome,
        seconds,
    };
    // Trained from scratch, a network says nothing of the encoder whose sizes it has.
    let encoder = (!config.from_scratch).then_some(config.encoder.weights.as_path());
    // Without truth there is nothing to tell.
    let told = (last.scores.bbox.ap() >= 0.0).then_some(&evaluation);
    trained.record(told, encoder)?;
    match args.run.json {
        true => println!("{}", trained.json(scores::objects_json)),
        false => trained.print(scores::objects_in_short),
    }
    Ok(outcome::code(outcome))
}

/// Defaults or the settings of the detector that is trained on, recipe or file, `--set`, then the options that stand for a setting;
/// beside the configuration what file and `--set` say.
fn load_config(args: &DetectArgs, out: &Path) -> Result<(DetectConfig, Layers), Exit> {
    let recipe = recipes::layers(args.recipe.as_deref(), "detect")?;
    let own = settings::own(&args.run)?;
    let layers = recipe.under(&own);
    let path = |path: &Option<PathBuf>| {
        settings::quoted(path.as_ref().map(|path| path.to_string_lossy()).as_deref())
    };
    let mut options = settings::encoder(args.weights.as_deref(), &args.layout);
    options.extend([
        ("from_scratch", args.from_scratch.then(|| "true".into())),
        ("freeze", args.freeze.then(|| "true".into())),
        ("encoder_only", args.encoder_only.then(|| "true".into())),
        ("detectron2.classes", path(&args.classes)),
        ("data.path", settings::quoted(args.data.as_deref())),
        ("data.annotations", path(&args.annotations)),
        ("data.images", path(&args.images)),
        ("data.eval", settings::quoted(args.eval_data.as_deref())),
        ("data.eval_annotations", path(&args.eval_annotations)),
        ("data.eval_images", path(&args.eval_images)),
    ]);
    options.extend(settings::of_run(&args.run));
    let trained = [
        (args.data.is_some(), "data.path"),
        (args.annotations.is_some(), "data.annotations"),
    ];
    let evaluated = [
        (args.eval_data.is_some(), "data.eval"),
        (args.eval_annotations.is_some(), "data.eval_annotations"),
    ];
    let others = [
        settings::other_forms(&trained, "data.images"),
        settings::other_forms(&evaluated, "data.eval_images"),
    ];
    let layers = settings::without(layers, &args.run.set, others.concat())?;
    let layers = settings::with_options(layers, &args.run.set, &options)?;
    let layers = settings::in_parts::<DetectConfig>(layers, out)?;
    let config: DetectConfig = layers.load()?;
    if config.encoder_only || config.from_scratch {
        return Ok((config, own));
    }
    // What is trained on has settings of its own, over which those that are given lie.
    let told = ToldDetector {
        num_heads: config.encoder.num_heads,
        ..detector_file::told(&layers, &config.detector, &config.detectron2)?
    };
    let found = DetectorFile::read(&config.encoder.weights, &told).map_err(Exit::user)?;
    let config: DetectConfig = match found {
        Some(found) => detector_file::over(&found, &layers)?.load()?,
        None if config.encoder.weights.exists() => config,
        None => over_recorded(&layers, out)?.load()?,
    };
    Ok((config, own))
}

/// Layers over the settings of the detector that the run in `out` has recorded, if there is one: it may go on without the file that
/// they are from.
fn over_recorded(layers: &Layers, out: &Path) -> Result<Layers, Exit> {
    let recorded = settings::recorded_at::<DetectConfig>(out)?;
    let detector = recorded.and_then(|mut recorded| recorded.remove("detector"));
    let below = Table::from_iter(detector.map(|detector| ("detector".to_string(), detector)));
    let name = out.join("config.toml").display().to_string();
    Ok(Layers::new().text(name, &below.to_string())?.under(layers))
}
