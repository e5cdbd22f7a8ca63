//! Reading the coded data of a scan bit by bit.

/// A reader of coded data, first bit first, that takes out the zero byte after every `0xFF` and stops at a marker.
///
/// After [`Bits::refill`] at least [`Bits::FILLED`] bits can be taken without another look at the data. Past the end and
/// past a marker they are zeros, and [`Bits::overdrawn`] tells whether such a bit was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits<'a> {
    data: &'a [u8],
    /// The next byte that is not in `buffer`.
    at: usize,
    /// The next bits, the first of them highest. Below the `count` highest there may be further bits of the data, or
    /// zeros; filling up sets them again to what they are.
    buffer: u64,
    /// How many bits of the buffer can be taken, at most 63.
    count: u32,
    /// How many zeros were made up where there were no more data.
    made_up: u32,
}

impl<'a> Bits<'a> {
    /// How many bits there are at least after a refill.
    pub(crate) const FILLED: u32 = 56;

    /// Starts at the first byte of `data`.
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            buffer: 0,
            count: 0,
            made_up: 0,
        }
    }

    /// Fills the buffer.
    #[inline(always)]
    pub(crate) fn refill(&mut self) {
        let rest = self.data.get(self.at..).unwrap_or_default();
        if let Some(next) = rest.first_chunk::<8>() {
            let word = u64::from_be_bytes(*next);
            if !contains_ff(word) {
                self.buffer |= word >> self.count;
                let bytes = (63 - self.count) >> 3;
                self.at += bytes as usize;
                self.count += 8 * bytes;
                return;
            }
        }
        *self = self.refilled_slowly();
    }

    /// By value, for a reader whose address is taken cannot stay in registers.
    #[cold]
    #[inline(never)]
    fn refilled_slowly(mut self) -> Self {
        while self.count < Self::FILLED {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                (Some(0xFF), _) | (None, _) => {
                    self.made_up += 8;
                    0
                }
                (Some(&byte), _) => {
                    self.at += 1;
                    byte
                }
            };
            self.buffer |= u64::from(byte) << (Self::FILLED - self.count);
            self.count += 8;
        }
        self
    }

    /// The next `count` bits, 1 to 32, without taking them.
    #[inline(always)]
    pub(crate) fn peek(&self, count: u32) -> u32 {
        (self.buffer >> (64 - count)) as u32
    }

    /// Takes `count` bits, at most 63 and at most what is filled.
    #[inline(always)]
    pub(crate) fn take(&mut self, count: u32) {
        self.buffer <<= count & 63;
        self.count = self.count.wrapping_sub(count);
    }

    /// Whether more bits were taken than there are before the end or the next marker.
    pub(crate) fn overdrawn(&self) -> bool {
        self.made_up > self.count
    }

    /// Goes on after the restart marker of the given number, 0 to 7; `None` when it is not the next marker in the data, or
    /// more was read than there is before it. Bytes before the marker that nobody asked for are passed over, as libjpeg
    /// does.
    pub(crate) fn restart(&mut self, number: u32) -> Option<()> {
        self.count.checked_sub(self.made_up)?;
        // No marker was passed: filling up stops at them.
        let rest = self.data.get(self.at..)?;
        let is_marker = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF);
        let found = rest.windows(2).position(is_marker)?;
        if rest.get(found + 1) != Some(&(0xD0 + (number & 7) as u8)) {
            return None;
        }
        *self = Self {
            at: self.at + found + 2,
            ..Self::new(self.data)
        };
        Some(())
    }
}

/// Whether one of the eight bytes is `0xFF`.
#[inline(always)]
fn contains_ff(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    (!word).wrapping_sub(ONES) & word & (ONES << 7) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all bits in pieces of varying length.
    fn read(data: &[u8], bits: usize) -> Vec<bool> {
        let mut reader = Bits::new(data);
        let mut out = Vec::new();
        for step in (1..=13).cycle() {
            if out.len() >= bits {
                break;
            }
            reader.refill();
            let value = reader.peek(step);
            out.extend((0..step).rev().map(|bit| value >> bit & 1 == 1));
            reader.take(step);
        }
        out.truncate(bits);
        out
    }

    #[test]
    fn stuffed_bytes_are_one() {
        let plain: Vec<u8> = (0..200u32).map(|i| (i * 37 % 256) as u8 | 1).collect();
        let mut plain = plain;
        for place in [0, 7, 8, 30, 31, 32, 100, 198, 199] {
            plain[place] = 0xFF;
        }
        let stuffed: Vec<u8> = plain
            .iter()
            .flat_map(|&byte| match byte {
                0xFF => vec![0xFF, 0],
                byte => vec![byte],
            })
            .collect();
        let expected: Vec<bool> = plain
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
            .collect();
        assert_eq!(read(&stuffed, expected.len()), expected);
    }

    #[test]
    fn what_is_missing_is_noticed() {
        for data in [&[0xA5, 0x5A][..], &[0xA5, 0x5A, 0xFF, 0xD9]] {
            let mut bits = Bits::new(data);
            bits.refill();
            assert_eq!(bits.peek(16), 0xA55A);
            bits.take(16);
            assert!(!bits.overdrawn());
            bits.refill();
            bits.take(1);
            assert!(bits.overdrawn());
        }
    }

    #[test]
    fn restarts_need_their_marker() {
        let data = [0xA5, 0xFF, 0xD3, 0x5A];
        let at_marker = || {
            let mut bits = Bits::new(&data);
            bits.refill();
            bits.take(3);
            bits
        };
        let mut bits = at_marker();
        assert_eq!(bits.restart(3), Some(()));
        bits.refill();
        assert_eq!(bits.peek(8), 0x5A);
        assert_eq!(at_marker().restart(4), None);
        // Whole bytes before the marker that have not been read are passed over.
        let data = [
            &[0xA5, 1, 2, 0xFF, 0][..],
            &[7; 20],
            &[0xFF, 0xFF, 0xD3, 0x5A],
        ]
        .concat();
        let mut bits = Bits::new(&data);
        bits.refill();
        assert_eq!(bits.restart(4), None);
        assert_eq!(bits.restart(3), Some(()));
        bits.refill();
        assert_eq!(bits.peek(8), 0x5A);
        // More was read than there is.
        let mut bits = at_marker();
        bits.take(6);
        assert_eq!(bits.restart(3), None);
    }

    #[test]
    fn every_place_of_ff_is_seen() {
        for place in 0..8 {
            assert!(contains_ff(0xFF << (8 * place)));
            assert!(!contains_ff(0xFE << (8 * place)));
            assert!(!contains_ff(!(0xFF << (8 * place)) & 0x7F80_7F80_7F80_7F80));
        }
    }
}
