//! Run lengths: pixels column by column, in turn outside and inside, starting with outside.

use super::error::SegmentationProblem;
use crate::mask::Mask;

/// The most characters of one number of a text: 60 bits, far beyond the pixels of any image.
const MAX_CHARACTERS: u32 = 12;

/// The mask of runs given as numbers.
pub(super) fn of_list(runs: &[i64], width: u32, height: u32) -> Result<Mask, SegmentationProblem> {
    of_runs(runs.iter().map(|run| Ok(*run)), width, height)
}

/// The mask of runs given as a text of COCO's making.
///
/// A number is written in groups of five bits, the lowest first, each as the character of the group plus 48; bit 5
/// says that another group follows, and bit 4 of the last group is the sign. From the fourth number on, the number
/// is the difference to the one before the last.
pub(super) fn of_text(text: &str, width: u32, height: u32) -> Result<Mask, SegmentationProblem> {
    let mut numbers = Numbers {
        text: text.as_bytes(),
        at: 0,
    };
    let mut before = [0i64; 2];
    let mut index = 0usize;
    let runs = std::iter::from_fn(|| {
        let number = numbers.next()?;
        let run = number.map(|number| {
            // Both are below 2^60 in magnitude: the runs before were checked against the pixels.
            let run = if index > 2 {
                number + before[0]
            } else {
                number
            };
            before = [before[1], run];
            index += 1;
            run
        });
        Some(run)
    });
    of_runs(runs, width, height)
}

/// Fills a mask run by run; no memory but the mask's is needed, whatever the runs say.
fn of_runs(
    runs: impl Iterator<Item = Result<i64, SegmentationProblem>>,
    width: u32,
    height: u32,
) -> Result<Mask, SegmentationProblem> {
    let (columns, rows) = (width as usize, height as usize);
    let expected = columns * rows;
    let mut bits = vec![false; expected];
    let mut filled = 0usize;
    let mut count = 0usize;
    for (index, run) in runs.enumerate() {
        let length = run?;
        let run = u64::try_from(length)
            .map_err(|_| SegmentationProblem::NegativeRun { index, length })?;
        let total = (filled as u64).saturating_add(run);
        if total > expected as u64 {
            return Err(SegmentationProblem::Total {
                index,
                found: total,
                expected: expected as u64,
            });
        }
        let end = total as usize;
        if index % 2 == 1 {
            for position in filled..end {
                bits[position % rows * columns + position / rows] = true;
            }
        }
        filled = end;
        count = index + 1;
    }
    let total = SegmentationProblem::Total {
        index: count,
        found: filled as u64,
        expected: expected as u64,
    };
    if filled != expected {
        return Err(total);
    }
    Mask::new(width, height, bits).ok_or(total)
}

/// The numbers of a text, before differences are undone.
struct Numbers<'a> {
    text: &'a [u8],
    at: usize,
}

impl Iterator for Numbers<'_> {
    type Item = Result<i64, SegmentationProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.at < self.text.len()).then(|| self.number())
    }
}

impl Numbers<'_> {
    fn number(&mut self) -> Result<i64, SegmentationProblem> {
        let mut number = 0i64;
        for group in 0..MAX_CHARACTERS {
            let at = self.at;
            let Some(&byte) = self.text.get(at) else {
                return Err(SegmentationProblem::Truncated {
                    length: self.text.len(),
                });
            };
            let bits = byte.wrapping_sub(48);
            if bits > 63 {
                return Err(SegmentationProblem::Character { at, byte });
            }
            self.at += 1;
            number |= i64::from(bits & 31) << (5 * group);
            if bits & 32 == 0 {
                if bits & 16 != 0 {
                    number |= -1 << (5 * group + 5);
                }
                return Ok(number);
            }
        }
        Err(SegmentationProblem::LongNumber { at: self.at - 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a mask, `#` inside.
    fn rows(mask: &Mask) -> Vec<String> {
        let show = |inside: &bool| if *inside { '#' } else { '.' };
        mask.bits()
            .chunks(mask.width() as usize)
            .map(|row| row.iter().map(show).collect())
            .collect()
    }

    #[test]
    fn runs_go_down_the_columns() {
        let mask = of_list(&[1, 3, 2], 3, 2).unwrap();
        assert_eq!(rows(&mask), [".#.", "##."]);
        let mask = of_list(&[0, 6], 3, 2).unwrap();
        assert_eq!(mask.count(), 6);
        let mask = of_list(&[2, 0, 3, 1], 3, 2).unwrap();
        assert_eq!(rows(&mask), ["...", "..#"]);
    }

    #[test]
    fn texts_are_those_of_the_coco_api() {
        // Recorded from pycocotools 2.0 (`encode` of masks of our own).
        let mask = of_text("132", 3, 2).unwrap();
        assert_eq!(rows(&mask), [".#.", "##."]);
        assert_eq!(of_text("06", 3, 2).unwrap().count(), 6);
        assert_eq!(of_text("6", 3, 2).unwrap().count(), 0);
        let ring = "oa0;k04L4M2M4N0O2NCE0:LN01010NO40K070HO:0F0:0F0:0F0:0FO<0D1:0F0:0F0:0F0:0F180I050L120O0O024F0;=2N102L3N3L4Lk?";
        let ring = of_text(ring, 60, 40).unwrap();
        let squares = |x: u32, y: u32| x.abs_diff(30).pow(2) + y.abs_diff(20).pow(2);
        for y in 0..40 {
            for x in 0..60 {
                let inside = (82..289).contains(&squares(x, y));
                assert_eq!(ring.contains(x, y), inside, "{x} {y}");
            }
        }
    }

    #[test]
    fn runs_that_do_not_fill_the_image_are_refused() {
        let total = |runs: &[i64]| of_list(runs, 3, 2).unwrap_err();
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

    #[test]
    fn broken_texts_are_refused() {
        let error = |text: &str| of_text(text, 3, 2).unwrap_err();
        // `P` says that more follows.
        assert_eq!(error("1P"), SegmentationProblem::Truncated { length: 2 });
        assert_eq!(
            error("1 3"),
            SegmentationProblem::Character { at: 1, byte: b' ' }
        );
        assert_eq!(
            error("1p"),
            SegmentationProblem::Character { at: 1, byte: b'p' }
        );
        assert!(matches!(
            error("1é"),
            SegmentationProblem::Character { at: 1, .. }
        ));
        assert_eq!(
            error(&"P".repeat(40)),
            SegmentationProblem::LongNumber { at: 11 }
        );
        // `O` is -1: as the first run, and as a difference that leads below 0.
        assert!(matches!(
            error("O"),
            SegmentationProblem::NegativeRun { index: 0, .. }
        ));
        assert!(matches!(
            error("102N"),
            SegmentationProblem::NegativeRun {
                index: 3,
                length: -2
            }
        ));
        assert!(matches!(error(""), SegmentationProblem::Total { .. }));
        assert!(matches!(
            error("13"),
            SegmentationProblem::Total { found: 4, .. }
        ));
    }

    #[test]
    fn no_text_crashes() {
        // All texts of three characters around the edges of the alphabet, and of the longest numbers.
        let letters = [
            '0', '1', '?', '@', 'O', 'P', '_', '`', 'o', 'p', '/', '\u{7f}',
        ];
        for a in letters {
            for b in letters {
                for c in letters {
                    let _ = of_text(&String::from_iter([a, b, c]), 2, 2);
                    let long = String::from_iter(["o".repeat(11), String::from_iter([a, b, c])]);
                    let _ = of_text(&long, 2, 2);
                }
            }
        }
    }
}
