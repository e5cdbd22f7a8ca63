//! How rows are shared out to tasks, and laid out in memory.

/// Rows that a task should have at least, if the batch has them: enough to use each panel of the weights well.
pub(crate) const GROUP_ROWS: usize = 192;

/// A stride for rows of this width that is no multiple of a page: it keeps neighboring rows apart in the cache.
pub(crate) fn padded_stride(width: usize) -> usize {
    width + 16
}
