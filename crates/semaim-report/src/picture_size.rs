//! How large pictures are shown.

use crate::error::FigureError;
use crate::picture::RgbView;

/// The smallest and the largest cell, in pixels.
const CELLS: [u32; 2] = [16, 1024];
/// How far a side may be from what was asked for, so that patches are whole pixels.
const TOLERANCE: f64 = 0.1;

/// Refuses cells that are too small or too large.
pub(crate) fn check_cell(cell: u32) -> Result<(), FigureError> {
    let [min, max] = CELLS;
    if !(min..=max).contains(&cell) {
        return Err(FigureError::CellSize { cell, min, max });
    }
    Ok(())
}

/// The size at which `picture` is shown: its longer side about `cell` pixels, its shape kept as far as every patch
/// of the grid (`[down, across]`) can be whole pixels.
pub(crate) fn size_of_whole_patches(picture: &RgbView, cell: u32, grid: [u32; 2]) -> [u32; 2] {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let zoom = cell as f32 / width.max(height);
    let whole = |side: f32, patches: u32| {
        let patch = (side * zoom / patches as f32).round().max(1.0);
        patch as u32 * patches
    };
    [whole(width, grid[1]), whole(height, grid[0])]
}

/// The size, `[width, height]`, at which `picture` is shown under several grids (`[down, across]`): its longer side
/// `cell` pixels, at least 1 for the other. A side is changed by up to a tenth where that makes the patches of all grids
/// whole pixels.
pub(crate) fn size_for_grids(picture: &RgbView, cell: u32, grids: &[[usize; 2]]) -> [u32; 2] {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let zoom = f64::from(cell) / width.max(height);
    let side = |length: f64, axis: usize| {
        let wanted = (length * zoom).max(1.0);
        let mut patches = grids.iter().map(|grid| grid[axis] as u64);
        let unit = patches.try_fold(1, common_multiple).map(|unit| unit as f64);
        let whole = unit.map(|unit| (wanted / unit).round() * unit);
        match whole {
            Some(whole) if (whole - wanted).abs() <= TOLERANCE * wanted => whole as u32,
            _ => wanted.round() as u32,
        }
    };
    [side(width, 1), side(height, 0)]
}

/// The least number that both divide; `None` when there is no such number above 0 or it is too large.
fn common_multiple(a: u64, b: u64) -> Option<u64> {
    let (mut high, mut low) = (a, b);
    while low != 0 {
        (high, low) = (low, high % low);
    }
    (a / high.max(1)).checked_mul(b).filter(|&both| both > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn black(width: u32, height: u32) -> RgbView {
        RgbView::from_grey(width, height, &vec![0; (width * height) as usize]).unwrap()
    }

    #[test]
    fn shapes_are_kept_and_patches_are_whole_pixels() {
        let size = |width, height, grid| size_of_whole_patches(&black(width, height), 128, grid);
        assert_eq!(size(224, 224, [14, 14]), [126, 126]);
        assert_eq!(size(32, 32, [8, 8]), [128, 128]);
        assert_eq!(size(64, 32, [4, 8]), [128, 64]);
        assert_eq!(size(30, 60, [6, 3]), [63, 126]);
        assert_eq!(size(4, 4, [300, 300]), [300, 300], "never under a pixel");
    }

    #[test]
    fn several_grids_share_whole_pixels_where_that_is_near() {
        let size = |width, height, grids: &[_]| size_for_grids(&black(width, height), 128, grids);
        assert_eq!(size(50, 50, &[]), [128, 128]);
        assert_eq!(size(50, 50, &[[14, 14]]), [126, 126]);
        assert_eq!(size(50, 50, &[[14, 14], [7, 7]]), [126, 126]);
        assert_eq!(
            size(50, 50, &[[14, 14], [16, 16]]),
            [128, 128],
            "112 is far"
        );
        assert_eq!(size(100, 50, &[[4, 10]]), [130, 64]);
        assert_eq!(size(50, 50, &[[300, 1000]]), [128, 128]);
        assert_eq!(size(1000, 1, &[[3, 3]]), [129, 1]);
        let huge = [usize::MAX, usize::MAX - 1];
        assert_eq!(size(8, 8, &[huge, [7, 5]]), [128, 128]);
    }

    #[test]
    fn cells_have_a_range() {
        assert!(check_cell(16).is_ok() && check_cell(1024).is_ok());
        assert!(matches!(
            check_cell(15),
            Err(FigureError::CellSize { cell: 15, .. })
        ));
        assert!(check_cell(1025).is_err());
    }
}
