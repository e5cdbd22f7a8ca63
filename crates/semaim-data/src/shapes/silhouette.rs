//! The outlines of the ten classes, as signed distance functions.

use super::math::{Point, Rotation, coverage};

/// The names of the classes, in the order of their labels: sorted, as of every source.
pub(super) const NAMES: [&str; 10] = [
    "arrow", "bolt", "crescent", "cross", "disc", "heart", "ring", "square", "star", "triangle",
];

/// How many classes there are.
pub(super) const CLASSES: usize = NAMES.len();

/// An outline in its own coordinates, not yet placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silhouette {
    Arrow,
    Bolt,
    Crescent,
    Cross,
    Disc,
    Heart,
    Ring,
    Square,
    Star,
    Triangle,
}

impl Silhouette {
    /// The outline of a label; labels wrap around.
    pub(super) fn of_label(label: u32) -> Self {
        match label as usize % CLASSES {
            0 => Self::Arrow,
            1 => Self::Bolt,
            2 => Self::Crescent,
            3 => Self::Cross,
            4 => Self::Disc,
            5 => Self::Heart,
            6 => Self::Ring,
            7 => Self::Square,
            8 => Self::Star,
            _ => Self::Triangle,
        }
    }

    /// The area in own coordinates; with it every class is drawn at the same area for the same size, so that
    /// size says nothing about the class.
    fn area(self) -> f32 {
        match self {
            Self::Disc => std::f32::consts::PI,
            Self::Square => 4.0,
            Self::Triangle => 1.299_038,
            Self::Star => 1.322_57,
            Self::Ring => 2.260_5,
            Self::Cross => 2.204_4,
            Self::Heart => 3.570_8,
            Self::Crescent => 1.442_3,
            Self::Arrow => 1.296,
            Self::Bolt => 0.866_6,
        }
    }

    /// The radius in own coordinates of a circle about the origin that holds the whole outline.
    fn reach(self) -> f32 {
        match self {
            Self::Disc | Self::Triangle | Self::Star | Self::Ring => 1.0,
            Self::Square => 1.4143,
            Self::Cross => 1.054,
            Self::Heart => 1.4143,
            Self::Crescent => 1.13,
            Self::Arrow => 1.06,
            Self::Bolt => 1.04,
        }
    }

    /// The distance to the outline in own coordinates, negative inside. Far from convex corners it may be an
    /// underestimate; near the outline, where it matters, it is right.
    fn distance(self, p: Point) -> f32 {
        match self {
            Self::Disc => p.length() - 1.0,
            Self::Square => p.x.abs().max(p.y.abs()) - 1.0,
            Self::Triangle => {
                let slanted = p.x.abs() * 0.866_025_4 - p.y * 0.5;
                slanted.max(p.y) - 0.5
            }
            Self::Star => star(p),
            Self::Ring => (p.length() - 0.765).abs() - 0.235,
            Self::Cross => {
                let (x, y) = (p.x.abs(), p.y.abs());
                (x.max(y) - 1.0).max(x.min(y) - 0.33)
            }
            Self::Heart => {
                // A square on its corner with a disc on each upper side.
                let x = p.x.abs();
                let diamond = (x + p.y.abs() - 1.0) * std::f32::consts::FRAC_1_SQRT_2;
                let lobe =
                    Point::new(x - 0.5, p.y + 0.5).length() - std::f32::consts::FRAC_1_SQRT_2;
                diamond.min(lobe)
            }
            Self::Crescent => {
                let full = Point::new(p.x - 0.18, p.y).length() - 1.0;
                let bite = Point::new(p.x - 0.66, p.y).length() - 0.82;
                full.max(-bite)
            }
            Self::Arrow => {
                let y = p.y.abs();
                let shaft = (y - 0.27).max((p.x + 0.44).abs() - 0.56);
                // The head runs from its base on the line x = 0 to the tip (1.05, 0), 0.72 high at the base.
                let head = ((p.x - 1.05) * 0.565_54 + y * 0.824_72).max(-p.x);
                shaft.min(head)
            }
            Self::Bolt => spike(p).min(spike(p.mirrored())),
        }
    }
}

/// A five-pointed star: folded into a tenth of itself, it is one straight edge.
fn star(p: Point) -> f32 {
    // The line between two neighboring points, 36 degrees off the axis, by its outer normal.
    let fold = Point::new(0.809_017, -0.587_785_25);
    let mut q = Point::new(p.x.abs(), -p.y);
    for _ in 0..2 {
        q = q - fold * (2.0 * q.dot(fold).max(0.0));
        q.x = q.x.abs();
    }
    // From the point (0, 1) to the notch at radius 0.45.
    let normal = Point::new(0.923_3, 0.384_07);
    (q - Point::new(0.0, 1.0)).dot(normal)
}

/// One half of the bolt: the triangle (0.28, -1), (-0.62, 0.2), (0.3, 0.2).
fn spike(p: Point) -> f32 {
    let left = (p - Point::new(0.28, -1.0)).dot(Point::new(-0.8, -0.6));
    let right = (p - Point::new(0.28, -1.0)).dot(Point::new(0.999_86, -0.016_664));
    left.max(right).max(p.y - 0.2)
}

/// An outline placed in the scene.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    silhouette: Silhouette,
    center: Point,
    rotation: Rotation,
    /// -1 when the outline is mirrored, else 1.
    side: f32,
    scale: f32,
    reach: f32,
}

impl Placed {
    /// An outline of the given area about `center`.
    pub(super) fn new(
        silhouette: Silhouette,
        center: Point,
        rotation: Rotation,
        area: f32,
    ) -> Self {
        let scale = (area / silhouette.area()).sqrt();
        Self {
            silhouette,
            center,
            rotation,
            side: 1.0,
            scale,
            reach: scale * silhouette.reach(),
        }
    }

    /// The same outline about another center.
    pub(super) fn moved_to(self, center: Point) -> Self {
        Self { center, ..self }
    }

    /// The same outline, left and right exchanged before it is turned.
    pub(super) fn mirrored(self) -> Self {
        Self {
            side: -self.side,
            ..self
        }
    }

    /// The same outline of another area.
    pub(super) fn resized(self, area: f32) -> Self {
        let scale = (area / self.silhouette.area()).sqrt();
        Self {
            scale,
            reach: scale * self.silhouette.reach(),
            ..self
        }
    }

    /// Where the outline stands.
    pub(super) fn center(&self) -> Point {
        self.center
    }

    /// The radius about the center that holds the whole outline.
    pub(super) fn reach(&self) -> f32 {
        self.reach
    }

    /// Whether a point is within the outline's reach, widened by `margin`: a cheap first question.
    pub(super) fn near(&self, p: Point, margin: f32) -> bool {
        let d = p - self.center;
        let radius = self.reach + margin;
        d.dot(d) <= radius * radius
    }

    /// A scene point in the turned, but not scaled, coordinates of the outline.
    pub(super) fn local(&self, p: Point) -> Point {
        self.rotation.undo(p - self.center)
    }

    /// The distance of a scene point to the outline, negative inside.
    pub(super) fn distance(&self, p: Point) -> f32 {
        let q = self.local(p) * (1.0 / self.scale);
        self.silhouette.distance(Point::new(q.x * self.side, q.y)) * self.scale
    }

    /// The share of the outline's area inside the frame of the given half size about the origin, counted on a
    /// grid of its own: the answer does not depend on the resolution of the picture.
    pub(super) fn share_inside(&self, half: Point) -> f32 {
        const STEPS: i32 = 20;
        let step = 2.0 * self.reach / STEPS as f32;
        let (mut inside, mut all) = (0.0f32, 0.0f32);
        for row in 0..STEPS {
            for column in 0..STEPS {
                let offset = Point::new(column as f32 + 0.5, row as f32 + 0.5) * step;
                let p = self.center + offset - Point::new(self.reach, self.reach);
                let covered = coverage(-self.distance(p), step);
                all += covered;
                if p.x.abs() <= half.x && p.y.abs() <= half.y {
                    inside += covered;
                }
            }
        }
        if all > 0.0 { inside / all } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = Silhouette> {
        (0..CLASSES as u32).map(Silhouette::of_label)
    }

    #[test]
    fn stated_areas_and_reaches_are_right() {
        for silhouette in all() {
            let steps = 400;
            let (mut count, mut far) = (0u32, 0.0f32);
            for row in 0..steps {
                for column in 0..steps {
                    let p = Point::new(column as f32 + 0.5, row as f32 + 0.5)
                        * (3.2 / steps as f32)
                        - Point::new(1.6, 1.6);
                    if silhouette.distance(p) < 0.0 {
                        count += 1;
                        far = far.max(p.length());
                    }
                }
            }
            let area = count as f32 * (3.2f32 / steps as f32).powi(2);
            let error = (area / silhouette.area() - 1.0).abs();
            assert!(error < 0.01, "{silhouette:?} has area {area}");
            let reach = silhouette.reach();
            assert!(
                far <= reach && reach < far + 0.05,
                "{silhouette:?} reaches {far}"
            );
        }
    }

    #[test]
    fn distances_are_of_unit_slope_at_the_outline() {
        // Anti-aliasing divides the distance by the width of a pixel: a wrong slope would blur or jag the edge.
        for silhouette in all() {
            let h = 1e-3;
            for step in 0..4000 {
                let p = Point::new(
                    (step % 63) as f32 / 31.0 - 1.0,
                    (step / 63) as f32 / 31.0 - 1.0,
                );
                let at = |x: f32, y: f32| silhouette.distance(Point::new(x, y));
                if at(p.x, p.y).abs() < 0.1 {
                    let slope = Point::new(
                        at(p.x + h, p.y) - at(p.x - h, p.y),
                        at(p.x, p.y + h) - at(p.x, p.y - h),
                    )
                    .length()
                        / (2.0 * h);
                    // Kinks (corners, symmetry axes) flatten the difference, nothing may steepen it.
                    assert!(slope < 1.01, "{silhouette:?} at {p:?}: {slope}");
                }
            }
        }
    }

    #[test]
    fn every_class_has_its_own_outline() {
        for (i, a) in all().enumerate() {
            for b in all().skip(i + 1) {
                let place = |s| Placed::new(s, Point::new(0.0, 0.0), Rotation::turns(0.0), 0.3);
                let (a, b) = (place(a), place(b));
                let differing = (0..1600)
                    .map(|n| Point::new((n % 40) as f32 / 40.0 - 0.5, (n / 40) as f32 / 40.0 - 0.5))
                    .filter(|p| (a.distance(*p) < 0.0) != (b.distance(*p) < 0.0))
                    .count();
                assert!(
                    differing > 80,
                    "{a:?} and {b:?} differ at {differing} of 1600"
                );
            }
        }
    }

    #[test]
    fn the_share_inside_is_measured() {
        let square = Placed::new(
            Silhouette::Square,
            Point::new(0.5, 0.0),
            Rotation::turns(0.0),
            0.16,
        );
        let share = square.share_inside(Point::new(0.5, 0.5));
        assert!((share - 0.5).abs() < 0.03, "{share}");
        let whole = square
            .moved_to(Point::new(0.0, 0.0))
            .share_inside(Point::new(0.5, 0.5));
        assert!(whole > 0.999, "{whole}");
    }
}
