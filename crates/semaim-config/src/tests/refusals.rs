//! Every kind of error, to the letter.

use serde::{Deserialize, Serialize};

use super::sample::{Experiment, errors, lines, load};
use crate::{ConfigError, Layers, Problems, Validate, recorded, to_toml};

#[test]
fn unknown_keys_name_the_nearest() {
    assert_eq!(
        errors("learning_rate = 1\n[train]\nepoch = 3\n\n[optimiser]\nx = 1\ny = 2\n"),
        [
            "x.toml:1: unknown key `learning_rate`; did you mean `optimizer.learning_rate`?",
            "x.toml:3: unknown key `train.epoch`; did you mean `train.epochs`?",
            "x.toml:5: unknown key `optimiser`; did you mean `optimizer`?",
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
    let written = recorded::<Experiment>("seed = 1\n[train]\nwarm = 3\n[set]\npath = 'x'").unwrap();
    let expected: toml::Table = "seed = 1\n[train]\nwarmup = 3\n[data]\npath = 'x'"
        .parse()
        .unwrap();
    assert_eq!(written, expected);
}

#[test]
fn values_of_a_wrong_type() {
    for (text, message) in [
        (
            "seed = 'ten'",
            "invalid type: string \"ten\", expected an integer from 0 on",
        ),
        (
            "train.epochs = 10.0",
            "invalid type: floating point `10.0`, expected an integer from 0 on",
        ),
        (
            "train.compile = 1",
            "invalid type: integer `1`, expected a boolean",
        ),
        (
            "data.sizes = 5",
            "invalid type: integer `5`, expected a sequence",
        ),
        (
            "[seed]\nx = 1",
            "invalid type: map, expected an integer from 0 on",
        ),
        (
            "seed = -1",
            "invalid value: integer `-1`, expected an integer from 0 on",
        ),
        (
            "train.epochs = 4294967296",
            "invalid value: integer `4294967296`, expected an integer from 0 on",
        ),
        (
            "train.method = 'semiam'",
            "unknown variant `semiam`, expected `semaim` or `masked-pixels`",
        ),
        (
            "optimizer.betas = [0.1]",
            "invalid length 1, expected an array of length 2",
        ),
    ] {
        let key = text
            .trim_start_matches('[')
            .split([' ', ']'])
            .next()
            .unwrap();
        let expected = format!("x.toml:2: `{key}`: {message}");
        assert_eq!(errors(&format!("\n{text}\n")), [expected]);
    }
}

#[test]
fn a_value_in_the_place_of_a_table() {
    assert_eq!(
        errors("train = 3\ndata = ['a', [1]]\n[[optimizer]]\nbetas = [1, 2]\n"),
        [
            "x.toml:1: `train` is a table; set one of its keys, as in `train.KEY = VALUE`",
            "x.toml:2: `data` is a table; set one of its keys, as in `data.KEY = VALUE`",
            "x.toml:3: `optimizer` is a table; set one of its keys, as in `optimizer.KEY = VALUE`",
        ],
    );
}

#[test]
fn elements_of_arrays_are_named_and_located() {
    assert_eq!(
        errors("[data]\nsizes = [\n  1,\n  'b',\n]\n"),
        ["x.toml:4: `data.sizes[1]`: invalid type: string \"b\", expected an integer from 0 on"],
    );
    assert_eq!(
        errors("[data]\nsizes = [\n  32,\n  8,\n]\n"),
        ["x.toml:4: `data.sizes[1]` must be at least 16, is 8"],
    );
    assert_eq!(
        errors("[[data.stages]]\nwidth = 3\n[[data.stages]]\nwidth = 'x'\n"),
        [
            "x.toml:4: `data.stages[1].width`: invalid type: string \"x\", expected an integer from 0 on"
        ],
    );
    assert_eq!(
        errors("[[data.stages]]\nwidth = 3\nheight = 4\n"),
        ["x.toml:3: `data.stages[0].height`: unknown field `height`, expected `width`"],
    );
    assert_eq!(
        errors("\n[[data.stages]]\n"),
        ["x.toml:2: `data.stages[0]`: missing field `width`"],
    );
}

#[test]
fn the_types_own_checks_name_the_place() {
    let result = Layers::new()
        .text("recipe", "\n[train]\nepochs = 0\n")
        .unwrap()
        .set("optimizer.learning_rate=nan")
        .unwrap()
        .load::<Experiment>();
    assert_eq!(
        lines(result),
        [
            "recipe:3: `train.epochs` must be at least 1, is 0",
            "--set optimizer.learning_rate=nan: `optimizer.learning_rate` must be a finite number \
             above 0, is NaN",
            "`train.warmup` must be at most train.epochs (0) (by default: nothing sets it)",
        ],
    );
}

/// TOML's integers have a sign: what is above cannot be read again from the file that a program records.
#[test]
fn integers_that_could_not_be_read_again_are_refused() {
    let most = i64::MAX.to_string();
    let file = Layers::new().text("x.toml", "seed = 9223372036854775808\n");
    assert_eq!(
        lines(file.unwrap().load::<Experiment>()),
        [format!(
            "x.toml:1: `seed` must be at most {most}, is 9223372036854775808"
        )],
    );
    let layers = Layers::new()
        .set("seed=0xffff_ffff_ffff_ffff")
        .unwrap()
        .set("data.sizes=[8]")
        .unwrap();
    assert_eq!(
        lines(layers.load::<Experiment>()),
        [
            format!(
                "--set seed=0xffff_ffff_ffff_ffff: `seed` must be at most {most}, is 0xffffffffffffffff"
            ),
            "--set data.sizes=[8]: `data.sizes[0]` must be at least 16, is 8".to_owned(),
        ],
    );
    // A value that another replaces is not looked at, and the largest is read again.
    let layers = layers
        .sets([format!("seed={most}"), "data.sizes=[16]".into()])
        .unwrap();
    let config: Experiment = layers.load().unwrap();
    let text = to_toml(&config).unwrap();
    assert_eq!(load(&text).unwrap(), config);
    assert!(recorded::<Experiment>(&text).is_ok());
}

#[test]
fn integers_that_could_not_be_read_again_are_not_written() {
    let config = Experiment {
        seed: u64::MAX,
        ..Experiment::default()
    };
    let refused = lines(to_toml(&config));
    let expected = format!("`seed` must be at most {}, is {}", i64::MAX, u64::MAX);
    assert_eq!(refused, [expected]);
    #[derive(Serialize)]
    struct Nested {
        stages: Vec<Experiment>,
    }
    let refused = lines(to_toml(&Nested {
        stages: vec![Experiment::default(), config],
    }));
    assert!(refused[0].starts_with("`stages[1].seed` must be at most "));
}

#[test]
fn problems_of_all_kinds_come_together() {
    assert_eq!(
        errors("sed = 1\n[train]\nwarmup = 900\nepoch = 1\n[data]\nsizes = [8]\n"),
        [
            "x.toml:1: unknown key `sed`; did you mean `seed`?",
            "x.toml:3: `train.warmup` must be at most train.epochs (800)",
            "x.toml:4: unknown key `train.epoch`; did you mean `train.epochs`?",
            "x.toml:6: `data.sizes[0]` must be at least 16, is 8",
        ],
    );
    // A value of a wrong type keeps ranges from being looked at, but not keys.
    assert_eq!(
        errors("sed = 1\ntrain.warmup = 900\ntrain.epochs = 'ten'\n"),
        [
            "x.toml:1: unknown key `sed`; did you mean `seed`?",
            "x.toml:3: `train.epochs`: invalid type: string \"ten\", expected an integer from 0 on",
        ],
    );
}

#[test]
fn syntax_and_duplicates() {
    let text = |text: &str| lines(Layers::new().text("x.toml", text));
    assert_eq!(
        text("seed = 1\n  seed = 2"),
        ["x.toml:2:3: duplicate key: `seed = 2`"],
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

/// Holds a nothing where TOML has none.
#[derive(Debug, Serialize, Deserialize)]
struct Holes {
    sizes: Vec<Option<u32>>,
}

impl Default for Holes {
    fn default() -> Self {
        Holes { sizes: vec![None] }
    }
}

impl Validate for Holes {
    fn check(&self, _: &mut Problems) {}
}

#[test]
fn a_type_that_toml_cannot_hold_is_told_so() {
    let errors = lines(Layers::new().load::<Holes>());
    assert!(
        errors[0].starts_with("the configuration cannot be written as TOML: "),
        "{errors:?}",
    );
}
