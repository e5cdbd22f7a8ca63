//! A configuration as TOML.

use serde::Serialize;
use toml::de::DeTable;

use crate::error::{ConfigError, ConfigErrors};
use crate::tree::beyond_toml;
use crate::validate::Problem;

/// Writes a configuration with every value spelt out, defaults included: in the order of the
/// struct's fields, the values of a table before the tables within it. An option that is `None`
/// is left out.
///
/// # Errors
///
/// [`ConfigError::Unwritable`] when TOML cannot hold a value: an integer beyond `u64`, a `None`
/// inside an array, a configuration that is no struct. [`ConfigError::BeyondToml`] for each integer
/// that can be written but not be read: above `i64::MAX`.
///
/// # Examples
///
/// ```
/// #[derive(serde::Serialize)]
/// struct Experiment {
///     data: Data,
///     seed: u64,
/// }
/// #[derive(serde::Serialize)]
/// struct Data {
///     mean: [f32; 3],
/// }
///
/// let experiment = Experiment { data: Data { mean: [0.485, 0.456, 0.406] }, seed: 7 };
/// assert_eq!(
///     semaim_config::to_toml(&experiment)?,
///     "seed = 7\n\n[data]\nmean = [0.485, 0.456, 0.406]\n",
/// );
/// # Ok::<(), semaim_config::ConfigErrors>(())
/// ```
pub fn to_toml<T: Serialize>(config: &T) -> Result<String, ConfigErrors> {
    let text = toml::to_string(config).map_err(ConfigError::from)?;
    let beyond = {
        let table = DeTable::parse(&text);
        let table = table.map_err(|error| ConfigError::Unreadable(error.message().to_owned()))?;
        beyond_toml(table.get_ref()).into_iter()
    };
    let beyond = beyond.map(|Problem { key, message }| ConfigError::BeyondToml { key, message });
    ConfigErrors::unless_empty(beyond.collect())?;
    Ok(text)
}
