//! Comparisons: what is done, gone on with, refused and tabled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::evaluate::{COLORS, colored, json, path};
use crate::runner::{SMALL, refuse, semaim, succeed};
use crate::train_classifier::{data, sets};

/// A comparison of small models, in a folder of its own.
struct Comparison {
    folder: TempDir,
    file: PathBuf,
    out: PathBuf,
    options: Vec<String>,
}

impl Comparison {
    /// One of generated images.
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [file, out] = ["these.toml", "compared"].map(|name| folder.path().join(name));
        fs::write(&file, text).unwrap();
        let comparison = Self {
            folder,
            file,
            out,
            options: Vec::new(),
        };
        let small: Vec<String> = SMALL.iter().map(|s| format!("pretrain.{s}")).collect();
        comparison.set(&small)
    }

    /// One of the images of a folder that is in its own.
    fn of_images(text: &str, create: impl FnOnce(&Path) -> PathBuf) -> (Self, PathBuf) {
        let mut comparison = Self::new(text);
        let data = create(comparison.folder.path());
        let option = ["--data", path(&data)].map(String::from);
        comparison.options.extend(option);
        (comparison, data)
    }

    fn set(mut self, settings: &[impl AsRef<str>]) -> Self {
        for setting in settings {
            let option = ["--set", setting.as_ref()].map(String::from);
            self.options.extend(option);
        }
        self
    }

    /// The command, with more options.
    fn with(&self, more: &[&str]) -> Command {
        let fixed = [
            "compare",
            path(&self.file),
            "--out",
            path(&self.out),
            "--json",
        ];
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        semaim(&[&fixed[..], &options, more].concat())
    }

    /// The record of a trial, as `VARIANT/seed-SEED`.
    fn record(&self, trial: &str) -> PathBuf {
        self.out.join(trial).join("trial.json")
    }
}

#[test]
fn a_comparison_goes_on_and_tables_what_is_there() {
    let text = r#"
seeds = [0, 1]
baseline = "random"
evaluations = ["knn", "probe"]
probe_epochs = 5
knn_k = 3

[[variants]]
name = "random"
pretrain = false

[[variants]]
name = "mae"
set = ["method=mae", "mae.decoder_dim=8", "mae.decoder_depth=1", "mae.decoder_heads=2"]
"#;
    let (comparison, _) = Comparison::of_images(text, data);
    let with = |more: &[&str]| comparison.with(more);
    let out = &comparison.out;

    let planned = json(&succeed(with(&["--dry-run"])));
    assert_eq!(planned[1]["steps"], 15, "{planned}");
    assert_eq!(planned[0]["memory_bytes"], Value::Null, "{planned}");
    assert!(
        planned[1]["memory_bytes"].as_u64().unwrap() > 0,
        "{planned}"
    );
    assert!(!out.exists());
    // Both trials cost something, the one that trains more.
    let seconds = |trial: usize| planned[trial]["seconds"].as_f64().unwrap();
    assert!(seconds(0) > 0.0 && seconds(1) > seconds(0), "{planned}");
    // One seed first, then both: the trials of the first are kept. What another process is at is left to it.
    let record = comparison.record("mae/seed-1");
    fs::create_dir_all(out.join("mae/seed-1")).unwrap();
    let lock = fs::File::create(out.join("mae/seed-1/trial.lock")).unwrap();
    lock.lock().unwrap();
    let other = succeed(with(&["--set", "seeds=[1]"]));
    assert!(other.stderr.contains("at 1 trial;"), "{}", other.stderr);
    assert!(!record.exists());
    assert_eq!(json(&other)["variants"][0]["knn"]["top1"]["seeds"], 1);
    assert_eq!(json(&other)["elsewhere"], 1);
    drop(lock);
    // One variant, and the table of both.
    let untrained = json(&succeed(with(&[
        "--set",
        "seeds=[1]",
        "--variants",
        "random",
    ])));
    assert!(!record.exists());
    assert_eq!(untrained["trials"], json(&other)["trials"]);
    assert_eq!(untrained["elsewhere"], Value::Null);
    refuse(
        with(&["--variants", "random,rand"]),
        &["--variants", "`rand`", "random, mae"],
    );
    let one = json(&succeed(with(&["--set", "seeds=[1]"])));
    assert_eq!(one["trials"].as_array().unwrap().len(), 2);
    let before = fs::metadata(&record).unwrap().modified().unwrap();
    let both = json(&succeed(with(&[])));
    assert_eq!(fs::metadata(&record).unwrap().modified().unwrap(), before);
    assert_eq!(both["trials"].as_array().unwrap().len(), 4);
    let mae = &both["variants"][1];
    assert_eq!(mae["knn"]["top1"]["seeds"], 2);
    assert_eq!(mae["knn"]["to_baseline"]["seeds"], 2);
    assert_eq!(mae["steps"], 15);
    let table = fs::read_to_string(out.join("table.md")).unwrap();
    assert!(
        table.contains("| mae |") && table.contains("linear probe"),
        "{table}"
    );
    let finished = json(&succeed(with(&["--dry-run"])));
    assert!(
        finished
            .as_array()
            .unwrap()
            .iter()
            .all(|t| t["seconds"] == 0.0),
        "{finished}"
    );
    // A record of before a setting came goes on; one of other settings does not.
    let written = fs::read_to_string(&record).unwrap();
    let older = written
        .replace(r#"\"max_bank\":0,"#, "")
        .replace(r#""curve":[],"#, "");
    assert_ne!(older, written);
    fs::write(&record, &older).unwrap();
    succeed(with(&["--table-only"]));
    fs::write(
        &record,
        written.replace(r#"\"max_bank\":0,"#, r#"\"max_bank\":7,"#),
    )
    .unwrap();
    refuse(
        with(&["--table-only"]),
        &["other settings", "trial.json", "max_bank was 7, is 0"],
    );
    fs::write(&record, &written).unwrap();
    // One more evaluation is added to finished trials.
    let more = ["evaluations=[\"knn\",\"probe\",\"finetune\"]", "seeds=[0]"];
    let tuned = ["finetune.train.epochs=2", "finetune.train.batch_size=8"];
    let warm = ["finetune.optimizer.warmup_epochs=0"];
    refuse(
        with(&[sets(&more), sets(&tuned)].concat()),
        &["warmup_epochs"],
    );
    // Settings of what nothing has been measured by may change, others not.
    let found = json(&succeed(with(
        &[sets(&more), sets(&tuned), sets(&warm)].concat(),
    )));
    assert!(
        found["variants"][1]["finetune"]["top1"]["mean"]
            .as_f64()
            .is_some()
    );
    refuse(
        with(
            &[
                sets(&tuned),
                sets(&warm),
                sets(&["finetune.train.epochs=3"]),
            ]
            .concat(),
        ),
        &[
            "other settings",
            "finetune.train.epochs was 2, is 3",
            "seed-0 to make",
        ],
    );

    // Mistakes are named before anything is trained.
    let wrong = |more: &[&str], parts: &[&str]| {
        let nowhere = comparison.folder.path().join("nowhere");
        let fixed = ["compare", path(&comparison.file), "--out", path(&nowhere)];
        refuse(semaim(&[&fixed[..], &sets(more)].concat()), parts);
        assert!(!nowhere.exists());
    };
    wrong(&["baseline=best"], &["baseline", "best", "random, mae"]);
    wrong(&["seeds=[]"], &["seeds"]);
    wrong(&["seeds=[1,1]"], &["seeds"]);
    wrong(
        &["pretrain.model.embed_dim=130"],
        &["pretrain.model.embed_dim"],
    );
    wrong(&["evaluations=[\"knn\",\"vibes\"]"], &["vibes"]);
    // What the comparison says itself is said there.
    wrong(&["pretrain.seed=3"], &["pretrain.seed", "`seeds`"]);
    wrong(&["pretrain.data.path=x"], &["pretrain.data.path", "`data`"]);
    wrong(&["pretrain.eval.knn_k=3"], &["pretrain.eval", "`knn_k`"]);
    for setting in ["encoder.weights=x", "from_scratch=true"] {
        let setting = format!("finetune.{setting}");
        let key = setting.split('=').next().unwrap();
        wrong(&[&setting], &[key, "`variants`"]);
    }
    for (setting, key) in [
        ("seed=7", "seed"),
        ("data.path=x", "data.path"),
        ("eval.knn_k=3", "eval.knn_k"),
    ] {
        let own = format!("\"method=mae\", \"{setting}\"");
        fs::write(&comparison.file, text.replace("\"method=mae\"", &own)).unwrap();
        wrong(&[], &["`mae` sets", key]);
    }
    let text = text.replace("method=mae\"", "method=mea\"");
    fs::write(&comparison.file, text).unwrap();
    wrong(&[], &["variant `mae`", "method"]);
}

#[test]
fn variants_train_on_what_they_say_and_are_measured_on_the_same() {
    let text = r#"
seeds = [0, 1]
baseline = "all"
evaluations = ["knn"]
knn_k = 3

[[variants]]
name = "all"

[[variants]]
name = "few"
set = ["data.limit=16"]
"#;
    let (comparison, data) = Comparison::of_images(text, data);
    let with = |more: &[&str]| comparison.with(more);
    let found = json(&succeed(with(&["--set", "seeds=[0]"])));
    assert_eq!(found["variants"][0]["steps"], 15);
    assert_eq!(found["variants"][1]["steps"], 6);
    // The few images are what it learned from; it is measured on all, as by the command.
    let encoder = comparison.out.join("few/seed-0/pretrain");
    let knn = [
        "knn",
        "--weights",
        path(&encoder),
        "--data",
        path(&data),
        "--k",
        "3",
        "--json",
    ];
    let by_command = json(&succeed(semaim(&knn))).to_string();
    let of_table = found["variants"][1]["knn"]["top1"]["mean"].to_string();
    assert!(by_command.contains(&of_table), "{of_table} {by_command}");
    // As many others since then, for a variant that was not there; those are put back.
    let another = format!("{text}\n[[variants]]\nname = \"mae\"\nset = [\"method=mae\"]\n");
    let [image, moved] = ["train/red/0.bmp", "train/red/zero.bmp"].map(|name| data.join(name));
    fs::rename(&image, &moved).unwrap();
    fs::write(&comparison.file, another).unwrap();
    let mae = ["--set", "seeds=[0]", "--variants", "mae"];
    refuse(
        with(&mae),
        &["`mae` with seed 0", "`all` with seed 0", "other names"],
    );
    fs::rename(&moved, &image).unwrap();
    fs::write(&comparison.file, text).unwrap();
    // More images since then.
    colored(&data, "train", COLORS, 24);
    refuse(with(&[]), &["`all` with seed 1", "18 steps now, 15 then"]);
    assert!(!comparison.record("all/seed-1").exists());
}

#[test]
fn trials_that_are_compared_are_tested_on_the_same_images() {
    let text = r#"
seeds = [0]
baseline = "first"
evaluations = ["knn"]
probe_epochs = 2
knn_k = 3

[[variants]]
name = "first"
pretrain = false

[[variants]]
name = "second"
pretrain = false
"#;
    let (comparison, data) = Comparison::of_images(text, data);
    let comparison = comparison.set(&[
        "finetune.train.epochs=1",
        "finetune.train.batch_size=8",
        "finetune.optimizer.warmup_epochs=0",
    ]);
    let with = |more: &[&str]| comparison.with(more);
    succeed(with(&["--variants", "first"]));
    let record = comparison.record("first/seed-0");
    let written = fs::read_to_string(&record).unwrap();
    assert!(written.contains("\"tested\""), "{written}");
    let more = data.join("val/red/more.bmp");
    fs::copy(data.join("val/red/0.bmp"), &more).unwrap();
    let differ = ["`first` with seed 0 was", "13 images now, 12 then"];
    refuse(
        with(&[]),
        &[&differ[..], &["`second` with seed 0 would"]].concat(),
    );
    // What is added to a trial is measured on the images of the rest.
    let both = ["--set", "evaluations=[\"knn\",\"probe\"]"];
    refuse(
        with(&[&both[..], &["--variants", "first"]].concat()),
        &[&differ[..], &["`first` with seed 0 would"]].concat(),
    );
    let tuned = ["--set", "evaluations=[\"finetune\"]"];
    succeed(with(&[&tuned[..], &["--variants", "first"]].concat()));
    fs::remove_file(&more).unwrap();
    let differ = ["`first` with seed 0 was", "12 images now, 13 then"];
    refuse(with(&tuned), &differ);
    // Records of before say nothing of them.
    let digest = &written[written.find("\"tested\"").unwrap()..];
    let digest = &digest[..digest.find('}').unwrap() + 1];
    let older = written.replace(&format!(",{digest}"), "");
    assert!(!older.contains("tested"), "{older}");
    fs::write(&record, older).unwrap();
    succeed(with(&both));
}

#[test]
fn curves_are_measured_at_the_checkpoints_that_are_kept() {
    let text = r#"
seeds = [3, 4]
baseline = "stochastic"
evaluations = ["knn", "probe", "pointing"]
curve = ["knn", "pointing"]
probe_labels = [1.0, 0.75]
probe_epochs = 2
knn_k = 3
max_bank = 90
max_queries = 20
pointing_images = 10

[[variants]]
name = "stochastic"
set = ["order.kind=stochastic"]

[[variants]]
name = "oracle"
set = ["order.source=masks"]

[[variants]]
name = "random"
pretrain = false

[pretrain.checkpoint]
keep_every_epochs = 2
"#;
    let comparison = Comparison::new(text).set(&[
        "pretrain.train.epochs=5",
        "pretrain.data.shapes_eval_count=30",
    ]);
    let with = |more: &[&str]| comparison.with(more);
    let out = &comparison.out;
    // Without curves first: they are added to trials that are trained.
    let none = json(&succeed(with(&["--set", "curve=[]"])));
    assert_eq!(none["curves"], serde_json::json!({}), "{none}");
    let found = json(&succeed(with(&[])));
    let knn = &found["curves"]["knn"];
    let names: Vec<&str> = knn
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["variant"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["stochastic", "oracle"], "{found}");
    let points = knn[1]["points"].as_array().unwrap();
    // Two kept ones and the last, not the one before the last.
    let per_epoch = found["variants"][0]["steps"].as_u64().unwrap() / 5;
    let steps: Vec<u64> = points
        .iter()
        .map(|p| p["step"].as_u64().unwrap() / per_epoch)
        .collect();
    assert_eq!(steps, [2, 4, 5], "{found}");
    assert_eq!(points[0]["top1"]["seeds"], 2);
    assert_eq!(points[0]["to_baseline"]["seeds"], 2);
    // The last point is the trained encoder.
    let oracle = &found["variants"][1];
    assert_eq!(
        points[2]["top1"]["mean"], oracle["knn"]["top1"]["mean"],
        "{found}"
    );
    for key in ["pointing-cls", "pointing-gap", "pointing-self"] {
        let last = &found["curves"][key][1]["points"][2]["hits"]["mean"];
        assert_eq!(*last, oracle[key]["hits"]["mean"], "{found}");
    }
    assert_eq!(oracle["probe-75%"]["top1"]["seeds"], 2);
    assert_eq!(found["variants"][2]["steps"], Value::Null);
    let page = fs::read_to_string(out.join("compare.html")).unwrap();
    assert!(page.contains("<polygon") && page.contains("difference to stochastic"));
    assert!(page.contains("linear probe, 75 % of the labels"));
    // Curves over time come when steps have been timed.
    assert!(!page.contains("Over time"));
    let timed = succeed(with(&["--time-steps"]));
    assert!(!timed.stdout.contains("ms a step"), "{}", timed.stdout);
    let times = fs::read_to_string(out.join("step_times.json")).unwrap();
    let times: Value = serde_json::from_str(&times).unwrap();
    assert!(
        times["oracle"].as_f64().unwrap() > 0.0 && times["random"].is_null(),
        "{times}"
    );
    let page = fs::read_to_string(out.join("compare.html")).unwrap();
    assert!(page.contains("Over time") && page.contains("seconds of pre-training"));
    // Nothing is left to do.
    let record = comparison.record("oracle/seed-3");
    let before = fs::metadata(&record).unwrap().modified().unwrap();
    assert_eq!(json(&succeed(with(&[]))), found);
    assert_eq!(fs::metadata(&record).unwrap().modified().unwrap(), before);
    let wrong = |more: &str, parts: &[&str]| refuse(with(&["--set", more]), parts);
    wrong("curve=[\"finetune\"]", &["curve", "finetune"]);
    wrong(
        "pretrain.checkpoint.keep_every_epochs=0",
        &["keep_every_epochs"],
    );
    wrong("probe_labels=[0.5,1.5]", &["probe_labels"]);
    wrong("evaluations=[\"knn\",\"knn\"]", &["evaluations"]);
    let images = data(comparison.folder.path());
    refuse(with(&["--data", path(&images)]), &["pointing", "shapes"]);
}

#[test]
fn a_variant_that_diverges_does_not_end_the_others() {
    let text = r#"
seeds = [0]
baseline = "random"
evaluations = ["knn"]
knn_k = 3

[[variants]]
name = "wild"
set = ["optimizer.base_lr=1e38", "train.clip_norm=0.0"]

[[variants]]
name = "random"
pretrain = false
"#;
    let (comparison, _) = Comparison::of_images(text, data);
    let ran = refuse(
        comparison.with(&[]),
        &[
            "1 trial failed",
            "`wild` with seed 0",
            "base_lr",
            "wild/seed-0",
        ],
    );
    assert_eq!(json(&ran)["variants"][1]["variant"], "random");
    let table = fs::read_to_string(comparison.out.join("table.md")).unwrap();
    assert!(table.contains("| wild | – | – | 0 | – |"), "{table}");
    assert!(table.contains("(1 seed)"), "{table}");
}

#[test]
fn what_was_measured_before_a_failure_is_kept() {
    let text = r#"
seeds = [0]
baseline = "random"
evaluations = ["knn", "probe"]
probe_labels = [0.5]
knn_k = 1

[[variants]]
name = "random"
pretrain = false
"#;
    let (comparison, _) = Comparison::of_images(text, |folder| {
        let data = folder.join("data");
        colored(&data, "train", COLORS, 2);
        colored(&data, "val", COLORS, 3);
        data
    });
    // Of half of the four images, one of each class, the probe's validation split takes one: nothing is left to learn from.
    refuse(comparison.with(&[]), &["validation split"]);
    let record = fs::read_to_string(comparison.record("random/seed-0")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["accuracy"]["knn"]["top1"], 1.0, "{record}");
}

#[test]
fn what_cannot_be_measured_is_refused_before_anything_is_trained() {
    let text = r#"
seeds = [0, 1]
baseline = "mae"
evaluations = ["knn"]
max_bank = 30
max_queries = 20
knn_k = 31

[[variants]]
name = "mae"
set = ["method=mae", "mae.decoder_dim=8", "mae.decoder_depth=1", "mae.decoder_heads=2"]
"#;
    let comparison = Comparison::new(text).set(&["pretrain.data.shapes_eval_count=30"]);
    let with = |more: &[&str]| comparison.with(more);
    for more in [&["--dry-run"][..], &[]] {
        refuse(with(more), &["k = 31", "30 images in the bank"]);
    }
    assert!(!comparison.out.join("mae").exists());
    // Without kNN there is no k.
    let probe = sets(&["evaluations=[\"probe\"]", "probe_epochs=2", "seeds=[0]"]);
    succeed(with(&[&probe[..], &["--dry-run"]].concat()));
    refuse(
        with(&[
            "--set",
            "variants=[{name=\"Table.md\"}]",
            "--set",
            "baseline=Table.md",
        ]),
        &["`Table.md` is the name of a file of results"],
    );
}

/// A file of weights that changes under its name, as that of a run that goes on does.
#[test]
fn seeds_begin_with_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"
seeds = [0]
baseline = "longer"
evaluations = ["knn"]
max_bank = 30
max_queries = 20
knn_k = 3

[[variants]]
name = "longer"

[[variants]]
name = "first"
pretrain = false
"#;
    let weights = ["a", "b"].map(|seed| {
        let out = folder.path().join(seed);
        let seed = if seed == "a" { "0" } else { "1" };
        let command = [
            "pretrain",
            "--data",
            "shapes",
            "--seed",
            seed,
            "--out",
            path(&out),
        ];
        let short = sets(&["train.epochs=2", "eval.every_epochs=0", "eval.pictures=0"]);
        let small = sets(SMALL);
        succeed(semaim(&[&command[..], &small, &short].concat()));
        out.join("encoder.safetensors")
    });
    let named = folder.path().join("named.safetensors");
    let setting = format!("pretrain.encoder.weights={}", path(&named));
    for variant in ["longer", "first"] {
        fs::copy(&weights[0], &named).unwrap();
        let comparison = Comparison::new(text).set(&[
            setting.as_str(),
            "pretrain.data.shapes_eval_count=30",
            "pretrain.train.epochs=2",
        ]);
        let with = |more: &[&str]| comparison.with(more);
        succeed(with(&["--variants", variant]));
        fs::copy(&weights[1], &named).unwrap();
        let more = ["--variants", variant, "--set", "seeds=[0, 1]"];
        refuse(
            with(&more),
            &["with seed 1", "first weights", "named.safetensors"],
        );
        fs::copy(&weights[0], &named).unwrap();
        succeed(with(&more));
    }
}
