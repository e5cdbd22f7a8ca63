//! Mixup and CutMix: images of a batch mixed with each other, and the soft targets that say so.

use std::ops::Range;

use semaim_random::{Key, KeyedRng, Stream};

use crate::augment_error::AugmentError;

/// How the images of batches are mixed, as timm's `Mixup` does it in mode `batch`.
///
/// Mixup is Zhang et al., arXiv:1710.09412, CutMix Yun et al., arXiv:1905.04899. [`MixupCutmix::default`] has the values of
/// the published fine-tuning recipe, [`MixupCutmix::smoothing`] only smooths the targets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixupCutmix {
    /// The lambda of mixup comes from Beta(alpha, alpha); 0 switches mixup off. 0.8 is published.
    pub mixup_alpha: f64,
    /// The lambda of CutMix comes from Beta(alpha, alpha); 0 switches CutMix off. 1.0 is published.
    pub cutmix_alpha: f64,
    /// Probability of CutMix instead of mixup when both are on, in [0, 1]; 0.5 is published.
    pub switch_probability: f64,
    /// Probability that a batch is mixed at all, in [0, 1]; 1.0 is published.
    pub probability: f64,
    /// The part of a target that is spread evenly over all classes, in [0, 1]; 0.1 is published.
    pub label_smoothing: f64,
}

impl Default for MixupCutmix {
    fn default() -> Self {
        Self {
            mixup_alpha: 0.8,
            cutmix_alpha: 1.0,
            switch_probability: 0.5,
            probability: 1.0,
            label_smoothing: 0.1,
        }
    }
}

/// What is done with the images of one batch. Image `i` of `n` is mixed with image `n - 1 - i`.
#[derive(Clone, Debug, PartialEq)]
pub enum MixOp {
    /// Nothing.
    Plain,
    /// Every image becomes `lambda` times itself plus `1 - lambda` times its partner.
    Mixup {
        /// The part of an image that stays, in [0, 1].
        lambda: f64,
    },
    /// A box of every image is replaced by that of its partner.
    Cutmix {
        /// The rows of the box; may be empty.
        rows: Range<usize>,
        /// The columns of the box; may be empty.
        columns: Range<usize>,
        /// The part of an image that lies outside the box, in [0, 1].
        lambda: f64,
    },
}

impl MixupCutmix {
    /// Batches stay as they are, targets are smoothed by `label_smoothing`.
    pub fn smoothing(label_smoothing: f64) -> Self {
        Self {
            probability: 0.0,
            label_smoothing,
            ..Self::default()
        }
    }

    /// Checks that every setting is within its range.
    ///
    /// # Errors
    ///
    /// [`AugmentError::Setting`] with the first that is not.
    pub fn check(&self) -> Result<(), AugmentError> {
        let check = AugmentError::check_range;
        for (setting, alpha) in [
            ("the alpha of mixup", self.mixup_alpha),
            ("the alpha of CutMix", self.cutmix_alpha),
        ] {
            check(setting, alpha, [0.0, f64::MAX], "0 or above")?;
        }
        for (setting, probability) in [
            ("the probability of CutMix", self.switch_probability),
            ("the probability of mixing", self.probability),
            ("the label smoothing", self.label_smoothing),
        ] {
            check(setting, probability, [0.0, 1.0], "in [0, 1]")?;
        }
        Ok(())
    }

    /// Draws what is done with a batch of images of `[height, width]` pixels.
    ///
    /// The same `key` always gives the same answer; its item is the number of the batch within the epoch. Settings that [`MixupCutmix::check`] refuses give an answer too, though not a meaningful one.
    pub fn draw(&self, [height, width]: [usize; 2], key: Key) -> MixOp {
        let mut rng = KeyedRng::new(key, Stream::MixupCutmix);
        if !rng.bernoulli(self.probability) {
            return MixOp::Plain;
        }
        let cutmix = match (self.mixup_alpha > 0.0, self.cutmix_alpha > 0.0) {
            (true, true) => rng.bernoulli(self.switch_probability),
            (true, false) => false,
            (false, true) => true,
            (false, false) => return MixOp::Plain,
        };
        if !cutmix {
            let lambda = rng.beta(self.mixup_alpha, self.mixup_alpha);
            return MixOp::Mixup { lambda };
        }
        let lambda = rng.beta(self.cutmix_alpha, self.cutmix_alpha);
        let rows = cut(height, lambda, &mut rng);
        let columns = cut(width, lambda, &mut rng);
        // The box is cut off at the borders, so lambda is what really stays.
        let area = (rows.len() * columns.len()) as f64 / (height * width).max(1) as f64;
        MixOp::Cutmix {
            rows,
            columns,
            lambda: 1.0 - area,
        }
    }

    /// Mixes a batch in place and writes its targets.
    ///
    /// `images` are `[batch, channels, height, width]`, which is `shape`; `labels` has one class number per image, below
    /// `classes`; `targets`, `[batch, classes]`, is overwritten. Any batch size will do: the middle image of an odd one
    /// is its own partner. Returns what was done, as [`MixupCutmix::draw`] gives it for `key`.
    ///
    /// # Errors
    ///
    /// Those of [`MixupCutmix::check`], [`MixOp::images`] and [`MixOp::targets`]; nothing is changed then.
    pub fn apply(
        &self,
        images: &mut [f32],
        shape: [usize; 4],
        labels: &[u32],
        classes: usize,
        targets: &mut [f32],
        key: Key,
    ) -> Result<MixOp, AugmentError> {
        self.check()?;
        AugmentError::check_length("images", images.len(), &shape)?;
        AugmentError::check_length("labels", labels.len(), &shape[..1])?;
        let op = self.draw([shape[2], shape[3]], key);
        op.targets(labels, classes, self.label_smoothing, targets)?;
        op.images(images, shape)?;
        Ok(op)
    }
}

/// The rows or columns of a CutMix box along a side of `size` pixels: half of `sqrt(1 - lambda)` of the side, rounded down,
/// on both sides of a uniformly drawn place, as far as it lies inside. An odd length loses a pixel, as in timm.
fn cut(size: usize, lambda: f64, rng: &mut KeyedRng) -> Range<usize> {
    let half = (size as f64 * (1.0 - lambda).sqrt()) as usize / 2;
    let center = rng.below(size as u64) as usize;
    center.saturating_sub(half)..(center + half).min(size)
}

impl MixOp {
    /// The part of an image that stays, in [0, 1]; the rest comes from its partner.
    pub fn lambda(&self) -> f64 {
        match self {
            Self::Plain => 1.0,
            Self::Mixup { lambda } | Self::Cutmix { lambda, .. } => *lambda,
        }
    }

    /// Mixes `images`, `[batch, channels, height, width]`, in place.
    ///
    /// # Errors
    ///
    /// [`AugmentError::Length`] when `images` has another length than the product of `shape`. A box that leaves the
    /// images, which [`MixupCutmix::draw`] never gives for their size, is cut off.
    pub fn images(&self, images: &mut [f32], shape: [usize; 4]) -> Result<(), AugmentError> {
        AugmentError::check_length("images", images.len(), &shape)?;
        let [batch, channels, height, width] = shape;
        if images.is_empty() {
            return Ok(());
        }
        let image = channels * height * width;
        // The first half of the batch and, from the end, its partners; the middle image would only meet itself.
        let half = batch / 2 * image;
        let (first, rest) = images.split_at_mut(half);
        let partners = rest.rchunks_exact_mut(image);
        for (one, other) in first.chunks_exact_mut(image).zip(partners) {
            match self {
                Self::Plain => {}
                Self::Mixup { lambda } => {
                    let (own_weight, partner_weight) = (*lambda as f32, (1.0 - lambda) as f32);
                    for (a, b) in one.iter_mut().zip(other) {
                        (*a, *b) = (
                            *a * own_weight + *b * partner_weight,
                            *b * own_weight + *a * partner_weight,
                        );
                    }
                }
                Self::Cutmix { rows, columns, .. } => {
                    let columns = columns.start.min(width)..columns.end.min(width);
                    let pairs = one
                        .chunks_exact_mut(width)
                        .zip(other.chunks_exact_mut(width));
                    for (at, (a, b)) in pairs.enumerate() {
                        if rows.contains(&(at % height)) && !columns.is_empty() {
                            a[columns.clone()].swap_with_slice(&mut b[columns.clone()]);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the targets of a batch, `[labels.len(), classes]`, to `targets`.
    ///
    /// The smoothed target of a class is `smoothing / classes` everywhere and `1 - smoothing` more at the class; the
    /// target of an image is `lambda` times its own plus `1 - lambda` times that of its partner. Rows sum to 1.
    ///
    /// # Errors
    ///
    /// [`AugmentError::Label`] when a label is not below `classes`, [`AugmentError::Length`] when `targets` has another
    /// length; nothing is written then.
    pub fn targets(
        &self,
        labels: &[u32],
        classes: usize,
        smoothing: f64,
        targets: &mut [f32],
    ) -> Result<(), AugmentError> {
        AugmentError::check_length("targets", targets.len(), &[labels.len(), classes])?;
        if let Some(index) = labels.iter().position(|&label| label as usize >= classes) {
            return Err(AugmentError::Label {
                index,
                label: labels[index],
                classes,
            });
        }
        if classes == 0 {
            return Ok(());
        }
        let off = smoothing / classes as f64;
        let (on, off) = ((1.0 - smoothing + off) as f32, off as f32);
        let (own_weight, partner_weight) = (self.lambda() as f32, (1.0 - self.lambda()) as f32);
        let rows = targets.chunks_exact_mut(classes);
        for (row, (&own, &other)) in rows.zip(labels.iter().zip(labels.iter().rev())) {
            row.fill(off * own_weight + off * partner_weight);
            if own == other {
                row[own as usize] = on * own_weight + on * partner_weight;
            } else {
                row[own as usize] = on * own_weight + off * partner_weight;
                row[other as usize] = off * own_weight + on * partner_weight;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
