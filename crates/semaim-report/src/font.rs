//! Text on pictures, in the embedded outline fonts.
//!
//! A character is drawn from the first font that has it: DejaVu Sans, then Droid Sans Fallback (Chinese, Japanese,
//! Korean); `fonts/README.md` tells their licenses. A character that neither has (Devanagari, Thai and other scripts of
//! India and south-east Asia) is drawn as a box.

use std::io::Read;
use std::sync::OnceLock;

use ab_glyph::{Font, FontVec, GlyphId, point};
use image::{GrayImage, Luma, Rgb, RgbImage};
use unicode_normalization::UnicodeNormalization;

use crate::paint::blend;
use crate::visual_order::visual_order;

static REGULAR: OnceLock<Option<FontVec>> = OnceLock::new();
static BOLD: OnceLock<Option<FontVec>> = OnceLock::new();
static FALLBACK: OnceLock<Option<FontVec>> = OnceLock::new();

/// Unpacks a font on its first use. The files are part of the program, so a font that cannot be read is a mistake of
/// the build, which the tests find.
fn load(font: &'static OnceLock<Option<FontVec>>, file: &[u8]) -> Option<&'static FontVec> {
    font.get_or_init(|| {
        let mut data = Vec::new();
        flate2::read::GzDecoder::new(file)
            .read_to_end(&mut data)
            .ok()?;
        FontVec::try_from_vec(data).ok()
    })
    .as_ref()
}

/// The font and the glyph for a character; `None` if no font has it.
fn find(bold: bool, character: char) -> Option<(&'static FontVec, GlyphId)> {
    let has = |font: Option<&'static FontVec>| {
        let font = font?;
        let glyph = font.glyph_id(character);
        (glyph.0 != 0).then_some((font, glyph))
    };
    let mut found = None;
    if bold {
        found = has(load(
            &BOLD,
            include_bytes!("../fonts/DejaVuSans-Bold.ttf.gz"),
        ));
    }
    found
        .or_else(|| has(load(&REGULAR, include_bytes!("../fonts/DejaVuSans.ttf.gz"))))
        .or_else(|| {
            has(load(
                &FALLBACK,
                include_bytes!("../fonts/DroidSansFallback.ttf.gz"),
            ))
        })
}

/// What stands where a text was shortened.
const ELLIPSIS: &str = "…";
/// The size of a box for a character that no font has, in em: `[width, height]` with the space to its right.
const BOX: [f32; 2] = [0.6, 0.7];

/// A size and weight of text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Style {
    /// Pixels of the em square.
    em: f32,
    bold: bool,
}

/// The title of a figure.
pub(crate) const TITLE: Style = Style {
    em: 17.0,
    bold: true,
};
/// Names of columns and legends.
pub(crate) const HEADER: Style = Style {
    em: 13.0,
    bold: true,
};
/// Other texts.
pub(crate) const LABEL: Style = Style {
    em: 13.0,
    bold: false,
};
/// What stands below the name of a column.
pub(crate) const SMALL: Style = Style {
    em: 11.0,
    bold: false,
};

impl Style {
    /// Bold text of `em` pixels.
    pub(crate) fn bold(em: f32) -> Style {
        Style { em, bold: true }
    }

    /// Pixels from one line to the next.
    pub(crate) fn line_height(self) -> u32 {
        (1.4 * self.em).round() as u32
    }

    /// The width of a text on one line, in pixels.
    pub(crate) fn width(self, text: &str) -> u32 {
        let advances = characters(text).into_iter().map(|c| self.advance(c));
        advances.sum::<f32>().ceil() as u32
    }

    /// Writes a line whose box has its upper left corner at `x`, `y`.
    pub(crate) fn draw(self, on: &mut RgbImage, x: u32, y: u32, text: &str, color: Rgb<u8>) {
        self.blend(on, x, y, &self.coverage(text), color);
    }

    /// Writes a line upwards, from the lower left corner at `x`, `bottom`.
    pub(crate) fn draw_upwards(
        self,
        on: &mut RgbImage,
        x: u32,
        bottom: u32,
        text: &str,
        color: Rgb<u8>,
    ) {
        let turned = image::imageops::rotate270(&self.coverage(text));
        self.blend(
            on,
            x,
            bottom.saturating_sub(turned.height()),
            &turned,
            color,
        );
    }

    fn blend(self, on: &mut RgbImage, x: u32, y: u32, coverage: &GrayImage, color: Rgb<u8>) {
        for (across, down, Luma([cover])) in coverage.enumerate_pixels() {
            blend(on, x + across, y + down, color, f32::from(*cover) / 255.0);
        }
    }

    /// How much of each pixel of a line's box the text covers, `[line_height, width]` in 0..=255.
    fn coverage(self, text: &str) -> GrayImage {
        let mut out = GrayImage::new(self.width(text), self.line_height());
        let mut paint = |x: i32, y: i32, cover: f32| {
            if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y))
                && let Some(Luma([pixel])) = out.get_pixel_mut_checked(x, y)
            {
                *pixel = pixel.saturating_add((cover.clamp(0.0, 1.0) * 255.0).round() as u8);
            }
        };
        let baseline = (1.05 * self.em).round();
        let mut x = 0.0;
        for character in characters(text) {
            match find(self.bold, character) {
                Some((font, glyph)) => {
                    let scale = self.em * font.height_unscaled() / units(font);
                    let glyph = glyph.with_scale_and_position(scale, point(x, baseline));
                    if let Some(outline) = font.outline_glyph(glyph) {
                        let corner = outline.px_bounds().min;
                        let [left, top] = [corner.x as i32, corner.y as i32];
                        outline.draw(|across, down, cover| {
                            paint(left + across as i32, top + down as i32, cover);
                        });
                    }
                }
                None => {
                    let [width, height] = BOX.map(|side| (side * self.em).round() as i32 - 1);
                    for across in 1..width {
                        for down in 1..=height {
                            let edge =
                                across == 1 || across + 1 == width || down == 1 || down == height;
                            if edge {
                                paint(x as i32 + across, baseline as i32 - down, 1.0);
                            }
                        }
                    }
                }
            }
            x += self.advance(character);
        }
        out
    }

    /// How far the next character is, in pixels.
    fn advance(self, character: char) -> f32 {
        match find(self.bold, character) {
            Some((font, glyph)) => self.em * font.h_advance_unscaled(glyph) / units(font),
            None => self.em * BOX[0],
        }
    }

    /// As much of a text as fits into `width` pixels, with an ellipsis if that is not all; nothing if not even that fits.
    pub(crate) fn shorten(self, text: &str, width: u32) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let Some(room) = width.checked_sub(self.width(ELLIPSIS)) else {
            return String::new();
        };
        format!("{}{ELLIPSIS}", self.fitting(text, room).trim_end())
    }

    /// The longest start of a text that fits into `width` pixels.
    fn fitting(self, text: &str, width: u32) -> &str {
        let mut end = 0.0;
        let too_far = text.char_indices().find(|(_, character)| {
            end += self.advance(*character);
            end > width as f32
        });
        &text[..too_far.map_or(text.len(), |(index, _)| index)]
    }

    /// A text in lines of at most `width` pixels, parted at white space and within words that are too long for a line. What
    /// does not fit into `most` lines is left out, as an ellipsis tells.
    pub(crate) fn wrap(self, text: &str, width: u32, most: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut rest = text.split_whitespace().collect::<Vec<_>>().join(" ");
        while !rest.is_empty() {
            if lines.len() + 1 >= most || self.width(&rest) <= width {
                lines.push(self.shorten(&rest, width));
                break;
            }
            let fits = self.fitting(&rest, width);
            let next = rest[fits.len()..].starts_with(' ');
            let end = match fits.rfind(' ') {
                Some(space) if !next => space,
                _ => fits
                    .len()
                    .max(rest.chars().next().map_or(1, char::len_utf8)),
            };
            lines.push(rest[..end].to_owned());
            rest = rest[end..].trim_start().to_owned();
        }
        lines
    }
}

fn units(font: &FontVec) -> f32 {
    font.units_per_em().unwrap_or(2048.0)
}

/// The characters that are drawn, from left to right: composed (macOS has file names with marks and syllables taken apart),
/// without those that only direct how others look.
fn characters(text: &str) -> Vec<char> {
    let composed: String = text.nfc().collect();
    visual_order(&composed)
        .chars()
        .filter(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'))
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ink(text: &str) -> u32 {
        let coverage = LABEL.coverage(text);
        coverage
            .pixels()
            .map(|Luma([cover])| u32::from(*cover))
            .sum()
    }

    #[test]
    fn names_of_many_scripts_are_in_the_fonts() {
        for name in [
            "Größe",
            "кошка",
            "γάτα",
            "猫と犬",
            "고양이",
            "龍门",
            "ἄλφα",
            "ɣ→±é",
            "კატა",
            "كلب",
            "כלב",
        ] {
            for character in characters(name) {
                assert!(find(false, character).is_some(), "{character}");
                assert!(find(true, character).is_some(), "{character}");
            }
            assert!(ink(name) > 500, "{name}");
        }
    }

    #[test]
    fn a_character_in_no_font_is_a_box_of_its_own_width() {
        let unknown = "\u{1f9ff}";
        assert!(find(false, '\u{1f9ff}').is_none());
        assert!(ink(unknown) > 500);
        assert!(LABEL.width(unknown) > 5);
        assert_ne!(LABEL.coverage(unknown), LABEL.coverage("?"));
    }

    #[test]
    fn letters_that_were_taken_apart_are_put_together() {
        assert_eq!(LABEL.coverage("e\u{301}"), LABEL.coverage("é"));
        assert_eq!(
            LABEL.coverage("\u{1112}\u{1161}\u{11ab}"),
            LABEL.coverage("한")
        );
    }

    #[test]
    fn lines_keep_to_their_width() {
        let texts = [
            "",
            "word",
            "a few words of text",
            &"long".repeat(40),
            &"猫".repeat(60),
            "a \n\t b  c",
        ];
        for text in texts {
            for width in [1, 20, 90, 300] {
                for most in [1, 2, 99] {
                    let lines = LABEL.wrap(text, width, most);
                    assert!(lines.len() <= most);
                    for line in &lines {
                        assert!(LABEL.width(line) <= width.max(20), "{width}: {line}");
                    }
                    let all: usize = lines
                        .iter()
                        .map(|line| line.matches(|c: char| !c.is_whitespace()).count())
                        .sum();
                    if most == 99 && width > 20 {
                        assert_eq!(
                            all,
                            text.matches(|c: char| !c.is_whitespace()).count(),
                            "{lines:?}"
                        );
                    }
                }
            }
        }
        assert_eq!(
            LABEL.wrap("two words", LABEL.width("words"), 2),
            ["two", "words"]
        );
    }

    #[test]
    fn long_texts_are_shortened() {
        let short = LABEL.shorten("a long name indeed", 60);
        assert!(
            short.ends_with(ELLIPSIS) && LABEL.width(&short) <= 60,
            "{short}"
        );
        assert_eq!(LABEL.shorten("abc", 3), "");
        assert_eq!(LABEL.shorten("abc", 100), "abc");
    }

    #[test]
    fn text_upwards_is_the_same_text_turned() {
        let mut on = RgbImage::from_pixel(40, 90, Rgb([255; 3]));
        HEADER.draw_upwards(&mut on, 3, 85, "true", Rgb([0; 3]));
        let turned = image::imageops::rotate90(&on);
        let mut straight = RgbImage::from_pixel(90, 40, Rgb([255; 3]));
        HEADER.draw(&mut straight, 4, 3, "true", Rgb([0; 3]));
        let dark = |image: &RgbImage| image.pixels().filter(|p| p.0[0] < 128).count();
        assert!(dark(&turned) == dark(&straight) && dark(&on) > 40);
    }
}
