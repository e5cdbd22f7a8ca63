//! `semaim probe`.

use std::process::ExitCode;

use semaim_data::counted;
use semaim_eval::probe::head::HeadKind;
use semaim_eval::probe::online::{OnlineError, OnlineProbe, online_probe};
use semaim_eval::probe::{Probe, ProbeError, ProbeOptions, Setting, probe};
use semaim_eval::splits::LabelledSplits;
use semaim_train::run_dir::RunDir;
use serde_json::{Value, json};

use crate::args::ProbeArgs;
use crate::bar::TrainingBar;
use crate::embed_splits::{embed_splits, labelled};
use crate::encoder::Loaded;
use crate::exit::{Exit, STOPPED};
use crate::{evaluation_log, report};

pub(crate) fn run(args: &ProbeArgs) -> Result<ExitCode, Exit> {
    let loaded = Loaded::of(&args.encoder)?;
    let representation = args.feature;
    let sets = labelled(&loaded, &args.data, args.seed)?;
    sets.check_for_training().map_err(Exit::user)?;
    let tested = sets.test.items.len();
    let options = ProbeOptions {
        epochs: args.epochs,
        batch_size: args.probe_batch_size,
        base_lrs: args.lr.clone(),
        weight_decays: args.weight_decay.clone(),
        validation_every: args.held_back,
        seed: args.seed,
    };
    let result = if args.augment || args.head == HeadKind::Attentive {
        on_images(args, &loaded, &sets, options)?
    } else {
        let splits = embed_splits(&loaded, &sets, representation)?;
        let (train, eval) = (splits.train.view(), splits.eval.view());
        probe(train, eval, &options, &loaded.device).map_err(refused)?
    };
    let evaluation = evaluation_log::Evaluation {
        name: match args.head {
            HeadKind::Linear => "linear probe",
            HeadKind::Attentive => "attentive probe",
        },
        data: &args.data,
        setting: evaluation_log::setting(
            &counted(args.epochs, "epoch"),
            args.feature,
            &args.encoder,
        ),
        top1: result.test.top1,
        top5: result.test.top5,
    };
    report::record(&args.encoder.weights, &evaluation);
    if args.json {
        println!("{}", as_json(&result, tested));
    } else {
        print_table(&result, tested);
    }
    Ok(ExitCode::SUCCESS)
}

/// The probe that the trainer trains, in a run directory.
fn on_images(
    args: &ProbeArgs,
    loaded: &Loaded,
    sets: &LabelledSplits,
    options: ProbeOptions,
) -> Result<Probe, Exit> {
    let config = OnlineProbe {
        weights: args.encoder.weights.clone(),
        data: args.data.clone(),
        head: args.head,
        representation: args.feature,
        augment: args.augment,
        options,
        encoder: loaded.encoder.checksum().map_err(Exit::ours)?,
        workers: args.encoder.loader.workers,
    };
    let run = RunDir::open(&args.out, &config)?;
    let mut bar = TrainingBar::new(args.json)?;
    let encoder = &loaded.encoder;
    online_probe(&config, encoder, sets, &run, &mut bar).map_err(|error| match error {
        OnlineError::Probe(error) => refused(error),
        OnlineError::Train(error) => error.into(),
        OnlineError::Stopped => Exit {
            code: STOPPED,
            message: error.to_string(),
        },
        error => Exit::ours(error),
    })
}

fn refused(error: ProbeError) -> Exit {
    match error {
        ProbeError::Device(error) => Exit::ours(error),
        error => Exit::user(error),
    }
}

fn as_json(result: &Probe, tested: usize) -> Value {
    let row = |setting: &Setting| {
        json!({
            "base_lr": setting.base_lr,
            "weight_decay": setting.weight_decay,
            "held_back_top1": setting.validation.top1,
            "held_back_top5": setting.validation.top5,
        })
    };
    json!({
        "trained_on": result.trained_on,
        "tested_on": tested,
        "chosen": row(&result.chosen),
        "top1": result.test.top1,
        "top5": result.test.top5,
        "grid": result.grid.iter().map(row).collect::<Vec<_>>(),
    })
}

fn print_table(result: &Probe, tested: usize) {
    println!("{:>9} {:>9}  validation: top-1", "lr / 256", "decay");
    for setting in &result.grid {
        let mark = if *setting == result.chosen {
            "  chosen"
        } else {
            ""
        };
        println!(
            "{:>9} {:>9} {:>15.2} %{mark}",
            setting.base_lr,
            setting.weight_decay,
            100.0 * setting.validation.top1
        );
    }
    println!(
        "trained on {}, tested once on {tested}: top-1 {:.2} %, top-5 {:.2} %",
        counted(result.trained_on, "image"),
        100.0 * result.test.top1,
        100.0 * result.test.top5
    );
}
