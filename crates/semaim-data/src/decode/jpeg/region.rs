//! Which blocks the wanted part of a picture needs, and at what size.

use std::ops::Range;

use super::markers::Header;
use crate::crop::CropBox;

/// Samples across and down a block in the file.
const BLOCK: usize = 8;

/// What to decode for a part of a picture.
#[derive(Debug)]
pub(super) struct Layout {
    /// How many columns and rows become one: 1, 2, 4 or 8.
    pub(super) shrink: usize,
    /// The columns and rows wanted of the shrunk picture.
    pub(super) columns: Range<usize>,
    pub(super) rows: Range<usize>,
    /// Units in a row of the whole picture.
    pub(super) units_across: usize,
    /// The columns and rows of units whose samples are needed.
    pub(super) unit_columns: Range<usize>,
    pub(super) unit_rows: Range<usize>,
    pub(super) components: Vec<Extent>,
}

/// How a component is decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Blocks per unit, across and down.
    pub(super) blocks: [usize; 2],
    /// Samples across and down a block: 1, 2, 4 or 8.
    pub(super) block: usize,
    /// Columns and rows of the picture per sample.
    pub(super) ratio: [usize; 2],
    /// Columns and rows of the whole component.
    pub(super) size: [usize; 2],
}

impl Layout {
    /// The layout for a part of the picture as it is stored, where at most `most` columns and rows may become one.
    /// `None` when the components do not fit together.
    pub(super) fn new(header: &Header<'_>, part: CropBox, most: u32) -> Option<Self> {
        let shrink = match most {
            0 | 1 => 1,
            2 | 3 => 2,
            4..=7 => 4,
            _ => 8,
        };
        let size = header.size.map(|side| side as usize);
        let ends = [part.left + part.width, part.top + part.height].map(|end| end as usize);
        let columns = part.left as usize / shrink..ends[0].div_ceil(shrink);
        let rows = part.top as usize / shrink..ends[1].div_ceil(shrink);
        let largest = |axis: usize| header.components.iter().map(|c| c.blocks[axis]).max();
        let most_blocks = [largest(0)?, largest(1)?];
        let components: Vec<Extent> = header
            .components
            .iter()
            .map(|component| Extent::new(component.blocks, most_blocks, size, BLOCK / shrink))
            .collect();
        let units = |axis: usize, wanted: &Range<usize>| {
            let units = components.iter().map(|component| {
                let needed = component.needed(axis, wanted);
                let unit = component.blocks[axis] * component.block;
                needed.start / unit..needed.end.div_ceil(unit)
            });
            units.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))
        };
        let (unit_columns, unit_rows) = (units(0, &columns)?, units(1, &rows)?);
        Some(Self {
            shrink,
            columns,
            rows,
            units_across: size[0].div_ceil(BLOCK * most_blocks[0]),
            unit_columns,
            unit_rows,
            components,
        })
    }

    /// How many blocks there are at least in the data up to the last row that is needed.
    pub(super) fn blocks(&self) -> usize {
        let per_unit: usize = self
            .components
            .iter()
            .map(|c| c.blocks[0] * c.blocks[1])
            .sum();
        self.units_across
            .saturating_mul(self.unit_rows.end.saturating_sub(1))
            .saturating_mul(per_unit)
    }

    /// The first row of the picture that cannot be made yet once the first `unit_rows` rows of units are decoded.
    pub(super) fn rows_after(&self, unit_rows: usize) -> usize {
        if unit_rows >= self.unit_rows.end {
            return self.rows.end;
        }
        let rows = self.components.iter().map(|component| {
            let samples = unit_rows * component.blocks[1] * component.block;
            match component.ratio[1] {
                1 => samples,
                // The next row of samples is mixed in.
                ratio => samples.saturating_sub(1) * ratio,
            }
        });
        rows.min().unwrap_or(0).min(self.rows.end)
    }
}

impl Extent {
    /// The component of `blocks` per unit in a picture of `size` whose units have up to `most` blocks across and down,
    /// which become `block` x `block` pixels each.
    fn new(blocks: [usize; 2], most: [usize; 2], size: [usize; 2], block: usize) -> Self {
        let mut extent = Self {
            blocks,
            block,
            ratio: [most[0] / blocks[0], most[1] / blocks[1]],
            size: [0; 2],
        };
        // In a shrunk picture a component with fewer samples needs less shrinking.
        while extent.block < BLOCK && extent.ratio.iter().all(|ratio| ratio % 2 == 0) {
            extent.block *= 2;
            extent.ratio = extent.ratio.map(|ratio| ratio / 2);
        }
        extent.size = std::array::from_fn(|axis| {
            (size[axis] * blocks[axis] * extent.block).div_ceil(BLOCK * most[axis])
        });
        extent
    }

    /// The samples that the given columns (axis 0) or rows (axis 1) of the picture are made of.
    fn needed(&self, axis: usize, wanted: &Range<usize>) -> Range<usize> {
        let (ratio, size) = (self.ratio[axis], self.size[axis]);
        if ratio == 1 {
            return wanted.start.min(size)..wanted.end.min(size);
        }
        let start = (wanted.start / ratio).saturating_sub(1);
        let end = (wanted.end.div_ceil(ratio) + 1).min(size);
        start.min(end)..end
    }
}
