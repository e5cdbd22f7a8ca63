//! Kinds of things on pictures: their colors, and the legend that names them.

use image::{Rgb, RgbImage};

use crate::font::LABEL;
use crate::paint::{Area, Theme, fill, outline};

/// Between an entry of a legend and the next, and between swatch and name.
const SPACE: u32 = 14;
const GAP: u32 = 5;

/// A kind of things, and the number of its color.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// What it is called.
    pub name: String,
    /// Kinds of neighboring numbers are far apart in hue.
    pub color: usize,
}

/// Red, green and blue of a kind's color.
pub fn kind_color(number: usize) -> [u8; 3] {
    let hue = (0.58 + 0.618_034 * number as f64).fract() * 6.0;
    let (saturation, value) = [(0.82, 0.98), (0.62, 0.86), (0.95, 0.74)][number % 3];
    [5.0, 3.0, 1.0].map(|offset| {
        let at = (offset + hue) % 6.0;
        let share = 1.0 - saturation * f64::clamp(f64::min(at, 4.0 - at), 0.0, 1.0);
        (255.0 * value * share).round() as u8
    })
}

/// A legend: a swatch and a name for each kind, in as many lines as a width needs.
pub(crate) struct Legend {
    /// Kinds with shortened names, and where their swatches begin.
    lines: Vec<Vec<(u32, Kind)>>,
}

impl Legend {
    /// For a width in pixels.
    pub(crate) fn new(kinds: &[Kind], width: u32) -> Legend {
        let swatch = swatch();
        let mut lines: Vec<Vec<(u32, Kind)>> = Vec::new();
        let mut x = 0;
        for kind in kinds {
            let name = LABEL.shorten(&kind.name, width.saturating_sub(swatch + GAP));
            let size = swatch + GAP + LABEL.width(&name);
            if lines.is_empty() || x + size > width {
                lines.push(Vec::new());
                x = 0;
            }
            let color = kind.color;
            if let Some(line) = lines.last_mut() {
                line.push((x, Kind { name, color }));
            }
            x += size + SPACE;
        }
        Legend { lines }
    }

    /// Pixels from top to bottom.
    pub(crate) fn height(&self) -> u32 {
        self.lines.len() as u32 * (LABEL.line_height() + 2)
    }

    /// Draws it from the upper left corner at `x`, `y` on.
    pub(crate) fn draw(&self, on: &mut RgbImage, [x, y]: [u32; 2], theme: Theme) {
        let swatch = swatch();
        for (line, row) in self.lines.iter().zip(0u32..) {
            let top = y + row * (LABEL.line_height() + 2);
            for (indent, kind) in line {
                let left = x + indent;
                let area = Area::new([left, top + 3], [swatch, swatch]);
                fill(on, area, Rgb(kind_color(kind.color)), 1.0);
                outline(on, area, theme.muted(), 0.5);
                LABEL.draw(on, left + swatch + GAP, top, &kind.name, theme.ink());
            }
        }
    }
}

/// Side of a swatch in pixels.
fn swatch() -> u32 {
    LABEL.line_height().saturating_sub(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_takes_the_lines_that_it_needs() {
        let kinds: Vec<Kind> = (0..12)
            .map(|color| Kind {
                name: format!("class {color}"),
                color,
            })
            .collect();
        assert_eq!(Legend::new(&[], 300).height(), 0);
        let heights = [4000, 300, 150, 1].map(|width| Legend::new(&kinds, width).height());
        assert!(
            heights[0] < heights[1] && heights[1] < heights[2],
            "{heights:?}"
        );
        assert_eq!(heights[0] * 12, heights[3]);
        let legend = Legend::new(&kinds, 300);
        let mut on = RgbImage::from_pixel(300, legend.height(), Rgb([255; 3]));
        legend.draw(&mut on, [0, 0], Theme::Light);
        for kind in &kinds {
            let color = Rgb(kind_color(kind.color));
            assert!(on.pixels().any(|pixel| *pixel == color), "{kind:?}");
        }
    }
}
