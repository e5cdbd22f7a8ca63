//! The order of prediction: rank keys.
//!
//! A rank key is `base[center] + scale * noise`: a table `base` that depends on the grid alone, a center that comes
//! from the similarity map, from chance, or is not needed, and uniform noise. Its scale is 1e-3 for [`Order::Semantic`],
//! where it decides between patches at the same distance, 0 for [`Order::Raster`] and [`Order::Snake`], and 1 for those
//! that are at random. [`Order::Similarity`] alone has neither table nor noise: its key is `1 - similarity`. A smaller
//! key is predicted earlier.

use burn::tensor::{Device, Int, Tensor, TensorData};
use semaim_random::{Key, KeyedRng, Stream};
use serde::{Deserialize, Serialize};

use crate::grid::Grid;

/// In which order patches are predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The method: by distance from the most similar patch.
    #[default]
    Semantic,
    /// By similarity, most similar first.
    Similarity,
    /// At random within three nested windows around the most similar patch, narrowest window first.
    SemanticWindows,
    /// Row by row.
    Raster,
    /// Row by row, every second row reversed.
    Snake,
    /// At random (SAIM).
    Stochastic,
    /// At random within three nested central squares, smallest first.
    CenterOut,
    /// As [`Order::SemanticWindows`], around a random center.
    StochasticCenter,
}

impl Order {
    /// All orders.
    pub const ALL: [Order; 8] = [
        Order::Semantic,
        Order::Similarity,
        Order::SemanticWindows,
        Order::Raster,
        Order::Snake,
        Order::Stochastic,
        Order::CenterOut,
        Order::StochasticCenter,
    ];

    /// Whether the order comes from a similarity map; where it does not, no encoding is needed for it.
    pub fn needs_similarity(self) -> bool {
        matches!(
            self,
            Order::Semantic | Order::Similarity | Order::SemanticWindows
        )
    }
}

/// The uniform numbers that an order draws.
#[derive(Clone, Debug)]
pub struct OrderNoise {
    /// One number in [0, 1) per patch, `[batch, patches]`.
    pub patches: Tensor<2>,
    /// One number in [0, 1) per axis, `[batch, 2]` as (row, column): the center of `stochastic-center`.
    pub center: Tensor<2>,
}

impl OrderNoise {
    /// The numbers of the images `items` in `epoch`. They depend on the seed, the epoch and the image alone.
    pub fn draw(seed: u64, epoch: u64, items: &[u64], grid: Grid, device: &Device) -> Self {
        let numbers = |purpose, count: usize| {
            let values: Vec<f32> = items
                .iter()
                .flat_map(|&item| {
                    let mut draw = KeyedRng::new(Key::new(seed, epoch, item), purpose);
                    (0..count).map(move |_| draw.uniform())
                })
                .collect();
            Tensor::from_data(TensorData::new(values, [items.len(), count]), device)
        };
        Self {
            patches: numbers(Stream::OrderNoise, grid.patches()),
            center: numbers(Stream::OrderCenter, 2),
        }
    }
}

/// Turns similarity maps into rank keys for one order and one grid.
#[derive(Clone, Debug)]
pub struct PredictionOrder {
    order: Order,
    grid: Grid,
    /// `[centers, patches]`: what the key of a patch is before noise, for every center. One row where the order
    /// has no center.
    base: Tensor<2>,
}

impl PredictionOrder {
    /// Builds the order's table for a grid.
    pub fn new(order: Order, grid: Grid, device: &Device) -> Self {
        let fixed = |key: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
            grid.places()
                .map(|(row, column)| key(row, column))
                .collect()
        };
        let columns = grid.columns;
        let rows: Vec<Vec<f32>> = match order {
            Order::Semantic => grid
                .places()
                .map(|center| fixed(&|row, column| distance(center, (row, column))))
                .collect(),
            Order::SemanticWindows | Order::StochasticCenter => grid
                .places()
                .map(|center| {
                    let (vertical, horizontal) = (
                        windows(center.0, grid.rows),
                        windows(center.1, grid.columns),
                    );
                    fixed(&|row, column| -depth((row, column), vertical, horizontal))
                })
                .collect(),
            Order::CenterOut => {
                let (vertical, horizontal) =
                    (central_squares(grid.rows), central_squares(grid.columns));
                vec![fixed(&|row, column| {
                    -depth((row, column), vertical, horizontal)
                })]
            }
            Order::Raster => vec![fixed(&|row, column| (row * columns + column) as f32)],
            Order::Snake => vec![fixed(&|row, column| {
                let column = if row % 2 == 1 {
                    columns - 1 - column
                } else {
                    column
                };
                (row * columns + column) as f32
            })],
            Order::Stochastic | Order::Similarity => vec![fixed(&|_, _| 0.0)],
        };
        let shape = [rows.len(), grid.patches()];
        let base = Tensor::from_data(TensorData::new(rows.concat(), shape), device);
        Self { order, grid, base }
    }

    /// Rank keys `[batch, patches]`; smaller is predicted earlier.
    ///
    /// `similarity` is `[batch, patches]`; orders that [need one](Order::needs_similarity) and are given none
    /// take all patches for equally similar.
    pub fn rank_keys(&self, similarity: Option<Tensor<2>>, noise: &OrderNoise) -> Tensor<2> {
        let uniform = noise.patches.clone();
        let similarity = similarity.unwrap_or_else(|| uniform.zeros_like());
        match self.order {
            Order::Semantic => self.around(most_similar(similarity)) + uniform * 1e-3,
            Order::Similarity => similarity.neg() + 1.0,
            Order::SemanticWindows => self.around(most_similar(similarity)) + uniform,
            Order::StochasticCenter => self.around(self.random_center(noise)) + uniform,
            Order::Raster | Order::Snake => self.base.clone().expand(uniform.dims()),
            Order::Stochastic | Order::CenterOut => self.base.clone() + uniform,
        }
    }

    /// The table's rows for the given centers, `[batch, patches]`.
    fn around(&self, centers: Tensor<1, Int>) -> Tensor<2> {
        self.base.clone().select(0, centers)
    }

    fn random_center(&self, noise: &OrderNoise) -> Tensor<1, Int> {
        let axis = |axis: usize, side: usize| {
            let place = noise.center.clone().narrow(1, axis, 1);
            (place * (side - 1) as f32).floor().squeeze_dim::<1>(1)
        };
        (axis(0, self.grid.rows) * self.grid.columns as f32 + axis(1, self.grid.columns)).int()
    }
}

/// A similarity map that was given from outside, `[patches]`, as one in which all values differ: how many patches come below
/// each, over their number. Orders follow which of two patches is more similar, never by how much; equals are told apart by chance, as
/// a mask's patches are, which would all begin at the object's upper edge otherwise. Where nothing tells patches apart, as in a view
/// without objects, the most similar patch is any.
///
/// The draw depends on the seed, the epoch and the image alone.
pub fn without_ties(map: &[f32], seed: u64, epoch: u64, item: u64) -> Vec<f32> {
    let mut draw = KeyedRng::new(Key::new(seed, epoch, item), Stream::OrderTies);
    let mut patches: Vec<(f32, u64, usize)> = map
        .iter()
        .enumerate()
        // Adding 0 makes -0 one of its equals.
        .map(|(patch, &value)| (value + 0.0, draw.bits(), patch))
        .collect();
    patches.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let mut ranks = vec![0.0; map.len()];
    for (rank, (_, _, patch)) in patches.into_iter().enumerate() {
        ranks[patch] = rank as f32 / map.len() as f32;
    }
    ranks
}

/// The most similar patch of each image, `[batch]`.
pub fn most_similar(similarity: Tensor<2>) -> Tensor<1, Int> {
    similarity.argmax(1).squeeze_dim::<1>(1)
}

fn distance(a: (usize, usize), b: (usize, usize)) -> f32 {
    let square = |x: usize, y: usize| x.abs_diff(y).pow(2) as f32;
    (square(a.0, b.0) + square(a.1, b.1)).sqrt()
}

/// Half-open ranges of patches along one axis.
type Nested = [(usize, usize); 3];

/// In how many of the nested windows a patch lies.
fn depth(place: (usize, usize), vertical: Nested, horizontal: Nested) -> f32 {
    let inside = |place: usize, (start, end): (usize, usize)| (start..end).contains(&place);
    let count = vertical
        .into_iter()
        .zip(horizontal)
        .filter(|&(rows, columns)| inside(place.0, rows) && inside(place.1, columns))
        .count();
    count as f32
}

/// The side for which the authors' windows are tabulated.
const PUBLISHED_SIDE: usize = 14;

/// Half sides of the nested windows, in proportion to the published 1, 3 and 5 on a side of 14.
fn half_sides(side: usize) -> [usize; 3] {
    [1, 3, 5].map(|half| {
        let scaled = (half * side + PUBLISHED_SIDE / 2) / PUBLISHED_SIDE;
        scaled.clamp(1, side.div_ceil(2))
    })
}

/// Three nested windows around `center` on an axis of `side` patches, narrowest first.
///
/// A window reaches `half` patches to both sides of the center's near edge, `[center - half, center + half)`,
/// and is pushed inside where it would stick out. On the published side of 14 the authors' table leaves out the
/// last patch and moves the narrowest window one patch early at both ends; that table is kept to the letter.
fn windows(center: usize, side: usize) -> Nested {
    half_sides(side).map(|half| {
        let published = side == PUBLISHED_SIDE;
        let end = if published { side - 1 } else { side };
        let start = if published && half == 1 && !(3..=10).contains(&center) {
            if center < 3 { 0 } else { end - 2 }
        } else {
            center
                .saturating_sub(half)
                .min(end.saturating_sub(2 * half))
        };
        (start, (start + 2 * half).min(end))
    })
}

/// Three nested windows in the middle of an axis, smallest first; an odd side has one more patch in each.
fn central_squares(side: usize) -> Nested {
    half_sides(side).map(|half| {
        let start = (side / 2).saturating_sub(half);
        (start, (side / 2 + half + side % 2).min(side))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the recorded description of the authors' table for a side of 14.
    #[test]
    fn windows_on_the_published_side() {
        let table: [(usize, [(usize, usize); 3]); 14] = [
            (0, [(0, 2), (0, 6), (0, 10)]),
            (1, [(0, 2), (0, 6), (0, 10)]),
            (2, [(0, 2), (0, 6), (0, 10)]),
            (3, [(2, 4), (0, 6), (0, 10)]),
            (4, [(3, 5), (1, 7), (0, 10)]),
            (5, [(4, 6), (2, 8), (0, 10)]),
            (6, [(5, 7), (3, 9), (1, 11)]),
            (7, [(6, 8), (4, 10), (2, 12)]),
            (8, [(7, 9), (5, 11), (3, 13)]),
            (9, [(8, 10), (6, 12), (3, 13)]),
            (10, [(9, 11), (7, 13), (3, 13)]),
            (11, [(11, 13), (7, 13), (3, 13)]),
            (12, [(11, 13), (7, 13), (3, 13)]),
            (13, [(11, 13), (7, 13), (3, 13)]),
        ];
        for (center, expected) in table {
            assert_eq!(windows(center, 14), expected, "center {center}");
        }
    }

    #[test]
    fn windows_on_other_sides_nest_and_hold_their_center() {
        for side in (1..40).filter(|&side| side != PUBLISHED_SIDE) {
            for center in 0..side {
                let [narrow, middle, wide] = windows(center, side);
                assert!(narrow.0 <= center && center < narrow.1, "{side} {center}");
                assert!(
                    middle.0 <= narrow.0 && narrow.1 <= middle.1,
                    "{side} {center}"
                );
                assert!(wide.0 <= middle.0 && middle.1 <= wide.1, "{side} {center}");
                assert!(wide.1 <= side);
            }
            let [small, _, large] = central_squares(side);
            assert_eq!(small.0 + small.1, side, "central on {side}");
            assert!(large.1 <= side);
        }
    }

    #[test]
    fn every_order_gives_finite_keys_on_any_grid() {
        let device = Device::flex();
        for (rows, columns) in [(1, 1), (1, 5), (3, 7), (14, 14), (9, 2)] {
            let grid = Grid { rows, columns };
            let noise = OrderNoise::draw(3, 0, &[4, 9], grid, &device);
            for order in Order::ALL {
                let prediction_order = PredictionOrder::new(order, grid, &device);
                let keys = prediction_order.rank_keys(Some(noise.patches.clone()), &noise);
                assert_eq!(keys.dims(), [2, grid.patches()]);
                let values: Vec<f32> = keys.into_data().try_to_vec().unwrap();
                assert!(values.iter().all(|v| v.is_finite()), "{order:?} {grid:?}");
            }
        }
    }

    #[test]
    fn equals_of_a_given_map_are_drawn_and_the_rest_keeps_its_order() {
        // -0 and 0 are equals to whoever draws a mask.
        let map = [0.0, 1.0, 0.25, 1.0, -0.0, 1.0];
        let mut first = [0usize; 6];
        for item in 0..300 {
            let ranks = without_ties(&map, 1, 2, item);
            assert_eq!(ranks, without_ties(&map, 1, 2, item));
            let mut sorted = ranks.clone();
            sorted.sort_by(f32::total_cmp);
            assert!(sorted.windows(2).all(|pair| pair[0] < pair[1]), "{ranks:?}");
            let rank = |patch: usize| (ranks[patch] * 6.0).round() as usize;
            assert_eq!(rank(2), 2);
            assert!(rank(0) < 2 && rank(4) < 2);
            first[(0..6).max_by_key(|&patch| rank(patch)).unwrap()] += 1;
        }
        let drawn = [first[1], first[3], first[5]];
        assert!(drawn.iter().all(|&count| count > 60), "{first:?}");
        assert_eq!(drawn.iter().sum::<usize>(), 300);
    }

    #[test]
    fn semantic_order_starts_at_the_most_similar_patch_of_a_wide_grid() {
        let device = Device::flex();
        let grid = Grid {
            rows: 2,
            columns: 5,
        };
        let mut similarity = vec![0.0; 10];
        similarity[7] = 1.0; // row 1, column 2
        let similarity = Tensor::from_data(TensorData::new(similarity, [1, 10]), &device);
        let noise = OrderNoise::draw(0, 0, &[0], grid, &device);
        let keys: Vec<f32> = PredictionOrder::new(Order::Semantic, grid, &device)
            .rank_keys(Some(similarity), &noise)
            .into_data()
            .try_to_vec()
            .unwrap();
        let expected = [
            5_f32.sqrt(),
            2_f32.sqrt(),
            1.0,
            2_f32.sqrt(),
            5_f32.sqrt(),
            2.0,
            1.0,
            0.0,
            1.0,
            2.0,
        ];
        for (key, expected) in keys.iter().zip(expected) {
            assert!((0.0..1e-3).contains(&(key - expected)), "{key} {expected}");
        }
    }
}
