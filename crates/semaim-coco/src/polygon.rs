//! Polygons to masks, pixel for pixel as the COCO API does it.
//!
//! The API draws the outline on a grid five times as fine as the pixels. Wherever the outline steps from the third
//! fine column of a pixel column to the fourth, that is over the middle of the pixels, it notes the first pixel whose
//! middle is not above the outline. In a column, the pixels between the first and the second noted place are
//! inside, between the second and the third outside, and so on; because a column's places are taken as one sequence
//! with those of the other columns, an outline that leaves the image below goes on at the top of the next column.
//!
//! Two outlines that meet a place cancel each other there.

use crate::error::SegmentationProblem;
use crate::rle::Rle;

/// Fine columns and rows of a pixel.
const FINE: i64 = 5;

/// The farthest a corner of a polygon or a box may be from 0, in pixels.
pub(crate) const MAX_COORDINATE: f64 = 1e6;

/// The union of polygons, each `x, y, x, y, ...` in pixels from the image's upper left corner.
pub(crate) fn of_polygons(
    polygons: &[Vec<f64>],
    width: u32,
    height: u32,
) -> Result<Rle, SegmentationProblem> {
    let mut union: Option<Rle> = None;
    // Where the mask turns from outside to inside or back, in pixels column by column.
    let mut turns = Vec::new();
    for (polygon, numbers) in polygons.iter().enumerate() {
        check(polygon, numbers)?;
        turns.clear();
        let corners: Vec<[i64; 2]> = numbers
            .chunks_exact(2)
            .map(|corner| [fine(corner[0]), fine(corner[1])])
            .collect();
        let next = corners.iter().cycle().skip(1);
        for (&from, &to) in corners.iter().zip(next) {
            edge(from, to, width, height, &mut turns);
        }
        turns.sort_unstable();
        let one = Rle::from_turns(&turns, width, height);
        union = Some(match union {
            Some(union) => union.union(&one),
            None => one,
        });
    }
    union.ok_or(SegmentationProblem::Absent)
}

/// Refuses what is no polygon.
pub(crate) fn check(polygon: usize, numbers: &[f64]) -> Result<(), SegmentationProblem> {
    if numbers.len() < 6 || !numbers.len().is_multiple_of(2) {
        return Err(SegmentationProblem::PolygonLength {
            polygon,
            numbers: numbers.len(),
        });
    }
    let far = |n: &&f64| !n.is_finite() || n.abs() > MAX_COORDINATE;
    match numbers.iter().find(far) {
        Some(&value) => Err(SegmentationProblem::Coordinate {
            polygon,
            value,
            limit: MAX_COORDINATE,
        }),
        None => Ok(()),
    }
}

/// The smallest box around the corners of polygons, `[x, y, width, height]`; `None` where there are none.
pub(crate) fn around(polygons: &[Vec<f64>]) -> Option<[f64; 4]> {
    let mut corners = polygons
        .iter()
        .flat_map(|numbers| numbers.chunks_exact(2))
        .map(|corner| [corner[0], corner[1]]);
    let [x, y] = corners.next()?;
    let mut bounds = [x, y, x, y];
    for [x, y] in corners {
        let [left, top, right, bottom] = bounds;
        bounds = [left.min(x), top.min(y), right.max(x), bottom.max(y)];
    }
    let [left, top, right, bottom] = bounds;
    Some([left, top, right - left, bottom - top])
}

/// A coordinate on the fine grid: a half is added and the fraction dropped.
fn fine(coordinate: f64) -> i64 {
    (FINE as f64 * coordinate + 0.5) as i64
}

/// Notes the places where an edge steps over the middle of a column.
fn edge(from: [i64; 2], to: [i64; 2], width: u32, height: u32, turns: &mut Vec<u32>) {
    let flat = (to[0] - from[0]).abs() >= (to[1] - from[1]).abs();
    // The API walks along the longer side, always upwards in it, and so do the roundings.
    let axis = usize::from(!flat);
    let (low, high) = if from[axis] > to[axis] {
        (to, from)
    } else {
        (from, to)
    };
    let line = Line {
        start: low,
        slope: (high[1 - axis] - low[1 - axis]) as f64 / (high[axis] - low[axis]) as f64,
        flat,
    };
    let (left, right) = (low[0].min(high[0]), low[0].max(high[0]));
    // Columns whose third and fourth fine columns are both on the edge.
    let first = ((left - 2).max(0) + FINE - 1) / FINE;
    let end = (right - 3).div_euclid(FINE).min(i64::from(width) - 1);
    for column in first..=end {
        let step = FINE * column + 2;
        let top = if flat {
            line.y_at(step).min(line.y_at(step + 1))
        } else {
            line.upper_of_step(step, high[1])
        };
        let place = (top as f64 + 0.5) / FINE as f64 - 0.5;
        let row = place.clamp(0.0, f64::from(height)).ceil() as u32;
        turns.push(column as u32 * height + row);
    }
}

/// An edge on the fine grid.
struct Line {
    /// The end with the lesser coordinate along the longer side.
    start: [i64; 2],
    /// What the other coordinate changes by in one step along the longer side.
    slope: f64,
    /// Whether the longer side is the horizontal one.
    flat: bool,
}

impl Line {
    /// The fine coordinate across the longer side after some steps along it.
    fn across(&self, steps: i64) -> i64 {
        let start = self.start[usize::from(self.flat)];
        (start as f64 + self.slope * steps as f64 + 0.5) as i64
    }

    /// The fine row of a flat line in a fine column.
    fn y_at(&self, x: i64) -> i64 {
        self.across(x - self.start[0])
    }

    /// The upper of the two fine rows between which a steep line steps from the fine column `x` to `x + 1` or back.
    fn upper_of_step(&self, x: i64, last: i64) -> i64 {
        let rising = self.slope > 0.0;
        let beyond = |steps: i64| {
            if rising {
                self.across(steps) > x
            } else {
                self.across(steps) <= x
            }
        };
        // The rounding turns in the middle between the columns; the guess is right but for the last bits.
        let guess = ((x as f64 + 0.5 - self.start[0] as f64) / self.slope).ceil() as i64;
        let mut steps = guess.clamp(1, (last - self.start[1]).max(1));
        while steps > 1 && beyond(steps - 1) {
            steps -= 1;
        }
        while steps < last - self.start[1] && !beyond(steps) {
            steps += 1;
        }
        self.start[1] + steps - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the mask of some polygons, `#` inside.
    fn drawn(polygons: &[&[f64]], width: u32, height: u32) -> Vec<String> {
        let polygons: Vec<Vec<f64>> = polygons.iter().map(|p| p.to_vec()).collect();
        let mask = of_polygons(&polygons, width, height).unwrap();
        let show = |inside: &bool| if *inside { '#' } else { '.' };
        mask.to_bits()
            .chunks(width as usize)
            .map(|row| row.iter().map(show).collect())
            .collect()
    }

    #[test]
    fn pixels_are_those_of_the_coco_api() {
        // Recorded from pycocotools 2.0 (`frPyObjects`, `merge`, `decode` of polygons of our own).
        assert_eq!(
            drawn(&[&[0.5, 0.5, 7.2, 1.1, 4.0, 6.9]], 8, 7),
            [
                "........", ".######.", "..####..", "..####..", "...##...", "...##...", "........"
            ]
        );
        assert_eq!(
            drawn(&[&[6.3, 0.2, 0.4, 3.3, 5.9, 6.6, 3.1, 3.2]], 7, 7),
            [
                ".......", "....#..", "..##...", ".###...", "..##...", "....#..", "......."
            ]
        );
        assert_eq!(
            drawn(&[&[-3.0, 2.0, 4.5, -2.5, 9.7, 3.3, 4.1, 11.2]], 8, 6),
            [
                "#######.", "########", "########", "########", "########", "########"
            ]
        );
        assert_eq!(
            drawn(&[&[1.0, 1.0, 6.0, 5.0, 6.0, 1.0, 1.0, 5.0]], 7, 6),
            [
                ".......", ".#...#.", ".##.##.", ".##.##.", ".#...#.", "......."
            ]
        );
        assert_eq!(
            drawn(
                &[
                    &[0.3, 0.3, 2.6, 0.1, 2.4, 2.7, 0.2, 2.9],
                    &[4.1, 3.0, 7.9, 2.2, 6.3, 5.8]
                ],
                8,
                6
            ),
            [
                "###.....", "##......", "##....##", ".....##.", ".....##.", "........"
            ]
        );
        assert_eq!(
            drawn(&[&[2.1, 1.9, 2.9, 1.9, 5.6, 5.1, 4.8, 5.2]], 8, 6),
            [
                "........", "........", "........", "........", "....#...", "........"
            ]
        );
    }

    #[test]
    fn whole_pixels_are_whole_pixels() {
        let square = [1.0, 1.0, 3.0, 1.0, 3.0, 4.0, 1.0, 4.0];
        let rows = drawn(&[&square], 5, 5);
        assert_eq!(rows, [".....", ".##..", ".##..", ".##..", "....."]);
        let reversed = [1.0, 4.0, 3.0, 4.0, 3.0, 1.0, 1.0, 1.0];
        assert_eq!(rows, drawn(&[&reversed], 5, 5));
        let all = [-50.0, -50.0, 90.0, -50.0, 90.0, 90.0, -50.0, 90.0];
        assert_eq!(drawn(&[&all], 3, 2), ["###", "###"]);
    }

    #[test]
    fn the_box_is_around_the_corners_of_all_polygons() {
        let polygons = [
            vec![3.0, 4.0, -1.5, 5.0, 2.0, 9.0],
            vec![8.0, 6.5, 7.0, 2.0, 8.0, 2.0],
        ];
        assert_eq!(around(&polygons), Some([-1.5, 2.0, 9.5, 7.0]));
        assert_eq!(around(&polygons[1..]), Some([7.0, 2.0, 1.0, 4.5]));
        assert_eq!(around(&[]), None);
    }

    #[test]
    fn overlapping_polygons_are_united_not_turned_over() {
        let square = [0.0, 0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 2.0];
        assert_eq!(drawn(&[&square, &square], 3, 2), ["##.", "##."]);
    }

    #[test]
    fn what_is_no_polygon_is_refused() {
        let error = |numbers: &[f64]| of_polygons(&[numbers.to_vec()], 4, 4).unwrap_err();
        for numbers in [0, 4, 7] {
            assert_eq!(
                error(&vec![1.0; numbers]),
                SegmentationProblem::PolygonLength {
                    polygon: 0,
                    numbers
                }
            );
        }
        for value in [f64::NAN, f64::INFINITY, -1.1e6, 1e300] {
            let error = error(&[0.0, 0.0, 3.0, value, 3.0, 3.0]);
            assert!(matches!(error, SegmentationProblem::Coordinate { .. }));
        }
    }

    #[test]
    fn far_corners_and_single_points_work() {
        for polygon in [
            vec![1.0; 6],
            vec![2.0, 2.0, 2.0, 9.0, 2.0, -4.0],
            vec![-1e6, -1e6, 1e6, 1e6, 1e6, -1e6],
            vec![-1e6, 1e6, 0.5, -1e6, 1e6, 1e6 - 1.0],
        ] {
            assert!(of_polygons(&[polygon], 7, 3).is_ok());
        }
    }
}
