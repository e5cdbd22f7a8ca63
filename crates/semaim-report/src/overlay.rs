//! What one cell of a contact sheet shows: an image, or a map of its patches over it.

use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};

use crate::color_map::ColorMap;
use crate::error::FigureError;
use crate::paint::{Area, fill, ring};

/// How much of a value's color lies over the gray image.
pub(crate) const VALUE_OPACITY: f32 = 0.72;
/// How much of an order's color lies over the gray image.
pub(crate) const ORDER_OPACITY: f32 = 0.84;
/// Patches that have no color.
const NO_COLOR: Rgb<u8> = Rgb([128; 3]);
/// What lies over the gray image where nothing is predicted yet, and how much of it.
const UNSEEN: (Rgb<u8>, f32) = (Rgb([34, 35, 40]), 0.76);

/// Takes `rgb`, `[height, width, 3]`, as an image.
///
/// # Errors
///
/// [`FigureError::ImageLength`] when the length is not `height * width * 3` or is 0.
pub fn rgb_image(width: u32, height: u32, rgb: Vec<u8>) -> Result<RgbImage, FigureError> {
    let found = rgb.len();
    let error = FigureError::ImageLength {
        width,
        height,
        found,
    };
    if found as u128 != u128::from(width) * u128::from(height) * 3 || found == 0 {
        return Err(error);
    }
    RgbImage::from_raw(width, height, rgb).ok_or(error)
}

/// What a cell shows. Grids are `[down, across]` patches, maps are row by row from the top left.
#[derive(Clone, Debug)]
pub enum Panel {
    /// An image, stretched to the size at which the row's own image is shown.
    Image(RgbImage),
    /// Values as colors over the row's gray image.
    Heat {
        /// Patches of the map.
        grid: [usize; 2],
        /// `[down * across]`, in any range: the colors span the cell's own finite values. A patch with NaN is left
        /// gray, infinities take the ends.
        values: Vec<f32>,
    },
    /// An order as colors over the row's gray image, warm first, cool last, a ring around the first patch.
    Order {
        /// Patches of the map.
        grid: [usize; 2],
        /// Rank keys, `[down * across]`: smaller is earlier. Only their order counts, equal keys share a color, and a
        /// patch with NaN is left gray.
        rank_keys: Vec<f32>,
    },
    /// The row's image, patch by patch in an order, as far as the animation is ([`ContactSheet::frames`]).
    ///
    /// [`ContactSheet::frames`]: crate::ContactSheet::frames
    Unfolding {
        /// Patches of the map.
        grid: [usize; 2],
        /// Rank keys as in [`Panel::Order`]. Patches with equal keys appear together, and one with NaN never does.
        rank_keys: Vec<f32>,
    },
    /// Patches in their own colors, without the row's image.
    Colors {
        /// Patches of the map.
        grid: [usize; 2],
        /// `[down * across]` colors of red, green, blue in sRGB, 0 to 1; numbers beyond that take the ends. A patch
        /// with NaN is gray.
        rgb: Vec<[f32; 3]>,
    },
    /// Nothing.
    Empty,
}

/// How far an animation is: the part of the whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) part: usize,
    pub(crate) whole: usize,
}

impl Panel {
    /// The grid and the number of entries of a map.
    pub(crate) fn map(&self) -> Option<([usize; 2], usize)> {
        match self {
            Panel::Image(_) | Panel::Empty => None,
            Panel::Heat { grid, values } => Some((*grid, values.len())),
            Panel::Order { grid, rank_keys } | Panel::Unfolding { grid, rank_keys } => {
                Some((*grid, rank_keys.len()))
            }
            Panel::Colors { grid, rgb } => Some((*grid, rgb.len())),
        }
    }

    /// What is shown over `image`, at its size; `None` if that is nothing. Maps have one number for each patch.
    pub(crate) fn draw(&self, image: &RgbImage, progress: Progress) -> Option<RgbImage> {
        let size = [image.width(), image.height()];
        Some(match self {
            Panel::Image(shown) => resize(shown, size[0], size[1], FilterType::Triangle),
            Panel::Heat { grid, values } => over_gray(
                image,
                *grid,
                &spread(values),
                ColorMap::Value,
                VALUE_OPACITY,
            ),
            Panel::Order { grid, rank_keys } => {
                let places = places(rank_keys);
                let last = places.iter().flatten().max().copied().unwrap_or(0).max(1) as f32;
                let positions: Vec<_> = places.iter().map(|p| p.map(|p| p as f32 / last)).collect();
                let mut out = over_gray(image, *grid, &positions, ColorMap::Order, ORDER_OPACITY);
                ring_first(&mut out, *grid, &places);
                out
            }
            Panel::Unfolding { grid, rank_keys } => {
                let mut out = gray(image);
                fill(&mut out, patch_area(size, [1, 1], 0), UNSEEN.0, UNSEEN.1);
                let places = places(rank_keys);
                let patches = places.iter().flatten().count();
                for (index, place) in places.iter().enumerate() {
                    if place.is_some_and(|place| place * progress.whole < progress.part * patches) {
                        let Area {
                            x,
                            y,
                            width,
                            height,
                        } = patch_area(size, *grid, index);
                        let patch =
                            image::imageops::crop_imm(image, x, y, width, height).to_image();
                        image::imageops::replace(&mut out, &patch, x.into(), y.into());
                    }
                }
                ring_first(&mut out, *grid, &places);
                out
            }
            Panel::Colors { grid, rgb } => {
                let mut out = RgbImage::from_pixel(size[0], size[1], NO_COLOR);
                let known = rgb
                    .iter()
                    .enumerate()
                    .filter(|(_, rgb)| rgb.iter().all(|c| !c.is_nan()));
                for (index, rgb) in known {
                    let color = rgb.map(|channel| (channel.clamp(0.0, 1.0) * 255.0).round() as u8);
                    fill(&mut out, patch_area(size, *grid, index), Rgb(color), 1.0);
                }
                out
            }
            Panel::Empty => return None,
        })
    }
}

/// Lays colors over the gray image, where patches have a position.
fn over_gray(
    image: &RgbImage,
    grid: [usize; 2],
    positions: &[Option<f32>],
    map: ColorMap,
    opacity: f32,
) -> RgbImage {
    let mut out = gray(image);
    let size = [out.width(), out.height()];
    let colors = map.colors(positions.iter().map(|position| position.unwrap_or(0.0)));
    for (index, (position, color)) in positions.iter().zip(colors).enumerate() {
        if position.is_some() {
            fill(&mut out, patch_area(size, grid, index), color, opacity);
        }
    }
    out
}

fn gray(image: &RgbImage) -> RgbImage {
    let gray = image::imageops::grayscale(image);
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        Rgb([gray.get_pixel(x, y).0[0]; 3])
    })
}

/// Puts a ring around the patch that comes first, if there is one.
fn ring_first(on: &mut RgbImage, grid: [usize; 2], places: &[Option<usize>]) {
    let Some(index) = places.iter().position(|place| *place == Some(0)) else {
        return;
    };
    let area = patch_area([on.width(), on.height()], grid, index);
    let radius = (area.width.min(area.height) as f32 * 0.5 + 1.0).max(4.0);
    ring(on, area, radius, 4.0, Rgb([25; 3]));
    ring(on, area, radius, 2.0, Rgb([255; 3]));
}

/// The pixels of patch `index` of a `[down, across]` grid over an image of `[width, height]`. Borders are rounded to
/// whole pixels, so patches fill the image without gap or overlap.
fn patch_area([width, height]: [u32; 2], [down, across]: [usize; 2], index: usize) -> Area {
    let border = |index: usize, patches: usize, side: u32| {
        let (index, patches) = (index as u64, patches.max(1) as u64);
        ((2 * index * u64::from(side) + patches) / (2 * patches)).min(side.into()) as u32
    };
    let (row, column) = (index / across.max(1), index % across.max(1));
    let [x, right] = [column, column + 1].map(|column| border(column, across, width));
    let [y, bottom] = [row, row + 1].map(|row| border(row, down, height));
    Area::new([x, y], [right - x, bottom - y])
}

/// Scales values so that the smallest finite one is 0 and the largest 1; when all are alike they are 0.5. Minus infinity
/// is 0, plus infinity 1, NaN has no position.
fn spread(values: &[f32]) -> Vec<Option<f32>> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let low = f64::from(finite().fold(f32::INFINITY, f32::min));
    let high = f64::from(finite().fold(f32::NEG_INFINITY, f32::max));
    let position = |value: f32| match value {
        value if value.is_nan() => None,
        value if value.is_infinite() => Some(if value > 0.0 { 1.0 } else { 0.0 }),
        value if high > low => Some(((f64::from(value) - low) / (high - low)) as f32),
        _ => Some(0.5),
    };
    values.iter().copied().map(position).collect()
}

/// For each key how many are smaller: its place in the order, from 0. Equal keys share a place; NaN has none and does not
/// count.
fn places(keys: &[f32]) -> Vec<Option<usize>> {
    let mut sorted: Vec<f32> = keys.iter().copied().filter(|key| !key.is_nan()).collect();
    // Adding 0 makes -0 into 0, which the total order would tell apart.
    sorted.sort_by(|a, b| (a + 0.0).total_cmp(&(b + 0.0)));
    let place = |&key: &f32| (!key.is_nan()).then(|| sorted.partition_point(|&other| other < key));
    keys.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: Progress = Progress { part: 1, whole: 1 };

    fn plain(width: u32, height: u32) -> RgbImage {
        RgbImage::from_pixel(width, height, Rgb([200, 40, 40]))
    }

    #[test]
    fn values_are_spread_and_nan_has_no_place() {
        let nan = f32::NAN;
        assert_eq!(
            spread(&[-2.0, nan, 2.0, 0.0]),
            [Some(0.0), None, Some(1.0), Some(0.5)]
        );
        assert_eq!(spread(&[7.0, 7.0]), [Some(0.5), Some(0.5)]);
        let infinite = [f32::INFINITY, 1.0, 3.0, f32::NEG_INFINITY];
        assert_eq!(
            spread(&infinite),
            [Some(1.0), Some(0.0), Some(1.0), Some(0.0)]
        );
        assert_eq!(spread(&[f32::MIN, f32::MAX]), [Some(0.0), Some(1.0)]);
        let keys = [7.0, 2.0, nan, 2.0, -0.0, 0.0, 9.0];
        assert_eq!(
            places(&keys),
            [4, 2, 9, 2, 0, 0, 5].map(|p| (p != 9).then_some(p))
        );
    }

    #[test]
    fn patches_fill_the_image_once() {
        for (size, grid) in [
            ([10, 7], [3, 4]),
            ([12, 12], [4, 3]),
            ([5, 3], [7, 9]),
            ([1, 1], [2, 2]),
        ] {
            let mut covered = RgbImage::new(size[0], size[1]);
            for index in 0..grid[0] * grid[1] {
                let area = patch_area(size, grid, index);
                for y in area.y..area.y + area.height {
                    for x in area.x..area.x + area.width {
                        covered.get_pixel_mut(x, y).0[0] += 1;
                    }
                }
            }
            assert!(
                covered.pixels().all(|pixel| pixel.0[0] == 1),
                "{size:?} {grid:?}"
            );
        }
    }

    #[test]
    fn a_patch_without_a_number_stays_gray() {
        let [grid, image] = [[1, 2]; 2].map(|grid| (grid, plain(20, 10)));
        let heat = |values: [f32; 2]| {
            Panel::Heat {
                grid: grid.0,
                values: values.into(),
            }
            .draw(&image.1, DONE)
            .unwrap()
        };
        let is_gray = |out: &RgbImage, x| {
            out.get_pixel(x, 5)
                .0
                .iter()
                .all(|c| *c == out.get_pixel(x, 5).0[0])
        };
        let out = heat([f32::NAN, 1.0]);
        assert!(is_gray(&out, 5) && !is_gray(&out, 15));
        assert_eq!(heat([f32::NAN; 2]), gray(&image.1));
    }

    #[test]
    fn the_warm_end_and_the_ring_lie_on_the_smallest_key() {
        let rank_keys = vec![5.0, 4.0, 3.0, 2.0, 1.0, 0.0];
        let out = Panel::Order {
            grid: [2, 3],
            rank_keys,
        }
        .draw(&plain(90, 60), DONE)
        .unwrap();
        let Rgb([r, _, b]) = *out.get_pixel(75, 45);
        assert!(r > b + 40, "{r} {b}");
        let Rgb([r, _, b]) = *out.get_pixel(15, 15);
        assert!(b > r + 40, "{r} {b}");
        let white = |left: u32, top: u32| {
            (left..left + 30).any(|x| (top..top + 30).any(|y| out.get_pixel(x, y).0 == [255; 3]))
        };
        assert!(white(60, 30) && !white(0, 0));
    }

    #[test]
    fn patches_appear_in_their_order() {
        let shown = |rank_keys: &[f32], part, whole| -> Vec<bool> {
            let panel = Panel::Unfolding {
                grid: [1, 4],
                rank_keys: rank_keys.into(),
            };
            let out = panel
                .draw(&plain(160, 40), Progress { part, whole })
                .unwrap();
            (0..4)
                .map(|patch| out.get_pixel(40 * patch + 1, 1) == &Rgb([200, 40, 40]))
                .collect()
        };
        let (yes, no) = (true, false);
        let keys = [3.0, 0.5, 70.0, 4.0];
        assert_eq!(shown(&keys, 1, 4), [no, yes, no, no]);
        assert_eq!(shown(&keys, 3, 4), [yes, yes, no, yes]);
        assert_eq!(
            shown(&keys, 1, 8),
            [no, yes, no, no],
            "less than a patch is one"
        );
        assert_eq!(shown(&keys, 1, 1), [yes; 4]);
        // Ties appear together, and what has no rank never does.
        let keys = [2.0, 1.0, f32::NAN, 1.0];
        assert_eq!(shown(&keys, 1, 3), [no, yes, no, yes]);
        assert_eq!(shown(&keys, 3, 3), [yes, yes, no, yes]);
    }

    #[test]
    fn colors_hide_the_image_and_keep_to_their_range() {
        let rgb = vec![
            [0.0, 0.5, 1.0],
            [0.2, f32::NAN, 0.2],
            [-3.0, 7.0, f32::INFINITY],
        ];
        let out = Panel::Colors { grid: [1, 3], rgb }
            .draw(&plain(30, 10), DONE)
            .unwrap();
        let found = [5, 15, 25].map(|x| out.get_pixel(x, 5).0);
        assert_eq!(found, [[0, 128, 255], NO_COLOR.0, [0, 255, 255]]);
    }

    #[test]
    fn the_bytes_must_fit_the_size() {
        assert!(rgb_image(2, 1, vec![0; 6]).is_ok());
        assert!(rgb_image(2, 1, vec![0; 5]).is_err());
        assert!(rgb_image(0, 4, vec![]).is_err());
        let error = rgb_image(u32::MAX, u32::MAX, vec![0; 3]).unwrap_err();
        assert!(matches!(error, FigureError::ImageLength { found: 3, .. }));
    }
}
