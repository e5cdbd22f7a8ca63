//! Principal components of patch tokens as colors: similar tokens get similar colors.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// Components, one for each of red, green and blue.
const COMPONENTS: usize = 3;
/// Shares of the values that become black and full color.
const ENDS: [f64; 2] = [0.02, 0.98];

/// The first three principal components of `tokens`, `[tokens, width]` row by row, each spread over 0..1 between its
/// percentiles 2 and 98. Tokens of all images are taken together, so that colors mean the same in each.
///
/// A sign is arbitrary in principal components; here the largest weight of each is positive. Without tokens, or of
/// no width, the result is empty.
pub fn colors(tokens: &[f32], width: usize) -> Vec<[f32; 3]> {
    if width == 0 || tokens.len() < width {
        return Vec::new();
    }
    let count = tokens.len() / width;
    let tokens = tokens[..count * width].iter().copied().map(f64::from);
    let mut centered = DMatrix::from_row_iterator(count, width, tokens);
    for mut column in centered.column_iter_mut() {
        let mean = column.mean();
        column.add_scalar_mut(-mean);
    }
    let axes = axes(&centered);
    let mut colors = vec![[0.5_f32; 3]; count];
    for (component, axis) in axes.iter().enumerate() {
        let values = &centered * axis;
        let [low, high] = ends(values.as_slice());
        if high > low {
            for (color, value) in colors.iter_mut().zip(values.iter()) {
                color[component] = ((value - low) / (high - low)).clamp(0.0, 1.0) as f32;
            }
        }
    }
    colors
}

/// The directions of the largest spread, `[components][width]`, largest first: eigenvectors of the covariance. With fewer
/// tokens than their width, they are found from the products of the tokens, a smaller matrix of the same eigenvalues.
fn axes(centered: &DMatrix<f64>) -> Vec<DVector<f64>> {
    let (count, width) = centered.shape();
    let few = count < width;
    let products = match few {
        true => centered * centered.transpose(),
        false => centered.transpose() * centered,
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
            true => (centered.transpose() * vector).normalize(),
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

/// The values between which colors are spread.
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
    fn the_largest_spread_comes_first_and_like_tokens_have_like_colors() {
        // Two groups far apart along one direction, with a little spread along another.
        let token = |i: usize| {
            let group = if i < 10 { 5.0 } else { -5.0 };
            let small = ((i * 7) % 10) as f32 / 10.0;
            [group + 1.0, -group, small, 2.0]
        };
        let tokens: Vec<f32> = (0..20).flat_map(token).collect();
        let found = colors(&tokens, 4);
        assert_eq!(found.len(), 20);
        let red: Vec<f32> = found.iter().map(|color| color[0]).collect();
        assert!(
            (red[..10].iter().sum::<f32>() / 10.0 - red[10..].iter().sum::<f32>() / 10.0).abs()
                > 0.99
        );
        assert!(
            (found[3][1] - found[13][1]).abs() < 1e-3,
            "the second spread is in both groups"
        );
        // Nothing is left for the third, and it is not torn up to full color.
        assert!(
            found
                .iter()
                .all(|color| (color[2] - 0.5).abs() < 1e-6 || color[2].is_finite())
        );
        assert!(colors(&[], 4).is_empty() && colors(&[1.0], 0).is_empty());
        // One token, and tokens that are all alike, are gray.
        assert_eq!(colors(&[1.0, 2.0], 2), [[0.5; 3]]);
        assert_eq!(colors(&[1.0, 2.0, 1.0, 2.0], 2), [[0.5; 3]; 2]);
    }
}
