//! A colour scale with its name and the names of its ends.

use image::{Rgb, RgbImage};

use crate::colour_map::ColourMap;
use crate::paint::{Area, fill, outline};
use crate::text::{HEADER, LABEL};

/// Between a text and the bar.
const SPACE: u32 = 8;

/// What a bar explains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColourBar<'a> {
    /// The column it belongs to.
    pub(crate) name: &'a str,
    /// What 0 and 1 mean.
    pub(crate) ends: [&'a str; 2],
    /// The colours.
    pub(crate) map: ColourMap,
    /// How they lie over the grey picture.
    pub(crate) opacity: f32,
}

impl ColourBar<'_> {
    /// Draws the bar over the width of `area`. `lead` is the width kept for the name and the first end, so that bars
    /// below each other line up; with less than [`lead`](ColourBar::lead) the name is shortened.
    pub(crate) fn draw(self, on: &mut RgbImage, area: Area, lead: u32) {
        let Area { x, y, width, .. } = area;
        let low = LABEL.width(self.ends[0]);
        let name = lead.saturating_sub(low + 3 * SPACE);
        HEADER.draw(on, x, y, &HEADER.shorten(self.name, name));
        LABEL.draw(on, x + lead.saturating_sub(low + SPACE), y, self.ends[0]);
        let length = width.saturating_sub(lead + SPACE + LABEL.width(self.ends[1]));
        let bar = Area {
            x: x + lead,
            y: y + 3,
            width: length,
            height: area.height.saturating_sub(6),
        };
        fill(on, bar, Rgb([128; 3]), 1.0);
        for across in 0..length {
            let position = across as f32 / length.saturating_sub(1).max(1) as f32;
            let column = Area {
                x: bar.x + across,
                width: 1,
                ..bar
            };
            fill(on, column, self.map.at(position), self.opacity);
        }
        outline(on, bar, Rgb([60; 3]), 0.5);
        LABEL.draw(on, bar.x + length + SPACE, y, self.ends[1]);
    }

    /// The width that the name and the first end need.
    pub(crate) fn lead(self) -> u32 {
        HEADER.width(self.name) + 2 * SPACE + LABEL.width(self.ends[0]) + SPACE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour_map::ORDER;

    #[test]
    fn the_bar_runs_from_the_first_colour_to_the_last() {
        let mut on = RgbImage::from_pixel(300, 18, Rgb([255; 3]));
        let bar = ColourBar {
            name: "order",
            ends: ["first", "last"],
            map: ORDER,
            opacity: 1.0,
        };
        let area = Area {
            x: 0,
            y: 0,
            width: 300,
            height: 18,
        };
        bar.draw(&mut on, area, bar.lead());
        let find = |colour: Rgb<u8>| (0..300).find(|&x| *on.get_pixel(x, 9) == colour);
        let middle = find(ORDER.at(0.5)).unwrap_or(150);
        assert!(middle > bar.lead() && middle < 300 - LABEL.width("last"));
        let warm = on.get_pixel(bar.lead() + 2, 9).0;
        let cool = on.get_pixel(300 - LABEL.width("last") - SPACE - 3, 9).0;
        assert!(
            warm[0] > warm[2] + 60 && cool[2] > cool[0] + 60,
            "{warm:?} {cool:?}"
        );
    }

    #[test]
    fn too_little_room_is_no_crash() {
        let mut on = RgbImage::new(10, 5);
        let bar = ColourBar {
            name: "order",
            ends: ["first", "last"],
            map: ORDER,
            opacity: 1.0,
        };
        let area = Area {
            x: 0,
            y: 0,
            width: 10,
            height: 5,
        };
        bar.draw(&mut on, area, bar.lead());
    }
}
