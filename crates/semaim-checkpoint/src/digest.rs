//! SHA-256 of files, as `sha256sum` prints it: what tells where weights came from.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::TensorFileError;

/// Bytes that are read together.
const CHUNK: usize = 1 << 20;

/// The SHA-256 of a file in hexadecimal digits.
///
/// # Errors
/// [`TensorFileError::Io`].
pub fn sha256(path: &Path) -> Result<String, TensorFileError> {
    let failed = |source: io::Error| TensorFileError::reading(path, source);
    let mut file = File::open(path).map_err(failed)?;
    let mut digest = Sha256::new();
    let mut bytes = vec![0; CHUNK];
    loop {
        let read = file.read(&mut bytes).map_err(failed)?;
        if read == 0 {
            break;
        }
        digest.update(&bytes[..read]);
    }
    let digits = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_other_programs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path).unwrap(), expected);
        assert!(sha256(&folder.path().join("none")).is_err());
    }
}
