//! Colours for numbers from 0 to 1.
//!
//! A map is a short table of anchors, evenly spaced, each given as lightness, chroma and hue of OKLab (Ottosson,
//! 2020), in which equal steps look about equally large. Between anchors it is linear in OKLab.

use image::Rgb;

/// One anchor: lightness 0 to 1, chroma 0 to about 0.3, hue in degrees.
type Anchor = [f32; 3];

/// A colour scale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColourMap {
    anchors: &'static [Anchor],
}

/// Low is dark violet, high is light yellow; lightness rises all the way.
pub(crate) const SIMILARITY: ColourMap = ColourMap {
    anchors: &[
        [0.24, 0.09, 305.0],
        [0.38, 0.13, 290.0],
        [0.51, 0.11, 250.0],
        [0.65, 0.10, 185.0],
        [0.78, 0.17, 143.0],
        [0.93, 0.18, 105.0],
    ],
};

/// First is red, last is dark blue, the middle is light yellow-green.
pub(crate) const ORDER: ColourMap = ColourMap {
    anchors: &[
        [0.55, 0.21, 25.0],
        [0.69, 0.18, 48.0],
        [0.84, 0.15, 82.0],
        [0.89, 0.11, 120.0],
        [0.77, 0.10, 185.0],
        [0.58, 0.13, 245.0],
        [0.37, 0.15, 275.0],
    ],
};

/// Nothing is nearly white, all is dark blue. The first steps are as large as any, so that small shares can be seen.
pub(crate) const SHARE: ColourMap = ColourMap {
    anchors: &[
        [0.985, 0.004, 240.0],
        [0.87, 0.06, 240.0],
        [0.75, 0.10, 245.0],
        [0.63, 0.13, 250.0],
        [0.51, 0.15, 257.0],
        [0.38, 0.14, 264.0],
    ],
};

impl ColourMap {
    /// The colour at `position`, which is held within 0 and 1; NaN counts as 0.
    pub(crate) fn at(self, position: f32) -> Rgb<u8> {
        let last = self.anchors.len() - 1;
        let position = if position.is_nan() { 0.0 } else { position };
        let place = position.clamp(0.0, 1.0) * last as f32;
        let below = (place as usize).min(last);
        let above = (below + 1).min(last);
        let part = place - below as f32;
        let (from, to) = (lab(self.anchors[below]), lab(self.anchors[above]));
        srgb(std::array::from_fn(|i| from[i] + (to[i] - from[i]) * part))
    }
}

/// Lightness, chroma, hue to OKLab.
fn lab([lightness, chroma, hue]: Anchor) -> [f32; 3] {
    let (sin, cos) = hue.to_radians().sin_cos();
    [lightness, chroma * cos, chroma * sin]
}

/// OKLab to sRGB bytes; colours that a screen cannot show are clipped.
fn srgb([l, a, b]: [f32; 3]) -> Rgb<u8> {
    let long = (l + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let medium = (l - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let short = (l - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    let linear = [
        4.076_741_7 * long - 3.307_711_6 * medium + 0.230_969_94 * short,
        -1.268_438 * long + 2.609_757_4 * medium - 0.341_319_38 * short,
        -0.004_196_086_3 * long - 0.703_418_6 * medium + 1.707_614_7 * short,
    ];
    Rgb(linear.map(|value| {
        let value = value.clamp(0.0, 1.0);
        let encoded = if value <= 0.003_130_8 {
            12.92 * value
        } else {
            1.055 * value.powf(1.0 / 2.4) - 0.055
        };
        (encoded * 255.0).round() as u8
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::grey;
    use image::RgbImage;

    fn luma(colour: Rgb<u8>) -> u8 {
        grey(&RgbImage::from_pixel(1, 1, colour)).get_pixel(0, 0).0[0]
    }

    #[test]
    fn white_black_and_red_are_where_oklab_has_them() {
        assert_eq!(srgb([1.0, 0.0, 0.0]), Rgb([255; 3]));
        assert_eq!(srgb([0.0, 0.0, 0.0]), Rgb([0; 3]));
        assert_eq!(srgb([0.627_96, 0.224_86, 0.125_85]), Rgb([255, 0, 0]));
    }

    #[test]
    fn similarity_gets_lighter_all_the_way() {
        let lightness: Vec<u8> = (0..=50)
            .map(|i| luma(SIMILARITY.at(i as f32 / 50.0)))
            .collect();
        assert!(lightness.is_sorted(), "{lightness:?}");
        assert!(lightness[50] - lightness[0] > 150, "{lightness:?}");
    }

    #[test]
    fn shares_get_darker_all_the_way_and_small_ones_show() {
        let lightness: Vec<u8> = (0..=20).map(|i| luma(SHARE.at(i as f32 / 20.0))).collect();
        assert!(lightness.iter().rev().is_sorted(), "{lightness:?}");
        assert!(lightness[0] > 245 && lightness[20] < 90, "{lightness:?}");
        assert!(lightness[0] - lightness[1] > 5, "{lightness:?}");
    }

    #[test]
    fn the_order_goes_from_warm_to_cool() {
        let warmth = |position| {
            let Rgb([r, _, b]) = ORDER.at(position);
            i32::from(r) - i32::from(b)
        };
        let all: Vec<i32> = (0..=20).map(|i| warmth(i as f32 / 20.0)).collect();
        assert!(all[0] > 120 && all[20] < -80, "{all:?}");
        let turn = all.iter().position(|&warmth| warmth < 0).unwrap();
        assert!(all[turn..].iter().all(|&warmth| warmth < 0), "{all:?}");
    }

    #[test]
    fn positions_outside_the_scale_take_its_ends() {
        assert_eq!(ORDER.at(-3.0), ORDER.at(0.0));
        assert_eq!(ORDER.at(f32::INFINITY), ORDER.at(1.0));
        assert_eq!(ORDER.at(f32::NAN), ORDER.at(0.0));
    }
}
