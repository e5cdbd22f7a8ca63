//! Files that are either whole or not there.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes a file under a temporary name beside `path`, flushes it to the disk and renames it to `path`.
///
/// Whatever stood at `path` stays until the new file is complete. Processes may write the same file at once: the last to
/// finish wins.
///
/// # Errors
/// Any error of `write` or of the file system; the temporary file is removed then.
pub fn write(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let unfinished = Unfinished::create(path)?;
    let mut file = BufWriter::with_capacity(1 << 20, unfinished.file()?);
    write(&mut file)?;
    drop(file.into_inner().map_err(io::IntoInnerError::into_error)?);
    unfinished.finish()
}

/// [`write()`] for bytes that are already in memory.
///
/// # Errors
/// Any error of the file system.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, |file| file.write_all(bytes))
}

/// A file that is being written, under a temporary name of its own beside the final one. Dropped unfinished it is removed.
#[derive(Debug)]
pub struct Unfinished {
    /// Locked: what is not locked was left by a process that was killed, and the next to write the same file removes it.
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl Unfinished {
    /// Starts a file that is to stand at `path`.
    ///
    /// # Errors
    /// Any error of the file system.
    pub fn create(path: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Found out now, and not after an hour of work.
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        remove_abandoned(path);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let mut name = path.file_name().unwrap_or_default().to_os_string();
            name.push(format!(".{}-{count}.tmp", std::process::id()));
            let temporary = path.with_file_name(name);
            let file = match File::create_new(&temporary) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                created => created?,
            };
            // Another process may have seen it before it was locked, and removed it. Where there are no locks, nobody
            // removes anything.
            let taken = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
            if !taken && temporary.exists() {
                return Ok(Self {
                    file,
                    temporary,
                    path: path.to_path_buf(),
                });
            }
        }
    }

    /// The file to write to.
    ///
    /// # Errors
    /// Any error of the file system.
    pub fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Flushes what was written to the disk and gives it its name.
    ///
    /// # Errors
    /// Any error of the file system; the temporary file is removed then.
    pub fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.path)?;
        sync_folder(&self.path)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // There is nothing to remove once it has its name; otherwise the error that matters is already in hand.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Removes what killed processes left of earlier attempts at this file.
fn remove_abandoned(path: &Path) {
    let Some(name) = path.file_name() else { return };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    remove_unlocked(folder, |found| is_temporary(found, name));
}

/// Removes from a folder what killed processes left of earlier attempts at files of which `is_meant` accepts the final name. Who
/// writes a file removes what was left of it; this is for files that nobody may write again. What cannot be removed does no harm.
pub fn remove_abandoned_in(folder: &Path, is_meant: impl Fn(&str) -> bool) {
    remove_unlocked(folder, |found| {
        let name = final_name(found).map(str::from_utf8);
        matches!(name, Some(Ok(name)) if is_meant(name))
    });
}

/// Removes the files of a folder that are meant and that no process has locked. What cannot be removed does no harm.
fn remove_unlocked(folder: &Path, is_meant: impl Fn(&OsStr) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !is_meant(&entry.file_name()) {
            continue;
        }
        let found = entry.path();
        if let Ok(file) = File::options().write(true).open(&found)
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(&found);
        }
    }
}

/// Whether `found` is a temporary name of the file `name`: `name.PROCESS-COUNT.tmp`.
pub fn is_temporary(found: &OsStr, name: &OsStr) -> bool {
    final_name(found) == Some(name.as_encoded_bytes())
}

/// The name of the file that a temporary name is of; `None` for other names.
fn final_name(found: &OsStr) -> Option<&[u8]> {
    let found = found.as_encoded_bytes().strip_suffix(b".tmp")?;
    let dot = found.iter().rposition(|&b| b == b'.')?;
    let (name, of_process) = (&found[..dot], &found[dot + 1..]);
    let dash = of_process.iter().position(|&b| b == b'-')?;
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    (digits(&of_process[..dash]) && digits(&of_process[dash + 1..])).then_some(name)
}

/// A rename is only durable once its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_temporary_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        write_bytes(&path, b"old").unwrap();
        let full = write(&path, |file| {
            file.write_all(b"half of the new")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert_eq!(full.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write_bytes(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn two_writers_of_one_file_do_not_meet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        let first = Unfinished::create(&path).unwrap();
        first.file().unwrap().write_all(b"first").unwrap();
        let second = Unfinished::create(&path).unwrap();
        second.file().unwrap().write_all(b"the second").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        second.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"the second");
        first.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        let others = [
            "weights.tmp",
            "weights.old.tmp",
            "weights.1-.tmp",
            "weights2.1-0.tmp",
            "weights.1-0.tmp.bak",
        ];
        for name in others.iter().chain(&["weights.1-0.tmp"]) {
            fs::write(folder.path().join(name), b"half").unwrap();
        }
        write_bytes(&path, b"whole").unwrap();
        assert!(!folder.path().join("weights.1-0.tmp").exists());
        for name in others {
            assert!(folder.path().join(name).exists(), "{name}");
        }
    }

    #[test]
    fn what_was_left_of_many_files_is_removed_but_what_is_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let left = ["step-1.7-0.tmp", "step-2.7-1.tmp"];
        let others = ["step-1", "step-1.tmp", "weights.7-2.tmp"];
        for name in left.iter().chain(&others) {
            fs::write(folder.path().join(name), b"half").unwrap();
        }
        let unfinished = Unfinished::create(&folder.path().join("step-3")).unwrap();
        remove_abandoned_in(folder.path(), |name| name.starts_with("step-"));
        for name in left {
            assert!(!folder.path().join(name).exists(), "{name}");
        }
        for name in others {
            assert!(folder.path().join(name).exists(), "{name}");
        }
        unfinished.finish().unwrap();
        assert!(folder.path().join("step-3").exists());
        // A folder that is not there has nothing to remove.
        remove_abandoned_in(&folder.path().join("none"), |_| true);
    }
}
