//! Linear layers: their weights, packed for products.

use super::matmul::{PanelFormat, Right, Rows};
use super::parallel;
use super::pool::PooledBuf;

/// A linear layer: `weight [out, in]`, `bias [out]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine<'a> {
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
}

impl Affine<'_> {
    pub(crate) fn outputs(&self) -> usize {
        self.bias.len()
    }

    pub(crate) fn inputs(&self) -> usize {
        self.weight.len() / self.bias.len().max(1)
    }

    fn rows(&self) -> Rows<'_> {
        Rows::dense(self.weight, self.inputs())
    }
}

/// Weights in panels.
pub(crate) struct Packed {
    format: PanelFormat,
    layers: Vec<PooledBuf>,
    shapes: Vec<(usize, usize)>,
}

/// For which side of a layer weights are packed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Side {
    /// `x Wᵀ`.
    Forward,
    /// `dy W`.
    Backward,
}

impl Packed {
    pub(crate) fn of(layers: &[Affine<'_>], side: Side, format: PanelFormat) -> Self {
        let shapes: Vec<(usize, usize)> = layers
            .iter()
            .map(|layer| match side {
                Side::Forward => (layer.inputs(), layer.outputs()),
                Side::Backward => (layer.outputs(), layer.inputs()),
            })
            .collect();
        let mut packed: Vec<PooledBuf> = shapes
            .iter()
            .map(|&(depth, columns)| PooledBuf::new(format.packed_len(depth, columns)))
            .collect();
        let tasks: Vec<(Affine<'_>, &mut [f32], usize)> = layers
            .iter()
            .zip(&mut packed)
            .zip(&shapes)
            .flat_map(|((layer, packed), &(depth, _))| {
                packed
                    .chunks_mut(format.packed_len(depth, PACK_COLUMNS).max(1))
                    .enumerate()
                    .map(move |(i, piece)| (*layer, piece, i * PACK_COLUMNS))
            })
            .collect();
        parallel::each(tasks, |(layer, piece, column)| {
            let rows = layer.rows();
            match side {
                Side::Forward => {
                    let count = PACK_COLUMNS.min(rows.count - column);
                    format.pack_rows(rows.part(column, count, 0, rows.width), piece);
                }
                Side::Backward => {
                    let count = PACK_COLUMNS.min(rows.width - column);
                    format.pack_columns(rows.part(0, rows.count, column, count), piece);
                }
            }
        });
        Self {
            format,
            layers: packed,
            shapes,
        }
    }

    pub(crate) fn layer(&self, i: usize) -> Right<'_> {
        let (depth, columns) = self.shapes[i];
        self.format.panels(&self.layers[i], depth, columns)
    }

    /// In which precision products with these weights are formed.
    pub(crate) fn format(&self) -> PanelFormat {
        self.format
    }
}

/// Columns that one task packs: a few panels.
const PACK_COLUMNS: usize = 64;
