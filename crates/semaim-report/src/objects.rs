//! Objects on an image: their boxes, pixels and names, for people to judge at a glance.

use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};

use crate::font::Style;
use crate::kinds::kind_color;
use crate::paint::{Area, blend, fill, ink_on, outline};

/// How much of its color lies over an object's pixels.
const MASK_OPACITY: f32 = 0.42;
/// How much of its color lies behind a name.
const TAG_OPACITY: f32 = 0.88;
/// Between a name and the edge of what lies behind it, to the left and right.
const PADDING: u32 = 3;

/// An object of an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrawnObject {
    /// `[x0, y0, x1, y1]` in pixels of the image; what lies outside is not drawn.
    pub bounds: [f32; 4],
    /// Which pixels of the image are it, `[height, width]` row by row; `None` where only the box is known, and of another
    /// length none.
    pub mask: Option<Vec<bool>>,
    /// What stands beside it; nothing if empty.
    pub label: String,
    /// The number of its color: objects of a kind share one.
    pub color: usize,
}

/// The image with objects over it, enlarged or shrunk so that its longer side has `side` pixels. Names keep apart where there
/// is room, and those that would hide others are left out; small objects lie over large ones, and of equal ones the first is on top.
pub fn draw_objects(image: &RgbImage, objects: &[DrawnObject], side: u32) -> RgbImage {
    let longer = image.width().max(image.height()).max(1);
    let scale = f64::from(side.max(1)) / f64::from(longer);
    let [width, height] = [image.width(), image.height()]
        .map(|pixels| ((f64::from(pixels) * scale).round() as u32).max(1));
    let mut out = resize(image, width, height, FilterType::Triangle);
    let style = Style::bold((side as f32 / 42.0).clamp(11.0, 26.0));
    let thickness = (side / 320).clamp(2, 5);
    let mut from_below: Vec<&DrawnObject> = objects.iter().rev().collect();
    from_below.sort_by(|a, b| area_of(b).total_cmp(&area_of(a)));
    for object in &from_below {
        if let Some(mask) = &object.mask {
            lay_mask(&mut out, mask, image, object_color(object.color));
        }
    }
    for object in &from_below {
        let area = shown(object.bounds, scale, [width, height]);
        frame(&mut out, area, thickness, object_color(object.color));
    }
    let mut placed: Vec<Area> = Vec::new();
    let mut tags = Vec::new();
    for object in objects.iter().filter(|object| !object.label.is_empty()) {
        let label = style.shorten(&object.label, width.saturating_sub(2 * PADDING));
        let size = [style.width(&label) + 2 * PADDING, style.line_height()];
        let area = shown(object.bounds, scale, [width, height]);
        let place = place(area, size, [width, height], &placed);
        if hidden(&place, &placed) <= most_hidden(&place) {
            placed.push(place);
            tags.push((place, label, object_color(object.color)));
        }
    }
    // The first is on top.
    for (place, label, color) in tags.iter().rev() {
        fill(&mut out, *place, *color, TAG_OPACITY);
        style.draw(&mut out, place.x + PADDING, place.y, label, ink_on(*color));
    }
    out
}

/// How large an object's box is; 0 where it has no size.
fn area_of(object: &DrawnObject) -> f32 {
    let [x0, y0, x1, y1] = object.bounds;
    let area = (x1 - x0) * (y1 - y0);
    if area.is_nan() { 0.0 } else { area }
}

/// The colors of kinds of objects: neighbors in number are far apart in hue.
fn object_color(number: usize) -> Rgb<u8> {
    Rgb(kind_color(number))
}

/// The pixels of a box in a picture of `[width, height]`, at least one.
fn shown(bounds: [f32; 4], scale: f64, [width, height]: [u32; 2]) -> Area {
    let at = |corner: f32, most: u32| {
        let place = (f64::from(corner) * scale).round();
        (place.max(0.0) as u32).min(most)
    };
    let [x, y] = [
        at(bounds[0], width.saturating_sub(1)),
        at(bounds[1], height.saturating_sub(1)),
    ];
    Area {
        x,
        y,
        width: at(bounds[2], width).saturating_sub(x).max(1),
        height: at(bounds[3], height).saturating_sub(y).max(1),
    }
}

/// The outline of a box, as thick as there is room.
fn frame(on: &mut RgbImage, area: Area, thickness: u32, color: Rgb<u8>) {
    for inset in 0..thickness.min(area.width.min(area.height).div_ceil(2)) {
        let inner = Area {
            x: area.x + inset,
            y: area.y + inset,
            width: area.width - 2 * inset.min(area.width / 2),
            height: area.height - 2 * inset.min(area.height / 2),
        };
        outline(on, inner, color, 1.0);
    }
}

/// Lays a color over an object's pixels, and more of it along their edge.
fn lay_mask(on: &mut RgbImage, mask: &[bool], image: &RgbImage, color: Rgb<u8>) {
    let [columns, rows] = [image.width(), image.height()].map(|side| side as usize);
    if mask.len() != columns * rows {
        return;
    }
    let (width, height) = on.dimensions();
    let at = |x: i64, y: i64| {
        if !(0..i64::from(width)).contains(&x) || !(0..i64::from(height)).contains(&y) {
            return false;
        }
        let column = (x as usize * columns) / width as usize;
        let row = (y as usize * rows) / height as usize;
        mask[row * columns + column]
    };
    for y in 0..i64::from(height) {
        for x in 0..i64::from(width) {
            if at(x, y) {
                let neighbors = [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)];
                let edge = neighbors.into_iter().any(|(x, y)| !at(x, y));
                let opacity = if edge { 1.0 } else { MASK_OPACITY };
                blend(on, x as u32, y as u32, color, opacity);
            }
        }
    }
}

/// Where a name of `[width, height]` stands: above its box, else inside at the top, below, or inside at the bottom, where it
/// hides the least of other names.
fn place(area: Area, size: [u32; 2], picture: [u32; 2], placed: &[Area]) -> Area {
    let [width, height] = size;
    let x = area.x.min(picture[0].saturating_sub(width));
    let bottom = area.y + area.height;
    let above = area.y.checked_sub(height);
    let below = Some(bottom).filter(|y| y + height <= picture[1]);
    let inside = [
        area.y.min(picture[1].saturating_sub(height)),
        bottom.saturating_sub(height),
    ];
    let at = |y| Area {
        x,
        y,
        width,
        height,
    };
    let places = [above, Some(inside[0]), below, Some(inside[1])];
    let places = places.into_iter().flatten().map(at);
    places
        .min_by_key(|place| hidden(place, placed))
        .unwrap_or(at(inside[0]))
}

/// How many pixels of other names a name would hide.
fn hidden(place: &Area, placed: &[Area]) -> u64 {
    placed.iter().map(|other| overlap(place, other)).sum()
}

/// How many pixels of others a name may hide: it is left out where none of the two could be read.
fn most_hidden(place: &Area) -> u64 {
    u64::from(place.width) * u64::from(place.height) / 4
}

/// Pixels that two rectangles share.
fn overlap(a: &Area, b: &Area) -> u64 {
    let along = |from: [u32; 2], sides: [u32; 2]| {
        let ends = [from[0] + sides[0], from[1] + sides[1]];
        let start = from[0].max(from[1]);
        u64::from(ends[0].min(ends[1]).saturating_sub(start))
    };
    along([a.x, b.x], [a.width, b.width]) * along([a.y, b.y], [a.height, b.height])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paint::luminance;

    fn object(bounds: [f32; 4], label: &str) -> DrawnObject {
        DrawnObject {
            bounds,
            label: label.into(),
            ..DrawnObject::default()
        }
    }

    #[test]
    fn boxes_and_masks_are_where_they_belong() {
        let image = RgbImage::from_pixel(20, 10, Rgb([90; 3]));
        let mut object = object([4.0, 2.0, 16.0, 9.0], "");
        let inside = |i: usize| (6..12).contains(&(i % 20)) && (3..7).contains(&(i / 20));
        object.mask = Some((0..200).map(inside).collect());
        let out = draw_objects(&image, &[object], 200);
        assert_eq!(out.dimensions(), (200, 100));
        let color = object_color(0);
        // The box's corners, the mask's edge and its middle, and what is neither.
        for (x, y) in [(40, 20), (159, 89), (60, 30), (119, 69)] {
            assert_eq!(*out.get_pixel(x, y), color, "{x}, {y}");
        }
        let middle = *out.get_pixel(90, 50);
        assert!(middle != color && middle != Rgb([90; 3]));
        for (x, y) in [(50, 25), (150, 80), (20, 10), (180, 95)] {
            assert_eq!(*out.get_pixel(x, y), Rgb([90; 3]), "{x}, {y}");
        }
    }

    #[test]
    fn small_objects_lie_over_large_ones_in_any_order() {
        let image = RgbImage::from_pixel(20, 20, Rgb([90; 3]));
        let whole = DrawnObject {
            mask: Some(vec![true; 400]),
            ..object([0.0, 0.0, 20.0, 20.0], "")
        };
        let small = DrawnObject {
            color: 1,
            ..object([5.0, 5.0, 10.0, 10.0], "")
        };
        let orders = [[&whole, &small], [&small, &whole]];
        let [first, second] =
            orders.map(|order| draw_objects(&image, &order.map(Clone::clone), 200));
        assert_eq!(first, second);
        assert_eq!(*first.get_pixel(50, 50), object_color(1));
    }

    #[test]
    fn names_that_would_hide_others_are_left_out() {
        let image = RgbImage::from_pixel(100, 100, Rgb([90; 3]));
        let one = object([20.0, 20.0, 80.0, 80.0], "a name");
        let draw = |count: usize| draw_objects(&image, &vec![one.clone(); count], 400);
        let few = draw(4);
        assert_ne!(few, draw(1));
        assert_eq!(few, draw(9));
    }

    #[test]
    fn names_keep_apart_and_inside() {
        let picture = [300, 200];
        let size = [80, 18];
        let mut placed = Vec::new();
        for area in [
            [0, 0, 60, 50],
            [5, 2, 60, 50],
            [280, 190, 20, 10],
            [0, 0, 300, 200],
        ] {
            let [x, y, width, height] = area;
            let area = Area {
                x,
                y,
                width,
                height,
            };
            let found = place(area, size, picture, &placed);
            assert!(found.x + 80 <= 300 && found.y + 18 <= 200, "{found:?}");
            placed.push(found);
        }
        assert_eq!((placed[0].x, placed[0].y), (0, 0));
        assert_eq!((placed[1].x, placed[1].y), (5, 52));
        assert!(
            placed
                .iter()
                .enumerate()
                .all(|(n, a)| { placed[..n].iter().all(|b| overlap(a, b) == 0) })
        );
    }

    #[test]
    fn whatever_the_box_something_can_be_drawn() {
        let image = RgbImage::from_pixel(7, 3, Rgb([0; 3]));
        for bounds in [
            [-5.0, -5.0, 50.0, 50.0],
            [6.9, 2.9, 7.0, 3.0],
            [3.0, 1.0, 3.0, 1.0],
            [9.0, 9.0, 12.0, 12.0],
            [f32::NAN, 0.0, 5.0, f32::INFINITY],
        ] {
            let mut object = object(bounds, "a name that is much too long for it");
            object.mask = Some(vec![true; 4]);
            for side in [1, 7, 60, 400] {
                let out = draw_objects(&image, std::slice::from_ref(&object), side);
                assert_eq!(out.width(), side);
            }
        }
    }

    #[test]
    fn kinds_have_their_own_colors_and_names_are_legible() {
        let colors: Vec<Rgb<u8>> = (0..40).map(object_color).collect();
        for (n, Rgb(a)) in colors.iter().enumerate() {
            assert!(colors[..n].iter().all(|Rgb(b)| a != b), "{n}");
            let light = [luminance(Rgb(*a)), luminance(ink_on(Rgb(*a)))];
            let contrast = (light[0].max(light[1]) + 0.05) / (light[0].min(light[1]) + 0.05);
            assert!(contrast > 4.5, "{n}: {a:?}");
        }
    }
}
