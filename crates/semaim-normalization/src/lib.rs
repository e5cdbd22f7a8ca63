//! How images are shown to a network: what images, networks and checkpoints all have to agree on.

use serde::{Deserialize, Serialize};

/// Mean of the ImageNet training images per RGB channel, of values in [0, 1].
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];

/// Standard deviation of the ImageNet training images per RGB channel, of values in [0, 1].
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// An evaluation view is 224 of the 256 pixels to which the short side of an image is resized, or as much at other sizes.
const VIEW_OF_SIDE: [usize; 2] = [224, 256];

/// The height and width that an image, resized with its shape kept, just covers before the middle of the size `view` (height,
/// width) is cut out of it for evaluation. Of a square view that is its short side.
pub fn covered(view: [usize; 2]) -> [usize; 2] {
    view.map(|side| (side * VIEW_OF_SIDE[1] / VIEW_OF_SIDE[0]).max(side))
}

/// Mean of CLIP's training images per RGB channel, of values in [0, 1].
pub const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];

/// Standard deviation of CLIP's training images per RGB channel, of values in [0, 1].
pub const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// Mean and standard deviation per channel: a network sees `(x - mean) / std` of values `x` in [0, 1].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// Mean of each channel, within [0, 1].
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, as many as `mean`, above zero.
    pub std: Vec<f32>,
}

impl Normalization {
    /// What runs do unless told otherwise.
    ///
    /// RGB is normalized with [`IMAGENET_MEAN`] and [`IMAGENET_STD`], luma with their weighted averages, alpha and any
    /// other channels with mean 0.5 and standard deviation 0.25.
    pub fn usual(channels: usize) -> Self {
        match channels {
            1 => Self::filled(&[0.459], &[0.225], [0.5, 0.25], 1),
            3 | 4 => Self::filled(&IMAGENET_MEAN, &IMAGENET_STD, [0.5, 0.25], channels),
            _ => Self::filled(&[], &[], [0.5, 0.25], channels),
        }
    }

    /// `channels` channels: first those of which `mean` and `std` tell, as many, the rest with the mean and the standard
    /// deviation of `others`.
    pub fn filled(mean: &[f32], std: &[f32], others: [f32; 2], channels: usize) -> Self {
        let [mean, std] = [(mean, others[0]), (std, others[1])].map(|(known, other)| {
            let rest = std::iter::repeat(other);
            known.iter().copied().chain(rest).take(channels).collect()
        });
        Self { mean, std }
    }

    /// The same for images of `channels`, at least one, in the place of these: for one channel the means over all, for others
    /// those of the channels in turn, as the kernels of a network are repeated.
    pub fn for_channels(&self, channels: usize) -> Self {
        let figures = |list: &[f32]| -> Vec<f32> {
            if channels == 1 {
                // In double precision the mean of equal figures is that figure.
                let sum: f64 = list.iter().copied().map(f64::from).sum();
                return vec![(sum / list.len().max(1) as f64) as f32];
            }
            list.iter().copied().cycle().take(channels).collect()
        };
        Self {
            mean: figures(&self.mean),
            std: figures(&self.std),
        }
    }

    /// Whether these are figures that many networks have in common, all of them for values in [0, 1]: those of
    /// [`Normalization::usual`], CLIP's, or a half, also [for other channels](Self::for_channels). Other figures were measured, on
    /// images of whatever values.
    pub fn is_a_convention(&self) -> bool {
        let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-3;
        let is = |other: &Self| {
            self.mean.len() == other.mean.len()
                && self.std.len() == other.std.len()
                && self.mean.iter().zip(&other.mean).all(near)
                && self.std.iter().zip(&other.std).all(near)
        };
        let channels = self.channels();
        let adapted = |mean: [f32; 3], std: [f32; 3]| {
            let (mean, std) = (mean.to_vec(), std.to_vec());
            Self { mean, std }.for_channels(channels)
        };
        is(&Self::usual(channels))
            || is(&adapted(IMAGENET_MEAN, IMAGENET_STD))
            || is(&adapted(CLIP_MEAN, CLIP_STD))
            || is(&Self::filled(&CLIP_MEAN, &CLIP_STD, [0.5, 0.25], channels))
            || is(&Self::filled(&[], &[], [0.5, 0.5], channels))
    }

    /// Channels that are normalized.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_pixels_are_covered() {
        assert_eq!(covered([224, 224]), [256, 256]);
        assert_eq!(covered([96, 112]), [109, 128]);
        assert_eq!(covered([1, 2]), [1, 2]);
    }

    #[test]
    fn conventions_are_known() {
        let of = |mean: &[f32], std: &[f32]| Normalization {
            mean: mean.to_vec(),
            std: std.to_vec(),
        };
        for channels in [1, 2, 3, 4, 7] {
            assert!(Normalization::usual(channels).is_a_convention());
        }
        assert!(of(&CLIP_MEAN, &CLIP_STD).is_a_convention());
        assert!(of(&[0.5; 3], &[0.5; 3]).is_a_convention());
        assert!(!of(&[0.1, 0.2, 0.3], &IMAGENET_STD).is_a_convention());
        assert!(!of(&[120.0], &[60.0]).is_a_convention());
        assert!(!of(&[0.5; 3], &[0.5]).is_a_convention());
    }

    #[test]
    fn figures_of_other_channels_are_means_or_the_same_in_turn() {
        let colors = Normalization {
            mean: vec![0.25, 0.5, 0.75],
            std: vec![0.125, 0.25, 0.75],
        };
        let of = |channels| {
            let Normalization { mean, std } = colors.for_channels(channels);
            (mean, std)
        };
        assert_eq!(of(1), (vec![0.5], vec![0.375]));
        assert_eq!(of(2), (vec![0.25, 0.5], vec![0.125, 0.25]));
        assert_eq!(colors.for_channels(3), colors);
        assert_eq!(
            of(4),
            (vec![0.25, 0.5, 0.75, 0.25], vec![0.125, 0.25, 0.75, 0.125])
        );
        let gray = Normalization {
            mean: vec![0.3],
            std: vec![0.1],
        };
        assert_eq!(gray.for_channels(1), gray);
        assert_eq!(gray.for_channels(3).mean, [0.3; 3]);
        // What is for values in [0, 1] stays so.
        for (mean, std) in [(IMAGENET_MEAN, IMAGENET_STD), (CLIP_MEAN, CLIP_STD)] {
            for channels in [1, 2, 4, 6] {
                let known = Normalization::filled(&mean, &std, [0.5; 2], 3);
                assert!(known.for_channels(channels).is_a_convention());
            }
        }
        let measured = Normalization::filled(&[120.0, 110.0], &[60.0, 50.0], [0.5; 2], 2);
        assert!(!measured.for_channels(1).is_a_convention());
    }

    #[test]
    fn what_is_usual_depends_on_the_channels() {
        let usual = |channels| {
            let Normalization { mean, std } = Normalization::usual(channels);
            (mean, std)
        };
        assert_eq!(usual(0), (vec![], vec![]));
        assert_eq!(usual(1), (vec![0.459], vec![0.225]));
        assert_eq!(usual(2), (vec![0.5; 2], vec![0.25; 2]));
        assert_eq!(usual(3), (IMAGENET_MEAN.into(), IMAGENET_STD.into()));
        assert_eq!(
            usual(4),
            (
                vec![0.485, 0.456, 0.406, 0.5],
                vec![0.229, 0.224, 0.225, 0.25]
            )
        );
        assert_eq!(usual(5), (vec![0.5; 5], vec![0.25; 5]));
    }
}
