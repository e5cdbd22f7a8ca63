//! From the numbers of a map to positions on a colour scale.

/// Scales the finite numbers so that the smallest is 0 and the largest 1; when all are alike they are 0.5.
/// Minus infinity is 0, plus infinity 1, NaN has no position.
pub(crate) fn by_value(values: &[f32]) -> Vec<Option<f32>> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let low = f64::from(finite().fold(f32::INFINITY, f32::min));
    let high = f64::from(finite().fold(f32::NEG_INFINITY, f32::max));
    let position = |value: f32| {
        if value.is_nan() {
            None
        } else if value.is_infinite() {
            Some(if value > 0.0 { 1.0 } else { 0.0 })
        } else if high > low {
            Some(((f64::from(value) - low) / (high - low)) as f32)
        } else {
            Some(0.5)
        }
    };
    values.iter().copied().map(position).collect()
}

/// Places the keys by their order: the smallest distinct key is 0, the largest 1, those between are spaced evenly
/// and equal keys share a place. When all are alike they are 0. NaN has no place.
pub(crate) fn by_order(keys: &[f32]) -> Vec<Option<f32>> {
    // Adding 0 makes -0 into 0, which the total order would tell apart.
    let plain = |key: f32| key + 0.0;
    let mut distinct: Vec<f32> = keys
        .iter()
        .copied()
        .filter(|key| !key.is_nan())
        .map(plain)
        .collect();
    distinct.sort_by(f32::total_cmp);
    distinct.dedup();
    let steps = distinct.len().saturating_sub(1).max(1) as f32;
    let place = |&key: &f32| {
        let at = distinct.binary_search_by(|other| other.total_cmp(&plain(key)));
        at.ok().map(|index| index as f32 / steps)
    };
    keys.iter().map(place).collect()
}

/// For each key how many are smaller: its place in the order, from 0. Equal keys share a place; NaN has none and does not
/// count.
pub(crate) fn places(keys: &[f32]) -> Vec<Option<usize>> {
    let plain = |key: f32| key + 0.0;
    let mut sorted: Vec<f32> = keys.iter().copied().filter(|key| !key.is_nan()).collect();
    sorted.sort_by(|a, b| plain(*a).total_cmp(&plain(*b)));
    let place = |&key: &f32| (!key.is_nan()).then(|| sorted.partition_point(|&other| other < key));
    keys.iter().map(place).collect()
}

/// The index of the smallest key, the earliest one of several; `None` when there is none but NaN.
pub(crate) fn first(keys: &[f32]) -> Option<usize> {
    keys.iter()
        .enumerate()
        .filter(|(_, key)| !key.is_nan())
        .min_by(|(_, a), (_, b)| (**a + 0.0).total_cmp(&(**b + 0.0)))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fill_the_scale() {
        let nan = f32::NAN;
        assert_eq!(
            by_value(&[-2.0, nan, 2.0, 0.0]),
            [Some(0.0), None, Some(1.0), Some(0.5)]
        );
        assert_eq!(by_value(&[7.0, 7.0]), [Some(0.5), Some(0.5)]);
        assert_eq!(by_value(&[nan, nan]), [None, None]);
        assert_eq!(
            by_value(&[f32::INFINITY, 1.0, 3.0, f32::NEG_INFINITY]),
            [Some(1.0), Some(0.0), Some(1.0), Some(0.0)]
        );
        assert_eq!(by_value(&[f32::MIN, f32::MAX]), [Some(0.0), Some(1.0)]);
    }

    #[test]
    fn keys_are_spaced_by_order_and_ties_share() {
        assert_eq!(
            by_order(&[900.0, 1.0, 2.0, 1.0, f32::NAN]),
            [Some(1.0), Some(0.0), Some(0.5), Some(0.0), None]
        );
        assert_eq!(by_order(&[4.0, 4.0]), [Some(0.0), Some(0.0)]);
        assert_eq!(
            by_order(&[-0.0, 0.0, 1.0]),
            [Some(0.0), Some(0.0), Some(1.0)]
        );
        assert_eq!(by_order(&[]), []);
    }

    #[test]
    fn a_place_is_the_number_of_smaller_keys() {
        assert_eq!(
            places(&[7.0, 2.0, f32::NAN, 2.0, -0.0, 0.0, 9.0]),
            [Some(4), Some(2), None, Some(2), Some(0), Some(0), Some(5)]
        );
        let infinite = [f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY];
        assert_eq!(places(&infinite), [Some(1), Some(0), Some(1)]);
        assert_eq!(places(&[-f32::NAN]), [None]);
    }

    #[test]
    fn the_first_is_the_smallest_and_never_nan() {
        assert_eq!(first(&[f32::NAN, 3.0, -1.0, -1.0]), Some(2));
        assert_eq!(first(&[-f32::NAN, 5.0]), Some(1));
        assert_eq!(first(&[f32::NAN]), None);
        assert_eq!(first(&[0.0, -0.0]), Some(0));
    }
}
