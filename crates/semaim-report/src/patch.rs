//! Where the patches of a grid lie in a picture.

use crate::paint::Area;

/// The pixels of patch `index`, counted row by row, of a `[down, across]` grid over a picture of `[width, height]`.
///
/// Borders are rounded to whole pixels, so the patches fill the picture without gap or overlap; where there are more of
/// them than pixels, some have none.
pub(crate) fn patch_area(
    [width, height]: [u32; 2],
    [down, across]: [usize; 2],
    index: usize,
) -> Area {
    let across = across.max(1);
    let [left, right] = span(index % across, across, width);
    let [top, bottom] = span(index / across, down.max(1), height);
    Area {
        x: left,
        y: top,
        width: right - left,
        height: bottom - top,
    }
}

/// The first pixel of part `index` of `parts` equal ones of a side, and the first after it.
fn span(index: usize, parts: usize, side: u32) -> [u32; 2] {
    let border = |index: usize| {
        let (index, parts) = (index as u128, parts as u128);
        let rounded = (2 * index * u128::from(side) + parts) / (2 * parts);
        rounded.min(u128::from(side)) as u32
    };
    [border(index), border(index.saturating_add(1))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_fill_the_picture_once() {
        for (size, grid) in [
            ([10, 7], [3, 4]),
            ([12, 12], [4, 3]),
            ([5, 3], [7, 9]),
            ([1, 1], [2, 2]),
        ] {
            let mut covered = vec![0; (size[0] * size[1]) as usize];
            for index in 0..grid[0] * grid[1] {
                let area = patch_area(size, grid, index);
                for y in area.y..area.y + area.height {
                    for x in area.x..area.x + area.width {
                        covered[(y * size[0] + x) as usize] += 1;
                    }
                }
            }
            assert!(covered.iter().all(|&times| times == 1), "{size:?} {grid:?}");
        }
    }

    #[test]
    fn borders_are_rounded() {
        let across = |index| {
            let area = patch_area([10, 10], [1, 4], index);
            [area.x, area.width]
        };
        // The borders are at 2.5, 5 and 7.5.
        assert_eq!([0, 1, 2, 3].map(across), [[0, 3], [3, 2], [5, 3], [8, 2]]);
    }

    #[test]
    fn numbers_beyond_the_grid_stay_in_the_picture() {
        let area = patch_area([10, 10], [2, 2], usize::MAX);
        assert!(area.x + area.width <= 10 && area.y + area.height <= 10);
        let area = patch_area([10, 10], [usize::MAX, usize::MAX], usize::MAX - 1);
        assert!(area.x + area.width <= 10);
        patch_area([10, 10], [0, 0], 3);
    }
}
