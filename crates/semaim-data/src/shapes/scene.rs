//! One scene: everything drawn at random about a picture, in coordinates without pixels.
//!
//! The unit is the shorter side of the picture and the origin its middle, so that the same address shows the
//! same scene at any resolution.

use semaim_random::KeyedRng;

use super::clutter::Piece;
use super::color::{Palette, Rgb, mix};
use super::math::{Point, Rotation, blend, coverage, smooth_step};
use super::silhouette::{Placed, Silhouette};
use super::texture::{Family, Texture};

/// The smallest and largest area of a whole object, in squares of the shorter side.
pub(super) const AREA: [f32; 2] = [0.12, 0.5];
/// How much of an object's area lies within the frame, at least.
pub(super) const INSIDE: f32 = 0.88;
/// How often an object wears the texture typical of its class.
const TYPICAL: f64 = 0.85;
/// How often the ground wears a texture typical of no class. Were it as loud as the object, a sum of what all
/// patches show would hold more of the ground than of the object, and a short pre-training could not tell them
/// apart.
const QUIET: f64 = 0.95;
/// The largest turn of an object to either side, in full turns.
const TILT: f32 = 0.125;
/// How often a strand crosses the picture in front of everything.
const STRAND: f64 = 0.2;

/// A scene, ready to be looked at point by point.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    palette: Palette,
    ground: Texture,
    pieces: Vec<Piece>,
    object: Placed,
    texture: Texture,
    strand: Option<Piece>,
    halo: Rgb,
    rim: Rgb,
    light: Rotation,
    slope: f32,
    gain: f32,
    lift: f32,
}

/// What is seen at a point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// The color, within 0 and 1.
    pub(super) color: Rgb,
    /// How much of the pixel is object.
    pub(super) object: f32,
}

impl Scene {
    /// The scene of a label in a frame of the given half size.
    pub(super) fn new(label: u32, half: Point, rng: &mut KeyedRng) -> Self {
        let palette = Palette::new(rng);
        let family = if rng.bernoulli(TYPICAL) {
            Family::typical(label)
        } else {
            Family::any(rng)
        };
        let object = place(Silhouette::of_label(label), half, rng);
        let period = blend(0.105, 0.155, rng.uniform());
        let texture = Texture::new(family, texture_period(family, period, &object), rng);
        // The ground never wears the object's family, and is of a larger pattern than objects.
        let quiet = rng.bernoulli(QUIET);
        let mut ground_family = family;
        while ground_family == family {
            ground_family = if quiet {
                Family::quiet(rng)
            } else {
                Family::any(rng)
            };
        }
        let ground = Texture::new(ground_family, blend(0.2, 0.5, rng.uniform()), rng);
        let count = 3 + rng.below(5);
        let pieces = (0..count).map(|_| Piece::any(half, rng)).collect();
        let strand = rng.bernoulli(STRAND).then(|| Piece::strand(half, rng));
        Self {
            palette,
            ground,
            pieces,
            object,
            texture,
            strand,
            halo: [f32::from(u8::from(rng.bernoulli(0.5))); 3],
            rim: [f32::from(u8::from(rng.bernoulli(0.5))); 3],
            light: Rotation::turns(rng.uniform()),
            slope: blend(0.0, 0.4, rng.uniform()),
            gain: blend(0.8, 1.15, rng.uniform()),
            lift: blend(-0.05, 0.05, rng.uniform()),
        }
    }

    /// Where the object stands.
    pub(super) fn center(&self) -> Point {
        self.object.center()
    }

    /// The same scene with its object, halo included, far out of the frame.
    #[cfg(test)]
    pub(super) fn without_object(mut self) -> Self {
        self.object = self.object.moved_to(Point::new(1e3, 1e3));
        self
    }

    /// What a pixel of the given width sees at a point.
    pub(super) fn look(&self, p: Point, pixel: f32) -> Seen {
        let [first, second] = self.palette.ground;
        let mut color = mix(first, second, self.ground.tone(p, pixel));
        for piece in &self.pieces {
            let alpha = piece.alpha(p, pixel);
            if alpha > 0.0 {
                color = mix(color, piece.color, alpha);
            }
        }
        let mut shown = 0.0;
        if self.object.near(p, SHADOW + pixel) {
            let distance = self.object.distance(p);
            // A soft halo, dark as a shadow or bright as a glow, lifts the object off the ground.
            let shade = 0.4 * (1.0 - smooth_step(-0.01, SHADOW, distance));
            color = mix(color, self.halo, shade);
            shown = coverage(-distance, pixel);
            if shown > 0.0 {
                let [first, second] = self.palette.object;
                let tone = self.texture.tone(self.object.local(p), pixel);
                let body = mix(first, second, tone);
                // A darker or brighter rim, as of a thing with thickness.
                let rim = 0.35 * (1.0 - smooth_step(0.0, RIM, -distance));
                color = mix(color, mix(body, self.rim, rim), shown);
            }
        }
        if let Some(strand) = &self.strand {
            let alpha = strand.alpha(p, pixel);
            color = mix(color, strand.color, alpha);
            shown *= 1.0 - alpha;
        }
        let light = self.gain * (1.0 + self.slope * self.light.apply(p).x);
        Seen {
            color: color.map(|c| ((c - 0.5) * light + 0.5 + self.lift).clamp(0.0, 1.0)),
            object: shown,
        }
    }
}

/// How far the halo about an object reaches.
const SHADOW: f32 = 0.05;
/// How wide the rim of an object is.
const RIM: f32 = 0.025;

/// The period of an object's texture: of one patch's size, whatever the object's, but a ramp spans the object.
fn texture_period(family: Family, period: f32, object: &Placed) -> f32 {
    match family {
        Family::Ramp => object.reach(),
        _ => period,
    }
}

/// An outline anywhere in the frame, moved inwards until enough of it is inside.
fn place(silhouette: Silhouette, half: Point, rng: &mut KeyedRng) -> Placed {
    // Even in the side length rather than in the area: else large objects would crowd out small ones.
    let size = rng.uniform();
    let side = blend(AREA[0].sqrt(), AREA[1].sqrt(), size);
    let rotation = Rotation::turns(blend(-TILT, TILT, rng.uniform()));
    let center = Point::new(
        blend(-half.x, half.x, rng.uniform()),
        blend(-half.y, half.y, rng.uniform()),
    );
    let mut object = Placed::new(silhouette, center, rotation, side * side);
    if rng.bernoulli(0.5) {
        object = object.mirrored();
    }
    // The first wish is clamped so that most of the outline fits; what still sticks out too far is drawn to the
    // middle, and if the middle does not hold it either (long outlines), it shrinks, down to the smallest area.
    let limit = |half: f32| (half - 0.6 * object.reach()).max(0.0);
    let (x, y) = (limit(half.x), limit(half.y));
    object = object.moved_to(Point::new(center.x * x / half.x, center.y * y / half.y));
    let mut area = side * side;
    for step in 0..40 {
        let c = object.center();
        let r = object.reach();
        if (c.x.abs() + r <= half.x && c.y.abs() + r <= half.y)
            || object.share_inside(half) >= INSIDE
        {
            break;
        }
        if step < 8 {
            object = object.moved_to(c * 0.8);
        } else {
            area = (area * 0.92).max(AREA[0]);
            object = object.resized(area).moved_to(c * 0.9);
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::super::silhouette::CLASSES;
    use super::*;
    use semaim_random::{Key, Stream};

    #[test]
    fn objects_are_inside_and_of_the_stated_area() {
        let frames = [Point::new(0.5, 0.5), Point::new(1.5, 0.5)];
        for half in frames {
            let (mut low, mut high) = (1.0f32, 0.0f32);
            for item in 0..500 {
                let mut rng = KeyedRng::new(Key::new(2, 0, item), Stream::Shapes);
                let silhouette = Silhouette::of_label(item as u32 % CLASSES as u32);
                let object = place(silhouette, half, &mut rng);
                let inside = object.share_inside(half);
                assert!(inside >= 0.85, "{object:?}: {inside}");
                // A wide frame holds all of it, so this is the whole area.
                let steps = 100;
                let far = Point::new(object.reach(), object.reach());
                let step = 2.0 * object.reach() / steps as f32;
                let area = (0..steps * steps)
                    .map(|n| Point::new((n % steps) as f32 + 0.5, (n / steps) as f32 + 0.5) * step)
                    .filter(|p| object.distance(object.center() + *p - far) < 0.0)
                    .count() as f32
                    * step
                    * step;
                assert!(
                    area > AREA[0] * 0.95 && area < AREA[1] * 1.05,
                    "{object:?}: {area}"
                );
                low = low.min(area);
                high = high.max(area);
            }
            assert!(low < 0.14 && high > 0.46, "areas only from {low} to {high}");
        }
    }

    #[test]
    fn objects_are_anywhere() {
        let half = Point::new(0.5, 0.5);
        let mut seen = [0u32; 4];
        for item in 0..400 {
            let mut rng = KeyedRng::new(Key::new(4, 0, item), Stream::Shapes);
            let c = place(Silhouette::Disc, half, &mut rng).center();
            seen[usize::from(c.x > 0.0) + 2 * usize::from(c.y > 0.0)] += 1;
        }
        assert!(seen.iter().all(|n| *n > 60), "{seen:?}");
    }
}
