//! The texts of a figure.

use image::{Rgb, RgbImage};

use crate::layout::Layout;
use crate::paint::Area;
use crate::text::{HEADER, LABEL, SMALL, Style, TITLE};

/// A white figure with all texts but those of the bars.
pub(crate) fn lettered(layout: &Layout) -> RgbImage {
    let mut figure = RgbImage::from_pixel(layout.size[0], layout.size[1], Rgb([255; 3]));
    for (index, line) in layout.title.iter().enumerate() {
        let [x, y] = layout.title_line(index);
        TITLE.draw(&mut figure, x, y, line);
    }
    for group in 0..layout.groups {
        for (index, header) in layout.headers.iter().enumerate() {
            let [name, below] = layout.header(group, index);
            draw_centred(&mut figure, HEADER, name, &header.name);
            draw_centred(&mut figure, SMALL, below, &header.below);
        }
    }
    for (sample, lines) in layout.row_titles.iter().enumerate() {
        let area = layout.row_title(sample);
        // Titles of one line stand above their pictures also where others have two.
        let height = LABEL.line_height() * lines.len() as u32;
        let top = area.y + area.height.saturating_sub(height);
        for (line, index) in lines.iter().zip(0u32..) {
            LABEL.draw(&mut figure, area.x, top + LABEL.line_height() * index, line);
        }
    }
    for (index, line) in layout.caption.iter().enumerate() {
        let [x, y] = layout.caption_line(index);
        LABEL.draw(&mut figure, x, y, line);
    }
    figure
}

/// Writes lines below each other, each in the middle of the area's width.
fn draw_centred(figure: &mut RgbImage, style: Style, area: Area, lines: &[String]) {
    for (line, index) in lines.iter().zip(0u32..) {
        let indent = area.width.saturating_sub(style.width(line)) / 2;
        let y = area.y + style.line_height() * index;
        style.draw(figure, area.x + indent, y, line);
    }
}
