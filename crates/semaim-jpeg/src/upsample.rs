//! From the samples of a component to rows as wide as the picture.

use std::ops::Range;

/// The samples of a component in a part of the picture.
#[derive(Debug)]
pub(crate) struct Plane<'a> {
    /// Rows of `stride` samples.
    pub(crate) samples: &'a [u8],
    pub(crate) stride: usize,
    /// Column and row of the component that the first sample is.
    pub(crate) origin: [usize; 2],
    /// Columns and rows of the whole component.
    pub(crate) size: [usize; 2],
    /// Columns and rows of the picture per sample.
    pub(crate) ratio: [usize; 2],
}

impl Plane<'_> {
    /// Row `y` of the component, or the nearest that it has, from the plane's first column on.
    fn row(&self, y: usize) -> &[u8] {
        let y = y.min(self.size[1].saturating_sub(1));
        let start = y.saturating_sub(self.origin[1]) * self.stride;
        let row = self.samples.get(start..start + self.stride);
        row.unwrap_or_default()
    }

    /// The given columns of a row of the component.
    fn columns(&self, y: usize, columns: Range<usize>) -> &[u8] {
        let start = columns.start.saturating_sub(self.origin[0]);
        let row = self.row(y).get(start..start + columns.len());
        row.unwrap_or_default()
    }

    /// The given columns of row `y` of the picture.
    ///
    /// Where a sample covers two columns or rows, it is mixed with the next one in proportion 3 to 1 (the filter that
    /// libjpeg calls fancy, with its rounding); where it covers more, it is repeated. At the edges of the component the
    /// outermost samples go on.
    pub(crate) fn picture_row<'r>(
        &'r self,
        y: usize,
        columns: Range<usize>,
        row: &'r mut Row,
    ) -> &'r [u8] {
        let near = self.row_index(y);
        match self.ratio {
            [1, 1] => self.columns(y, columns),
            [1, 2] => {
                let far = self.columns(self.far_row(y), columns.clone());
                let near = self.columns(near, columns);
                let round = if y.is_multiple_of(2) { 1 } else { 2 };
                row.samples.clear();
                row.samples.extend(near.iter().zip(far).map(|(near, far)| {
                    ((3 * u16::from(*near) + u16::from(*far) + round) >> 2) as u8
                }));
                &row.samples
            }
            [2, 1 | 2] => {
                let wanted = columns.start / 2..columns.end.div_ceil(2);
                // One sample more on both sides, as far as there are any.
                let first = wanted.start.saturating_sub(1);
                let around = first..(wanted.end + 1).min(self.size[0]);
                let near_row = self.columns(near, around.clone());
                row.wide.clear();
                if wanted.start == 0 {
                    // Replaced below, once the first sample is known.
                    row.wide.push(0);
                }
                let double = self.ratio[1] == 2;
                if double {
                    let far_row = self.columns(self.far_row(y), around);
                    let mixed = near_row.iter().zip(far_row);
                    let mixed = mixed.map(|(near, far)| 3 * u16::from(*near) + u16::from(*far));
                    row.wide.extend(mixed);
                } else {
                    row.wide
                        .extend(near_row.iter().map(|&near| u16::from(near)));
                }
                if wanted.start == 0
                    && let [outer, first, ..] = &mut row.wide[..]
                {
                    *outer = *first;
                }
                let last = row.wide.last().copied().unwrap_or_default();
                row.wide.resize(wanted.len() + 2, last);
                row.samples.resize(2 * wanted.len(), 0);
                if double {
                    stretch::<4>(&row.wide, [8, 7], &mut row.samples);
                } else {
                    stretch::<2>(&row.wide, [1, 2], &mut row.samples);
                }
                let start = columns.start - 2 * wanted.start;
                let samples = row.samples.get(start..start + columns.len());
                samples.unwrap_or_default()
            }
            [across, _] => {
                let wanted = columns.start / across..columns.end.div_ceil(across);
                let start = columns.start - across * wanted.start;
                let samples = self.columns(near, wanted);
                row.samples.clear();
                row.samples.extend(
                    samples
                        .iter()
                        .flat_map(|&sample| std::iter::repeat_n(sample, across))
                        .skip(start)
                        .take(columns.len()),
                );
                &row.samples
            }
        }
    }

    /// The row of the component that covers row `y` of the picture.
    fn row_index(&self, y: usize) -> usize {
        y / self.ratio[1]
    }

    /// The row of the component next to that, on the side of row `y` of the picture, of the two that a row covers.
    fn far_row(&self, y: usize) -> usize {
        let near = self.row_index(y);
        if y.is_multiple_of(2) {
            near.saturating_sub(1)
        } else {
            near + 1
        }
    }
}

/// Buffers for one row.
#[derive(Debug, Default)]
pub(crate) struct Row {
    samples: Vec<u8>,
    /// Samples times the weight of their row, with one more on both sides.
    wide: Vec<u16>,
}

/// Doubles a row: `wide` has one sample more on both sides than there are pairs in `out`. `SHIFT` takes out the weights
/// of both directions.
fn stretch<const SHIFT: u32>(wide: &[u16], [left, right]: [u16; 2], out: &mut [u8]) {
    let (pairs, _) = out.as_chunks_mut::<2>();
    let (Some(here), Some(after)) = (wide.get(1..), wide.get(2..)) else {
        return;
    };
    for (((pair, before), here), after) in pairs.iter_mut().zip(wide).zip(here).zip(after) {
        let most = 3 * here;
        *pair = [
            ((most + before + left) >> SHIFT) as u8,
            ((most + after + right) >> SHIFT) as u8,
        ];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(samples: &[u8], size: [usize; 2], ratio: [usize; 2]) -> Plane<'_> {
        Plane {
            samples,
            stride: size[0],
            origin: [0, 0],
            size,
            ratio,
        }
    }

    fn rows(plane: &Plane<'_>, columns: Range<usize>) -> Vec<Vec<u8>> {
        let mut row = Row::default();
        (0..plane.size[1] * plane.ratio[1])
            .map(|y| plane.picture_row(y, columns.clone(), &mut row).to_vec())
            .collect()
    }

    #[test]
    fn doubling() {
        let across = rows(&plane(&[0, 100, 200], [3, 1], [2, 1]), 0..6);
        assert_eq!(across, [[0, 25, 75, 125, 175, 200]]);
        let down = rows(&plane(&[0, 100, 200], [1, 3], [1, 2]), 0..1);
        assert_eq!(down.concat(), [0, 25, 75, 125, 175, 200]);
        let both = rows(&plane(&[0, 160, 80, 240], [2, 2], [2, 2]), 0..4);
        assert_eq!(both[0], [0, 40, 120, 160]);
        assert_eq!(both[1], [20, 60, 140, 180]);
        assert_eq!(both[3], [80, 120, 200, 240]);
        assert_eq!(rows(&plane(&[7], [1, 1], [2, 2]), 0..1), [[7], [7]]);
    }

    #[test]
    fn more_than_doubling() {
        let four = rows(&plane(&[1, 2, 3], [3, 1], [4, 1]), 3..10);
        assert_eq!(four, [[1, 2, 2, 2, 2, 3, 3]]);
    }

    #[test]
    fn parts_are_cuts() {
        let samples: Vec<u8> = (0..60u32).map(|i| (i * 97 % 251) as u8).collect();
        for ratio in [[1, 1], [1, 2], [2, 1], [2, 2], [4, 1], [4, 2]] {
            let plane = plane(&samples, [10, 6], ratio);
            let width = 10 * ratio[0];
            let whole = rows(&plane, 0..width);
            for (start, end) in [(0, 1), (1, 2), (3, 8), (2, width), (width - 1, width)] {
                let part = rows(&plane, start..end);
                for (part, whole) in part.iter().zip(&whole) {
                    assert_eq!(part, &whole[start..end], "{ratio:?}");
                }
            }
        }
    }
}
