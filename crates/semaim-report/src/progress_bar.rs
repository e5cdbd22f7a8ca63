//! How far an animation has come.

use image::{Rgb, RgbImage};

use crate::paint::{Area, fill, outline};
use crate::text::{HEADER, LABEL};

/// Between a text and the bar.
const SPACE: u32 = 8;
/// The part that is done.
const DONE: Rgb<u8> = Rgb([84, 87, 96]);

/// Draws a bar with `name` on its left and the share of `done` in `whole` on its right over the width of `area`.
pub(crate) fn draw_progress(on: &mut RgbImage, area: Area, name: &str, [done, whole]: [usize; 2]) {
    let share = done.min(whole) as f64 / whole.max(1) as f64;
    let lead = HEADER.width(name) + SPACE;
    let tail = LABEL.width("100 %") + SPACE;
    HEADER.draw(on, area.x, area.y, name);
    let bar = Area {
        x: area.x + lead,
        y: area.y + 3,
        width: area.width.saturating_sub(lead + tail),
        height: area.height.saturating_sub(6),
    };
    let filled = Area {
        width: (f64::from(bar.width) * share).round() as u32,
        ..bar
    };
    fill(on, bar, Rgb([232; 3]), 1.0);
    fill(on, filled, DONE, 1.0);
    outline(on, bar, Rgb([60; 3]), 0.5);
    // Rounded down, so that only all is 100 %.
    let percent = format!("{:3} %", (share * 100.0).floor() as u32);
    LABEL.draw(on, bar.x + bar.width + SPACE, area.y, &percent);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_filled_by_the_share() {
        let area = Area {
            x: 0,
            y: 0,
            width: 300,
            height: 18,
        };
        let filled = |done, whole| {
            let mut on = RgbImage::from_pixel(300, 18, Rgb([255; 3]));
            draw_progress(&mut on, area, "shown", [done, whole]);
            (60..240).filter(|&x| *on.get_pixel(x, 9) == DONE).count()
        };
        assert_eq!(filled(0, 4), 0);
        assert_eq!(filled(4, 4), 180);
        assert_eq!(filled(9, 4), 180);
        assert!((60..120).contains(&filled(2, 4)), "{}", filled(2, 4));
        assert_eq!(filled(0, 0), 0);
    }

    #[test]
    fn too_little_room_is_no_crash() {
        let mut on = RgbImage::new(10, 5);
        let area = Area {
            x: 0,
            y: 0,
            width: 10,
            height: 5,
        };
        draw_progress(&mut on, area, "shown", [1, 2]);
    }
}
