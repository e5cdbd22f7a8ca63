//! How an encoder's images are opened and shown to it.

use semaim::config::{Normalization, VitConfig};
use semaim_data::{Augment, OpenOptions, ShapesOptions};

/// Views of the size and in the normalization that a network was trained for.
pub fn views(config: &VitConfig, normalization: &Normalization) -> Augment {
    Augment {
        normalization: normalization.clone(),
        ..Augment::new(config.image_size, config.channels)
    }
}

/// How data sets are opened in the form that a network takes.
pub fn open_options(config: &VitConfig, normalization: &Normalization) -> OpenOptions {
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    OpenOptions {
        channels: config.channels,
        unit_floats: normalization.is_a_convention(),
        shapes: ShapesOptions {
            image_size: config.image_size.map(side),
            ..ShapesOptions::default()
        },
        ..OpenOptions::default()
    }
}

/// Generated images to evaluate a model on, where nothing else is said.
pub(crate) const SHAPES_TO_EVALUATE: usize = 500;
