//! Which pixels of an image belong to something.

/// The most patches of a grid that shares are given for.
const MAX_PATCHES: usize = 1 << 24;

/// One truth value for each pixel of an image, at least one pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) bits: Vec<bool>,
}

/// Masks, or a mask and a part of it, that do not fit together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MaskError {
    /// Two masks of different images.
    #[error(
        "a mask of {width}x{height} pixels and one of {other_width}x{other_height} cannot be joined"
    )]
    Sizes {
        /// Columns of the first.
        width: u32,
        /// Rows of the first.
        height: u32,
        /// Columns of the second.
        other_width: u32,
        /// Rows of the second.
        other_height: u32,
    },
    /// A window that is empty or reaches out of the image.
    #[error(
        "the window {window:?} (left, top, width, height) is not a part of {width}x{height} pixels"
    )]
    Window {
        /// Left, top, width and height of the window, in pixels.
        window: [f64; 4],
        /// Columns of the mask.
        width: u32,
        /// Rows of the mask.
        height: u32,
    },
    /// A grid without patches or with too many.
    #[error("a grid of {height}x{width} patches; 1 to {MAX_PATCHES} are possible")]
    Grid {
        /// Patches down.
        height: usize,
        /// Patches across.
        width: usize,
    },
}

impl Mask {
    /// Takes `bits`, `[height, width]` row by row from the top left.
    ///
    /// Returns `None` when a side is 0 or the length is not `width * height`.
    pub fn new(width: u32, height: u32, bits: Vec<bool>) -> Option<Self> {
        let wanted = (width as usize).checked_mul(height as usize);
        wanted
            .is_some_and(|n| n > 0 && n == bits.len())
            .then_some(Self {
                width,
                height,
                bits,
            })
    }

    /// Columns.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The values, `[height, width]` row by row from the top left.
    pub fn bits(&self) -> &[bool] {
        &self.bits
    }

    /// How many pixels are inside.
    pub fn count(&self) -> u64 {
        self.bits.iter().filter(|inside| **inside).count() as u64
    }

    /// The share of the pixels that is inside, 0 to 1.
    pub fn covered(&self) -> f64 {
        self.count() as f64 / self.bits.len() as f64
    }

    /// Whether the pixel of column `x` and row `y` is inside; pixels out of the image are not.
    pub fn contains(&self, x: u32, y: u32) -> bool {
        let index = y as usize * self.width as usize + x as usize;
        x < self.width && self.bits.get(index).copied().unwrap_or(false)
    }

    /// Adds the pixels of `other`.
    ///
    /// # Errors
    ///
    /// [`MaskError::Sizes`] when the masks are not of one size; nothing is added then.
    pub fn unite(&mut self, other: &Self) -> Result<(), MaskError> {
        if (self.width, self.height) != (other.width, other.height) {
            return Err(MaskError::Sizes {
                width: self.width,
                height: self.height,
                other_width: other.width,
                other_height: other.height,
            });
        }
        for (bit, more) in self.bits.iter_mut().zip(&other.bits) {
            *bit |= more;
        }
        Ok(())
    }

    /// The share of each patch that is inside, 0 to 1, `[grid_h * grid_w]` row by row.
    ///
    /// `window` is the part of the image that a view shows, `[left, top, width, height]` in pixels, whole or not;
    /// `grid` (`[down, across]`) divides it evenly. A pixel counts by the area that it has in common with the patch,
    /// so the shares are exact at every scale and need no resampled mask.
    ///
    /// # Errors
    ///
    /// [`MaskError::Window`] when the window is empty or not within the image, [`MaskError::Grid`] when the grid has
    /// no patches or more than 2^24.
    pub fn patch_shares(&self, window: [f64; 4], grid: [usize; 2]) -> Result<Vec<f32>, MaskError> {
        let inside = |x: usize, y: usize| {
            let index = y * self.width as usize + x;
            f64::from(u8::from(self.bits.get(index).copied().unwrap_or(false)))
        };
        let mut shares = patch_means([self.width, self.height], inside, window, grid)?;
        for share in &mut shares {
            *share = share.clamp(0.0, 1.0);
        }
        Ok(shares)
    }
}

/// The mean of `value`, given a column and a row of an image of `size` (columns, rows), over each patch of a view, `[grid_h * grid_w]`;
/// window, grid and errors as for [`Mask::patch_shares`].
pub(crate) fn patch_means(
    size: [u32; 2],
    value: impl Fn(usize, usize) -> f64,
    window: [f64; 4],
    grid: [usize; 2],
) -> Result<Vec<f32>, MaskError> {
    let [left, top, width, height] = window;
    let [down, across] = grid;
    let patches = down.saturating_mul(across);
    if patches == 0 || patches > MAX_PATCHES {
        return Err(MaskError::Grid {
            height: down,
            width: across,
        });
    }
    // A window as large as the image may stand out of it by the rounding of its own computation.
    let inside = |from: f64, length: f64, side: u32| {
        from >= -1e-6 && length > 0.0 && from + length <= f64::from(side) + 1e-6
    };
    if !inside(left, width, size[0]) || !inside(top, height, size[1]) {
        return Err(MaskError::Window {
            window,
            width: size[0],
            height: size[1],
        });
    }
    let columns = spans(left, width, across, size[0]);
    let rows = spans(top, height, down, size[1]);
    let mut means = Vec::with_capacity(patches);
    for vertical in &rows {
        for horizontal in &columns {
            let mut sum = 0.0;
            for (y, tall) in vertical.pixels() {
                let row = horizontal.pixels().map(|(x, wide)| wide * value(x, y));
                sum += tall * row.sum::<f64>();
            }
            means.push((sum / (vertical.length() * horizontal.length())) as f32);
        }
    }
    Ok(means)
}

/// The extent of a patch along one side of the image.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: f64,
    to: f64,
    /// Pixels along the side.
    side: u32,
}

impl Span {
    fn length(self) -> f64 {
        self.to - self.from
    }

    /// The pixels it meets, with the length it has in common with each.
    fn pixels(self) -> impl Iterator<Item = (usize, f64)> {
        let first = self.from.max(0.0) as usize;
        let end = (self.to.ceil().max(0.0) as usize).min(self.side as usize);
        (first..end).map(move |pixel| {
            let (low, high) = (pixel as f64, pixel as f64 + 1.0);
            (pixel, (self.to.min(high) - self.from.max(low)).max(0.0))
        })
    }
}

/// `count` even parts of the `length` from `start`.
fn spans(start: f64, length: f64, count: usize, side: u32) -> Vec<Span> {
    let edge = |index: usize| start + length * index as f64 / count as f64;
    (0..count)
        .map(|index| Span {
            from: edge(index),
            to: edge(index + 1),
            side,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use semaim_normalization::Normalization;

    use super::*;
    use crate::{Augment, Pixels, Scratch};

    /// `#` is inside.
    fn mask(rows: &[&str]) -> Mask {
        let bits = rows.concat().bytes().map(|b| b == b'#').collect();
        Mask::new(rows[0].len() as u32, rows.len() as u32, bits).unwrap()
    }

    fn near(found: &[f32], expected: &[f32]) -> bool {
        found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(f, e)| (f - e).abs() < 1e-6)
    }

    #[test]
    fn pixels_are_where_they_were_put() {
        let mask = mask(&["..#", "#.."]);
        assert!(mask.contains(2, 0) && mask.contains(0, 1));
        assert!(!mask.contains(0, 0) && !mask.contains(2, 1));
        assert!(
            !mask.contains(3, 0),
            "the next row's first is not the end of this"
        );
        assert!(!mask.contains(0, 2) && !mask.contains(u32::MAX, u32::MAX));
        assert_eq!(mask.count(), 2);
        assert_eq!(mask.covered(), 2.0 / 6.0);
    }

    #[test]
    fn sizes_must_agree() {
        assert!(Mask::new(2, 2, vec![true; 3]).is_none());
        assert!(Mask::new(0, 2, vec![]).is_none());
        assert!(Mask::new(u32::MAX, u32::MAX, vec![true]).is_none());
        let mut wide = mask(&["#.#"]);
        let error = wide.unite(&mask(&["#", "#", "."])).unwrap_err();
        assert!(matches!(error, MaskError::Sizes { other_width: 1, .. }));
        assert_eq!(wide, mask(&["#.#"]));
        wide.unite(&mask(&["##."])).unwrap();
        assert_eq!(wide, mask(&["###"]));
    }

    #[test]
    fn shares_are_areas() {
        let mask = mask(&["##..", "##..", "....", "...#"]);
        let whole = [0.0, 0.0, 4.0, 4.0];
        let quarters = mask.patch_shares(whole, [2, 2]).unwrap();
        assert!(near(&quarters, &[1.0, 0.0, 0.0, 0.25]), "{quarters:?}");
        let one = mask.patch_shares(whole, [1, 1]).unwrap();
        assert!(near(&one, &[5.0 / 16.0]), "{one:?}");
        // Patches of 2/3 of a pixel and a window between pixels.
        let fine = mask.patch_shares([0.5, 0.0, 2.0, 1.0], [1, 3]).unwrap();
        assert!(near(&fine, &[1.0, 1.0, 0.25]), "{fine:?}");
        let window = mask.patch_shares([1.5, 0.5, 1.0, 1.0], [1, 1]).unwrap();
        assert!(near(&window, &[0.5]), "{window:?}");
        let tall = mask.patch_shares([0.0, 1.0, 2.0, 3.0], [3, 1]).unwrap();
        assert!(near(&tall, &[1.0, 0.0, 0.0]), "{tall:?}");
    }

    #[test]
    fn shares_agree_with_the_view_of_the_mask_as_a_picture() {
        // A disc in 160 x 128 pixels, whose evaluation view is the central square of 112.
        let (width, height) = (160u32, 128u32);
        let bits: Vec<bool> = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| (f64::from(x) - 60.0).hypot(f64::from(y) - 70.0) < 37.0)
            .collect();
        let data: Vec<u8> = bits
            .iter()
            .map(|inside| if *inside { 255 } else { 0 })
            .collect();
        let pixels = Pixels::new(width, height, 1, data).unwrap();
        let mut augment = Augment::new([112, 112], 1);
        augment.normalization = Normalization {
            mean: vec![0.0],
            std: vec![1.0],
        };
        let mut view = vec![0.0; augment.view_len()];
        augment
            .evaluation_view(pixels.size())
            .render_image(&pixels, &mut Scratch::new(), &mut view)
            .unwrap();
        let mask = Mask::new(width, height, bits).unwrap();
        let shares = mask
            .patch_shares([24.0, 8.0, 112.0, 112.0], [7, 7])
            .unwrap();
        for (patch, share) in shares.iter().enumerate() {
            let (row, column) = (patch / 7 * 16, patch % 7 * 16);
            let sum: f32 = (0..256)
                .map(|n| view[(row + n / 16) * 112 + column + n % 16])
                .sum();
            assert!((sum / 256.0 - share).abs() < 1e-3, "{patch}: {sum} {share}");
        }
        assert!(shares.contains(&0.0) && shares.contains(&1.0));
    }

    #[test]
    fn windows_and_grids_that_cannot_be_are_refused() {
        let mask = mask(&["##", "##"]);
        let nan = f64::NAN;
        for window in [
            [0.0, 0.0, 3.0, 1.0],
            [-1.0, 0.0, 1.0, 1.0],
            [0.0, 1.5, 1.0, 1.0],
            [0.0, 0.0, 0.0, 1.0],
            [nan, 0.0, 1.0, 1.0],
            [0.0, 0.0, 1.0, nan],
        ] {
            let error = mask.patch_shares(window, [1, 1]);
            assert!(matches!(error, Err(MaskError::Window { .. })), "{window:?}");
        }
        for grid in [[0, 3], [3, 0], [usize::MAX, 2]] {
            let error = mask.patch_shares([0.0, 0.0, 2.0, 2.0], grid);
            assert!(matches!(error, Err(MaskError::Grid { .. })), "{grid:?}");
        }
    }
}
