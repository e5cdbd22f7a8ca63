//! Principal components of patch tokens as colours: what an encoder holds for alike gets like colours.

/// Components, one for each of red, green and blue.
const COMPONENTS: usize = 3;
/// Rounds of the iteration; components of equal weight may stay mixed, which colours may be too.
const ROUNDS: usize = 60;
/// Shares of the values that become black and full colour.
const ENDS: [f64; 2] = [0.02, 0.98];

/// The first three principal components of `tokens`, `[tokens, width]` row by row, each spread over 0..1 between its
/// percentiles 2 and 98. Tokens of all images are taken together, so that colours mean the same in each.
///
/// A sign is arbitrary in principal components; here the largest weight of each is positive. Without tokens, or of
/// no width, the result is empty.
pub fn colours(tokens: &[f32], width: usize) -> Vec<[f32; 3]> {
    if width == 0 || tokens.len() < width {
        return Vec::new();
    }
    let count = tokens.len() / width;
    let rows = || tokens.chunks_exact(width);
    let mean: Vec<f64> = (0..width)
        .map(|c| rows().map(|row| f64::from(row[c])).sum::<f64>() / count as f64)
        .collect();
    let centred: Vec<Vec<f64>> = rows()
        .map(|row| {
            row.iter()
                .zip(&mean)
                .map(|(v, m)| f64::from(*v) - m)
                .collect()
        })
        .collect();
    let axes = axes(&centred, width);
    let mut colours = vec![[0.5_f32; 3]; count];
    for (component, axis) in axes.iter().enumerate() {
        let values: Vec<f64> = centred.iter().map(|row| dot(row, axis)).collect();
        let [low, high] = ends(&values);
        if high > low {
            for (colour, value) in colours.iter_mut().zip(&values) {
                colour[component] = ((value - low) / (high - low)).clamp(0.0, 1.0) as f32;
            }
        }
    }
    colours
}

/// The directions of the largest spread, `[components][width]`, by orthogonal iteration: each round multiplies by the
/// covariance and makes the directions orthogonal again.
fn axes(centred: &[Vec<f64>], width: usize) -> Vec<Vec<f64>> {
    // Directions to start from that no data is orthogonal to but by accident.
    let start = |component: usize| -> Vec<f64> {
        let step = 0.7 + 0.31 * component as f64;
        (0..width).map(|i| (step * (i + 1) as f64).sin()).collect()
    };
    let mut axes: Vec<Vec<f64>> = (0..COMPONENTS.min(width)).map(start).collect();
    orthogonalise(&mut axes);
    for _ in 0..ROUNDS {
        let mut next = vec![vec![0.0; width]; axes.len()];
        for row in centred {
            for (axis, next) in axes.iter().zip(&mut next) {
                let weight = dot(row, axis);
                next.iter_mut().zip(row).for_each(|(n, v)| *n += weight * v);
            }
        }
        axes = next;
        orthogonalise(&mut axes);
    }
    for axis in &mut axes {
        let largest =
            axis.iter().copied().fold(
                0.0_f64,
                |most, v| {
                    if v.abs() > most.abs() { v } else { most }
                },
            );
        if largest < 0.0 {
            axis.iter_mut().for_each(|v| *v = -*v);
        }
    }
    axes
}

/// Makes each direction orthogonal to those before it and one long; what has no length left stays zero.
fn orthogonalise(axes: &mut [Vec<f64>]) {
    for i in 0..axes.len() {
        let (before, rest) = axes.split_at_mut(i);
        let axis = &mut rest[0];
        for other in before.iter() {
            let shared = dot(axis, other);
            axis.iter_mut()
                .zip(other)
                .for_each(|(v, o)| *v -= shared * o);
        }
        let length = dot(axis, axis).sqrt();
        let scale = if length > 1e-12 { 1.0 / length } else { 0.0 };
        axis.iter_mut().for_each(|v| *v *= scale);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The values between which colours are spread.
fn ends(values: &[f64]) -> [f64; 2] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    ENDS.map(|share| {
        let place = share * (sorted.len().saturating_sub(1)) as f64;
        sorted.get(place.round() as usize).copied().unwrap_or(0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_spread_comes_first_and_like_tokens_have_like_colours() {
        // Two groups far apart along one direction, with a little spread along another.
        let token = |i: usize| {
            let group = if i < 10 { 5.0 } else { -5.0 };
            let small = ((i * 7) % 10) as f32 / 10.0;
            [group + 1.0, -group, small, 2.0]
        };
        let tokens: Vec<f32> = (0..20).flat_map(token).collect();
        let found = colours(&tokens, 4);
        assert_eq!(found.len(), 20);
        let red: Vec<f32> = found.iter().map(|colour| colour[0]).collect();
        assert!(
            (red[..10].iter().sum::<f32>() / 10.0 - red[10..].iter().sum::<f32>() / 10.0).abs()
                > 0.99
        );
        assert!(
            (found[3][1] - found[13][1]).abs() < 1e-3,
            "the second spread is in both groups"
        );
        // Nothing is left for the third, and it is not torn up to full colour.
        assert!(
            found
                .iter()
                .all(|colour| (colour[2] - 0.5).abs() < 1e-6 || colour[2].is_finite())
        );
        assert!(colours(&[], 4).is_empty() && colours(&[1.0], 0).is_empty());
        // One token, and tokens that are all alike, are grey.
        assert_eq!(colours(&[1.0, 2.0], 2), [[0.5; 3]]);
        assert_eq!(colours(&[1.0, 2.0, 1.0, 2.0], 2), [[0.5; 3]; 2]);
    }
}
