//! How much memory a file may make the program take.

/// Bytes of objects that a byte of the file may stand for. An ordinary pickle takes less than ten.
const PER_BYTE: u64 = 32;
/// What any file may take beside that.
const FREE: u64 = 1 << 20;

/// The memory that is left for the objects of a file.
#[derive(Debug)]
pub(crate) struct Budget(u64);

/// The most bytes that are made of a file of this length.
pub(crate) fn limit(file_len: u64) -> u64 {
    file_len.saturating_mul(PER_BYTE).saturating_add(FREE)
}

impl Budget {
    pub(crate) fn of(file_len: u64) -> Self {
        Self(limit(file_len))
    }

    /// Takes so many bytes from what is left.
    ///
    /// # Errors
    /// There are not as many left.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), String> {
        self.0 = self
            .0
            .checked_sub(bytes as u64)
            .ok_or("makes objects out of proportion to the file")?;
        Ok(())
    }
}
