//! Panics of decoders, which are errors of the image and not faults of the program.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a decoder, so that a panic is caught and becomes an error of the image: a panic hook
/// has nothing to say of it.
pub fn panic_is_caught() -> bool {
    DECODING.get()
}

/// Runs a decoder on bytes that may be anything.
///
/// # Errors
/// The text of a panic.
pub(crate) fn catch_decoder_panic<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    DECODING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(false);
    outcome.map_err(|panic| panic_message(&*panic))
}

/// The text of a panic that was caught.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
