//! A bounded number of candidates for the losses, a bounded share of them positive.

use semaim_random::KeyedRng;

/// How many candidates of an image are taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// At most so many together.
    pub count: usize,
    /// At most this share of `count` from the positive ones; what is missing is filled with negative ones.
    pub positive_fraction: f64,
}

impl Sampler {
    /// Takes from each list, every candidate with the same probability. What is taken keeps its order.
    pub fn sample(
        &self,
        positive: &[usize],
        negative: &[usize],
        rng: &mut KeyedRng,
    ) -> [Vec<usize>; 2] {
        let most = (self.count as f64 * self.positive_fraction) as usize;
        let positive = choose(positive, most, rng);
        let negative = choose(negative, self.count - positive.len(), rng);
        [positive, negative]
    }
}

fn choose(from: &[usize], most: usize, rng: &mut KeyedRng) -> Vec<usize> {
    if from.len() <= most {
        return from.to_vec();
    }
    let mut places: Vec<usize> = (0..from.len()).collect();
    rng.shuffle(&mut places);
    places.truncate(most);
    places.sort_unstable();
    places.into_iter().map(|place| from[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_random::{Key, Stream};

    fn sample(count: usize, positives: usize, negatives: usize, item: u64) -> [Vec<usize>; 2] {
        let sampler = Sampler {
            count,
            positive_fraction: 0.25,
        };
        let positive: Vec<usize> = (0..positives).collect();
        let negative: Vec<usize> = (1000..1000 + negatives).collect();
        let mut rng = KeyedRng::new(Key::new(1, 0, item), Stream::RegionSample);
        sampler.sample(&positive, &negative, &mut rng)
    }

    #[test]
    fn numbers_are_bounded_and_filled() {
        let counts = |count, p, n| sample(count, p, n, 0).map(|taken| taken.len());
        assert_eq!(counts(100, 60, 500), [25, 75]);
        assert_eq!(counts(100, 10, 500), [10, 90]);
        assert_eq!(counts(100, 60, 20), [25, 20]);
        assert_eq!(counts(100, 0, 0), [0, 0]);
        assert_eq!(counts(1000, 60, 20), [60, 20]);
    }

    #[test]
    fn every_candidate_has_the_same_chance_and_the_key_decides() {
        assert_eq!(sample(8, 10, 10, 3), sample(8, 10, 10, 3));
        assert_ne!(sample(8, 10, 10, 3), sample(8, 10, 10, 4));
        let mut taken = [0; 10];
        for item in 0..2000 {
            let [positive, _] = sample(16, 10, 0, item);
            assert_eq!(positive.len(), 4);
            assert!(positive.is_sorted());
            positive.into_iter().for_each(|i| taken[i] += 1);
        }
        assert!(taken.iter().all(|&n| (700..900).contains(&n)), "{taken:?}");
    }
}
