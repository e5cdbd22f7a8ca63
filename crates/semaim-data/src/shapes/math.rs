//! Plane geometry and hashing with the same bits on every machine.
//!
//! Only additions, multiplications, divisions, square roots, floors and comparisons of `f32` are used: IEEE 754
//! fixes every bit of their results. `sin`, `exp` and their kin come from the platform's library and may differ
//! in the last bit, enough to flip a byte of a picture, so the sine needed for rotations is a polynomial here.

use std::ops::{Add, Mul, Sub};

/// A point or a direction in the plane; y points down, as in pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
}

impl Point {
    pub(super) const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    pub(super) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y
    }

    pub(super) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    pub(super) const fn mirrored(self) -> Self {
        Self::new(-self.x, -self.y)
    }
}

impl Add for Point {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y)
    }
}

impl Sub for Point {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y)
    }
}

impl Mul<f32> for Point {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        Self::new(self.x * factor, self.y * factor)
    }
}

/// A rotation about the origin, as its cosine and sine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rotation {
    cos: f32,
    sin: f32,
}

impl Rotation {
    /// The rotation by a number of full turns.
    pub(super) fn turns(turns: f32) -> Self {
        // Quarter turns are exact swaps; what remains, within an eighth of a turn, is a short Taylor series.
        let quarters = floor(turns * 4.0 + 0.5);
        let angle = (turns - quarters * 0.25) * std::f32::consts::TAU;
        let a2 = angle * angle;
        let sin = angle * (1.0 - a2 / 6.0 * (1.0 - a2 / 20.0 * (1.0 - a2 / 42.0)));
        let cos = 1.0 - a2 / 2.0 * (1.0 - a2 / 12.0 * (1.0 - a2 / 30.0 * (1.0 - a2 / 56.0)));
        match (quarters as i32).rem_euclid(4) {
            0 => Self { cos, sin },
            1 => Self {
                cos: -sin,
                sin: cos,
            },
            2 => Self {
                cos: -cos,
                sin: -sin,
            },
            _ => Self {
                cos: sin,
                sin: -cos,
            },
        }
    }

    /// The point turned about the origin.
    pub(super) fn apply(self, p: Point) -> Point {
        Point::new(
            self.cos * p.x - self.sin * p.y,
            self.sin * p.x + self.cos * p.y,
        )
    }

    /// The point turned back.
    pub(super) fn undo(self, p: Point) -> Point {
        Point::new(
            self.cos * p.x + self.sin * p.y,
            self.cos * p.y - self.sin * p.x,
        )
    }
}

/// The largest whole number not above `x`, for `x` within the range of `i32`.
///
/// `f32::floor` is a call into the platform's library on processors without a rounding instruction; this is a
/// quarter of its cost there, and textures are mostly floors.
pub(super) fn floor(x: f32) -> f32 {
    let towards_zero = x as i32 as f32;
    towards_zero - f32::from(u8::from(x < towards_zero))
}

/// How much of a pixel lies on the positive side of an edge `distance` away, for a pixel `width` wide.
pub(super) fn coverage(distance: f32, width: f32) -> f32 {
    (distance / width + 0.5).clamp(0.0, 1.0)
}

/// 0 below `low`, 1 above `high`, with a smooth cubic between.
pub(super) fn smooth_step(low: f32, high: f32, value: f32) -> f32 {
    let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A straight blend from `a` (at 0) to `b` (at 1).
pub(super) fn blend(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// 32 well mixed bits of a cell of the integer lattice.
pub(super) fn cell_bits(x: i32, y: i32, seed: u32) -> u32 {
    let mut h = seed
        ^ (x as u32).wrapping_mul(0x9E37_79B1)
        ^ (y as u32).wrapping_mul(0x85EB_CA77).rotate_left(13);
    h = (h ^ (h >> 16)).wrapping_mul(0x7FEB_352D);
    h = (h ^ (h >> 15)).wrapping_mul(0x846C_A68B);
    h ^ (h >> 16)
}

/// A uniform number in [0, 1) of a cell of the integer lattice.
pub(super) fn cell_value(x: i32, y: i32, seed: u32) -> f32 {
    (cell_bits(x, y, seed) >> 8) as f32 * (1.0 / (1u32 << 24) as f32)
}

/// Smooth noise in [0, 1): lattice values with cubic blends between them.
pub(super) fn value_noise(p: Point, seed: u32) -> f32 {
    let (fx, fy) = (floor(p.x), floor(p.y));
    let (x, y) = (fx as i32, fy as i32);
    let (u, v) = (p.x - fx, p.y - fy);
    let (u, v) = (u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v));
    let top = blend(cell_value(x, y, seed), cell_value(x + 1, y, seed), u);
    let bottom = blend(
        cell_value(x, y + 1, seed),
        cell_value(x + 1, y + 1, seed),
        u,
    );
    blend(top, bottom, v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_are_rotations() {
        for step in -40..40 {
            let turns = step as f32 / 16.0 + 0.013;
            let angle = f64::from(turns) * std::f64::consts::TAU;
            let r = Rotation::turns(turns);
            assert!((f64::from(r.cos) - angle.cos()).abs() < 3e-6, "{turns}");
            assert!((f64::from(r.sin) - angle.sin()).abs() < 3e-6, "{turns}");
            let p = Point::new(0.3, -0.7);
            assert!((r.undo(r.apply(p)) - p).length() < 1e-5);
        }
    }

    #[test]
    fn floor_is_floor() {
        for step in -50..50 {
            let x = step as f32 * 0.25;
            assert_eq!(floor(x), x.floor());
        }
    }

    #[test]
    fn noise_fills_its_range_and_is_continuous() {
        let mut low = 1.0f32;
        let mut high = 0.0f32;
        let mut last = value_noise(Point::new(-20.0, 3.3), 9);
        for step in 1..8000 {
            let value = value_noise(Point::new(-20.0 + step as f32 * 0.005, 3.3), 9);
            assert!((value - last).abs() < 0.02, "a jump at step {step}");
            low = low.min(value);
            high = high.max(value);
            last = value;
        }
        assert!(low >= 0.0 && high < 1.0);
        assert!(low < 0.2 && high > 0.8, "{low} {high}");
    }
}
