//! Random draws addressed by *what they are for*, never by when they happen.
//!
//! A training run draws numbers for crops, flips, order noise, drop path and initial weights. If they came
//! from one running generator, a resumed run, another number of workers or another number of processes would
//! see other numbers. Here every draw comes from a [`Draw`] made of (seed, epoch, item, [`Purpose`]): the same
//! address gives the same numbers, whoever asks and whenever.
//!
//! ```
//! use semaim_random::{Draw, Purpose};
//!
//! let mut crop = Draw::new(7, 3, 1042, Purpose::Crop);
//! let mut again = Draw::new(7, 3, 1042, Purpose::Crop);
//! assert_eq!(crop.uniform(), again.uniform());
//! assert_ne!(crop.uniform(), Draw::new(7, 3, 1042, Purpose::Flip).uniform());
//! ```
//!
//! The generator is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) in counter mode, its start hashed from the
//! address. It is statistically sound for augmentation and initialisation, and it is not for cryptography. Its
//! numbers are part of the run format: changing them changes every result, so the tests pin them.

/// What a draw is for. Two purposes never share numbers.
///
/// The discriminants are part of the run format; new purposes get new numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Purpose {
    /// The permutation of the images of an epoch.
    Shuffle = 1,
    /// The box of a random resized crop.
    Crop = 2,
    /// Whether an image is mirrored.
    Flip = 3,
    /// The uniform noise that breaks ties in an order, one number per patch.
    OrderNoise = 4,
    /// The random centre of the `stochastic-center` order.
    OrderCenter = 5,
    /// Which residual branches are dropped for a sample.
    DropPath = 6,
    /// Initial weights.
    Init = 7,
    /// Everything in one generated image of the `shapes` set.
    Shapes = 8,
    /// Dividing a labelled set into a bank and queries.
    Split = 9,
}

/// A stream of random numbers with an address.
#[derive(Clone, Debug)]
pub struct Draw {
    state: u64,
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Draw {
    /// The stream of one address.
    ///
    /// `item` is what the draw belongs to: the index of an image, of a parameter, of a generated sample.
    pub fn new(seed: u64, epoch: u64, item: u64, purpose: Purpose) -> Self {
        let mut state = mix(seed.wrapping_add(GOLDEN));
        for part in [epoch, item, purpose as u64] {
            state = mix(state.wrapping_add(GOLDEN) ^ mix(part.wrapping_add(GOLDEN)));
        }
        Self { state }
    }

    /// The stream of something that has a name instead of a number, such as a parameter.
    pub fn named(seed: u64, name: &str, purpose: Purpose) -> Self {
        // FNV-1a: stable across releases and platforms, unlike the standard library's hasher.
        let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        Self::new(seed, 0, hash, purpose)
    }

    /// 64 uniformly distributed bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A uniform number in [0, 1), with 24 random bits: every value is exact in `f32`.
    pub fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 * (1.0 / (1u64 << 24) as f32)
    }

    /// A uniform number in [0, 1), with 53 random bits.
    pub fn uniform_f64(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A uniform number in [`low`, `high`).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform_f64()
    }

    /// A uniform whole number in 0..`n`, without modulo bias; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        // Lemire's method: the high half of a 128-bit product, rejecting the few low halves that would favour
        // some results.
        if n == 0 {
            return 0;
        }
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.bits()) * u128::from(n);
            if (product as u64) >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// `true` with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform_f64() < probability
    }

    /// A number from the standard normal distribution (Box-Muller, one of the pair).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform_f64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform_f64()).cos()
    }

    /// Shuffles a slice in place (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_pinned() {
        let mut draw = Draw::new(1, 2, 3, Purpose::Crop);
        let got: Vec<u64> = (0..3).map(|_| draw.bits()).collect();
        assert_eq!(
            got,
            [2696913473573182221, 918501480212504625, 3110676769714403657]
        );
    }

    #[test]
    fn every_part_of_the_address_matters() {
        let first = |s, e, i, p| Draw::new(s, e, i, p).bits();
        let base = first(0, 0, 0, Purpose::Shuffle);
        assert_ne!(base, first(1, 0, 0, Purpose::Shuffle));
        assert_ne!(base, first(0, 1, 0, Purpose::Shuffle));
        assert_ne!(base, first(0, 0, 1, Purpose::Shuffle));
        assert_ne!(base, first(0, 0, 0, Purpose::Flip));
    }

    #[test]
    fn uniform_has_the_right_moments() {
        let mut draw = Draw::new(5, 0, 0, Purpose::Init);
        let n = 100_000;
        let values: Vec<f64> = (0..n).map(|_| f64::from(draw.uniform())).collect();
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
        assert!((variance - 1.0 / 12.0).abs() < 0.002, "{variance}");
    }

    #[test]
    fn normal_has_the_right_moments() {
        let mut draw = Draw::new(5, 0, 0, Purpose::Init);
        let n = 100_000;
        let values: Vec<f64> = (0..n).map(|_| draw.normal()).collect();
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.015, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let mut draw = Draw::new(5, 0, 0, Purpose::Init);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[draw.below(7) as usize] += 1;
        }
        assert!(
            counts.iter().all(|c| (9_500..10_500).contains(c)),
            "{counts:?}"
        );
        assert_eq!(draw.below(0), 0);
    }

    #[test]
    fn shuffle_is_a_permutation() {
        let mut items: Vec<u32> = (0..1000).collect();
        Draw::new(1, 0, 0, Purpose::Shuffle).shuffle(&mut items);
        assert_ne!(items, (0..1000).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..1000).collect::<Vec<_>>());
    }
}
