//! Reading files, whole or in part, with a limit on memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::ImageProblem;

/// Reads a whole file of at most `max_bytes` bytes.
pub(crate) fn read_file(path: &Path, max_bytes: u64) -> Result<Vec<u8>, ImageProblem> {
    let mut data = Vec::new();
    read_file_into(path, max_bytes, &mut data)?;
    Ok(data)
}

/// Reads a whole file of at most `max_bytes` bytes in the place of what is in `data`.
pub(crate) fn read_file_into(
    path: &Path,
    max_bytes: u64,
    data: &mut Vec<u8>,
) -> Result<(), ImageProblem> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    if bytes > max_bytes {
        return Err(ImageProblem::FileTooLarge {
            bytes,
            limit: max_bytes,
        });
    }
    // One more than the length lets the end be found without growing; pipes and growing files stop at the limit.
    data.clear();
    data.reserve(bytes as usize + 1);
    file.take(max_bytes).read_to_end(data)?;
    Ok(())
}

/// An open file whose parts are read by position, so that threads share it without waiting for each other.
#[derive(Debug)]
pub(crate) struct SharedFile {
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    file: std::sync::Mutex<File>,
    len: u64,
}

impl SharedFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        #[cfg(not(unix))]
        let file = std::sync::Mutex::new(file);
        Ok(Self { file, len })
    }

    /// Length in bytes when it was opened.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Reads exactly `size` bytes at `offset`.
    pub(crate) fn read(&self, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        let mut data = vec![0; size];
        self.read_into(offset, &mut data)?;
        Ok(data)
    }

    /// Fills `data` with the bytes at `offset`.
    #[cfg(unix)]
    pub(crate) fn read_into(&self, offset: u64, data: &mut [u8]) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        self.file.read_exact_at(data, offset)
    }

    /// Fills `data` with the bytes at `offset`.
    #[cfg(not(unix))]
    pub(crate) fn read_into(&self, offset: u64, data: &mut [u8]) -> io::Result<()> {
        use std::io::{Seek, SeekFrom};
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_limits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, b"0123456789").unwrap();
        let file = SharedFile::open(&path).unwrap();
        assert_eq!(file.len(), 10);
        assert_eq!(file.read(3, 4).unwrap(), b"3456");
        assert!(file.read(8, 3).is_err());
        assert_eq!(read_file(&path, 10).unwrap(), b"0123456789");
        let error = read_file(&path, 9).unwrap_err();
        assert!(matches!(
            error,
            ImageProblem::FileTooLarge {
                bytes: 10,
                limit: 9
            }
        ));
    }
}
