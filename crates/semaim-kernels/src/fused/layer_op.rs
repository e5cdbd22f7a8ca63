//! Layer norm, linear layer and MLP as operations on tensors.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::affine::Affine;
use super::graph::{Gradient, Input, Saved, numbers, record, sizes, tensor};
use super::layers;
use super::pool::Lent;
use super::rows::Norm;
use crate::weights::{LinearWeights, NormWeights};

fn norm_of(inputs: &[FlexTensor], epsilon: f32) -> Norm<'_> {
    Norm {
        weight: numbers(&inputs[1]),
        bias: numbers(&inputs[2]),
        epsilon,
    }
}

/// The shape of a layer's output.
fn with_width(input: &FlexTensor, width: usize) -> Vec<usize> {
    let mut shape = sizes(input);
    if let Some(last) = shape.last_mut() {
        *last = width;
    }
    shape
}

fn check(x: &Tensor<3>, layer: &LinearWeights) {
    let [outputs, inputs] = layer.weight.dims();
    assert_eq!(x.dims()[2], inputs, "width of a layer's input");
    assert_eq!(layer.bias.dims(), [outputs], "shape of a bias");
}

/// See [`crate::layer_norm`]; `None` if this is not for the CPU backend.
pub(crate) fn layer_norm(x: &Tensor<3>, weights: &NormWeights) -> Option<Tensor<3>> {
    let width = x.dims()[2];
    assert_eq!(
        (weights.weight.dims(), weights.bias.dims()),
        ([width], [width]),
        "shape of a norm"
    );
    let inputs = vec![
        Input::of(x)?,
        Input::of(&weights.weight)?,
        Input::of(&weights.bias)?,
    ];
    let epsilon = weights.epsilon as f32;
    Some(record(inputs, move |inputs, wanted| {
        let out = layers::norm_forward(numbers(&inputs[0]), norm_of(inputs, epsilon));
        let saved = wanted.then(|| {
            let inputs = inputs.to_vec();
            Arc::new(SavedNorm { inputs, epsilon }) as Arc<dyn Saved>
        });
        (tensor(out, &sizes(&inputs[0])), saved)
    }))
}

#[derive(Debug)]
struct SavedNorm {
    inputs: Vec<FlexTensor>,
    epsilon: f32,
}

impl Saved for SavedNorm {
    fn backward(&self, dout: &FlexTensor, _wanted: &[bool]) -> Vec<Gradient> {
        let norm = norm_of(&self.inputs, self.epsilon);
        let gradients = layers::norm_back(numbers(&self.inputs[0]), norm, numbers(dout));
        gradients
            .into_iter()
            .zip(&self.inputs)
            .map(|(values, input)| Some(tensor(values, &sizes(input))))
            .collect()
    }
}

/// See [`crate::linear`]; `None` if this is not for the CPU backend.
pub(crate) fn linear(x: &Tensor<3>, layer: &LinearWeights) -> Option<Tensor<3>> {
    check(x, layer);
    let inputs = vec![
        Input::of(x)?,
        Input::of(&layer.weight)?,
        Input::of(&layer.bias)?,
    ];
    Some(record(inputs, |inputs, wanted| {
        let layer = affine_of(&inputs[1..]);
        let out = layers::linear_forward(numbers(&inputs[0]), layer);
        let saved = wanted.then(|| Arc::new(SavedLinear(inputs.to_vec())) as Arc<dyn Saved>);
        (tensor(out, &with_width(&inputs[0], layer.outputs())), saved)
    }))
}

fn affine_of(weight_and_bias: &[FlexTensor]) -> Affine<'_> {
    Affine {
        weight: numbers(&weight_and_bias[0]),
        bias: numbers(&weight_and_bias[1]),
    }
}

#[derive(Debug)]
struct SavedLinear(Vec<FlexTensor>);

impl Saved for SavedLinear {
    fn backward(&self, dout: &FlexTensor, wanted: &[bool]) -> Vec<Gradient> {
        let inputs = &self.0;
        let (dx, layer) = layers::linear_back(
            numbers(&inputs[0]),
            affine_of(&inputs[1..]),
            numbers(dout),
            wanted[0],
        );
        vec![
            dx.map(|dx| tensor(dx, &sizes(&inputs[0]))),
            Some(tensor(layer.weight, &sizes(&inputs[1]))),
            Some(tensor(layer.bias, &sizes(&inputs[2]))),
        ]
    }
}

/// See [`crate::mlp`]; `None` if this is not for the CPU backend.
pub(crate) fn mlp(x: &Tensor<3>, fc1: &LinearWeights, fc2: &LinearWeights) -> Option<Tensor<3>> {
    check(x, fc1);
    assert_eq!(
        fc2.weight.dims()[1],
        fc1.bias.dims()[0],
        "width of an MLP's hidden layer"
    );
    assert_eq!(fc2.bias.dims()[0], fc2.weight.dims()[0], "shape of a bias");
    let inputs = vec![
        Input::of(x)?,
        Input::of(&fc1.weight)?,
        Input::of(&fc1.bias)?,
        Input::of(&fc2.weight)?,
        Input::of(&fc2.bias)?,
    ];
    Some(record(inputs, |inputs, wanted| {
        let layers = [affine_of(&inputs[1..]), affine_of(&inputs[3..])];
        let (out, hidden) = layers::mlp_forward(numbers(&inputs[0]), layers, wanted);
        let out = tensor(out, &with_width(&inputs[0], layers[1].outputs()));
        let inputs = inputs.to_vec();
        (
            out,
            wanted.then(|| Arc::new(SavedMlp { inputs, hidden }) as Arc<dyn Saved>),
        )
    }))
}

#[derive(Debug)]
struct SavedMlp {
    inputs: Vec<FlexTensor>,
    hidden: Lent,
}

impl Saved for SavedMlp {
    fn backward(&self, dout: &FlexTensor, _wanted: &[bool]) -> Vec<Gradient> {
        let inputs = &self.inputs;
        let layers = [affine_of(&inputs[1..]), affine_of(&inputs[3..])];
        let (dx, [fc1, fc2]) =
            layers::mlp_back(numbers(&inputs[0]), layers, &self.hidden, numbers(dout));
        [dx, fc1.weight, fc1.bias, fc2.weight, fc2.bias]
            .into_iter()
            .zip(inputs)
            .map(|(values, input)| Some(tensor(values, &sizes(input))))
            .collect()
    }
}
