//! Whether images of 16 bits use them.

use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use crate::notices;

/// Views that are looked at.
const VIEWS: u32 = 32;
/// The largest value of images that use no more than 14 bits.
const DARK: u16 = u16::MAX / 4;

/// The values of the first views of 16 bits.
#[derive(Debug)]
pub(crate) struct Depth {
    seen: AtomicU32,
    largest: AtomicU16,
}

/// Of all sets of the process.
static DEPTH: Depth = Depth::new();

/// Looks at the values of a view that is normalized by figures for 0 to 1. Cameras of 10 to 14 bits write small values: over 65,535 they
/// are dark, which is said once.
pub(crate) fn look(values: &[u16]) {
    if let Some(dark) = DEPTH.look(values) {
        notices::warn(dark);
    }
}

impl Depth {
    const fn new() -> Self {
        Self {
            seen: AtomicU32::new(0),
            largest: AtomicU16::new(0),
        }
    }

    fn look(&self, values: &[u16]) -> Option<String> {
        if self.seen.load(Ordering::Relaxed) >= VIEWS {
            return None;
        }
        let here = values.iter().copied().max().unwrap_or(0);
        self.largest.fetch_max(here, Ordering::AcqRel);
        let is_last = self.seen.fetch_add(1, Ordering::AcqRel) + 1 == VIEWS;
        let largest = self.largest.load(Ordering::Acquire);
        (is_last && largest <= DARK).then(|| {
            format!(
                "the largest value in {VIEWS} views of images of 16 bits is {largest}, where there may be 65535: normalized by figures for values \
                 from 0 to 1 they are dark; for pre-training `semaim stats` prints data.mean and data.std as they are"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_leave_bits_unused_are_told_of_once() {
        let said = |brightest: u16| -> Vec<String> {
            let depth = Depth::new();
            let view =
                |number: u16| depth.look(&[0, 300, if number == 20 { brightest } else { 4000 }]);
            (0..100).filter_map(view).collect()
        };
        let dark = said(4095);
        assert_eq!(dark.len(), 1);
        assert!(dark[0].contains("is 4095"), "{dark:?}");
        assert!(said(40_000).is_empty());
    }
}
