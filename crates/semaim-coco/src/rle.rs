//! A mask as run lengths: pixels column by column, in turn outside and inside, starting with outside.

mod text;

use crate::error::SegmentationProblem;

/// A mask as run lengths. No run but the first is empty, so that equal masks have equal runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rle {
    width: u32,
    height: u32,
    counts: Vec<u32>,
}

impl Rle {
    /// The longest side in pixels of an image that has masks.
    pub const MOST_SIDE: u32 = 65_535;

    /// The mask of run lengths that may be empty. The sides are at most 65,535.
    ///
    /// # Errors
    ///
    /// When the runs do not fill the image exactly.
    pub fn from_counts(
        counts: &[i64],
        width: u32,
        height: u32,
    ) -> Result<Self, SegmentationProblem> {
        from_runs(counts.iter().map(|run| Ok(*run)), width, height)
    }

    /// The mask of one truth value per pixel, `[height, width]` row by row.
    ///
    /// Returns `None` when the length is not `width * height`, or a side is above 65,535.
    pub fn from_bits(bits: &[bool], width: u32, height: u32) -> Option<Self> {
        let fits = width <= Self::MOST_SIDE && height <= Self::MOST_SIDE;
        if !fits || bits.len() != width as usize * height as usize {
            return None;
        }
        let mut runs = Runs::default();
        for x in 0..width as usize {
            for row in bits.chunks_exact(width as usize) {
                runs.push(row[x], 1);
            }
        }
        Some(runs.into_rle(width, height))
    }

    /// The mask that turns from outside to inside or back at each of some places, in pixels column by column, in
    /// ascending order. Two turns at one place are none; turns behind the last pixel do nothing.
    pub(crate) fn from_turns(turns: &[u32], width: u32, height: u32) -> Self {
        let pixels = width * height;
        let mut runs = Runs::default();
        let (mut inside, mut from) = (false, 0);
        for turn in turns {
            let turn = (*turn).min(pixels);
            runs.push(inside, turn - from);
            (inside, from) = (!inside, turn);
        }
        runs.push(inside, pixels - from);
        runs.into_rle(width, height)
    }

    /// Columns.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The run lengths.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// One truth value per pixel, `[height, width]` row by row.
    pub fn to_bits(&self) -> Vec<bool> {
        let (columns, rows) = (self.width as usize, self.height as usize);
        let mut bits = vec![false; columns * rows];
        for (from, to) in self.inside() {
            for position in from as usize..to as usize {
                bits[position % rows * columns + position / rows] = true;
            }
        }
        bits
    }

    /// Pixels inside.
    pub fn area(&self) -> u64 {
        let inside = self.counts.iter().skip(1).step_by(2);
        inside.map(|run| u64::from(*run)).sum()
    }

    /// The smallest box around the mask, `[x, y, width, height]` in pixels; all 0 around nothing.
    pub fn bounding_box(&self) -> [f64; 4] {
        let height = self.height;
        let (mut left, mut top, mut right, mut bottom) = (u32::MAX, u32::MAX, 0, 0);
        for (from, to) in self.inside() {
            let last = to - 1;
            let (x0, x1) = (from / height, last / height);
            left = left.min(x0);
            right = right.max(x1);
            if x0 < x1 {
                // It goes on at the top of the next column.
                (top, bottom) = (0, height - 1);
            } else {
                top = top.min(from % height);
                bottom = bottom.max(last % height);
            }
        }
        if left > right {
            return [0.0; 4];
        }
        [left, top, right - left + 1, bottom - top + 1].map(f64::from)
    }

    /// Pixels that are inside of both. `other` is of the same size.
    pub fn intersection_area(&self, other: &Self) -> u64 {
        let mut area = 0;
        let mut theirs = other.inside().peekable();
        for (from, to) in self.inside() {
            while let Some(&(other_from, other_to)) = theirs.peek() {
                if other_from >= to {
                    break;
                }
                area += u64::from(to.min(other_to).saturating_sub(from.max(other_from)));
                if other_to > to {
                    break;
                }
                theirs.next();
            }
        }
        area
    }

    /// The pixels that are inside of one or both. `other` is of the same size.
    pub fn union(&self, other: &Self) -> Self {
        let mut runs = Runs::default();
        let mut filled = 0;
        let (mut a, mut b) = (self.inside().peekable(), other.inside().peekable());
        loop {
            let next = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) if x.0 <= y.0 => a.next(),
                (_, Some(_)) => b.next(),
                (_, None) => a.next(),
            };
            let Some((from, to)) = next else { break };
            if to > filled {
                let from = from.max(filled);
                runs.push(false, from - filled);
                runs.push(true, to - from);
                filled = to;
            }
        }
        runs.push(false, self.width * self.height - filled);
        runs.into_rle(self.width, self.height)
    }

    /// The mask whose pixel in column `c` and row `r` is this one's in column `columns[c]` and row `rows[r]`; `rows` is in
    /// ascending order, columns and rows that this one does not have are outside. There are at most 65,535 of each.
    pub fn sampled(&self, columns: &[u32], rows: &[u32]) -> Self {
        // From column to column in turn, as runs have it: the rows from the first to before the second are inside.
        let mut parts: Vec<(u32, u32, u32)> = Vec::new();
        for (from, to) in self.inside() {
            let (first, last) = (from / self.height, (to - 1) / self.height);
            for column in first..=last {
                let top = column * self.height;
                let bottom = top + self.height;
                parts.push((column, from.max(top) - top, to.min(bottom) - top));
            }
        }
        let height = rows.len() as u32;
        let mut runs = Runs::default();
        for column in columns {
            let from = parts.partition_point(|part| part.0 < *column);
            let inside = parts.iter().skip(from).take_while(|p| p.0 == *column);
            let mut filled = 0;
            for &(_, top, bottom) in inside {
                let row = |edge: u32| rows.partition_point(|row| *row < edge) as u32;
                let (top, bottom) = (row(top), row(bottom));
                runs.push(false, top - filled);
                runs.push(true, bottom - top);
                filled = bottom;
            }
            runs.push(false, height - filled);
        }
        runs.into_rle(columns.len() as u32, height)
    }

    /// The runs inside: where each begins and where the pixels behind it begin.
    fn inside(&self) -> impl Iterator<Item = (u32, u32)> {
        let mut end = 0;
        self.counts.chunks(2).filter_map(move |pair| {
            let [outside, inside] = pair else { return None };
            let from = end + outside;
            end = from + inside;
            Some((from, end))
        })
    }
}

/// Run lengths in the making.
#[derive(Default)]
struct Runs {
    counts: Vec<u32>,
}

impl Runs {
    /// Appends pixels; a run of the kind of the last is joined to it.
    fn push(&mut self, inside: bool, length: u32) {
        if length == 0 {
            return;
        }
        if self.counts.is_empty() && inside {
            self.counts.push(0);
        }
        let last_is_inside = self.counts.len().is_multiple_of(2);
        match self.counts.last_mut() {
            Some(last) if last_is_inside == inside => *last += length,
            _ => self.counts.push(length),
        }
    }

    fn into_rle(mut self, width: u32, height: u32) -> Rle {
        self.counts.shrink_to_fit();
        Rle {
            width,
            height,
            counts: self.counts,
        }
    }
}

/// A mask run by run; no memory but that of the runs is needed, whatever they say.
fn from_runs(
    runs: impl Iterator<Item = Result<i64, SegmentationProblem>>,
    width: u32,
    height: u32,
) -> Result<Rle, SegmentationProblem> {
    let expected = u64::from(width) * u64::from(height);
    let mut filled = 0;
    let mut found = Runs::default();
    let mut count = 0usize;
    for (index, run) in runs.enumerate() {
        let length = run?;
        let run = u64::try_from(length)
            .map_err(|_| SegmentationProblem::NegativeRun { index, length })?;
        filled = u64::saturating_add(filled, run);
        if filled > expected {
            return Err(SegmentationProblem::Total {
                index,
                found: filled,
                expected,
            });
        }
        found.push(index % 2 == 1, run as u32);
        count = index + 1;
    }
    if filled != expected {
        return Err(SegmentationProblem::Total {
            index: count,
            found: filled,
            expected,
        });
    }
    Ok(found.into_rle(width, height))
}

#[cfg(test)]
mod tests {
    use semaim_random::{Key, KeyedRng, Stream};

    use super::*;

    /// The rows of a mask, `#` inside.
    pub(super) fn rows(mask: &Rle) -> Vec<String> {
        let show = |inside: &bool| if *inside { '#' } else { '.' };
        mask.to_bits()
            .chunks(mask.width() as usize)
            .map(|row| row.iter().map(show).collect())
            .collect()
    }

    #[test]
    fn runs_go_down_the_columns() {
        let mask = Rle::from_counts(&[1, 3, 2], 3, 2).unwrap();
        assert_eq!(rows(&mask), [".#.", "##."]);
        let mask = Rle::from_counts(&[0, 6], 3, 2).unwrap();
        assert_eq!(mask.area(), 6);
        let mask = Rle::from_counts(&[2, 0, 3, 1], 3, 2).unwrap();
        assert_eq!(rows(&mask), ["...", "..#"]);
    }

    #[test]
    fn runs_that_do_not_fill_the_image_are_refused() {
        let total = |runs: &[i64]| Rle::from_counts(runs, 3, 2).unwrap_err();
        assert_eq!(
            total(&[1, 3, 3]),
            SegmentationProblem::Total {
                index: 2,
                found: 7,
                expected: 6
            }
        );
        assert_eq!(
            total(&[1, 3]),
            SegmentationProblem::Total {
                index: 2,
                found: 4,
                expected: 6
            }
        );
        assert!(matches!(
            total(&[]),
            SegmentationProblem::Total { found: 0, .. }
        ));
        assert!(matches!(
            total(&[i64::MAX, i64::MAX, i64::MAX]),
            SegmentationProblem::Total { index: 0, .. }
        ));
        assert_eq!(
            total(&[4, -1, 3]),
            SegmentationProblem::NegativeRun {
                index: 1,
                length: -1
            }
        );
    }

    /// A mask of random runs, as bits and as runs.
    fn random(rng: &mut KeyedRng, width: u32, height: u32) -> (Vec<bool>, Rle) {
        // From almost empty to almost full, in lumps or scattered.
        let (turn, mut inside) = (rng.uniform_f64().powi(3), rng.bernoulli(0.5));
        let bits: Vec<bool> = (0..width * height)
            .map(|_| {
                inside ^= rng.bernoulli(turn);
                inside
            })
            .collect();
        let rle = Rle::from_bits(&bits, width, height).unwrap();
        (bits, rle)
    }

    #[test]
    fn runs_agree_with_bits() {
        for case in 0..2000 {
            let mut rng = KeyedRng::new(Key::new(1, 0, case), Stream::Shapes);
            let width = rng.below(9) as u32 + 1;
            let height = rng.below(9) as u32 + 1;
            let (a, b) = (
                random(&mut rng, width, height),
                random(&mut rng, width, height),
            );
            assert_eq!(a.1.to_bits(), a.0);
            assert!(a.1.counts().iter().skip(1).all(|run| *run > 0));
            let text = a.1.to_text();
            assert_eq!(Rle::from_text(&text, width, height).unwrap(), a.1, "{text}");
            let count = |bits: &[bool]| bits.iter().filter(|bit| **bit).count() as u64;
            assert_eq!(a.1.area(), count(&a.0));
            let joined = |join: fn(bool, bool) -> bool| -> Vec<bool> {
                a.0.iter().zip(&b.0).map(|(x, y)| join(*x, *y)).collect()
            };
            let common = joined(|x, y| x && y);
            assert_eq!(a.1.intersection_area(&b.1), count(&common));
            let union = joined(|x, y| x || y);
            assert_eq!(
                a.1.union(&b.1),
                Rle::from_bits(&union, width, height).unwrap()
            );
            let inside = |n: &usize| a.0[*n];
            let all = || (0..a.0.len()).filter(inside);
            let (xs, ys) = (
                all().map(|n| n as u32 % width),
                all().map(|n| n as u32 / width),
            );
            let bounds = match (xs.clone().min(), ys.clone().min(), xs.max(), ys.max()) {
                (Some(x0), Some(y0), Some(x1), Some(y1)) => {
                    [x0, y0, x1 - x0 + 1, y1 - y0 + 1].map(f64::from)
                }
                _ => [0.0; 4],
            };
            assert_eq!(a.1.bounding_box(), bounds);
            let columns: Vec<u32> = (0..5).map(|_| rng.below(11) as u32).collect();
            let mut rows: Vec<u32> = (0..6).map(|_| rng.below(11) as u32).collect();
            rows.sort_unstable();
            let bit = |(x, y): (u32, u32)| x < width && y < height && a.0[(y * width + x) as usize];
            let sampled = rows
                .iter()
                .flat_map(|y| columns.iter().map(move |x| (*x, *y)));
            let sampled: Vec<bool> = sampled.map(bit).collect();
            assert_eq!(
                a.1.sampled(&columns, &rows),
                Rle::from_bits(&sampled, 5, 6).unwrap()
            );
        }
    }
}
