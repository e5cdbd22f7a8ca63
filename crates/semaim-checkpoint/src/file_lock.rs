//! What one process at a time may do, by a lock that ends with the process.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// Takes a lock for this process alone, held until the file is dropped; `None` while another has it. The file is created and
/// stays. The operating system lets go of the lock even after a kill; a file system that cannot lock lets everyone have it.
///
/// # Errors
/// A file that cannot be created or locked.
pub fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = File::create(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            Ok(Some(file))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}
