//! The report of a run directory: `report.html`, and `semaim report`.

mod curves;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use semaim_checkpoint::atomic;
use semaim_report::{Cell, Fact, Page, Part, Picture, Section, ThemedPng};
use semaim_train::log::read_metrics;
use serde_json::{Value, json};

use crate::args::{DeviceArgs, ReportArgs};
use crate::evaluation_log::{self, Evaluation, EvaluationLog};
use crate::exit::Exit;
use crate::output;

/// The report's file in a run directory.
pub(crate) const PAGE: &str = "report.html";
/// The folder of a run's pictures of orders, one for each evaluation.
const PICTURES: &str = "orders";
/// What a run computes on and with.
const ENVIRONMENT: &str = "environment.json";
/// The last evaluation's confusion matrix.
const CONFUSION: &str = "confusion.png";
/// The most pictures of orders that a report holds.
const MOST_PICTURES: usize = 12;

pub(crate) fn run(args: &ReportArgs) -> Result<ExitCode, Exit> {
    if !args.run.join("config.toml").is_file() {
        return Err(Exit::user(format!(
            "{} is no run directory: it has no config.toml",
            args.run.display()
        )));
    }
    let page = write(&args.run, args.out.as_deref())?;
    match args.json {
        true => println!("{}", json!({"report": page})),
        false => println!("{}", page.display()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the picture of orders after some steps: the latest where people look for it, and all of them for the report.
pub(crate) fn write_orders(run: &Path, step: u64, picture: &ThemedPng) -> io::Result<()> {
    let folder = run.join(PICTURES);
    fs::create_dir_all(&folder)?;
    write_picture(&folder.join(format!("step-{step:09}.png")), picture)?;
    atomic::write_bytes(&run.join("orders.png"), &picture.light)
}

/// Writes the picture of a confusion matrix; gives its path.
pub(crate) fn write_confusion(run: &Path, picture: &ThemedPng) -> io::Result<PathBuf> {
    let path = run.join(CONFUSION);
    write_picture(&path, picture)?;
    Ok(path)
}

/// A picture is a file; what lies over it in the dark is beside it.
fn write_picture(path: &Path, picture: &ThemedPng) -> io::Result<()> {
    if let Some(dark) = &picture.dark {
        atomic::write_bytes(&path.with_extension("dark.png"), dark)?;
    }
    atomic::write_bytes(path, &picture.light)
}

fn read_picture(path: &Path) -> Option<ThemedPng> {
    Some(ThemedPng {
        light: fs::read(path).ok()?,
        dark: fs::read(path.with_extension("dark.png")).ok(),
    })
}

/// Writes down what a run computes on and with.
pub(crate) fn write_environment(run: &Path, device: &DeviceArgs) -> Result<(), Exit> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let value = json!({
        "semaim": env!("CARGO_PKG_VERSION"),
        "system": std::env::consts::OS,
        "processor": std::env::consts::ARCH,
        "instructions": format!("{:?}", semaim_kernels::Cpu::get()).to_lowercase(),
        "cores": cores,
        "device": device.name,
        "kernels": format!("{:?}", device.kernels).to_lowercase(),
    });
    let path = run.join(ENVIRONMENT);
    atomic::write_bytes(&path, format!("{value:#}\n").as_bytes())
        .map_err(|error| Exit::user(format!("writing {}: {error}", path.display())))
}

/// Adds an evaluation to a run directory and builds its report anew. A file of weights has neither, and what cannot be
/// written is only warned of: the result was printed.
pub(crate) fn record(run: &Path, evaluation: &Evaluation<'_>) {
    if !run.join("config.toml").is_file() {
        return;
    }
    let warn = |error: &dyn std::fmt::Display| {
        eprintln!(
            "warning: the result is not in the report of {}: {error}",
            run.display()
        );
    };
    // The report is written before another evaluation is added, so that the last report has all of them.
    match EvaluationLog::lock(run) {
        Ok(mut log) => match log.add(evaluation) {
            Ok(()) => {
                if let Err(error) = write(run, None) {
                    warn(&error.message);
                }
            }
            Err(error) => warn(&error),
        },
        Err(error) => warn(&error),
    }
}

/// Builds a run's report from what its directory holds.
///
/// # Errors
/// The file system.
pub(crate) fn write(run: &Path, out: Option<&Path>) -> Result<PathBuf, Exit> {
    let path = out.map_or_else(|| run.join(PAGE), Path::to_path_buf);
    let html = page(run)?.html().map_err(Exit::ours)?;
    output::create_folder_of(&path)
        .and_then(|()| atomic::write_bytes(&path, html.as_bytes()))
        .map_err(|error| Exit::user(format!("writing {}: {error}", path.display())))?;
    Ok(path)
}

fn page(run: &Path) -> Result<Page, Exit> {
    let entries = read_metrics(&run.join("metrics.jsonl"))?;
    let read =
        |error: io::Error, path: &Path| Exit::user(format!("reading {}: {error}", path.display()));
    let config_path = run.join("config.toml");
    let config = fs::read_to_string(&config_path).map_err(|error| read(error, &config_path))?;
    let evaluations = evaluation_log::read(run).map_err(|error| read(error, run))?;
    let mut sections = vec![Section {
        title: "Learning".into(),
        parts: vec![curves::charts(&entries)],
    }];
    let orders = orders(run);
    if !orders.is_empty() {
        sections.push(Section {
            title: "Learned orders".into(),
            parts: vec![
                Part::Text(
                    "Images that are not trained on, the similarity of each patch to the whole image, and the order in \
                     which patches are predicted, warm first: over the epochs the start should move onto the object."
                        .into(),
                ),
                Part::Pictures(orders),
            ],
        });
    }
    if let Some(png) = read_picture(&run.join(CONFUSION)) {
        sections.push(Section {
            title: "Confusion matrix".into(),
            parts: vec![Part::Pictures(vec![Picture {
                caption: "Of the last evaluation".into(),
                png,
                alt: "Confusion matrix".into(),
            }])],
        });
    }
    sections.push(Section {
        title: "Evaluations".into(),
        parts: vec![evaluations_part(&evaluations)],
    });
    sections.push(Section {
        title: "Environment".into(),
        parts: vec![Part::Pairs(environment(run))],
    });
    sections.push(Section {
        title: "Configuration".into(),
        parts: vec![Part::Source {
            title: "config.toml".into(),
            text: config,
        }],
    });
    let name = run
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    Ok(Page {
        title: name.unwrap_or_else(|| "Run".into()),
        subtitle: curves::progress(&entries),
        facts: curves::facts(&entries),
        sections,
    })
}

/// The pictures of orders, evenly chosen where there are many, the first and the last among them.
fn orders(run: &Path) -> Vec<Picture> {
    let mut paths: Vec<(u64, PathBuf)> = fs::read_dir(run.join(PICTURES))
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            let step = name.strip_prefix("step-")?.strip_suffix(".png")?;
            Some((step.parse().ok()?, path))
        })
        .collect();
    paths.sort();
    let last = paths.len().saturating_sub(1);
    let shown = paths.len().min(MOST_PICTURES);
    let chosen = (0..shown).map(|i| if shown > 1 { i * last / (shown - 1) } else { 0 });
    chosen
        .filter_map(|i| {
            let (step, path) = &paths[i];
            Some(Picture {
                caption: format!("after {step} steps"),
                png: read_picture(path)?,
                alt: format!("Orders after {step} steps"),
            })
        })
        .collect()
}

fn evaluations_part(evaluations: &[Value]) -> Part {
    if evaluations.is_empty() {
        return Part::Text(
            "None yet. semaim knn, probe and finetune with --weights naming this folder add what they measure.".into(),
        );
    }
    let text =
        |value: &Value, key: &str| Cell::Text(value[key].as_str().unwrap_or_default().to_string());
    let share = |value: &Value, key: &str| {
        Cell::Number(match value[key].as_f64() {
            Some(share) => format!("{:.2} %", 100.0 * share),
            None => String::new(),
        })
    };
    let rows = evaluations.iter().map(|value| {
        vec![
            text(value, "evaluation"),
            text(value, "data"),
            text(value, "setting"),
            share(value, "top1"),
            share(value, "top5"),
        ]
    });
    Part::Table {
        header: ["evaluation", "images", "setting", "top-1", "top-5"]
            .map(str::to_string)
            .to_vec(),
        rows: rows.collect(),
    }
}

fn environment(run: &Path) -> Vec<Fact> {
    let text = fs::read_to_string(run.join(ENVIRONMENT)).unwrap_or_default();
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let entries = value.as_object().into_iter().flatten();
    entries
        .map(|(name, value)| Fact {
            name: name.clone(),
            value: match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
        })
        .collect()
}
