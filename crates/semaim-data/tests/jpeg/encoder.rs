//! A small JPEG encoder for tests: any sampling factors, restart intervals, orientations, grey.
//!
//! The transforms are those of the definition, in floating point. The Huffman code has the lengths of the usual one for
//! luma, 2 to 16 bits, with the symbols in an order of its own.

use std::f64::consts::PI;

/// How many codes of 1 to 16 bits there are, for constant parts and for the other coefficients.
const CONSTANT: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const VARYING: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];

/// What to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Columns and rows.
    pub(crate) size: [usize; 2],
    /// Blocks per unit across and down of the first component; the others have one. `None` is a grey picture.
    pub(crate) sampling: Option<[usize; 2]>,
    /// The quantisation step of the lowest frequency; that of the highest is 15 times as large for a slope of 1.
    pub(crate) step: u8,
    /// How much faster than that the steps grow.
    pub(crate) slope: u8,
    /// Units between restart markers, or 0.
    pub(crate) restart: u16,
    /// The orientation in EXIF, or 0 for none.
    pub(crate) orientation: u8,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            size: [64, 48],
            sampling: Some([1, 1]),
            step: 2,
            slope: 0,
            restart: 0,
            orientation: 0,
        }
    }
}

/// Writes a picture whose YCbCr samples (0 to 255) are given by a formula of column and row.
pub(crate) fn encode(options: &Options, picture: impl Fn(usize, usize) -> [f64; 3]) -> Vec<u8> {
    let [width, height] = options.size;
    let [across, down] = options.sampling.unwrap_or([1, 1]);
    let components: Vec<[usize; 2]> = match options.sampling {
        None => vec![[1, 1]],
        Some(blocks) => vec![blocks, [1, 1], [1, 1]],
    };
    let steps: Vec<u8> = (0..64)
        .map(|position| {
            let (u, v) = zigzag(position);
            let step = usize::from(options.step) + usize::from(options.slope) * (u + v);
            step.min(255) as u8
        })
        .collect();
    let mut out = vec![0xFF, 0xD8];
    if options.orientation > 0 {
        let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        exif.extend([options.orientation, 0, 0, 0, 0, 0, 0, 0]);
        segment(&mut out, 0xE1, &exif);
    }
    segment(&mut out, 0xDB, &[&[0], &steps[..]].concat());
    let mut frame = vec![8];
    frame.extend((height as u16).to_be_bytes());
    frame.extend((width as u16).to_be_bytes());
    frame.push(components.len() as u8);
    let mut scan = vec![components.len() as u8];
    for (id, blocks) in (1..).zip(&components) {
        frame.extend([id, (blocks[0] << 4 | blocks[1]) as u8, 0]);
        scan.extend([id, 0]);
    }
    scan.extend([0, 63, 0]);
    segment(&mut out, 0xC0, &frame);
    let constant: Vec<u8> = (0..12).collect();
    let varying = varying_symbols();
    for (kind, counts, symbols) in [(0, CONSTANT, &constant), (0x10, VARYING, &varying)] {
        segment(&mut out, 0xC4, &[&[kind], &counts[..], symbols].concat());
    }
    if options.restart > 0 {
        segment(&mut out, 0xDD, &options.restart.to_be_bytes());
    }
    segment(&mut out, 0xDA, &scan);
    let constant = codes(&CONSTANT, &constant);
    let varying = codes(&VARYING, &varying);
    let mut bits = Bits::default();
    let mut before = [0; 3];
    let units = [width.div_ceil(8 * across), height.div_ceil(8 * down)];
    for unit in 0..units[0] * units[1] {
        if options.restart > 0 && unit > 0 && unit % usize::from(options.restart) == 0 {
            let number = unit / usize::from(options.restart) - 1;
            bits.flush();
            bits.bytes.extend([0xFF, 0xD0 + (number % 8) as u8]);
            before = [0; 3];
        }
        for (channel, blocks) in components.iter().enumerate() {
            // Columns and rows of the picture per sample.
            let ratio = [across / blocks[0], down / blocks[1]];
            for dy in 0..blocks[1] {
                for dx in 0..blocks[0] {
                    let left = (unit % units[0] * blocks[0] + dx) * 8;
                    let top = (unit / units[0] * blocks[1] + dy) * 8;
                    let samples = |x: usize, y: usize| {
                        mean(options.size, [left + x, top + y], ratio, |x, y| {
                            picture(x, y)[channel]
                        })
                    };
                    let block = quantised(&samples, &steps);
                    write_block(&mut bits, &block, &mut before[channel], &constant, &varying);
                }
            }
        }
    }
    bits.flush();
    out.extend(bits.bytes);
    out.extend([0xFF, 0xD9]);
    out
}

fn segment(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
    out.extend([0xFF, marker]);
    out.extend((body.len() as u16 + 2).to_be_bytes());
    out.extend(body);
}

/// The mean of the pixels under a sample; beyond the edges the outermost go on.
fn mean(
    size: [usize; 2],
    [x, y]: [usize; 2],
    ratio: [usize; 2],
    picture: impl Fn(usize, usize) -> f64,
) -> f64 {
    let mut sum = 0.0;
    for dy in 0..ratio[1] {
        for dx in 0..ratio[0] {
            let x = (x * ratio[0] + dx).min(size[0] - 1);
            let y = (y * ratio[1] + dy).min(size[1] - 1);
            sum += picture(x, y);
        }
    }
    (sum / (ratio[0] * ratio[1]) as f64)
        .round()
        .clamp(0.0, 255.0)
}

/// The quantised coefficients of a block in zigzag order.
fn quantised(samples: &impl Fn(usize, usize) -> f64, steps: &[u8]) -> Vec<i32> {
    let wave = |x: usize, k: usize| {
        let weight = if k == 0 { 0.5f64.sqrt() } else { 1.0 };
        weight / 2.0 * ((2 * x + 1) as f64 * k as f64 * PI / 16.0).cos()
    };
    let table: Vec<f64> = (0..64).map(|i| wave(i / 8, i % 8)).collect();
    // Along rows first: one sum per row and horizontal frequency.
    let mut rows = [[0.0; 8]; 8];
    for (y, row) in rows.iter_mut().enumerate() {
        for x in 0..8 {
            let sample = samples(x, y) - 128.0;
            for (u, sum) in row.iter_mut().enumerate() {
                *sum += sample * table[8 * x + u];
            }
        }
    }
    (0..64)
        .map(|position| {
            let (u, v) = zigzag(position);
            let sum: f64 = (0..8).map(|y| rows[y][u] * table[8 * y + v]).sum();
            (sum / f64::from(steps[position])).round() as i32
        })
        .collect()
}

/// The frequencies at a position of the zigzag order: along diagonals, every other one backwards.
fn zigzag(position: usize) -> (usize, usize) {
    let mut all: Vec<(usize, usize)> = (0..64).map(|i| (i % 8, i / 8)).collect();
    all.sort_by_key(|&(u, v)| (u + v, if (u + v) % 2 == 0 { u } else { v }));
    all[position]
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

fn write_block(
    bits: &mut Bits,
    block: &[i32],
    before: &mut i32,
    constant: &[(u32, u32)],
    varying: &[(u32, u32)],
) {
    let difference = block[0] - *before;
    *before = block[0];
    let size = 32 - difference.unsigned_abs().leading_zeros();
    bits.put(constant[size as usize]);
    bits.put_number(difference, size);
    let mut run = 0;
    for &value in &block[1..] {
        if value == 0 {
            run += 1;
            continue;
        }
        while run > 15 {
            bits.put(varying[0xF0]);
            run -= 16;
        }
        let size = 32 - value.unsigned_abs().leading_zeros();
        bits.put(varying[run << 4 | size as usize]);
        bits.put_number(value, size);
        run = 0;
    }
    if run > 0 {
        bits.put(varying[0]);
    }
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    buffer: u64,
    count: u32,
}

impl Bits {
    fn put(&mut self, (code, length): (u32, u32)) {
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
    fn flush(&mut self) {
        let missing = (8 - self.count % 8) % 8;
        self.put(((1 << missing) - 1, missing));
    }
}
