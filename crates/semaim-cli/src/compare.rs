//! `semaim compare`.

mod page;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use semaim_checkpoint::atomic;
use semaim_config::Layers;
use semaim_data::counted;
use semaim_eval::compare::config::CompareConfig;
use semaim_eval::compare::measure::Measure;
use semaim_eval::compare::record::Record;
use semaim_eval::compare::table::{as_json, markdown};
use semaim_eval::compare::timing::{remaining, step_times};
use semaim_eval::compare::{
    CompareError, CompareOutcome, PAGE, PlannedTrial, STEP_TIMES, TABLE, TABLE_JSON, compare, plan,
    records,
};
use serde_json::{Value, json};

use crate::args::CompareArgs;
use crate::bar::TrainingBar;
use crate::exit::{Exit, STOPPED};
use crate::{device, maps, settings};

/// Seconds of a step by variant.
type StepTimes = BTreeMap<String, f64>;

pub(crate) fn run(args: &CompareArgs) -> Result<ExitCode, Exit> {
    let layers = Layers::new().file(&args.file)?.sets(&args.set)?;
    let data = [("data", settings::data_names(&args.data))];
    let layers = settings::with_options(layers, &args.set, &data)?;
    let options: Vec<_> = ["pretrain.data", "finetune.data"]
        .into_iter()
        .flat_map(|table| args.selection.settings(table))
        .collect();
    let config: CompareConfig = settings::with_options(layers, &args.set, &options)?.load()?;
    let device = args.device.open()?;
    let out = match (&args.out, args.file.file_stem()) {
        (Some(out), _) => out.clone(),
        (None, stem) => PathBuf::from("runs").join(stem.unwrap_or("compare".as_ref())),
    };
    // Variants that cannot be used are named before any of them is trained.
    records(&config, &out)?;
    let chosen = chosen(&config, &args.variants)?;
    for variant in &chosen.variants {
        let own = Layers::new().sets(&variant.set)?;
        let pretrain = config.pretrain(variant, 0)?;
        let unused = settings::unused(&pretrain.unused(), &own)?;
        let rises = pretrain.run().rising_rate().filter(|_| variant.pretrain);
        let maps = maps::of_other_images(&pretrain).filter(|_| variant.pretrain);
        for line in unused.into_iter().chain(rises).chain(maps) {
            eprintln!("warning: variant `{}`: {line}", variant.name);
        }
    }
    let rises = config.finetune.run().rising_rate();
    if let Some(line) = rises.filter(|_| config.measures().contains(&Measure::Finetune)) {
        eprintln!("warning: fine-tuning: {line}");
    }
    if args.dry_run {
        let kernels = device::kernels(&args.device.name);
        let planned = plan(&chosen, &out, kernels, &device)?;
        let mut bar = TrainingBar::new(true)?;
        let seconds = remaining(&chosen, &planned, &out, &device, &mut bar)?;
        bar.clear();
        print_plan(&planned, &seconds, args.json);
        return Ok(ExitCode::SUCCESS);
    }
    if args.time_steps {
        let mut bar = TrainingBar::new(args.json)?;
        let times = step_times(&config, &out, &device, &mut bar)?;
        bar.clear();
        write(&out, STEP_TIMES, &json!(times).to_string())?;
        if !args.json {
            print_step_times(&times, &config.baseline);
        }
    }
    let ran = if args.table_only || args.time_steps {
        Ok(CompareOutcome::Finished)
    } else {
        let mut bar = TrainingBar::new(args.json)?;
        let ran = compare(&config, &args.variants, &out, &device, &mut bar);
        bar.clear();
        ran
    };
    // Whatever ended it, the table is of what there is.
    let records = write_results(&config, &out)?;
    let (outcome, failed) = match ran {
        Ok(outcome) => (outcome, None),
        Err(error @ CompareError::Failed { .. }) => (CompareOutcome::Finished, Some(error)),
        Err(error) => return Err(error.into()),
    };
    if args.json {
        let mut table = as_json(&config, &records);
        if let CompareOutcome::Elsewhere(trials) = outcome {
            table["elsewhere"] = json!(trials);
        }
        println!("{table}");
    } else {
        println!("{}", markdown(&config, &records));
        println!("{}", out.join(TABLE).display());
        println!("{}", out.join(PAGE).display());
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    Ok(match outcome {
        CompareOutcome::Finished => ExitCode::SUCCESS,
        CompareOutcome::Elsewhere(trials) => {
            eprintln!(
                "another process is at {}; the same command makes the whole table when that is done",
                counted(trials, "trial")
            );
            ExitCode::SUCCESS
        }
        CompareOutcome::Stopped => {
            eprintln!("stopped and saved; the same command goes on");
            ExitCode::from(STOPPED)
        }
    })
}

/// The comparison with no other variants than those that are named; none: all of them.
fn chosen(config: &CompareConfig, names: &[String]) -> Result<CompareConfig, Exit> {
    let mut chosen = config.clone();
    if names.is_empty() {
        return Ok(chosen);
    }
    let all: Vec<&str> = config.variants.iter().map(|v| v.name.as_str()).collect();
    if let Some(name) = names.iter().find(|name| !all.contains(&name.as_str())) {
        let all = all.join(", ");
        return Err(Exit::user(format!(
            "--variants: `{name}` is none of the variants: {all}"
        )));
    }
    chosen
        .variants
        .retain(|variant| names.contains(&variant.name));
    Ok(chosen)
}

/// Writes table and page of what there is.
fn write_results(config: &CompareConfig, out: &Path) -> Result<Vec<Record>, Exit> {
    let records = records(config, out)?;
    let title = out.file_name().unwrap_or_default().to_string_lossy();
    let page = page::page(&title, config, &records, &read_step_times(out)?)?;
    let files = [
        (PAGE, page.html().map_err(Exit::ours)?),
        (TABLE, markdown(config, &records)),
        (TABLE_JSON, as_json(config, &records).to_string()),
    ];
    for (name, text) in files {
        write(out, name, &text)?;
    }
    Ok(records)
}

fn write(out: &Path, name: &str, text: &str) -> Result<(), Exit> {
    let path = out.join(name);
    std::fs::create_dir_all(out)
        .and_then(|()| atomic::write_bytes(&path, text.as_bytes()))
        .map_err(|error| Exit::user(format!("writing {}: {error}", path.display())))
}

/// What `--time-steps` measured, if it did.
fn read_step_times(out: &Path) -> Result<StepTimes, Exit> {
    let path = out.join(STEP_TIMES);
    if !path.is_file() {
        return Ok(StepTimes::new());
    }
    let failed =
        |error: &dyn std::fmt::Display| Exit::user(format!("reading {}: {error}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|error| failed(&error))?;
    serde_json::from_str(&text).map_err(|error| failed(&error))
}

fn print_step_times(times: &StepTimes, baseline: &str) {
    let of_baseline = times.get(baseline).copied();
    for (variant, seconds) in times {
        let share =
            of_baseline.map(|baseline| format!(", {:.2} of the baseline's", seconds / baseline));
        println!(
            "{variant}: {:.1} ms a step{}",
            1e3 * seconds,
            share.unwrap_or_default()
        );
    }
}

/// Says what a comparison would do, and how long it would take here.
fn print_plan(trials: &[PlannedTrial], seconds: &[f64], as_json: bool) {
    let total: f64 = seconds.iter().sum();
    if as_json {
        let row = |(trial, seconds): (&PlannedTrial, &f64)| {
            json!({
                "variant": trial.name.variant,
                "seed": trial.name.seed,
                "steps": trial.steps,
                "memory_bytes": trial.memory.map(|memory| memory.total()),
                "finished": trial.finished,
                "seconds": seconds,
            })
        };
        println!("{}", trials.iter().zip(seconds).map(row).collect::<Value>());
        return;
    }
    for (trial, seconds) in trials.iter().zip(seconds) {
        let what = match (trial.finished, trial.memory) {
            (true, _) => "finished".to_string(),
            (false, None) => format!("no pre-training; {}", duration(*seconds)),
            (false, Some(memory)) => format!(
                "{} steps of pre-training, about {:.2} GB; {}",
                trial.steps,
                memory.total() as f64 / 1e9,
                duration(*seconds)
            ),
        };
        println!("{}, seed {}: {what}", trial.name.variant, trial.name.seed);
    }
    println!(
        "about {} in all, by a few steps and images of each kind timed just now",
        duration(total)
    );
}

/// A time as people say it.
fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match (seconds, minutes) {
        (..90.0, _) => format!("{seconds:.0} s"),
        (_, ..120) => format!("{minutes} min"),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        let said = [0.4, 89.0, 90.0, 7_100.0, 7_200.0, 90_000.0].map(duration);
        assert_eq!(
            said,
            [
                "0 s",
                "89 s",
                "2 min",
                "118 min",
                "2 h 00 min",
                "25 h 00 min"
            ]
        );
    }
}
