//! The region of a picture that is wanted, from its coded data to interleaved samples.

use std::ops::Range;

use crate::bits::Bits;
use crate::blocks::{Block, Coding};
use crate::error::JpegError;
use crate::huffman::{Code, Kind, Table};
use crate::layout::{Extent, Layout};
use crate::markers::{Colors, Jpeg, Process, Scan};
use crate::progressive::{self, Stored};
use crate::upsample::{Plane, Row};
use crate::{Decoded, Region, blocks, color, idct};

/// The most tables that are kept for the next pictures.
const TABLES: usize = 16;

/// The shortest block in bits: one for its constant part, one for its end.
const SHORTEST_BLOCK: usize = 2;

/// Memory that is used again for every picture.
#[derive(Debug, Default)]
pub struct Buffers {
    tables: Vec<Table>,
    planes: [Vec<u8>; 4],
    rows: [Row; 4],
    coefficients: [Stored; 4],
}

/// A component while its blocks are decoded.
struct Channel<'a> {
    coding: Coding<'a>,
    extent: Extent,
    /// Blocks per unit of the scan, across and down.
    blocks: [usize; 2],
    /// The last position in the order of the coefficients that matters.
    last: u32,
    /// The constant part of the block before.
    constant: i32,
    samples: &'a mut [u8],
    stride: usize,
}

/// The units of a scan, and those of them whose samples are needed.
struct Units {
    across: usize,
    columns: Range<usize>,
    rows: Range<usize>,
}

/// Decodes a region. See [`Jpeg::decode`].
pub(crate) fn decode(
    jpeg: &Jpeg<'_>,
    region: Region,
    shrink: u32,
    buffers: &mut Buffers,
    mut out: Vec<u8>,
) -> Result<Decoded, JpegError> {
    if jpeg.size.contains(&0) {
        return Err(JpegError::damaged("the picture has no pixels"));
    }
    if !jpeg.has_end() {
        return Err(JpegError::CutOff);
    }
    let blocks: Vec<[usize; 2]> = match jpeg.components.as_slice() {
        // A component alone has its blocks row by row, whatever its sampling.
        [_] => vec![[1, 1]],
        several => several.iter().map(|component| component.blocks).collect(),
    };
    let Some(layout) = Layout::new(jpeg.size, &blocks, region, shrink) else {
        return Err(JpegError::unsupported(
            "a JPEG whose components are not sampled in whole ratios",
        ));
    };
    let channels = match jpeg.colors {
        Colors::Gray => 1,
        _ => 3,
    };
    let row_bytes = layout.columns.len() * channels;
    let in_order = jpeg.first.components.iter().map(|c| c.component);
    if jpeg.process == Process::Progressive {
        progressive_planes(jpeg, &layout, buffers)?;
        out.resize(row_bytes * layout.rows.len(), 0);
        write_all(jpeg.colors, &layout, buffers, &mut out);
    } else if in_order.eq(0..jpeg.components.len()) {
        one_scan(jpeg, &layout, buffers, &mut out).ok_or_else(damaged)?;
    } else {
        several_scans(jpeg, &layout, buffers)?;
        out.resize(row_bytes * layout.rows.len(), 0);
        write_all(jpeg.colors, &layout, buffers, &mut out);
    }
    Ok(Decoded {
        samples: out,
        channels,
        width: layout.columns.len() as u32,
        height: layout.rows.len() as u32,
        shrink: layout.shrink as u32,
        origin: [layout.columns.start, layout.rows.start].map(|edge| edge as u32),
    })
}

fn damaged() -> JpegError {
    JpegError::damaged("the coded data are damaged")
}

/// A sequential file whose first scan has all components: rows are written as soon as their samples are there. `None` when
/// the data are damaged.
fn one_scan(
    jpeg: &Jpeg<'_>,
    layout: &Layout,
    buffers: &mut Buffers,
    out: &mut Vec<u8>,
) -> Option<()> {
    let data = jpeg.bytes.get(jpeg.first.data..)?;
    // A header can promise more than its data hold; memory is only taken for what they may.
    if layout.blocks().saturating_mul(SHORTEST_BLOCK) > data.len().saturating_mul(8) {
        return None;
    }
    let Buffers {
        tables,
        planes,
        rows,
        ..
    } = buffers;
    let scan = &jpeg.first;
    let codings = codings(scan, layout, tables)?;
    let mut channels = Vec::with_capacity(codings.len());
    for (((coding, scanned), extent), samples) in codings
        .iter()
        .zip(&scan.components)
        .zip(&layout.components)
        .zip(planes)
    {
        let blocks = extent.blocks;
        channels.push(channel(
            *coding,
            tables,
            layout,
            scanned.component,
            blocks,
            samples,
        )?);
    }
    let units = Units {
        across: layout.units[0],
        columns: layout.unit_columns.clone(),
        rows: layout.unit_rows.clone(),
    };
    let per_pixel = if channels.len() == 1 { 1 } else { 3 };
    let row_bytes = layout.columns.len() * per_pixel;
    out.resize(row_bytes * layout.rows.len(), 0);
    let mut bits = Bits::new(data);
    let mut done = layout.rows.start;
    for unit_row in 0..layout.unit_rows.end {
        decode_row(
            scan.restart_interval,
            &units,
            unit_row,
            &mut channels,
            &mut bits,
        )?;
        let ready = layout.rows_after(unit_row + 1).max(done);
        let start = (done - layout.rows.start) * row_bytes;
        let target = out.get_mut(start..start + (ready - done) * row_bytes)?;
        let planes: Vec<Plane<'_>> = channels
            .iter()
            .map(|c| plane(c.extent, layout, c.samples, c.stride))
            .collect();
        write_rows(jpeg.colors, layout, done..ready, &planes, rows, target);
        done = ready;
    }
    Some(())
}

/// A sequential file whose components come in several scans: their samples, in the planes of `buffers`.
fn several_scans(jpeg: &Jpeg<'_>, layout: &Layout, buffers: &mut Buffers) -> Result<(), JpegError> {
    let blocks = |extent: &Extent| extent.own_blocks.iter().product::<usize>();
    let blocks: usize = layout.components.iter().map(blocks).sum();
    // Nothing can be left out of the scans before the last.
    if blocks.saturating_mul(SHORTEST_BLOCK) / 2 > jpeg.bytes.len().saturating_mul(8) {
        return Err(damaged());
    }
    let mut known = vec![false; jpeg.components.len()];
    let mut scans = jpeg.scans();
    while let Some(scan) = scans.next()? {
        for scanned in &scan.components {
            if let Some(known) = known.get_mut(scanned.component) {
                *known = true;
            }
        }
        sequential_scan(jpeg.bytes, &scan, layout, buffers).ok_or_else(damaged)?;
        if !known.contains(&false) {
            return Ok(());
        }
    }
    Err(JpegError::damaged("a component has no scan"))
}

/// Decodes a scan of some of the components.
fn sequential_scan(
    bytes: &[u8],
    scan: &Scan<'_>,
    layout: &Layout,
    buffers: &mut Buffers,
) -> Option<()> {
    let Buffers { tables, planes, .. } = buffers;
    let codings = codings(scan, layout, tables)?;
    let mut channels: Vec<Option<Channel<'_>>> = scan.components.iter().map(|_| None).collect();
    let mut units = Units {
        across: layout.units[0],
        columns: layout.unit_columns.clone(),
        rows: layout.unit_rows.clone(),
    };
    for (component, samples) in planes.iter_mut().enumerate() {
        let place = scan
            .components
            .iter()
            .position(|s| s.component == component);
        let Some(place) = place else {
            continue;
        };
        let extent = layout.components.get(component)?;
        let mut blocks = extent.blocks;
        if scan.components.len() == 1 {
            // Its blocks come row by row, without those that only fill up units.
            let own = |axis: usize, units: &Range<usize>| {
                let end = (units.end * blocks[axis]).min(extent.own_blocks[axis]);
                (units.start * blocks[axis]).min(end)..end
            };
            units = Units {
                across: extent.own_blocks[0],
                columns: own(0, &layout.unit_columns),
                rows: own(1, &layout.unit_rows),
            };
            blocks = [1, 1];
        }
        let coding = *codings.get(place)?;
        let channel = channel(coding, tables, layout, component, blocks, samples)?;
        *channels.get_mut(place)? = Some(channel);
    }
    let mut channels: Vec<Channel<'_>> = channels.into_iter().collect::<Option<_>>()?;
    let mut bits = Bits::new(bytes.get(scan.data..)?);
    for row in 0..units.rows.end {
        decode_row(scan.restart_interval, &units, row, &mut channels, &mut bits)?;
    }
    Some(())
}

/// A progressive file: its samples, in the planes of `buffers`.
fn progressive_planes(
    jpeg: &Jpeg<'_>,
    layout: &Layout,
    buffers: &mut Buffers,
) -> Result<(), JpegError> {
    // Every block has a constant part, of a bit at the least.
    let blocks = |extent: &Extent| extent.own_blocks.iter().product::<usize>();
    let blocks: usize = layout.components.iter().map(blocks).sum();
    if blocks > jpeg.bytes.len().saturating_mul(8) {
        return Err(damaged());
    }
    let steps = progressive::read(jpeg, layout, &mut buffers.coefficients)?;
    let components = layout.components.iter().zip(&steps);
    let buffers = buffers.coefficients.iter().zip(&mut buffers.planes);
    for ((extent, steps), (stored, samples)) in components.zip(buffers) {
        let multipliers = idct::multipliers(steps, extent.block);
        let last = idct::last_position(extent.block);
        let stride = resize_plane(layout, extent, samples);
        let first = [layout.unit_columns.start, layout.unit_rows.start];
        let [across, down] = extent.blocks;
        for y in 0..layout.unit_rows.len() * down {
            for x in 0..layout.unit_columns.len() * across {
                let stored = stored.block(first[0] * across + x, first[1] * down + y);
                let Some(stored) = stored else {
                    continue;
                };
                let mut block: Block = [0; 64];
                let filled = blocks::multiply(stored, &multipliers, last, &mut block);
                let start = y * extent.block * stride + x * extent.block;
                if let Some(target) = samples.get_mut(start..) {
                    idct::write_block(&mut block, filled, extent.block, target, stride);
                }
            }
        }
    }
    Ok(())
}

/// The places of the prepared tables of a scan's components.
fn codings(scan: &Scan<'_>, layout: &Layout, tables: &mut Vec<Table>) -> Option<Vec<Prepared>> {
    if tables.len() > TABLES {
        tables.clear();
    }
    let mut codings = Vec::with_capacity(scan.components.len());
    for scanned in &scan.components {
        let extent = layout.components.get(scanned.component)?;
        codings.push(Prepared {
            constant: prepare(tables, scanned.constant?, Kind::Constant)?,
            varying: prepare(tables, scanned.varying?, Kind::Varying)?,
            multipliers: idct::multipliers(&scanned.steps, extent.block),
        });
    }
    Some(codings)
}

/// What the blocks of a component are coded with: places among the tables, and multipliers.
#[derive(Clone, Copy)]
struct Prepared {
    constant: usize,
    varying: usize,
    multipliers: [i32; 64],
}

/// A component of a scan, ready for its first block.
fn channel<'a>(
    coding: Prepared,
    tables: &'a [Table],
    layout: &Layout,
    component: usize,
    blocks: [usize; 2],
    samples: &'a mut Vec<u8>,
) -> Option<Channel<'a>> {
    let extent = *layout.components.get(component)?;
    let stride = resize_plane(layout, &extent, samples);
    Some(Channel {
        coding: Coding {
            constant: tables.get(coding.constant)?,
            varying: tables.get(coding.varying)?,
            multipliers: coding.multipliers,
        },
        extent,
        blocks,
        last: idct::last_position(extent.block),
        constant: 0,
        samples,
        stride,
    })
}

/// Gives a plane the size of what is needed of a component, and says how long its rows are. What is left of the picture
/// before is overwritten, as far as it is looked at: all blocks of the component are decoded.
fn resize_plane(layout: &Layout, extent: &Extent, samples: &mut Vec<u8>) -> usize {
    let unit = extent.blocks.map(|blocks| blocks * extent.block);
    let stride = layout.unit_columns.len() * unit[0];
    samples.resize(stride * layout.unit_rows.len() * unit[1], 0);
    stride
}

/// The samples that are there of a component.
fn plane<'a>(extent: Extent, layout: &Layout, samples: &'a [u8], stride: usize) -> Plane<'a> {
    let Extent {
        blocks,
        block,
        ratio,
        size,
        ..
    } = extent;
    let first_unit = [layout.unit_columns.start, layout.unit_rows.start];
    Plane {
        samples,
        stride,
        origin: std::array::from_fn(|axis| first_unit[axis] * blocks[axis] * block),
        size,
        ratio,
    }
}

/// Makes all rows of the region of the samples in the planes.
fn write_all(colors: Colors, layout: &Layout, buffers: &mut Buffers, out: &mut [u8]) {
    let Buffers { planes, rows, .. } = buffers;
    let planes: Vec<Plane<'_>> = layout
        .components
        .iter()
        .zip(planes)
        .map(|(extent, samples)| {
            let stride = layout.unit_columns.len() * extent.blocks[0] * extent.block;
            plane(*extent, layout, samples, stride)
        })
        .collect();
    write_rows(colors, layout, layout.rows.clone(), &planes, rows, out);
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

/// Decodes a row of units. After the last unit that is needed nothing is looked at.
fn decode_row(
    restart_interval: usize,
    units: &Units,
    row: usize,
    channels: &mut [Channel<'_>],
    bits: &mut Bits<'_>,
) -> Option<()> {
    let row_needed = units.rows.contains(&row);
    let end = if row + 1 == units.rows.end {
        units.columns.end
    } else {
        units.across
    };
    for column in 0..end {
        let number = row * units.across + column;
        if number > 0 && number.is_multiple_of(restart_interval) {
            let restarts = number / restart_interval - 1;
            bits.restart((restarts % 8) as u32)?;
            for channel in channels.iter_mut() {
                channel.constant = 0;
            }
        }
        let needed = row_needed && units.columns.contains(&column);
        for channel in channels.iter_mut() {
            let [across, down] = channel.blocks;
            if needed {
                let x = (column - units.columns.start) * across;
                let y = (row - units.rows.start) * down;
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
        idct::write_block(&mut block, last, size, target, self.stride);
        Some(())
    }
}

/// Makes the given rows of the picture, interleaved, of the samples of the components.
fn write_rows(
    colors: Colors,
    layout: &Layout,
    rows: Range<usize>,
    planes: &[Plane<'_>],
    buffers: &mut [Row; 4],
    out: &mut [u8],
) {
    let per_pixel = if planes.len() == 1 { 1 } else { 3 };
    let row_bytes = layout.columns.len() * per_pixel;
    for (y, target) in rows.zip(out.chunks_exact_mut(row_bytes)) {
        let columns = layout.columns.clone();
        let [row_a, row_b, row_c, row_d] = buffers;
        match planes {
            [a, b, c, others @ ..] => {
                let rows = [
                    a.picture_row(y, columns.clone(), row_a),
                    b.picture_row(y, columns.clone(), row_b),
                    c.picture_row(y, columns.clone(), row_c),
                ];
                match colors {
                    Colors::Rgb | Colors::Cmyk => color::interleave(rows, target),
                    _ => color::ycbcr_to_rgb(rows, target),
                }
                if let [black] = others {
                    let black = black.picture_row(y, columns, row_d);
                    color::print(target, black, colors == Colors::Ycck);
                }
            }
            [gray, ..] => {
                let samples = gray.picture_row(y, columns, row_a);
                for (target, sample) in target.iter_mut().zip(samples) {
                    *target = *sample;
                }
            }
            [] => {}
        }
    }
}
