//! The Huffman code of the encoder for tests: its tables, and how numbers are written with it.

use std::mem;

use super::segment;

/// How many codes of 1 to 16 bits there are, for constant parts and for the other coefficients.
const CONSTANT: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const VARYING: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];

/// The codes: symbols and their lengths.
pub(super) struct Tables {
    constant: Vec<u8>,
    varying: Vec<u8>,
    varying_counts: [u8; 16],
    constant_codes: Vec<(u32, u32)>,
    varying_codes: Vec<(u32, u32)>,
}

impl Tables {
    pub(super) fn new(progressive: bool) -> Self {
        let mut varying = varying_symbols();
        let mut varying_counts = VARYING;
        if progressive {
            // Ends of several blocks, too, and ten bits for each.
            varying.extend((1..15).map(|run| run << 4));
            varying_counts = [0; 16];
            varying_counts[9] = varying.len() as u8;
        }
        let constant: Vec<u8> = (0..12).collect();
        Self {
            constant_codes: codes(&CONSTANT, &constant),
            varying_codes: codes(&varying_counts, &varying),
            constant,
            varying,
            varying_counts,
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for (kind, counts, symbols) in [
            (0, &CONSTANT, &self.constant),
            (0x10, &self.varying_counts, &self.varying),
        ] {
            segment(out, 0xC4, &[&[kind], &counts[..], symbols].concat());
        }
    }

    fn constant(&self, symbol: u32) -> (u32, u32) {
        self.constant_codes[symbol as usize]
    }

    pub(super) fn varying(&self, symbol: u32) -> (u32, u32) {
        self.varying_codes[symbol as usize]
    }
}

/// All runs with all sizes, those of small numbers first.
fn varying_symbols() -> Vec<u8> {
    let mut symbols: Vec<(u8, u8)> = (0..16)
        .flat_map(|run| (1..=10).map(move |size| (run, size)))
        .collect();
    symbols.sort_by_key(|&(run, size)| (run + 2 * size, run));
    let mut symbols: Vec<u8> = symbols.iter().map(|(run, size)| run << 4 | size).collect();
    symbols.insert(2, 0);
    symbols.insert(20, 0xF0);
    symbols
}

/// By symbol, its code and the length of it.
fn codes(counts: &[u8; 16], symbols: &[u8]) -> Vec<(u32, u32)> {
    let mut out = vec![(0, 0); 256];
    let mut symbols = symbols.iter();
    let mut code = 0;
    for (length, &count) in (1..).zip(counts) {
        for &symbol in symbols.by_ref().take(usize::from(count)) {
            out[usize::from(symbol)] = (code, length);
            code += 1;
        }
        code <<= 1;
    }
    out
}

pub(super) fn write_constant(bits: &mut Bits, value: i32, before: &mut i32, tables: &Tables) {
    let difference = value - *before;
    *before = value;
    let size = 32 - difference.unsigned_abs().leading_zeros();
    bits.put(tables.constant(size));
    bits.put_number(difference, size);
}

/// A coefficient that is not 0, after a run of those that are.
pub(super) fn write_coefficient(bits: &mut Bits, mut run: u32, value: i32, tables: &Tables) {
    while run > 15 {
        bits.put(tables.varying(0xF0));
        run -= 16;
    }
    let size = 32 - value.unsigned_abs().leading_zeros();
    bits.put(tables.varying(run << 4 | size));
    bits.put_number(value, size);
}

pub(super) fn write_block(bits: &mut Bits, block: &[i32], before: &mut i32, tables: &Tables) {
    write_constant(bits, block[0], before, tables);
    let mut run = 0;
    for &value in &block[1..] {
        match value {
            0 => run += 1,
            value => write_coefficient(bits, mem::take(&mut run), value, tables),
        }
    }
    if run > 0 {
        bits.put(tables.varying(0));
    }
}

#[derive(Default)]
pub(super) struct Bits {
    pub(super) bytes: Vec<u8>,
    buffer: u64,
    count: u32,
}

impl Bits {
    pub(super) fn put(&mut self, (code, length): (u32, u32)) {
        self.buffer = self.buffer << length | u64::from(code);
        self.count += length;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.buffer >> self.count) as u8;
            self.bytes.push(byte);
            if byte == 0xFF {
                self.bytes.push(0);
            }
        }
    }

    fn put_number(&mut self, value: i32, size: u32) {
        let value = if value < 0 {
            value + (1 << size) - 1
        } else {
            value
        };
        self.put((value as u32, size));
    }

    /// Fills the last byte up with ones.
    pub(super) fn flush(&mut self) {
        let missing = (8 - self.count % 8) % 8;
        self.put(((1 << missing) - 1, missing));
    }
}
