//! Options of the command line as the uppermost layer of a configuration.

use semaim_config::{Layers, Validate};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::exit::Exit;

/// A text as TOML writes it.
pub(crate) fn quoted(text: Option<&str>) -> Option<String> {
    text.map(|text| Value::from(text).to_string())
}

/// Lays options that stand for settings on top, where they are given, and loads the configuration.
pub(crate) fn load<T>(mut layers: Layers, options: &[(&str, Option<String>)]) -> Result<T, Exit>
where
    T: Serialize + DeserializeOwned + Default + Validate,
{
    for (key, value) in options {
        if let Some(value) = value {
            layers = layers.set(&format!("{key}={value}"))?;
        }
    }
    Ok(layers.load()?)
}
