//! Where the positions of one grid lie among those of another: bilinear interpolation along one axis, as PyTorch's
//! `interpolate(mode="bilinear", align_corners=False)`.

use std::ops::Range;

/// A place between two others of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbors {
    /// The one before it.
    pub before: usize,
    /// The one after it; the same at the edges.
    pub after: usize,
    /// How much of it is of the one after, in [0, 1); the rest is of the one before.
    pub share: f32,
}

/// Where some of `to` places lie among `from`, of which there is at least one; beyond the edges are the edges.
pub fn neighbors(from: usize, to: usize, places: Range<usize>) -> Vec<Neighbors> {
    let place = |place: usize| {
        let at = ((place as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
        let before = (at as usize).min(from - 1);
        Neighbors {
            before,
            after: (before + 1).min(from - 1),
            share: (at - before as f64) as f32,
        }
    };
    places.map(place).collect()
}

/// The same as a matrix `[to, from]`, row by row.
pub fn bilinear(from: usize, to: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; to * from];
    let rows = matrix.chunks_mut(from.max(1));
    for (row, place) in rows.zip(neighbors(from, to, 0..to)) {
        row[place.before] += 1.0 - place.share;
        row[place.after] += place.share;
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PyTorch 2: `F.interpolate(torch.tensor([[[[0., 1., 4.]]]]), (1, n), mode="bilinear")`.
    #[test]
    fn places_are_those_of_pytorch() {
        for (to, expected) in [
            (5, vec![0.0, 0.4, 1.0, 2.8, 4.0]),
            (2, vec![0.25, 3.25]),
            (3, vec![0.0, 1.0, 4.0]),
            (1, vec![1.0]),
        ] {
            for (row, expected) in bilinear(3, to).chunks(3).zip(expected) {
                let found = row[1] + 4.0 * row[2];
                assert!((found - expected).abs() < 1e-6, "{to}: {found} {expected}");
            }
        }
        assert_eq!(bilinear(1, 2), [1.0, 1.0]);
        assert_eq!(neighbors(3, 5, 3..5), neighbors(3, 5, 0..5)[3..]);
    }
}
