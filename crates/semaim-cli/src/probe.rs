//! `semaim probe`.

use std::path::PathBuf;
use std::process::ExitCode;

use semaim::config::VitConfig;
use semaim::representation::Representation;
use semaim_data::counted;
use semaim_eval::probe::head::HeadKind;
use semaim_eval::probe::memory::{batch_memory, fitting_batch};
use semaim_eval::probe::online::{OnlineError, OnlineProbe, online_probe, token_width};
use semaim_eval::probe::{Probe, ProbeOptions, Setting, probe};
use semaim_eval::splits::LabeledSplits;
use semaim_train::callbacks::Observer;
use semaim_train::config::DataNames;
use semaim_train::ranks;
use semaim_train::run_dir::RunDir;
use semaim_train::start::step_of;
use serde_json::{Value, json};

use crate::args::{ProbeArgs, data_place};
use crate::bar::TrainingBar;
use crate::embed_splits::{embed_splits, labeled};
use crate::encoder::Loaded;
use crate::exit::{Exit, STOPPED};
use crate::{evaluation_log, report};

pub(crate) fn run(args: &ProbeArgs) -> Result<ExitCode, Exit> {
    args.refuse_unused()?;
    // A run may go on while its encoder is measured.
    let step = step_of(&args.encoder.weights);
    let loaded = Loaded::of(&args.encoder)?;
    let on_images = args.is_on_images();
    let options = options(args, &loaded, on_images);
    options.check()?;
    let representation = args.representation();
    let sets = labeled(&loaded, &args.data, &args.selection, args.seed)?;
    sets.check_for_training().map_err(Exit::user)?;
    if args.dry_run {
        dry_run(args, &loaded, &sets, &options, on_images);
        return Ok(ExitCode::SUCCESS);
    }
    let result = if on_images {
        probe_on_images(args, &loaded, &sets, options)?
    } else {
        if let Some(line) = unsettled(&sets, &options).filter(|_| ranks::current().is_root()) {
            eprintln!("{line}");
        }
        let splits = embed_splits(&loaded, &sets, representation)?;
        let (train, eval) = (splits.train.view(), splits.eval.view());
        probe(train, eval, &options, &loaded.device)?
    };
    // An attentive head sees the patches, whatever represents an image otherwise.
    let shown = match args.head {
        HeadKind::Linear => representation,
        HeadKind::Attentive => Representation::Patches,
    };
    let evaluation = evaluation_log::Evaluation {
        name: match args.head {
            HeadKind::Linear => "linear probe",
            HeadKind::Attentive => "attentive probe",
        },
        data: &args.selection.named(&args.data),
        setting: setting_of(args, shown),
        worth: evaluation_log::Worth::Accuracy {
            top1: result.test.top1,
            top5: result.test.top5,
            classes: sets.train.source.classes().len(),
        },
    };
    report::record_at(&args.encoder.weights, step, &evaluation);
    if args.json {
        println!("{}", as_json(&result));
    } else {
        print_table(&result);
    }
    Ok(ExitCode::SUCCESS)
}

/// What is asked for; the batch of a probe on images is chosen by its memory where it is not given.
fn options(args: &ProbeArgs, loaded: &Loaded, on_images: bool) -> ProbeOptions {
    let mut options = ProbeOptions {
        epochs: args.epochs,
        base_lrs: args.lr.clone(),
        weight_decays: args.weight_decay.clone(),
        validation_every: args.validation_every,
        seed: args.seed,
        ..ProbeOptions::default()
    };
    match args.probe_batch_size {
        Some(batch_size) => options.batch_size = batch_size,
        None if on_images => {
            let (vit, width) = sizes(args, loaded);
            options.batch_size = fitting_batch(args.head, vit, width, &options);
        }
        None => {}
    }
    options
}

/// The encoder's sizes, and the width of the tokens that heads see.
fn sizes<'a>(args: &ProbeArgs, loaded: &'a Loaded) -> (&'a VitConfig, usize) {
    let encoder = &loaded.encoder;
    let width = token_width(encoder, args.head, args.representation());
    (&encoder.config, width)
}

fn out_dir(args: &ProbeArgs) -> PathBuf {
    let attentive = args.head == HeadKind::Attentive;
    let name = match (attentive, args.augment) {
        (true, true) => "probe-attentive-augment",
        (true, false) => "probe-attentive",
        (false, _) => "probe-augment",
    };
    args.out
        .clone()
        .unwrap_or_else(|| PathBuf::from("runs").join(name))
}

/// Images of a batch, and batches of an epoch.
fn steps_of(sets: &LabeledSplits, options: &ProbeOptions) -> [usize; 2] {
    let all = sets.train.items.len();
    let images = all - all / options.validation_every as usize;
    let batch_size = options.batch_size.min(images);
    [batch_size, images / batch_size.max(1)]
}

/// Steps after which less than a hundredth is left of the mean and variance that running statistics begin with (0.9^44).
const SETTLED: usize = 44;

/// What is to be said of a probe on vectors that is so short that the running statistics, by which it is chosen and tested, are still
/// partly those that they began with.
fn unsettled(sets: &LabeledSplits, options: &ProbeOptions) -> Option<String> {
    let [_, per_epoch] = steps_of(sets, options);
    let steps = per_epoch * options.epochs;
    (steps < SETTLED).then(|| {
        format!(
            "warning: {steps} steps are few: the running mean and variance by which vectors are normalized settle in some {SETTLED}; \
             give more --epochs, or a smaller --probe-batch-size"
        )
    })
}

/// Says what a probe would take.
fn dry_run(
    args: &ProbeArgs,
    loaded: &Loaded,
    sets: &LabeledSplits,
    options: &ProbeOptions,
    on_images: bool,
) {
    let [batch_size, per_epoch] = steps_of(sets, options);
    let steps = per_epoch * options.epochs;
    let (vit, width) = sizes(args, loaded);
    let memory = if on_images {
        let options = ProbeOptions {
            batch_size,
            ..options.clone()
        };
        batch_memory(args.head, vit, width, &options)
    } else {
        4 * ((sets.train.items.len() + sets.test.items.len()) * width) as u64
    };
    if args.json {
        let value = json!({
            "train_images": sets.train.items.len(),
            "test_images": sets.test.items.len(),
            "batch_size": batch_size,
            "steps_per_epoch": per_epoch,
            "steps": steps,
            "memory_bytes": memory,
        });
        println!("{value}");
        return;
    }
    println!(
        "# data             {} to train on and to choose with, {} to test",
        sets.train.items.len(),
        sets.test.items.len()
    );
    println!(
        "# memory           about {:.2} GB for {} of {batch_size}, beside the encoder",
        memory as f64 / 1e9,
        if on_images {
            "batches"
        } else {
            "vectors, in batches"
        }
    );
    println!("# steps            {per_epoch} per epoch, {steps} in all");
}

/// The probe that the trainer trains, in a run directory.
fn probe_on_images(
    args: &ProbeArgs,
    loaded: &Loaded,
    sets: &LabeledSplits,
    options: ProbeOptions,
) -> Result<Probe, Exit> {
    let config = OnlineProbe {
        weights: args.encoder.weights.clone(),
        data: DataNames::new(args.data.clone()),
        exclude: args.selection.exclude.clone(),
        limit: args.selection.limit,
        head: args.head,
        representation: args.representation(),
        augment: args.augment,
        options,
        encoder: loaded.encoder.checksum().map_err(Exit::ours)?,
        workers: args.encoder.loader.workers,
    };
    let run = RunDir::open(&out_dir(args), &config, data_place(args.data_moved))?;
    let mut bar = TrainingBar::new(args.json)?;
    let (vit, width) = sizes(args, loaded);
    bar.say(&format!(
        "batches of {} (about {:.2} GB; --probe-batch-size sets another); into {}",
        config.options.batch_size,
        batch_memory(config.head, vit, width, &config.options) as f64 / 1e9,
        run.path().display()
    ));
    let encoder = &loaded.encoder;
    online_probe(&config, encoder, sets, &run, &mut bar).map_err(|error| match error {
        OnlineError::Probe(error) => error.into(),
        OnlineError::Train(error) => error.into(),
        OnlineError::Stopped => Exit {
            code: STOPPED,
            message: error.to_string(),
        },
        error => Exit::ours(error),
    })
}

/// How a probe is trained on what, for people to read; the batch at the end, where one is asked for that is not usual.
fn setting_of(args: &ProbeArgs, shown: Representation) -> String {
    let mut text = evaluation_log::setting(&in_short(args), shown, &args.encoder);
    // On images it is as large as memory allows.
    let usual = (!args.is_on_images()).then_some(ProbeOptions::default().batch_size);
    if let Some(batch_size) = args.probe_batch_size
        && usual != Some(batch_size)
    {
        text += &format!(", batches of {batch_size}");
    }
    text
}

/// How a probe is trained, where that is not as usual.
fn in_short(args: &ProbeArgs) -> String {
    let usual = ProbeOptions::default();
    let mut text = counted(args.epochs, "epoch");
    if args.augment {
        text += ", augmented views";
    }
    if args.lr != usual.base_lrs {
        text += &format!(", lr {:?}", args.lr);
    }
    if args.weight_decay != usual.weight_decays {
        text += &format!(", weight decay {:?}", args.weight_decay);
    }
    if args.validation_every != usual.validation_every {
        text += &format!(", validation 1/{}", args.validation_every);
    }
    if args.seed != usual.seed {
        text += &format!(", seed {}", args.seed);
    }
    text
}

fn as_json(result: &Probe) -> Value {
    let row = |setting: &Setting| {
        let validation = setting.finite.then_some(setting.validation);
        json!({
            "base_lr": setting.base_lr,
            "weight_decay": setting.weight_decay,
            "finite": setting.finite,
            "validation_top1": validation.map(|accuracy| accuracy.top1),
            "validation_top5": validation.map(|accuracy| accuracy.top5),
        })
    };
    json!({
        "trained_on": result.trained_on,
        "tested_on": result.tested_on,
        "chosen": row(&result.chosen),
        "top1": result.test.top1,
        "top5": result.test.top5,
        "grid": result.grid.iter().map(row).collect::<Vec<_>>(),
    })
}

fn print_table(result: &Probe) {
    println!("{:>9} {:>9}  validation: top-1", "lr / 256", "decay");
    for setting in &result.grid {
        let mark = if *setting == result.chosen {
            "  chosen"
        } else {
            ""
        };
        let worth = match setting.finite {
            true => format!("{:>15.2} %", 100.0 * setting.validation.top1),
            false => "  not finite: diverged".into(),
        };
        println!(
            "{:>9} {:>9} {worth}{mark}",
            setting.base_lr, setting.weight_decay
        );
    }
    println!(
        "trained on {}, tested once on {}: top-1 {:.2} %, top-5 {:.2} %",
        counted(result.trained_on, "image"),
        result.tested_on,
        100.0 * result.test.top1,
        100.0 * result.test.top5
    );
}
