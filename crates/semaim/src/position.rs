//! The fixed two-dimensional sine-cosine position table, and resizing any table to another grid.

use serde::{Deserialize, Serialize};

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

/// How a library resizes position tables to another grid. All are bicubic with `align_corners=False` and repeat the edges;
/// the class token's row stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// `interpolate(mode="bicubic")`: cubic convolution with a = -0.75, no antialiasing. MAE's and DeiT's fine-tuning code,
    /// Hugging Face's `ViT`, `Dinov2` and `CLIP`, and encoders of our own.
    #[default]
    Bicubic,
    /// `interpolate(mode="bicubic", antialias=True)`: a = -0.5, and a wider kernel where the grid shrinks. timm,
    /// `open_clip`, DINOv2 with registers.
    Antialiased,
    /// `interpolate(scale_factor=(places + 0.1) / from, mode="bicubic")`: as the first, with the step between places that
    /// this factor gives. DINO, and DINOv2 without registers.
    Offset,
}

/// What DINO adds to the number of places, so that rounding never loses one.
const OFFSET: f64 = 0.1;

/// Resizes a table `[1 + from.patches(), embed_dim]` to another grid, leaving the class token's row as it is.
pub fn resize(
    table: &[f32],
    embed_dim: usize,
    from: Grid,
    to: Grid,
    interpolation: Interpolation,
) -> Vec<f32> {
    if from == to {
        return table.to_vec();
    }
    let rows = taps(from.rows, to.rows, interpolation);
    let columns = taps(from.columns, to.columns, interpolation);
    let (class, patches) = table.split_at(embed_dim);
    let mut resized = class.to_vec();
    resized.reserve(to.patches() * embed_dim);
    let mut sums = vec![0.0_f64; embed_dim];
    for row in &rows {
        for column in &columns {
            sums.fill(0.0);
            for (y, weight_y) in row {
                for (x, weight_x) in column {
                    let start = (y * from.columns + x) * embed_dim;
                    let values = &patches[start..start + embed_dim];
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum += weight_y * weight_x * f64::from(*value);
                    }
                }
            }
            resized.extend(sums.iter().map(|&sum| sum as f32));
        }
    }
    resized
}

/// Bicubic [`resize`] along one axis as a matrix `[to, from]`, for a table that is trained while it is resized.
pub(crate) fn bicubic(from: usize, to: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; to * from];
    for (row, taps) in matrix
        .chunks_mut(from)
        .zip(taps(from, to, Interpolation::Bicubic))
    {
        for (place, weight) in taps {
            row[place] += weight as f32;
        }
    }
    matrix
}

/// Cubic convolution at distance `t` from a place.
fn cubic(t: f64, a: f64) -> f64 {
    let t = t.abs();
    if t < 1.0 {
        ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
    } else if t < 2.0 {
        ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a
    } else {
        0.0
    }
}

/// For each output place, the input places that it is made of and their weights.
fn taps(from: usize, to: usize, interpolation: Interpolation) -> Vec<Vec<(usize, f64)>> {
    let scale = match interpolation {
        Interpolation::Offset => from as f64 / (to as f64 + OFFSET),
        Interpolation::Bicubic | Interpolation::Antialiased => from as f64 / to as f64,
    };
    let places = (0..to).map(|place| (place as f64 + 0.5) * scale);
    match interpolation {
        Interpolation::Antialiased => places.map(|center| wide(center, scale, from)).collect(),
        Interpolation::Bicubic | Interpolation::Offset => {
            places.map(|center| narrow(center, from)).collect()
        }
    }
}

/// The four places around a point; those beyond the edges are the edges.
fn narrow(center: f64, from: usize) -> Vec<(usize, f64)> {
    let center = center - 0.5;
    let floor = center.floor();
    let around = [-1.0, 0.0, 1.0, 2.0].map(|offset| {
        let place = (floor + offset).clamp(0.0, (from - 1) as f64) as usize;
        (place, cubic(center - floor - offset, -0.75))
    });
    around.to_vec()
}

/// The places under a kernel that is as wide as the step between places; their weights add up to 1.
fn wide(center: f64, scale: f64, from: usize) -> Vec<(usize, f64)> {
    let width = scale.max(1.0);
    let first = (center - 2.0 * width + 0.5).max(0.0) as usize;
    let end = ((center + 2.0 * width + 0.5) as usize).min(from);
    let weights = (first..end).map(|place| cubic((place as f64 + 0.5 - center) / width, -0.5));
    let weights: Vec<f64> = weights.collect();
    let sum: f64 = weights.iter().sum();
    (first..end)
        .zip(weights)
        .map(|(place, weight)| (place, weight / sum))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers i² for i in 0..6, resized to as many places as there are numbers: by Pillow, whose bicubic filter
    /// PyTorch's antialiased one is, and by cubic convolution with a = -0.75 in NumPy.
    const RECORDED: [(Interpolation, &[f32]); 6] = [
        (
            Interpolation::Antialiased,
            &[0.158_576, 2.977_029, 10.886_677, 22.278_316],
        ),
        (
            Interpolation::Antialiased,
            &[
                -0.065_789, 0.294_118, 1.361_111, 3.361_111, 6.25, 10.027_778, 14.694_445,
                21.176_47, 25.592_105,
            ],
        ),
        (
            Interpolation::Bicubic,
            &[0.121_094, 2.828_125, 10.796_875, 23.207_031],
        ),
        (
            Interpolation::Bicubic,
            &[
                -0.086_806, 0.218_75, 1.430_556, 3.152_778, 6.125, 10.282_407, 14.300_924,
                21.156_25, 25.781_25,
            ],
        ),
        (
            Interpolation::Offset,
            &[0.115_018, 2.643_42, 10.228_518, 22.193_266],
        ),
        (
            Interpolation::Offset,
            &[
                -0.087_935, 0.212_702, 1.388_825, 3.046_711, 6.002_825, 10.007_758, 13.910_715,
                20.663_998, 25.565_222,
            ],
        ),
    ];

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
        for interpolation in [
            Interpolation::Bicubic,
            Interpolation::Antialiased,
            Interpolation::Offset,
        ] {
            let resized = resize(&table, 4, from, to, interpolation);
            assert_eq!(resized.len(), (1 + to.patches()) * 4);
            assert_eq!(&resized[..4], &[9.0; 4]);
            assert!(resized[4..].iter().all(|v| (v - 2.5).abs() < 1e-6));
            assert_eq!(resize(&table, 4, from, from, interpolation), table);
        }
    }

    #[test]
    fn rows_of_numbers_are_resized_as_pytorch_does() {
        let table: Vec<f32> = [0.0]
            .into_iter()
            .chain((0..6).map(|i| (i * i) as f32))
            .collect();
        let row = |columns| Grid { rows: 1, columns };
        for (interpolation, expected) in RECORDED {
            let found = resize(&table, 1, row(6), row(expected.len()), interpolation);
            for (found, expected) in found[1..].iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-4,
                    "{interpolation:?}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn the_matrix_of_an_axis_does_what_resizing_does() {
        let grid = |rows| Grid { rows, columns: 1 };
        let column = [1.0_f32, -2.0, 0.5, 4.0, 3.0];
        for to in [3, 5, 8] {
            let mut table = vec![0.0];
            table.extend(column);
            let resized = resize(&table, 1, grid(5), grid(to), Interpolation::Bicubic);
            for (row, expected) in bicubic(5, to).chunks(5).zip(&resized[1..]) {
                let found: f32 = row.iter().zip(column).map(|(w, v)| w * v).sum();
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
    }
}
