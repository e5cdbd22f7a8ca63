//! Small things that lie about in a scene: strands, arcs, blots and slivers, none of them a class.

use semaim_random::KeyedRng;

use super::color::{Rgb, tint};
use super::math::{Point, Rotation, blend, coverage};

#[derive(Clone, Copy, Debug)]
enum Form {
    /// A straight line of the half length.
    Strand(f32),
    /// Part of a circle of the radius, a little less than half of it.
    Arc(f32),
    /// An ellipse of the half length, half as wide.
    Blot(f32),
    /// A thin triangle of the half length: a splinter, far from the even-sided class.
    Sliver(f32),
}

/// One piece of clutter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    form: Form,
    center: Point,
    rotation: Rotation,
    thickness: f32,
    reach: f32,
    /// Its flat color.
    pub(super) color: Rgb,
    opacity: f32,
}

impl Piece {
    /// A piece anywhere in the frame of the given half size.
    pub(super) fn any(half: Point, rng: &mut KeyedRng) -> Self {
        let kind = rng.below(4);
        let size = rng.uniform();
        let form = match kind {
            0 => Form::Strand(blend(0.08, 0.4, size)),
            1 => Form::Arc(blend(0.08, 0.25, size)),
            2 => Form::Blot(blend(0.03, 0.09, size)),
            _ => Form::Sliver(blend(0.06, 0.14, size)),
        };
        Self::with(form, half, rng)
    }

    /// A thin line, for the foreground.
    pub(super) fn strand(half: Point, rng: &mut KeyedRng) -> Self {
        let mut piece = Self::with(Form::Strand(0.7), half, rng);
        piece.thickness = 0.012;
        piece.opacity = 1.0;
        piece
    }

    fn with(form: Form, half: Point, rng: &mut KeyedRng) -> Self {
        let mut between = |low: f32, high: f32| blend(low, high, rng.uniform());
        let thickness = between(0.008, 0.02);
        let reach = thickness
            + match form {
                Form::Strand(r) | Form::Arc(r) | Form::Blot(r) | Form::Sliver(r) => r,
            };
        Self {
            form,
            center: Point::new(between(-half.x, half.x), between(-half.y, half.y)),
            rotation: Rotation::turns(between(0.0, 1.0)),
            thickness,
            reach,
            color: tint(between(0.0, 1.0), between(0.2, 0.9), between(0.15, 0.85)),
            opacity: between(0.45, 0.95),
        }
    }

    /// How much of a pixel the piece hides.
    #[inline]
    pub(super) fn alpha(&self, p: Point, pixel: f32) -> f32 {
        let offset = p - self.center;
        let radius = self.reach + pixel;
        if offset.dot(offset) > radius * radius {
            return 0.0;
        }
        self.alpha_near(offset, pixel)
    }

    /// The same, for a point within reach: few are, so this part stays out of the loop over the pixels.
    #[inline(never)]
    fn alpha_near(&self, offset: Point, pixel: f32) -> f32 {
        let q = self.rotation.undo(offset);
        let distance = match self.form {
            Form::Strand(half) => {
                let beyond = (q.x.abs() - half).max(0.0);
                Point::new(beyond, q.y).length() - self.thickness
            }
            Form::Arc(radius) => {
                let band = (q.length() - radius).abs() - self.thickness;
                band.max(radius * 0.25 - q.x)
            }
            Form::Blot(half) => {
                // The ellipse is a circle in stretched coordinates; its distance there, halved, is near enough.
                (Point::new(q.x, q.y * 2.0).length() - half) * 0.6
            }
            Form::Sliver(half) => {
                // From a base 0.4 of its length wide on the left to a tip on the right.
                ((q.x - half) * 0.196 + q.y.abs() * 0.98).max(-half - q.x)
            }
        };
        self.opacity * coverage(-distance, pixel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_random::{Key, Stream};

    #[test]
    fn pieces_are_small_and_visible() {
        let half = Point::new(0.5, 0.5);
        let mut total = 0.0;
        for item in 0..400 {
            let piece = Piece::any(
                half,
                &mut KeyedRng::new(Key::new(1, 0, item), Stream::Shapes),
            );
            let sum: f32 = (0..64 * 64)
                .map(|n| {
                    let p = Point::new((n % 64) as f32 / 63.0 - 0.5, (n / 64) as f32 / 63.0 - 0.5);
                    piece.alpha(p, 1.0 / 64.0)
                })
                .sum();
            let share = sum / 4096.0;
            assert!(share < 0.04, "{piece:?} fills {share}");
            total += share;
        }
        assert!(
            total / 400.0 > 0.003,
            "pieces fill {} on average",
            total / 400.0
        );
    }
}
