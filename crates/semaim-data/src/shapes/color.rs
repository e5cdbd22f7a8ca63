//! The colors of a scene, drawn without a look at the class.

use semaim_random::KeyedRng;

use super::math::{blend, floor};

/// Red, green and blue, each within 0 and 1.
pub(super) type Rgb = [f32; 3];

const LUMA: Rgb = [0.299, 0.587, 0.114];

/// The luminance of a color.
pub(super) fn luminance(c: Rgb) -> f32 {
    c[0] * LUMA[0] + c[1] * LUMA[1] + c[2] * LUMA[2]
}

/// A straight blend of two colors.
pub(super) fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    [
        blend(a[0], b[0], t),
        blend(a[1], b[1], t),
        blend(a[2], b[2], t),
    ]
}

/// The color of the given hue (in turns), saturation and luminance.
pub(super) fn tint(hue: f32, saturation: f32, target: f32) -> Rgb {
    let hue = (hue - floor(hue)) * 6.0;
    let pure = [
        ((hue - 3.0).abs() - 1.0).clamp(0.0, 1.0),
        (2.0 - (hue - 2.0).abs()).clamp(0.0, 1.0),
        (2.0 - (hue - 4.0).abs()).clamp(0.0, 1.0),
    ];
    let own = luminance(pure);
    // Towards black or white until the luminance is right, then towards the gray of the same luminance.
    pure.map(|c| {
        let full = if target <= own {
            c * target / own
        } else {
            c + (1.0 - c) * (target - own) / (1.0 - own)
        };
        blend(target, full, saturation)
    })
}

/// The colors of one scene.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    /// The two tones of the background.
    pub(super) ground: [Rgb; 2],
    /// The two tones of the object.
    pub(super) object: [Rgb; 2],
}

impl Palette {
    /// Colors in which the object stands out: its mean luminance is at least 0.2 from that of the ground, and
    /// its hue at least an eighth of a turn away.
    pub(super) fn new(rng: &mut KeyedRng) -> Self {
        let mut between = |low: f32, high: f32| blend(low, high, rng.uniform());
        let hue = between(0.0, 1.0);
        let ground = between(0.28, 0.72);
        let relief = between(0.02, 0.08);
        let saturation = between(0.1, 0.4);
        let ground_colors = [
            tint(hue, saturation, ground - relief),
            tint(hue + between(-0.1, 0.1), saturation, ground + relief),
        ];
        // Brighter or darker than the ground, where the scale leaves room; each half of the time.
        let gap = between(0.22, 0.34);
        let brighter = between(0.0, 1.0) < 0.5;
        let middle = if (brighter && ground + gap < 0.82) || ground - gap < 0.18 {
            ground + gap
        } else {
            ground - gap
        };
        let relief = between(0.13, 0.2);
        let saturation = between(0.5, 1.0);
        let own = hue + between(0.125, 0.875);
        let other = own + between(-0.16, 0.16);
        let mut object = [
            tint(own, saturation, (middle - relief).max(0.04)),
            tint(other, saturation, (middle + relief).min(0.96)),
        ];
        if between(0.0, 1.0) < 0.5 {
            object.swap(0, 1);
        }
        Self {
            ground: ground_colors,
            object,
        }
    }
}

/// A channel of a picture with the given number of channels, from a color.
///
/// One channel is the luminance, two are luminance and warmth, three are red, green and blue, and what is beyond
/// three are mixtures of these with weights of their own.
pub(super) fn channel(c: Rgb, index: usize, channels: usize) -> f32 {
    match (channels, index) {
        (1 | 2, 0) => luminance(c),
        (2, _) => 0.5 + 0.5 * (c[0] - c[2]),
        (_, 0..=2) => c[index],
        _ => {
            // Steps of the golden ratio and its square spread the weights evenly over any number of channels.
            let n = (index - 2) as f32;
            let (a, b) = (n * 0.618_034, n * 0.754_877_7);
            let (a, b) = (a - floor(a), b - floor(b));
            let first = blend(c[0], c[1], a);
            blend(first, 1.0 - c[2], b)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_random::{Key, Stream};

    #[test]
    fn a_tint_has_its_luminance() {
        for step in 0..200 {
            let hue = step as f32 * 0.137;
            let target = 0.05 + 0.9 * (step as f32 * 0.618).fract();
            let c = tint(hue, 0.7, target);
            assert!((luminance(c) - target).abs() < 1e-4);
            assert!(c.iter().all(|v| (-1e-5..1.000_01).contains(v)), "{c:?}");
        }
    }

    #[test]
    fn the_object_stands_out() {
        let mut brighter = 0;
        for item in 0..2000 {
            let p = Palette::new(&mut KeyedRng::new(Key::new(3, 0, item), Stream::Shapes));
            let middle = |pair: [Rgb; 2]| 0.5 * (luminance(pair[0]) + luminance(pair[1]));
            let gap = middle(p.object) - middle(p.ground);
            assert!(gap.abs() > 0.19, "{p:?}");
            brighter += u32::from(gap > 0.0);
        }
        assert!(
            (850..1150).contains(&brighter),
            "{brighter} of 2000 brighter"
        );
    }

    #[test]
    fn channels_differ_and_stay_in_range() {
        let c = [0.9, 0.3, 0.1];
        for channels in 1..9 {
            let values: Vec<f32> = (0..channels).map(|k| channel(c, k, channels)).collect();
            assert!(values.iter().all(|v| (0.0..=1.0).contains(v)), "{values:?}");
            for k in 1..channels {
                assert!(values[..k].iter().all(|v| (v - values[k]).abs() > 1e-3));
            }
        }
    }
}
