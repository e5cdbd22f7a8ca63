//! What was measured of a run's encoder, kept in its directory for the report.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use semaim::representation::Representation;
use serde_json::{Value, json};

use crate::args::EncoderArgs;
use crate::report;

/// The file of evaluations in a run directory, one JSON object per line.
const FILE: &str = "evaluations.jsonl";

/// An accuracy that was measured.
pub(crate) struct Evaluation<'a> {
    pub(crate) name: &'static str,
    /// The images, as named on the command line.
    pub(crate) data: &'a str,
    pub(crate) setting: String,
    pub(crate) top1: f64,
    pub(crate) top5: f64,
}

/// What an evaluation depends on, for people to read.
pub(crate) fn setting(first: &str, feature: Representation, encoder: &EncoderArgs) -> String {
    let feature = format!("{feature:?}").to_lowercase();
    match encoder.image_size {
        None => format!("{first}, {feature}"),
        Some([height, width]) => format!("{first}, {feature}, {height} x {width} px"),
    }
}

/// Adds an evaluation to a run directory and builds its report anew. A file of weights keeps nothing, and what cannot
/// be kept is only warned of: the result was printed.
pub(crate) fn keep(run: &Path, evaluation: &Evaluation<'_>) {
    if !run.join("config.toml").is_file() {
        return;
    }
    let line = json!({
        "evaluation": evaluation.name,
        "data": evaluation.data,
        "setting": evaluation.setting,
        "top1": evaluation.top1,
        "top5": evaluation.top5,
    });
    let kept = all(run).contains(&line) || append(run, &line).is_ok();
    if !kept || report::write(run, None).is_err() {
        eprintln!("warning: {} does not keep the result", run.display());
    }
}

fn append(run: &Path, line: &Value) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(run.join(FILE))?;
    writeln!(file, "{line}")
}

/// The evaluations of a run directory, in the order in which they were made; lines that are damaged are left out.
pub(crate) fn all(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join(FILE)).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}
