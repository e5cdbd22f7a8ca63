//! The report of a run directory: `report.html`, and `semaim report`.

mod bad_images;
mod curves;
mod detection;
mod segmentation;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::Utc;
use semaim_checkpoint::atomic;
use semaim_config::Layers;
use semaim_data::counted;
use semaim_report::{Cell, Fact, Page, Part, Picture, Section, ThemedPng};
use semaim_train::callbacks::{Observer, Progress, StepReport};
use semaim_train::config::PretrainConfig;
use semaim_train::log::read_metrics;
use semaim_train::ranks;
use semaim_train::start::step_of;
use serde_json::{Value, json};

use crate::args::{DeviceArgs, ReportArgs};
use crate::detect;
use crate::device::kernels;
use crate::evaluation_log::{self, Evaluation};
use crate::exit::Exit;
use crate::origin;
use crate::output;
use crate::pictures;

pub(crate) use bad_images::BadImages;

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
            "{} is not a run directory: it has no config.toml",
            args.run.display()
        )));
    }
    // A run has files of many kinds, any of which may be named by mistake.
    let is_page = |out: &Path| {
        let extension = out.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|e| e.eq_ignore_ascii_case("html") || e.eq_ignore_ascii_case("htm"))
    };
    if let Some(out) = args.out.as_deref().filter(|out| !is_page(out)) {
        return Err(Exit::user(format!(
            "--out {}: the report is a page, whose name ends in .html",
            out.display()
        )));
    }
    // Images may be elsewhere now; the rest of the report needs none.
    if let Err(error) = detect::pictures::renew(&args.run) {
        eprintln!(
            "warning: no picture of truth beside prediction: {}",
            error.message
        );
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

/// Writes the picture of truth beside prediction.
pub(crate) fn write_objects(run: &Path, picture: &ThemedPng) -> io::Result<()> {
    write_picture(&objects_path(run), picture)
}

/// Where that picture is, if there is one.
pub(crate) fn objects_path(run: &Path) -> PathBuf {
    run.join(detection::PICTURE)
}

/// Writes the picture of true beside predicted classes of pixels.
pub(crate) fn write_labels(run: &Path, picture: &ThemedPng) -> io::Result<()> {
    write_picture(&run.join(segmentation::PICTURE), picture)
}

/// Whether there is that picture.
pub(crate) fn has_labels(run: &Path) -> bool {
    run.join(segmentation::PICTURE).exists()
}

/// A picture is a file; what lies over it in the dark is beside it.
fn write_picture(path: &Path, picture: &ThemedPng) -> io::Result<()> {
    if let Some(dark) = &picture.dark {
        atomic::write_bytes(&path.with_extension("dark.png"), dark)?;
    }
    atomic::write_bytes(path, &picture.light)
}

/// What is said beside a number of images of those that could not be used.
fn left_out(count: usize) -> String {
    match count {
        0 => String::new(),
        count => format!(" ({count} more could not be used)"),
    }
}

fn read_picture(path: &Path) -> Option<ThemedPng> {
    Some(ThemedPng {
        light: fs::read(path).ok()?,
        dark: fs::read(path.with_extension("dark.png")).ok(),
    })
}

/// Looks on at a run for `observer`, and writes down its environment when a step is due: a run that is refused, or had been finished
/// before, computes nothing, and keeps what it was computed with.
pub(crate) fn noting_environment<'a>(
    run: &'a Path,
    device: &'a DeviceArgs,
    observer: &'a mut dyn Observer,
) -> NotingEnvironment<'a> {
    NotingEnvironment {
        run,
        device,
        observer,
    }
}

/// See [`noting_environment`].
pub(crate) struct NotingEnvironment<'a> {
    run: &'a Path,
    device: &'a DeviceArgs,
    observer: &'a mut dyn Observer,
}

impl Observer for NotingEnvironment<'_> {
    fn started(&mut self, progress: Progress) {
        // What cannot be written is no reason to stop training.
        if let Err(error) = write_environment(self.run, self.device) {
            self.observer.say(&format!("warning: {}", error.message));
        }
        self.observer.started(progress);
    }

    fn stepped(&mut self, report: &StepReport) {
        self.observer.stepped(report);
    }

    fn doing(&mut self, what: &'static str) {
        self.observer.doing(what);
    }

    fn say(&mut self, line: &str) {
        self.observer.say(line);
    }

    fn stop_requested(&self) -> bool {
        self.observer.stop_requested()
    }
}

/// Writes down when and how a run was started, and what it computes on and with. A run that goes on keeps when it was
/// started first. Of several processes the first does.
pub(crate) fn write_environment(run: &Path, device: &DeviceArgs) -> Result<(), Exit> {
    if !ranks::current().is_root() {
        return Ok(());
    }
    let path = run.join(ENVIRONMENT);
    let now = Utc::now().format("%Y-%m-%d %H:%M UTC").to_string();
    let before = read_environment(&path).remove("started");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut value = json!({
        "command": command(std::env::args()),
        "host": gethostname::gethostname().to_string_lossy(),
        "semaim": env!("CARGO_PKG_VERSION"),
        "system": std::env::consts::OS,
        "processor": std::env::consts::ARCH,
        "instructions": format!("{:?}", semaim_kernels::Cpu::get()).to_lowercase(),
        "cores": cores,
        "device": device.name,
        "kernels": format!("{:?}", kernels(&device.name)).to_lowercase(),
    });
    if let Some(first) = before {
        value["started"] = first;
        value["continued"] = json!(now);
    } else {
        value["started"] = json!(now);
    }
    atomic::write_bytes(&path, format!("{value:#}\n").as_bytes())
        .map_err(|error| Exit::user(format!("writing {}: {error}", path.display())))
}

/// What was typed, as a shell reads it.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "_-./=:,@%+".contains(letter);
    let quoted =
        arguments.map(
            |argument| match !argument.is_empty() && argument.chars().all(is_plain) {
                true => argument,
                false => format!("'{}'", argument.replace('\'', "'\\''")),
            },
        );
    quoted.collect::<Vec<_>>().join(" ")
}

fn read_environment(path: &Path) -> serde_json::Map<String, Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Adds an evaluation to the directory of a run that does not go on now, as [`record_at`] does.
pub(crate) fn record(run: &Path, evaluation: &Evaluation<'_>) {
    record_at(run, step_of(run), evaluation);
}

/// Adds an evaluation of what a run was after a `step` to its directory and builds its report anew. A file of weights has neither,
/// and what cannot be written is only warned of: the result was printed. The step is to be asked for ([`step_of`]) before the encoder is
/// read: the run may go on while it is measured.
pub(crate) fn record_at(run: &Path, step: Option<u64>, evaluation: &Evaluation<'_>) {
    if !run.join("config.toml").is_file() {
        return;
    }
    let warn = |error: &dyn std::fmt::Display| {
        eprintln!(
            "warning: the result is not in the report of {}: {error}",
            run.display()
        );
    };
    let added = evaluation_log::lock(run).and_then(|lock| {
        evaluation_log::add(run, step, evaluation)?;
        // The report is written before another evaluation is added, so that the last report has all of them.
        Ok(lock)
    });
    match added {
        Ok(_lock) => {
            if let Err(error) = write_page(run, &run.join(PAGE)) {
                warn(&error.message);
            }
        }
        Err(error) => warn(&error),
    }
}

/// Builds a run's report from what its directory holds.
///
/// # Errors
/// The file system.
pub(crate) fn write(run: &Path, out: Option<&Path>) -> Result<PathBuf, Exit> {
    let path = out.map_or_else(|| run.join(PAGE), Path::to_path_buf);
    // A file system without locks has reports all the same.
    let _lock = evaluation_log::lock(run);
    write_page(run, &path)?;
    Ok(path)
}

fn write_page(run: &Path, path: &Path) -> Result<(), Exit> {
    let html = page(run)?.html().map_err(Exit::ours)?;
    output::create_folder_of(path)
        .and_then(|()| atomic::write_bytes(path, html.as_bytes()))
        .map_err(|error| Exit::user(format!("writing {}: {error}", path.display())))
}

fn page(run: &Path) -> Result<Page, Exit> {
    let entries = read_metrics(&run.join("metrics.jsonl"))?;
    let read =
        |error: io::Error, path: &Path| Exit::user(format!("reading {}: {error}", path.display()));
    let config_path = run.join("config.toml");
    let config = fs::read_to_string(&config_path).map_err(|error| read(error, &config_path))?;
    let evaluations = evaluation_log::read(run).map_err(|error| read(error, run))?;
    let mut sections = origin_section(run)?;
    sections.push(Section {
        title: "Learning".into(),
        parts: vec![curves::charts(&entries)],
    });
    let orders = orders(run);
    if !orders.is_empty() {
        let settings = Layers::new().text("config.toml", &config);
        let settings: Option<PretrainConfig> = settings.and_then(|layers| layers.load()).ok();
        let title = settings
            .as_ref()
            .map_or("Orders", pictures::title_of_orders);
        sections.push(Section {
            title: title.into(),
            parts: vec![
                Part::Text(
                    "Some images (of the evaluation split, if there is one), the similarity of each patch to the whole image, the order of \
                     the patches, warm first, and what is predicted, as the picture says below."
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
    sections.extend(detection::sections(run));
    sections.extend(segmentation::sections(run));
    sections.push(Section {
        title: "Evaluations".into(),
        parts: evaluations_parts(&evaluations),
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
    // A run that was stopped has gone on since the last line of its log.
    let now = curves::last_step(&entries).max(step_of(run));
    let name = run
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    Ok(Page {
        title: name.unwrap_or_else(|| "Run".into()),
        subtitle: curves::progress(&entries, now),
        facts: curves::facts(&entries, now),
        sections,
    })
}

/// Where the run came from, where it did not start from nothing or was lengthened.
fn origin_section(run: &Path) -> Result<Vec<Section>, Exit> {
    let pairs = origin::pairs(run)?.into_iter();
    let facts: Vec<Fact> = pairs
        .map(|(name, value)| Fact {
            name: name.into(),
            value,
        })
        .collect();
    Ok(match facts.is_empty() {
        true => Vec::new(),
        false => vec![Section {
            title: "Origin".into(),
            parts: vec![Part::Pairs(facts)],
        }],
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
                caption: format!("after {}", counted(*step, "step")),
                png: read_picture(path)?,
                alt: format!("Orders after {}", counted(*step, "step")),
            })
        })
        .collect()
}

/// A table of accuracies, one of what detectors found and one of what segmenters say.
fn evaluations_parts(evaluations: &[Value]) -> Vec<Part> {
    if evaluations.is_empty() {
        return vec![Part::Text(
            "None yet. semaim knn, probe, finetune, detect and segment with --weights naming this folder add what they measure.".into(),
        )];
    }
    let accuracies = [
        ("top-1", "top1"),
        ("top-5", "top5"),
        ("chance (top-1)", "chance"),
    ];
    let objects = [
        ("box AP", "box_ap"),
        ("box AP50", "box_ap50"),
        ("mask AP", "mask_ap"),
        ("mask AP50", "mask_ap50"),
    ];
    let pixels = [
        ("mIoU", "mean_iou"),
        ("mean accuracy", "mean_accuracy"),
        ("pixel accuracy", "pixel_accuracy"),
    ];
    let tables = [&accuracies[..], &objects[..], &pixels[..]];
    tables
        .into_iter()
        .filter_map(|numbers| evaluations_part(evaluations, numbers))
        .collect()
}

/// The evaluations that have the first of some numbers, given with their names; `None` where there are none.
fn evaluations_part(evaluations: &[Value], numbers: &[(&str, &str)]) -> Option<Part> {
    let (_, first) = numbers.first()?;
    let text =
        |value: &Value, key: &str| Cell::Text(value[key].as_str().unwrap_or_default().to_string());
    let share = |value: &Value, key: &str| {
        let share = value[key].as_f64();
        Cell::Number(share.map_or_else(String::new, |share| format!("{:.2} %", 100.0 * share)))
    };
    let rows: Vec<Vec<Cell>> = evaluations
        .iter()
        .filter(|value| value[*first].is_number())
        .map(|value| {
            let texts = ["evaluation", "data", "setting"].map(|key| text(value, key));
            let step = value["step"].as_u64();
            let step = Cell::Number(step.map_or_else(String::new, |step| step.to_string()));
            let texts = texts.into_iter().chain([step]);
            let shares = numbers.iter().map(|(_, key)| share(value, key));
            texts.chain(shares).collect()
        })
        .collect();
    let header = ["evaluation", "images", "setting", "after steps"].into_iter();
    let header = header.chain(numbers.iter().map(|(name, _)| *name));
    (!rows.is_empty()).then(|| Part::Table {
        header: header.map(str::to_string).collect(),
        rows,
    })
}

/// When and how the run was started first, then what it computes on and with.
fn environment(run: &Path) -> Vec<Fact> {
    let mut environment = read_environment(&run.join(ENVIRONMENT));
    let first = ["started", "continued", "command", "host"];
    let first = first.map(|name| environment.remove_entry(name));
    let fact = |(name, value): (String, Value)| Fact {
        name,
        value: match value {
            Value::String(text) => text,
            other => other.to_string(),
        },
    };
    first
        .into_iter()
        .flatten()
        .chain(environment)
        .map(fact)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation_log::Worth;

    #[test]
    fn a_command_can_be_typed_again() {
        let words = ["semaim", "show", "--title", "it's 猫 & dog", "", "a=b"];
        let line = command(words.into_iter().map(str::to_string));
        assert_eq!(line, r"semaim show --title 'it'\''s 猫 & dog' '' a=b");
    }

    #[test]
    fn a_run_directory_that_cannot_be_written_is_told_and_keeps_what_it_has() {
        let run = tempfile::tempdir().unwrap();
        let evaluation = Evaluation {
            name: "kNN",
            data: "set",
            setting: String::new(),
            worth: Worth::Accuracy {
                top1: 0.5,
                top5: 1.0,
                classes: 2,
            },
        };
        // A file of weights has no log.
        record(run.path(), &evaluation);
        assert_eq!(fs::read_dir(run.path()).unwrap().count(), 0);
        fs::write(run.path().join("config.toml"), "").unwrap();
        record(run.path(), &evaluation);
        let page = fs::read_to_string(run.path().join(PAGE)).unwrap();
        assert!(page.contains("50.00 %") && page.contains("chance"));
        assert!(!page.contains("box AP"));
        let detector = Evaluation {
            worth: Worth::Objects {
                boxes: [0.125, 0.25],
                masks: None,
            },
            ..evaluation
        };
        record(run.path(), &detector);
        let page = fs::read_to_string(run.path().join(PAGE)).unwrap();
        assert!(page.contains("50.00 %") && page.contains("12.50 %") && page.contains("box AP"));
        // A folder cannot be opened as a file, whoever tries.
        fs::remove_file(run.path().join("evaluations.jsonl")).unwrap();
        fs::create_dir(run.path().join("evaluations.jsonl")).unwrap();
        record(run.path(), &detector);
        assert_eq!(fs::read_to_string(run.path().join(PAGE)).unwrap(), page);
    }
}
