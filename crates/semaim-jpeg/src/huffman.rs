//! Tables that undo the Huffman code of a scan.

use crate::bits::Bits;

/// How many bits are looked up at once.
const WIDTH: u32 = 11;

/// How far [`Step::advance`] goes at the end of a block: past every position that a run of zeros can lead to.
pub(crate) const END: u32 = 128;

/// The largest number of bits of a code.
const LONGEST: usize = 16;

/// The code of a table as the file gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code<'a> {
    /// How many codes of 1 to 16 bits there are.
    pub(crate) counts: &'a [u8; LONGEST],
    /// What the codes mean, the shortest first.
    pub(crate) symbols: &'a [u8],
}

/// A code in a form in which symbols are found by length.
#[derive(Clone, Debug)]
pub(crate) struct Symbols {
    /// What the codes mean; zeros after the last.
    symbols: [u8; 256],
    /// By length of the code: the first 16 bits that are too large for it.
    limits: [u32; LONGEST + 1],
    /// By length of the code: what to add to it for the place of its symbol.
    offsets: [i32; LONGEST + 1],
}

impl Symbols {
    /// Prepares a code; `None` when it is none. `enter` is told every symbol with its code and the length of that.
    pub(crate) fn new(code: Code<'_>, mut enter: impl FnMut(u8, u32, u32)) -> Option<Self> {
        let total: usize = code.counts.iter().map(|&n| usize::from(n)).sum();
        let mut symbols = [0; 256];
        symbols
            .get_mut(..total)?
            .copy_from_slice(code.symbols.get(..total)?);
        let mut table = Self {
            symbols,
            limits: [0; LONGEST + 1],
            offsets: [0; LONGEST + 1],
        };
        let mut next = 0u32;
        let mut place = 0usize;
        for (length, &count) in (1u32..).zip(code.counts) {
            let after = next + u32::from(count);
            if after > 1 << length {
                return None;
            }
            let index = length as usize;
            *table.limits.get_mut(index)? = after << (16 - length);
            *table.offsets.get_mut(index)? = place as i32 - next as i32;
            for &symbol in symbols.get(place..place + usize::from(count))? {
                enter(symbol, next, length);
                next += 1;
            }
            place += usize::from(count);
            next <<= 1;
        }
        Some(table)
    }

    /// The symbol whose code the next 16 bits start with, and the length of the code.
    pub(crate) fn find(&self, ahead: u32) -> Option<(u8, u32)> {
        let length =
            (1..=LONGEST).find(|&n| self.limits.get(n).is_some_and(|&limit| ahead < limit))?;
        let offset = self.offsets.get(length).copied()?;
        let place = (ahead >> (LONGEST - length)) as i32 + offset;
        let symbol = self.symbols.get(usize::try_from(place).ok()?).copied()?;
        Some((symbol, length as u32))
    }
}

/// What the symbols of a code are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The bits of a difference between constant parts.
    Constant,
    /// A run of zeros and the bits of the coefficient after it.
    Varying,
}

/// A symbol with the coefficient that follows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// How many coefficients further this one is, counting itself: 1 to 16, or [`END`].
    pub(crate) advance: u32,
    /// The coefficient before multiplication; 0 for the end of a block and for 16 zeros.
    pub(crate) value: i32,
}

/// A code in a form that is quick to undo.
#[derive(Debug)]
pub(crate) struct Table {
    kind: Kind,
    counts: [u8; LONGEST],
    symbols: Symbols,
    /// By the next [`WIDTH`] bits: where symbol and coefficient fit in them, `value << 16 | advance << 8 | bits`;
    /// where only the symbol does, `size << 16 | advance << 8 | 0x80 | bits`; 0 where the code is longer or there is none.
    steps: Box<[u32; 1 << WIDTH]>,
    /// By the next [`WIDTH`] bits, for all the steps that fit in them: `advance << 8 | end << 4 | bits`, where `end`
    /// is 1 when the last of them ends the block (that one is not in `advance`); 0 when not even one fits.
    strides: Box<[u16; 1 << WIDTH]>,
}

impl Table {
    /// Prepares a code; `None` when it is none. Symbols without a meaning are refused where they are met.
    pub(crate) fn new(code: Code<'_>, kind: Kind) -> Option<Self> {
        let mut steps = Box::new([0u32; 1 << WIDTH]);
        let symbols = Symbols::new(code, |symbol, code, length| {
            enter(&mut steps[..], Self::meaning(kind, symbol), code, length);
        })?;
        let mut table = Self {
            kind,
            counts: *code.counts,
            symbols,
            steps,
            strides: Box::new([0; 1 << WIDTH]),
        };
        if kind == Kind::Varying {
            for bits in 0..1 << WIDTH {
                table.strides[bits] = table.stride(bits as u32);
            }
        }
        Some(table)
    }

    /// Whether this table is that of `code`.
    pub(crate) fn is_of(&self, code: Code<'_>, kind: Kind) -> bool {
        self.kind == kind
            && self.counts == *code.counts
            && self.symbols.symbols.get(..code.symbols.len()) == Some(code.symbols)
    }

    /// The advance and the number of bits of the coefficient that a symbol stands for.
    fn meaning(kind: Kind, symbol: u8) -> Option<(u32, u32)> {
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        match kind {
            Kind::Constant if symbol <= 11 => Some((1, size)),
            Kind::Constant => None,
            // Without a coefficient only 16 zeros make sense; libjpeg takes the others, which belong to the progressive
            // process, for the end.
            Kind::Varying if size == 0 && run < 15 => Some((END, 0)),
            Kind::Varying => Some((run + 1, size)),
        }
    }

    /// The entry of `strides` for the given bits.
    fn stride(&self, bits: u32) -> u16 {
        let (mut used, mut advance) = (0, 0);
        loop {
            let ahead = bits << used & ((1 << WIDTH) - 1);
            let step = self.steps.get(ahead as usize).copied().unwrap_or_default();
            let (length, ahead) = (step & 0xFF, step >> 8 & 0xFF);
            if length == 0 || length & 0x80 != 0 || used + length > WIDTH {
                return (advance << 8 | used) as u16;
            }
            used += length;
            if ahead == END {
                return (advance << 8 | 0x10 | used) as u16;
            }
            advance += ahead;
        }
    }

    /// Takes the next symbol and its coefficient from a reader that was just filled, or from which at most four such
    /// steps and a constant part were taken since. `None` when there is no such code.
    #[inline(always)]
    pub(crate) fn step(&self, bits: &mut Bits<'_>) -> Option<Step> {
        let step = self.steps[bits.peek(WIDTH) as usize];
        let advance = step >> 8 & 0xFF;
        if (1..0x80).contains(&(step & 0xFF)) {
            bits.take(step & 0x3F);
            let value = step as i32 >> 16;
            return Some(Step { advance, value });
        }
        let (after, step) = self.long_step(step, *bits)?;
        *bits = after;
        Some(step)
    }

    /// A step whose code or coefficient does not fit in the bits that are looked up. It leaves the reader filled.
    #[inline(never)]
    fn long_step<'b>(&self, step: u32, mut bits: Bits<'b>) -> Option<(Bits<'b>, Step)> {
        bits.refill();
        let (length, advance, size) = if step != 0 {
            (step & 0x3F, step >> 8 & 0xFF, step >> 16)
        } else {
            let (symbol, length) = self.symbols.find(bits.peek(LONGEST as u32))?;
            let (advance, size) = Self::meaning(self.kind, symbol)?;
            (length, advance, size)
        };
        bits.take(length);
        let value = match size {
            0 => 0,
            _ => extend(bits.peek(size), size),
        };
        bits.take(size);
        bits.refill();
        Some((bits, Step { advance, value }))
    }

    /// Passes over as many steps from position `at` on as can be looked up at once, and gives the position reached: 63 or
    /// [`END`] and more at the end of the block. `None` when there is no such code.
    #[inline(always)]
    pub(crate) fn leap(&self, at: u32, bits: &mut Bits<'_>) -> Option<u32> {
        let stride = self.strides[bits.peek(WIDTH) as usize];
        let stride = u32::from(stride);
        let (length, end) = (stride & 0xF, stride & 0x10);
        let reached = at + (stride >> 8);
        // At position 63 a block ends without saying so, and what follows is of another table.
        if length != 0 && reached < 63 {
            bits.take(length);
            return Some(if end != 0 { END } else { reached });
        }
        let step = self.step(bits)?;
        Some(at + step.advance)
    }
}

/// Fills in the places of `steps` that start with a code of `length` bits.
fn enter(steps: &mut [u32], meaning: Option<(u32, u32)>, code: u32, length: u32) {
    let (Some((advance, size)), Some(free)) = (meaning, WIDTH.checked_sub(length)) else {
        return;
    };
    let first = (code << free) as usize;
    let places = steps.get_mut(first..first + (1 << free));
    for (rest, place) in (0u32..).zip(places.unwrap_or_default()) {
        *place = match free.checked_sub(size) {
            Some(free) => {
                let value = extend(rest >> free, size);
                (value as u32) << 16 | advance << 8 | (length + size)
            }
            None => size << 16 | advance << 8 | 0x80 | length,
        };
    }
}

/// The coefficient that is written as `bits`, a number of `size` bits.
#[inline(always)]
pub(crate) fn extend(bits: u32, size: u32) -> i32 {
    // The lower half are the negative numbers.
    let negative = (bits >> size.saturating_sub(1)) == 0;
    bits as i32 - if negative { (1 << size) - 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes 0, 10, 110, 1110, ... of 1 to 16 bits.
    fn ladder(symbols: &[u8]) -> Code<'_> {
        Code {
            counts: &[1; 16],
            symbols,
        }
    }

    /// Bits as text to bytes, filled up with ones.
    fn bytes(text: &str) -> Vec<u8> {
        let bits: Vec<u8> = text
            .bytes()
            .filter(|b| *b != b' ')
            .map(|b| b - b'0')
            .collect();
        bits.chunks(8)
            .map(|byte| {
                let padded = byte.iter().chain([1; 8].iter()).take(8);
                padded.fold(0, |value, bit| value << 1 | bit)
            })
            .collect()
    }

    #[test]
    fn values_are_extended() {
        assert_eq!([0, 1].map(|bits| extend(bits, 1)), [-1, 1]);
        assert_eq!([0, 1, 2, 3].map(|bits| extend(bits, 2)), [-3, -2, 2, 3]);
        assert_eq!(extend(0, 10), -1023);
        assert_eq!(extend(512, 10), 512);
        assert_eq!(extend(0, 0), 0);
    }

    #[test]
    fn short_and_long_codes() {
        let symbols = [
            0x01, 0x00, 0xF0, 0x33, 0x0A, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x21,
            0x22, 0x2A,
        ];
        let table = Table::new(ladder(&symbols), Kind::Varying).unwrap();
        let text = "0 1  1110 101  11110 0000000000  110  1111111111111110 1000000000  1111111111110 11111111  10";
        let data = bytes(text);
        // The reader takes no stuffing out of these: a zero follows no byte of ones.
        let stuffed: Vec<u8> = data
            .iter()
            .flat_map(|&b| if b == 0xFF { vec![b, 0] } else { vec![b] })
            .collect();
        let expected = [
            (1, 1),
            (4, 5),
            (1, -1023),
            (16, 0),
            (3, 512),
            (2, 255),
            (END, 0),
        ];
        let mut bits = Bits::new(&stuffed);
        for expected in expected {
            bits.refill();
            let step = table.step(&mut bits).unwrap();
            assert_eq!((step.advance, step.value), expected);
        }
        assert!(!bits.overdrawn());
    }

    #[test]
    fn leaps_are_steps() {
        let symbols = [
            0x01, 0x00, 0xF0, 0x33, 0x0A, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x21,
            0x22, 0x2A,
        ];
        let table = Table::new(ladder(&symbols), Kind::Varying).unwrap();
        let mut state = 1u32;
        for _ in 0..2000 {
            let data: Vec<u8> = (0..64)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Never a byte of ones, for there would have to be a zero after it.
                    (state >> 24) as u8 & 0xFE
                })
                .collect();
            let (mut one, mut many) = (Bits::new(&data), Bits::new(&data));
            let mut at = 0;
            while at < 63 {
                one.refill();
                at += table.step(&mut one).unwrap().advance;
            }
            let mut reached = 0;
            while reached < 63 {
                many.refill();
                reached = table.leap(reached, &mut many).unwrap();
            }
            assert_eq!(at >= END, reached >= END);
            one.refill();
            many.refill();
            assert_eq!(one.peek(32), many.peek(32));
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        let three = Code {
            counts: &counts,
            symbols: &[1, 2, 3],
        };
        assert!(Table::new(three, Kind::Varying).is_none());
        assert!(Table::new(ladder(&[1; 15]), Kind::Varying).is_none());
        // A symbol that means nothing is refused where it is met.
        let table = Table::new(ladder(&[12; 16]), Kind::Constant).unwrap();
        let mut bits = Bits::new(&[0; 8]);
        bits.refill();
        assert!(table.step(&mut bits).is_none());
        // One of the progressive process ends the block.
        let table = Table::new(ladder(&[0x10; 16]), Kind::Varying).unwrap();
        assert_eq!(table.step(&mut bits).unwrap().advance, END);
        // Sixteen ones are no code.
        let table = Table::new(ladder(&[1; 16]), Kind::Varying).unwrap();
        let mut bits = Bits::new(&[0xFF, 0, 0xFF, 0, 0xFF, 0]);
        bits.refill();
        assert!(table.step(&mut bits).is_none());
    }
}
