//! Painting on a picture. What lies outside the picture is left out.

use image::{Rgb, RgbImage};

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    /// Left edge.
    pub(crate) x: u32,
    /// Upper edge.
    pub(crate) y: u32,
    /// Pixels across.
    pub(crate) width: u32,
    /// Pixels down.
    pub(crate) height: u32,
}

/// Lays `colour` over one pixel; `opacity` from 0 (nothing) to 1 (only the colour).
pub(crate) fn blend(on: &mut RgbImage, x: u32, y: u32, colour: Rgb<u8>, opacity: f32) {
    let Some(pixel) = on.get_pixel_mut_checked(x, y) else {
        return;
    };
    for (under, over) in pixel.0.iter_mut().zip(colour.0) {
        let (from, to) = (f32::from(*under), f32::from(over));
        *under = (from + (to - from) * opacity).round() as u8;
    }
}

/// Lays `colour` over a rectangle.
pub(crate) fn fill(on: &mut RgbImage, area: Area, colour: Rgb<u8>, opacity: f32) {
    for y in area.y..area.y.saturating_add(area.height).min(on.height()) {
        for x in area.x..area.x.saturating_add(area.width).min(on.width()) {
            blend(on, x, y, colour, opacity);
        }
    }
}

/// Draws the one-pixel outline just inside a rectangle.
pub(crate) fn outline(on: &mut RgbImage, area: Area, colour: Rgb<u8>, opacity: f32) {
    let Area {
        x,
        y,
        width,
        height,
    } = area;
    let part = |x, y, width, height| Area {
        x,
        y,
        width,
        height,
    };
    let (inner, low, far) = (
        height.saturating_sub(2),
        y + height.saturating_sub(1),
        x + width.saturating_sub(1),
    );
    fill(on, part(x, y, width, 1), colour, opacity);
    fill(on, part(x, low, width, 1), colour, opacity);
    fill(on, part(x, y + 1, 1, inner), colour, opacity);
    fill(on, part(far, y + 1, 1, inner), colour, opacity);
}

/// Draws a smooth ring around the middle of `area`, `radius` pixels from there and `thickness` pixels wide.
pub(crate) fn ring(on: &mut RgbImage, area: Area, radius: f32, thickness: f32, colour: Rgb<u8>) {
    let across = area.x as f32 + area.width as f32 / 2.0;
    let down = area.y as f32 + area.height as f32 / 2.0;
    let reach = radius + thickness;
    let span = |middle: f32| (middle - reach).max(0.0) as u32..=(middle + reach).max(0.0) as u32;
    for y in span(down) {
        for x in span(across) {
            let distance = (x as f32 + 0.5 - across).hypot(y as f32 + 0.5 - down);
            let cover = (thickness / 2.0 + 0.5 - (distance - radius).abs()).clamp(0.0, 1.0);
            blend(on, x, y, colour, cover);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Rgb<u8> = Rgb([255; 3]);
    const BLACK: Rgb<u8> = Rgb([0; 3]);

    fn inked(on: &RgbImage) -> usize {
        on.pixels().filter(|pixel| **pixel != WHITE).count()
    }

    #[test]
    fn areas_are_clipped_to_the_picture() {
        let mut on = RgbImage::from_pixel(4, 3, WHITE);
        let area = Area {
            x: 2,
            y: 1,
            width: 9,
            height: u32::MAX,
        };
        fill(&mut on, area, BLACK, 1.0);
        assert_eq!(inked(&on), 4);
    }

    #[test]
    fn an_outline_is_one_pixel_wide() {
        let mut on = RgbImage::from_pixel(8, 8, WHITE);
        let area = Area {
            x: 1,
            y: 2,
            width: 5,
            height: 4,
        };
        outline(&mut on, area, BLACK, 0.5);
        assert_eq!(inked(&on), 14);
        assert_eq!(on.get_pixel(1, 2), &Rgb([128; 3]), "corners once");
    }

    #[test]
    fn a_ring_is_round_and_hollow() {
        let mut on = RgbImage::from_pixel(21, 21, WHITE);
        let area = Area {
            x: 10,
            y: 10,
            width: 1,
            height: 1,
        };
        ring(&mut on, area, 6.0, 2.0, BLACK);
        assert_eq!(on.get_pixel(10, 10), &WHITE);
        for (x, y) in [(16, 10), (4, 10), (10, 16), (10, 4)] {
            assert_eq!(on.get_pixel(x, y), &BLACK);
        }
        let corner = Area { x: 0, y: 0, ..area };
        ring(&mut on, corner, 6.0, 2.0, BLACK);
    }
}
