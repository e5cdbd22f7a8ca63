//! Evaluation images that cannot be read: each is named once, and counted every time.

use std::collections::BTreeSet;
use std::path::PathBuf;

use semaim_data::{BadImage, counted};
use semaim_train::callbacks::Observer;
use semaim_train::error::TrainError;
use semaim_train::log::{RunLog, read_metrics};
use semaim_train::run_dir::RunDir;
use serde_json::{Value, json};

/// The most that are named on the screen; the log has all.
const NAMED: usize = 5;

/// The images that the evaluations of a run could not read so far.
#[derive(Clone, Debug, Default)]
pub struct Unreadable {
    /// Those that this process has met.
    items: BTreeSet<(String, u64)>,
    /// The log of the run, until what it names was looked up.
    log: Option<PathBuf>,
    /// Names of those that the log had before.
    logged: BTreeSet<String>,
}

impl Unreadable {
    /// None yet, of a run that may go on: what its log names is not logged again.
    pub fn of(run: &RunDir) -> Self {
        Self {
            log: Some(run.metrics()),
            ..Self::default()
        }
    }

    /// Takes those of an evaluation. Of what this process had not met before the first are said on the screen, and all go into the
    /// log, except those that it has from before the run went on.
    ///
    /// # Errors
    /// The log cannot be read or written.
    pub fn note(
        &mut self,
        bad: &[BadImage],
        step: u64,
        log: &mut RunLog,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let new = self.new_of(bad);
        // Not earlier: when the run goes on, entries of steps that are taken again leave the log.
        if !new.is_empty()
            && let Some(before) = self.log.take()
        {
            self.logged = named_in(&read_metrics(&before)?);
        }
        for image in &new {
            if self.logged.contains(&image.name) {
                continue;
            }
            let details = json!({"image": image.name, "error": image.error, "evaluation": true});
            log.event(step, "bad_image", details)?;
        }
        if let Some(text) = said(&new) {
            observer.say(&text);
        }
        Ok(())
    }

    /// Those that had not been met before.
    fn new_of<'a>(&mut self, bad: &'a [BadImage]) -> Vec<&'a BadImage> {
        let is_new = |image: &&BadImage| self.items.insert((image.name.clone(), image.item));
        bad.iter().filter(is_new).collect()
    }
}

/// The images that the entries of a log say an evaluation could not read.
fn named_in(entries: &[Value]) -> BTreeSet<String> {
    let is_bad = |entry: &&Value| entry["event"] == "bad_image" && entry["evaluation"] == true;
    let names = entries.iter().filter(is_bad);
    let names = names.filter_map(|entry| Some(entry["image"].as_str()?.to_owned()));
    names.collect()
}

/// What is said of images that could not be read for an evaluation; nothing where there are none.
pub fn said(bad: &[&BadImage]) -> Option<String> {
    let named = bad.iter().take(NAMED);
    let named: Vec<String> = named
        .map(|bad| format!("{}: {}", bad.name, bad.error))
        .collect();
    let more = match bad.len() - named.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    (!bad.is_empty()).then(|| {
        let count = counted(bad.len(), "image");
        format!(
            "warning: {count} left out of the evaluation, which cannot be read: {}{more}",
            named.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use semaim_train::callbacks::{Progress, StepReport};
    use semaim_train::config::PretrainConfig;
    use semaim_train::log::LogPosition;
    use semaim_train::run_dir::DataPlace;

    use super::*;

    /// Keeps what is said.
    #[derive(Default)]
    struct Said(Vec<String>);

    impl Observer for Said {
        fn started(&mut self, _: Progress) {}

        fn stepped(&mut self, _: &StepReport) {}

        fn doing(&mut self, _: &'static str) {}

        fn say(&mut self, line: &str) {
            self.0.push(line.to_owned());
        }

        fn stop_requested(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_run_that_goes_on_logs_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let run = RunDir::open(&path, &PretrainConfig::default(), DataPlace::Recorded).unwrap();
        // A process that starts after so many steps, and what it has said after evaluations that could not read some items.
        let process = |after: Option<u64>, evaluations: &[(u64, &[u64])]| {
            let mut unreadable = Unreadable::of(&run);
            let at = after.map(|step| LogPosition { step, line: step });
            let mut log = RunLog::open(&run, at, false).unwrap();
            let mut said = Said::default();
            for &(step, items) in evaluations {
                let images: Vec<BadImage> = items.iter().copied().map(bad).collect();
                unreadable.note(&images, step, &mut log, &mut said).unwrap();
            }
            said.0
        };
        let logged = || {
            let entries = read_metrics(&run.metrics()).unwrap();
            let entry = |entry: &Value| (entry["step"].as_u64(), entry["image"].clone());
            entries.iter().map(entry).collect::<Vec<_>>()
        };
        let of = |step: u64, item: u64| (Some(step), json!(format!("{item}.jpg")));
        process(None, &[(0, &[1]), (10, &[1, 2])]);
        assert_eq!(logged(), [of(0, 1), of(10, 2)]);
        // After its checkpoint of step 5 the run goes on: what is known is said again, and not logged again.
        let said = process(Some(5), &[(7, &[]), (10, &[1, 2]), (20, &[1, 2, 3])]);
        assert_eq!(logged(), [of(0, 1), of(10, 2), of(20, 3)]);
        assert!(said.len() == 2 && said[0].contains("1.jpg"), "{said:?}");
        process(Some(20), &[(30, &[1, 2, 3])]);
        assert_eq!(logged(), [of(0, 1), of(10, 2), of(20, 3)]);
    }

    fn bad(item: u64) -> BadImage {
        BadImage {
            item,
            name: format!("{item}.jpg"),
            error: "empty".into(),
        }
    }

    #[test]
    fn each_is_named_once() {
        let mut unreadable = Unreadable::default();
        let first: Vec<BadImage> = [3, 1].map(bad).into();
        assert_eq!(unreadable.new_of(&first).len(), 2);
        let second: Vec<BadImage> = [1, 2, 3].map(bad).into();
        let new = unreadable.new_of(&second);
        assert_eq!(new, [&bad(2)]);
        let text = said(&new).unwrap();
        assert!(
            text.contains("1 image left out") && text.contains("2.jpg: empty"),
            "{text}"
        );
        assert_eq!(said(&[]), None);
        let many: Vec<BadImage> = (0..9).map(bad).collect();
        let many: Vec<&BadImage> = many.iter().collect();
        let text = said(&many).unwrap();
        assert!(
            text.contains("9 images") && text.ends_with("; and 4 more"),
            "{text}"
        );
    }
}
