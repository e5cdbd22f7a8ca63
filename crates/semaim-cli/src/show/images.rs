//! The images that are shown.

use std::path::Path;

use semaim_checkpoint::encoder::Encoder;
use semaim_data::{OpenOptions, Pixels, Split, open};
use semaim_eval::views::open_options;

use crate::args::ShowArgs;
use crate::exit::Exit;
use crate::output::Inputs;

/// An image with the name that stands above its row.
pub(crate) struct NamedImage {
    pub(crate) name: String,
    pub(crate) pixels: Pixels,
}

/// Reads the images that are asked for, with the channels that an encoder takes: single files, and some of every data set.
///
/// # Errors
/// A path where no images are, a single file that cannot be read, or no image at all. What cannot be read of a set is left
/// out with a warning.
pub(super) fn read(args: &ShowArgs, encoder: &Encoder) -> Result<Vec<NamedImage>, Exit> {
    let options = OpenOptions {
        max_pixels: args.max_pixels,
        ..open_options(&encoder.config, &encoder.normalization)
    };
    let mut found = Vec::new();
    for path in &args.images {
        // Images that were not trained on show best what was learned.
        let source =
            open(path, Split::Eval, &options).or_else(|_| open(path, Split::Train, &options))?;
        let inputs = Inputs {
            data: std::slice::from_ref(path),
            images: Some(&*source),
            ..Inputs::default()
        };
        inputs.refuse(&[&args.out])?;
        let (count, all) = ((args.count as usize).min(source.len()), source.len());
        for item in (0..count).map(|i| i * all / count) {
            let full = source.name(item);
            let name = Path::new(&full)
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            match source.image(item) {
                Ok(pixels) => found.push(NamedImage {
                    name: name.unwrap_or(full),
                    pixels,
                }),
                Err(error) if all == 1 => return Err(Exit::user(error)),
                Err(error) => eprintln!("warning: left out: {error}"),
            }
        }
    }
    if found.is_empty() {
        return Err(Exit::user("--images: no image could be read"));
    }
    Ok(found)
}
