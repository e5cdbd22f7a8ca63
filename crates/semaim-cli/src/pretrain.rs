//! `semaim pretrain`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use semaim_config::Layers;
use semaim_data::counted;
use semaim_eval::splits::{ImageSubset, LabeledSplits};
use semaim_eval::unreadable::Unreadable;
use semaim_train::callbacks::Observer;
use semaim_train::config::{OrderSource, PretrainConfig};
use semaim_train::log::{read_metrics, skipped_steps};
use semaim_train::pretrain::{Networks, pretrain, teacher, teacher_of_images, training_images};
use semaim_train::ranks;
use semaim_train::run_dir::RunDir;
use semaim_train::start::step_of;
use semaim_train::trainer::{RunOutcome, steps_per_epoch};
use serde_json::{Value, json};

use crate::args::{PretrainArgs, data_place};
use crate::bar::TrainingBar;
use crate::evaluations::{Evaluations, KNN_TOP1};
use crate::exit::Exit;
use crate::report::BadImages;
use crate::{device, dry_run, maps, origin, outcome, recipes, report, settings, start};

/// The recipe for those who name neither recipe, configuration nor images.
const QUICKSTART: &str = "quickstart";

pub(crate) fn run(args: &PretrainArgs) -> Result<ExitCode, Exit> {
    let usual = match args.data.is_empty() {
        true => QUICKSTART,
        false => "pretrain",
    };
    let out = settings::out_dir(
        args.out.as_deref(),
        args.recipe.as_deref(),
        &args.run,
        usual,
    );
    let (config, own) = load_config(args, &out)?;
    let maps = maps::of_other_images(&config);
    let others = config.run().rising_rate().into_iter().chain(maps);
    settings::warn(&config.unused(), &own, others)?;
    // A run that is there was begun with the figures that it has.
    if !out.join("config.toml").is_file() {
        config.data.check_measured(config.model.channels)?;
    }
    let device = args.device.open_to_train(config.train.precision)?;
    let images = training_images(&config)?;
    let source = images.images();
    let steps_per_epoch = steps_per_epoch(config.train.batch_size, source.len())?;
    let ranks = ranks::current();
    if ranks.count() > 1 && !config.teacher_cache.as_os_str().is_empty() {
        return Err(Exit::user("teacher_cache is for one process"));
    }
    if args.run.dry_run {
        let kernels = device::kernels(&args.device.name);
        let teacher = teacher(&config, &device)?;
        return dry_run::print(
            &config,
            teacher.as_ref().map(|teacher| teacher.vit.width()),
            &**source,
            steps_per_epoch,
            kernels,
            args.run.json,
        );
    }
    // Images with annotated objects have no classes, and a file of annotations is no folder of images to look for them in.
    let no_classes = config.order_source() == Some(OrderSource::Masks)
        && config.data.eval.is_empty()
        && (0..source.len()).any(|index| source.label(index).is_none());
    let labeled = match no_classes {
        true => None,
        false => LabeledSplits::of(&config.data, &config.open_options(), config.seed, source)
            .map_err(Exit::user)?,
    };
    let labeled = match labeled {
        None => None,
        Some(LabeledSplits { train, test }) => {
            // A run that is there goes on with the limits that it has.
            let has_begun = out.join("config.toml").is_file();
            let limited =
                |part: ImageSubset, limit, setting| match part.clone().thinned(limit, setting) {
                    Err(error) if has_begun => {
                        if ranks.is_root() {
                            eprintln!("warning: {error}, in a new run");
                        }
                        Ok(part.at_most(limit))
                    }
                    limited => limited.map_err(Exit::user),
                };
            Some(LabeledSplits {
                train: limited(train, config.eval.max_bank, "eval.max_bank")?,
                test: limited(test, config.eval.max_queries, "eval.max_queries")?,
            })
        }
    };
    let run = RunDir::open(&out, &config, data_place(args.run.data_moved))?;
    let pictures = match &labeled {
        Some(sets) => sets.test.clone(),
        None => ImageSubset {
            items: (0..source.len() as u64).collect(),
            source: Arc::clone(source),
        },
    };
    let pictures = match config.eval.pictures {
        0 => ImageSubset {
            items: Vec::new(),
            ..pictures
        },
        count => pictures.at_most(count),
    };
    let has_labels = labeled.is_some();
    let networks = Networks::read(&config, &run, &device)?;
    let teacher_channels = networks
        .teacher
        .as_ref()
        .map_or(1, |teacher| teacher.config.channels);
    let mut evaluations = Evaluations {
        config: &config,
        run: &run,
        device: &device,
        labeled,
        pictures,
        // The same weights, not a second copy of them.
        teacher: networks
            .teacher
            .clone()
            .map(|teacher| teacher_of_images(&config, teacher, &device)),
        unreadable: Unreadable::of(&run),
    };
    let mut bar = TrainingBar::new(args.run.json)?;
    bar.say(&format!("{}; into {}", source.describe(), out.display()));
    if ranks.count() > 1 {
        bar.say(&format!(
            "{} processes, each batch in {} parts",
            ranks.count(),
            config.train.grad_accum_steps
        ));
    }
    if !has_labels {
        bar.say("no labels, so no kNN; --eval-data names labeled images");
    }
    if config.model.channels == 1 && teacher_channels > 1 {
        bar.say(&format!(
            "gray images: each of the teacher's {teacher_channels} channels is shown the same"
        ));
    }
    for line in origin::lines(run.path(), &config)? {
        bar.say(&line);
    }
    let start = Instant::now();
    let outcome = pretrain(
        &config,
        Arc::clone(&images),
        &run,
        networks,
        &device,
        &mut report::noting_environment(run.path(), &args.device, &mut bar),
        &mut evaluations,
    )?;
    if !ranks.is_root() {
        return Ok(outcome::code(outcome));
    }
    report::write(run.path(), None)?;
    let summary = Summary::of(&run, start.elapsed().as_secs_f64())?;
    if args.run.json {
        println!("{}", summary.json(&run, outcome));
    } else {
        summary.print(&run, outcome);
    }
    Ok(outcome::code(outcome))
}

/// Defaults, recipe, file, `--set`, then the options that stand for a setting; beside the configuration what file and `--set` say.
fn load_config(args: &PretrainArgs, out: &Path) -> Result<(PretrainConfig, Layers), Exit> {
    // Without images of one's own there is one experiment to start with.
    let nothing_named = args.data.is_empty() && args.run.config.is_none();
    let recipe = args
        .recipe
        .as_deref()
        .or(nothing_named.then_some(QUICKSTART));
    let recipe = recipes::layers(recipe, "pretrain")?;
    let own = settings::own(&args.run)?;
    let mut options = settings::encoder(args.init.as_deref(), &args.layout);
    options.extend([
        ("data.path", settings::data_names(&args.data)),
        ("data.eval", settings::data_names(&args.eval_data)),
    ]);
    options.extend(settings::of_run(&args.run));
    let selection = args.selection.settings("data");
    let layers = settings::with_options(recipe.under(&own), &args.run.set, &options)?;
    let layers = settings::with_options(layers, &args.run.set, &selection)?;
    let config = start::settings(&layers, out, args.extend)?;
    let option = args.layout.given().filter(|_| !config.encoder.is_named());
    match option {
        None => Ok((config, own)),
        Some(option) => Err(Exit::user(format!(
            "{option} says how the weights of --init are read, and there are none"
        ))),
    }
}

/// What a run came to, from its log and its checkpoints.
struct Summary {
    seconds: f64,
    /// Steps taken: the last that the log or a checkpoint is of.
    steps: Option<u64>,
    /// First and last finite loss.
    loss: Option<(f64, f64)>,
    /// The step of the last finite loss, where later ones are not finite.
    finite_until: Option<u64>,
    /// Steps that changed nothing, for their loss or gradient was not finite.
    skipped_steps: u64,
    /// kNN before training.
    knn_before: Option<f64>,
    /// The last kNN since then, with its step.
    knn: Option<(u64, f64)>,
    /// Images to train on that could not be read.
    bad: BadImages,
}

impl Summary {
    fn of(run: &RunDir, seconds: f64) -> Result<Self, Exit> {
        let entries = read_metrics(&run.metrics())?;
        let values = |name: &str| -> Vec<(u64, f64)> {
            let value =
                |entry: &Value| Some((entry.get("step")?.as_u64()?, entry.get(name)?.as_f64()?));
            entries.iter().filter_map(value).collect()
        };
        let losses = values("train/loss");
        let knn = values(KNN_TOP1);
        let logged = entries
            .iter()
            .filter(|entry| entry.get("train/loss").is_some());
        let logged = logged.filter_map(|entry| entry.get("step")?.as_u64()).max();
        let finite = losses.last().map(|last| last.0);
        let last = entries
            .iter()
            .filter_map(|entry| entry.get("step")?.as_u64());
        // What is measured first in the middle of a run is not of its beginning.
        let before = knn.iter().find(|(step, _)| *step == 0);
        Ok(Self {
            seconds,
            // A run that was stopped was saved later than at its last line.
            steps: last.max().max(step_of(run.path())),
            loss: losses.first().zip(losses.last()).map(|(a, b)| (a.1, b.1)),
            knn_before: before.map(|(_, accuracy)| *accuracy),
            knn: knn.iter().rfind(|(step, _)| *step > 0).copied(),
            finite_until: finite.filter(|&finite| logged.is_some_and(|logged| logged > finite)),
            skipped_steps: skipped_steps(&entries) as u64,
            bad: BadImages::of(&entries),
        })
    }

    fn print(&self, run: &RunDir, outcome: RunOutcome) {
        outcome::print(outcome, self.seconds);
        if let Some((first, last)) = self.loss {
            let since = match self.finite_until {
                Some(step) => format!(" at step {step}, not finite since"),
                None => String::new(),
            };
            println!("loss       {first:.4} -> {last:.4}{since}");
        }
        if self.skipped_steps > 0 {
            println!(
                "skipped    {}, whose loss or gradient was not finite",
                counted(self.skipped_steps, "step")
            );
        }
        if let Some(knn) = self.knn_in_words() {
            println!("kNN top-1  {knn}");
        }
        if let Some(bad) = self.bad.in_words() {
            println!("left out   {bad}; named in {}", run.metrics().display());
        }
        println!("encoder    {}", run.encoder().display());
        let orders = run.path().join("orders.png");
        if orders.exists() {
            println!("orders     {}", orders.display());
        }
        println!("report     {}", run.path().join(report::PAGE).display());
    }

    /// kNN before and since, as far as it was measured.
    fn knn_in_words(&self) -> Option<String> {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let since = self.knn.map(|(step, accuracy)| {
            let when = match self.steps {
                Some(now) if now > step => format!("at step {step}"),
                _ => "now".to_string(),
            };
            format!("{} {when}", percent(accuracy))
        });
        match (self.knn_before.map(percent), since) {
            (Some(before), Some(since)) => Some(format!("{before} before -> {since}")),
            (Some(before), None) => Some(format!("{before} before, not measured since")),
            (None, since) => since,
        }
    }

    fn json(&self, run: &RunDir, outcome: RunOutcome) -> Value {
        json!({
            "ending": outcome::name(outcome),
            "run": run.path(),
            "encoder": run.encoder(),
            "seconds": self.seconds,
            "steps": self.steps,
            "loss_first": self.loss.map(|loss| loss.0),
            "loss_last": self.loss.map(|loss| loss.1).filter(|_| self.finite_until.is_none()),
            "knn_top1_before": self.knn_before,
            "knn_top1": self.knn.map(|knn| knn.1),
            "knn_top1_step": self.knn.map(|knn| knn.0),
            "skipped_steps": self.skipped_steps,
            "bad_images_distinct": self.bad.distinct,
            "bad_images_times": self.bad.times,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use semaim_train::run_dir::DataPlace;

    use super::*;

    /// A run directory with a log and a checkpoint of each of `steps`.
    fn run_of(path: &Path, log: &[Value], steps: &[u64]) -> RunDir {
        let run = RunDir::open(path, &PretrainConfig::default(), DataPlace::Recorded).unwrap();
        let lines: String = log.iter().map(|line| format!("{line}\n")).collect();
        fs::write(run.metrics(), lines).unwrap();
        for step in steps {
            fs::write(run.checkpoint(*step), "").unwrap();
        }
        run
    }

    #[test]
    fn a_summary_says_of_what_time_its_numbers_are() {
        let folder = tempfile::tempdir().unwrap();
        let knn = |step: u64, top1: f64| json!({"step": step, "epoch": 0.0, KNN_TOP1: top1});
        let loss = json!({"step": 50, "epoch": 1.0, "train/loss": 0.5});
        let summary = |name: &str, log: &[Value], steps: &[u64]| {
            let run = run_of(&folder.path().join(name), log, steps);
            let summary = Summary::of(&run, 1.0).unwrap();
            let json = summary.json(&run, RunOutcome::Stopped);
            (summary.knn_in_words(), json)
        };
        // Stopped before the first line of the log was due.
        let (said, json) = summary("early", &[knn(0, 0.25)], &[200, 272]);
        assert_eq!(said.as_deref(), Some("25.0 % before, not measured since"));
        assert_eq!(
            (&json["steps"], &json["knn_top1_before"]),
            (&json!(272), &json!(0.25))
        );
        // Labels came when the run had gone on for a while.
        let log = [loss.clone(), knn(50, 0.5)];
        let (said, json) = summary("late", &log, &[50]);
        assert_eq!(said.as_deref(), Some("50.0 % now"));
        assert_eq!(
            (&json["knn_top1_before"], &json["knn_top1"]),
            (&Value::Null, &json!(0.5))
        );
        let (said, _) = summary("later", &log, &[60]);
        assert_eq!(said.as_deref(), Some("50.0 % at step 50"));
        let (said, json) = summary("whole", &[knn(0, 0.25), loss, knn(50, 0.5)], &[40]);
        assert_eq!(said.as_deref(), Some("25.0 % before -> 50.0 % now"));
        assert_eq!(
            (&json["steps"], &json["knn_top1_step"]),
            (&json!(50), &json!(50))
        );
    }

    #[test]
    fn a_summary_counts_images_that_could_not_be_read_and_how_often() {
        let folder = tempfile::tempdir().unwrap();
        let bad = |step: u64| json!({"step": step, "event": "bad_image", "image": "a.jpg"});
        let run = run_of(&folder.path().join("run"), &[bad(1), bad(2), bad(2)], &[]);
        let json = Summary::of(&run, 1.0)
            .unwrap()
            .json(&run, RunOutcome::Finished);
        let counts = ["bad_images_distinct", "bad_images_times"].map(|name| json[name].as_u64());
        assert_eq!(counts, [Some(1), Some(3)]);
    }
}
