//! An encoder for images of another number of channels.

use burn::tensor::{Tensor, TensorData};
use semaim::config::Normalization;
use semaim::parameters::{Weight, to_host};

use crate::encoder::Encoder;
use crate::error::EncoderError;

impl Encoder {
    /// The same encoder for images of so many channels, its patch embedding adapted as timm adapts those of three
    /// (`adapt_input_conv`): for one channel its kernels are added up over the channels, so that a gray image gives what it
    /// gave as a color one; for others they are repeated in turn and scaled down, so that the sum stays the same. Images
    /// are normalized as is usual for so many channels.
    ///
    /// # Errors
    /// [`EncoderError::Weights`] when the backend fails, [`EncoderError::Resize`] for no channels.
    pub fn with_channels(mut self, channels: usize) -> Result<Self, EncoderError> {
        if channels == self.config.channels {
            return Ok(self);
        }
        self.config.channels = channels;
        self.config.validate()?;
        let weight = self.vit.patch_embed.proj.weight;
        let adapted = adapted(&to_host("patch_embed.proj.weight", weight.val())?, channels);
        self.vit.patch_embed.proj.weight = weight.map(|old| {
            let data = TensorData::new(adapted.values, adapted.shape);
            Tensor::from_data(data, &old.device())
        });
        self.normalization = Normalization::usual(channels);
        Ok(self)
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
}
