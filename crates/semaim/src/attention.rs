//! Multi-head attention under a visibility bias.

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, activation, module};

/// What is added to a score that must not count. Its exponential is exactly zero in `f32`, and unlike an
/// infinity it can never turn into a NaN.
pub(crate) const HIDDEN: f32 = -1e30;

/// Softmax(q kᵀ / √head_width + bias) v.
///
/// * `query`: `[batch, looking, embed_dim]`, `key` and `value`: `[batch, seen, embed_dim]`.
/// * `bias`: `[batch, 1, looking, seen]`, zero where a token is visible and hugely negative where it is not (see
///   [`crate::order::Visibility`]); `None` means that every token sees every other.
///
/// Returns `[batch, looking, embed_dim]`.
pub fn attend(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    num_heads: usize,
    bias: Option<&Tensor<4>>,
) -> Tensor<3> {
    let scale = head_scale(&query, num_heads);
    let tracked = query.is_autodiff();
    let (query, key, value) = (
        split_heads(query, num_heads),
        split_heads(key, num_heads),
        split_heads(value, num_heads),
    );
    let mixed = match bias {
        // The backend's own attention has no backward pass, so it serves what needs none.
        None if !tracked => module::attention(
            query,
            key,
            value,
            None,
            None,
            AttentionModuleOptions::default(),
        ),
        _ => scores(query, key, scale, bias).matmul(value),
    };
    merge_heads(mixed)
}

/// The attention weights themselves, `[batch, heads, looking, seen]`.
pub(crate) fn weights(query: Tensor<3>, key: Tensor<3>, num_heads: usize) -> Tensor<4> {
    let scale = head_scale(&query, num_heads);
    scores(
        split_heads(query, num_heads),
        split_heads(key, num_heads),
        scale,
        None,
    )
}

fn head_scale(query: &Tensor<3>, num_heads: usize) -> f32 {
    let [_, _, embed_dim] = query.dims();
    ((embed_dim / num_heads) as f32).powf(-0.5)
}

fn scores(query: Tensor<4>, key: Tensor<4>, scale: f32, bias: Option<&Tensor<4>>) -> Tensor<4> {
    // Scaling the query costs a head's width per token, scaling the scores would cost a token count.
    let scores = query.mul_scalar(scale).matmul(key.swap_dims(2, 3));
    let scores = match bias {
        Some(bias) => scores + bias.clone(),
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

/// The inverse of [`split_heads`].
fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, heads, tokens, width] = x.dims();
    x.swap_dims(1, 2).reshape([batch, tokens, heads * width])
}
