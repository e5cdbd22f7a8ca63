//! Random numbers keyed by *what they are for*, never by when they are drawn.
//!
//! A training run draws numbers for crops, flips, order noise, drop path and initial weights. If they came
//! from one running generator, a resumed run, another number of workers or another number of processes would
//! see other numbers. Here every number comes from a [`KeyedRng`] made of a [`Key`] (seed, epoch, item) and a [`Stream`]:
//! the same key and stream give the same numbers, whoever asks and whenever.
//!
//! ```
//! use semaim_random::{Key, KeyedRng, Stream};
//!
//! let key = Key::new(7, 3, 1042);
//! let mut crop = KeyedRng::new(key, Stream::Crop);
//! let mut again = KeyedRng::new(key, Stream::Crop);
//! assert_eq!(crop.uniform(), again.uniform());
//! assert_ne!(crop.uniform(), KeyedRng::new(key, Stream::Flip).uniform());
//! ```
//!
//! The generator is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) in counter mode, its start hashed from the
//! key and the stream. It is statistically sound for augmentation and initialization, and it is not for cryptography. Its
//! numbers are part of the run format: changing them changes every result, so the tests pin them.

/// What random numbers are for. Two streams of one key never share numbers.
///
/// The discriminants are part of the run format; new streams get new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Stream {
    /// The permutation of the images of an epoch.
    Shuffle = 1,
    /// The box of a random crop, and how large it is shown.
    Crop = 2,
    /// Whether an image is mirrored.
    Flip = 3,
    /// The uniform noise that breaks ties in an order, one number per patch.
    OrderNoise = 4,
    /// The random center of the `stochastic-center` order.
    OrderCenter = 5,
    /// Which residual branches are dropped for a sample.
    DropPath = 6,
    /// Initial weights.
    Init = 7,
    /// Everything in one generated image of the `shapes` set.
    Shapes = 8,
    /// Dividing a labeled set into a train and a test split.
    Split = 9,
    /// The operations of RandAugment for one image.
    RandAugment = 10,
    /// The boxes that random erasing overwrites, and the noise in them.
    Erase = 11,
    /// How Mixup and CutMix mix the images of a batch; the item is the number of the batch.
    MixupCutmix = 12,
    /// The validation split that a probe chooses its settings with.
    ValidationSplit = 13,
    /// Which anchors of an image enter a detector's losses.
    AnchorSample = 14,
    /// Which regions of an image enter a detector's losses.
    RegionSample = 15,
    /// Brightness, contrast, saturation and hue of an image.
    PhotometricDistortion = 16,
    /// Which comes first of the patches that a given similarity map has as equals.
    OrderTies = 17,
    /// Which images of a class keep their labels where a probe learns from a share of them.
    LabelShare = 18,
    /// Which patches of an image are predicted in an epoch, where not all of them are.
    PredictedPlaces = 19,
}

/// What random numbers belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Key {
    /// The seed of the run.
    pub seed: u64,
    /// The epoch, from 0; 0 for what is drawn once.
    pub epoch: u64,
    /// The number of an image, of a batch, of a generated sample; 0 where there is but one.
    pub item: u64,
}

impl Key {
    /// The key of `item` in `epoch` of a run with `seed`.
    pub fn new(seed: u64, epoch: u64, item: u64) -> Self {
        Self { seed, epoch, item }
    }
}

/// A random number generator whose numbers depend on its key and stream alone.
#[derive(Clone, Debug)]
pub struct KeyedRng {
    state: u64,
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl KeyedRng {
    /// The generator of one stream of a key.
    pub fn new(key: Key, stream: Stream) -> Self {
        let mut state = mix(key.seed.wrapping_add(GOLDEN));
        for part in [key.epoch, key.item, stream as u64] {
            state = mix(state.wrapping_add(GOLDEN) ^ mix(part.wrapping_add(GOLDEN)));
        }
        Self { state }
    }

    /// The generator of something that has a name instead of a number, such as a parameter.
    pub fn named(seed: u64, name: &str, stream: Stream) -> Self {
        // FNV-1a: stable across releases and platforms, unlike the standard library's hasher.
        let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        Self::new(Key::new(seed, 0, hash), stream)
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
        // Lemire's method: the high half of a 128-bit product, rejecting the few low halves that would favor
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
    pub fn bernoulli(&mut self, probability: f64) -> bool {
        self.uniform_f64() < probability
    }

    /// A number from the standard normal distribution (Box-Muller, one of the pair).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform_f64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform_f64()).cos()
    }

    /// The natural logarithm of a number from the gamma distribution with the given shape, above 0, and scale 1; NaN when
    /// the shape is not positive and finite.
    ///
    /// The logarithm, because small shapes give numbers that `f64` cannot hold. The method is Marsaglia and Tsang's (ACM
    /// Transactions on Mathematical Software 26, 2000): a transformed normal number, rejected now and then.
    pub fn log_gamma_variate(&mut self, shape: f64) -> f64 {
        // Also keeps a NaN out of the loop below, which would never accept anything.
        if !(shape > 0.0 && shape.is_finite()) {
            return f64::NAN;
        }
        // The method needs a shape of at least 1: a number of shape + 1 times U^(1/shape) has the wanted one.
        let (shape, boost) = if shape < 1.0 {
            (shape + 1.0, (1.0 - self.uniform_f64()).ln() / shape)
        } else {
            (shape, 0.0)
        };
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let root = 1.0 + c * x;
            if root <= 0.0 {
                continue;
            }
            let log_v = 3.0 * root.ln();
            let limit = 0.5 * x * x + d - d * log_v.exp() + d * log_v;
            if (1.0 - self.uniform_f64()).ln() < limit {
                return d.ln() + log_v + boost;
            }
        }
    }

    /// A number in [0, 1] from the Beta(`alpha`, `beta`) distribution, both above 0; NaN when one of them is not positive
    /// and finite.
    pub fn beta(&mut self, alpha: f64, beta: f64) -> f64 {
        let x = self.log_gamma_variate(alpha);
        let y = self.log_gamma_variate(beta);
        // X / (X + Y), from the logarithms: the quotient exists even where X and Y are too small for `f64`.
        1.0 / (1.0 + (y - x).exp())
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
        let mut rng = KeyedRng::new(Key::new(1, 2, 3), Stream::Crop);
        let got: Vec<u64> = (0..3).map(|_| rng.bits()).collect();
        assert_eq!(
            got,
            [2696913473573182221, 918501480212504625, 3110676769714403657]
        );
    }

    #[test]
    fn every_part_of_the_key_matters() {
        let first = |s, e, i, p| KeyedRng::new(Key::new(s, e, i), p).bits();
        let base = first(0, 0, 0, Stream::Shuffle);
        assert_ne!(base, first(1, 0, 0, Stream::Shuffle));
        assert_ne!(base, first(0, 1, 0, Stream::Shuffle));
        assert_ne!(base, first(0, 0, 1, Stream::Shuffle));
        assert_ne!(base, first(0, 0, 0, Stream::Flip));
    }

    #[test]
    fn uniform_has_the_right_moments() {
        let mut rng = KeyedRng::new(Key::new(5, 0, 0), Stream::Init);
        let n = 100_000;
        let values: Vec<f64> = (0..n).map(|_| f64::from(rng.uniform())).collect();
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
        assert!((variance - 1.0 / 12.0).abs() < 0.002, "{variance}");
    }

    #[test]
    fn normal_has_the_right_moments() {
        let mut rng = KeyedRng::new(Key::new(5, 0, 0), Stream::Init);
        let n = 100_000;
        let values: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.015, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn gamma_has_the_right_moments() {
        // The mean and the variance are the shape; of the logarithm, the mean is the digamma function.
        for (shape, digamma) in [
            (0.1, -10.423754940411076),
            (0.8, -0.9650085667061382),
            (1.0, -0.5772156649015329),
            (4.5, 1.388870926359529),
        ] {
            let mut rng = KeyedRng::new(Key::new(5, 0, 0), Stream::MixupCutmix);
            let n = 200_000;
            let logs: Vec<f64> = (0..n).map(|_| rng.log_gamma_variate(shape)).collect();
            let mean = logs.iter().map(|v| v.exp()).sum::<f64>() / f64::from(n);
            let variance =
                logs.iter().map(|v| (v.exp() - mean).powi(2)).sum::<f64>() / f64::from(n);
            let log_mean = logs.iter().sum::<f64>() / f64::from(n);
            assert!(
                (mean - shape).abs() < 0.01 * shape.sqrt(),
                "{shape}: {mean}"
            );
            assert!((variance / shape - 1.0).abs() < 0.05, "{shape}: {variance}");
            assert!(
                (log_mean - digamma).abs() < 0.01 / shape,
                "{shape}: {log_mean}"
            );
        }
    }

    #[test]
    fn beta_has_the_right_moments() {
        for (a, b) in [(0.8, 0.8), (1.0, 1.0), (0.2, 0.2), (2.0, 5.0), (0.5, 3.0)] {
            let mut rng = KeyedRng::new(Key::new(6, 0, 0), Stream::MixupCutmix);
            let n = 200_000;
            let values: Vec<f64> = (0..n).map(|_| rng.beta(a, b)).collect();
            assert!(values.iter().all(|v| (0.0..=1.0).contains(v)));
            let mean = values.iter().sum::<f64>() / f64::from(n);
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n);
            let fourth = values.iter().map(|v| v.powi(4)).sum::<f64>() / f64::from(n);
            let expected: f64 = (0..4)
                .map(|r| (a + f64::from(r)) / (a + b + f64::from(r)))
                .product();
            assert!((mean - a / (a + b)).abs() < 0.003, "{a} {b}: {mean}");
            let wanted = a * b / ((a + b).powi(2) * (a + b + 1.0));
            assert!((variance - wanted).abs() < 0.002, "{a} {b}: {variance}");
            assert!((fourth - expected).abs() < 0.003, "{a} {b}: {fourth}");
        }
    }

    #[test]
    fn beta_of_extreme_shapes_is_a_number() {
        let mut rng = KeyedRng::new(Key::new(6, 0, 0), Stream::MixupCutmix);
        let small: Vec<f64> = (0..1000).map(|_| rng.beta(1e-5, 1e-5)).collect();
        let ones = small.iter().filter(|&&v| v > 0.5).count();
        assert!(small.iter().all(|v| (0.0..=1.0).contains(v)));
        assert!((430..570).contains(&ones), "{ones}");
        assert!((rng.beta(1e9, 1e9) - 0.5).abs() < 1e-3);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(rng.beta(bad, 1.0).is_nan() && rng.beta(1.0, bad).is_nan());
        }
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let mut rng = KeyedRng::new(Key::new(5, 0, 0), Stream::Init);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[rng.below(7) as usize] += 1;
        }
        assert!(
            counts.iter().all(|c| (9_500..10_500).contains(c)),
            "{counts:?}"
        );
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn shuffle_is_a_permutation() {
        let mut items: Vec<u32> = (0..1000).collect();
        KeyedRng::new(Key::new(1, 0, 0), Stream::Shuffle).shuffle(&mut items);
        assert_ne!(items, (0..1000).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..1000).collect::<Vec<_>>());
    }
}
