//! Text in a fixed-width font.

use image::{Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use crate::paint::blend;
use crate::shrink::shrink;

/// A kind of text: its size, weight and colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    weight: FontWeight,
    size: RasterHeight,
    /// The box of a character, `[across, down]`, where it is smaller than the font's own. The font has no small size, so
    /// its largest is shrunk.
    shrunk: Option<[u32; 2]>,
    colour: Rgb<u8>,
}

/// The line above everything.
pub(crate) const TITLE: Style = Style {
    weight: FontWeight::Bold,
    size: RasterHeight::Size20,
    shrunk: None,
    colour: Rgb([20, 20, 24]),
};

/// Column names.
pub(crate) const HEADER: Style = Style {
    weight: FontWeight::Bold,
    size: RasterHeight::Size16,
    shrunk: None,
    colour: Rgb([52, 54, 60]),
};

/// Everything else.
pub(crate) const LABEL: Style = Style {
    weight: FontWeight::Regular,
    size: RasterHeight::Size16,
    shrunk: None,
    colour: Rgb([84, 87, 96]),
};

/// Below a column's name.
pub(crate) const SMALL: Style = Style {
    weight: FontWeight::Regular,
    size: RasterHeight::Size32,
    shrunk: Some([6, 14]),
    // Thin strokes look lighter.
    colour: Rgb([60, 62, 70]),
};

impl Style {
    /// Pixels from one line to the next.
    pub(crate) fn line_height(self) -> u32 {
        self.shrunk.map_or(self.size.val() as u32, |size| size[1]) + 2
    }

    /// Pixels from one character to the next.
    fn advance(self) -> u32 {
        match self.shrunk {
            Some([across, _]) => across,
            None => get_raster_width(self.weight, self.size) as u32,
        }
    }

    /// Pixels that `text` takes in one line.
    pub(crate) fn width(self, text: &str) -> u32 {
        let letters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        self.advance().saturating_mul(letters)
    }

    /// Breaks `text` at white space into lines of at most `width` pixels; longer words are cut, after a sign that joins
    /// words if there is one. Line breaks in the text are kept, empty lines are not.
    pub(crate) fn wrap(self, text: &str, width: u32) -> Vec<String> {
        let most = ((width / self.advance()) as usize).max(1);
        let mut lines = Vec::new();
        for paragraph in text.lines() {
            let mut line: Vec<char> = Vec::new();
            for word in paragraph.split_whitespace() {
                let word: Vec<char> = word.chars().collect();
                if !line.is_empty() && line.len() + 1 + word.len() > most {
                    lines.push(line.drain(..).collect());
                }
                if !line.is_empty() {
                    line.push(' ');
                }
                for letter in word {
                    if line.len() == most {
                        let joint = line.iter().rposition(|letter| "_-/.:,".contains(*letter));
                        let end = joint.map_or(most, |joint| joint + 1);
                        lines.push(line.drain(..end).collect());
                    }
                    line.push(letter);
                }
            }
            if !line.is_empty() {
                lines.push(line.into_iter().collect());
            }
        }
        lines
    }

    /// Breaks `text` as [`wrap`](Style::wrap) does, but into `most` lines at the most; what is too long ends in `...`.
    pub(crate) fn wrap_within(self, text: &str, width: u32, most: usize) -> Vec<String> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut lines = self.wrap(&text, width);
        if lines.len() > most {
            lines.truncate(most.saturating_sub(1));
            // Every line is a piece of the text, in order; only the spaces between them are left out.
            let shown = lines.iter().fold(text.as_str(), |rest, line| {
                rest.strip_prefix(line.as_str())
                    .unwrap_or(rest)
                    .trim_start()
            });
            lines.push(self.shorten(shown, width));
            lines.truncate(most);
        }
        lines
    }

    /// `text` in one line of at most `width` pixels; what is too long ends in `...`.
    pub(crate) fn shorten(self, text: &str, width: u32) -> String {
        let most = (width / self.advance()) as usize;
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.chars().count() <= most {
            return line;
        }
        let kept: String = line.chars().take(most.saturating_sub(3)).collect();
        let dots = ".".repeat(most.min(3));
        format!("{}{dots}", kept.trim_end())
    }

    /// The same text in another colour.
    pub(crate) const fn in_colour(self, colour: Rgb<u8>) -> Style {
        Style { colour, ..self }
    }

    /// Writes one line with its top left corner at (`x`, `y`). Characters that the font lacks become `?`; what lies
    /// outside the picture is left out.
    pub(crate) fn draw(self, on: &mut RgbImage, x: u32, y: u32, text: &str) {
        self.each_pixel(text, |across, down, coverage| {
            blend(on, x + across, y + down, self.colour, coverage);
        });
    }

    /// Writes one line upwards, turned to the left: the text starts at `bottom`, which is the first row below it, and
    /// the tops of its letters are at `x`.
    pub(crate) fn draw_upwards(self, on: &mut RgbImage, x: u32, bottom: u32, text: &str) {
        self.each_pixel(text, |across, down, coverage| {
            if let Some(y) = bottom.checked_sub(across + 1) {
                blend(on, x + down, y, self.colour, coverage);
            }
        });
    }

    /// Calls `paint` with the place of each pixel of a line and how much of it is ink, from 0 to 1.
    fn each_pixel(self, text: &str, mut paint: impl FnMut(u32, u32, f32)) {
        for (index, letter) in (0u32..).zip(text.chars()) {
            let glyph = get_raster(letter, self.weight, self.size)
                .or_else(|| get_raster('?', self.weight, self.size));
            let Some(glyph) = glyph else { continue };
            let left = index.saturating_mul(self.advance());
            let rows: Vec<&[u8]> = glyph.rows().collect();
            match self.shrunk {
                Some(size) => {
                    let places = (0..size[1]).flat_map(|y| (0..size[0]).map(move |x| (x, y)));
                    for ((across, down), coverage) in places.zip(shrink(&rows, size)) {
                        paint(left.saturating_add(across), down, coverage / 255.0);
                    }
                }
                None => {
                    for (row, down) in rows.into_iter().zip(0..) {
                        for (&coverage, across) in row.iter().zip(left..) {
                            paint(across, down, f32::from(coverage) / 255.0);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(count: u32) -> u32 {
        LABEL.advance() * count
    }

    #[test]
    fn lines_break_between_words() {
        let lines = LABEL.wrap("one two  three\nfour", letters(8));
        assert_eq!(lines, ["one two", "three", "four"]);
        assert_eq!(
            LABEL.wrap("abcdefgh ij", letters(3)),
            ["abc", "def", "gh", "ij"]
        );
        assert!(LABEL.wrap("  \n ", letters(9)).is_empty());
        assert_eq!(LABEL.wrap("ab", 0), ["a", "b"]);
    }

    #[test]
    fn long_text_ends_in_dots() {
        assert_eq!(LABEL.shorten("a photograph", letters(8)), "a pho...");
        assert_eq!(LABEL.shorten("a photo", letters(8)), "a photo");
        assert_eq!(LABEL.shorten("a photo", letters(2)), "..");
    }

    #[test]
    fn names_break_at_their_joints() {
        assert_eq!(
            LABEL.wrap("dino_vit-large", letters(9)),
            ["dino_vit-", "large"]
        );
        assert_eq!(LABEL.wrap("_abcdef", letters(4)), ["_", "abcd", "ef"]);
    }

    #[test]
    fn lines_that_are_too_many_end_in_dots() {
        let within = |text, most| LABEL.wrap_within(text, letters(8), most);
        assert_eq!(
            within("one two  three four five", 2),
            ["one two", "three..."]
        );
        assert_eq!(within("one two three", 2), ["one two", "three"]);
        assert_eq!(within("abcdefghijklmnopqrst", 2), ["abcdefgh", "ijklm..."]);
        assert_eq!(within("a photograph", 1), ["a pho..."]);
        assert!(within("one", 0).is_empty());
        assert!(within("", 2).is_empty());
    }

    #[test]
    fn small_text_is_smaller_and_has_ink_in_its_box() {
        assert!(SMALL.width("abc") < LABEL.width("abc"));
        assert!(SMALL.line_height() < LABEL.line_height());
        let white = Rgb([255; 3]);
        let mut on = RgbImage::from_pixel(60, 40, white);
        SMALL.draw(&mut on, 10, 5, "Mjg");
        let inked = on.enumerate_pixels().filter(|(.., pixel)| **pixel != white);
        let (mut count, right) = (0, 10 + SMALL.width("Mjg"));
        for (x, y, _) in inked {
            count += 1;
            assert!((10..right).contains(&x) && (5..19).contains(&y), "{x} {y}");
        }
        assert!(count > 30, "{count}");
    }

    #[test]
    fn text_upwards_is_the_text_turned_to_the_left() {
        let white = Rgb([255; 3]);
        let mut level = RgbImage::from_pixel(40, 20, white);
        LABEL.draw(&mut level, 3, 1, "Lf4");
        let mut upright = RgbImage::from_pixel(20, 40, white);
        LABEL.draw_upwards(&mut upright, 1, 37, "Lf4");
        assert_eq!(image::imageops::rotate270(&level), upright);
        assert!(upright.pixels().any(|pixel| *pixel != white));
        LABEL.draw_upwards(&mut upright, 15, 10, "beyond the edge");
    }

    #[test]
    fn ink_stays_in_its_box_and_the_picture() {
        let white = Rgb([255; 3]);
        let mut on = RgbImage::from_pixel(60, 30, white);
        TITLE.draw(&mut on, 10, 5, "Hé→");
        let inked: Vec<(u32, u32)> = on
            .enumerate_pixels()
            .filter(|(_, _, pixel)| **pixel != white)
            .map(|(x, y, _)| (x, y))
            .collect();
        assert!(inked.len() > 40);
        let right = 10 + TITLE.width("Hé→");
        assert!(
            inked
                .iter()
                .all(|&(x, y)| x >= 10 && x < right && (5..25).contains(&y))
        );
        LABEL.draw(&mut on, 55, 25, "beyond the edge");
    }
}
