//! Maps on other grids: what an axis becomes is a small matrix, and a map is multiplied by one matrix per axis.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use semaim_kernels::{Neighbors, bilinear, neighbors};

use crate::feature_map::FeatureMap;
use crate::grid::Grid;
use crate::position::bicubic;

/// How the values of other positions are made of those of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resampling {
    /// PyTorch's `interpolate(mode="bilinear", align_corners=False)`.
    Bilinear,
    /// PyTorch's `interpolate(mode="bicubic", align_corners=False)`.
    Bicubic,
    /// PyTorch's `adaptive_avg_pool2d`: the mean of the positions that a new one covers, if only in part.
    Average,
}

impl Resampling {
    /// A map of `grid`; both grids must have positions.
    pub fn apply(self, x: &FeatureMap, grid: Grid) -> FeatureMap {
        let from = x.grid;
        if from == grid {
            return x.clone();
        }
        let [batch, _, channels] = x.values.dims();
        let device = x.values.device();
        // The second product is the larger one: it is made of one long row per row of the map.
        let mut values = x.values.clone();
        if from.columns != grid.columns {
            values = self
                .matrix(from.columns, grid.columns, &device)
                .matmul(values.reshape([batch * from.rows, from.columns, channels]));
        }
        if from.rows != grid.rows {
            values = self
                .matrix(from.rows, grid.rows, &device)
                .matmul(values.reshape([batch, from.rows, grid.columns * channels]));
        }
        FeatureMap {
            values: values.reshape([batch, grid.patches(), channels]),
            grid,
        }
    }

    /// `[1, to, from]`.
    fn matrix(self, from: usize, to: usize, device: &Device) -> Tensor<3> {
        let values = match self {
            Self::Bilinear => bilinear(from, to),
            Self::Bicubic => bicubic(from, to),
            Self::Average => average(from, to),
        };
        Tensor::from_data(TensorData::new(values, [1, to, from]), device)
    }
}

/// Some rows of a map that is resampled bilinearly to `grid`, without the rest of it: `[batch, rows · grid.columns,
/// channels]`. For maps of many positions, and where no gradient is wanted.
pub fn bilinear_rows(x: &FeatureMap, grid: Grid, rows: Range<usize>) -> Tensor<3> {
    let from = x.grid;
    let [batch, _, channels] = x.values.dims();
    let values = x
        .values
        .clone()
        .reshape([batch, from.rows, from.columns, channels]);
    let count = rows.len();
    let values = between(values, 1, &neighbors(from.rows, grid.rows, rows));
    let columns = neighbors(from.columns, grid.columns, 0..grid.columns);
    between(values, 2, &columns).reshape([batch, count * grid.columns, channels])
}

/// Places between two of an axis each.
fn between(x: Tensor<4>, axis: usize, places: &[Neighbors]) -> Tensor<4> {
    let device = x.device();
    let at = |of: fn(&Neighbors) -> usize| {
        let indices: Vec<i64> = places.iter().map(|place| of(place) as i64).collect();
        x.clone()
            .select(axis, Tensor::from_ints(indices.as_slice(), &device))
    };
    let mut shape = [1; 4];
    shape[axis] = places.len();
    let shares: Vec<f32> = places.iter().map(|place| place.share).collect();
    let shares = Tensor::<4>::from_data(TensorData::new(shares, shape), &device);
    let before = at(|place| place.before);
    before.clone() + (at(|place| place.after) - before) * shares
}

/// `[to, from]`: the mean of the places from ⌊i·from/to⌋ to ⌈(i+1)·from/to⌉.
fn average(from: usize, to: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; to * from];
    for (place, row) in matrix.chunks_mut(from.max(1)).enumerate() {
        let covered = place * from / to..((place + 1) * from).div_ceil(to);
        let share = 1.0 / covered.len() as f32;
        row[covered].fill(share);
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: usize, columns: usize, values: &[f32]) -> FeatureMap {
        let grid = Grid { rows, columns };
        let data = TensorData::new(values.to_vec(), [1, grid.patches(), 1]);
        FeatureMap {
            values: Tensor::from_data(data, &Device::flex()),
            grid,
        }
    }

    fn resampled(by: Resampling, x: &FeatureMap, rows: usize, columns: usize) -> Vec<f32> {
        let map = by.apply(x, Grid { rows, columns });
        map.values.into_data().try_to_vec().unwrap()
    }

    fn near(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    /// PyTorch 2: `F.interpolate(torch.arange(6.).square().view(1, 1, 2, 3), (3, 5), mode="bilinear")`.
    #[test]
    fn bilinear_is_that_of_pytorch() {
        let x = map(2, 3, &[0.0, 1.0, 4.0, 9.0, 16.0, 25.0]);
        let expected = [
            0.0, 0.4, 1.0, 2.8, 4.0, 4.5, 6.1, 8.5, 12.1, 14.5, 9.0, 11.8, 16.0, 21.4, 25.0,
        ];
        near(&resampled(Resampling::Bilinear, &x, 3, 5), &expected);
        let grid = Grid {
            rows: 3,
            columns: 5,
        };
        let rows = bilinear_rows(&x, grid, 1..3);
        near(
            &rows.into_data().try_to_vec::<f32>().unwrap(),
            &expected[5..],
        );
    }

    #[test]
    fn averages_cover_what_is_only_partly_theirs() {
        let x = map(2, 5, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        near(&resampled(Resampling::Average, &x, 1, 1), &[4.5]);
        near(&resampled(Resampling::Average, &x, 1, 2), &[3.5, 5.5]);
        // More places than there were.
        let x = map(1, 2, &[1.0, 5.0]);
        let expected = [1.0, 3.0, 5.0, 1.0, 3.0, 5.0];
        near(&resampled(Resampling::Average, &x, 2, 3), &expected);
    }

    #[test]
    fn constants_stay_and_samples_and_channels_keep_apart() {
        let grid = Grid {
            rows: 3,
            columns: 4,
        };
        let device = Device::flex();
        let values = Tensor::<1, burn::tensor::Int>::arange(0..6, &device)
            .float()
            .reshape([2, 1, 3])
            .expand([2, grid.patches(), 3]);
        let x = FeatureMap { values, grid };
        for by in [
            Resampling::Bilinear,
            Resampling::Bicubic,
            Resampling::Average,
        ] {
            let to = Grid {
                rows: 5,
                columns: 2,
            };
            let found: Vec<f32> = by.apply(&x, to).values.into_data().try_to_vec().unwrap();
            for (i, found) in found.into_iter().enumerate() {
                let expected = (i / 30 * 3 + i % 3) as f32;
                assert!((found - expected).abs() < 1e-5, "{by:?} {i}: {found}");
            }
        }
    }
}
