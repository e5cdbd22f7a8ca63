//! Maps cut into square windows.

use burn::tensor::Tensor;
use semaim::grid::Grid;

/// Zeros at the bottom and at the right, to whole windows, and the windows as samples of their own:
/// `[batch, rows · columns, channels]` to `[batch · windows, side · side, channels]`.
pub fn partition(x: Tensor<3>, grid: Grid, side: usize) -> Tensor<3> {
    let [batch, _, channels] = x.dims();
    let (down, across) = counts(grid, side);
    let Grid { rows, columns } = grid;
    let mut x = x.reshape([batch, rows, columns, channels]);
    let device = x.device();
    if down * side > rows {
        let zeros = Tensor::zeros([batch, down * side - rows, columns, channels], &device);
        x = Tensor::cat(vec![x, zeros], 1);
    }
    if across * side > columns {
        let zeros = [batch, down * side, across * side - columns, channels];
        x = Tensor::cat(vec![x, Tensor::zeros(zeros, &device)], 2);
    }
    x.reshape([batch, down, side, across, side, channels])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([batch * down * across, side * side, channels])
}

/// Undoes [`partition`], whose zeros are left out.
pub fn join(windows: Tensor<3>, grid: Grid, side: usize) -> Tensor<3> {
    let [samples, _, channels] = windows.dims();
    let (down, across) = counts(grid, side);
    let batch = samples / (down * across);
    windows
        .reshape([batch, down, across, side, side, channels])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([batch, down * side, across * side, channels])
        .narrow(1, 0, grid.rows)
        .narrow(2, 0, grid.columns)
        .reshape([batch, grid.patches(), channels])
}

/// Windows from top to bottom and from left to right.
pub fn counts(grid: Grid, side: usize) -> (usize, usize) {
    (grid.rows.div_ceil(side), grid.columns.div_ceil(side))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn joining_undoes_partitioning() {
        let grid = Grid {
            rows: 3,
            columns: 5,
        };
        let values: Vec<f32> = (1..=2 * 15 * 2).map(|i| i as f32).collect();
        let data = TensorData::new(values.clone(), [2, 15, 2]);
        let x = Tensor::<3>::from_data(data, &Device::flex());
        for side in [1, 2, 3, 4, 7] {
            let windows = partition(x.clone(), grid, side);
            let (down, across) = counts(grid, side);
            assert_eq!(windows.dims(), [2 * down * across, side * side, 2]);
            let back: Vec<f32> = join(windows, grid, side).into_data().try_to_vec().unwrap();
            assert_eq!(back, values);
        }
        // The window at the bottom right of the first image: only its first row and column are inside.
        let window: Vec<f32> = partition(x, grid, 2)
            .narrow(0, 5, 1)
            .into_data()
            .try_to_vec()
            .unwrap();
        assert_eq!(window, [29.0, 30.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
