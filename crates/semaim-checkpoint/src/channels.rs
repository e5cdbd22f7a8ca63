//! An encoder for images of another number of channels.

use semaim::config::Normalization;
use semaim::parameters::{Weight, from_host, to_host};
use semaim::vit::PatchProjection;

use crate::encoder::Encoder;
use crate::error::EncoderError;

impl Encoder {
    /// The same encoder for images of so many channels, its patch embedding adapted as timm adapts those of three
    /// (`adapt_input_conv`): for one channel its kernels are added up over the channels, for others they are repeated in turn and
    /// scaled down, so that the sum stays the same.
    ///
    /// Images are normalized [as before](Normalization::for_channels): gray ones by the means over the channels, others by the
    /// figures of the channels in turn. Where channels were normalized differently their kernels and the bias make up for it, so that
    /// a gray image gives exactly what it gave as a color one.
    ///
    /// # Errors
    /// [`EncoderError::Weights`] when the backend fails, [`EncoderError::Resize`] for no channels.
    pub fn with_channels(mut self, channels: usize) -> Result<Self, EncoderError> {
        if channels == self.config.channels {
            return Ok(self);
        }
        self.config.channels = channels;
        self.config.validate()?;
        let normalization = self.normalization.for_channels(channels);
        let proj = &self.vit.patch_embed.proj;
        let mut kernels = to_host("patch_embed.proj.weight", proj.weight.val())?;
        let mut biases = to_host("patch_embed.proj.bias", proj.bias.val())?;
        if channels == 1 {
            renormalize(
                &mut kernels,
                &mut biases,
                &self.normalization,
                &normalization,
            );
        }
        let kernels = adapted(&kernels, channels);
        let PatchProjection { weight, bias } = self.vit.patch_embed.proj;
        self.vit.patch_embed.proj = PatchProjection {
            weight: weight.map(|old| from_host(&kernels, &old.device())),
            bias: bias.map(|old| from_host(&biases, &old.device())),
        };
        self.normalization = normalization;
        Ok(self)
    }
}

/// Changes kernels `[outputs, channels, height, width]` and their biases so that they make of values that are normalized as those
/// of one `gray` channel what they made of the same values normalized channel by channel.
fn renormalize(
    kernels: &mut Weight,
    biases: &mut Weight,
    from: &Normalization,
    gray: &Normalization,
) {
    let &[_, channels, height, width] = kernels.shape.as_slice() else {
        return;
    };
    let (&[mean], &[std]) = (gray.mean.as_slice(), gray.std.as_slice()) else {
        return;
    };
    let area = (height * width).max(1);
    let of_outputs = kernels.values.chunks_mut((channels * area).max(1));
    for (kernel, bias) in of_outputs.zip(&mut biases.values) {
        let mut shift = 0.0;
        let planes = kernel.chunks_mut(area);
        for (plane, (own_mean, own_std)) in planes.zip(from.mean.iter().zip(&from.std)) {
            let sum: f64 = plane.iter().copied().map(f64::from).sum();
            shift += (f64::from(mean) - f64::from(*own_mean)) / f64::from(*own_std) * sum;
            let factor = std / own_std;
            plane.iter_mut().for_each(|value| *value *= factor);
        }
        *bias += shift as f32;
    }
}

/// Kernels `[outputs, from, height, width]` for `to` channels, at least one.
fn adapted(kernels: &Weight, to: usize) -> Weight {
    let &[outputs, from, height, width] = kernels.shape.as_slice() else {
        return kernels.clone();
    };
    let area = height * width;
    let mut values = Vec::with_capacity(outputs * to * area);
    for kernel in kernels.values.chunks((from * area).max(1)) {
        if to == 1 {
            let place = |place: usize| kernel.iter().skip(place).step_by(area).sum::<f32>();
            values.extend((0..area).map(place));
            continue;
        }
        let scale = from as f32 / to as f32;
        for channel in 0..to {
            let plane = &kernel[channel % from * area..][..area];
            values.extend(plane.iter().map(|value| value * scale));
        }
    }
    Weight {
        shape: vec![outputs, to, height, width],
        values,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};
    use semaim::config::{ArchOptions, VitConfig};
    use semaim::init::initialize;
    use semaim::position::Interpolation;
    use semaim::vit::Vit;

    use super::*;

    /// timm 1.0's `adapt_input_conv`, by hand: sums for one channel, repeats times 3/4 for four.
    #[test]
    fn kernels_are_added_up_or_repeated() {
        let kernels = Weight {
            shape: vec![2, 3, 1, 2],
            values: (0..12).map(|i| i as f32).collect(),
        };
        let one = adapted(&kernels, 1);
        assert_eq!(
            (one.shape, one.values),
            (vec![2, 1, 1, 2], vec![6.0, 9.0, 24.0, 27.0])
        );
        let four = adapted(&kernels, 4);
        assert_eq!(four.shape, [2, 4, 1, 2]);
        let expected = [0.0, 0.75, 1.5, 2.25, 3.0, 3.75, 0.0, 0.75];
        assert_eq!(four.values[..8], expected);
        let wide = Weight {
            shape: vec![1, 1, 1, 1],
            values: vec![6.0],
        };
        assert_eq!(adapted(&wide, 3).values, [2.0; 3]);
    }

    fn encoder(normalization: Normalization) -> Encoder {
        let config = VitConfig {
            channels: normalization.channels(),
            ..VitConfig::tiny()
        };
        let vit = Vit::zeros_as(&config, &ArchOptions::default(), &Device::flex());
        Encoder {
            vit: initialize(vit, 3),
            config,
            normalization,
            interpolation: Interpolation::default(),
        }
    }

    /// The tokens of a gray image, which every channel shows.
    fn tokens(encoder: &Encoder) -> Vec<f32> {
        let [height, width] = encoder.config.image_size;
        let Normalization { mean, std } = &encoder.normalization;
        let gray = |i: usize| 0.5 + 0.4 * (i as f32 * 0.3).sin();
        let values = mean
            .iter()
            .zip(std)
            .flat_map(|(mean, std)| (0..height * width).map(move |i| (gray(i) - mean) / std))
            .collect::<Vec<f32>>();
        let shape = [1, mean.len(), height, width];
        let images = Tensor::from_data(TensorData::new(values, shape), &Device::flex());
        to_host("tokens", encoder.vit.all_tokens(images))
            .unwrap()
            .values
    }

    #[test]
    fn gray_images_give_what_they_gave_in_color() {
        for (mean, std) in [
            ([0.5; 3], [0.5; 3]),
            ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ([0.1, 0.6, 0.3], [0.5, 0.2, 1.0]),
        ] {
            let color = encoder(Normalization {
                mean: mean.to_vec(),
                std: std.to_vec(),
            });
            let gray = color.clone().with_channels(1).unwrap();
            assert_eq!(gray.normalization, color.normalization.for_channels(1));
            let (expected, found) = (tokens(&color), tokens(&gray));
            assert_eq!(found.len(), expected.len());
            for (a, b) in expected.iter().zip(&found) {
                assert!((a - b).abs() < 1e-4, "{mean:?}: {a} {b}");
            }
        }
    }

    #[test]
    fn other_channels_are_normalized_as_those_that_are_repeated() {
        let color = encoder(Normalization {
            mean: vec![0.1, 0.6, 0.3],
            std: vec![0.5, 0.2, 1.0],
        });
        let four = color.clone().with_channels(4).unwrap();
        assert_eq!(four.normalization.mean, [0.1, 0.6, 0.3, 0.1]);
        assert_eq!(four.normalization.std, [0.5, 0.2, 1.0, 0.5]);
        // Three channels that show the same are seen as one was.
        let gray = color.with_channels(1).unwrap();
        let again = gray.clone().with_channels(3).unwrap();
        assert_eq!(again.normalization.mean, [gray.normalization.mean[0]; 3]);
        for (a, b) in tokens(&gray).iter().zip(tokens(&again)) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}
