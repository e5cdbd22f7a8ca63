//! Principal components of patch tokens as colours: similar tokens get similar colours.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// Components, one for each of red, green and blue.
const COMPONENTS: usize = 3;
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
    let tokens = tokens[..count * width].iter().copied().map(f64::from);
    let mut centred = DMatrix::from_row_iterator(count, width, tokens);
    for mut column in centred.column_iter_mut() {
        let mean = column.mean();
        column.add_scalar_mut(-mean);
    }
    let axes = axes(&centred);
    let mut colours = vec![[0.5_f32; 3]; count];
    for (component, axis) in axes.iter().enumerate() {
        let values = &centred * axis;
        let [low, high] = ends(values.as_slice());
        if high > low {
            for (colour, value) in colours.iter_mut().zip(values.iter()) {
                colour[component] = ((value - low) / (high - low)).clamp(0.0, 1.0) as f32;
            }
        }
    }
    colours
}

/// The directions of the largest spread, `[components][width]`, largest first: eigenvectors of the covariance. With fewer
/// tokens than their width, they are found from the products of the tokens, a smaller matrix of the same eigenvalues.
fn axes(centred: &DMatrix<f64>) -> Vec<DVector<f64>> {
    let (count, width) = centred.shape();
    let few = count < width;
    let products = match few {
        true => centred * centred.transpose(),
        false => centred.transpose() * centred,
    };
    let eigen = SymmetricEigen::new(products);
    let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let largest = order.first().map_or(0.0, |&first| eigen.eigenvalues[first]);
    // What is left of rounding is no direction.
    order.retain(|&i| eigen.eigenvalues[i] > 1e-12 * largest.max(f64::MIN_POSITIVE));
    let axis = |&i: &usize| {
        let vector = eigen.eigenvectors.column(i);
        let axis = match few {
            true => (centred.transpose() * vector).normalize(),
            false => vector.into_owned(),
        };
        // The sign is arbitrary.
        let largest =
            axis.iter().copied().fold(
                0.0_f64,
                |most, v| if v.abs() > most.abs() { v } else { most },
            );
        if largest < 0.0 { -axis } else { axis }
    };
    order.iter().take(COMPONENTS).map(axis).collect()
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
