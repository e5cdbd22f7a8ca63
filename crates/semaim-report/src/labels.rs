//! Classes of pixels over an image, for people to judge at a glance.

use image::imageops::{FilterType, replace, resize};
use image::{Rgb, RgbImage};

use crate::kinds::{Kind, Legend, kind_color};
use crate::paint::{Theme, blend};

/// How much of its class's color lies over a pixel, and over one at the border to another class.
const OPACITY: f32 = 0.55;
const BORDER_OPACITY: f32 = 1.0;
/// Between a picture and the legend below it, and around the legend.
const MARGIN: u32 = 8;

/// The image with the colors of its pixels' classes over it, enlarged or shrunk so that its longer side has `side` pixels.
/// `labels` are the numbers of the classes, `[height, width]` row by row; pixels of `ignored` keep their own color, and where
/// there is another number of labels than of pixels, all do.
pub fn draw_labels(image: &RgbImage, labels: &[u8], ignored: u8, side: u32) -> RgbImage {
    let longer = image.width().max(image.height()).max(1);
    let scale = f64::from(side.max(1)) / f64::from(longer);
    let [width, height] = [image.width(), image.height()]
        .map(|pixels| ((f64::from(pixels) * scale).round() as u32).max(1));
    let mut out = resize(image, width, height, FilterType::Triangle);
    let [columns, rows] = [image.width(), image.height()].map(|side| side as usize);
    if labels.len() != columns * rows {
        return out;
    }
    let at = |x: u32, y: u32| {
        let column = x as usize * columns / width as usize;
        let row = y as usize * rows / height as usize;
        labels[row * columns + column]
    };
    for y in 0..height {
        for x in 0..width {
            let label = at(x, y);
            if label == ignored {
                continue;
            }
            let beside = [((x + 1).min(width - 1), y), (x, (y + 1).min(height - 1))];
            let is_border = beside.into_iter().any(|(x, y)| at(x, y) != label);
            let opacity = if is_border { BORDER_OPACITY } else { OPACITY };
            blend(&mut out, x, y, Rgb(kind_color(label.into())), opacity);
        }
    }
    out
}

/// A picture with a legend below it, on white.
pub fn with_legend(picture: &RgbImage, kinds: &[Kind]) -> RgbImage {
    let (width, height) = picture.dimensions();
    let legend = Legend::new(kinds, width.saturating_sub(2 * MARGIN));
    let paper = Theme::Light.paper();
    let mut out = RgbImage::from_pixel(width, height + legend.height() + 2 * MARGIN, paper);
    replace(&mut out, picture, 0, 0);
    legend.draw(&mut out, [MARGIN, height + MARGIN], Theme::Light);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_lie_where_they_belong() {
        let gray = Rgb([90; 3]);
        let image = RgbImage::from_pixel(4, 2, gray);
        let labels = [0, 0, 1, 255, 0, 0, 1, 255];
        let out = draw_labels(&image, &labels, 255, 40);
        assert_eq!(out.dimensions(), (40, 20));
        let of = |number| Rgb(kind_color(number));
        // At the border, inside, and where nothing is said.
        assert_eq!(*out.get_pixel(19, 10), of(0));
        assert_eq!(*out.get_pixel(29, 3), of(1));
        let inside = *out.get_pixel(5, 5);
        assert!(inside != of(0) && inside != gray);
        assert_eq!(inside, *out.get_pixel(12, 15));
        assert_eq!(*out.get_pixel(35, 10), gray);
        // Labels of another image are left out.
        assert!(
            draw_labels(&image, &labels[1..], 255, 40)
                .pixels()
                .all(|p| *p == gray)
        );
        let kinds = [0, 1].map(|color| Kind {
            name: "a name".into(),
            color,
        });
        let named = with_legend(&out, &kinds);
        assert!(named.width() == 40 && named.height() > 50);
        assert!(named.pixels().skip(40 * 20).any(|p| *p == of(1)));
    }
}
