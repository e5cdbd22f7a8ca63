//! Listing all images below a folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::counted::counted;
use crate::decode::Format;
use crate::error::DataError;
use crate::notices;

/// What is below a folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The paths of the images relative to the folder, sorted bytewise.
    pub(crate) images: Vec<Box<Path>>,
    /// Files that are not images.
    pub(crate) others: u64,
    /// Arrays beside images, which are then no images.
    pub(crate) arrays: Vec<Box<Path>>,
    /// Files of image formats that are not read, counted by format.
    pub(crate) not_read: NotRead,
    /// Folders and files that could not be looked at, relative to the folder, sorted.
    unreadable: Vec<String>,
    /// Links that lead nowhere, relative to the folder, sorted.
    dangling: Vec<String>,
    /// Run directories of ours, relative to the folder, sorted; their pictures are no images to train on.
    runs: Vec<String>,
    /// Folders that systems made for themselves, relative to the folder, sorted.
    of_systems: Vec<String>,
    /// How many images there are in those.
    images_of_systems: u64,
}

/// Folders of thumbnails that Synology's disk stations put beside images, and of what macOS adds to archives.
const OF_SYSTEMS: [&str; 2] = ["@eaDir", "__MACOSX"];

/// Files of image formats that are not read, counted by format.
#[derive(Debug, Default)]
pub(crate) struct NotRead(BTreeMap<&'static str, u64>);

impl NotRead {
    /// Counts a file if its name is that of such a format.
    pub(crate) fn count(&mut self, name: &[u8]) -> bool {
        let format = Format::not_read(name);
        if let Some(format) = format {
            *self.0.entry(format).or_default() += 1;
        }
        format.is_some()
    }

    /// Warns of what was counted in `place`.
    pub(crate) fn warn(&self, place: &Path) {
        if self.0.is_empty() {
            return;
        }
        let counts: Vec<String> = self
            .0
            .iter()
            .map(|(format, count)| counted(*count, &format!("{format} file")))
            .collect();
        let advice = match &counts[..] {
            [_] => Format::advice(self.0.keys().next().copied().unwrap_or_default()),
            _ => format!("convert them to one of the formats {}", Format::NAMES),
        };
        notices::warn(format!(
            "{}: {} not read; {advice}",
            place.display(),
            are(&counts),
        ));
    }

    /// What was counted, for an error: empty or `, 3 HEIC files among them`.
    pub(crate) fn among(&self) -> String {
        let counts: Vec<String> = self
            .0
            .iter()
            .map(|(format, count)| counted(*count, &format!("{format} file")))
            .collect();
        match counts.is_empty() {
            true => String::new(),
            false => format!(" ({} not read)", are(&counts)),
        }
    }
}

fn are(counts: &[String]) -> String {
    match counts {
        [only] if only.starts_with("1 ") => format!("{only} is"),
        several => format!("{} are", several.join(", ")),
    }
}

/// Lists the images below `root` by their extensions.
///
/// Names that start with `.` are skipped, and so are run directories of ours and folders that systems make for themselves, which are
/// named. Links to files and folders are followed; a link to a folder that it lies in
/// is not, so cycles end. Folders that cannot be read are left out and named, the folder itself must be readable. The order
/// does not depend on the file system.
pub(crate) fn list(root: &Path) -> Result<Listing, DataError> {
    let mut listing = Listing::default();
    let canonical = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let walk = WalkDir::new(root).follow_links(true).into_iter();
    let (mut runs, mut of_systems) = (Vec::new(), Vec::new());
    let is_wanted = |entry: &DirEntry| {
        if !is_wanted(entry, &canonical) {
            return false;
        }
        let may_be_one = entry.depth() > 0 && entry.file_type().is_dir();
        if may_be_one && is_of_system(entry.file_name().as_encoded_bytes()) {
            of_systems.push(entry.path().to_owned());
            return false;
        }
        let is_run = may_be_one && is_run_directory(entry.path());
        if is_run {
            runs.push(below(root, entry.path()));
        }
        !is_run
    };
    for entry in walk.filter_entry(is_wanted) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => listing.add(root, &entry),
            Err(error) if error.depth() == 0 => {
                let source = error
                    .into_io_error()
                    .unwrap_or_else(|| io::ErrorKind::Other.into());
                return Err(DataError::unreadable(root, source));
            }
            // A circle of links.
            Err(error) if error.loop_ancestor().is_some() => {}
            Err(error) => listing.note_unreadable(root, &error),
        }
    }
    // Arrays beside images are mostly vectors or masks.
    if listing.images.is_empty() {
        listing.others -= listing.arrays.len() as u64;
        listing.images = std::mem::take(&mut listing.arrays);
    }
    let bytes = |path: &Path| path.as_os_str().as_encoded_bytes().to_vec();
    listing.images.sort_by_cached_key(|path| bytes(path));
    listing.runs = runs;
    listing.count_of_systems(root, of_systems);
    for names in [
        &mut listing.unreadable,
        &mut listing.dangling,
        &mut listing.runs,
        &mut listing.of_systems,
    ] {
        names.sort_unstable();
    }
    Ok(listing)
}

impl Listing {
    fn add(&mut self, root: &Path, entry: &DirEntry) {
        let name = entry.file_name().as_encoded_bytes();
        if entry.file_type().is_file() && Format::is_image_name(name) {
            let path = entry.path();
            let relative = path.strip_prefix(root).unwrap_or(path);
            self.images.push(relative.into());
        } else {
            self.others += 1;
            self.not_read.count(name);
            if entry.file_type().is_file() && Format::is_array_name(name) {
                let path = entry.path();
                self.arrays
                    .push(path.strip_prefix(root).unwrap_or(path).into());
            }
        }
    }

    /// Counts the images in folders that systems made for themselves. Those without images are no matter to be told of.
    fn count_of_systems(&mut self, root: &Path, folders: Vec<PathBuf>) {
        for folder in folders {
            let images = list(&folder).map_or(0, |inner| inner.images.len() as u64);
            if images > 0 {
                self.images_of_systems += images;
                self.of_systems.push(below(root, &folder));
            }
        }
    }

    fn note_unreadable(&mut self, root: &Path, error: &walkdir::Error) {
        let path = error.path().map_or(PathBuf::new(), Path::to_owned);
        let missing = error
            .io_error()
            .is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
        let relative = below(root, &path);
        if !missing {
            self.unreadable.push(relative);
            return;
        }
        self.others += 1;
        // Otherwise a file that was deleted meanwhile.
        if path.is_symlink() {
            self.dangling.push(relative);
        }
    }

    /// Warns of what was left out below `root`.
    pub(crate) fn warn(&self, root: &Path) {
        self.not_read.warn(root);
        if !self.arrays.is_empty() {
            notices::warn(format!(
                "{}: {} beside images {} not taken for images; a list of them, or a folder of their own, makes them some",
                root.display(),
                counted(self.arrays.len(), ".npy file"),
                if self.arrays.len() == 1 { "is" } else { "are" },
            ));
        }
        if !self.dangling.is_empty() {
            notices::warn(format!(
                "{}: {} left out, as {} nowhere: {}",
                root.display(),
                are(&[counted(self.dangling.len(), "link")]),
                if self.dangling.len() == 1 {
                    "it leads"
                } else {
                    "they lead"
                },
                notices::some_of(&self.dangling),
            ));
        }
        if !self.runs.is_empty() {
            notices::warn(format!(
                "{}: {} left out: {}",
                root.display(),
                match self.runs.len() {
                    1 => "a run directory is".to_owned(),
                    number => format!("{number} run directories are"),
                },
                notices::some_of(&self.runs),
            ));
        }
        warn_of_systems(root, self.images_of_systems, &self.of_systems);
        if !self.unreadable.is_empty() {
            let number = self.unreadable.len() as u64;
            notices::warn(format!(
                "{}: {} cannot be read and {} left out: {}",
                root.display(),
                counted(number, "subfolder"),
                if number == 1 { "is" } else { "are" },
                notices::some_of(&self.unreadable),
            ));
        }
    }
}

/// A path relative to the folder that it is in.
fn below(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Whether a folder is one that a training run writes into: its pictures of orders and truths are images, too.
fn is_run_directory(path: &Path) -> bool {
    path.join("run.lock").is_file() && path.join("config.toml").is_file()
}

/// Whether a folder called so is one that a system makes for itself: what images are in it are copies of others.
pub(crate) fn is_of_system(name: &[u8]) -> bool {
    OF_SYSTEMS.iter().any(|known| known.as_bytes() == name)
}

/// Warns that so many images of `place` are left out, as they are in folders that systems made for themselves: in `folders`, where
/// these are known.
pub(crate) fn warn_of_systems(place: &Path, images: u64, folders: &[String]) {
    if images == 0 {
        return;
    }
    let folders = match folders {
        [] => OF_SYSTEMS.join(", "),
        folders => notices::some_of(folders),
    };
    notices::warn(format!(
        "{}: {} left out, in folders that systems make for themselves: {folders}",
        place.display(),
        are(&[counted(images, "image")]),
    ));
}

/// Whether an entry is neither hidden nor a link to a folder that `root` lies in.
fn is_wanted(entry: &DirEntry, root: &Path) -> bool {
    if entry.depth() == 0 {
        return true;
    }
    if entry.file_name().as_encoded_bytes().starts_with(b".") {
        return false;
    }
    let leads_up = || fs::canonicalize(entry.path()).is_ok_and(|target| root.starts_with(target));
    !(entry.path_is_symlink() && entry.file_type().is_dir() && leads_up())
}
