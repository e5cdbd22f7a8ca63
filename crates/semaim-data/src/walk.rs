//! Listing all images below a folder, in parallel.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use crate::decode::Format;
use crate::error::DataError;
use crate::names::Names;

/// Threads that list directories. Listing waits for the disk or the network, so there are more than cores.
const THREADS: usize = 8;

/// The images below a folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Relative paths, sorted.
    pub(crate) names: Names,
    /// Files that are not images.
    pub(crate) others: u64,
}

/// The directories that are still to be listed.
struct Queue {
    waiting: Vec<Vec<u8>>,
    /// Directories waiting or in the hands of a thread; 0 means that the walk is over.
    open: usize,
    error: Option<DataError>,
}

/// Lists the images below `root` by their extensions.
///
/// Names that start with `.` are skipped. Links to files and folders are followed; a link to a folder that it lies in
/// is not, so cycles end. The order does not depend on the file system or the threads.
pub(crate) fn list(root: &Path) -> Result<Listing, DataError> {
    let queue = Mutex::new(Queue {
        waiting: vec![Vec::new()],
        open: 1,
        error: None,
    });
    let changed = Condvar::new();
    let parts: Vec<Listing> = std::thread::scope(|scope| {
        let run = || walk(root, &queue, &changed);
        let helpers: Vec<_> = (1..THREADS)
            .filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, run).ok())
            .collect();
        let mut parts = vec![run()];
        parts.extend(helpers.into_iter().filter_map(|helper| helper.join().ok()));
        parts
    });
    let queue = queue.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = queue.error {
        return Err(error);
    }
    let mut all = Listing::default();
    for part in parts {
        all.others += part.others;
        all.names.append(part.names);
    }
    all.names.sort();
    Ok(all)
}

/// Lists directories until there are none left.
fn walk(root: &Path, queue: &Mutex<Queue>, changed: &Condvar) -> Listing {
    let mut listing = Listing::default();
    let lock = || queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let mut state = lock();
        let directory = loop {
            if state.open == 0 {
                return listing;
            }
            match state.waiting.pop() {
                Some(directory) => break directory,
                None => state = changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(state);
        let mut below = Vec::new();
        let outcome = list_directory(root, &directory, &mut listing, &mut below);
        let mut state = lock();
        match outcome {
            Ok(()) => {
                state.open += below.len();
                state.waiting.append(&mut below);
                state.open -= 1;
            }
            Err((path, source)) => {
                // Which thread fails first is chance: the smallest path is reported of those that were met.
                let before = match &state.error {
                    Some(DataError::Read { path: known, .. }) => path < *known,
                    _ => true,
                };
                if before {
                    state.error = Some(DataError::Read { path, source });
                }
                state.waiting.clear();
                state.open = 0;
            }
        }
        drop(state);
        changed.notify_all();
    }
}

fn list_directory(
    root: &Path,
    directory: &[u8],
    listing: &mut Listing,
    below: &mut Vec<Vec<u8>>,
) -> Result<(), (PathBuf, io::Error)> {
    let path = join(root, directory);
    let failed = |error: io::Error| (path.clone(), error);
    let mut number = None;
    for entry in fs::read_dir(&path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(name) = to_bytes(&name) else {
            listing.others += 1;
            continue;
        };
        if name.starts_with(b".") {
            continue;
        }
        let mut kind = entry.file_type().map_err(failed)?;
        if kind.is_symlink() {
            // A dangling link is one more file that is no image.
            let Ok(target) = fs::metadata(entry.path()) else {
                listing.others += 1;
                continue;
            };
            kind = target.file_type();
            if kind.is_dir() && leads_back(root, directory, &entry.path()) {
                continue;
            }
        }
        if kind.is_dir() {
            below.push([directory, name, b"/"].concat());
        } else if kind.is_file() && Format::is_image_name(name) {
            let number = *number.get_or_insert_with(|| listing.names.add_directory(directory));
            listing.names.add(number, name);
        } else {
            listing.others += 1;
        }
    }
    Ok(())
}

/// Whether a link in `directory` leads to one of the folders it lies in, or above them.
fn leads_back(root: &Path, directory: &[u8], link: &Path) -> bool {
    let Ok(target) = fs::canonicalize(link) else {
        return true;
    };
    let ends =
        (0..=directory.len()).filter(|&end| end == 0 || directory.get(end - 1) == Some(&b'/'));
    ends.filter_map(|end| fs::canonicalize(join(root, directory.get(..end)?)).ok())
        .any(|ancestor| ancestor.starts_with(&target))
}

/// The bytes of a file name; `None` where the system's names are no bytes and this one is no Unicode.
#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "other systems need it")]
fn to_bytes(name: &std::ffi::OsStr) -> Option<&[u8]> {
    use std::os::unix::ffi::OsStrExt;
    Some(name.as_bytes())
}

#[cfg(not(unix))]
fn to_bytes(name: &std::ffi::OsStr) -> Option<&[u8]> {
    name.to_str().map(str::as_bytes)
}

/// A path below `root` from its bytes.
#[cfg(unix)]
pub(crate) fn join(root: &Path, relative: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    root.join(std::ffi::OsStr::from_bytes(relative))
}

/// A path below `root` from its bytes.
#[cfg(not(unix))]
pub(crate) fn join(root: &Path, relative: &[u8]) -> PathBuf {
    root.join(String::from_utf8_lossy(relative).as_ref())
}
