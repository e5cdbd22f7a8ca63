//! A configuration as TOML.

use serde::Serialize;

use crate::error::{ConfigError, ConfigErrors};

/// Writes a configuration with every value spelt out, defaults included: in the order of the
/// struct's fields, the values of a table before the tables within it. An option that is `None`
/// is left out.
///
/// # Errors
///
/// [`ConfigError::Unwritable`] when TOML cannot hold a value: an integer beyond `u64`, a `None`
/// inside an array, a configuration that is no struct.
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
    toml::to_string(config).map_err(|error| ConfigError::from(error).into())
}
