//! Operations on tensors beside the block: layer norm, linear layer, MLP, loss and patches. Each gives `None`
//! for tensors that are not of 32-bit numbers on the CPU backend.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::affine::Affine;
use super::graph::{Gradient, Input, Saved, as_f32_slice, custom_op, sizes, tensor};
use super::matmul::PanelFormat;
use super::patches::ImageShape;
use super::pool::PooledBuf;
use super::rows::Norm;
use super::{layers, losses, patches as pixels};
use crate::precision::Precision;
use crate::types::{Channels, LinearWeights, Loss, NormWeights, PixelPatches};

fn norm_of(inputs: &[FlexTensor], epsilon: f32) -> Norm<'_> {
    Norm {
        weight: as_f32_slice(&inputs[1]),
        bias: as_f32_slice(&inputs[2]),
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
    Some(custom_op(inputs, move |inputs, wanted| {
        let out = layers::norm_forward(as_f32_slice(&inputs[0]), norm_of(inputs, epsilon));
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
        let gradients = layers::norm_back(as_f32_slice(&self.inputs[0]), norm, as_f32_slice(dout));
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
    let format = Precision::format();
    Some(custom_op(inputs, move |inputs, wanted| {
        let layer = affine_of(&inputs[1..]);
        let out = layers::linear_forward(as_f32_slice(&inputs[0]), layer, format);
        let saved = wanted.then(|| {
            let inputs = inputs.to_vec();
            Arc::new(SavedLinear { inputs, format }) as Arc<dyn Saved>
        });
        (tensor(out, &with_width(&inputs[0], layer.outputs())), saved)
    }))
}

fn affine_of(weight_and_bias: &[FlexTensor]) -> Affine<'_> {
    Affine {
        weight: as_f32_slice(&weight_and_bias[0]),
        bias: as_f32_slice(&weight_and_bias[1]),
    }
}

#[derive(Debug)]
struct SavedLinear {
    inputs: Vec<FlexTensor>,
    format: PanelFormat,
}

impl Saved for SavedLinear {
    fn backward(&self, dout: &FlexTensor, wanted: &[bool]) -> Vec<Gradient> {
        let inputs = &self.inputs;
        let (dx, layer) = layers::linear_back(
            as_f32_slice(&inputs[0]),
            affine_of(&inputs[1..]),
            as_f32_slice(dout),
            wanted[0],
            self.format,
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
    let format = Precision::format();
    Some(custom_op(inputs, move |inputs, wanted| {
        let layers = [affine_of(&inputs[1..]), affine_of(&inputs[3..])];
        let (out, hidden) = layers::mlp_forward(as_f32_slice(&inputs[0]), layers, wanted, format);
        let out = tensor(out, &with_width(&inputs[0], layers[1].outputs()));
        let inputs = inputs.to_vec();
        (
            out,
            wanted.then(|| {
                Arc::new(SavedMlp {
                    inputs,
                    hidden,
                    format,
                }) as Arc<dyn Saved>
            }),
        )
    }))
}

#[derive(Debug)]
struct SavedMlp {
    inputs: Vec<FlexTensor>,
    hidden: PooledBuf,
    format: PanelFormat,
}

impl Saved for SavedMlp {
    fn backward(&self, dout: &FlexTensor, _wanted: &[bool]) -> Vec<Gradient> {
        let inputs = &self.inputs;
        let layers = [affine_of(&inputs[1..]), affine_of(&inputs[3..])];
        let (dx, [fc1, fc2]) = layers::mlp_back(
            as_f32_slice(&inputs[0]),
            layers,
            &self.hidden,
            as_f32_slice(dout),
            self.format,
        );
        [dx, fc1.weight, fc1.bias, fc2.weight, fc2.bias]
            .into_iter()
            .zip(inputs)
            .map(|(values, input)| Some(tensor(values, &sizes(input))))
            .collect()
    }
}

/// See [`crate::loss`].
pub(crate) fn loss(loss: Loss, predictions: &Tensor<3>, targets: &Tensor<3>) -> Option<Tensor<2>> {
    assert_eq!(
        predictions.dims(),
        targets.dims(),
        "shapes of predictions and targets"
    );
    let [batch, tokens, width] = predictions.dims();
    let inputs = vec![Input::of(predictions)?, Input::of(targets)?];
    Some(custom_op(inputs, |inputs, wanted| {
        let [predictions, targets] = [as_f32_slice(&inputs[0]), as_f32_slice(&inputs[1])];
        let losses = losses::forward(loss, predictions, targets, width);
        let saved = wanted.then(|| {
            let inputs = inputs.to_vec();
            Arc::new(SavedLoss { loss, inputs }) as Arc<dyn Saved>
        });
        (tensor(losses, &[batch, tokens]), saved)
    }))
}

#[derive(Debug)]
struct SavedLoss {
    loss: Loss,
    inputs: Vec<FlexTensor>,
}

impl Saved for SavedLoss {
    fn backward(&self, dout: &FlexTensor, _wanted: &[bool]) -> Vec<Gradient> {
        let shape = sizes(&self.inputs[0]);
        let width = shape.last().copied().unwrap_or(0);
        let [predictions, targets] = [as_f32_slice(&self.inputs[0]), as_f32_slice(&self.inputs[1])];
        let gradient = losses::backward(self.loss, predictions, targets, as_f32_slice(dout), width);
        vec![Some(tensor(gradient, &shape)), None]
    }
}

/// See [`crate::patches()`].
pub(crate) fn patches(
    images: &Tensor<4>,
    patch_size: usize,
    channels: Channels,
) -> Option<Tensor<3>> {
    let input = Input::of(images)?;
    let shape = ImageShape::new(images.dims(), patch_size);
    Some(custom_op(vec![input], |inputs, wanted| {
        let values = pixels::cut(as_f32_slice(&inputs[0]), shape, channels);
        let saved = wanted.then(|| Arc::new(SavedPatches { shape, channels }) as Arc<dyn Saved>);
        (tensor(values, &shape.patches()), saved)
    }))
}

#[derive(Debug)]
struct SavedPatches {
    shape: ImageShape,
    channels: Channels,
}

impl Saved for SavedPatches {
    fn backward(&self, dout: &FlexTensor, _wanted: &[bool]) -> Vec<Gradient> {
        let dimages = pixels::join(as_f32_slice(dout), self.shape, self.channels);
        vec![Some(tensor(dimages, &self.shape.images()))]
    }
}

/// See [`crate::pixel_patches`].
pub(crate) fn pixel_patches(images: &Tensor<4>, form: &PixelPatches) -> Option<Tensor<3>> {
    let input = Input::of(images)?;
    let shape = ImageShape::new(images.dims(), form.patch_size);
    Some(custom_op(vec![input], |inputs, _| {
        let values = pixels::pixels(as_f32_slice(&inputs[0]), shape, form);
        (tensor(values, &shape.patches()), None)
    }))
}
