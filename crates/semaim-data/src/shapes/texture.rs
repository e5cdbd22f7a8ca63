//! The textures of objects and backgrounds: patterns of two tones, each with a free frame, scale and phase.

use semaim_random::KeyedRng;

use super::math::{Point, Rotation, blend, cell_value, coverage, floor, smooth_step, value_noise};
use super::silhouette::CLASSES;

/// A kind of pattern. The first ten are each typical of the class with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Bricks,
    Grain,
    Zigzag,
    Ripples,
    Stripes,
    Patches,
    Mosaic,
    Dots,
    Net,
    Checks,
    Ramp,
    Clouds,
}

/// Every family; the first [`CLASSES`] are typical of a class each.
const FAMILIES: [Family; CLASSES + 2] = [
    Family::Bricks,
    Family::Grain,
    Family::Zigzag,
    Family::Ripples,
    Family::Stripes,
    Family::Patches,
    Family::Mosaic,
    Family::Dots,
    Family::Net,
    Family::Checks,
    Family::Ramp,
    Family::Clouds,
];

impl Family {
    /// The family typical of a label.
    pub(super) fn typical(label: u32) -> Self {
        FAMILIES[label as usize % CLASSES]
    }

    /// Any family, all alike.
    pub(super) fn any(rng: &mut KeyedRng) -> Self {
        FAMILIES[rng.below(FAMILIES.len() as u64) as usize]
    }

    /// One of the families typical of no class.
    pub(super) fn quiet(rng: &mut KeyedRng) -> Self {
        FAMILIES[CLASSES + rng.below((FAMILIES.len() - CLASSES) as u64) as usize]
    }

    /// The pattern at a point whose unit is one period; `w` is the width of a pixel in periods.
    fn tone(self, p: Point, w: f32, duty: f32, seed: u32) -> f32 {
        match self {
            Self::Stripes => band(p.x, duty, w),
            Self::Dots => {
                // Every other row is shifted by half a period.
                let row = floor(p.y);
                let shift = 0.5 * (row - 2.0 * floor(row * 0.5));
                let spot = Point::new(fraction(p.x + shift) - 0.5, p.y - row - 0.5);
                coverage(0.18 + 0.3 * duty - spot.length(), w)
            }
            Self::Checks => {
                let (a, b) = (band(p.x * 0.75, 0.5, w), band(p.y * 0.75, 0.5, w));
                a + b - 2.0 * a * b
            }
            Self::Net => band(p.x, duty * 0.5, w).max(band(p.y, duty * 0.5, w)),
            Self::Mosaic => {
                let q = p * 1.4;
                cell_value(floor(q.x) as i32, floor(q.y) as i32, seed)
            }
            Self::Ripples => band(p.length(), duty, w),
            Self::Patches => coverage((value_noise(p * 1.3, seed) - 0.5) * 0.7, w),
            Self::Zigzag => band(p.x + 0.9 * triangle(p.y * 0.6), duty, w),
            Self::Bricks => {
                let y = p.y * 1.3;
                let row = floor(y);
                let shift = 0.5 * (row - 2.0 * floor(row * 0.5));
                let mortar = 0.12 + 0.16 * duty;
                band(p.x * 0.65 + shift, mortar * 0.55, w).max(band(y, mortar, w))
            }
            Self::Grain => {
                let bend = value_noise(Point::new(p.x * 0.8, p.y * 0.35), seed);
                0.5 + 0.5 * (4.0 * (triangle(p.x * 0.7 + 2.2 * bend) - 0.5)).clamp(-1.0, 1.0)
            }
            Self::Ramp => smooth_step(-1.2, 1.2, p.x),
            Self::Clouds => {
                let coarse = value_noise(p * 0.8, seed);
                let fine = value_noise(p * 1.9, seed ^ 0x55);
                smooth_step(0.15, 0.85, 0.65 * coarse + 0.35 * fine)
            }
        }
    }
}

fn fraction(x: f32) -> f32 {
    x - floor(x)
}

/// A wave of period 1 that runs straight from 0 up to 1 and back.
fn triangle(x: f32) -> f32 {
    (fraction(x) - 0.5).abs() * 2.0
}

/// Bands of period 1 that fill the share `duty` of it.
fn band(x: f32, duty: f32, w: f32) -> f32 {
    // Half the triangle wave is a distance along x; bands thinner than a pixel fade to their mean by the clamp.
    coverage(0.5 * (triangle(x) - 1.0 + duty), w)
}

/// A pattern with its frame, ready to be looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Texture {
    family: Family,
    rotation: Rotation,
    phase: Point,
    frequency: f32,
    duty: f32,
    seed: u32,
}

impl Texture {
    /// A pattern of the family with a random frame and the given period.
    pub(super) fn new(family: Family, period: f32, rng: &mut KeyedRng) -> Self {
        let rotation = Rotation::turns(rng.uniform());
        let phase = Point::new(rng.uniform(), rng.uniform());
        let phase = match family {
            // These two have a middle: far from it they would be mere stripes or one flat tone.
            Family::Ripples | Family::Ramp => (phase - Point::new(0.5, 0.5)) * 0.8,
            _ => phase * 16.0,
        };
        Self {
            family,
            rotation,
            phase,
            frequency: 1.0 / period,
            duty: blend(0.4, 0.6, rng.uniform()),
            seed: rng.bits() as u32,
        }
    }

    /// Between the first tone, 0, and the second, 1, for a pixel `pixel` wide.
    pub(super) fn tone(&self, p: Point, pixel: f32) -> f32 {
        let q = self.rotation.undo(p) * self.frequency + self.phase;
        self.family
            .tone(q, pixel * self.frequency, self.duty, self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_random::{Key, Stream};

    fn tones(family: Family, seed: u64) -> Vec<f32> {
        let texture = Texture::new(
            family,
            0.12,
            &mut KeyedRng::new(Key::new(seed, 0, 0), Stream::Shapes),
        );
        (0..64 * 64)
            .map(|n| {
                let p = Point::new((n % 64) as f32 / 64.0 - 0.5, (n / 64) as f32 / 64.0 - 0.5);
                texture.tone(p, 1.0 / 64.0)
            })
            .collect()
    }

    #[test]
    fn every_family_has_two_tones_in_range() {
        for family in FAMILIES {
            for seed in 0..4 {
                let tones = tones(family, seed);
                assert!(tones.iter().all(|t| (0.0..=1.0).contains(t)), "{family:?}");
                let mean = tones.iter().sum::<f32>() / tones.len() as f32;
                let spread =
                    tones.iter().map(|t| (t - mean) * (t - mean)).sum::<f32>() / tones.len() as f32;
                assert!((0.15..0.85).contains(&mean), "{family:?}: mean {mean}");
                assert!(spread > 0.02, "{family:?}: variance {spread}");
            }
        }
    }

    #[test]
    fn frame_and_phase_are_free() {
        for family in FAMILIES {
            assert_ne!(tones(family, 1), tones(family, 2), "{family:?}");
        }
    }

    #[test]
    fn each_class_has_its_own_family() {
        for a in 0..CLASSES as u32 {
            for b in 0..a {
                assert_ne!(Family::typical(a), Family::typical(b));
            }
        }
    }
}
