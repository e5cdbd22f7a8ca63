//! The evaluations of a run's encoder, in its directory: one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use semaim::representation::Representation;
use semaim_data::{counted, same_sets};
use semaim_train::config::RunSettings;
use serde_json::{Value, json};

use crate::args::EncoderArgs;

/// The file in a run directory.
const FILE: &str = "evaluations.jsonl";

/// What was measured of an encoder, or of a model on it.
pub(crate) struct Evaluation<'a> {
    pub(crate) name: &'static str,
    /// The images, as named on the command line: see [`images`].
    pub(crate) data: &'a str,
    pub(crate) setting: String,
    pub(crate) worth: Worth,
}

/// The numbers of an evaluation, each a share of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Worth {
    /// Of a classifier.
    Accuracy {
        top1: f64,
        top5: f64,
        /// How many classes there are, of which chance takes the right one in one of so many cases.
        classes: usize,
    },
    /// Of a detector: AP and AP50 of boxes, and of masks where they were scored.
    Objects {
        boxes: [f64; 2],
        masks: Option<[f64; 2]>,
    },
    /// Of a segmenter.
    Pixels {
        mean_iou: f64,
        mean_accuracy: f64,
        pixel_accuracy: f64,
    },
}

impl Evaluation<'_> {
    fn line(&self) -> Value {
        let mut line = json!({
            "evaluation": self.name,
            "data": self.data,
            "setting": self.setting,
        });
        match self.worth {
            Worth::Accuracy {
                top1,
                top5,
                classes,
            } => {
                line["top1"] = json!(top1);
                line["top5"] = json!(top5);
                line["chance"] = json!(1.0 / classes.max(1) as f64);
            }
            Worth::Objects { boxes, masks } => {
                let kinds = [("box", Some(boxes)), ("mask", masks)];
                for (kind, numbers) in kinds {
                    if let Some([ap, ap50]) = numbers {
                        line[format!("{kind}_ap")] = json!(ap);
                        line[format!("{kind}_ap50")] = json!(ap50);
                    }
                }
            }
            Worth::Pixels {
                mean_iou,
                mean_accuracy,
                pixel_accuracy,
            } => {
                line["mean_iou"] = json!(mean_iou);
                line["mean_accuracy"] = json!(mean_accuracy);
                line["pixel_accuracy"] = json!(pixel_accuracy);
            }
        }
        line
    }
}

/// The numbers that a line of each kind has.
const NUMBERS: [&[&str]; 3] = [
    &["top1", "top5"],
    &["box_ap", "box_ap50"],
    &["mean_iou", "pixel_accuracy"],
];

/// What an evaluation depends on, for people to read.
pub(crate) fn setting(first: &str, feature: Representation, encoder: &EncoderArgs) -> String {
    let feature = format!("{feature:?}").to_lowercase();
    match encoder.image_size {
        None => format!("{first}, {feature}"),
        Some([height, width]) => format!("{first}, {feature}, {height} x {width} px"),
    }
}

/// The images of a detector's or a segmenter's run, given the sets that are trained and evaluated on with what else names each: the
/// first of its files and folders of labels that is given. A set to evaluate on that is the one that is trained on is none of its own.
pub(crate) fn annotated_images(
    [path, eval]: [&str; 2],
    [files, eval_files]: [&[&Path]; 2],
) -> String {
    let eval = match same_sets(&[eval], &[path]) {
        true => "",
        false => eval,
    };
    images(&named(path, files), &named(eval, eval_files))
}

/// What names a set: the first of the files and folders of labels that is given, or else the set as a whole.
fn named(set: &str, files: &[&Path]) -> String {
    let file = files.iter().find(|file| !file.as_os_str().is_empty());
    file.map_or_else(|| set.to_string(), |file| file.display().to_string())
}

/// The images of a run: those that it is trained on and, where they are named for themselves, those that it is evaluated on.
pub(crate) fn images(trained: &str, evaluated: &str) -> String {
    match evaluated {
        "" => trained.to_string(),
        evaluated => format!("{trained}, evaluated on {evaluated}"),
    }
}

/// How a network on an encoder was trained: for how long, in what batches and at what rate, and, where that is not as usual, what of the
/// encoder stayed as it was, and by which seed.
pub(crate) fn training(freeze: bool, run: &RunSettings<'_>, epochs: f64) -> String {
    let RunSettings {
        seed,
        train,
        optimizer,
        ..
    } = run;
    let frozen = match (freeze, train.freeze_blocks) {
        (true, _) => "frozen, ".to_string(),
        (false, 0) => String::new(),
        (false, blocks) => format!("{} frozen, ", counted(blocks, "block")),
    };
    let seed = match seed {
        0 => String::new(),
        seed => format!(", seed {seed}"),
    };
    format!(
        "{frozen}{}, batch {}, base_lr {:e}{seed}",
        counted(epochs.round() as u64, "epoch"),
        train.batch_size,
        optimizer.base_lr
    )
}

/// Waits for other processes that add to a run's log or write its report, and keeps them waiting as long as the file is
/// open. Nothing is written for it: the configuration is what is locked.
///
/// # Errors
/// A run directory that cannot be read, and file systems without locks.
pub(crate) fn lock(run: &Path) -> io::Result<File> {
    let file = File::open(run.join("config.toml"))?;
    file.lock()?;
    Ok(file)
}

/// Adds an evaluation to a log that is locked, unless the very same is there: one line, written at once. `step` is that of what was
/// measured: the run may be lengthened, or go on after a stop.
///
/// # Errors
/// A log that cannot be written.
pub(crate) fn add(run: &Path, step: Option<u64>, evaluation: &Evaluation<'_>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let path = run.join(FILE);
    let mut file = options.create(true).read(true).append(true).open(path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let mut line = evaluation.line();
    if let Some(step) = step {
        line["step"] = json!(step);
    }
    if parse(&text).contains(&line) {
        return Ok(());
    }
    // A line that was torn when the machine failed stays alone.
    let start = match text.is_empty() || text.ends_with('\n') {
        true => "",
        false => "\n",
    };
    file.write_all(format!("{start}{line}\n").as_bytes())
}

/// The evaluations of a run directory, in the order in which they were made; empty where none was.
///
/// # Errors
/// A log that cannot be read.
pub(crate) fn read(run: &Path) -> io::Result<Vec<Value>> {
    match std::fs::read_to_string(run.join(FILE)) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The lines that are whole and hold the numbers of a kind.
fn parse(text: &str) -> Vec<Value> {
    let is_share = |value: &Value| {
        value
            .as_f64()
            .is_some_and(|share| (0.0..=1.0).contains(&share))
    };
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|value: &Value| {
            let whole = |names: &&[&str]| names.iter().all(|name| is_share(&value[*name]));
            NUMBERS.iter().any(whole)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use semaim_eval::finetune::config::FinetuneConfig;

    use super::*;

    fn evaluation(top1: f64) -> Evaluation<'static> {
        Evaluation {
            name: "kNN",
            data: "a set of images",
            setting: "k = 5".into(),
            worth: Worth::Accuracy {
                top1,
                top5: 1.0,
                classes: 10,
            },
        }
    }

    #[test]
    fn what_is_not_usual_is_named() {
        let training = |freeze, freeze_blocks, seed, epochs| {
            let mut config = FinetuneConfig {
                seed,
                ..FinetuneConfig::default()
            };
            config.train.freeze_blocks = freeze_blocks;
            config.train.batch_size = 64;
            config.optimizer.base_lr = 5e-4;
            super::training(freeze, &config.run(), epochs)
        };
        let how = "batch 64, base_lr 5e-4";
        assert_eq!(training(false, 0, 0, 50.0), format!("50 epochs, {how}"));
        assert_eq!(training(true, 0, 0, 1.0), format!("frozen, 1 epoch, {how}"));
        assert_eq!(
            training(false, 2, 7, 2.9),
            format!("2 blocks frozen, 3 epochs, {how}, seed 7")
        );
        let nowhere = Path::new("");
        assert_eq!(named("photos", &[nowhere, nowhere]), "photos");
        assert_eq!(named("", &[nowhere, Path::new("a.json")]), "a.json");
        assert_eq!(images("photos", ""), "photos");
        let images_of = |eval| annotated_images(["photos", eval], [&[], &[]]);
        assert_eq!(images_of("./photos"), "photos");
        assert_eq!(images_of("more"), "photos, evaluated on more");
        assert_eq!(images("photos", "more"), "photos, evaluated on more");
    }

    #[test]
    fn evaluations_made_at_once_are_all_whole() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path();
        std::fs::write(run.join("config.toml"), "").unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for i in 0..25 {
                        let found = evaluation(f64::from(thread * 25 + i) / 100.0);
                        let _lock = lock(run).unwrap();
                        add(run, None, &found).unwrap();
                    }
                });
            }
        });
        let all = read(run).unwrap();
        assert_eq!(all.len(), 100);
        // What is there is not added again.
        add(run, None, &evaluation(0.5)).unwrap();
        assert_eq!(read(run).unwrap(), all);
        assert_eq!(all[0]["chance"], 0.1);
        // The run has gone on: that is another encoder, even where the number is the same.
        add(run, Some(12), &evaluation(0.5)).unwrap();
        let later = read(run).unwrap();
        assert_eq!((later.len(), &later[100]["step"]), (101, &json!(12)));
    }

    #[test]
    fn what_is_torn_or_no_accuracy_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let torn =
            "{\"top1\":null,\"top5\":0.5}\n{\"top1\":1.5,\"top5\":0.5}\n{\"evaluation\":\"kN";
        std::fs::write(folder.path().join(FILE), torn).unwrap();
        assert!(read(folder.path()).unwrap().is_empty());
        add(folder.path(), None, &evaluation(f64::NAN)).unwrap();
        add(folder.path(), None, &evaluation(0.25)).unwrap();
        let all = read(folder.path()).unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0]["top1"], 0.25);
        let detector = |box_ap: f64| Evaluation {
            worth: Worth::Objects {
                boxes: [box_ap, 0.5],
                masks: None,
            },
            ..evaluation(0.0)
        };
        // COCO says -1 where there is no truth.
        add(folder.path(), None, &detector(-1.0)).unwrap();
        add(folder.path(), None, &detector(0.25)).unwrap();
        let all = read(folder.path()).unwrap();
        assert_eq!((all.len(), &all[1]["box_ap"]), (2, &json!(0.25)));
        assert!(all[1].get("mask_ap").is_none());
        let segmenter = Evaluation {
            worth: Worth::Pixels {
                mean_iou: 0.5,
                mean_accuracy: 0.6,
                pixel_accuracy: 0.7,
            },
            ..evaluation(0.0)
        };
        add(folder.path(), None, &segmenter).unwrap();
        assert_eq!(read(folder.path()).unwrap()[2]["mean_iou"], 0.5);
    }
}
