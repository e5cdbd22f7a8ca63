//! Layered TOML configuration for any `serde` type.
//!
//! A value is decided by the last layer that names it: the type's defaults, then each recipe or
//! file in the order given, then each `--set key=value`. Tables merge key by key; scalars and
//! arrays replace. Every error names the key, the file and line, and the nearest valid key. All unknown
//! keys and all values out of range are reported together; values of a wrong type, which keep the rest from
//! being looked at, one by one.
//!
//! The valid keys are read off `T::default()`; this crate knows nothing of what they mean.
//!
//! # Examples
//!
//! ```
//! use semaim_config::{Layers, Problems, Validate, to_toml};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Default)]
//! struct Experiment {
//!     train: Train,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Train {
//!     epochs: u32,
//!     lr: f64,
//! }
//!
//! impl Default for Train {
//!     fn default() -> Self {
//!         Train { epochs: 800, lr: 1e-3 }
//!     }
//! }
//!
//! impl Validate for Experiment {
//!     fn check(&self, problems: &mut Problems) {
//!         problems.in_range("train.epochs", self.train.epochs, 1..);
//!         problems.require(self.train.lr > 0.0, "train.lr", "must be above 0");
//!     }
//! }
//!
//! let config = Layers::new()
//!     .text("recipe short", "[train]\nepochs = 10\nlr = 1")?
//!     .set("train.epochs=20")?
//!     .load::<Experiment>()?;
//! assert_eq!(config.train.epochs, 20);
//! assert_eq!(to_toml(&config)?, "[train]\nepochs = 20\nlr = 1.0\n");
//!
//! let refused = Layers::new().text("x.toml", "[train]\nepoch = 10")?.load::<Experiment>();
//! assert_eq!(
//!     refused.err().unwrap().to_string(),
//!     "x.toml:2: unknown key `train.epoch`; did you mean `train.epochs`?",
//! );
//! # Ok::<(), semaim_config::ConfigErrors>(())
//! ```

mod error;
mod keys;
mod layers;
mod nearest;
mod overrides;
mod parse;
mod recorded;
mod source;
#[cfg(test)]
mod tests;
mod tree;
mod validate;
mod write;

pub use error::{ConfigError, ConfigErrors};
pub use layers::Layers;
pub use recorded::recorded;
pub use source::Origin;
pub use validate::{Problem, Problems, RenamedKey, Validate};
pub use write::to_toml;
