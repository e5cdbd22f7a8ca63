//! Cross-entropy of every pixel, of logits that are coarser than pixels.

use burn::tensor::{Int, Tensor, TensorData, activation};

use crate::bilinear::bilinear;
use crate::fused;
use crate::ops::fused;

/// The class of each pixel.
#[derive(Clone, Copy, Debug)]
pub struct PixelLabels<'a> {
    /// `[batch, rows, columns]`.
    pub classes: &'a [u8],
    /// Rows and columns.
    pub size: [usize; 2],
    /// The label of pixels that do not count.
    pub ignored: u8,
}

impl PixelLabels<'_> {
    /// Pixels that count.
    pub(crate) fn counted(&self) -> usize {
        let counts = |label: &&u8| **label != self.ignored;
        self.classes.iter().filter(counts).count()
    }
}

/// Mean cross-entropy, `[1]`, of `logits [batch, rows · columns, classes]` on a grid `map` of rows and columns, enlarged
/// bilinearly to the labels' size, over the pixels that count; 0 where there is none.
///
/// # Panics
/// If a label is no class, or there are more or fewer labels than pixels.
pub fn pixel_cross_entropy(
    logits: Tensor<3>,
    map: [usize; 2],
    labels: PixelLabels<'_>,
) -> Tensor<1> {
    let [batch, positions, classes] = logits.dims();
    assert_eq!(map[0] * map[1], positions, "positions of a map");
    let pixels = batch * labels.size[0] * labels.size[1];
    assert_eq!(labels.classes.len(), pixels, "labels of pixels");
    let right = |label: &u8| usize::from(*label) < classes || *label == labels.ignored;
    assert!(labels.classes.iter().all(right), "labels of classes");
    fused(|| fused::pixel_loss::pixel_cross_entropy(&logits, map, labels))
        .unwrap_or_else(|| composed(logits, map, labels))
}

pub(crate) fn composed(logits: Tensor<3>, map: [usize; 2], labels: PixelLabels<'_>) -> Tensor<1> {
    let [batch, _, classes] = logits.dims();
    let ([rows, columns], device) = (labels.size, logits.device());
    let axis = |from: usize, to: usize| {
        Tensor::<3>::from_data(TensorData::new(bilinear(from, to), [1, to, from]), &device)
    };
    let logits = axis(map[1], columns).matmul(logits.reshape([batch * map[0], map[1], classes]));
    let logits = axis(map[0], rows).matmul(logits.reshape([batch, map[0], columns * classes]));
    let logits = logits.reshape([batch, rows * columns, classes]);
    let counted = labels.counted();
    // The weight of a pixel that does not count is 0, so that any class will do.
    let (targets, weights): (Vec<i64>, Vec<f32>) = labels
        .classes
        .iter()
        .map(|&label| match label {
            label if label == labels.ignored => (0, 0.0),
            class => (i64::from(class), -1.0 / counted as f32),
        })
        .unzip();
    let shape = [batch, rows * columns, 1];
    let targets = Tensor::<3, Int>::from_data(TensorData::new(targets, shape), &device);
    let weights = Tensor::from_data(TensorData::new(weights, shape), &device);
    let chosen = activation::log_softmax(logits, 2).gather(2, targets);
    (chosen * weights).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use semaim_random::{Key, KeyedRng, Stream};

    const IGNORED: u8 = 255;

    /// Loss and gradient of three times the loss.
    fn run(
        fused_form: bool,
        logits: &[f32],
        shape: [usize; 3],
        map: [usize; 2],
        labels: PixelLabels<'_>,
    ) -> (f32, Vec<f32>) {
        let device = Device::flex().autodiff();
        let data = TensorData::new(logits.to_vec(), shape);
        let logits = Tensor::<3>::from_data(data, &device).require_grad();
        let loss = if fused_form {
            fused::pixel_loss::pixel_cross_entropy(&logits, map, labels).unwrap()
        } else {
            composed(logits.clone(), map, labels)
        };
        let gradients = (loss.clone() * 3.0).backward();
        let gradient = logits.grad(&gradients).unwrap();
        let number: Vec<f32> = loss.into_data().try_to_vec().unwrap();
        (number[0], gradient.into_data().try_to_vec().unwrap())
    }

    #[test]
    fn the_fused_form_agrees_with_the_composed_one() {
        for (item, (batch, map, size, classes)) in [
            (2, [4, 5], [16, 20], 3),
            (1, [3, 3], [50, 7], 19),
            (3, [2, 1], [5, 9], 33),
            (1, [6, 5], [4, 5], 2),
        ]
        .into_iter()
        .enumerate()
        {
            let mut rng = KeyedRng::new(Key::new(4, 0, item as u64), Stream::Init);
            let shape = [batch, map[0] * map[1], classes];
            let logits: Vec<f32> = (0..shape.iter().product())
                .map(|_| rng.between(-6.0, 6.0) as f32)
                .collect();
            let labels: Vec<u8> = (0..batch * size[0] * size[1])
                .map(|_| match rng.below(classes as u64 + 1) as usize {
                    class if class < classes => class as u8,
                    _ => IGNORED,
                })
                .collect();
            let labels = PixelLabels {
                classes: &labels,
                size,
                ignored: IGNORED,
            };
            let (found, gradient) = run(true, &logits, shape, map, labels);
            let (expected, expected_gradient) = run(false, &logits, shape, map, labels);
            assert!(
                (found - expected).abs() < 1e-5 * expected,
                "{found} {expected}"
            );
            let most = expected_gradient
                .iter()
                .fold(0.0_f32, |m, v| m.max(v.abs()));
            for (found, expected) in gradient.iter().zip(&expected_gradient) {
                assert!(
                    (found - expected).abs() <= 1e-5 * most,
                    "{found} {expected}"
                );
            }
        }
    }

    #[test]
    fn the_mean_is_over_pixels_that_count() {
        for fused_form in [true, false] {
            let labels = PixelLabels {
                classes: &[1, 0, IGNORED],
                size: [1, 3],
                ignored: IGNORED,
            };
            let logits = [0.0, 0.0, 1.0, 3.0, 5.0, 5.0];
            let (loss, gradient) = run(fused_form, &logits, [1, 3, 2], [1, 3], labels);
            let expected = (2.0_f32.ln() + (1.0 + 2.0_f32.exp()).ln()) / 2.0;
            assert!((loss - expected).abs() < 1e-6);
            assert!((gradient[1] + 0.75).abs() < 1e-6);
            assert_eq!(gradient[4..], [0.0, 0.0]);
        }
    }

    #[test]
    fn nothing_is_lost_where_nothing_is_known() {
        for fused_form in [true, false] {
            let labels = PixelLabels {
                classes: &[IGNORED; 2],
                size: [1, 2],
                ignored: IGNORED,
            };
            let (loss, gradient) =
                run(fused_form, &[0.0, 1.0, 1.0, 3.0], [1, 2, 2], [1, 2], labels);
            assert_eq!((loss, gradient), (0.0, vec![0.0; 4]));
        }
    }

    #[test]
    fn logits_are_enlarged_before() {
        // Between (0, 0) and (2, 0), the pixel at a quarter is (0.5, 0).
        for fused_form in [true, false] {
            let labels = PixelLabels {
                classes: &[IGNORED, 0, IGNORED, IGNORED],
                size: [1, 4],
                ignored: IGNORED,
            };
            let (loss, _) = run(fused_form, &[0.0, 0.0, 2.0, 0.0], [1, 2, 2], [1, 2], labels);
            assert!((loss - (1.0 + (-0.5_f32).exp()).ln()).abs() < 1e-6);
        }
    }
}
