//! Types that read their tables in unusual ways, and types that are themselves wrong.

use serde::{Deserialize, Serialize};

use super::sample::lines;
use crate::{ConfigErrors, Layers, Problems, Validate};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Shapes {
    workers: Workers,
    #[serde(flatten)]
    flat: Flat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crop: Option<Crop>,
    stages: Vec<Stage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    noise: Option<Noise>,
    even: Even,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Workers {
    Count(u32),
    Name(String),
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Flat {
    depth: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Crop {
    None,
    Random { scale: f64 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Noise {
    Gauss { sigma: f64, seed: Option<u32> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    width: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
struct Even(u32);

impl From<Even> for u32 {
    fn from(even: Even) -> u32 {
        even.0
    }
}

impl TryFrom<u32> for Even {
    type Error = String;

    fn try_from(value: u32) -> Result<Self, String> {
        if value.is_multiple_of(2) {
            Ok(Even(value))
        } else {
            Err(format!("{value} is odd"))
        }
    }
}

impl Default for Workers {
    fn default() -> Self {
        Workers::Name("auto".into())
    }
}

impl Validate for Shapes {
    fn check(&self, _: &mut Problems) {}

    fn optional_keys() -> &'static [&'static str] {
        &["crop", "noise"]
    }
}

fn load(text: &str) -> Result<Shapes, ConfigErrors> {
    Ok(Layers::new().text("x.toml", text)?.load::<Shapes>()?.config)
}

#[test]
fn a_value_may_be_of_another_type_than_the_default() {
    assert_eq!(load("workers = 4").unwrap().workers, Workers::Count(4));
    assert_eq!(
        lines(load("workers = [4]")),
        ["x.toml:1: `workers` is refused: data did not match any variant of untagged enum Workers"],
    );
}

#[test]
fn flattened_values_are_found() {
    assert_eq!(load("depth = 4").unwrap().flat.depth, 4);
    assert_eq!(
        lines(load("stages = []\ndepth = 'x'")),
        ["x.toml:2: `depth`: expected integer, found string \"x\""],
    );
}

#[test]
fn enums_with_data() {
    assert_eq!(load("crop = 'none'").unwrap().crop, Some(Crop::None));
    assert_eq!(
        load("crop.random.scale = 1").unwrap().crop,
        Some(Crop::Random { scale: 1.0 })
    );
    assert_eq!(
        lines(load("crop.random.scale = true")),
        ["x.toml:1: `crop.random.scale`: expected float, found boolean true"],
    );
    // One value wrong in a table that has no default is one error, and hides no other.
    assert_eq!(
        lines(load("stages = [1]\n[crop.random]\nscale = true\nscal = 1")),
        [
            "x.toml:1: `stages[0]`: expected table, found integer 1",
            "x.toml:3: `crop.random.scale`: expected float, found boolean true",
            "x.toml:4: unknown key `crop.random.scal`; did you mean `crop.random.scale`?",
        ],
    );
    assert_eq!(
        lines(load("crop.randm.scale = 1")),
        [
            "x.toml:1: `crop`: expected one of \"none\", \"random\", found \"randm\"; \
          did you mean \"random\"?"
        ],
    );
    assert_eq!(
        lines(load("crop.random.scal = 1")),
        [
            "x.toml:1: `crop.random.scale` is missing",
            "x.toml:1: unknown key `crop.random.scal`; did you mean `crop.random.scale`?",
        ],
    );
}

#[test]
fn a_key_that_the_type_drops_in_silence_is_unknown() {
    let noise = load("noise = { kind = 'gauss', sigma = 1, seed = 2 }")
        .unwrap()
        .noise;
    assert_eq!(
        noise,
        Some(Noise::Gauss {
            sigma: 1.0,
            seed: Some(2)
        })
    );
    assert_eq!(
        lines(load("[noise]\nkind = 'gauss'\nsigma = 1\nsigmma = 2\n")),
        ["x.toml:4: unknown key `noise.sigmma`; did you mean `noise.sigma`?"],
    );
}

#[test]
fn tables_in_an_array() {
    assert_eq!(
        load("[[stages]]\nwidth = 3").unwrap().stages,
        [Stage { width: 3 }]
    );
    assert_eq!(
        lines(load("[[stages]]\nwidth = 3\n[[stages]]\nwidth = 'x'\n")),
        ["x.toml:4: `stages[1].width`: expected integer, found string \"x\""],
    );
    assert_eq!(
        lines(load("[[stages]]\nwidth = 3\nheight = 4\n")),
        ["x.toml:3: unknown key `stages[0].height`; the nearest valid key is `stages[0].width`"],
    );
}

#[test]
fn a_type_may_refuse_a_value_itself() {
    assert_eq!(
        lines(load("even = 3")),
        ["x.toml:1: `even` is refused: 3 is odd"]
    );
}

/// Writes a key that it refuses to read.
#[derive(Debug, Serialize, Deserialize, Default)]
struct Odd {
    #[serde(deserialize_with = "refuse")]
    value: u32,
}

fn refuse<'de, D: serde::Deserializer<'de>>(_: D) -> Result<u32, D::Error> {
    Err(serde::de::Error::custom("never"))
}

impl Validate for Odd {
    fn check(&self, _: &mut Problems) {}
}

#[test]
fn a_type_that_refuses_its_own_defaults_is_told_so() {
    assert_eq!(
        lines(Layers::new().load::<Odd>()),
        ["the default configuration cannot be read back from TOML: `value` is refused: never"],
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
