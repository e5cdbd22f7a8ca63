//! The pictures of one row, each at the size of its cell.

use image::{Rgb, RgbImage};

use crate::colour_map::{ColourMap, ORDER, SIMILARITY};
use crate::paint::{Area, fill, ring};
use crate::picture::{RgbView, grey};
use crate::scale::{by_order, by_value, first};

/// How much of the similarity's colour lies over the picture.
pub(crate) const SIMILARITY_OPACITY: f32 = 0.68;
/// How much of the order's colour lies over the picture.
pub(crate) const ORDER_OPACITY: f32 = 0.84;

/// The size at which `picture` is shown: its longer side about `cell` pixels, its shape kept as far as every patch
/// of the grid (`[down, across]`) can be whole pixels.
pub(crate) fn shown_size(picture: &RgbView, cell: u32, grid: [u32; 2]) -> [u32; 2] {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let zoom = cell as f32 / width.max(height);
    let whole = |side: f32, patches: u32| {
        let patch = (side * zoom / patches as f32).round().max(1.0);
        patch as u32 * patches
    };
    [whole(width, grid[1]), whole(height, grid[0])]
}

/// The similarity over the grey picture.
pub(crate) fn similarity(picture: &RgbImage, values: &[f32], grid: [u32; 2]) -> RgbImage {
    over_grey(
        picture,
        &by_value(values),
        grid,
        SIMILARITY,
        SIMILARITY_OPACITY,
    )
}

/// The order over the grey picture, its first patch in a ring.
pub(crate) fn order(picture: &RgbImage, ranks: &[f32], grid: [u32; 2]) -> RgbImage {
    let mut out = over_grey(picture, &by_order(ranks), grid, ORDER, ORDER_OPACITY);
    if let Some(index) = first(ranks) {
        let area = patch(&out, index as u32, grid);
        let radius = (area.width.min(area.height) as f32 * 0.5 + 1.0).max(4.0);
        ring(&mut out, area, radius, 4.0, Rgb([25; 3]));
        ring(&mut out, area, radius, 2.0, Rgb([255; 3]));
    }
    out
}

/// The pixels of patch `index`, counted row by row.
fn patch(picture: &RgbImage, index: u32, [down, across]: [u32; 2]) -> Area {
    let (width, height) = (picture.width() / across, picture.height() / down);
    Area {
        x: index % across * width,
        y: index / across * height,
        width,
        height,
    }
}

/// Colours the patches that have a position.
fn over_grey(
    picture: &RgbImage,
    positions: &[Option<f32>],
    grid: [u32; 2],
    map: ColourMap,
    opacity: f32,
) -> RgbImage {
    let mut out = grey(picture);
    for (position, index) in positions.iter().zip(0u32..) {
        if let Some(position) = position {
            let area = patch(&out, index, grid);
            fill(&mut out, area, map.at(*position), opacity);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_kept_and_patches_are_whole_pixels() {
        let size = |width, height, grid| {
            let picture = RgbView::from_grey(width, height, &vec![0; (width * height) as usize]);
            shown_size(&picture.unwrap(), 128, grid)
        };
        assert_eq!(size(224, 224, [14, 14]), [126, 126]);
        assert_eq!(size(32, 32, [8, 8]), [128, 128]);
        assert_eq!(size(64, 32, [4, 8]), [128, 64]);
        assert_eq!(size(30, 60, [6, 3]), [63, 126]);
        assert_eq!(size(4, 4, [300, 300]), [300, 300], "never under a pixel");
    }

    #[test]
    fn a_patch_without_a_number_stays_grey() {
        let picture = RgbImage::from_pixel(20, 10, Rgb([200, 40, 40]));
        let out = similarity(&picture, &[f32::NAN, 1.0], [1, 2]);
        let Rgb([r, g, b]) = *out.get_pixel(5, 5);
        assert!(r == g && g == b);
        let Rgb([r, g, b]) = *out.get_pixel(15, 5);
        assert!(r != g || g != b);
        let all = similarity(&picture, &[f32::NAN; 2], [1, 2]);
        assert_eq!(all, grey(&picture));
        assert_eq!(order(&picture, &[f32::NAN; 2], [1, 2]), grey(&picture));
    }

    #[test]
    fn the_warm_end_and_the_ring_lie_on_the_smallest_rank() {
        let picture = RgbImage::from_pixel(90, 60, Rgb([128; 3]));
        let out = order(&picture, &[5.0, 4.0, 3.0, 2.0, 1.0, 0.0], [2, 3]);
        // The last patch is first: its middle is warm and a white ring is around it.
        let Rgb([r, _, b]) = *out.get_pixel(75, 45);
        assert!(r > b + 60, "{r} {b}");
        let Rgb([r, _, b]) = *out.get_pixel(15, 15);
        assert!(b > r + 60, "{r} {b}");
        let white = |x: u32, y: u32| out.get_pixel(x, y) == &Rgb([255; 3]);
        let ringed =
            |from: u32, to: u32, top: u32| (from..to).any(|x| (top..top + 30).any(|y| white(x, y)));
        assert!(ringed(60, 90, 30));
        assert!(!ringed(0, 30, 0));
    }
}
