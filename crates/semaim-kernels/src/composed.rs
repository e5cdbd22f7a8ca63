//! The operations written out in the framework's own: what they compute, on any backend.

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, activation, module};

use crate::block::Branches;
use crate::cost::Cost;
use crate::visible::Visible;
use crate::weights::{BlockWeights, LAYER_NORM_EPSILON, LinearWeights, NormWeights, Projections};

/// See [`crate::layer_norm`].
pub fn layer_norm(x: Tensor<3>, weights: NormWeights) -> Tensor<3> {
    module::layer_norm(x, weights.weight, Some(weights.bias), LAYER_NORM_EPSILON)
}

/// See [`crate::linear`].
pub fn linear(x: Tensor<3>, weights: LinearWeights) -> Tensor<3> {
    module::linear(x, weights.weight.transpose(), Some(weights.bias))
}

/// See [`crate::mlp`].
pub fn mlp(x: Tensor<3>, fc1: LinearWeights, fc2: LinearWeights) -> Tensor<3> {
    linear(activation::gelu(linear(x, fc1)), fc2)
}

/// See [`crate::block`].
pub fn block(
    x: Tensor<3>,
    context: Option<Tensor<3>>,
    visible: Option<&Visible>,
    weights: BlockWeights,
    branches: Option<&Branches>,
) -> Tensor<3> {
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
    let mixed = attend(query, key, value, weights.num_heads, visible);
    let y = residual(
        x,
        linear(mixed, weights.proj),
        branches.map(|b| &b.attention),
    );
    let branch = mlp(
        layer_norm(y.clone(), weights.norm2),
        weights.fc1,
        weights.fc2,
    );
    residual(y, branch, branches.map(|b| &b.mlp))
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

/// Softmax(q kᵀ / √head_width) v over the visible tokens.
///
/// `query` is `[batch, looking, embed_dim]`, `key` and `value` are `[batch, seen, embed_dim]`; the result is as `query`.
pub fn attend(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    num_heads: usize,
    visible: Option<&Visible>,
) -> Tensor<3> {
    let tracked = query.is_autodiff();
    let device = query.device();
    let mixed = match visible {
        // The backend's own attention has no backward pass, so it serves what needs none.
        None if !tracked => module::attention(
            split_heads(query, num_heads),
            split_heads(key, num_heads),
            split_heads(value, num_heads),
            None,
            None,
            AttentionModuleOptions::default(),
        ),
        _ => attention_weights(query, key, num_heads, visible.map(|v| v.bias(&device)))
            .matmul(split_heads(value, num_heads)),
    };
    let [batch, heads, tokens, width] = mixed.dims();
    mixed
        .swap_dims(1, 2)
        .reshape([batch, tokens, heads * width])
}

/// Softmax(q kᵀ / √head_width + bias), `[batch, heads, looking, seen]`.
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

/// See [`crate::cost()`].
pub fn cost(cost: Cost, predictions: Tensor<3>, truth: Tensor<3>) -> Tensor<2> {
    let each = match cost {
        Cost::Absolute => (predictions - truth).abs().mean_dim(2),
        Cost::Squared => (predictions - truth).powi_scalar(2).mean_dim(2),
        Cost::Direction => (unit(predictions) - unit(truth)).powi_scalar(2).sum_dim(2),
    };
    each.squeeze_dim(2)
}

/// Divides by the Euclidean length over the last axis, which is never taken for less than 1e-12.
pub fn unit(x: Tensor<3>) -> Tensor<3> {
    let length = x.clone().powi_scalar(2).sum_dim(2).sqrt().clamp_min(1e-12);
    x / length
}
