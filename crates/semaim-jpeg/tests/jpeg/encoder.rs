//! A small JPEG encoder for tests: any sampling factors, restart intervals, orientations, gray.
//!
//! The transforms are those of the definition, in floating point. The Huffman code has the lengths of the usual one for
//! luma, 2 to 16 bits, with the symbols in an order of its own.

// Named by its path, as this file is a module of two programs.
#[path = "huffman.rs"]
mod huffman;

use std::f64::consts::PI;
use std::mem;
use std::sync::LazyLock;

use huffman::{Bits, Tables, write_block, write_coefficient, write_constant};

/// How the components are divided into scans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scans {
    /// All in one.
    Together,
    /// The scans given, in which components are counted from 0.
    Of(&'static [&'static [usize]]),
    /// Progressive: constant parts and bands of the others, each down to the second bit and then to the first.
    Progressive,
}

/// What to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Columns and rows.
    pub(crate) size: [usize; 2],
    /// Blocks per unit across and down of the first component (and of a fourth); the others have one. `None` is a gray
    /// picture.
    pub(crate) sampling: Option<[usize; 2]>,
    /// Whether there is a fourth component, like the first.
    pub(crate) four: bool,
    /// The quantization step of the lowest frequency; that of the highest is 15 times as large for a slope of 1.
    pub(crate) step: u8,
    /// How much faster than that the steps grow.
    pub(crate) slope: u8,
    /// Units between restart markers, or 0.
    pub(crate) restart: u16,
    /// The orientation in EXIF, or 0 for none.
    pub(crate) orientation: u8,
    pub(crate) scans: Scans,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            size: [64, 48],
            sampling: Some([1, 1]),
            four: false,
            step: 2,
            slope: 0,
            restart: 0,
            orientation: 0,
            scans: Scans::Together,
        }
    }
}

/// The quantized blocks of a component, row by row, filled up to whole units.
struct Component {
    /// Blocks per unit.
    sampling: [usize; 2],
    blocks: Vec<Vec<i32>>,
    across: usize,
    /// Blocks across and down without those that only fill up units.
    own: [usize; 2],
}

/// What a scan tells of the coefficients.
#[derive(Clone, Copy)]
struct Pass {
    first: usize,
    last: usize,
    high: u32,
    low: u32,
}

/// Writes a picture whose YCbCr samples (0 to 255) are given by a formula of column and row; a fourth is the second.
pub(crate) fn encode(options: &Options, picture: impl Fn(usize, usize) -> [f64; 3]) -> Vec<u8> {
    let [width, height] = options.size;
    let [across, down] = options.sampling.unwrap_or([1, 1]);
    let mut samplings: Vec<[usize; 2]> = match options.sampling {
        None => vec![[1, 1]],
        Some(blocks) => vec![blocks, [1, 1], [1, 1]],
    };
    if options.four {
        samplings.push([across, down]);
    }
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
    frame.push(samplings.len() as u8);
    for (id, blocks) in (1..).zip(&samplings) {
        frame.extend([id, (blocks[0] << 4 | blocks[1]) as u8, 0]);
    }
    let progressive = options.scans == Scans::Progressive;
    segment(&mut out, if progressive { 0xC2 } else { 0xC0 }, &frame);
    let tables = Tables::new(progressive);
    tables.write(&mut out);
    if options.restart > 0 {
        segment(&mut out, 0xDD, &options.restart.to_be_bytes());
    }
    let units = [width.div_ceil(8 * across), height.div_ceil(8 * down)];
    let components: Vec<Component> = samplings
        .iter()
        .enumerate()
        .map(|(channel, &blocks)| {
            // Columns and rows of the picture per sample.
            let ratio = [across / blocks[0], down / blocks[1]];
            let grid = [units[0] * blocks[0], units[1] * blocks[1]];
            let block = |place: usize| {
                let (left, top) = (place % grid[0] * 8, place / grid[0] * 8);
                let samples = |x: usize, y: usize| {
                    mean(options.size, [left + x, top + y], ratio, |x, y| {
                        picture(x, y)[if channel == 3 { 1 } else { channel }]
                    })
                };
                quantized(&samples, &steps)
            };
            Component {
                sampling: blocks,
                blocks: (0..grid[0] * grid[1]).map(block).collect(),
                across: grid[0],
                own: [
                    (width * blocks[0]).div_ceil(8 * across),
                    (height * blocks[1]).div_ceil(8 * down),
                ],
            }
        })
        .collect();
    let all: Vec<usize> = (0..components.len()).collect();
    let pass = |first, last, high, low| Pass {
        first,
        last,
        high,
        low,
    };
    let scans: Vec<(Vec<usize>, Pass)> = match options.scans {
        Scans::Together => vec![(all, pass(0, 63, 0, 0))],
        Scans::Of(scans) => {
            let scan = |&scan: &&[usize]| (scan.to_vec(), pass(0, 63, 0, 0));
            scans.iter().map(scan).collect()
        }
        Scans::Progressive => {
            let mut scans = vec![(all.clone(), pass(0, 0, 0, 1))];
            for &component in all.iter().rev() {
                for band in [[1, 5], [6, 63]] {
                    scans.push((vec![component], pass(band[0], band[1], 0, 2)));
                }
                scans.push((vec![component], pass(1, 63, 2, 1)));
            }
            scans.push((all.clone(), pass(0, 0, 1, 0)));
            scans.extend(all.iter().map(|&c| (vec![c], pass(1, 63, 1, 0))));
            scans
        }
    };
    for (members, pass) in scans {
        let mut scan = vec![members.len() as u8];
        scan.extend(members.iter().flat_map(|&member| [member as u8 + 1, 0]));
        scan.extend([
            pass.first as u8,
            pass.last as u8,
            (pass.high << 4 | pass.low) as u8,
        ]);
        segment(&mut out, 0xDA, &scan);
        let members: Vec<&Component> = members.iter().map(|&member| &components[member]).collect();
        let restart = usize::from(options.restart);
        out.extend(coded(&members, units, pass, restart, progressive, &tables));
    }
    out.extend([0xFF, 0xD9]);
    out
}

/// The coded data of a scan.
fn coded(
    members: &[&Component],
    units: [usize; 2],
    pass: Pass,
    restart: usize,
    progressive: bool,
    tables: &Tables,
) -> Vec<u8> {
    let mut bits = Bits::default();
    let mut before = [0; 4];
    let mut ended = Ended::default();
    // A component alone has its blocks row by row.
    let (units, alone) = match members {
        [only] => (only.own, true),
        _ => (units, false),
    };
    for unit in 0..units[0] * units[1] {
        if restart > 0 && unit > 0 && unit % restart == 0 {
            ended.write(&mut bits, tables);
            bits.flush();
            bits.bytes
                .extend([0xFF, 0xD0 + ((unit / restart - 1) % 8) as u8]);
            before = [0; 4];
        }
        for (member, before) in members.iter().zip(&mut before) {
            let blocks = if alone { [1, 1] } else { member.sampling };
            for dy in 0..blocks[1] {
                for dx in 0..blocks[0] {
                    let x = unit % units[0] * blocks[0] + dx;
                    let y = unit / units[0] * blocks[1] + dy;
                    let block = &member.blocks[y * member.across + x];
                    match (progressive, pass.first, pass.high) {
                        (false, ..) => write_block(&mut bits, block, before, tables),
                        (true, 0, 0) => {
                            write_constant(&mut bits, block[0] >> pass.low, before, tables);
                        }
                        (true, 0, _) => bits.put(((block[0] >> pass.low & 1) as u32, 1)),
                        (true, _, 0) => write_band(&mut bits, block, pass, &mut ended, tables),
                        (true, ..) => refine_band(&mut bits, block, pass, &mut ended, tables),
                    }
                }
            }
        }
    }
    ended.write(&mut bits, tables);
    bits.flush();
    bits.bytes
}

/// Blocks of a band that have no further coefficients and are not told yet, with their corrections.
#[derive(Default)]
struct Ended {
    blocks: u32,
    corrections: Vec<u32>,
}

impl Ended {
    fn write(&mut self, bits: &mut Bits, tables: &Tables) {
        if self.blocks > 0 {
            let size = 31 - self.blocks.leading_zeros();
            bits.put(tables.varying(size << 4));
            bits.put((self.blocks - (1 << size), size));
        }
        for &bit in &self.corrections {
            bits.put((bit, 1));
        }
        *self = Self::default();
    }
}

/// The first bits of a band.
fn write_band(bits: &mut Bits, block: &[i32], pass: Pass, ended: &mut Ended, tables: &Tables) {
    let mut run = 0;
    for &value in &block[pass.first..=pass.last] {
        let value = value.signum() * (value.abs() >> pass.low);
        if value == 0 {
            run += 1;
            continue;
        }
        ended.write(bits, tables);
        write_coefficient(bits, mem::take(&mut run), value, tables);
    }
    if run > 0 {
        ended.blocks += 1;
    }
    if ended.blocks == 0x7FFF {
        ended.write(bits, tables);
    }
}

/// One more bit of a band.
fn refine_band(bits: &mut Bits, block: &[i32], pass: Pass, ended: &mut Ended, tables: &Tables) {
    let size = |at: usize| block[at].unsigned_abs() >> pass.low;
    let newest = (pass.first..=pass.last).rev().find(|&at| size(at) == 1);
    let (mut run, mut corrections) = (0, Vec::new());
    let band = block.iter().enumerate().take(pass.last + 1);
    for (at, &value) in band.skip(pass.first) {
        match size(at) {
            0 => {
                run += 1;
                continue;
            }
            _ if newest.is_some_and(|newest| at <= newest) => {
                while run > 15 {
                    ended.write(bits, tables);
                    bits.put(tables.varying(0xF0));
                    corrections.drain(..).for_each(|bit| bits.put((bit, 1)));
                    run -= 16;
                }
            }
            _ => {}
        }
        if size(at) > 1 {
            corrections.push(size(at) & 1);
            continue;
        }
        ended.write(bits, tables);
        bits.put(tables.varying(run << 4 | 1));
        bits.put((u32::from(value > 0), 1));
        corrections.drain(..).for_each(|bit| bits.put((bit, 1)));
        run = 0;
    }
    if run > 0 || !corrections.is_empty() {
        ended.blocks += 1;
        ended.corrections.append(&mut corrections);
        if ended.blocks == 0x7FFF {
            ended.write(bits, tables);
        }
    }
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

/// The quantized coefficients of a block in zigzag order.
fn quantized(samples: &impl Fn(usize, usize) -> f64, steps: &[u8]) -> Vec<i32> {
    static WAVES: LazyLock<Vec<f64>> = LazyLock::new(|| {
        let wave = |x: usize, k: usize| {
            let weight = if k == 0 { 0.5f64.sqrt() } else { 1.0 };
            weight / 2.0 * ((2 * x + 1) as f64 * k as f64 * PI / 16.0).cos()
        };
        (0..64).map(|i| wave(i / 8, i % 8)).collect()
    });
    let table = &*WAVES;
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
    static ALL: LazyLock<Vec<(usize, usize)>> = LazyLock::new(|| {
        let mut all: Vec<(usize, usize)> = (0..64).map(|i| (i % 8, i / 8)).collect();
        all.sort_by_key(|&(u, v)| (u + v, if (u + v) % 2 == 0 { u } else { v }));
        all
    });
    ALL[position]
}
