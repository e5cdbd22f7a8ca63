//! The progressive process: coefficients that come in several scans, from coarse to fine.

use crate::bits::Bits;
use crate::error::JpegError;
use crate::huffman::{Code, Symbols, extend};
use crate::layout::Layout;
use crate::markers::{Jpeg, Scan};

/// The coefficients of a block in zigzag order.
pub(crate) type Coefficients = [i16; 64];

/// The coefficients of a component.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Blocks row by row, filled up to whole units.
    blocks: Vec<Coefficients>,
    across: usize,
}

impl Stored {
    /// The block at column `x` and row `y` of the component's blocks.
    pub(crate) fn block(&self, x: usize, y: usize) -> Option<&Coefficients> {
        self.blocks.get(y * self.across + x)
    }
}

/// A code of a scan, with the symbols of short codes at hand.
struct Lookup {
    symbols: Symbols,
    /// By the next [`Lookup::WIDTH`] bits, `length << 8 | symbol`; 0 where the code is longer or there is none.
    short: [u16; 1 << Self::WIDTH],
}

impl Lookup {
    const WIDTH: u32 = 9;

    fn new(code: Option<Code<'_>>) -> Result<Self, JpegError> {
        let mut short = [0; 1 << Self::WIDTH];
        let symbols = code.and_then(|code| {
            Symbols::new(code, |symbol, code, length| {
                if let Some(free) = Self::WIDTH.checked_sub(length) {
                    let first = (code << free) as usize;
                    let places = short.get_mut(first..first + (1 << free));
                    let entry = (length << 8) as u16 | u16::from(symbol);
                    places.unwrap_or_default().fill(entry);
                }
            })
        });
        let symbols = symbols.ok_or_else(|| JpegError::damaged("a Huffman table is damaged"))?;
        Ok(Self { symbols, short })
    }

    /// Takes the next symbol. The reader is filled before, and has at least 40 bits left after.
    fn symbol(&self, bits: &mut Bits<'_>) -> Option<u32> {
        bits.refill();
        let entry = self.short[bits.peek(Self::WIDTH) as usize];
        let (symbol, length) = match entry {
            0 => self.symbols.find(bits.peek(16))?,
            _ => (entry as u8, u32::from(entry >> 8)),
        };
        bits.take(length);
        Some(u32::from(symbol))
    }
}

/// Takes `count` bits, 0 to 16, of a reader that was filled.
fn take(bits: &mut Bits<'_>, count: u32) -> u32 {
    if count == 0 {
        return 0;
    }
    let value = bits.peek(count);
    bits.take(count);
    value
}

/// Reads all scans of a picture into `stored`, one per component. Gives what the components' coefficients were divided by,
/// in zigzag order.
pub(crate) fn read(
    jpeg: &Jpeg<'_>,
    layout: &Layout,
    stored: &mut [Stored; 4],
) -> Result<Vec<[u16; 64]>, JpegError> {
    for (stored, extent) in stored.iter_mut().zip(&layout.components) {
        stored.across = layout.units[0] * extent.blocks[0];
        let count = stored.across * layout.units[1] * extent.blocks[1];
        stored.blocks.clear();
        stored.blocks.resize(count, [0; 64]);
    }
    let mut steps = vec![None; jpeg.components.len()];
    let mut scans = jpeg.scans();
    while let Some(scan) = scans.next()? {
        check(&scan)?;
        for scanned in &scan.components {
            // Those of a component's first scan count, which is that of the constant parts.
            if let Some(steps) = steps.get_mut(scanned.component) {
                steps.get_or_insert(scanned.steps);
            }
        }
        read_scan(jpeg.bytes, &scan, layout, stored)?;
    }
    let steps: Option<Vec<[u16; 64]>> = steps.into_iter().collect();
    steps.ok_or_else(|| JpegError::damaged("a component has no scan"))
}

/// Refuses what the process does not allow, as libjpeg does.
fn check(scan: &Scan<'_>) -> Result<(), JpegError> {
    let ([first, last], [high, low]) = (scan.band, scan.bits);
    let band = if first == 0 {
        last == 0
    } else {
        first <= last && last <= 63 && scan.components.len() == 1
    };
    if band && low <= 13 && (high == 0 || high == low + 1) {
        Ok(())
    } else {
        Err(JpegError::damaged("a progressive scan says what cannot be"))
    }
}

/// What the decoder of a scan remembers from block to block.
#[derive(Default)]
struct State {
    /// The constant part of the component's block before.
    constants: [i32; 4],
    /// Blocks for which the band is known to have no further coefficients.
    ended: u32,
}

fn read_scan(
    bytes: &[u8],
    scan: &Scan<'_>,
    layout: &Layout,
    stored: &mut [Stored; 4],
) -> Result<(), JpegError> {
    let damaged = || JpegError::damaged("the coded data are damaged");
    let mut tables = Vec::with_capacity(scan.components.len());
    for scanned in &scan.components {
        tables.push(match (scan.band[0], scan.bits[0]) {
            // Single bits are not coded.
            (0, 1..) => None,
            (0, _) => Some(Lookup::new(scanned.constant)?),
            _ => Some(Lookup::new(scanned.varying)?),
        });
    }
    // A component alone has its blocks row by row, several have theirs unit by unit.
    let alone = scan.components.len() == 1;
    let extent = |component: usize| layout.components.get(component).ok_or_else(damaged);
    let units = match scan.components.as_slice() {
        [only] => extent(only.component)?.own_blocks,
        _ => layout.units,
    };
    let mut bits = Bits::new(bytes.get(scan.data..).unwrap_or_default());
    let mut state = State::default();
    for row in 0..units[1] {
        for column in 0..units[0] {
            let number = row * units[0] + column;
            if number > 0 && number.is_multiple_of(scan.restart_interval) {
                let restarts = number / scan.restart_interval - 1;
                bits.restart((restarts % 8) as u32).ok_or_else(damaged)?;
                state = State::default();
            }
            for (scanned, table) in scan.components.iter().zip(&tables) {
                let [across, down] = match alone {
                    true => [1, 1],
                    false => extent(scanned.component)?.blocks,
                };
                let plane = stored.get_mut(scanned.component).ok_or_else(damaged)?;
                for dy in 0..down {
                    for dx in 0..across {
                        let place = (row * down + dy) * plane.across + column * across + dx;
                        let block = plane.blocks.get_mut(place).ok_or_else(damaged)?;
                        let constant = state
                            .constants
                            .get_mut(scanned.component)
                            .ok_or_else(damaged)?;
                        let ended = &mut state.ended;
                        read_block(scan, table.as_ref(), &mut bits, constant, ended, block)
                            .ok_or_else(damaged)?;
                    }
                }
            }
        }
        if bits.overdrawn() {
            return Err(damaged());
        }
    }
    Ok(())
}

/// Reads what a scan says of a block.
fn read_block(
    scan: &Scan<'_>,
    table: Option<&Lookup>,
    bits: &mut Bits<'_>,
    constant: &mut i32,
    ended: &mut u32,
    block: &mut Coefficients,
) -> Option<()> {
    let low = scan.bits[1];
    match (scan.band[0], table) {
        (0, Some(table)) => {
            let size = table.symbol(bits)?;
            if size > 15 {
                return None;
            }
            *constant = constant.wrapping_add(extend(take(bits, size), size));
            block[0] = (*constant << low) as i16;
            Some(())
        }
        (0, None) => {
            bits.refill();
            if take(bits, 1) == 1 {
                block[0] |= 1 << low;
            }
            Some(())
        }
        (_, Some(table)) if scan.bits[0] == 0 => first_pass(scan, table, bits, ended, block),
        (_, Some(table)) => refine(scan, table, bits, ended, block),
        (_, None) => None,
    }
}

/// The first bits of a band of coefficients.
fn first_pass(
    scan: &Scan<'_>,
    table: &Lookup,
    bits: &mut Bits<'_>,
    ended: &mut u32,
    block: &mut Coefficients,
) -> Option<()> {
    if *ended > 0 {
        *ended -= 1;
        return Some(());
    }
    let mut at = scan.band[0];
    while at <= scan.band[1] {
        let symbol = table.symbol(bits)?;
        let (run, size) = (symbol >> 4, symbol & 15);
        if size > 0 {
            at += run as usize;
            let value = extend(take(bits, size), size);
            *block.get_mut(at)? = (value << scan.bits[1]) as i16;
            at += 1;
        } else if run == 15 {
            at += 16;
        } else {
            *ended = (1 << run) - 1 + take(bits, run);
            break;
        }
    }
    Some(())
}

/// One more bit of a band of coefficients.
fn refine(
    scan: &Scan<'_>,
    table: &Lookup,
    bits: &mut Bits<'_>,
    ended: &mut u32,
    block: &mut Coefficients,
) -> Option<()> {
    let [first, last] = scan.band;
    let bit = 1i16 << scan.bits[1];
    let mut at = first;
    if *ended == 0 {
        while at <= last {
            let symbol = table.symbol(bits)?;
            let (mut run, size) = (symbol >> 4, symbol & 15);
            let mut value = 0;
            if size > 0 {
                value = if take(bits, 1) == 1 { bit } else { -bit };
            } else if run < 15 {
                *ended = (1 << run) + take(bits, run);
                break;
            }
            // Coefficients that are not zero are corrected on the way, those that are make up the run.
            while at <= last {
                let coefficient = block.get_mut(at)?;
                if *coefficient != 0 {
                    correct(coefficient, bit, bits);
                } else if run == 0 {
                    break;
                } else {
                    run -= 1;
                }
                at += 1;
            }
            if value != 0 && at <= last {
                *block.get_mut(at)? = value;
            }
            at += 1;
        }
    }
    if *ended > 0 {
        for coefficient in block.get_mut(at..=last).unwrap_or_default() {
            if *coefficient != 0 {
                correct(coefficient, bit, bits);
            }
        }
        *ended -= 1;
    }
    Some(())
}

/// Takes the next bit of a coefficient that is not zero.
fn correct(coefficient: &mut i16, bit: i16, bits: &mut Bits<'_>) {
    bits.refill();
    if take(bits, 1) == 1 && *coefficient & bit == 0 {
        let away = if *coefficient > 0 { bit } else { -bit };
        *coefficient = coefficient.wrapping_add(away);
    }
}
