//! The checksum of our weight files: over names, shapes and values, so that a bit flipped anywhere shows.

use std::path::Path;

use semaim::parameters::Weight;

use crate::error::TensorFileError;

/// The metadata key under which the checksum stands.
pub(crate) const CHECKSUM: &str = "crc32c";
/// Numbers that are turned into bytes together.
const CHUNK: usize = 1 << 14;

/// The checksum of tensors that come one after the other, sorted by name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checksum(u32);

impl Checksum {
    /// Starts a tensor.
    pub(crate) fn tensor(&mut self, name: &str, shape: &[usize]) {
        let head = format!("{name}\0{shape:?}\0");
        self.0 = crc32c::crc32c_append(self.0, head.as_bytes());
    }

    /// Goes on with some of its values.
    pub(crate) fn values(&mut self, values: &[f32]) {
        for chunk in values.chunks(CHUNK) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|v| v.to_le_bytes()).collect();
            self.0 = crc32c::crc32c_append(self.0, &bytes);
        }
    }

    /// As it is written.
    pub(crate) fn text(self) -> String {
        format!("{:08x}", self.0)
    }

    /// Compares with the one in a file.
    pub(crate) fn check(self, path: &Path, expected: &str) -> Result<(), TensorFileError> {
        let found = self.text();
        match found == expected {
            true => Ok(()),
            false => Err(TensorFileError::Damaged {
                path: path.to_path_buf(),
                message: format!("its checksum is {found}, it should be {expected}"),
            }),
        }
    }
}

/// Of tensors in memory.
pub(crate) fn checksum<'a>(weights: impl Iterator<Item = (&'a String, &'a Weight)>) -> String {
    let mut checksum = Checksum::default();
    for (name, weight) in weights {
        checksum.tensor(name, &weight.shape);
        checksum.values(&weight.values);
    }
    checksum.text()
}
