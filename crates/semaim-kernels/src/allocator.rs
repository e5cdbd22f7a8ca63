//! What the operations ask of the system's allocator.

/// Lets the process keep the memory it frees, and take large pieces from there.
///
/// A training step frees and takes the same hundreds of megabytes again and again. glibc gives pieces above some size
/// back to the system each time, so that every page of them has to be faulted in anew. Call it once, at the start of a
/// program. It does nothing where the allocator is another one.
pub fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `mallopt` only stores numbers; it is called with parameters it knows.
        unsafe {
            // 1 GB, the most that it takes.
            libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
            // One place for all threads, or each would keep what the others lack.
            libc::mallopt(libc::M_ARENA_MAX, 1);
        }
    }
}
