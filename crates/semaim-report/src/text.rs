//! Text in a fixed-width font.

use image::{Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use crate::paint::blend;

/// A kind of text: its size, weight and colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    weight: FontWeight,
    size: RasterHeight,
    colour: Rgb<u8>,
}

/// The line above everything.
pub(crate) const TITLE: Style = Style {
    weight: FontWeight::Bold,
    size: RasterHeight::Size20,
    colour: Rgb([20, 20, 24]),
};

/// Column names.
pub(crate) const HEADER: Style = Style {
    weight: FontWeight::Bold,
    size: RasterHeight::Size16,
    colour: Rgb([52, 54, 60]),
};

/// Everything else.
pub(crate) const LABEL: Style = Style {
    weight: FontWeight::Regular,
    size: RasterHeight::Size16,
    colour: Rgb([84, 87, 96]),
};

impl Style {
    /// Pixels from one line to the next.
    pub(crate) fn line_height(self) -> u32 {
        self.size.val() as u32 + 2
    }

    /// Pixels from one character to the next.
    fn advance(self) -> u32 {
        get_raster_width(self.weight, self.size) as u32
    }

    /// Pixels that `text` takes in one line.
    pub(crate) fn width(self, text: &str) -> u32 {
        self.advance() * text.chars().count() as u32
    }

    /// Breaks `text` at white space into lines of at most `width` pixels; longer words are cut. Line breaks in the
    /// text are kept, empty lines are not.
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
                        lines.push(line.drain(..).collect());
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
            let left = index * self.advance();
            for (row, down) in glyph.rows().zip(0..) {
                for (&coverage, across) in row.iter().zip(left..) {
                    paint(across, down, f32::from(coverage) / 255.0);
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
