//! Decomposed relative positions (Li et al., MViTv2, CVPR 2022): attention scores that depend on how many rows and how
//! many columns lie between two tokens.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, activation};
use semaim::grid::Grid;
use semaim::parameters::{Weight, Weights};

use crate::config::DetectorConfig;

/// One vector per distance in rows and one per distance in columns.
#[derive(Module, Debug)]
pub struct RelativePositions {
    /// `[2 · rows - 1, head_dim]`.
    pub rel_pos_h: Param<Tensor<2>>,
    /// `[2 · columns - 1, head_dim]`.
    pub rel_pos_w: Param<Tensor<2>>,
}

impl RelativePositions {
    /// Zeros, which change no score.
    pub fn zeros(grid: Grid, head_dim: usize, device: &Device) -> Self {
        let table =
            |side: usize| Param::from_tensor(Tensor::zeros([2 * side - 1, head_dim], device));
        Self {
            rel_pos_h: table(grid.rows),
            rel_pos_w: table(grid.columns),
        }
    }

    /// Adds q·R to scores `[samples, heads, tokens, tokens]` of queries `[samples, heads, tokens, head_dim]`, which are
    /// not scaled. The tokens are those of `grid`, row by row.
    pub fn add(&self, scores: Tensor<4>, query: Tensor<4>, grid: Grid) -> Tensor<4> {
        let [samples, heads, tokens, head_dim] = query.dims();
        let Grid { rows, columns } = grid;
        let query = query.reshape([samples * heads, rows, columns, head_dim]);
        // One product per row of looking tokens: [rows, samples · columns, head_dim] by [rows, head_dim, rows].
        let by_row = query
            .clone()
            .permute([1, 0, 2, 3])
            .reshape([rows, samples * heads * columns, head_dim])
            .matmul(between(&self.rel_pos_h, rows))
            .reshape([rows, samples * heads, columns, rows])
            .permute([1, 0, 2, 3])
            .reshape([samples * heads, tokens, rows, 1]);
        let by_column = query
            .permute([2, 0, 1, 3])
            .reshape([columns, samples * heads * rows, head_dim])
            .matmul(between(&self.rel_pos_w, columns))
            .reshape([columns, samples * heads, rows, columns])
            .permute([1, 2, 0, 3])
            .reshape([samples * heads, tokens, 1, columns]);
        let scores = scores.reshape([samples * heads, tokens, rows, columns]);
        (scores + by_row + by_column).reshape([samples, heads, tokens, tokens])
    }
}

/// For each looking place the vectors of all places looked at, `[side, head_dim, side]`.
fn between(table: &Param<Tensor<2>>, side: usize) -> Tensor<3> {
    let table = table.val();
    let head_dim = table.dims()[1];
    let distances: Vec<i64> = (0..side)
        .flat_map(|looking| (0..side).map(move |seen| (looking + side - 1 - seen) as i64))
        .collect();
    let distances = Tensor::<1, Int>::from_ints(distances.as_slice(), &table.device());
    table
        .select(0, distances)
        .reshape([side, side, head_dim])
        .swap_dims(1, 2)
}

/// A table for another number of distances, `[length, head_dim]`: linear between its vectors, as detectron2 does it when a map
/// is not of the size that the table was trained for.
pub fn resized(table: &Weight, length: usize) -> Weight {
    let head_dim = table.shape.last().copied().unwrap_or(0);
    let from = table.values.len() / head_dim.max(1);
    let scale = from as f64 / length as f64;
    let mut values = Vec::with_capacity(length * head_dim);
    for place in 0..length {
        let center = ((place as f64 + 0.5) * scale - 0.5).max(0.0);
        let low = (center as usize).min(from.saturating_sub(1));
        let high = (low + 1).min(from.saturating_sub(1));
        let share = center - low as f64;
        for channel in 0..head_dim {
            let at = |row: usize| f64::from(table.values[row * head_dim + channel]);
            values.push((at(low) * (1.0 - share) + at(high) * share) as f32);
        }
    }
    Weight {
        shape: vec![length, head_dim],
        values,
    }
}

/// Resizes the tables of a detector's weights, under our names, to the windows and the canvas of a configuration.
pub fn fit_tables(weights: &mut Weights, config: &DetectorConfig, patch_size: usize, depth: usize) {
    for block in 0..depth {
        let window = config.attention.window_of(block, depth);
        let side = window.unwrap_or(config.canvas / patch_size.max(1));
        let length = (2 * side).saturating_sub(1);
        for axis in ["h", "w"] {
            let name = format!("backbone.blocks.{block}.positions.rel_pos_{axis}");
            if let Some(table) = weights.get_mut(&name)
                && table.shape.len() == 2
                && table.shape[0] != length
            {
                *table = resized(table, length);
            }
        }
    }
}

/// Softmax(q kᵀ / √head_dim + q·R) v of `qkv [samples, tokens, 3 · embed_dim]`: `[samples, tokens, embed_dim]`.
pub fn attend(
    qkv: Tensor<3>,
    num_heads: usize,
    grid: Grid,
    positions: Option<&RelativePositions>,
) -> Tensor<3> {
    let [samples, tokens, width] = qkv.dims();
    let embed_dim = width / 3;
    let head_dim = embed_dim / num_heads;
    let qkv = qkv.reshape([samples, tokens, 3, num_heads, head_dim]);
    let [query, key, value] = [0, 1, 2].map(|part| {
        qkv.clone()
            .narrow(2, part, 1)
            .squeeze_dim::<4>(2)
            .swap_dims(1, 2)
    });
    let scaled = query.clone().mul_scalar((head_dim as f32).powf(-0.5));
    let scores = scaled.matmul(key.swap_dims(2, 3));
    let scores = match positions {
        Some(positions) => positions.add(scores, query, grid),
        None => scores,
    };
    activation::softmax(scores, 3)
        .matmul(value)
        .swap_dims(1, 2)
        .reshape([samples, tokens, embed_dim])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    /// By PyTorch's `interpolate(mode="linear")`.
    #[test]
    fn tables_are_resized_as_by_pytorch() {
        let table = Weight {
            shape: vec![5, 2],
            values: vec![0.0, 1.0, 1.0, 0.0, 4.0, -1.0, 9.0, 2.0, 16.0, 8.0],
        };
        for (length, expected) in [
            (5, vec![0.0, 1.0, 4.0, 9.0, 16.0]),
            (3, vec![0.333_333, 4.0, 13.666_667]),
            (
                7,
                vec![0.0, 0.571_429, 1.857_143, 4.0, 7.571_429, 12.0, 16.0],
            ),
        ] {
            let found = resized(&table, length);
            assert_eq!(found.shape, [length, 2]);
            if length == 5 {
                assert_eq!(found, table);
            }
            for (row, expected) in found.values.chunks(2).zip(expected) {
                assert!((row[0] - expected).abs() < 1e-5, "{length} {row:?}");
            }
        }
    }

    #[test]
    fn scores_move_by_row_and_column_distance() {
        let device = Device::flex();
        let grid = Grid {
            rows: 2,
            columns: 3,
        };
        let mut positions = RelativePositions::zeros(grid, 2, &device);
        let h = [[1.0_f32, 0.0], [0.0, 10.0], [5.0, 0.5]];
        let w = [
            [2.0_f32, 1.0],
            [3.0, -1.0],
            [0.0, 4.0],
            [-2.0, 0.0],
            [7.0, 7.0],
        ];
        positions.rel_pos_h = Param::from_tensor(Tensor::from_floats(h, &device));
        positions.rel_pos_w = Param::from_tensor(Tensor::from_floats(w, &device));
        let queries: Vec<f32> = (0..2 * 2 * 6 * 2).map(|i| ((i * 7) % 11) as f32).collect();
        let data = TensorData::new(queries.clone(), [2, 2, 6, 2]);
        let query = Tensor::<4>::from_data(data, &device);
        let scores = positions.add(Tensor::zeros([2, 2, 6, 6], &device), query, grid);
        let scores: Vec<f32> = scores.into_data().try_to_vec().unwrap();
        let dot = |a: &[f32], b: [f32; 2]| a[0] * b[0] + a[1] * b[1];
        for (looking, (query, scores)) in queries.chunks(2).zip(scores.chunks(6)).enumerate() {
            let (row, column) = grid.place(looking % 6);
            for (seen, score) in scores.iter().enumerate() {
                let (seen_row, seen_column) = grid.place(seen);
                let expected =
                    dot(query, h[row + 1 - seen_row]) + dot(query, w[column + 2 - seen_column]);
                assert_eq!(*score, expected);
            }
        }
    }
}
