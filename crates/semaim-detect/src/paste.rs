//! A region's mask put back into the image.

use crate::bitmask::BitMask;
use crate::boxes::BoundingBox;

/// The pixels of an image of `[height, width]` at whose middle the mask, `side · side` probabilities stretched over
/// `bounds` and interpolated bilinearly, is at least `threshold`. Outside `bounds` the mask is zero.
///
/// # Panics
/// If there are not `side · side` probabilities.
pub fn paste(
    probabilities: &[f32],
    side: usize,
    bounds: BoundingBox,
    image: [usize; 2],
    threshold: f32,
) -> BitMask {
    assert_eq!(probabilities.len(), side * side, "probabilities of a mask");
    let mut mask = BitMask::empty(image);
    if !bounds.has_area() || !bounds.is_finite() {
        return mask;
    }
    let [height, width] = image;
    // Half a cell beyond the box the mask has faded to zero; more than a pixel beyond, it is below any threshold from
    // one half on. Nothing is lost by looking at all that is not zero.
    let reach = |from: f32, to: f32, size: usize| {
        let margin = (to - from) / (2.0 * side as f32) + 1.0;
        let first = (from - margin).floor().clamp(0.0, size as f32) as usize;
        let last = (to + margin).ceil().clamp(0.0, size as f32) as usize;
        first..last
    };
    let columns: Vec<_> = reach(bounds.x0, bounds.x1, width)
        .map(|x| (x, cells(x, bounds.x0, bounds.x1, side)))
        .collect();
    for y in reach(bounds.y0, bounds.y1, height) {
        let [(top, wt), (bottom, wb)] = cells(y, bounds.y0, bounds.y1, side);
        for &(x, [(left, wl), (right, wr)]) in &columns {
            let at = |row: Option<usize>, column: Option<usize>| match (row, column) {
                (Some(row), Some(column)) => probabilities[row * side + column],
                _ => 0.0,
            };
            let value = at(top, left) * (wt * wl)
                + at(top, right) * (wt * wr)
                + at(bottom, left) * (wb * wl)
                + at(bottom, right) * (wb * wr);
            mask.pixels[y * width + x] = value >= threshold;
        }
    }
    mask
}

/// The two cells on either side of a pixel's middle, `None` where there is none, and their weights.
fn cells(pixel: usize, from: f32, to: f32, side: usize) -> [(Option<usize>, f32); 2] {
    // As published: first to -1..1 over the box, then to cells.
    let place = (pixel as f32 + 0.5 - from) / (to - from) * 2.0 - 1.0;
    let place = ((place + 1.0) * side as f32 - 1.0) / 2.0;
    let low = place.floor();
    let after = place - low;
    let cell = |place: f32| (place >= 0.0 && place < side as f32).then_some(place as usize);
    [(cell(low), 1.0 - after), (cell(low + 1.0), after)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(mask: &BitMask) -> Vec<String> {
        mask.pixels
            .chunks(mask.width)
            .map(|row| row.iter().map(|&on| if on { '#' } else { '.' }).collect())
            .collect()
    }

    #[test]
    fn a_full_mask_fills_its_box() {
        let bounds = BoundingBox::new(2.0, 1.0, 6.0, 4.0);
        let mask = paste(&[1.0; 9], 3, bounds, [5, 8], 0.5);
        assert_eq!(
            drawn(&mask),
            ["........", "..####..", "..####..", "..####..", "........"]
        );
    }

    #[test]
    fn halves_and_borders() {
        // The left column of cells only.
        let left = [1.0, 0.0, 1.0, 0.0];
        let mask = paste(&left, 2, BoundingBox::new(0.0, 0.0, 8.0, 2.0), [2, 8], 0.5);
        assert_eq!(drawn(&mask), ["####....", "####...."]);
        // Mostly outside the image.
        let mask = paste(
            &left,
            2,
            BoundingBox::new(-6.0, -4.0, 10.0, 4.0),
            [3, 4],
            0.5,
        );
        assert_eq!(drawn(&mask), ["##..", "##..", "#..."]);
        let nothing = paste(&left, 2, BoundingBox::new(3.0, 3.0, 3.0, 9.0), [3, 4], 0.5);
        assert!(!nothing.pixels.contains(&true));
        let nothing = paste(
            &left,
            2,
            BoundingBox::new(30.0, 3.0, 35.0, 9.0),
            [3, 4],
            0.5,
        );
        assert!(!nothing.pixels.contains(&true));
    }
}
