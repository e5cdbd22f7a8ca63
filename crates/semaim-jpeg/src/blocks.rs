//! The coefficients of a block out of the coded data.

use crate::bits::Bits;
use crate::huffman::{END, Table};

/// Coefficients of a block, by column: the one of horizontal frequency `u` and vertical frequency `v` is at `8 * u + v`.
pub(crate) type Block = [i16; 64];

/// Bits after the point of a multiplier.
pub(crate) const MULTIPLIER_BITS: u32 = 12;

/// Where in a [`Block`] the coefficients go that a file gives in zigzag order.
const PLACES: [u8; 64] = places();

/// What the blocks of a component are coded with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coding<'a> {
    pub(crate) constant: &'a Table,
    pub(crate) varying: &'a Table,
    /// What the coefficients are multiplied with, in zigzag order, with [`MULTIPLIER_BITS`] bits after the point.
    pub(crate) multipliers: [i32; 64],
}

impl Coding<'_> {
    /// Reads a block. Coefficients after position `last` of the zigzag order, at least 1, may be left out. Gives the
    /// position of the last one that was stored, at most `last`; `None` when the data are no such block.
    ///
    /// `block` must hold zeros. `constant` is the constant part of the component's block before, and becomes that of this one.
    #[inline(never)]
    pub(crate) fn read(
        &self,
        reader: &mut Bits<'_>,
        last: u32,
        constant: &mut i32,
        block: &mut Block,
    ) -> Option<u32> {
        let mut bits = *reader;
        bits.refill();
        *constant = constant.wrapping_add(self.constant.step(&mut bits)?.value);
        block[0] = scale(*constant, self.multipliers[0]);
        let (mut at, mut filled) = (0, 0);
        'block: loop {
            for _ in 0..4 {
                let step = self.varying.step(&mut bits)?;
                at += step.advance;
                if at > 63 {
                    break 'block;
                }
                let index = at as usize & 63;
                block[usize::from(PLACES[index]) & 63] = scale(step.value, self.multipliers[index]);
                filled = at;
                if at >= last {
                    break 'block;
                }
            }
            bits.refill();
        }
        while at < 63 {
            bits.refill();
            at = self.varying.leap(at, &mut bits)?;
        }
        *reader = bits;
        // A run of zeros that leads out of the block is a sign of damage.
        (at == 63 || at >= END).then_some(filled.min(last))
    }

    /// Reads the constant part of a block and passes over the rest.
    pub(crate) fn only_constant(
        &self,
        bits: &mut Bits<'_>,
        constant: &mut i32,
        block: &mut Block,
    ) -> Option<()> {
        self.pass_over(bits, constant)?;
        block[0] = scale(*constant, self.multipliers[0]);
        Some(())
    }

    /// Passes over a block, apart from its constant part.
    #[inline(never)]
    pub(crate) fn pass_over(&self, reader: &mut Bits<'_>, constant: &mut i32) -> Option<()> {
        let mut bits = *reader;
        bits.refill();
        *constant = constant.wrapping_add(self.constant.step(&mut bits)?.value);
        let mut at = 0;
        'block: loop {
            for _ in 0..4 {
                at = self.varying.leap(at, &mut bits)?;
                if at >= 63 {
                    break 'block;
                }
            }
            bits.refill();
        }
        *reader = bits;
        (at == 63 || at >= END).then_some(())
    }
}

#[inline(always)]
fn scale(value: i32, multiplier: i32) -> i16 {
    let half = 1 << (MULTIPLIER_BITS - 1);
    (value.wrapping_mul(multiplier).wrapping_add(half) >> MULTIPLIER_BITS) as i16
}

/// Multiplies coefficients in zigzag order into a block of zeros, up to position `last`. Gives the position of the last one
/// that is not zero.
pub(crate) fn multiply(
    coefficients: &[i16; 64],
    multipliers: &[i32; 64],
    last: u32,
    block: &mut Block,
) -> u32 {
    let mut filled = 0;
    for position in 0..=last as usize & 63 {
        let value = coefficients[position];
        if value != 0 {
            let place = usize::from(PLACES[position]) & 63;
            block[place] = scale(i32::from(value), multipliers[position]);
            filled = position as u32;
        }
    }
    filled
}

/// Walks the diagonals of the zigzag order.
const fn places() -> [u8; 64] {
    let mut places = [0; 64];
    let (mut u, mut v) = (0u8, 0u8);
    let mut index = 0;
    while index < 64 {
        places[index] = 8 * u + v;
        let upwards = (u + v) % 2 == 0;
        if upwards {
            if u == 7 {
                v += 1;
            } else if v == 0 {
                u += 1;
            } else {
                u += 1;
                v -= 1;
            }
        } else if v == 7 {
            u += 1;
        } else if u == 0 {
            v += 1;
        } else {
            u -= 1;
            v += 1;
        }
        index += 1;
    }
    places
}

/// The frequencies `(u, v)` of the coefficient at a position of the zigzag order, 0 to 63.
pub(crate) fn frequencies(position: usize) -> (usize, usize) {
    let place = usize::from(PLACES[position & 63]);
    (place / 8, place % 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zigzag() {
        let start: Vec<_> = (0..10).map(frequencies).collect();
        let expected = [
            (0, 0),
            (1, 0),
            (0, 1),
            (0, 2),
            (1, 1),
            (2, 0),
            (3, 0),
            (2, 1),
            (1, 2),
            (0, 3),
        ];
        assert_eq!(start, expected);
        assert_eq!(frequencies(28), (7, 0));
        assert_eq!(frequencies(35), (0, 7));
        assert_eq!(frequencies(61), (7, 6));
        assert_eq!(frequencies(62), (6, 7));
        let mut all: Vec<_> = (0..64).map(frequencies).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 64);
    }
}
