//! Color maps for numbers from 0 to 1, and their bars.

use colorgrad::Gradient;
use image::{Rgb, RgbImage};

use crate::font::{HEADER, LABEL};
use crate::paint::{Area, Theme, fill, mixed, outline};

/// Between a text and the bar.
const SPACE: u32 = 8;
/// The least width of a bar, for which long names are shortened.
const LEAST: u32 = 60;

/// What colors stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColorMap {
    /// A value, low to high: viridis.
    Value,
    /// An order, first to last: spectral, from red to violet.
    Order,
    /// A share, none to all: from the paper to blue.
    Share(Theme),
}

impl ColorMap {
    /// As many colors as there are `positions`, which are held within 0 and 1.
    pub(crate) fn colors(self, positions: impl Iterator<Item = f32>) -> Vec<Rgb<u8>> {
        match self {
            ColorMap::Value => along(&colorgrad::preset::viridis(), positions),
            ColorMap::Order => along(&colorgrad::preset::spectral(), positions),
            ColorMap::Share(Theme::Light) => along(&colorgrad::preset::blues(), positions),
            // The same blues, the other way round: none is dark, all is light.
            ColorMap::Share(Theme::Dark) => {
                let blues = colorgrad::preset::blues();
                let paper = Theme::Dark.paper();
                let of = |share: f32| {
                    let Rgb(blue) = at(&blues, 1.0 - 0.65 * share);
                    mixed(paper, Rgb(blue), (8.0 * share).min(1.0))
                };
                positions.map(|share| of(share.clamp(0.0, 1.0))).collect()
            }
        }
    }

    /// The color at one position.
    #[cfg(test)]
    pub(crate) fn at(self, position: f32) -> Rgb<u8> {
        self.colors(std::iter::once(position))[0]
    }
}

fn along(gradient: &impl Gradient, positions: impl Iterator<Item = f32>) -> Vec<Rgb<u8>> {
    positions.map(|position| at(gradient, position)).collect()
}

fn at(gradient: &impl Gradient, position: f32) -> Rgb<u8> {
    let [r, g, b, _] = gradient.at(position.clamp(0.0, 1.0)).to_rgba8();
    Rgb([r, g, b])
}

/// A bar that explains a color map.
pub(crate) struct Legend<'a> {
    /// What is shown.
    pub(crate) name: &'a str,
    /// What 0 and 1 mean.
    pub(crate) ends: [&'a str; 2],
    /// The colors, and how much of them lies over gray.
    pub(crate) map: ColorMap,
    pub(crate) opacity: f32,
}

impl Legend<'_> {
    /// Draws the bar over the width of `area`, with room for its texts; long names are shortened.
    pub(crate) fn draw(&self, on: &mut RgbImage, area: Area, theme: Theme) {
        let [low, high] = self.ends.map(|end| LABEL.width(end));
        let room = area.width.saturating_sub(low + high + 4 * SPACE + LEAST);
        let name = HEADER.shorten(self.name, room);
        HEADER.draw(on, area.x, area.y, &name, theme.ink());
        let x = area.x + HEADER.width(&name) + 2 * SPACE;
        LABEL.draw(on, x, area.y, self.ends[0], theme.muted());
        let x = x + low + SPACE;
        let width = (area.x + area.width).saturating_sub(x + SPACE + high);
        let bar = Area::new([x, area.y + 3], [width, area.height.saturating_sub(6)]);
        fill(on, bar, Rgb([128; 3]), 1.0);
        let last = width.saturating_sub(1).max(1) as f32;
        let colors = self
            .map
            .colors((0..width).map(|across| across as f32 / last));
        for (x, color) in (bar.x..).zip(colors) {
            fill(on, Area { x, width: 1, ..bar }, color, self.opacity);
        }
        outline(on, bar, theme.muted(), 0.5);
        LABEL.draw(on, x + width + SPACE, area.y, self.ends[1], theme.muted());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luma(Rgb([r, g, b]): Rgb<u8>) -> f32 {
        0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b)
    }

    #[test]
    fn values_get_lighter_and_shares_leave_the_paper() {
        let all = |map: ColorMap| -> Vec<f32> {
            map.colors((0..=40).map(|i| i as f32 / 40.0))
                .into_iter()
                .map(luma)
                .collect()
        };
        assert!(all(ColorMap::Value).is_sorted());
        let light = all(ColorMap::Share(Theme::Light));
        assert!(
            light.iter().rev().is_sorted() && light[0] > 240.0,
            "{light:?}"
        );
        let dark = all(ColorMap::Share(Theme::Dark));
        assert!(
            dark.is_sorted() && dark[0] < 40.0 && dark[40] > 120.0,
            "{dark:?}"
        );
    }

    #[test]
    fn an_order_goes_from_warm_to_cool_and_keeps_to_its_ends() {
        let [first, last] = [0.0, 1.0].map(|position| ColorMap::Order.at(position).0);
        assert!(
            first[0] > first[2] + 60 && last[2] > last[0] + 60,
            "{first:?} {last:?}"
        );
        assert_eq!(ColorMap::Order.at(-3.0).0, first);
        assert_eq!(ColorMap::Order.at(f32::INFINITY).0, last);
    }

    #[test]
    fn a_legend_runs_from_the_first_color_to_the_last() {
        let legend = Legend {
            name: "order",
            ends: ["first", "last"],
            map: ColorMap::Order,
            opacity: 1.0,
        };
        let mut on = RgbImage::from_pixel(300, 18, Rgb([255; 3]));
        legend.draw(&mut on, Area::new([0, 0], [300, 18]), Theme::Light);
        let find = |color: Rgb<u8>| (0..300).find(|&x| *on.get_pixel(x, 9) == color);
        let middle = [0.1, 0.5, 0.9].map(|position| find(ColorMap::Order.at(position)));
        assert!(
            middle.is_sorted() || middle.iter().any(Option::is_none),
            "{middle:?}"
        );
        // Too little room is no crash.
        let area = Area::new([0, 0], [10, 5]);
        legend.draw(&mut RgbImage::new(10, 5), area, Theme::Dark);
    }
}
