//! `semaim probe`.

use std::process::ExitCode;

use semaim_eval::probe::{Probe, ProbeError, ProbeOptions, Setting, probe};
use serde_json::{Value, json};

use crate::args::ProbeArgs;
use crate::encoder::Loaded;
use crate::exit::Exit;
use crate::sides::embed_sides;

pub(crate) fn run(args: &ProbeArgs) -> Result<ExitCode, Exit> {
    let loaded = Loaded::of(&args.encoder)?;
    let representation = args.feature.representation();
    let sides = embed_sides(&loaded, &args.data, representation, args.seed)?;
    let options = ProbeOptions {
        epochs: args.epochs as usize,
        batch_size: args.probe_batch_size as usize,
        base_lrs: args.lr.clone(),
        weight_decays: args.weight_decay.clone(),
        held_back: args.held_back,
        seed: args.seed,
    };
    let train = sides.train.view();
    let result =
        probe(train, sides.eval.view(), &options, &loaded.device).map_err(|error| match error {
            ProbeError::Device(error) => Exit::ours(error),
            error => Exit::user(error),
        })?;
    if args.json {
        println!("{}", as_json(&result, sides.eval.labels.len()));
    } else {
        print_table(&result, sides.eval.labels.len());
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(result: &Probe, tested: usize) -> Value {
    let row = |setting: &Setting| {
        json!({
            "base_lr": setting.base_lr,
            "weight_decay": setting.weight_decay,
            "held_back_top1": setting.held_back.top1,
            "held_back_top5": setting.held_back.top5,
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
    println!("{:>9} {:>9}   held back: top-1", "lr / 256", "decay");
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
            100.0 * setting.held_back.top1
        );
    }
    println!(
        "trained on {} images, tested once on {tested}: top-1 {:.2} %, top-5 {:.2} %",
        result.trained_on,
        100.0 * result.test.top1,
        100.0 * result.test.top5
    );
}
