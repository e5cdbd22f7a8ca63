//! Run lengths as COCO's text.

use super::{Rle, from_runs};
use crate::error::SegmentationProblem;

/// The most characters of one number of a text: 60 bits, far beyond the pixels of any image.
const MAX_CHARACTERS: u32 = 12;

impl Rle {
    /// The mask of a text of COCO's making. The sides are at most 65,535.
    ///
    /// A number is written in groups of five bits, the lowest first, each as the character of the group plus 48; bit 5
    /// says that another group follows, and bit 4 of the last group is the sign. From the fourth number on, the number
    /// is the difference to the one before the last.
    ///
    /// # Errors
    ///
    /// When the text is broken or its runs do not fill the image exactly.
    pub fn from_text(text: &str, width: u32, height: u32) -> Result<Self, SegmentationProblem> {
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
        from_runs(runs, width, height)
    }

    /// The run lengths as COCO's text; see [`Rle::from_text`].
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (index, count) in self.counts.iter().enumerate() {
            let before = if index > 2 { self.counts[index - 2] } else { 0 };
            let mut number = i64::from(*count) - i64::from(before);
            loop {
                let group = (number & 31) as u8;
                number >>= 5;
                // What is left is nothing but copies of the group's own sign.
                let last = number == if group & 16 == 0 { 0 } else { -1 };
                text.push(char::from(48 + group + if last { 0 } else { 32 }));
                if last {
                    break;
                }
            }
        }
        text
    }
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
    use crate::rle::tests::rows;

    #[test]
    fn texts_are_those_of_the_coco_api() {
        // Recorded from pycocotools 2.0 (`encode` of masks of our own).
        let mask = Rle::from_text("132", 3, 2).unwrap();
        assert_eq!(rows(&mask), [".#.", "##."]);
        assert_eq!(mask.to_text(), "132");
        assert_eq!(Rle::from_text("06", 3, 2).unwrap().area(), 6);
        assert_eq!(Rle::from_text("6", 3, 2).unwrap().area(), 0);
        let ring = "oa0;k04L4M2M4N0O2NCE0:LN01010NO40K070HO:0F0:0F0:0F0:0FO<0D1:0F0:0F0:0F0:0F180I050L120O0O024F0;=2N102L3N3L4Lk?";
        let text = ring;
        let ring = Rle::from_text(text, 60, 40).unwrap();
        assert_eq!(ring.to_text(), text);
        let bits = ring.to_bits();
        let squares = |x: u32, y: u32| x.abs_diff(30).pow(2) + y.abs_diff(20).pow(2);
        for y in 0..40 {
            for x in 0..60 {
                let inside = (82..289).contains(&squares(x, y));
                assert_eq!(bits[(y * 60 + x) as usize], inside, "{x} {y}");
            }
        }
    }

    #[test]
    fn broken_texts_are_refused() {
        let error = |text: &str| Rle::from_text(text, 3, 2).unwrap_err();
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
                    let _ = Rle::from_text(&String::from_iter([a, b, c]), 2, 2);
                    let long = String::from_iter(["o".repeat(11), String::from_iter([a, b, c])]);
                    let _ = Rle::from_text(&long, 2, 2);
                }
            }
        }
    }
}
