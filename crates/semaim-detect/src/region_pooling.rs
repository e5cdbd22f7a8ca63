//! Regions cut out of the level of the pyramid that fits their size.

use burn::tensor::{Int, Tensor};
use semaim_kernels::{Region, RoiAlign, roi_align};

use crate::boxes::BoundingBox;
use semaim::feature_map::FeatureMap;

/// A region of this side, in pixels, belongs on [`CANONICAL_LEVEL`].
pub const CANONICAL_SIDE: f32 = 224.0;

/// Number of p4 among the maps from p2 on.
pub const CANONICAL_LEVEL: f32 = 2.0;

/// The number of the map, of `levels`, whose scale fits a region: one further for each doubling of its side.
pub fn level_of(region: BoundingBox, levels: usize) -> usize {
    let level = CANONICAL_LEVEL + (region.area().sqrt() / CANONICAL_SIDE + 1e-8).log2();
    // A NaN becomes 0.
    (level.floor().max(0.0) as usize).min(levels - 1)
}

/// Regions, each with the number of its image, as `[regions, bins · bins, channels]`, in their order.
///
/// # Panics
/// If there is no region.
pub fn pool(
    maps: &[FeatureMap],
    strides: &[f64],
    regions: &[(usize, BoundingBox)],
    bins: usize,
) -> Tensor<3> {
    let mut parts = Vec::new();
    let mut order = Vec::new();
    for (level, (map, stride)) in maps.iter().zip(strides).enumerate() {
        let here: Vec<usize> = (0..regions.len())
            .filter(|&i| level_of(regions[i].1, maps.len()) == level)
            .collect();
        if here.is_empty() {
            continue;
        }
        let of = |&i: &usize| Region {
            image: regions[i].0,
            corners: regions[i].1.corners(),
        };
        let here_regions: Vec<Region> = here.iter().map(of).collect();
        let form = RoiAlign {
            map: [map.grid.rows, map.grid.columns],
            scale: (1.0 / stride) as f32,
            bins,
        };
        parts.push(roi_align(map.values.clone(), &here_regions, &form));
        order.extend(here);
    }
    let pooled = Tensor::cat(parts, 0);
    if order.is_sorted() {
        return pooled;
    }
    let mut place = vec![0_i64; order.len()];
    for (at, region) in order.into_iter().enumerate() {
        place[region] = at as i64;
    }
    let place = Tensor::<1, Int>::from_ints(place.as_slice(), &pooled.device());
    pooled.select(0, place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use semaim::grid::Grid;

    fn square(side: f32) -> BoundingBox {
        BoundingBox::new(1.0, 2.0, 1.0 + side, 2.0 + side)
    }

    #[test]
    fn levels_by_size() {
        let levels: Vec<usize> = [0.0, 10.0, 111.0, 112.0, 223.0, 224.0, 447.0, 448.0, 5000.0]
            .iter()
            .map(|&side| level_of(square(side), 4))
            .collect();
        assert_eq!(levels, [0, 0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(level_of(square(f32::NAN), 4), 0);
    }

    #[test]
    fn regions_keep_their_order() {
        let device = Device::flex();
        // Map i of image b holds 10 b + i everywhere.
        let maps: Vec<FeatureMap> = (0..4_u8)
            .map(|level| {
                let side = 64 >> level;
                let grid = Grid {
                    rows: side,
                    columns: side,
                };
                let image = Tensor::<3>::ones([1, side * side, 2], &device);
                let level = f32::from(level);
                let values = vec![image.clone() * level, image * (10.0 + level)];
                FeatureMap {
                    values: Tensor::cat(values, 0),
                    grid,
                }
            })
            .collect();
        let regions = [
            (1, square(230.0)),
            (0, square(20.0)),
            (0, square(460.0)),
            (1, square(20.0)),
            (0, square(120.0)),
        ];
        let pooled = pool(&maps, &[8.0, 16.0, 32.0, 64.0], &regions, 1);
        let found: Vec<f32> = pooled.into_data().try_to_vec().unwrap();
        let expected = [12.0, 0.0, 3.0, 10.0, 1.0];
        assert_eq!(found.len(), 10);
        for (pair, expected) in found.chunks(2).zip(expected) {
            assert!(
                pair.iter().all(|v| (v - expected).abs() < 1e-5),
                "{found:?}"
            );
        }
    }
}
