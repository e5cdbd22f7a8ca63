//! `semaim compare`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use semaim_checkpoint::atomic;
use semaim_config::Layers;
use semaim_eval::compare::config::CompareConfig;
use semaim_eval::compare::table::{as_json, markdown};
use semaim_eval::compare::{PlannedTrial, compare, plan, records};
use semaim_train::trainer::RunOutcome;
use serde_json::{Value, json};

use crate::args::CompareArgs;
use crate::bar::TrainingBar;
use crate::exit::{Exit, STOPPED};
use crate::{device, settings};

pub(crate) fn run(args: &CompareArgs) -> Result<ExitCode, Exit> {
    let layers = Layers::new().file(&args.file)?.sets(&args.set)?;
    let data = [("data", settings::data_names(&args.data))];
    let layers = settings::with_options(layers, &data)?;
    let options: Vec<_> = ["pretrain.data", "finetune.data"]
        .into_iter()
        .flat_map(|table| args.selection.settings(table))
        .collect();
    let config: CompareConfig = settings::load(layers, &options)?;
    let device = args.device.open()?;
    let out = match (&args.out, args.file.file_stem()) {
        (Some(out), _) => out.clone(),
        (None, stem) => PathBuf::from("runs").join(stem.unwrap_or("compare".as_ref())),
    };
    // Variants that cannot be used are named before any of them is trained.
    records(&config, &out)?;
    if args.dry_run {
        let kernels = device::kernels(&args.device.name);
        print_plan(&plan(&config, &out, kernels, &device)?, args.json);
        return Ok(ExitCode::SUCCESS);
    }
    let ran = if args.table_only {
        Ok(RunOutcome::Finished)
    } else {
        let mut bar = TrainingBar::new(args.json)?;
        let ran = compare(&config, &out, &device, &mut bar);
        bar.clear();
        ran
    };
    // Whatever ended it, the table is of what there is.
    let records = write_table(&config, &out)?;
    let outcome = ran?;
    if args.json {
        println!("{}", as_json(&config, &records));
    } else {
        println!("{}", markdown(&config, &records));
        println!("{}", out.join("table.md").display());
    }
    Ok(match outcome {
        RunOutcome::Finished | RunOutcome::AlreadyFinished => ExitCode::SUCCESS,
        RunOutcome::Stopped => {
            eprintln!("stopped and saved; the same command goes on");
            ExitCode::from(STOPPED)
        }
    })
}

fn write_table(
    config: &CompareConfig,
    out: &Path,
) -> Result<Vec<semaim_eval::compare::trial::Record>, Exit> {
    let records = records(config, out)?;
    let files = [
        ("table.md", markdown(config, &records)),
        ("table.json", as_json(config, &records).to_string()),
    ];
    for (name, text) in files {
        let path = out.join(name);
        std::fs::create_dir_all(out)
            .and_then(|()| atomic::write_bytes(&path, text.as_bytes()))
            .map_err(|error| Exit::user(format!("writing {}: {error}", path.display())))?;
    }
    Ok(records)
}

/// Says what a comparison would do.
fn print_plan(trials: &[PlannedTrial], as_json: bool) {
    if as_json {
        let row = |trial: &PlannedTrial| {
            json!({
                "variant": trial.variant,
                "seed": trial.seed,
                "steps": trial.steps,
                "memory_bytes": trial.memory.map(|memory| memory.total()),
                "finished": trial.finished,
            })
        };
        println!("{}", Value::Array(trials.iter().map(row).collect()));
        return;
    }
    for trial in trials {
        let what = match (trial.finished, trial.memory) {
            (true, _) => "finished".to_string(),
            (false, None) => "no pre-training".to_string(),
            (false, Some(memory)) => format!(
                "{} steps of pre-training, about {:.2} GB",
                trial.steps,
                memory.total() as f64 / 1e9
            ),
        };
        println!("{}, seed {}: {what}", trial.variant, trial.seed);
    }
}
