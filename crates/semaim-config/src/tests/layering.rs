//! Which layer wins.

use super::sample::{Experiment, Method, Stage, load};
use crate::{Layers, to_toml};

#[test]
fn no_layers_give_the_defaults() {
    let loaded = Layers::new().load::<Experiment>().unwrap();
    assert_eq!(loaded, Experiment::default());
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
    assert_eq!(loaded.train.epochs, 300);
    assert_eq!(loaded.train.warmup, 5);
    assert_eq!(loaded.data.sizes, [32, 32, 32]);
    assert_eq!(loaded.data.path, "d");
    assert_eq!(loaded.seed, 1);
}

#[test]
fn the_last_override_wins() {
    let layers = Layers::new().sets(["seed=1", "seed=2"]).unwrap();
    assert_eq!(layers.load::<Experiment>().unwrap().seed, 2);
}

#[test]
fn overrides_of_every_kind() {
    let loaded = Layers::new()
        .sets([
            "train.method=masked-pixels",
            "train.compile=false",
            "train.resume=runs/a b.ckpt",
            "optimizer.learning_rate=1e-3",
            "optimizer.betas=[0.5, 1]",
            "data.stages=[{width=3}]",
            "data.path=\"/x=y\"",
        ])
        .unwrap()
        .load::<Experiment>()
        .unwrap();
    assert_eq!(loaded.train.method, Method::MaskedPixels);
    assert!(!loaded.train.compile);
    assert_eq!(loaded.train.resume.as_deref(), Some("runs/a b.ckpt"));
    assert_eq!(loaded.optimizer.learning_rate, 1e-3);
    assert_eq!(loaded.optimizer.betas, [0.5, 1.0]);
    assert_eq!(loaded.data.stages, [Stage { width: 3 }]);
    assert_eq!(loaded.data.path, "/x=y");
}

#[test]
fn an_integer_serves_as_a_float() {
    let loaded = load("optimizer.learning_rate = 1").unwrap();
    assert_eq!(loaded.optimizer.learning_rate, 1.0);
}

#[test]
fn what_is_written_reads_back_the_same() {
    let mut config = Experiment::default();
    assert_eq!(load(&to_toml(&config).unwrap()).unwrap(), config);
    config.train.resume = Some("a \"quoted\"\nname".into());
    config.data.stages = vec![Stage { width: 7 }, Stage { width: 8 }];
    config.optimizer.betas = [0.1, 1e-12];
    config.seed = i64::MAX as u64;
    assert_eq!(load(&to_toml(&config).unwrap()).unwrap(), config);
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

[optimizer]
learning_rate = 0.00015
betas = [0.9, 0.95]

[data]
path = \"data\"
sizes = [224, 96]
stages = []
";
    assert_eq!(to_toml(&Experiment::default()).unwrap(), expected);
}

#[test]
fn a_file_is_named_by_its_path() {
    let path = std::env::temp_dir().join(format!("semaim-config-{}.toml", std::process::id()));
    std::fs::write(&path, "\nseed = 'nine'\n").unwrap();
    let loaded = Layers::new().file(&path).unwrap().load::<Experiment>();
    std::fs::remove_file(&path).unwrap();
    let message = loaded.unwrap_err().to_string();
    let place = format!("{}:2: `seed`: ", path.display());
    assert!(message.starts_with(&place), "{message}");
}

#[test]
fn layers_tell_what_they_name_and_lie_over_others() {
    let upper = Layers::new()
        .text("a", "[train]\nepochs = 3")
        .unwrap()
        .set("seed=1")
        .unwrap();
    for (key, named) in [
        ("train.epochs", true),
        ("train", true),
        ("seed", true),
        ("train.lr", false),
        ("data", false),
    ] {
        assert_eq!(upper.names(key).unwrap(), named, "{key}");
    }
    let lower = Layers::new()
        .text("b", "seed = 2\n[train]\nlr = 0.5\nepochs = 9")
        .unwrap();
    let all = lower.under(&upper);
    assert!(all.names("train.lr").unwrap());
}
