//! Layer norm, linear layer and MLP by themselves.

use semaim_kernels::{
    LinearWeights, NormWeights, Precision, composed, layer_norm, linear, mlp, with_precision,
};

use crate::draw::Numbers;
use crate::operation::{Any, Operation, assert_close, flat};

fn layer(inputs: &[Any]) -> LinearWeights {
    LinearWeights {
        weight: inputs[0].two(),
        bias: inputs[1].one(),
    }
}

fn norm(inputs: &[Any]) -> NormWeights {
    NormWeights {
        weight: inputs[0].one(),
        bias: inputs[1].one(),
        epsilon: 1e-3,
    }
}

/// All three on tensors of random sizes.
fn operations(numbers: &mut Numbers, largest: usize) -> [Operation; 3] {
    let (batch, tokens) = (numbers.whole(1, 3), numbers.whole(1, largest));
    let (width, hidden, outputs) = (
        numbers.whole(1, largest),
        numbers.whole(1, largest),
        numbers.whole(1, largest),
    );
    let x = Any::Three(numbers.tensor([batch, tokens, width], 1.0));
    let mut matrix = |outputs: usize, inputs: usize| {
        Any::Two(numbers.tensor([outputs, inputs], (inputs as f64).powf(-0.5)))
    };
    let (fc1, fc2) = (matrix(hidden, width), matrix(outputs, hidden));
    let mut vector = |width: usize| Any::One(numbers.tensor([width], 0.5));
    let (scale, shift, bias1, bias2) = (
        vector(width),
        vector(width),
        vector(hidden),
        vector(outputs),
    );
    let text = format!("{batch} × {tokens} tokens, widths {width}, {hidden}, {outputs}");
    let mut weighting = |width: usize| numbers.values(batch * tokens * width, 1.0);
    [
        Operation {
            text: format!("layer norm, {text}"),
            inputs: vec![("x", x.clone()), ("weight", scale), ("bias", shift)],
            fused: Box::new(|i| layer_norm(i[0].three(), norm(&i[1..]))),
            composed: Box::new(|i| composed::layer_norm(i[0].three(), norm(&i[1..]))),
            weighting: weighting(width),
        },
        Operation {
            text: format!("linear, {text}"),
            inputs: vec![
                ("x", x.clone()),
                ("weight", fc1.clone()),
                ("bias", bias1.clone()),
            ],
            fused: Box::new(|i| linear(i[0].three(), layer(&i[1..]))),
            composed: Box::new(|i| composed::linear(i[0].three(), layer(&i[1..]))),
            weighting: weighting(hidden),
        },
        Operation {
            text: format!("mlp, {text}"),
            inputs: vec![
                ("x", x),
                ("fc1.weight", fc1),
                ("fc1.bias", bias1),
                ("fc2.weight", fc2),
                ("fc2.bias", bias2),
            ],
            fused: Box::new(|i| mlp(i[0].three(), layer(&i[1..]), layer(&i[3..]))),
            composed: Box::new(|i| composed::mlp(i[0].three(), layer(&i[1..]), layer(&i[3..]))),
            weighting: weighting(outputs),
        },
    ]
}

#[test]
fn layers_agree_with_composed_ones() {
    for seed in 0..20 {
        for operation in operations(&mut Numbers::new(seed), 230) {
            operation.assert_forms_agree();
        }
    }
}

/// The composed form on the CPU rounds the factors of the forward pass alike.
#[test]
fn layers_in_bf16_agree_but_for_rounding() {
    for seed in 0..8 {
        let [_, linear, mlp] = operations(&mut Numbers::new(200 + seed), 230);
        let rounded = |operation: &Operation| {
            let inputs: Vec<Any> = operation.inputs.iter().map(|(_, x)| x.clone()).collect();
            let form = || flat((operation.composed)(&inputs).inner());
            vec![("result", with_precision(Precision::Bf16, form))]
        };
        let expected = rounded(&linear);
        let linear = linear.in_bf16();
        let result = linear.run(&linear.fused);
        assert_close(&linear.text, &result[..1], &expected, 1e-5);
        linear.assert_forms_agree_but_for_rounding();
        linear.assert_threads_change_no_bit();
        mlp.in_bf16().assert_forms_agree_but_for_rounding();
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for seed in 0..4 {
        for operation in operations(&mut Numbers::new(seed), 500) {
            operation.assert_threads_change_no_bit();
            operation.assert_same_without_gradients();
        }
    }
}

#[test]
fn gradients_are_differences() {
    for seed in 0..8 {
        let numbers = &mut Numbers::new(100 + seed);
        for operation in operations(numbers, 20) {
            operation.assert_gradients_are_differences(numbers);
        }
    }
}
