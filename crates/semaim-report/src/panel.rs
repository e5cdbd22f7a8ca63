//! The pictures of one row, each at the size at which the row is shown.

use image::{Rgb, RgbImage};

use crate::colour_map::{ColourMap, ORDER, SIMILARITY};
use crate::paint::{fill, ring};
use crate::panel_figure::Panel;
use crate::patch::patch_area;
use crate::picture::grey;
use crate::scale::{by_order, by_value, first};

/// How much of the similarity's colour lies over the picture.
pub(crate) const SIMILARITY_OPACITY: f32 = 0.68;
/// How much of the order's colour lies over the picture.
pub(crate) const ORDER_OPACITY: f32 = 0.84;
/// Patches that have no colour.
const NO_COLOUR: Rgb<u8> = Rgb([128; 3]);

/// What `panel` shows over `picture`, at its size; `None` if that is nothing. Maps have one number for each patch.
pub(crate) fn draw(panel: &Panel, picture: &RgbImage) -> Option<RgbImage> {
    match panel {
        Panel::Picture(view) => Some(view.resized(picture.width(), picture.height())),
        Panel::Heat { grid, values } => Some(heat(picture, values, *grid)),
        Panel::Order { grid, ranks } => Some(order(picture, ranks, *grid)),
        Panel::Colours { grid, rgb } => {
            Some(colours([picture.width(), picture.height()], rgb, *grid))
        }
        Panel::Empty => None,
    }
}

/// The numbers' colours over the grey picture.
fn heat(picture: &RgbImage, values: &[f32], grid: [usize; 2]) -> RgbImage {
    over_grey(
        picture,
        &by_value(values),
        grid,
        SIMILARITY,
        SIMILARITY_OPACITY,
    )
}

/// The order over the grey picture, its first patch in a ring.
fn order(picture: &RgbImage, ranks: &[f32], grid: [usize; 2]) -> RgbImage {
    let mut out = over_grey(picture, &by_order(ranks), grid, ORDER, ORDER_OPACITY);
    ring_first(&mut out, ranks, grid);
    out
}

/// The patches' own colours.
fn colours([width, height]: [u32; 2], rgb: &[[f32; 3]], grid: [usize; 2]) -> RgbImage {
    let mut out = RgbImage::from_pixel(width, height, NO_COLOUR);
    for (index, colour) in rgb.iter().enumerate() {
        if colour.iter().any(|channel| channel.is_nan()) {
            continue;
        }
        let colour = colour.map(|channel| (channel.clamp(0.0, 1.0) * 255.0).round() as u8);
        let area = patch_area([width, height], grid, index);
        fill(&mut out, area, Rgb(colour), 1.0);
    }
    out
}

/// Puts a ring around the patch that comes first, if there is one.
pub(crate) fn ring_first(on: &mut RgbImage, ranks: &[f32], grid: [usize; 2]) {
    let Some(index) = first(ranks) else { return };
    let area = patch_area([on.width(), on.height()], grid, index);
    let radius = (area.width.min(area.height) as f32 * 0.5 + 1.0).max(4.0);
    ring(on, area, radius, 4.0, Rgb([25; 3]));
    ring(on, area, radius, 2.0, Rgb([255; 3]));
}

/// Colours the patches that have a position.
fn over_grey(
    picture: &RgbImage,
    positions: &[Option<f32>],
    grid: [usize; 2],
    map: ColourMap,
    opacity: f32,
) -> RgbImage {
    let mut out = grey(picture);
    let size = [out.width(), out.height()];
    for (index, position) in positions.iter().enumerate() {
        if let Some(position) = position {
            let area = patch_area(size, grid, index);
            fill(&mut out, area, map.at(*position), opacity);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_without_a_number_stays_grey() {
        let picture = RgbImage::from_pixel(20, 10, Rgb([200, 40, 40]));
        let out = heat(&picture, &[f32::NAN, 1.0], [1, 2]);
        let Rgb([r, g, b]) = *out.get_pixel(5, 5);
        assert!(r == g && g == b);
        let Rgb([r, g, b]) = *out.get_pixel(15, 5);
        assert!(r != g || g != b);
        let all = heat(&picture, &[f32::NAN; 2], [1, 2]);
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

    #[test]
    fn colours_hide_the_picture_and_keep_to_their_range() {
        let rgb = [
            [0.0, 0.5, 1.0],
            [0.2, f32::NAN, 0.2],
            [-3.0, 7.0, f32::INFINITY],
        ];
        let out = colours([30, 10], &rgb, [1, 3]);
        assert_eq!(out.get_pixel(5, 5), &Rgb([0, 128, 255]));
        assert_eq!(out.get_pixel(15, 5), &NO_COLOUR);
        assert_eq!(out.get_pixel(25, 5), &Rgb([0, 255, 255]));
    }

    #[test]
    fn every_kind_has_the_size_of_the_row() {
        let picture = RgbImage::from_pixel(31, 17, Rgb([90; 3]));
        let view = crate::RgbView::from_grey(2, 9, &[1; 18]).unwrap();
        // More patches than pixels, and borders between pixels.
        for grid in [[2, 3], [100, 1], [1, 100], [40, 40]] {
            let patches = grid[0] * grid[1];
            let numbers: Vec<f32> = (0..patches).map(|patch| patch as f32).collect();
            let panels = [
                Panel::Picture(view.clone()),
                Panel::Heat {
                    grid,
                    values: numbers.clone(),
                },
                Panel::Order {
                    grid,
                    ranks: numbers,
                },
                Panel::Colours {
                    grid,
                    rgb: vec![[0.5; 3]; patches],
                },
            ];
            for panel in panels {
                let out = draw(&panel, &picture).unwrap();
                assert_eq!(out.dimensions(), (31, 17));
            }
        }
        assert!(draw(&Panel::Empty, &picture).is_none());
    }
}
