//! Which layer wins, and what is remembered of it.

use super::sample::{Clip, Experiment, Method, Schedule, load};
use crate::{Layers, Origin, to_toml};

#[test]
fn no_layers_give_the_defaults() {
    let loaded = Layers::new().load::<Experiment>().unwrap();
    assert_eq!(loaded.config, Experiment::default());
    assert_eq!(loaded.origins.get("train.epochs"), Some(&Origin::Default));
    assert_eq!(loaded.origins.get("train.resume"), None);
    assert_eq!(loaded.origins.changed().count(), 0);
}

#[test]
fn later_layers_override_key_by_key() {
    let loaded = Layers::new()
        .text(
            "recipe",
            "seed = 1\n[train]\nepochs = 100\nwarmup = 5\n[data]\nsizes = [1000]",
        )
        .unwrap()
        .text(
            "file",
            "[train]\nepochs = 200\n\n[data]\nsizes = [32, 32, 32]\npath = 'd'",
        )
        .unwrap()
        .set("train.epochs=300")
        .unwrap()
        .load::<Experiment>()
        .unwrap();
    assert_eq!(loaded.config.train.epochs, 300);
    assert_eq!(loaded.config.train.warmup, 5);
    assert_eq!(loaded.config.data.sizes, [32, 32, 32]);
    assert_eq!(loaded.config.seed, 1);
    let changed: Vec<String> = loaded
        .origins
        .changed()
        .map(|(key, origin)| format!("{key} <- {origin}"))
        .collect();
    assert_eq!(
        changed,
        [
            "data.path <- file:6",
            "data.sizes <- file:5",
            "seed <- recipe:1",
            "train.epochs <- --set train.epochs=300",
            "train.warmup <- recipe:4",
        ],
    );
}

#[test]
fn the_last_override_wins() {
    let loaded = Layers::new()
        .sets(["seed=1", "seed=2"])
        .unwrap()
        .load::<Experiment>()
        .unwrap();
    assert_eq!(loaded.config.seed, 2);
}

#[test]
fn overrides_of_every_kind() {
    let loaded = Layers::new()
        .sets([
            "train.method=masked-pixels",
            "train.compile=false",
            "train.resume=runs/a b.ckpt",
            "optimiser.learning_rate=1e-3",
            "optimiser.betas=[0.5, 1]",
            "optimiser.schedule={kind=\"step\", size=3}",
            "optimiser.clip.norm=2",
            "data.path=\"/x=y\"",
        ])
        .unwrap()
        .load::<Experiment>()
        .unwrap()
        .config;
    assert_eq!(loaded.train.method, Method::MaskedPixels);
    assert!(!loaded.train.compile);
    assert_eq!(loaded.train.resume.as_deref(), Some("runs/a b.ckpt"));
    assert_eq!(loaded.optimiser.learning_rate, 1e-3);
    assert_eq!(loaded.optimiser.betas, [0.5, 1.0]);
    assert_eq!(loaded.optimiser.schedule, Schedule::Step { size: 3 });
    assert_eq!(
        loaded.optimiser.clip,
        Some(Clip {
            norm: 2.0,
            skip: false
        })
    );
    assert_eq!(loaded.data.path, "/x=y");
}

#[test]
fn what_another_variant_was_given_is_unused() {
    let loaded = Layers::new()
        .text("recipe", "optimiser.schedule.floor = 0.1")
        .unwrap()
        .sets(["optimiser.schedule.kind=step", "optimiser.schedule.size=3"])
        .unwrap()
        .load::<Experiment>()
        .unwrap();
    assert_eq!(loaded.config.optimiser.schedule, Schedule::Step { size: 3 });
    let unused: Vec<_> = loaded
        .unused
        .iter()
        .map(|(key, from)| format!("{key} {from}"))
        .collect();
    assert_eq!(unused, ["optimiser.schedule.floor recipe:1"]);
    assert_eq!(loaded.origins.get("optimiser.schedule.floor"), None);
    assert!(loaded.origins.get("optimiser.schedule.size").is_some());
}

#[test]
fn an_integer_serves_as_a_float() {
    assert_eq!(
        load("optimiser.learning_rate = 1")
            .unwrap()
            .config
            .optimiser
            .learning_rate,
        1.0
    );
}

#[test]
fn what_is_written_reads_back_the_same() {
    let mut config = Experiment::default();
    assert_eq!(load(&to_toml(&config).unwrap()).unwrap().config, config);
    config.train.resume = Some("a \"quoted\"\nname".into());
    config.optimiser.clip = Some(Clip {
        norm: 0.1,
        skip: true,
    });
    config.optimiser.schedule = Schedule::Step { size: 7 };
    config.optimiser.betas = [0.1, 1e-12];
    config.seed = u64::MAX;
    let text = to_toml(&config).unwrap();
    assert_eq!(
        Layers::new()
            .text("x", &text)
            .unwrap()
            .load::<Experiment>()
            .unwrap()
            .config,
        config,
    );
}

#[test]
fn the_written_form_is_complete_and_in_order() {
    let expected = "\
seed = 0

[train]
epochs = 800
warmup = 40
method = \"semaim\"
compile = true

[optimiser]
learning_rate = 0.00015
betas = [0.9, 0.95]

[optimiser.schedule]
kind = \"cosine\"
floor = 0.0

[data]
path = \"data\"
sizes = [224, 96]
";
    assert_eq!(to_toml(&Experiment::default()).unwrap(), expected);
}

#[test]
fn a_file_is_named_by_its_path() {
    let path = std::env::temp_dir().join(format!("semaim-config-{}.toml", std::process::id()));
    std::fs::write(&path, "\nseed = 9\n").unwrap();
    let loaded = Layers::new().file(&path).unwrap().load::<Experiment>();
    std::fs::remove_file(&path).unwrap();
    let loaded = loaded.unwrap();
    assert_eq!(loaded.config.seed, 9);
    let expected = Origin::Text {
        layer: path.display().to_string().into(),
        line: 2,
        column: 1,
    };
    assert_eq!(loaded.origins.get("seed"), Some(&expected));
}
