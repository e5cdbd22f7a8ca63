//! Names of event files.
//!
//! TensorBoard takes every file with `tfevents` in its name, in the order of the names, and goes to the next
//! when one is read out. It never goes back: a file whose name sorts before the one being read is not seen. So
//! the second in a new name is always later than those in the names already there, even when a run is resumed
//! within the same second or on a machine whose clock is behind.

use std::ffi::OsStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// What every name starts with.
const PREFIX: &str = "events.out.tfevents.";

/// `events.out.tfevents.<second, ten digits>.<host>.<process>.<counter>`
pub(crate) fn file_name(second: u64, host: &str, process: u32, counter: u32) -> String {
    format!("{PREFIX}{second:010}.{host}.{process}.{counter}")
}

/// The second in a name made by [`file_name`]; `None` for other files.
pub(crate) fn second_of(name: &OsStr) -> Option<u64> {
    let (second, _) = name.to_str()?.strip_prefix(PREFIX)?.split_once('.')?;
    second.parse().ok()
}

/// The second to put in a new name: that of `now`, or one later than the latest in `present`.
pub(crate) fn next_second(now: SystemTime, present: impl Iterator<Item = u64>) -> u64 {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    present
        .max()
        .map_or(now, |latest| now.max(latest.saturating_add(1)))
}

/// The name of this machine, with anything but letters, digits, `-` and `_` made `-`.
pub(crate) fn host() -> String {
    let name: String = gethostname::gethostname()
        .to_string_lossy()
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => c,
            _ => '-',
        })
        .collect();
    if name.is_empty() {
        "localhost".into()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_second_has_ten_digits_and_comes_back() {
        let name = file_name(42, "node-1", 7, 0);
        assert_eq!(name, "events.out.tfevents.0000000042.node-1.7.0");
        assert_eq!(second_of(OsStr::new(&name)), Some(42));
        assert_eq!(second_of(OsStr::new("events.out.tfevents.x.y")), None);
        assert_eq!(second_of(OsStr::new("checkpoint.safetensors")), None);
    }

    #[test]
    fn a_new_name_sorts_after_the_ones_present() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        assert_eq!(next_second(now, [].into_iter()), 100);
        assert_eq!(next_second(now, [7, 60].into_iter()), 100);
        assert_eq!(next_second(now, [7, 100].into_iter()), 101, "same second");
        assert_eq!(next_second(now, [250].into_iter()), 251, "clock behind");
    }

    #[test]
    fn the_host_cannot_break_the_name_apart() {
        assert!(!host().is_empty());
        assert!(!host().contains(['.', '/']));
    }
}
