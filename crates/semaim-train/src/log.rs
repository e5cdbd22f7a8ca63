//! `metrics.jsonl`, `metrics.csv` and TensorBoard events.

mod metrics_csv;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use semaim_checkpoint::atomic;
use semaim_tensorboard::EventWriter;
use serde_json::{Map, Value, json};

use crate::error::TrainError;
use crate::run_dir::RunDir;
use metrics_csv::MetricsCsv;

/// The name of the mean loss since the line before, which every line about steps has.
pub(crate) const LOSS: &str = "train/loss";

/// Where a run that goes on stands in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// Steps done; entries of later ones were written before a crash.
    pub step: u64,
    /// The step of the last line about steps; a later one told where the run stopped.
    pub line: u64,
}

/// The log of a run, on the disk after every entry.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
    /// None: nothing is written.
    files: Option<Files>,
    events: Option<EventWriter>,
}

/// What is open.
#[derive(Debug)]
struct Files {
    metrics: File,
    csv: MetricsCsv,
}

impl RunLog {
    /// Opens the log of a run that goes on from a position, or of a new one. Entries of later steps, written before a crash, are
    /// removed: those steps are taken again. So is the line of a stop, whose steps are part of the next line.
    ///
    /// # Errors
    /// The file system.
    pub fn open(
        run: &RunDir,
        resumed: Option<LogPosition>,
        tensorboard: bool,
    ) -> Result<Self, TrainError> {
        let path = run.metrics();
        truncate(&path, resumed).map_err(|source| io("rewriting", &path, source))?;
        let metrics = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|source| io("opening", &path, source))?;
        let table = path.with_extension("csv");
        let csv = MetricsCsv::of(&table, &read_metrics(&path)?)
            .map_err(|source| io("writing", &table, source))?;
        let events = if tensorboard {
            let has_begun = has_events(run.path());
            let mut events = EventWriter::create(run.path())?;
            match resumed {
                Some(LogPosition { step, .. }) => events.resumed_at(step + 1)?,
                // Killed before its first checkpoint: all that it logged is logged again.
                None if has_begun => events.resumed_at(0)?,
                None => {}
            }
            Some(events)
        } else {
            None
        };
        Ok(Self {
            path,
            files: Some(Files { metrics, csv }),
            events,
        })
    }

    /// The log of a process that leaves writing to another.
    pub fn silent(run: &RunDir) -> Self {
        Self {
            path: run.metrics(),
            files: None,
            events: None,
        }
    }

    /// Writes numbers of a step under their names; those that are not finite are `null` in the JSON.
    ///
    /// # Errors
    /// The file system.
    pub fn scalars(
        &mut self,
        step: u64,
        epoch: f64,
        scalars: &[(&str, f64)],
    ) -> Result<(), TrainError> {
        self.row(numbers(step, epoch, scalars))?;
        if let Some(events) = &mut self.events {
            for (name, value) in scalars {
                events.scalar(step, name, *value as f32)?;
            }
            events.flush()?;
        }
        Ok(())
    }

    /// Writes the numbers of a run that stops between two lines about steps. They are taken back when it goes on; TensorBoard, from
    /// which nothing can be taken back without what was evaluated since, does not get them.
    ///
    /// # Errors
    /// The file system.
    pub(crate) fn stop(
        &mut self,
        step: u64,
        epoch: f64,
        scalars: &[(&str, f64)],
    ) -> Result<(), TrainError> {
        self.row(numbers(step, epoch, scalars))
    }

    /// Writes numbers to the log and to its table, which is made anew where it has no column for one of them.
    fn row(&mut self, line: Map<String, Value>) -> Result<(), TrainError> {
        let Some(Files { csv, .. }) = &mut self.files else {
            return Ok(());
        };
        let table = csv.path().to_path_buf();
        let failed = |source| io("writing", &table, source);
        let fits = csv.add(&line).map_err(failed)?;
        self.line(&Value::Object(line))?;
        if let (false, Some(Files { csv, .. })) = (fits, &mut self.files) {
            *csv = MetricsCsv::of(&table, &read_metrics(&self.path)?).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes something that happened at a step, with `details` (a JSON object).
    ///
    /// # Errors
    /// The file system.
    pub fn event(&mut self, step: u64, event: &str, details: Value) -> Result<(), TrainError> {
        let mut line = Map::new();
        line.insert("step".into(), json!(step));
        line.insert("event".into(), json!(event));
        if let Value::Object(details) = details {
            line.extend(details);
        }
        self.line(&Value::Object(line))
    }

    /// Writes a PNG picture to TensorBoard.
    ///
    /// # Errors
    /// The file system, or bytes that are no PNG.
    pub fn picture(&mut self, step: u64, tag: &str, png: &[u8]) -> Result<(), TrainError> {
        if let Some(events) = &mut self.events {
            events.image(step, tag, png)?;
            events.flush()?;
        }
        Ok(())
    }

    /// In one write: who reads along, `tail -f` or a dashboard, sees whole lines.
    fn line(&mut self, line: &Value) -> Result<(), TrainError> {
        let Some(Files { metrics, .. }) = &mut self.files else {
            return Ok(());
        };
        let line = format!("{line}\n");
        metrics
            .write_all(line.as_bytes())
            .map_err(|source| io("writing", &self.path, source))
    }
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> TrainError {
    TrainError::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}

/// An entry of numbers.
fn numbers(step: u64, epoch: f64, scalars: &[(&str, f64)]) -> Map<String, Value> {
    let mut line = Map::new();
    line.insert("step".into(), json!(step));
    line.insert("epoch".into(), json!(epoch));
    let scalars = scalars.iter();
    line.extend(scalars.map(|(name, value)| ((*name).to_string(), json!(value))));
    line
}

/// Whether a folder holds event files, by what TensorBoard takes for one.
fn has_events(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().contains("tfevents"))
}

/// All entries of a run's `metrics.jsonl`; a line that a crash cut short is left out.
///
/// # Errors
/// The file system.
pub fn read_metrics(path: &Path) -> Result<Vec<Value>, TrainError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(io("reading", path, source)),
    };
    let mut entries = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|source| io("reading", path, source))?;
        entries.extend(serde_json::from_str(&line));
    }
    Ok(entries)
}

/// How many steps the entries of a log say were skipped.
pub fn skipped_steps(entries: &[Value]) -> usize {
    let is_skipped = |entry: &&Value| entry["event"] == "step_skipped";
    entries.iter().filter(is_skipped).count()
}

/// Keeps only whole lines of what a run that goes on has behind it, none of one that begins.
fn truncate(path: &Path, resumed: Option<LogPosition>) -> std::io::Result<()> {
    let before = match fs::read(path) {
        Ok(before) => before,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut kept = Vec::with_capacity(before.len());
    for line in before.split_inclusive(|&byte| byte == b'\n') {
        let entry: Option<Value> = serde_json::from_slice(line).ok();
        let is_behind = |at: LogPosition| {
            let entry = entry.as_ref()?;
            let step = entry.get("step")?.as_u64()?;
            let of_a_stop = step > at.line && entry.get(LOSS).is_some();
            Some(step <= at.step && !of_a_stop)
        };
        if line.ends_with(b"\n") && resumed.and_then(is_behind) == Some(true) {
            kept.extend_from_slice(line);
        }
    }
    if kept == before {
        Ok(())
    } else {
        atomic::write_bytes(path, &kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PretrainConfig;
    use crate::run_dir::DataPlace;

    const AFTER_ONE: LogPosition = LogPosition { step: 1, line: 1 };

    #[test]
    fn the_table_has_what_the_log_has_however_often_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let run = RunDir::open(&path, &PretrainConfig::default(), DataPlace::Recorded).unwrap();
        let table = || fs::read_to_string(path.join("metrics.csv")).unwrap();
        let mut log = RunLog::open(&run, None, false).unwrap();
        assert_eq!(table(), "step,epoch\n");
        log.scalars(1, 0.5, &[("loss", 2.0), ("norm", f64::NAN)])
            .unwrap();
        log.event(1, "bad_image", json!({"image": "a,b"})).unwrap();
        log.scalars(1, 0.5, &[("knn", 0.25)]).unwrap();
        log.scalars(2, 1.0, &[("loss", 1.0 / 3.0), ("norm", 3.0)])
            .unwrap();
        let after_two =
            "step,epoch,loss,norm,knn\n1,0.5,2.0,,\n1,0.5,,,0.25\n2,1.0,0.333333333,3.0,\n";
        assert_eq!(table(), after_two);
        drop(log);
        // Step 2 is taken again, and a kill left half a line.
        fs::write(path.join("metrics.csv"), "step,epo").unwrap();
        let mut log = RunLog::open(&run, Some(AFTER_ONE), false).unwrap();
        assert!(table().ends_with("\n1,0.5,,,0.25\n"), "{}", table());
        log.scalars(2, 1.0, &[("loss", 1.0 / 3.0), ("norm", 3.0)])
            .unwrap();
        assert_eq!(table(), after_two);
        drop(log);
        RunLog::open(&run, None, false).unwrap();
        assert_eq!(table(), "step,epoch\n");
    }

    #[test]
    fn entries_after_the_checkpoint_and_half_lines_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        fs::write(
            &path,
            "{\"step\":1,\"loss\":2}\n{\"step\":3,\"loss\":1}\n{\"step\":2}\n{\"step\":1,\"lo",
        )
        .unwrap();
        let at = LogPosition { step: 2, line: 2 };
        truncate(&path, Some(at)).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "{\"step\":1,\"loss\":2}\n{\"step\":2}\n"
        );
        assert_eq!(read_metrics(&path).unwrap().len(), 2);
        truncate(&path, None).unwrap();
        assert!(read_metrics(&path).unwrap().is_empty());
        assert!(
            read_metrics(&folder.path().join("none"))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn the_line_of_a_stop_is_taken_back_when_the_run_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let run = RunDir::open(&path, &PretrainConfig::default(), DataPlace::Recorded).unwrap();
        let steps = || -> Vec<(u64, bool)> {
            let entries = read_metrics(&run.metrics()).unwrap().into_iter();
            entries
                .map(|entry| (entry["step"].as_u64().unwrap(), entry.get(LOSS).is_some()))
                .collect()
        };
        let mut log = RunLog::open(&run, None, false).unwrap();
        log.scalars(10, 1.0, &[(LOSS, 2.0)]).unwrap();
        log.scalars(12, 1.2, &[("eval/top1", 0.5)]).unwrap();
        log.event(12, "bad_image", json!({})).unwrap();
        log.stop(12, 1.2, &[(LOSS, 1.5)]).unwrap();
        assert_eq!(steps(), [(10, true), (12, false), (12, false), (12, true)]);
        drop(log);
        let at = LogPosition { step: 12, line: 10 };
        RunLog::open(&run, Some(at), false).unwrap();
        assert_eq!(steps(), [(10, true), (12, false), (12, false)]);
        let table = fs::read_to_string(path.join("metrics.csv")).unwrap();
        assert_eq!(table.lines().count(), 3, "{table}");
    }

    /// What stands after the time in each event of the newest event file.
    fn newest_events(run: &Path) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(run).unwrap();
        let names = entries.map(|entry| entry.unwrap().path());
        let newest = names.filter(|path| path.to_string_lossy().contains("tfevents"));
        let bytes = fs::read(newest.max().unwrap()).unwrap();
        let (mut rest, mut events) = (bytes.as_slice(), Vec::new());
        while let Some((length, record)) = rest.split_first_chunk::<8>() {
            let length = u64::from_le_bytes(*length) as usize;
            // Checksums stand before and after the message, the time (a tag and eight bytes) first in it.
            events.push(record[4 + 9..4 + length].to_vec());
            rest = &record[4 + length + 4..];
        }
        events
    }

    #[test]
    fn tensorboard_forgets_what_a_run_logged_that_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let run = RunDir::open(&path, &PretrainConfig::default(), DataPlace::Recorded).unwrap();
        // The session begins at a step: none is written for 0.
        let start = [0x3A_u8, 2, 0x08, 1];
        let at_two = [&[0x10_u8, 2][..], &start].concat();
        let starts = |start: &[u8]| {
            let events = newest_events(&path).into_iter();
            events.filter(|event| event == start).count()
        };
        drop(RunLog::open(&run, None, true).unwrap());
        assert_eq!(starts(&start), 0);
        drop(RunLog::open(&run, None, true).unwrap());
        assert_eq!(starts(&start), 2);
        drop(RunLog::open(&run, Some(AFTER_ONE), true).unwrap());
        assert_eq!((starts(&start), starts(&at_two)), (0, 2));
    }
}
