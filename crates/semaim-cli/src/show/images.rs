//! The images that are shown.

use std::path::Path;

use semaim_checkpoint::encoder::Encoder;
use semaim_data::{Format, Pixels, Split, decode, open};
use semaim_eval::views::open_options;

use crate::args::ShowArgs;
use crate::exit::Exit;

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
    let options = open_options(&encoder.config);
    let mut found = Vec::new();
    for path in &args.images {
        if is_image(Path::new(path)) {
            let failed = |error: &dyn std::fmt::Display| Exit::user(format!("{path}: {error}"));
            let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
            let pixels = decode(&bytes, options.channels, options.max_pixels)
                .map_err(|error| failed(&error))?;
            let name = file_name(path);
            found.push(NamedImage { name, pixels });
            continue;
        }
        // Images that were not trained on show best what was learned.
        let source =
            open(path, Split::Eval, &options).or_else(|_| open(path, Split::Train, &options))?;
        let (count, all) = ((args.count as usize).min(source.len()), source.len());
        for item in (0..count).map(|i| i * all / count) {
            let name = file_name(&source.name(item));
            match source.image(item) {
                Ok(pixels) => found.push(NamedImage { name, pixels }),
                Err(error) => eprintln!("warning: left out: {error}"),
            }
        }
    }
    if found.is_empty() {
        return Err(Exit::user("--images: no image could be read"));
    }
    Ok(found)
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let known = |e: &str| {
        Format::EXTENSIONS
            .iter()
            .any(|known| e.eq_ignore_ascii_case(known))
    };
    path.is_file() && extension.is_some_and(known)
}

/// The last part of a path; all of it if there is none.
fn file_name(path: &str) -> String {
    let name = Path::new(path)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| path.to_string())
}
