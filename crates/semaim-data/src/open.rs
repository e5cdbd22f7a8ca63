//! From what the user names to a source.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::decode::DecodeOptions;
use crate::error::DataError;
use crate::folder::Folder;
use crate::idx::{self, Idx};
use crate::list::{self, List};
use crate::shapes::{Shapes, ShapesOptions};
use crate::source::{Source, Split};
use crate::spec::DataSpec;
use crate::splits;
use crate::tar::Tars;

/// How to read a data set.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Channels of the images: 1 is luma, 3 is RGB, 4 is RGBA; other numbers for TIFFs with so many samples.
    pub channels: usize,
    /// The most pixels an image may have. Larger ones are refused from their header, before memory is allocated.
    pub max_pixels: u64,
    /// The generated images, for the specification `shapes`. Their split and channels are those given to [`open`].
    pub shapes: ShapesOptions,
}

impl Default for OpenOptions {
    /// RGB, at most 100 million pixels.
    fn default() -> Self {
        Self {
            channels: 3,
            max_pixels: 100_000_000,
            shapes: ShapesOptions::default(),
        }
    }
}

/// Opens the data set that `spec` names (see [`DataSpec`] for its forms).
///
/// - `shapes`: the generated set.
/// - A folder of images, at any depth: extensions jpg, jpeg, png, webp, bmp, tif, tiff and gif in any case, hidden files
///   skipped, sorted by relative path. A subfolder `train` is used for [`Split::Train`]; `val`, `valid`, `validation` or
///   `test` for [`Split::Eval`], which falls back to `train`; without them the folder itself is both. When all images lie
///   in subfolders of that, the first component of their path is their class.
/// - A `.tar` file, several of them, or a folder with nothing but `.tar` files in it (of which those are taken whose
///   names say `train` or `val`, if all names do): WebDataset shards with `.cls` members, or a packed folder.
/// - An IDX file (`...-ubyte`, `...-ubyte.gz`), or a folder that holds such, `train-images-...` for training and
///   `t10k-images-...` or `test-images-...` for evaluation.
/// - A list (`.txt`, `.lst`, `.csv`, `.tsv`): one image per line, `path` or `path label`; relative paths start at
///   the list's folder. The label follows the last tab if every line has one; in a `.csv` the last comma if every line has
///   one; otherwise it is the last field where that is a whole number.
///
/// # Errors
///
/// When there is nothing at the path, it cannot be read, it is broken, or no images are in it. Images themselves are not
/// opened yet.
pub fn open(spec: &str, split: Split, options: &OpenOptions) -> Result<Arc<dyn Source>, DataError> {
    let decoding = DecodeOptions {
        channels: options.channels,
        max_pixels: options.max_pixels,
    };
    let paths = match spec.parse()? {
        DataSpec::Paths(paths) => paths,
        DataSpec::Shapes => {
            return Ok(Arc::new(Shapes::new(ShapesOptions {
                split,
                channels: options.channels,
                ..options.shapes
            })?));
        }
    };
    match &paths[..] {
        [path] => open_path(path, split, decoding),
        several => match several.iter().find(|path| !has_extension(path, &["tar"])) {
            None => Ok(Arc::new(Tars::open(several, split, decoding)?)),
            Some(other) => Err(DataError::Spec {
                spec: spec.to_owned(),
                reason: format!(
                    "several paths must all be .tar files, {} is none",
                    other.display()
                ),
            }),
        },
    }
}

fn open_path(
    path: &Path,
    split: Split,
    decoding: DecodeOptions,
) -> Result<Arc<dyn Source>, DataError> {
    let kind = fs::metadata(path).map_err(|e| cannot_read(path, e))?;
    if kind.is_dir() {
        return open_folder(path, split, decoding);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if has_extension(path, &["tar"]) {
        Ok(Arc::new(Tars::open(&[path.to_owned()], split, decoding)?))
    } else if idx::is_idx_name(&name) {
        Ok(Arc::new(Idx::open(path, decoding.channels)?))
    } else if has_extension(path, &list::EXTENSIONS) {
        Ok(Arc::new(List::open(path, decoding)?))
    } else {
        Err(DataError::UnknownKind {
            path: path.to_owned(),
        })
    }
}

fn open_folder(
    folder: &Path,
    split: Split,
    decoding: DecodeOptions,
) -> Result<Arc<dyn Source>, DataError> {
    let part = splits::choose(split, |name| folder.join(name).is_dir());
    let part = part.map_or(folder.to_owned(), |name| folder.join(name));
    let failed = |error| cannot_read(&part, error);
    if let Some(images) = idx::images_in(&part, split).map_err(failed)? {
        return Ok(Arc::new(Idx::open(&images, decoding.channels)?));
    }
    let tars = only_tars(&part).map_err(failed)?;
    if tars.is_empty() {
        return Ok(Arc::new(Folder::open(&part, decoding)?));
    }
    let tars = splits::of_files(tars, split, |path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    });
    Ok(Arc::new(Tars::open(&tars, split, decoding)?))
}

/// The tar files of a folder, sorted; none when it also holds images or folders.
fn only_tars(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut tars = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        if has_extension(&path, &["tar"]) {
            tars.push(path);
        } else if entry.file_type()?.is_dir()
            || crate::decode::Format::is_image_name(name.to_string_lossy().as_bytes())
        {
            return Ok(Vec::new());
        }
    }
    tars.sort_unstable();
    Ok(tars)
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .is_some_and(|e| extensions.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

/// The error for a path that cannot be read.
pub(crate) fn cannot_read(path: &Path, source: io::Error) -> DataError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => DataError::Missing { path },
        _ => DataError::Read { path, source },
    }
}
