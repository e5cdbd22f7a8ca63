//! What predictions cost.

use burn::tensor::Tensor;
use semaim_kernels::{Cost, composed, cost};

use crate::draw::Numbers;
use crate::operation::{Any, Operation};

const COSTS: [Cost; 3] = [Cost::Absolute, Cost::Squared, Cost::Direction];

fn operation(numbers: &mut Numbers, kind: Cost, largest: usize) -> Operation {
    let shape = [
        numbers.whole(1, 3),
        numbers.whole(1, largest),
        numbers.whole(1, largest),
    ];
    let predictions: Tensor<3> = numbers.tensor(shape, 1.0);
    let truth: Tensor<3> = numbers.tensor::<3>(shape, 1.0).detach();
    let other = truth.clone();
    Operation {
        text: format!("{kind:?}, {shape:?}"),
        inputs: vec![("predictions", Any::Three(predictions))],
        fused: Box::new(move |i| cost(kind, i[0].three(), truth.clone()).unsqueeze_dim(2)),
        composed: Box::new(move |i| {
            composed::cost(kind, i[0].three(), other.clone()).unsqueeze_dim(2)
        }),
        weighting: numbers.values(shape[0] * shape[1], 1.0),
    }
}

#[test]
fn costs_agree_with_composed_ones() {
    for kind in COSTS {
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
    for kind in [Cost::Squared, Cost::Direction] {
        for seed in 0..8 {
            let numbers = &mut Numbers::new(100 + seed);
            let operation = operation(numbers, kind, 12);
            operation.assert_gradients_are_differences(numbers);
        }
    }
}

#[test]
fn equal_predictions_have_no_gradient() {
    for kind in COSTS {
        let numbers = &mut Numbers::new(7);
        let x: Tensor<3> = numbers.tensor([2, 3, 5], 1.0);
        let costs = cost(kind, x.clone(), x.clone().detach());
        let gradients = costs.clone().sum().backward();
        assert!(
            crate::operation::flat(costs.inner())
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
