//! `semaim finetune`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use semaim_checkpoint::model_file::ModelKind;
use semaim_config::Layers;
use semaim_data::{counted, same_sets};
use semaim_eval::classify::Classification;
use semaim_eval::finetune::config::FinetuneConfig;
use semaim_eval::finetune::{FinetuneError, finetune, prepare};
use semaim_train::callbacks::Observer;
use semaim_train::ranks;
use semaim_train::run_dir::RunDir;
use semaim_train::trainer::steps_per_epoch;
use serde_json::{Value, json};

use crate::args::{FinetuneArgs, SelectionArgs, data_place};
use crate::bar::TrainingBar;
use crate::evaluation_log::{self, Evaluation, Worth};
use crate::exit::{Exit, STOPPED};
use crate::trained::Trained;
use crate::{device, dry_run, outcome, pictures, report, scores, settings};

pub(crate) fn run(args: &FinetuneArgs) -> Result<ExitCode, Exit> {
    let out = settings::out_dir(args.out.as_deref(), None, &args.run, "finetune");
    let (config, own) = load_config(args, &out)?;
    let ranks = ranks::current();
    let others = [config.mixing_in_parts(), config.run().rising_rate()];
    settings::warn(&config.unused(), &own, others.into_iter().flatten())?;
    let device = args.device.open_to_train(config.train.precision)?;
    let prepared = prepare(&config, &out, &device)?;
    let sets = prepared.sets();
    let steps_per_epoch = steps_per_epoch(config.train.batch_size, sets.train.items.len())?;
    if args.run.dry_run {
        let kernels = device::kernels(&args.device.name);
        dry_run::finetuning(&config, &prepared, steps_per_epoch, kernels, args.run.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let run = RunDir::open(&out, &config, data_place(args.run.data_moved))?;
    let mut bar = TrainingBar::new(args.run.json)?;
    bar.say(&format!(
        "{} of {} to train on, {} to test; into {}",
        counted(sets.train.items.len(), "image"),
        counted(sets.train.source.classes().len(), "class"),
        sets.test.items.len(),
        out.display()
    ));
    let start = Instant::now();
    let mut observer = report::noting_environment(run.path(), &args.device, &mut bar);
    let (outcome, results) = match finetune(&config, prepared, &run, &device, &mut observer) {
        // A run that was stopped before its first evaluation has no results.
        Err(FinetuneError::Results(_)) if bar.stop_requested() => {
            bar.say("stopped and saved; the same command goes on");
            return Ok(ExitCode::from(STOPPED));
        }
        other => other?,
    };
    if !ranks.is_root() {
        return Ok(outcome::code(outcome));
    }
    let seconds = start.elapsed().as_secs_f64();
    let last = &results.last;
    let picture = write_confusion(&last.scores, &run)?;
    let named = SelectionArgs {
        exclude: config.data.exclude.clone(),
        limit: (config.data.limit > 0).then_some(config.data.limit),
    };
    let named = named.named(config.data.path.as_slice());
    let (path, eval) = (&config.data.path, &config.data.eval);
    let evaluated = match same_sets(eval.as_slice(), path.as_slice()) {
        true => String::new(),
        false => eval.to_string(),
    };
    let named = evaluation_log::images(&named, &evaluated);
    let evaluation = Evaluation {
        name: "fine-tuning",
        data: &named,
        setting: evaluation_log::training(false, &config.run(), last.epoch),
        worth: Worth::Accuracy {
            top1: last.scores.accuracy.top1,
            top5: last.scores.accuracy.top5,
            classes: last.scores.classes.len(),
        },
    };
    let trained = Trained {
        kind: ModelKind::Classifier,
        run: &run,
        results: &results,
        outcome,
        seconds,
    };
    // Trained from scratch, a network says nothing of the encoder whose sizes it has.
    let encoder = (!config.from_scratch).then_some(config.encoder.weights.as_path());
    trained.record(Some(&evaluation), encoder)?;
    if args.run.json {
        println!("{}", as_json(&trained));
    } else {
        trained.print(scores::classification_in_short);
        println!("confusion  {}", picture.display());
        scores::print_per_class(&last.scores);
    }
    Ok(outcome::code(outcome))
}

/// File, `--set`, then the options that stand for a setting; beside the configuration what file and `--set` say.
fn load_config(args: &FinetuneArgs, out: &Path) -> Result<(FinetuneConfig, Layers), Exit> {
    let own = settings::own(&args.run)?;
    let mut options = settings::encoder(args.weights.as_deref(), &args.layout);
    options.extend([
        ("from_scratch", args.from_scratch.then(|| "true".into())),
        ("data.path", settings::data_names(&args.data)),
        ("data.eval", settings::data_names(&args.eval_data)),
    ]);
    options.extend(settings::of_run(&args.run));
    let selection = args.selection.settings("data");
    let layers = settings::with_options(own.clone(), &args.run.set, &options)?;
    let layers = settings::with_options(layers, &args.run.set, &selection)?;
    let layers = settings::in_parts::<FinetuneConfig>(layers, out)?;
    Ok((layers.load()?, own))
}

fn write_confusion(found: &Classification, run: &RunDir) -> Result<PathBuf, Exit> {
    let picture = pictures::confusion(found).map_err(Exit::ours)?;
    report::write_confusion(run.path(), &picture)
        .map_err(|error| Exit::user(format!("writing into {}: {error}", run.path().display())))
}

/// The scores of the end, with what is known of the run beside them.
fn as_json(trained: &Trained<'_, Classification>) -> Value {
    let results = trained.results;
    let mut value = scores::classification_json(&results.last.scores);
    value["ending"] = json!(outcome::name(trained.outcome));
    value["run"] = json!(trained.run.path());
    value["seconds"] = json!(trained.seconds);
    value["epoch"] = json!(results.last.epoch);
    value["best_top1"] = json!(results.best.scores.accuracy.top1);
    value["best_epoch"] = json!(results.best.epoch);
    value
}
