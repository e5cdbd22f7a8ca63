//! The report of a run directory: `report.html`, and `semaim report`.

mod curves;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use semaim_checkpoint::atomic;
use semaim_report::{Fact, Page, Part, Picture, Section};
use semaim_train::log::read_metrics;
use serde_json::{Value, json};

use crate::args::{DeviceArgs, ReportArgs};
use crate::exit::Exit;
use crate::{kept, output};

/// The report's file in a run directory.
pub(crate) const PAGE: &str = "report.html";
/// Where a run keeps its pictures of orders.
const PICTURES: &str = "orders";
/// What a run computes on and with.
const ENVIRONMENT: &str = "environment.json";
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

/// Where the picture of orders after some steps is kept.
pub(crate) fn picture_path(run: &Path, step: u64) -> PathBuf {
    run.join(PICTURES).join(format!("step-{step:09}.png"))
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

/// Builds a run's report from what its directory holds.
///
/// # Errors
/// The file system.
pub(crate) fn write(run: &Path, out: Option<&Path>) -> Result<PathBuf, Exit> {
    let path = out.map_or_else(|| run.join(PAGE), Path::to_path_buf);
    let html = page(run)?.html();
    output::create_folder_of(&path)
        .and_then(|()| atomic::write_bytes(&path, html.as_bytes()))
        .map_err(|error| Exit::user(format!("writing {}: {error}", path.display())))?;
    Ok(path)
}

fn page(run: &Path) -> Result<Page, Exit> {
    let entries = read_metrics(&run.join("metrics.jsonl"))?;
    let name = run
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let config = fs::read_to_string(run.join("config.toml")).unwrap_or_default();
    let evaluations = kept::all(run);
    let mut sections = vec![Section {
        title: "Learning".into(),
        parts: curves::charts(&entries),
    }];
    let orders = pictures(run);
    if !orders.is_empty() {
        sections.push(Section {
            title: "What the order starts at".into(),
            parts: vec![
                Part::Text(
                    "Images that are not trained on, how alike the encoder finds each patch to the whole, and the order \
                     in which patches are predicted, warm first: over the epochs the start should move onto the object."
                        .into(),
                ),
                Part::Pictures(orders),
            ],
        });
    }
    if let Ok(png) = fs::read(run.join("confusion.png")) {
        sections.push(Section {
            title: "What is taken for what".into(),
            parts: vec![Part::Pictures(vec![Picture {
                caption: "Confusion matrix of the last evaluation".into(),
                png,
                alt: "Confusion matrix".into(),
            }])],
        });
    }
    sections.push(Section {
        title: "Evaluations".into(),
        parts: vec![table(&evaluations)],
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
    Ok(Page {
        title: name.unwrap_or_else(|| "Run".into()),
        subtitle: curves::progress(&entries),
        facts: curves::facts(&entries),
        sections,
    })
}

/// The pictures of orders, evenly chosen where there are many, the first and the last among them.
fn pictures(run: &Path) -> Vec<Picture> {
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
                png: fs::read(path).ok()?,
                alt: format!("Orders after {step} steps"),
            })
        })
        .collect()
}

fn table(evaluations: &[Value]) -> Part {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_string();
    let share = |value: &Value, key: &str| match value[key].as_f64() {
        Some(share) => format!("{:.2} %", 100.0 * share),
        None => String::new(),
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
        caption: "Evaluations of this encoder".into(),
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
