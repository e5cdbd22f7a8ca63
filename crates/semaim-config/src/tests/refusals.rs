//! Every kind of error, to the letter.

use super::sample::{Experiment, errors, lines};
use crate::{ConfigError, Layers, Origin};

#[test]
fn unknown_keys_name_the_nearest() {
    assert_eq!(
        errors("learning_rate = 1\n[train]\nepoch = 3\n\n[optimizer]\nx = 1\ny = 2\n"),
        [
            "x.toml:1: unknown key `learning_rate`; did you mean `optimiser.learning_rate`?",
            "x.toml:3: unknown key `train.epoch`; did you mean `train.epochs`?",
            "x.toml:5: unknown key `optimizer`; did you mean `optimiser`?",
        ],
    );
    assert_eq!(
        errors("train.momentum = 1"),
        ["x.toml:1: unknown key `train.momentum`; the nearest valid key is `train.compile`"],
    );
    assert_eq!(
        errors("[train]\nresum = 'a'"),
        ["x.toml:2: unknown key `train.resum`; did you mean `train.resume`?"],
    );
}

#[test]
fn unknown_keys_of_every_layer_are_errors() {
    let result = Layers::new()
        .text("recipe", "train.epoch = 1")
        .unwrap()
        .text("file", "seed = 2\nsede = 3")
        .unwrap()
        .set("train.epoch=1")
        .unwrap()
        .load::<Experiment>();
    assert_eq!(
        lines(result),
        [
            "recipe:1: unknown key `train.epoch`; did you mean `train.epochs`?",
            "file:2: unknown key `sede`; did you mean `seed`?",
            "--set train.epoch=1: unknown key `train.epoch`; did you mean `train.epochs`?",
        ],
    );
}

#[test]
fn renamed_keys_name_the_new_one() {
    let layers = Layers::new()
        .text("run/config.toml", "seed = 1\n[train]\nwarm = 3")
        .unwrap()
        .sets(["set.path=x", "train.warmer=1"])
        .unwrap();
    assert_eq!(
        lines(layers.load::<Experiment>()),
        [
            "run/config.toml:3: `train.warm` is called `train.warmup` now",
            "--set set.path=x: `set` is called `data` now",
            "--set train.warmer=1: unknown key `train.warmer`; did you mean `train.warmup`?",
        ],
    );
    assert_eq!(
        lines(layers.refuse_renamed::<Experiment>()),
        [
            "run/config.toml:3: `train.warm` is called `train.warmup` now",
            "--set set.path=x: `set` is called `data` now",
        ],
    );
    let valid = Layers::new().set("train.warmup=3").unwrap();
    valid.refuse_renamed::<Experiment>().unwrap();
}

#[test]
fn unknown_keys_inside_an_optional_table() {
    assert_eq!(
        errors("[optimiser.clip]\nnorm = 1.0\nskipp = true\n"),
        ["x.toml:3: unknown key `optimiser.clip.skipp`; did you mean `optimiser.clip.skip`?"],
    );
}

#[test]
fn wrong_types() {
    assert_eq!(
        errors(
            "seed = 'ten'\ntrain.epochs = 10.0\ntrain.compile = 1\ntrain.method = 3\n\
             optimiser.learning_rate = '1'\ndata.path = [1]\ndata.sizes = 5\ndata.sizes2 = 5\n"
        ),
        [
            "x.toml:1: `seed`: expected integer, found string \"ten\"",
            "x.toml:2: `train.epochs`: expected integer, found float 10.0",
            "x.toml:3: `train.compile`: expected boolean, found integer 1",
            "x.toml:4: `train.method`: expected one of \"semaim\", \"masked-pixels\", found integer 3",
            "x.toml:5: `optimiser.learning_rate`: expected float, found string \"1\"",
            "x.toml:6: `data.path`: expected string, found array",
            "x.toml:7: `data.sizes`: expected array, found integer 5",
            "x.toml:8: unknown key `data.sizes2`; did you mean `data.sizes`?",
        ],
    );
    assert_eq!(
        errors("seed = 2024-01-01"),
        ["x.toml:1: `seed`: expected integer, found datetime 2024-01-01"],
    );
}

#[test]
fn tables_and_values_do_not_stand_for_each_other() {
    assert_eq!(
        errors("train = 3\n[seed]\nx = 1\n"),
        [
            "x.toml:1: `train`: expected table, found integer 3",
            "x.toml:2: `seed`: expected integer, found table",
        ],
    );
    assert_eq!(
        errors("data = ['a', [1]]"),
        ["x.toml:1: `data`: expected table, found array"],
    );
    assert_eq!(
        errors("[[data]]\npath = 'a'"),
        ["x.toml:1: `data`: expected table, found array"],
    );
}

#[test]
fn array_elements_are_named_and_located() {
    assert_eq!(
        errors("[data]\nsizes = [\n  1,\n  'b',\n]\n"),
        ["x.toml:4: `data.sizes[1]`: expected integer, found string \"b\""],
    );
    assert_eq!(
        errors("[data]\nsizes = [\n  32,\n  8,\n]\n"),
        ["x.toml:4: `data.sizes[1]` must be at least 16, is 8"],
    );
    assert_eq!(
        errors("optimiser.betas = [0.1]"),
        ["x.toml:1: `optimiser.betas` must have 2 elements, has 1"],
    );
    assert_eq!(
        errors("optimiser.betas = [0.1, 0.2, 0.3]"),
        ["x.toml:1: `optimiser.betas` must have 2 elements, has 3"],
    );
}

#[test]
fn unknown_choices_list_the_allowed() {
    assert_eq!(
        errors("train.method = 'semiam'"),
        [
            "x.toml:1: `train.method`: expected one of \"semaim\", \"masked-pixels\", \
          found \"semiam\"; did you mean \"semaim\"?"
        ],
    );
    assert_eq!(
        errors("train.method = 'jigsaw'"),
        [
            "x.toml:1: `train.method`: expected one of \"semaim\", \"masked-pixels\", \
          found \"jigsaw\"; the nearest is \"semaim\""
        ],
    );
}

#[test]
fn the_value_inside_a_tagged_enum_is_found() {
    assert_eq!(
        errors("[optimiser.schedule]\nkind = 'cosin'\nfloor = 0.1\n"),
        [
            "x.toml:2: `optimiser.schedule.kind`: expected one of \"cosine\", \"step\", \
          found \"cosin\"; did you mean \"cosine\"?"
        ],
    );
    assert_eq!(
        errors("[optimiser.schedule]\nkind = 'cosine'\nfloor = 'low'\n"),
        ["x.toml:3: `optimiser.schedule.floor`: expected float, found string \"low\""],
    );
    assert_eq!(
        errors("[optimiser.schedule.floor]\nlow = 1\n"),
        ["x.toml:1: `optimiser.schedule.floor`: expected float, found table"],
    );
    assert_eq!(
        errors("optimiser.schedule.kind = 'step'"),
        ["x.toml:1: `optimiser.schedule.size` is missing"],
    );
}

#[test]
fn integers_out_of_range() {
    assert_eq!(
        errors("seed = -1\ntrain.epochs = 4294967296\ntrain.warmup = 99999999999999999999\n"),
        [
            "x.toml:1: `seed` must be an integer from 0 to 18446744073709551615, is -1",
            "x.toml:2: `train.epochs` must be an integer from 0 to 4294967295, is 4294967296",
            "x.toml:3: `train.warmup` must be an integer from 0 to 4294967295, \
             is 99999999999999999999",
        ],
    );
    assert_eq!(
        errors("data.path = 99999999999999999999"),
        ["x.toml:1: `data.path`: expected string, found integer 99999999999999999999"],
    );
}

#[test]
fn the_types_own_checks_name_the_place() {
    let result = Layers::new()
        .text("recipe", "\n[train]\nepochs = 0\n")
        .unwrap()
        .set("optimiser.learning_rate=nan")
        .unwrap()
        .load::<Experiment>();
    assert_eq!(
        lines(result),
        [
            "recipe:3: `train.epochs` must be at least 1, is 0",
            "--set optimiser.learning_rate=nan: `optimiser.learning_rate` must be a finite number \
             above 0, is NaN",
            "default: `train.warmup` must be at most train.epochs (0)",
        ],
    );
}

#[test]
fn problems_of_all_kinds_come_together() {
    assert_eq!(
        errors("sed = 1\n[train]\nepochs = 'ten'\nwarmup = 900\n[data]\nsizes = [8]\n"),
        [
            "x.toml:1: unknown key `sed`; did you mean `seed`?",
            "x.toml:3: `train.epochs`: expected integer, found string \"ten\"",
            "x.toml:4: `train.warmup` must be at most train.epochs (800)",
            "x.toml:6: `data.sizes[0]` must be at least 16, is 8",
        ],
    );
}

#[test]
fn a_missing_key_of_an_optional_table() {
    assert_eq!(
        errors("\n[optimiser.clip]\nskip = true"),
        ["x.toml:2: `optimiser.clip.norm` is missing"],
    );
}

#[test]
fn syntax_and_duplicates() {
    let text = |text: &str| lines(Layers::new().text("x.toml", text));
    assert_eq!(
        text("seed = 1\n  seed = 2"),
        ["x.toml:2: duplicate key `seed`, first given on line 1"],
    );
    assert_eq!(
        text("[train]\nmethod = semaim\n"),
        ["x.toml:2:10: string values must be quoted, expected literal string: `method = semaim`"],
    );
}

#[test]
fn a_file_that_is_not_there() {
    let missing = "/nowhere/x.toml";
    let errors = Layers::new().file(missing).unwrap_err();
    assert!(matches!(&errors.0[..], [ConfigError::Io { path, .. }] if path.as_os_str() == missing));
    assert!(
        errors
            .to_string()
            .starts_with("/nowhere/x.toml: cannot be read: ")
    );
}

#[test]
fn malformed_overrides_are_reported_together() {
    let result = Layers::new().sets(["seed=1", "seed", "=2"]);
    assert_eq!(
        lines(result),
        [
            "--set seed: has no `=`; the form is `key=value`",
            "--set =2: has no key before `=`; the form is `key=value`",
        ],
    );
}

#[test]
fn errors_are_structured() {
    let errors = super::sample::load("[train]\n  epochs = 'ten'").unwrap_err();
    let [
        ConfigError::WrongType {
            key,
            origin,
            expected,
            found,
        },
    ] = &errors.0[..]
    else {
        panic!("{errors:?}");
    };
    assert_eq!(
        (key.as_str(), expected.as_str()),
        ("train.epochs", "integer")
    );
    assert_eq!(found, "string \"ten\"");
    assert_eq!(
        *origin,
        Origin::Text {
            layer: "x.toml".into(),
            line: 2,
            column: 3
        }
    );
    assert_eq!(errors.0[0].key(), Some("train.epochs"));
}
