//! From what the user names to a source.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::counted::counted;
use crate::decode::{DecodeOptions, Format};
use crate::dir_scan;
use crate::error::DataError;
use crate::exclude::Exclusions;
use crate::files::{self, Files};
use crate::idx::{self, Idx};
use crate::list;
use crate::notices;
use crate::several::Several;
use crate::shapes::{Shapes, ShapesOptions};
use crate::source::{Source, Split, same_images};
use crate::spec::DataSpec;
use crate::splits;
use crate::subset::Subset;
use crate::tar::Tars;

/// How to read a data set.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Channels of the images: 1 is luma, 3 is RGB, 4 is RGBA; other numbers for TIFFs and arrays with so many.
    pub channels: usize,
    /// Whether an image of floats is refused whose samples go beyond 0 to 1: where normalization is for values of 0 to 1.
    pub unit_floats: bool,
    /// The most pixels an image may have. Larger ones are refused from their header, before memory is allocated.
    pub max_pixels: u64,
    /// The generated images, for the specification `shapes`. Their split and channels are those given to [`open`].
    pub shapes: ShapesOptions,
    /// Patterns of images to leave out, for [`open`] and [`open_all`]. A pattern is compared with every run of whole components of
    /// an image's path below what was named, so that a name alone means files and folders at any depth; `*` and `?` do not match
    /// a `/`, `**` matches folders.
    pub exclude: Vec<String>,
    /// The most images of a split, for [`open`] and [`open_all`]: so many of those that are left, one drawn from each of as many
    /// runs of neighbors, always the same. 0 is no limit.
    pub limit: usize,
}

impl Default for OpenOptions {
    /// RGB, at most 100 million pixels.
    fn default() -> Self {
        Self {
            channels: 3,
            unit_floats: true,
            max_pixels: 100_000_000,
            shapes: ShapesOptions::default(),
            exclude: Vec::new(),
            limit: 0,
        }
    }
}

impl OpenOptions {
    /// How images are decoded.
    pub(crate) fn decoding(&self) -> DecodeOptions {
        DecodeOptions {
            channels: Some(self.channels),
            max_pixels: self.max_pixels,
            unit_floats: self.unit_floats,
        }
    }
}

/// Opens the data set that `spec` names (see [`DataSpec`] for its forms).
///
/// - `shapes`: the generated set.
/// - A folder of images, at any depth: extensions jpg, jpeg, jpe, jfif, png, webp, bmp, tif, tiff and gif in any case, hidden
///   files skipped, sorted by relative path. A subfolder called `train` or `training` is used for [`Split::Train`]; one called
///   `val`, `valid`, `validation`, `dev`, `eval`, `evaluation`, `test` or `testing`, the first of them that there is, for
///   [`Split::Eval`], which falls back to the training split; in any case, and with additions such as `train2017` or
///   `test_set`. Where all subfolders are splits of one name, such as `seg_train` and `seg_test`, they are taken for such too; and
///   where there is nothing but one subfolder that holds the splits, it is looked in. Without them the folder itself is both.
///   When all images lie in subfolders of that, the first component of
///   their path is their class. What is left out (subfolders that cannot be read, images beside a split, formats that are
///   not read) is counted and named in a warning.
/// - A `.tar` file, several of them, or a folder of `.tar` files without images beside them (of which those are taken whose
///   names say `train` or `val`, if all names do): WebDataset shards with `.cls` members, or a packed folder. Of members of
///   one name the last counts.
/// - An IDX file (`...-ubyte`, `...-ubyte.gz`), or a folder that holds such, `train-images-...` for training and
///   `val-images-...`, `t10k-images-...` or `test-images-...` for evaluation. Of several sets none is guessed.
/// - Arrays of NumPy's (`.npy`) in a folder or a tar file that holds no other images; beside others they are none.
/// - A list (`.txt`, `.lst`, `.csv`, `.tsv`): one image per line, `path` or `path label`; relative paths start at
///   the list's folder. Where every line of a `.csv`, or of a list with tabs, begins with the names of several image files, these
///   are one image: the channels of the first, then those of the second, and so on. The label follows the last tab if every line has one; in a `.csv` the last comma if every line has
///   one; otherwise it is what follows the image's name, or the last field where that is a whole number.
/// - An image file, or several.
///
/// What [`OpenOptions::exclude`] and [`OpenOptions::limit`] leave of it.
///
/// # Errors
///
/// When there is nothing at the path, it cannot be read, it is broken, or no images are in it or left. Images themselves are
/// not opened yet.
pub fn open(spec: &str, split: Split, options: &OpenOptions) -> Result<Arc<dyn Source>, DataError> {
    open_all(&[spec], split, options)
}

/// Opens one or several data sets, each as [`open`] does, as one: their images in the order in which they are named, classes of
/// one name being one class.
///
/// Where some of several have a part to evaluate on and others have none, [`Split::Eval`] is of the former alone, and it is said:
/// the others are trained on.
///
/// # Errors
///
/// Those of [`open`]; no data set; an image that is in two of them.
pub fn open_all<S: AsRef<str>>(
    specs: &[S],
    split: Split,
    options: &OpenOptions,
) -> Result<Arc<dyn Source>, DataError> {
    let all = open_all_by(specs, split, options, |spec, split| {
        open_one(spec, split, options)
    })?;
    if let [class] = all.classes()
        && all.len() > 1
    {
        notices::warn(format!(
            "{}: all labeled images are of one class, `{class}`, so there is nothing to tell apart in them (nearest neighbors are \
             always right)",
            all.describe()
        ));
    }
    Ok(all)
}

/// [`open_all`], each data set being opened by `open_one` without exclusions and limit.
pub(crate) fn open_all_by<S: AsRef<str>>(
    specs: &[S],
    split: Split,
    options: &OpenOptions,
    open_one: impl Fn(&str, Split) -> Result<Arc<dyn Source>, DataError>,
) -> Result<Arc<dyn Source>, DataError> {
    let exclusions = Exclusions::new(&options.exclude)?;
    let open = |spec: &S, split: Split| {
        let spec = spec.as_ref();
        let source = open_one(spec, split)?;
        let paths = match spec.parse()? {
            DataSpec::Paths(paths) => paths,
            DataSpec::Shapes => Vec::new(),
        };
        let roots: Vec<&Path> = paths.iter().map(|path| root(path)).collect();
        exclusions.apply(source, &roots)
    };
    let all = match specs {
        [] => {
            return Err(DataError::Spec {
                spec: String::new(),
                reason: "no images are named".to_owned(),
            });
        }
        [spec] => open(spec, split)?,
        several => open_several(several, split, open)?,
    };
    Ok(Subset::at_most(all, options.limit))
}

/// What the paths of images are below: the folder of a list or of annotations (`set` for `set/annotations/a.json`), or else the path itself.
fn root(path: &Path) -> &Path {
    let is_annotations = has_extension(path, &["json", "yaml", "yml"]);
    if path.is_dir() || !(is_annotations || has_extension(path, &list::EXTENSIONS)) {
        return path;
    }
    let folder = path.parent().unwrap_or(path);
    match is_annotations && folder.ends_with("annotations") {
        true => folder.parent().unwrap_or(folder),
        false => folder,
    }
}

/// Several sets as one; see [`open_all`].
fn open_several<S>(
    specs: &[S],
    split: Split,
    open: impl Fn(&S, Split) -> Result<Arc<dyn Source>, DataError>,
) -> Result<Arc<dyn Source>, DataError> {
    let training: Vec<Arc<dyn Source>> = specs
        .iter()
        .map(|spec| open(spec, Split::Train))
        .collect::<Result<_, _>>()?;
    if split == Split::Train {
        return Ok(Arc::new(Several::new(training, &[])?));
    }
    let (mut parts, mut undivided) = (Vec::new(), Vec::new());
    for (spec, training) in specs.iter().zip(training) {
        let part = open(spec, Split::Eval)?;
        match same_images(&*part, &*training) {
            true => undivided.push(part),
            false => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Ok(Arc::new(Several::new(undivided, &[])?));
    }
    for set in &undivided {
        notices::warn(format!(
            "{}: it has no part to evaluate on as others have, so it is trained on alone",
            set.describe()
        ));
    }
    let classes = undivided.iter().flat_map(|set| set.classes());
    let classes: Vec<String> = classes.cloned().collect();
    Ok(Arc::new(Several::new(parts, &classes)?))
}

pub(crate) fn open_one(
    spec: &str,
    split: Split,
    options: &OpenOptions,
) -> Result<Arc<dyn Source>, DataError> {
    let decoding = options.decoding();
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
        several if several.iter().all(|path| files::is_listed(path)) => {
            for path in several {
                fs::metadata(path).map_err(|e| DataError::unreadable(path, e))?;
            }
            Ok(Arc::new(Files::of_images(several, decoding)?))
        }
        several => match several.iter().find(|path| !has_extension(path, &["tar"])) {
            None => Ok(Arc::new(Tars::open(several, split, decoding)?)),
            Some(other) => Err(DataError::Spec {
                spec: spec.to_owned(),
                reason: format!(
                    "several paths must all be .tar files or all be images, {} is neither as the first is; other sets are named one by one (--data A --data B)",
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
    let kind = fs::metadata(path).map_err(|e| DataError::unreadable(path, e))?;
    if kind.is_dir() {
        return open_folder(path, split, decoding);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if has_extension(path, &["tar"]) {
        Ok(Arc::new(Tars::open(&[path.to_owned()], split, decoding)?))
    } else if idx::is_idx_name(&name) {
        Ok(Arc::new(Idx::open(path, decoding.channels.unwrap_or(1))?))
    } else if has_extension(path, &list::EXTENSIONS) {
        Ok(Arc::new(list::open(path, decoding)?))
    } else if files::is_listed(path) || Format::of_file(path).is_some() {
        Ok(Arc::new(Files::of_images(&[path.to_owned()], decoding)?))
    } else {
        Err(match Format::not_read(name.as_bytes()) {
            Some(format) => DataError::NotRead {
                path: path.to_owned(),
                format,
            },
            None => DataError::UnknownKind {
                path: path.to_owned(),
            },
        })
    }
}

fn open_folder(
    folder: &Path,
    split: Split,
    decoding: DecodeOptions,
) -> Result<Arc<dyn Source>, DataError> {
    let part = choose_part(folder, split)?;
    let failed = |error| DataError::unreadable(&part, error);
    if let Some(images) = idx::images_in(&part, split)? {
        warn_of_others(&part, &images)?;
        return Ok(Arc::new(Idx::open(
            &images,
            decoding.channels.unwrap_or(1),
        )?));
    }
    let tars = tars_in(&part).map_err(failed)?;
    if tars.is_empty() {
        return Ok(Arc::new(Files::of_folder(&part, decoding)?));
    }
    let tars = splits::of_files(&part, tars, split, |path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    });
    Ok(Arc::new(Tars::open(&tars, split, decoding)?))
}

/// Says that what lies beside an IDX file of images is not read.
fn warn_of_others(folder: &Path, idx: &Path) -> Result<(), DataError> {
    let level = Level::of(folder)?;
    let below = |name: &String| images_below(&folder.join(name));
    let images = level.images + level.folders.iter().map(below).sum::<u64>();
    if images > 0 {
        notices::warn(format!(
            "{}: the images are those of {}; {} in other files {} not read",
            folder.display(),
            idx.file_name().unwrap_or_default().display(),
            counted(images, "image"),
            if images == 1 { "is" } else { "are" },
        ));
    }
    Ok(())
}

/// How many folders with nothing but another in them are looked through for splits.
const MAX_WRAPPERS: usize = 8;

/// What lies directly in a folder and is not hidden.
#[derive(Debug, Default)]
struct Level {
    /// The names of its subfolders, sorted.
    folders: Vec<String>,
    /// How many images there are.
    images: u64,
    /// Whether there is something else that may be meant: arrays, tar or IDX files, or a folder whose name is no text.
    others: bool,
}

impl Level {
    fn of(folder: &Path) -> Result<Self, DataError> {
        let failed = |error| DataError::unreadable(folder, error);
        let mut level = Self::default();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                level.others = true;
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                if dir_scan::is_of_system(name.as_bytes()) {
                    continue;
                }
                level.folders.push(name.to_owned());
            } else if files::is_image(&path) {
                level.images += 1;
            } else {
                level.others |= files::is_listed(&path)
                    || has_extension(&path, &["tar"])
                    || idx::is_idx_name(name);
            }
        }
        level.folders.sort_unstable();
        Ok(level)
    }

    /// The subfolder, where there is nothing beside it.
    fn only_folder(&self) -> Option<&str> {
        match &self.folders[..] {
            [only] if self.images == 0 && !self.others => Some(only),
            _ => None,
        }
    }
}

/// The folder itself, or the one that has splits below folders with nothing else in them, as archives are often unpacked.
/// Without splits the only subfolder is a class.
fn folder_of_splits(folder: &Path) -> Result<(PathBuf, Level), DataError> {
    let level = Level::of(folder)?;
    let mut below = folder.to_owned();
    let mut next = level.only_folder().map(str::to_owned);
    for _ in 0..MAX_WRAPPERS {
        // A split's own folder is no wrapper.
        let Some(name) = next.filter(|name| splits::of_folder_name(name).is_none()) else {
            break;
        };
        below.push(name);
        // What cannot be read is told of where images are listed.
        let Ok(inner) = Level::of(&below) else {
            break;
        };
        if splits::are_splits(&inner.folders) {
            notices::warn(format!(
                "{}: the splits in its only subfolder are used ({})",
                folder.display(),
                below.display()
            ));
            return Ok((below, inner));
        }
        next = inner.only_folder().map(str::to_owned);
    }
    Ok((folder.to_owned(), level))
}

/// The folder that holds the split: a subfolder, or the folder itself. Says so where that is no matter of course.
fn choose_part(folder: &Path, split: Split) -> Result<PathBuf, DataError> {
    let (folder, level) = folder_of_splits(folder)?;
    let chosen = splits::choose_among_classes(&folder, split, &level.folders);
    let Some(name) = &chosen.folder else {
        if split == Split::Train {
            warn_of_evaluated(&folder, &level);
        }
        return Ok(folder);
    };
    let mut images = level.images;
    let mut ignored = Vec::new();
    for beside in &chosen.beside {
        let below = images_below(&folder.join(beside));
        images += below;
        if below > 0 {
            ignored.push(beside.clone());
        }
    }
    chosen.warn(&folder, split, images, &ignored);
    let part = folder.join(name);
    // Archives often hold `train/train`; a class is not called like its split.
    match Level::of(&part) {
        Ok(level) if level.only_folder() == Some(name.as_str()) => Ok(part.join(name)),
        _ => Ok(part),
    }
}

/// How many images there are below a folder; none where it cannot be listed.
fn images_below(folder: &Path) -> u64 {
    dir_scan::list(folder).map_or(0, |listing| listing.images.len() as u64)
}

/// Says where a folder without a split to train on has one to evaluate on beside other images: both are trained on.
fn warn_of_evaluated(folder: &Path, level: &Level) {
    let Some(name) = splits::choose(Split::Eval, &level.folders).folder else {
        return;
    };
    let is_beside = level.images > 0 || level.folders.len() > 1;
    if is_beside && images_below(&folder.join(&name)) > 0 {
        notices::warn(format!(
            "{}: the subfolder {name} is for evaluation by its name, but is trained on too, as there is no subfolder called train; \
             put what is to be trained on into one, or if {name} is a class, rename it",
            folder.display()
        ));
    }
}

/// The tar files of a folder, sorted; none when it also holds images, directly or in subfolders, which is said.
fn tars_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut tars, mut folders, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    let mut compressed = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if !dir_scan::is_of_system(name.as_bytes()) {
                folders.push(name);
            }
        } else if has_extension(&path, &["tar"]) {
            tars.push(path);
        } else if is_compressed_tar(&name) {
            compressed.push(name);
        } else if Format::is_listed_name(name.as_bytes()) {
            beside.push(name);
        }
    }
    if !compressed.is_empty() {
        compressed.sort_unstable();
        notices::warn(format!(
            "{}: compressed tar files are not read; unpack them to .tar: {}",
            folder.display(),
            notices::some_of(&compressed)
        ));
    }
    if tars.is_empty() {
        return Ok(tars);
    }
    folders.retain(|name| images_below(&folder.join(name)) > 0);
    beside.append(&mut folders);
    tars.sort_unstable();
    if beside.is_empty() {
        return Ok(tars);
    }
    beside.sort_unstable();
    let names: Vec<String> = tars
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    notices::warn(format!(
        "{}: {} not read, as there are images beside in other form ({}); name tar files, or move the images, to read them: {}",
        folder.display(),
        match names.len() {
            1 => "a tar file is".to_owned(),
            number => format!("{number} tar files are"),
        },
        notices::some_of(&beside),
        notices::some_of(&names),
    ));
    Ok(Vec::new())
}

fn is_compressed_tar(name: &str) -> bool {
    const ENDINGS: [&str; 9] = [
        ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.lz4",
    ];
    let lower = name.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

pub(crate) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .is_some_and(|e| extensions.iter().any(|known| e.eq_ignore_ascii_case(known)))
}
