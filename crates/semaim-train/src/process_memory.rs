//! The memory that this process has taken, and whether there is more.

use std::fs::read_to_string;

/// What else a step may take that no step has taken yet.
const MARGIN: u64 = 500_000_000;

/// Whether so many bytes can be taken beside what steps take; where the system does not tell, it is taken for granted.
pub(crate) fn has_room(bytes: u64) -> bool {
    match (free(), step_peak()) {
        (Some(free), Some(peak)) => bytes + peak + MARGIN < free,
        _ => true,
    }
}

/// The largest resident size of the process so far in bytes, where the system tells it.
pub fn peak_bytes() -> Option<u64> {
    kilobytes(&read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// What the process has taken at most beyond what it has now: a step takes it again.
fn step_peak() -> Option<u64> {
    let status = read_to_string("/proc/self/status").ok()?;
    let now = kilobytes(&status, "VmRSS:")?;
    Some(peak_bytes()?.saturating_sub(now))
}

/// Bytes that are free on the machine, or in the control group that the process is limited to.
fn free() -> Option<u64> {
    let machine = kilobytes(&read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?;
    let group = read_to_string("/proc/self/cgroup").ok();
    let group = group.and_then(|groups| in_group(groups.trim().strip_prefix("0::")?));
    Some(group.map_or(machine, |group| group.min(machine)))
}

/// Of a control group (version 2) with a limit.
fn in_group(group: &str) -> Option<u64> {
    let read = |name: &str| read_to_string(format!("/sys/fs/cgroup{group}/{name}")).ok();
    let limit: u64 = read("memory.max")?.trim().parse().ok()?;
    let used: u64 = read("memory.current")?.trim().parse().ok()?;
    let files = read("memory.stat").and_then(|stat| number(&stat, "inactive_file"));
    Some(limit.saturating_sub(used) + files.unwrap_or(0))
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    Some(1024 * number(text, name)?)
}

/// The number after a name at the start of a line.
fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_name() {
        let status = "Name:\tsemaim\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(kilobytes(status, "VmHWM:"), Some(2 << 20));
        assert_eq!(
            number("anon 7\ninactive_file 9\n", "inactive_file"),
            Some(9)
        );
        assert_eq!(number(status, "VmSwap:"), None);
    }

    #[test]
    fn no_machine_has_room_for_everything() {
        assert!(!has_room(1 << 60) || free().is_none());
        assert!(has_room(0));
    }
}
