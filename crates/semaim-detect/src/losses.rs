//! What a detector is trained on.

use burn::tensor::{Tensor, activation};

/// The five losses of Mask R-CNN, `[1]` each.
#[derive(Clone, Debug)]
pub struct Losses {
    /// Whether anchors hold an object.
    pub rpn_objectness: Tensor<1>,
    /// Where the objects of positive anchors are.
    pub rpn_box: Tensor<1>,
    /// What is in a region.
    pub class: Tensor<1>,
    /// Where the objects of foreground regions are.
    pub bounds: Tensor<1>,
    /// Which pixels belong to them.
    pub mask: Tensor<1>,
}

impl Losses {
    /// The sum, which is trained on.
    pub fn total(&self) -> Tensor<1> {
        let [first, rest @ ..] = self.by_name().map(|(_, loss)| loss);
        rest.into_iter().fold(first, |sum, loss| sum + loss)
    }

    /// Each with the name that logs of others have for it.
    pub fn by_name(&self) -> [(&'static str, Tensor<1>); 5] {
        [
            ("loss_rpn_cls", self.rpn_objectness.clone()),
            ("loss_rpn_loc", self.rpn_box.clone()),
            ("loss_cls", self.class.clone()),
            ("loss_box_reg", self.bounds.clone()),
            ("loss_mask", self.mask.clone()),
        ]
    }
}

/// Sum of the binary cross-entropies of logits; `targets` are 0 or 1.
pub fn binary_cross_entropy<const D: usize>(logits: Tensor<D>, targets: Tensor<D>) -> Tensor<1> {
    // The probability of what is the case is the sigmoid of the logit or of its negative.
    let signed = logits * (targets * 2.0 - 1.0);
    activation::log_sigmoid(signed).sum().neg()
}

/// Mean of the cross-entropies of `scores [rows, classes]`.
pub fn cross_entropy(scores: Tensor<2>, classes: &[usize]) -> Tensor<1> {
    let rows = scores.dims()[0];
    assert_eq!(classes.len(), rows, "classes of rows");
    let classes: Vec<i64> = classes.iter().map(|&class| class as i64).collect();
    let classes = Tensor::<1, burn::tensor::Int>::from_ints(classes.as_slice(), &scores.device());
    activation::log_softmax(scores, 1)
        .gather(1, classes.reshape([rows, 1]))
        .mean()
        .neg()
}

/// Sum of the absolute differences.
pub fn l1<const D: usize>(found: Tensor<D>, expected: Tensor<D>) -> Tensor<1> {
    (found - expected).abs().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn number(x: Tensor<1>) -> f64 {
        f64::from(x.into_data().try_to_vec::<f32>().unwrap()[0])
    }

    #[test]
    fn binary_cross_entropy_and_its_gradient_at_zero_too() {
        let device = Device::flex().autodiff();
        let logits = [-3.0_f32, 0.0, 0.0, 2.0, 90.0, -90.0];
        let targets = [0.0_f32, 0.0, 1.0, 1.0, 0.0, 1.0];
        let x = Tensor::<1>::from_floats(logits, &device).require_grad();
        let loss = binary_cross_entropy(x.clone(), Tensor::from_floats(targets, &device));
        let expected: f64 = logits
            .iter()
            .zip(targets)
            .map(|(&x, t)| {
                let x = f64::from(if t > 0.5 { -x } else { x });
                x.max(0.0) + (-x.abs()).exp().ln_1p()
            })
            .sum();
        let gradients = loss.backward();
        assert!((number(loss.inner()) - expected).abs() < 1e-4);
        let gradient: Vec<f32> = x
            .grad(&gradients)
            .unwrap()
            .into_data()
            .try_to_vec()
            .unwrap();
        for ((x, t), found) in logits.iter().zip(targets).zip(gradient) {
            let expected = 1.0 / (1.0 + (-x).exp()) - t;
            assert!((found - expected).abs() < 1e-5, "{x} {t}: {found}");
        }
    }

    #[test]
    fn cross_entropy_is_the_mean_over_rows() {
        let data = TensorData::new(vec![0.0_f32, 0.0, 1.0, 3.0], [2, 2]);
        let scores = Tensor::from_data(data, &Device::flex());
        let expected = (2.0_f64.ln() + (1.0 + 2.0_f64.exp()).ln()) / 2.0;
        assert!((number(cross_entropy(scores, &[1, 0])) - expected).abs() < 1e-6);
    }
}
