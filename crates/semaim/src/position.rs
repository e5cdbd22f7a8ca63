//! The fixed two-dimensional sine-cosine position table, and resizing any table to another grid.

use crate::grid::Grid;

/// The table of MAE and SemAIM, `[1 + patches, embed_dim]` row by row, the class token's row zeros.
///
/// The first half of the channels encodes the column, the second half the row; within a half, sines come before
/// cosines, with frequencies 10000^(-4i / `embed_dim`).
///
/// `embed_dim` must be a multiple of 4 (see [`crate::config::VitConfig::validate`]).
pub fn sin_cos(embed_dim: usize, grid: Grid) -> Vec<f32> {
    let quarter = embed_dim / 4;
    let frequencies: Vec<f64> = (0..quarter)
        .map(|i| 10_000_f64.powf(-(i as f64) / quarter as f64))
        .collect();
    let mut table = vec![0.0; embed_dim];
    table.reserve(grid.patches() * embed_dim);
    for (row, column) in grid.places() {
        for place in [column as f64, row as f64] {
            table.extend(frequencies.iter().map(|f| (place * f).sin() as f32));
            table.extend(frequencies.iter().map(|f| (place * f).cos() as f32));
        }
    }
    table
}

/// Resizes a table `[1 + from.patches(), embed_dim]` to another grid by bicubic interpolation, leaving the class
/// token's row as it is.
///
/// Equal to PyTorch's `interpolate(mode="bicubic", align_corners=False)`, which the published fine-tuning code
/// uses: cubic convolution with a = -0.75, no antialiasing, edges repeated.
pub fn resize(table: &[f32], embed_dim: usize, from: Grid, to: Grid) -> Vec<f32> {
    if from == to {
        return table.to_vec();
    }
    let rows = taps(from.rows, to.rows);
    let columns = taps(from.columns, to.columns);
    let (class, patches) = table.split_at(embed_dim);
    let mut resized = class.to_vec();
    resized.reserve(to.patches() * embed_dim);
    for row in &rows {
        for column in &columns {
            for channel in 0..embed_dim {
                let mut sum = 0.0_f64;
                for (y, weight_y) in row {
                    for (x, weight_x) in column {
                        let value = patches[(y * from.columns + x) * embed_dim + channel];
                        sum += weight_y * weight_x * f64::from(value);
                    }
                }
                resized.push(sum as f32);
            }
        }
    }
    resized
}

/// For each output place, the four input places and their weights.
fn taps(from: usize, to: usize) -> Vec<[(usize, f64); 4]> {
    const A: f64 = -0.75;
    let near = |t: f64| ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0;
    let far = |t: f64| ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A;
    let scale = from as f64 / to as f64;
    (0..to)
        .map(|place| {
            let centre = (place as f64 + 0.5) * scale - 0.5;
            let floor = centre.floor();
            let t = centre - floor;
            let at = |offset: f64| (floor + offset).clamp(0.0, (from - 1) as f64) as usize;
            [
                (at(-1.0), far(t + 1.0)),
                (at(0.0), near(t)),
                (at(1.0), near(1.0 - t)),
                (at(2.0), far(2.0 - t)),
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_row_is_zero_and_columns_come_first() {
        let grid = Grid {
            rows: 2,
            columns: 3,
        };
        let table = sin_cos(8, grid);
        assert_eq!(table.len(), 7 * 8);
        assert!(table[..8].iter().all(|&v| v == 0.0));
        // Patch 2 is (row 0, column 2): its row half is sin 0, cos 0.
        let patch = &table[3 * 8..4 * 8];
        assert!((patch[0] - 2_f32.sin()).abs() < 1e-6);
        assert_eq!(&patch[4..], &[0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn resizing_keeps_constants_and_the_class_row() {
        let from = Grid {
            rows: 3,
            columns: 5,
        };
        let to = Grid {
            rows: 7,
            columns: 2,
        };
        let mut table = vec![9.0; 4];
        table.extend(std::iter::repeat_n(2.5, from.patches() * 4));
        let resized = resize(&table, 4, from, to);
        assert_eq!(resized.len(), (1 + to.patches()) * 4);
        assert_eq!(&resized[..4], &[9.0; 4]);
        assert!(resized[4..].iter().all(|v| (v - 2.5).abs() < 1e-6));
        assert_eq!(resize(&table, 4, from, from), table);
    }
}
