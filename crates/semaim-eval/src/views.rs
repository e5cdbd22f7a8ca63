//! How an encoder's images are opened and shown to it.

use std::path::PathBuf;

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

/// Whether the images that are trained on and those that are evaluated are generated, by what names them: `path` and `eval` where no
/// files of annotations do.
pub(crate) fn are_generated(path: &str, eval: &str, files: &[&PathBuf]) -> [bool; 2] {
    let no_files = files.iter().all(|path| path.as_os_str().is_empty());
    let trained = no_files && path == "shapes";
    let evaluated = match eval {
        "" => trained,
        name => name == "shapes",
    };
    [trained, evaluated]
}

/// Generated images to evaluate a model on, where nothing else is said.
pub(crate) const SHAPES_TO_EVALUATE: usize = 500;
