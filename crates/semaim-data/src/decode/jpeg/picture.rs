//! The part of a picture that is wanted, from its coded data to interleaved samples.

use std::ops::Range;

use super::bits::Bits;
use super::blocks::{Block, Coding};
use super::huffman::{Code, Kind, Table};
use super::markers::{Colours, Header};
use super::region::{Extent, Layout};
use super::upsample::{Plane, Row};
use super::{colour, idct};

/// The most tables that are kept for the next pictures.
const TABLES: usize = 16;

/// The shortest block in bits: one for its constant part, one for its end.
const SHORTEST_BLOCK: usize = 2;

/// Memory that is used again for every picture.
#[derive(Debug, Default)]
pub(in crate::decode) struct Buffers {
    tables: Vec<Table>,
    planes: [Vec<u8>; 3],
    rows: [Row; 3],
}

/// A component while its blocks are decoded.
struct Channel<'a> {
    coding: Coding<'a>,
    extent: Extent,
    /// The last position in the order of the coefficients that matters.
    last: u32,
    /// The constant part of the block before.
    constant: i32,
    samples: &'a mut Vec<u8>,
    stride: usize,
}

/// Decodes what `layout` says to `out`, interleaved: one sample per pixel for grey, three for colours. `None` when the
/// data are damaged.
pub(super) fn decode(
    header: &Header<'_>,
    layout: &Layout,
    data: &[u8],
    buffers: &mut Buffers,
    out: &mut Vec<u8>,
) -> Option<()> {
    // A header can promise more than its data hold; memory is only taken for what they may.
    if layout.blocks().saturating_mul(SHORTEST_BLOCK) > data.len().saturating_mul(8) {
        return None;
    }
    let Buffers {
        tables,
        planes,
        rows,
    } = buffers;
    if tables.len() > TABLES {
        tables.clear();
    }
    let mut codings = Vec::with_capacity(header.components.len());
    for (component, extent) in header.components.iter().zip(&layout.components) {
        codings.push((
            prepare(tables, component.constant, Kind::Constant)?,
            prepare(tables, component.varying, Kind::Varying)?,
            idct::multipliers(&component.steps, extent.block),
        ));
    }
    let mut channels = Vec::with_capacity(codings.len());
    let parts = codings.iter().zip(&layout.components).zip(planes);
    for (((constant, varying, multipliers), &extent), samples) in parts {
        let unit = extent.blocks.map(|blocks| blocks * extent.block);
        let stride = layout.unit_columns.len() * unit[0];
        // What is left of the picture before is overwritten: all blocks of the plane are decoded.
        samples.resize(stride * layout.unit_rows.len() * unit[1], 0);
        channels.push(Channel {
            coding: Coding {
                constant: tables.get(*constant)?,
                varying: tables.get(*varying)?,
                multipliers,
            },
            extent,
            last: idct::last_position(extent.block),
            constant: 0,
            samples,
            stride,
        });
    }
    let per_pixel = channels.len();
    let row_bytes = layout.columns.len() * per_pixel;
    out.resize(row_bytes * layout.rows.len(), 0);
    let mut bits = Bits::new(data);
    let mut done = layout.rows.start;
    for unit_row in 0..layout.unit_rows.end {
        decode_row(header, layout, unit_row, &mut channels, &mut bits)?;
        let ready = layout.rows_after(unit_row + 1).max(done);
        let start = (done - layout.rows.start) * row_bytes;
        let target = out.get_mut(start..start + (ready - done) * row_bytes)?;
        write_rows(header.colours, layout, done..ready, &channels, rows, target);
        done = ready;
    }
    Some(())
}

/// The place of a table among those that are prepared.
fn prepare(tables: &mut Vec<Table>, code: Code<'_>, kind: Kind) -> Option<usize> {
    let known = tables.iter().position(|table| table.is_of(code, kind));
    if known.is_some() {
        return known;
    }
    tables.push(Table::new(code, kind)?);
    Some(tables.len() - 1)
}

/// Decodes a row of units.
fn decode_row(
    header: &Header<'_>,
    layout: &Layout,
    unit_row: usize,
    channels: &mut [Channel<'_>],
    bits: &mut Bits<'_>,
) -> Option<()> {
    let row_needed = layout.unit_rows.contains(&unit_row);
    // After the last unit that is needed nothing is looked at.
    let units = if unit_row + 1 == layout.unit_rows.end {
        layout.unit_columns.end
    } else {
        layout.units_across
    };
    for unit_column in 0..units {
        let number = unit_row * layout.units_across + unit_column;
        if number > 0 && number.is_multiple_of(header.restart_interval) {
            let restarts = number / header.restart_interval - 1;
            bits.restart((restarts % 8) as u32)?;
            for channel in channels.iter_mut() {
                channel.constant = 0;
            }
        }
        let needed = row_needed && layout.unit_columns.contains(&unit_column);
        for channel in channels.iter_mut() {
            let [across, down] = channel.extent.blocks;
            if needed {
                let x = (unit_column - layout.unit_columns.start) * across;
                let y = (unit_row - layout.unit_rows.start) * down;
                for (dy, dx) in pairs(down, across) {
                    channel.decode_block(bits, x + dx, y + dy)?;
                }
            } else {
                for _ in 0..across * down {
                    channel.coding.pass_over(bits, &mut channel.constant)?;
                }
            }
        }
    }
    (!bits.overdrawn()).then_some(())
}

fn pairs(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}

impl Channel<'_> {
    /// The samples that are there.
    fn plane(&self, layout: &Layout) -> Plane<'_> {
        let Extent {
            blocks,
            block,
            ratio,
            size,
        } = self.extent;
        let first_unit = [layout.unit_columns.start, layout.unit_rows.start];
        Plane {
            samples: self.samples,
            stride: self.stride,
            origin: std::array::from_fn(|axis| first_unit[axis] * blocks[axis] * block),
            size,
            ratio,
        }
    }

    /// Decodes the next block, which is the one at column `x` and row `y` of the plane's blocks.
    #[inline]
    fn decode_block(&mut self, bits: &mut Bits<'_>, x: usize, y: usize) -> Option<()> {
        let mut block: Block = [0; 64];
        let last = if self.last == 0 {
            self.coding
                .only_constant(bits, &mut self.constant, &mut block)?;
            0
        } else {
            self.coding
                .read(bits, self.last, &mut self.constant, &mut block)?
        };
        let size = self.extent.block;
        let start = y * size * self.stride + x * size;
        let target = self.samples.get_mut(start..)?;
        match size {
            8 => {
                let mut out = [[0; 8]; 8];
                idct::eight(&mut block, last, &mut out);
                store(&out, target, self.stride);
            }
            4 => {
                let mut out = [[0; 4]; 4];
                idct::four(&block, &mut out);
                store(&out, target, self.stride);
            }
            2 => store(&idct::two(&block), target, self.stride),
            _ => store(&[[idct::one(&block)]], target, self.stride),
        }
        Some(())
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

/// Makes the given rows of the picture, interleaved, of the samples of the components.
fn write_rows(
    colours: Colours,
    layout: &Layout,
    rows: Range<usize>,
    channels: &[Channel<'_>],
    buffers: &mut [Row; 3],
    out: &mut [u8],
) {
    let row_bytes = layout.columns.len() * channels.len();
    let planes: Vec<Plane<'_>> = channels.iter().map(|c| c.plane(layout)).collect();
    for (y, target) in rows.zip(out.chunks_exact_mut(row_bytes)) {
        let columns = layout.columns.clone();
        match &planes[..] {
            [a, b, c] => {
                let [row_a, row_b, row_c] = buffers;
                let rows = [
                    a.picture_row(y, columns.clone(), row_a),
                    b.picture_row(y, columns.clone(), row_b),
                    c.picture_row(y, columns, row_c),
                ];
                match colours {
                    Colours::Rgb => colour::interleave(rows, target),
                    _ => colour::ycbcr_to_rgb(rows, target),
                }
            }
            [grey, ..] => {
                let [row, ..] = buffers;
                let samples = grey.picture_row(y, columns, row);
                for (target, sample) in target.iter_mut().zip(samples) {
                    *target = *sample;
                }
            }
            [] => {}
        }
    }
}
