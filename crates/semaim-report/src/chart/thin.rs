//! Fewer points for a curve that looks the same.

/// At most `most` of the points, in their order: the first, the last, and of every stretch between the lowest and the
/// highest, so that spikes stay. Where points with a number that is not finite part the curve it stays parted, but of
/// several such points in a row one is kept. All points if they are no more than `most`.
///
/// A curve keeps its looks from about two points for every unit of width on. With `most` below 3 there is no room for
/// gaps.
pub fn thinned(points: &[[f64; 2]], most: usize) -> Vec<[f64; 2]> {
    if points.len() <= most {
        return points.to_vec();
    }
    let kept = match most {
        0 => Vec::new(),
        1 => vec![0],
        _ => {
            let whole = with_gaps(points, &outline(points, (most - 2) / 2));
            if whole.len() <= most {
                whole
            } else {
                // At worst there is a gap between any two.
                let outline = outline(points, (most / 2).saturating_sub(2) / 2);
                let whole = with_gaps(points, &outline);
                if whole.len() <= most { whole } else { outline }
            }
        }
    };
    kept.into_iter().map(|index| points[index]).collect()
}

/// Whether a point parts a curve.
fn is_gap(point: &[f64; 2]) -> bool {
    !(point[0].is_finite() && point[1].is_finite())
}

/// The places of the first point, the last one, and the lowest and highest of each of `stretches` stretches that hold
/// equally many points. There are two points or more.
fn outline(points: &[[f64; 2]], stretches: usize) -> Vec<usize> {
    let shown: Vec<usize> = (0..points.len())
        .filter(|index| !is_gap(&points[*index]))
        .collect();
    let mut kept = vec![0, points.len() - 1];
    for stretch in 0..stretches {
        let start = stretch * shown.len() / stretches;
        let stretch = &shown[start..(stretch + 1) * shown.len() / stretches];
        let by_height = |a: &&usize, b: &&usize| points[**a][1].total_cmp(&points[**b][1]);
        kept.extend(stretch.iter().min_by(by_height));
        kept.extend(stretch.iter().max_by(by_height));
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// The places, and one of a gap wherever there is one between two that are none themselves.
fn with_gaps(points: &[[f64; 2]], kept: &[usize]) -> Vec<usize> {
    let mut whole: Vec<usize> = kept.first().copied().into_iter().collect();
    for pair in kept.windows(2) {
        if !is_gap(&points[pair[0]]) && !is_gap(&points[pair[1]]) {
            whole.extend((pair[0]..pair[1]).find(|index| is_gap(&points[*index])));
        }
        whole.push(pair[1]);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(ys: impl IntoIterator<Item = f64>) -> Vec<[f64; 2]> {
        let ys = ys.into_iter().enumerate();
        ys.map(|(x, y)| [x as f64, y]).collect()
    }

    /// Equal, with gaps equal to gaps.
    fn bits(points: &[[f64; 2]]) -> Vec<[u64; 2]> {
        points.iter().map(|p| p.map(f64::to_bits)).collect()
    }

    #[test]
    fn few_points_stay_as_they_are() {
        let few = points([1.0, f64::NAN, 2.0]);
        assert_eq!(bits(&thinned(&few, 3)), bits(&few));
        assert!(thinned(&[], 5).is_empty());
    }

    #[test]
    fn no_more_than_asked_for_and_both_ends() {
        let wave = |n: usize| (n as f64 * 0.37).sin() + n as f64 * 1e-3;
        let whole = points((0..10_000).map(wave));
        for most in [2, 3, 4, 7, 100, 999, 9_999] {
            let few = thinned(&whole, most);
            assert!(few.len() <= most, "{} of {most}", few.len());
            assert!(few.len() * 2 >= most, "{} of {most}", few.len());
            assert_eq!([few[0], few[few.len() - 1]], [whole[0], whole[9_999]]);
            assert!(few.is_sorted_by(|a, b| a[0] < b[0]));
        }
        assert_eq!(thinned(&whole, 1), whole[..1]);
        assert!(thinned(&whole, 0).is_empty());
    }

    #[test]
    fn spikes_stay() {
        let mut whole = points((0..50_000).map(|n| f64::from(n % 3)));
        whole[12_345][1] = 90.0;
        whole[12_349][1] = -80.0;
        whole[40_001][1] = 70.0;
        let few = thinned(&whole, 200);
        for spike in [12_345, 12_349, 40_001] {
            assert!(few.contains(&whole[spike]), "{spike}");
        }
    }

    #[test]
    fn a_parted_curve_stays_parted() {
        let mut whole = points((0..5_000).map(|n| f64::from(n).sqrt()));
        for gap in [1, 700, 701, 702, 2_500, 4_998] {
            whole[gap][1] = f64::NAN;
        }
        whole[3_000][0] = f64::INFINITY;
        for most in [100, 1_000] {
            let few = thinned(&whole, most);
            assert!(few.len() <= most);
            assert_eq!(few.iter().filter(|p| is_gap(p)).count(), 5);
            for gap in [1, 700, 2_500, 3_000, 4_998] {
                let gap = gap as f64;
                let place = few.iter().position(is_gap_near(gap)).unwrap();
                assert!(few[place - 1][0] < gap && gap < few[place + 1][0]);
            }
        }

        fn is_gap_near(x: f64) -> impl FnMut(&[f64; 2]) -> bool {
            move |p| is_gap(p) && (p[0] == x || p[0] == f64::INFINITY && x == 3_000.0)
        }
    }

    #[test]
    fn dots_stay_dots() {
        // Every second point is a gap: no two points that are kept may be joined.
        let whole = points((0..2_001).map(|n| match n % 2 {
            0 => f64::from(n),
            _ => f64::NAN,
        }));
        for most in [3, 5, 50, 500] {
            let few = thinned(&whole, most);
            assert!(few.len() <= most && few.len() * 3 >= most, "{}", few.len());
            assert!(few.windows(2).all(|p| is_gap(&p[0]) || is_gap(&p[1])));
        }
        assert_eq!(thinned(&whole, 2).len(), 2);
    }

    #[test]
    fn only_gaps_are_fine() {
        let few = thinned(&points([f64::NAN; 100]), 10);
        assert!(!few.is_empty() && few.len() <= 10);
    }
}
