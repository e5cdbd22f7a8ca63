//! Which blocks the wanted part of a picture needs, and at what size.

use std::ops::Range;

use crate::Region;

/// Samples across and down a block in the file.
const BLOCK: usize = 8;

/// What to decode for a part of a picture.
#[derive(Debug)]
pub(crate) struct Layout {
    /// How many columns and rows become one: 1, 2, 4 or 8.
    pub(crate) shrink: usize,
    /// The columns and rows wanted of the shrunk picture.
    pub(crate) columns: Range<usize>,
    pub(crate) rows: Range<usize>,
    /// Units across and down the whole picture.
    pub(crate) units: [usize; 2],
    /// The columns and rows of units whose samples are needed.
    pub(crate) unit_columns: Range<usize>,
    pub(crate) unit_rows: Range<usize>,
    pub(crate) components: Vec<Extent>,
}

/// How a component is decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Blocks per unit, across and down.
    pub(crate) blocks: [usize; 2],
    /// Samples across and down a block: 1, 2, 4 or 8.
    pub(crate) block: usize,
    /// Columns and rows of the picture per sample.
    pub(crate) ratio: [usize; 2],
    /// Columns and rows of the whole component.
    pub(crate) size: [usize; 2],
    /// Blocks across and down the whole component, where it has a scan of its own.
    pub(crate) own_blocks: [usize; 2],
}

impl Layout {
    /// The layout for a region of a picture whose components have `blocks` across and down a unit, where at most `most`
    /// columns and rows may become one. `None` when the ratios of sampling are not whole.
    pub(crate) fn new(
        size: [u32; 2],
        blocks: &[[usize; 2]],
        region: Region,
        most: u32,
    ) -> Option<Self> {
        let shrink = match most {
            0 | 1 => 1,
            2 | 3 => 2,
            4..=7 => 4,
            _ => 8,
        };
        let region = region.within(size);
        let size = size.map(|side| side as usize);
        let ends = [region.left + region.width, region.top + region.height];
        let ends = ends.map(|end| end as usize);
        let columns = region.left as usize / shrink..ends[0].div_ceil(shrink);
        let rows = region.top as usize / shrink..ends[1].div_ceil(shrink);
        let largest = |axis: usize| blocks.iter().map(|blocks| blocks[axis]).max();
        let most_blocks = [largest(0)?, largest(1)?];
        let whole = |blocks: &[usize; 2]| (0..2).all(|axis| most_blocks[axis] % blocks[axis] == 0);
        if !blocks.iter().all(whole) {
            return None;
        }
        let components: Vec<Extent> = blocks
            .iter()
            .map(|&blocks| Extent::new(blocks, most_blocks, size, BLOCK / shrink))
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
            units: std::array::from_fn(|axis| size[axis].div_ceil(BLOCK * most_blocks[axis])),
            unit_columns,
            unit_rows,
            components,
        })
    }

    /// How many blocks there are at least in the data up to the last row that is needed.
    pub(crate) fn blocks(&self) -> usize {
        let per_unit: usize = self
            .components
            .iter()
            .map(|c| c.blocks[0] * c.blocks[1])
            .sum();
        self.units[0]
            .saturating_mul(self.unit_rows.end.saturating_sub(1))
            .saturating_mul(per_unit)
    }

    /// The first row of the picture that cannot be made yet once the first `unit_rows` rows of units are decoded.
    pub(crate) fn rows_after(&self, unit_rows: usize) -> usize {
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
            own_blocks: std::array::from_fn(|axis| {
                (size[axis] * blocks[axis]).div_ceil(BLOCK * most[axis])
            }),
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
