//! The losses.

use burn::tensor::{Device, Tensor};
use semaim_kernels::{Loss, composed, loss};

use crate::draw::Numbers;
use crate::operation::{Any, Operation};

const LOSSES: [Loss; 3] = [Loss::L1, Loss::L2, Loss::NormalizedL2];

fn operation(numbers: &mut Numbers, kind: Loss, largest: usize) -> Operation {
    let shape = [
        numbers.whole(1, 3),
        numbers.whole(1, largest),
        numbers.whole(1, largest),
    ];
    let predictions: Tensor<3> = numbers.tensor(shape, 1.0);
    let targets: Tensor<3> = numbers.tensor::<3>(shape, 1.0).detach();
    let other = targets.clone();
    Operation {
        text: format!("{kind:?}, {shape:?}"),
        inputs: vec![("predictions", Any::Three(predictions))],
        fused: Box::new(move |i| loss(kind, i[0].three(), targets.clone()).unsqueeze_dim(2)),
        composed: Box::new(move |i| {
            composed::loss(kind, i[0].three(), other.clone()).unsqueeze_dim(2)
        }),
        weighting: numbers.values(shape[0] * shape[1], 1.0),
    }
}

#[test]
fn losses_agree_with_composed_ones() {
    for kind in LOSSES {
        for seed in 0..20 {
            let operation = operation(&mut Numbers::new(seed), kind, 300);
            operation.assert_forms_agree();
            operation.assert_threads_change_no_bit();
            operation.assert_same_without_gradients();
        }
    }
}

#[test]
fn gradients_are_differences() {
    // Not the absolute difference, which has a corner.
    for kind in [Loss::L2, Loss::NormalizedL2] {
        for seed in 0..8 {
            let numbers = &mut Numbers::new(100 + seed);
            let operation = operation(numbers, kind, 12);
            operation.assert_gradients_are_differences(numbers);
        }
    }
}

#[test]
fn equal_predictions_have_no_gradient() {
    for kind in LOSSES {
        let numbers = &mut Numbers::new(7);
        let x: Tensor<3> = numbers.tensor([2, 3, 5], 1.0);
        let losses = loss(kind, x.clone(), x.clone().detach());
        let gradients = losses.clone().sum().backward();
        assert!(
            crate::operation::flat(losses.inner())
                .iter()
                .all(|&c| c.abs() < 1e-12)
        );
        let gradient = crate::operation::flat(x.grad(&gradients).unwrap());
        assert!(
            gradient.iter().all(|g| g.abs() < 1e-6),
            "{kind:?}: {gradient:?}"
        );
    }
}

/// A prediction of nothing has no direction; neither form divides by its length.
#[test]
fn zero_predictions_have_a_finite_gradient() {
    for form in [loss, composed::loss] {
        let device = Device::flex().autodiff();
        let x = Tensor::<3>::zeros([1, 2, 5], &device).require_grad();
        let targets = Numbers::new(3).tensor::<3>([1, 2, 5], 1.0).detach();
        let losses = form(Loss::NormalizedL2, x.clone(), targets);
        let gradients = losses.sum().backward();
        let gradient = crate::operation::flat(x.grad(&gradients).unwrap());
        assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
    }
}
