//! RandAugment: a few random operations on the bytes of an image, before it is normalized.

mod color;
mod enhance;
mod geometry;
mod levels;
mod operation;
#[cfg(test)]
mod pillow;
mod raster;

use semaim_random::{Key, KeyedRng, Stream};

use crate::augment_error::AugmentError;
use levels::{MAX_LEVEL, OPERATIONS};
pub use operation::Operation;
use raster::Raster;

/// RandAugment (Cubuk et al., arXiv:1909.13719) as timm does it.
///
/// [`RandAugment::default`] is timm's `rand-m9-mstd0.5-inc1`, the published fine-tuning recipe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandAugment {
    /// How strong the operations are, in [0, 10]; 9 is published.
    pub magnitude: f64,
    /// How many operations are drawn for an image, with repetition; 2 is published.
    pub layers: usize,
    /// Standard deviation of the magnitude of a single operation around `magnitude`, 0 or above; what leaves [0, 10] is
    /// set to the nearer end. 0.5 is published.
    pub magnitude_std: f64,
    /// Whether every operation does more with a larger magnitude, as is published. Otherwise it is timm's older set, in
    /// which posterizing and solarizing do less, and color, contrast, brightness and sharpness go from 0.1 to 1.9.
    pub increasing: bool,
    /// Probability that a drawn operation is applied, in [0, 1]; 0.5 is published.
    pub probability: f64,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self {
            magnitude: 9.0,
            layers: 2,
            magnitude_std: 0.5,
            increasing: true,
            probability: 0.5,
        }
    }
}

/// The color that takes the place of pixels from outside an image: the mean of the data set in bytes, one per channel.
///
/// `mean` holds values in [0, 1] per channel, as that of [`crate::Augment::normalization`] does.
pub fn fill_color(mean: &[f32]) -> Vec<u8> {
    mean.iter()
        .map(|&value| (255.0 * f64::from(value)).round_ties_even() as u8)
        .collect()
}

impl RandAugment {
    /// Checks that every setting is within its range.
    ///
    /// # Errors
    ///
    /// [`AugmentError::Setting`] with the first that is not.
    pub fn check(&self) -> Result<(), AugmentError> {
        let check = AugmentError::check_range;
        check(
            "the magnitude of RandAugment",
            self.magnitude,
            [0.0, MAX_LEVEL],
            "in [0, 10]",
        )?;
        check(
            "the standard deviation of the magnitude",
            self.magnitude_std,
            [0.0, f64::MAX],
            "0 or above, and finite",
        )?;
        check(
            "the probability of an operation",
            self.probability,
            [0.0, 1.0],
            "in [0, 1]",
        )
    }

    /// Draws the operations of one image, in the order in which they are applied.
    ///
    /// The same `key` always gives the same operations; there are at most [`RandAugment::layers`],
    /// because those that their probability leaves out are not listed.
    pub fn plan(&self, key: Key) -> Vec<Operation> {
        let mut rng = KeyedRng::new(key, Stream::RandAugment);
        (0..self.layers)
            .filter_map(|_| {
                // Everything is drawn for every layer, so what a layer does not need changes nothing for the next.
                let place = rng.below(OPERATIONS as u64) as usize;
                let applied = rng.bernoulli(self.probability);
                let level = self.magnitude + self.magnitude_std * rng.normal();
                let negated = rng.bernoulli(0.5);
                let level = level.clamp(0.0, MAX_LEVEL);
                applied.then(|| Operation::at(level, negated, self.increasing)[place])
            })
            .collect()
    }

    /// Augments an image in place.
    ///
    /// `samples` are the interleaved bytes, `[height, width, channels]`, of as many channels as `fill` has values;
    /// `fill` is [`fill_color`]'s. `buffer` is room that is used again, of any length. The same `key` always gives the same image.
    ///
    /// # Errors
    ///
    /// Those of [`RandAugment::check`], or [`AugmentError::Length`] when `samples` has another length than its sizes
    /// promise.
    pub fn apply(
        &self,
        samples: &mut [u8],
        size: [usize; 2],
        fill: &[u8],
        buffer: &mut Vec<u8>,
        key: Key,
    ) -> Result<(), AugmentError> {
        self.check()?;
        let mut raster = Raster::new(samples, size, fill.len())?;
        for operation in self.plan(key) {
            operation.run(&mut raster, fill, buffer);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
