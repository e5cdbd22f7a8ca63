//! From the coefficients of a block to its samples, at full size or smaller.
//!
//! All arithmetic is that of whole numbers, so that samples are the same on every machine. The transform at full size
//! is that of Arai, Agui and Nakajima: five multiplications for eight values, the other factors are in the multipliers of
//! the coefficients. It works on eight rows or columns at once in plain loops over fixed arrays, each in a function
//! of its own, a form that compilers turn into vector instructions.

use crate::blocks::{Block, MULTIPLIER_BITS, frequencies};

/// Bits after the point of a coefficient.
const POINT: u32 = 5;

/// What is added to the constant part of a block: samples are centered on 128, and the last shift rounds down.
const CENTER: i16 = (128 << POINT) + (1 << (POINT - 1));

/// A row of eight numbers that are treated alike.
type Lanes = [i16; 8];

/// The square root of 2 times the cosine of `k` 32nds of a turn, but 1 for `k` = 0.
const FACTORS: [f64; 8] = [
    1.0,
    1.387_039_845_322_148,
    1.306_562_964_876_377,
    1.175_875_602_419_359,
    1.0,
    0.785_694_958_387_102_2,
    0.541_196_100_146_197,
    0.275_899_379_282_943_1,
];

/// The multipliers of the coefficients, in zigzag order, for blocks that become `size` x `size` samples (1, 2, 4, 8).
pub(crate) fn multipliers(steps: &[u16; 64], size: usize) -> [i32; 64] {
    std::array::from_fn(|position| {
        let (u, v) = frequencies(position);
        let factor = if size == 8 {
            FACTORS[u] * FACTORS[v]
        } else {
            1.0
        };
        let point = f64::from(1 << (POINT + MULTIPLIER_BITS));
        (f64::from(steps[position]) * factor / 8.0 * point).round() as i32
    })
}

/// The last position of the zigzag order that matters for blocks of `size` x `size` samples.
pub(crate) fn last_position(size: usize) -> u32 {
    match size {
        1 => 0,
        2 => 4,
        4 => 24,
        _ => 63,
    }
}

/// Writes the samples of a block, `size` x `size`, where `target` starts.
#[inline]
pub(crate) fn write_block(
    block: &mut Block,
    last: u32,
    size: usize,
    target: &mut [u8],
    stride: usize,
) {
    match size {
        8 => {
            let mut out = [[0; 8]; 8];
            eight(block, last, &mut out);
            store(&out, target, stride);
        }
        4 => {
            let mut out = [[0; 4]; 4];
            four(block, &mut out);
            store(&out, target, stride);
        }
        2 => store(&two(block), target, stride),
        _ => store(&[[one(block)]], target, stride),
    }
}

/// Writes the rows of a block where `target` starts.
#[inline(always)]
fn store<const N: usize>(rows: &[[u8; N]; N], target: &mut [u8], stride: usize) {
    for (row, target) in rows.iter().zip(target.chunks_mut(stride)) {
        if let Some(target) = target.first_chunk_mut::<N>() {
            *target = *row;
        }
    }
}

/// The samples of a block at full size. No coefficient after position `last` of the zigzag order may be set.
#[inline]
fn eight(block: &mut Block, last: u32, out: &mut [[u8; 8]; 8]) {
    block[0] = block[0].saturating_add(CENTER);
    if last == 0 {
        *out = [[sample(block[0].into()); 8]; 8];
        return;
    }
    let (mut a, mut b) = ([[0; 8]; 8], [[0; 8]; 8]);
    // Up to this position both frequencies are below four.
    let pass = if last <= 9 { low_pass } else { full_pass };
    let (columns, _) = block.as_chunks();
    if let Some(columns) = columns.first_chunk() {
        pass(columns, &mut a);
    }
    shuffle(&a, &mut b);
    shuffle(&b, &mut a);
    shuffle(&a, &mut b);
    pass(&b, &mut a);
    pack(&a, out);
}

/// The samples of a block at half the size.
fn four(block: &Block, out: &mut [[u8; 4]; 4]) {
    // By column, the values of its four rows.
    let mut columns = [[0; 4]; 4];
    for (u, column) in columns.iter_mut().enumerate() {
        *column = four_values(std::array::from_fn(|v| block[8 * u + v].into()));
    }
    for (y, row) in out.iter_mut().enumerate() {
        let values = four_values(std::array::from_fn(|u| columns[u][y]));
        *row = values.map(|value| sample(value + i32::from(CENTER)));
    }
}

/// The samples of a block at a quarter of the size.
fn two(block: &Block) -> [[u8; 2]; 2] {
    let [a, b, c, d] = [0, 8, 1, 9].map(|place: usize| i32::from(block[place]));
    let center = i32::from(CENTER);
    [
        [
            sample(a + b + c + d + center),
            sample(a - b + c - d + center),
        ],
        [
            sample(a + b - c - d + center),
            sample(a - b - c + d + center),
        ],
    ]
}

/// The only sample of a block at an eighth of the size.
fn one(block: &Block) -> u8 {
    sample(i32::from(block[0]) + i32::from(CENTER))
}

/// Four values of four coefficients.
fn four_values([a, b, c, d]: [i32; 4]) -> [i32; 4] {
    /// The square root of 2 times the cosine of a 16th of a turn, with 12 bits after the point.
    const LONG: i32 = 5352;
    /// The same of three 16ths.
    const SHORT: i32 = 2217;
    let (sum, difference) = (a + c, a - c);
    let outer = (b * LONG + d * SHORT + 2048) >> 12;
    let inner = (b * SHORT - d * LONG + 2048) >> 12;
    [
        sum + outer,
        difference + inner,
        difference - inner,
        sum - outer,
    ]
}

#[inline(always)]
fn sample(value: i32) -> u8 {
    (value >> POINT).clamp(0, 255) as u8
}

/// The one-dimensional transform of eight rows of coefficients, one frequency per row, to eight rows of values.
#[inline(never)]
fn full_pass(rows: &[Lanes; 8], out: &mut [Lanes; 8]) {
    *out = transform(rows);
}

/// The same where the last four rows are zeros.
#[inline(never)]
fn low_pass(rows: &[Lanes; 8], out: &mut [Lanes; 8]) {
    let none = [0; 8];
    let [a, b, c, d, ..] = *rows;
    *out = transform(&[a, b, c, d, none, none, none, none]);
}

#[inline(always)]
fn transform(rows: &[Lanes; 8]) -> [Lanes; 8] {
    let [in0, in1, in2, in3, in4, in5, in6, in7] = rows;
    // The even frequencies.
    let (outer, inner) = (add(in0, in4), sub(in0, in4));
    let sum = add(in2, in6);
    let difference = sub(&root_2(&sub(in2, in6)), &sum);
    let (even0, even3) = (add(&outer, &sum), sub(&outer, &sum));
    let (even1, even2) = (add(&inner, &difference), sub(&inner, &difference));
    // The odd ones.
    let (sum53, difference53) = (add(in5, in3), sub(in5, in3));
    let (sum17, difference17) = (add(in1, in7), sub(in1, in7));
    let odd7 = add(&sum17, &sum53);
    let across = root_2(&sub(&sum17, &sum53));
    let both = add(&difference53, &difference17);
    // Times 1.847759065, which is 2 - 9977 / 65536.
    let both = sub(&add(&both, &both), &high(&both, 9977));
    // Times 1.082392200, which is 1 + 5400 / 65536.
    let turned17 = sub(&add(&difference17, &high(&difference17, 5400)), &both);
    // Times -2.613125930, which is 25354 / 65536 - 3.
    let thrice = add(&add(&difference53, &difference53), &difference53);
    let turned53 = add(&sub(&high(&difference53, 25_354), &thrice), &both);
    let odd6 = sub(&turned53, &odd7);
    let odd5 = sub(&across, &odd6);
    let odd4 = add(&turned17, &odd5);
    [
        add(&even0, &odd7),
        add(&even1, &odd6),
        add(&even2, &odd5),
        sub(&even3, &odd4),
        add(&even3, &odd4),
        sub(&even2, &odd5),
        sub(&even1, &odd6),
        sub(&even0, &odd7),
    ]
}

#[inline(always)]
fn each(a: &Lanes, b: &Lanes, f: impl Fn(i16, i16) -> i16) -> Lanes {
    let mut out = [0; 8];
    for i in 0..8 {
        out[i] = f(a[i], b[i]);
    }
    out
}

/// Sums. What does not fit, which no picture comes to, stays at the end of the range.
#[inline(always)]
fn add(a: &Lanes, b: &Lanes) -> Lanes {
    each(a, b, i16::saturating_add)
}

#[inline(always)]
fn sub(a: &Lanes, b: &Lanes) -> Lanes {
    each(a, b, i16::saturating_sub)
}

/// The products with `factor` / 65536, rounded down.
#[inline(always)]
fn high(a: &Lanes, factor: i16) -> Lanes {
    each(a, a, |value, _| {
        ((i32::from(value) * i32::from(factor)) >> 16) as i16
    })
}

/// The products with the square root of 2, which is 1 + 27146 / 65536.
#[inline(always)]
fn root_2(a: &Lanes) -> Lanes {
    add(a, &high(a, 27_146))
}

/// Deals the first and the second half of 64 numbers out in turn. Done three times, it swaps rows and columns.
#[inline(never)]
fn shuffle(from: &[Lanes; 8], to: &mut [Lanes; 8]) {
    let (first, second) = from.as_flattened().split_at(32);
    let (pairs, _) = to.as_flattened_mut().as_chunks_mut::<2>();
    for ((pair, a), b) in pairs.iter_mut().zip(first).zip(second) {
        *pair = [*a, *b];
    }
}

#[inline(never)]
fn pack(values: &[Lanes; 8], out: &mut [[u8; 8]; 8]) {
    let values = values.as_flattened();
    for (sample, value) in out.as_flattened_mut().iter_mut().zip(values) {
        *sample = (value >> POINT).clamp(0, 255) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_random::{Key, KeyedRng, Stream};

    /// The transform by its definition, for blocks of `size` x `size` samples; coefficients by column.
    fn reference(coefficients: &[f64; 64], size: usize) -> Vec<Vec<f64>> {
        let weight = |k: usize| if k == 0 { 1.0 } else { 2f64.sqrt() };
        let wave = |x: usize, k: usize| {
            weight(k)
                * ((2 * x + 1) as f64 * k as f64 * std::f64::consts::PI / (2 * size) as f64).cos()
        };
        let at = |x: usize, y: usize| {
            let mut sum = 0.0;
            for u in 0..size {
                for v in 0..size {
                    sum += coefficients[8 * u + v] * wave(x, u) * wave(y, v);
                }
            }
            (sum / 8.0 + 128.0).clamp(0.0, 255.0)
        };
        (0..size)
            .map(|y| (0..size).map(|x| at(x, y)).collect())
            .collect()
    }

    /// Random coefficients up to position `last`, with less of the high frequencies.
    fn random(rng: &mut KeyedRng, last: usize, amplitude: f64) -> ([f64; 64], Vec<i32>) {
        let mut coefficients = [0.0; 64];
        let mut in_order = vec![0; 64];
        for (position, target) in in_order.iter_mut().enumerate().take(last + 1) {
            let (u, v) = frequencies(position);
            let limit = amplitude / (1 + u + v) as f64;
            let value = rng.between(-limit, limit).round();
            coefficients[8 * u + v] = value;
            *target = value as i32;
        }
        (coefficients, in_order)
    }

    fn block(in_order: &[i32], size: usize) -> Block {
        let multipliers = multipliers(&[1; 64], size);
        let mut block = [0; 64];
        for (position, value) in in_order.iter().enumerate() {
            let (u, v) = frequencies(position);
            let scaled = value * multipliers[position] + (1 << (MULTIPLIER_BITS - 1));
            block[8 * u + v] = (scaled >> MULTIPLIER_BITS) as i16;
        }
        block
    }

    #[test]
    fn samples_are_those_of_the_definition() {
        let mut rng = KeyedRng::new(Key::new(3, 0, 0), Stream::Crop);
        let (mut squares, mut count) = (0.0, 0.0);
        for (last, amplitude) in [
            (0, 900.0),
            (9, 700.0),
            (63, 600.0),
            (63, 60.0),
            (63, 1000.0),
        ] {
            for _ in 0..200 {
                let (coefficients, in_order) = random(&mut rng, last, amplitude);
                for size in [8, 4, 2, 1] {
                    let mut block = block(&in_order, size);
                    let mut got = Vec::new();
                    match size {
                        8 => {
                            let mut out = [[0; 8]; 8];
                            eight(&mut block, last as u32, &mut out);
                            got.extend_from_slice(out.as_flattened());
                        }
                        4 => {
                            let mut out = [[0; 4]; 4];
                            four(&block, &mut out);
                            got.extend_from_slice(out.as_flattened());
                        }
                        2 => got.extend_from_slice(two(&block).as_flattened()),
                        _ => got.push(one(&block)),
                    }
                    let expected = reference(&coefficients, size).concat();
                    for (got, expected) in got.iter().zip(&expected) {
                        let error = (f64::from(*got) - expected).abs();
                        assert!(error < 1.7, "size {size}, {last}: {got} is not {expected}");
                        squares += error * error;
                        count += 1.0;
                    }
                }
            }
        }
        // Rounding alone makes 0.289. The rest is what little precision the highest frequencies have.
        let error = f64::sqrt(squares / count);
        assert!(error < 0.35, "{error}");
    }

    #[test]
    fn few_coefficients_are_a_case_of_many() {
        let mut rng = KeyedRng::new(Key::new(4, 0, 0), Stream::Crop);
        for last in [0, 1, 5, 9] {
            for _ in 0..50 {
                let (_, in_order) = random(&mut rng, last, 800.0);
                let mut outs = [[[0; 8]; 8]; 2];
                for (out, last) in outs.iter_mut().zip([last as u32, 63]) {
                    eight(&mut block(&in_order, 8), last, out);
                }
                assert_eq!(outs[0], outs[1]);
            }
        }
    }

    #[test]
    fn absurd_coefficients_saturate() {
        let mut out = [[0; 8]; 8];
        eight(&mut [i16::MAX; 64], 63, &mut out);
        eight(&mut [i16::MIN; 64], 63, &mut out);
        let mut small = [[0; 4]; 4];
        four(&[i16::MAX; 64], &mut small);
        four(&[i16::MIN; 64], &mut small);
        assert_eq!(one(&[i16::MIN; 64]), 0);
        assert_eq!(one(&[i16::MAX; 64]), 255);
    }
}
