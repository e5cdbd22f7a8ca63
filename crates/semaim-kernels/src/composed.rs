//! The operations written out in the framework's own: what they compute, on any backend.

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, TensorData, activation, module};

use crate::chunked_attention;
use crate::gelu::gelu;
use crate::precision::{Precision, matmul};
use crate::types::{
    Activation, AdamWStep, BlockWeights, Channels, DropPathScales, LinearWeights, Loss, Moments,
    NormWeights, PixelPatches, PrefixMask, Projections,
};

/// See [`crate::layer_norm`].
pub fn layer_norm(x: Tensor<3>, weights: NormWeights) -> Tensor<3> {
    module::layer_norm(x, weights.weight, Some(weights.bias), weights.epsilon)
}

/// See [`crate::linear`].
pub fn linear(x: Tensor<3>, weights: LinearWeights) -> Tensor<3> {
    let weight = weights.weight.transpose();
    if Precision::current() == Precision::F32 {
        return module::linear(x, weight, Some(weights.bias));
    }
    let ([batch, tokens, inputs], [_, outputs]) = (x.dims(), weight.dims());
    let out = matmul(x.reshape([batch * tokens, inputs]), weight);
    (out + weights.bias.unsqueeze()).reshape([batch, tokens, outputs])
}

/// See [`crate::mlp`].
pub fn mlp(x: Tensor<3>, fc1: LinearWeights, fc2: LinearWeights) -> Tensor<3> {
    linear(Activation::Gelu.of(linear(x, fc1)), fc2)
}

impl Activation {
    /// Of the first layer's output, `[batch, tokens, hidden]`; for [`Activation::SwiGlu`] the result is half as wide.
    pub fn of(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Gelu => gelu(x),
            Self::QuickGelu => x.clone() * activation::sigmoid(x * 1.702),
            Self::SwiGlu => {
                let half = x.dims()[2] / 2;
                let (gate, gated) = (x.clone().narrow(2, 0, half), x.narrow(2, half, half));
                activation::silu(gate) * gated
            }
        }
    }
}

/// What norms and linear layers a block is made of.
#[derive(Clone, Copy)]
pub(crate) struct Layers {
    pub(crate) layer_norm: fn(Tensor<3>, NormWeights) -> Tensor<3>,
    pub(crate) linear: fn(Tensor<3>, LinearWeights) -> Tensor<3>,
}

/// See [`crate::block`].
pub fn block(
    x: Tensor<3>,
    context: Option<Tensor<3>>,
    mask: Option<&PrefixMask>,
    weights: BlockWeights,
    drop_path: Option<&DropPathScales>,
) -> Tensor<3> {
    let layers = Layers { layer_norm, linear };
    block_of(layers, x, context, mask, weights, drop_path)
}

/// A block of such layers.
pub(crate) fn block_of(
    layers: Layers,
    x: Tensor<3>,
    context: Option<Tensor<3>>,
    mask: Option<&PrefixMask>,
    weights: BlockWeights,
    drop_path: Option<&DropPathScales>,
) -> Tensor<3> {
    let Layers { layer_norm, linear } = layers;
    let normal = layer_norm(x.clone(), weights.norm1.clone());
    let context = match context {
        Some(context) => layer_norm(context, weights.norm1),
        None => normal.clone(),
    };
    let [query, key, value] = weights.projections.layers();
    let (query, key, value) = (
        linear(normal, query),
        linear(context.clone(), key),
        linear(context, value),
    );
    let attn_out = attention(query, key, value, weights.num_heads, mask);
    let y = residual(
        x,
        linear(attn_out, weights.proj),
        drop_path.map(|b| &b.attention),
    );
    let hidden = linear(layer_norm(y.clone(), weights.norm2), weights.fc1);
    let branch = linear(weights.activation.of(hidden), weights.fc2);
    residual(y, branch, drop_path.map(|b| &b.mlp))
}

impl Projections {
    /// The three layers.
    fn layers(self) -> [LinearWeights; 3] {
        match self {
            Self::Separate(layers) => *layers,
            Self::Joint(qkv) => {
                let LinearWeights { weight, bias } = *qkv;
                let width = bias.dims()[0] / 3;
                [0, 1, 2].map(|i| LinearWeights {
                    weight: weight.clone().narrow(0, i * width, width),
                    bias: bias.clone().narrow(0, i * width, width),
                })
            }
        }
    }
}

/// `x + branch`, the branch multiplied by a factor per sample.
fn residual(x: Tensor<3>, branch: Tensor<3>, factors: Option<&Vec<f32>>) -> Tensor<3> {
    match factors {
        Some(factors) => {
            let factors = Tensor::<1>::from_floats(factors.as_slice(), &x.device());
            let samples = x.dims()[0];
            x + branch * factors.reshape([samples, 1, 1])
        }
        None => x + branch,
    }
}

/// Softmax(q kᵀ / √head_width) v over the keys that `mask` allows.
///
/// `query` is `[batch, query_len, embed_dim]`, `key` and `value` are `[batch, key_len, embed_dim]`; the result is as
/// `query`.
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    num_heads: usize,
    mask: Option<&PrefixMask>,
) -> Tensor<3> {
    let tracked = query.is_autodiff();
    let attn_out = match mask {
        // The backend's own attention has no backward pass, so it serves what needs none, in 32 bits.
        None if !tracked && Precision::current() == Precision::F32 => module::attention(
            split_heads(query, num_heads),
            split_heads(key, num_heads),
            split_heads(value, num_heads),
            None,
            None,
            AttentionModuleOptions::default(),
        ),
        _ => chunked_attention::attention(
            split_heads(query, num_heads),
            split_heads(key, num_heads),
            split_heads(value, num_heads),
            mask,
        ),
    };
    let [batch, heads, tokens, width] = attn_out.dims();
    attn_out
        .swap_dims(1, 2)
        .reshape([batch, tokens, heads * width])
}

/// Softmax(q kᵀ / √head_width + bias), `[batch, heads, query_len, key_len]`.
pub fn attention_weights(
    query: Tensor<3>,
    key: Tensor<3>,
    num_heads: usize,
    bias: Option<Tensor<4>>,
) -> Tensor<4> {
    let [_, _, embed_dim] = query.dims();
    let scale = ((embed_dim / num_heads) as f32).powf(-0.5);
    // Scaling the query costs a head's width per token, scaling the scores would cost a token count.
    let query = split_heads(query, num_heads).mul_scalar(scale);
    let scores = query.matmul(split_heads(key, num_heads).swap_dims(2, 3));
    let scores = match bias {
        Some(bias) => scores + bias,
        None => scores,
    };
    activation::softmax(scores, 3)
}

/// `[batch, tokens, embed_dim]` to `[batch, heads, tokens, head_width]`.
fn split_heads(x: Tensor<3>, num_heads: usize) -> Tensor<4> {
    let [batch, tokens, embed_dim] = x.dims();
    x.reshape([batch, tokens, num_heads, embed_dim / num_heads])
        .swap_dims(1, 2)
}

/// See [`crate::loss()`].
pub fn loss(loss: Loss, predictions: Tensor<3>, targets: Tensor<3>) -> Tensor<2> {
    let losses = match loss {
        Loss::L1 => (predictions - targets).abs().mean_dim(2),
        Loss::L2 => (predictions - targets).powi_scalar(2).mean_dim(2),
        Loss::NormalizedL2 => (l2_normalize(predictions) - l2_normalize(targets))
            .powi_scalar(2)
            .sum_dim(2),
    };
    losses.squeeze_dim(2)
}

/// Divides by the Euclidean length over the last axis, which is never taken for less than 1e-12.
pub fn l2_normalize(x: Tensor<3>) -> Tensor<3> {
    // The square is held up and not the root, whose gradient at zero is infinite.
    let length = x.clone().powi_scalar(2).sum_dim(2).clamp_min(1e-24).sqrt();
    x / length
}

/// See [`crate::patches()`].
pub fn patches(images: Tensor<4>, patch_size: usize, channels: Channels) -> Tensor<3> {
    let [batch, count, height, width] = images.dims();
    let (rows, columns) = (height / patch_size, width / patch_size);
    let images = images
        .narrow(2, 0, rows * patch_size)
        .narrow(3, 0, columns * patch_size);
    let blocks = images.reshape([batch, count, rows, patch_size, columns, patch_size]);
    let blocks = match channels {
        Channels::First => blocks.permute([0, 2, 4, 1, 3, 5]),
        Channels::Last => blocks.permute([0, 2, 4, 3, 5, 1]),
    };
    blocks.reshape([batch, rows * columns, patch_size * patch_size * count])
}

/// See [`crate::pixel_patches`].
pub fn pixel_patches(images: Tensor<4>, form: &PixelPatches) -> Tensor<3> {
    let images = if form.blur.is_empty() {
        images
    } else {
        blur(images, &form.blur)
    };
    let patches = patches(images, form.patch_size, Channels::Last);
    if !form.normalize {
        return patches;
    }
    let [_, _, values] = patches.dims();
    let centered = patches.clone() - patches.mean_dim(2);
    // A patch of one value has no unbiased variance; its centered value is zero whatever it is divided by.
    let degrees = values.max(2) - 1;
    let variance = centered.clone().powi_scalar(2).sum_dim(2) / degrees as f32;
    centered / (variance + 1e-6).sqrt()
}

/// A separable blur with zeros around the image, as a banded matrix from the left and one from the right: two matrix
/// products on any backend.
fn blur(images: Tensor<4>, weights: &[f32]) -> Tensor<4> {
    let [_, _, height, width] = images.dims();
    let device = images.device();
    let band = |side: usize| {
        let data = TensorData::new(band(weights, side), [1, 1, side, side]);
        Tensor::<4>::from_data(data, &device)
    };
    band(height)
        .matmul(images)
        .matmul(band(width).swap_dims(2, 3))
}

/// `[side, side]`: row i holds the weights centered on i, cut off at the borders.
fn band(weights: &[f32], side: usize) -> Vec<f32> {
    let before = weights.len() / 2;
    let mut band = vec![0.0; side * side];
    for out in 0..side {
        for (k, weight) in weights.iter().enumerate() {
            if let Some(from) = (out + k).checked_sub(before).filter(|&from| from < side) {
                band[out * side + from] = *weight;
            }
        }
    }
    band
}

/// See [`crate::adamw`].
pub(crate) fn adamw<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<1>,
    moments: Moments,
    step: AdamWStep,
) -> (Tensor<D>, Moments) {
    let [beta1, beta2] = step.betas;
    let gradient = gradient * step.gradient_factor;
    let moments = Moments {
        first: moments.first * beta1 + gradient.clone() * (1.0 - beta1),
        second: moments.second * beta2 + gradient.powi_scalar(2) * (1.0 - beta2),
    };
    let change = moments.first.clone() * step.step_size()
        / (moments.second.clone().sqrt() / step.bias_correction2_sqrt() + step.epsilon);
    let shape = weight.dims();
    (weight * step.decay() - change.reshape(shape), moments)
}

/// See [`crate::moving_average`].
pub(crate) fn moving_average<const D: usize>(
    average: Tensor<D>,
    value: Tensor<D>,
    decay: f64,
) -> Tensor<D> {
    average * decay + value * (1.0 - decay)
}

/// The longest row that is added up at once.
///
/// How a device adds up a row is the choice of the framework's tuner (cubek-reduce 0.3.1). One of its ways is number by number,
/// which costs digits: 5e-4 of the sum of four million squares.
const LONGEST_ROW: usize = 4096;

/// See [`crate::sum_of_squares`].
pub(crate) fn sum_of_squares(values: Tensor<1>) -> Tensor<1> {
    sum(values.powi_scalar(2))
}

/// The sum of any number of values, `[1]`: of rows, and then of their sums.
fn sum(values: Tensor<1>) -> Tensor<1> {
    let [count] = values.dims();
    if count <= LONGEST_ROW {
        return values.sum();
    }
    let (rows, rest) = (count / LONGEST_ROW, count % LONGEST_ROW);
    let in_rows = values.clone().narrow(0, 0, count - rest);
    let of_rows = in_rows.reshape([rows, LONGEST_ROW]).sum_dim(1);
    let sum = sum(of_rows.reshape([rows]));
    match rest {
        0 => sum,
        _ => sum + values.narrow(0, count - rest, rest).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn squares_of_any_number_are_added_up() {
        for count in [1, 4095, 4096, 4097, 3 * 4096, 4096 * 4096 + 4097] {
            let values: Vec<f32> = (0..count)
                .map(|i| (i * 7919 % 2003) as f32 / 1001.5)
                .collect();
            let square = |value: &f32| f64::from(*value) * f64::from(*value);
            let expected: f64 = values.iter().map(square).sum();
            let data = TensorData::new(values, [count]);
            let found = sum_of_squares(Tensor::from_data(data, &Device::flex()));
            let found: Vec<f32> = found.into_data().try_to_vec().unwrap();
            assert_eq!(found.len(), 1);
            let off = (f64::from(found[0]) - expected).abs();
            assert!(off <= 1e-6 * expected, "{count}: {off:e} of {expected}");
        }
    }

    #[test]
    fn activations_are_as_defined() {
        let numbers = [-2.0_f32, -0.5, 0.0, 1.0, 2.0, 3.0];
        let x = Tensor::<3>::from_data(
            TensorData::new(numbers.to_vec(), [1, 1, 6]),
            &Device::flex(),
        );
        let of = |activation: Activation| -> Vec<f32> {
            activation.of(x.clone()).into_data().try_to_vec().unwrap()
        };
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        let near = |found: Vec<f32>, expected: Vec<f32>| {
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        };
        near(
            of(Activation::QuickGelu),
            numbers.map(|x| x * sigmoid(1.702 * x)).to_vec(),
        );
        // The first half is the gate.
        let gated = [0, 1, 2].map(|i| numbers[i] * sigmoid(numbers[i]) * numbers[3 + i]);
        near(of(Activation::SwiGlu), gated.to_vec());
        near(of(Activation::Gelu)[2..3].to_vec(), vec![0.0]);
    }
}
