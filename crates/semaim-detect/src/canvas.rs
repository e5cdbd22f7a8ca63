//! Images of different sizes in one batch.

use burn::tensor::{Device, Tensor, TensorData};
use semaim::config::Normalization;

use crate::error::DetectError;

/// An image of at most the canvas' size.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// Channel by channel, row by row: `channels · height · width`.
    pub pixels: &'a [u8],
    /// `[height, width]`.
    pub size: [usize; 2],
}

/// The images, normalized, at the top left of squares of side `canvas` that are zero elsewhere:
/// `[batch, channels, canvas, canvas]`.
///
/// # Errors
/// [`DetectError::Image`] if an image is larger than the canvas, has no pixels or not as many as its size says.
pub fn on_canvas(
    images: &[Image<'_>],
    normalization: &Normalization,
    canvas: usize,
    device: &Device,
) -> Result<Tensor<4>, DetectError> {
    let channels = normalization.mean.len();
    let plane = canvas * canvas;
    let mut values = vec![0.0_f32; images.len() * channels * plane];
    for (number, (image, values)) in images
        .iter()
        .zip(values.chunks_mut((channels * plane).max(1)))
        .enumerate()
    {
        let [height, width] = image.size;
        let refuse = |message: String| Err(DetectError::Image { number, message });
        if height == 0 || width == 0 || height > canvas || width > canvas {
            return refuse(format!("{height} × {width} on a canvas of {canvas}"));
        }
        if image.pixels.len() != channels * height * width {
            let found = image.pixels.len();
            return refuse(format!(
                "{found} values for {channels} × {height} × {width}"
            ));
        }
        for (channel, pixels) in image.pixels.chunks(height * width).enumerate() {
            let (mean, std) = (normalization.mean[channel], normalization.std[channel]);
            for (y, row) in pixels.chunks(width).enumerate() {
                let out = &mut values[channel * plane + y * canvas..][..width];
                for (out, &pixel) in out.iter_mut().zip(row) {
                    *out = (f32::from(pixel) / 255.0 - mean) / std;
                }
            }
        }
    }
    let shape = [images.len(), channels, canvas, canvas];
    Ok(Tensor::from_data(TensorData::new(values, shape), device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_top_left_normalized_zeros_elsewhere() {
        let normalization = Normalization {
            mean: vec![0.0, 0.5],
            std: vec![1.0, 0.5],
        };
        let pixels = [255, 0, 0, 255, 255, 255, 0, 0];
        let image = Image {
            pixels: &pixels[..4],
            size: [1, 2],
        };
        let device = Device::flex();
        let found = on_canvas(&[image], &normalization, 3, &device).unwrap();
        let found: Vec<f32> = found.into_data().try_to_vec().unwrap();
        let mut expected = [0.0; 18];
        expected[0] = 1.0;
        (expected[9], expected[10]) = (-1.0, 1.0);
        assert_eq!(found, expected);
        for size in [[1, 4], [4, 1], [1, 0], [2, 2]] {
            let image = Image {
                pixels: &pixels[..4],
                size,
            };
            assert!(on_canvas(&[image], &normalization, 3, &device).is_err());
        }
    }
}
