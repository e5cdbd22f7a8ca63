//! Smaller pictures of letters.

/// Shrinks `rows`, all as long as the first, to `[across, down]` pixels, row by row: each is the mean of the area that it
/// covers, in the numbers of the rows.
pub(crate) fn shrink(rows: &[&[u8]], [across, down]: [u32; 2]) -> Vec<f32> {
    let width = rows.first().map_or(0, |row| row.len());
    let columns = shares(width, across);
    let mut out = Vec::with_capacity(across as usize * down as usize);
    for row_shares in shares(rows.len(), down) {
        for column_shares in &columns {
            let mut sum = 0.0;
            for &(row, down_share) in &row_shares {
                for &(column, across_share) in column_shares {
                    sum += f32::from(rows[row][column]) * down_share * across_share;
                }
            }
            out.push(sum);
        }
    }
    out
}

/// For each of `to` equal parts of a line of `from` pixels: the pixels it covers and the share of the part that each is.
fn shares(from: usize, to: u32) -> Vec<Vec<(usize, f32)>> {
    let step = from as f32 / to as f32;
    let part = |index: u32| {
        let (start, end) = (index as f32 * step, (index + 1) as f32 * step);
        (start as usize..from)
            .map(|pixel| {
                let cover = end.min(pixel as f32 + 1.0) - start.max(pixel as f32);
                (pixel, cover / step)
            })
            .take_while(|(_, share)| *share > 0.0)
            .collect()
    };
    (0..to).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pixel_is_the_mean_of_what_it_covers() {
        let rows: [&[u8]; 2] = [&[0, 30, 60], &[90, 90, 90]];
        // Two of three pixels: the middle one is half of either.
        let out = shrink(&rows, [2, 2]);
        for (found, expected) in out.iter().zip([10.0, 50.0, 90.0, 90.0]) {
            assert!((found - expected).abs() < 1e-3, "{out:?}");
        }
        assert_eq!(shrink(&rows, [3, 2]), [0.0, 30.0, 60.0, 90.0, 90.0, 90.0]);
        assert!((shrink(&rows, [1, 1])[0] - 60.0).abs() < 1e-3);
    }

    #[test]
    fn nothing_shrinks_to_nothing() {
        assert_eq!(shrink(&[], [2, 1]), [0.0, 0.0]);
    }
}
