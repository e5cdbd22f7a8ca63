//! The data sets that a setting names: one, or several in a list.

use std::fmt;

use semaim_config::Problems;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Data sets by their names: none, one or several. Written and read as text where there is one (`"photos"`) or none (`""`), as a
/// list where there are several (`["photos", "more.tar"]`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataNames(Vec<String>);

impl DataNames {
    /// These data sets.
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Each of them, to be written in another way.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut String> {
        self.0.iter_mut()
    }

    /// Reports names of a list that are empty.
    pub(crate) fn check(&self, key: &str, problems: &mut Problems) {
        problems.require(
            self.0.iter().all(|name| !name.trim().is_empty()),
            key,
            "must not contain an empty name",
        );
    }
}

impl From<&str> for DataNames {
    /// One data set; none for the empty text.
    fn from(name: &str) -> Self {
        match name {
            "" => Self::default(),
            name => Self(vec![name.to_owned()]),
        }
    }
}

impl fmt::Display for DataNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl Serialize for DataNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [] => serializer.serialize_str(""),
            [name] => serializer.serialize_str(name),
            names => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for DataNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "must name a data set, as \"photos\", or several, as [\"photos\", \"more.tar\"]"
        )]
        enum Given {
            One(String),
            Several(Vec<String>),
        }
        Ok(match Given::deserialize(deserializer)? {
            Given::One(name) => Self::from(name.as_str()),
            Given::Several(names) => Self(names),
        })
    }
}

#[cfg(test)]
mod tests {
    use semaim_config::{Layers, to_toml};

    use crate::config::PretrainConfig;

    #[test]
    fn one_is_a_text_and_several_are_a_list() {
        let set = |value: &str| {
            let layers = Layers::new().set(&format!("data.path={value}")).unwrap();
            layers.load::<PretrainConfig>()
        };
        for (given, names, written) in [
            ("photos", &["photos"][..], "path = \"photos\""),
            ("[\"photos\"]", &["photos"], "path = \"photos\""),
            ("[\"a\", \"b,c\"]", &["a", "b,c"], "\"b,c\""),
        ] {
            let config = set(given).unwrap();
            assert_eq!(config.data.path.as_slice(), names);
            let text = to_toml(&config).unwrap();
            assert!(text.contains(written), "{text}");
            let again = Layers::new().text("config", &text).unwrap();
            assert_eq!(again.load::<PretrainConfig>().unwrap(), config);
        }
        for (given, part) in [
            ("\"\"", "--data"),
            ("[\"a\", \"\"]", "empty"),
            ("7", "several"),
        ] {
            let message = set(given).unwrap_err().to_string();
            assert!(message.contains(part), "{given}: {message}");
        }
    }
}
