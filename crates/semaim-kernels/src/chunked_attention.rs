//! Attention of composed operations, a chunk of queries at a time.
//!
//! Written out in the framework's operations, attention keeps three `[batch, heads, query_len, key_len]` tensors per block for its
//! backward pass. Here it is one node of the graph that keeps queries, keys and values; the weights of a chunk of queries are
//! made, used and forgotten, and made again in the backward pass (Rabe and Staats, 2021). The framework's own attention has
//! no backward pass that does better (burn 0.22.1: `attention_fallback` under autodiff).

use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor, Flex};
use burn::tensor::{Tensor, activation};

use crate::precision::Precision;
use crate::types::PrefixMask;

/// Most attention weights that are made at a time: 128 MiB of them.
const MOST_WEIGHTS: usize = 1 << 25;

/// Softmax(q kᵀ / √head_width) v over the keys that `mask` allows. `query` is `[batch, heads, query_len, head_width]`, `key` and `value`
/// are `[batch, heads, key_len, head_width]`; the result is as `query`.
pub(crate) fn attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    mask: Option<&PrefixMask>,
) -> Tensor<4> {
    by_chunks(query, key, value, mask, MOST_WEIGHTS)
}

fn by_chunks(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    mask: Option<&PrefixMask>,
    most_weights: usize,
) -> Tensor<4> {
    let [batch, heads, query_len, _] = query.dims();
    let row = batch * heads * key.dims()[2];
    let chunk = (most_weights / row.max(1)).clamp(1, query_len.max(1));
    let device = query.device().inner();
    let bias = mask.map(|mask| mask.bias(&device));
    let form = Form {
        bias,
        chunk,
        precision: Precision::current(),
    };
    let inputs = [query, key, value];
    if !inputs[0].is_autodiff() {
        return form.forward(&inputs);
    }
    match on_backends(&inputs, &form) {
        Some(out) => out,
        None => form.plain(inputs),
    }
}

/// What attention is besides queries, keys and values.
#[derive(Clone, Debug)]
struct Form {
    /// Added to the scores: `[batch, 1, query_len, key_len]`, without a graph.
    bias: Option<Tensor<4>>,
    /// Queries at a time.
    chunk: usize,
    /// Of its products, forward and backward; softmax is of 32 bits.
    precision: Precision,
}

impl Form {
    /// Where chunks begin, and how many queries they have.
    fn chunks(&self, query_len: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let chunk = self.chunk;
        (0..query_len)
            .step_by(chunk)
            .map(move |start| (start, chunk.min(query_len - start)))
    }

    /// The weights of the queries from `start`, which are scaled already: `[batch, heads, queries, key_len]`.
    fn weights(&self, query: Tensor<4>, key: &Tensor<4>, start: usize) -> Tensor<4> {
        let [_, _, count, _] = query.dims();
        let scores = self.precision.matmul(query, key.clone().swap_dims(2, 3));
        let scores = match &self.bias {
            Some(bias) => scores + bias.clone().narrow(2, start, count),
            None => scores,
        };
        activation::softmax(scores, 3)
    }

    /// Without a graph.
    fn forward(&self, [query, key, value]: &[Tensor<4>; 3]) -> Tensor<4> {
        let query = query.clone() * scale(query);
        let chunks = self.chunks(query.dims()[2]).map(|(start, count)| {
            let weights = self.weights(query.clone().narrow(2, start, count), key, start);
            self.precision.matmul(weights, value.clone())
        });
        joined(chunks.collect())
    }

    /// The gradients of queries, keys and values from that of the result.
    fn backward(&self, [query, key, value]: &[Tensor<4>; 3], dout: Tensor<4>) -> [Tensor<4>; 3] {
        let scale = scale(query);
        let scaled = query.clone() * scale;
        let product = |left, right| self.precision.matmul(left, right);
        let (mut dquery, mut dkey, mut dvalue) = (Vec::new(), None, None);
        for (start, count) in self.chunks(query.dims()[2]) {
            let query = scaled.clone().narrow(2, start, count);
            let dout = dout.clone().narrow(2, start, count);
            let weights = self.weights(query.clone(), key, start);
            let from_values = product(weights.clone().swap_dims(2, 3), dout.clone());
            let dweights = product(dout, value.clone().swap_dims(2, 3));
            // Of softmax.
            let along = (dweights.clone() * weights.clone()).sum_dim(3);
            let dscores = weights * (dweights - along);
            let from_scores = product(dscores.clone().swap_dims(2, 3), query);
            dquery.push(product(dscores, key.clone()) * scale);
            dkey = Some(plus(dkey, from_scores));
            dvalue = Some(plus(dvalue, from_values));
        }
        [
            joined(dquery),
            dkey.unwrap_or_else(|| key.zeros_like()),
            dvalue.unwrap_or_else(|| value.zeros_like()),
        ]
    }

    /// In the graph, step by step: for a device whose graph keeps nothing as [`NoCheckpointing`] does.
    fn plain(self, [query, key, value]: [Tensor<4>; 3]) -> Tensor<4> {
        let scale = scale(&query);
        let form = Self {
            bias: self.bias.map(Tensor::from_inner),
            ..self
        };
        let weights = form.weights(query * scale, &key, 0);
        form.precision.matmul(weights, value)
    }
}

fn scale(query: &Tensor<4>) -> f32 {
    (query.dims()[3] as f32).powf(-0.5)
}

fn plus(sum: Option<Tensor<4>>, part: Tensor<4>) -> Tensor<4> {
    match sum {
        Some(sum) => sum + part,
        None => part,
    }
}

/// One after the other along the queries.
fn joined(mut chunks: Vec<Tensor<4>>) -> Tensor<4> {
    match chunks.len() {
        1 => chunks.remove(0),
        _ => Tensor::cat(chunks, 2),
    }
}

/// As a node of the graph, on whichever backend the tensors are.
fn on_backends(inputs: &[Tensor<4>; 3], form: &Form) -> Option<Tensor<4>> {
    let out = node::<Flex>(inputs, form);
    #[cfg(feature = "gpu")]
    let out = out.or_else(|| node::<burn::backend::Cube>(inputs, form));
    out
}

/// As a node of the graph on one backend; `None` if the tensors are not there.
fn node<B: Backend>(inputs: &[Tensor<4>; 3], form: &Form) -> Option<Tensor<4>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let tracked = inputs
        .iter()
        .map(|input| input.clone().try_into_primitive::<Autodiff<B>>());
    let tracked = tracked.collect::<Result<Vec<_>, _>>().ok()?;
    let tracked = <[FloatTensor<Autodiff<B>>; 3]>::try_from(tracked).ok()?;
    let inputs = tracked
        .each_ref()
        .map(|input| Tensor::<4>::from_primitive::<B>(input.primitive().clone()));
    let out = primitive::<B>(form.forward(&inputs));
    let nodes = tracked.each_ref().map(|input| input.node());
    let step = Attention::<B>(PhantomData).prepare::<NoCheckpointing>(nodes);
    let out = match step.compute_bound().stateful() {
        OpsKind::Tracked(step) => {
            let form = form.clone();
            step.finish(State { inputs, form }, out)
        }
        OpsKind::UnTracked(step) => step.finish(out),
    };
    Some(Tensor::from_primitive::<Autodiff<B>>(out))
}

/// A tensor that was made of those of a backend.
fn primitive<B: Backend>(tensor: Tensor<4>) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    match tensor.try_into_primitive::<B>() {
        Ok(primitive) => primitive,
        Err(error) => unreachable!("{error:?}"),
    }
}

/// What the backward pass works on.
#[derive(Clone, Debug)]
struct State {
    inputs: [Tensor<4>; 3],
    form: Form,
}

#[derive(Debug)]
struct Attention<B>(PhantomData<B>);

impl<B: Backend> Backward<B, 3> for Attention<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dout = Tensor::<4>::from_primitive::<B>(grads.consume::<B>(&ops.node));
        let State { inputs, form } = ops.state;
        let gradients = form.backward(&inputs, dout);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, primitive::<B>(gradient));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precision::with_precision;
    use burn::tensor::{Device, TensorData};
    use semaim_random::{Key, KeyedRng, Stream};

    const QUERIES: [usize; 4] = [2, 3, 7, 8];
    const KEYS: [usize; 4] = [2, 3, 9, 8];

    fn numbers(shape: [usize; 4], item: u64) -> TensorData {
        let mut rng = KeyedRng::new(Key::new(8, 0, item), Stream::Init);
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| rng.between(-2.0, 2.0) as f32)
            .collect();
        TensorData::new(values, shape)
    }

    /// The result and the gradients of the sum of its numbers, each times another.
    fn run(attend: impl Fn([Tensor<4>; 3]) -> Tensor<4>) -> Vec<Vec<f32>> {
        let device = Device::flex().autodiff();
        let shapes = [QUERIES, KEYS, KEYS];
        let inputs: [Tensor<4>; 3] = std::array::from_fn(|i| {
            Tensor::from_data(numbers(shapes[i], i as u64), &device).require_grad()
        });
        let out = attend(inputs.clone());
        let factors = Tensor::from_data(numbers(QUERIES, 9), &device);
        let gradients = (out.clone() * factors).sum().backward();
        let gradients = inputs.map(|input| input.grad(&gradients).unwrap());
        std::iter::once(out.inner())
            .chain(gradients)
            .map(|tensor| tensor.into_data().try_to_vec().unwrap())
            .collect()
    }

    /// Values and gradients, whatever the size of a chunk, are those of attention in one piece; in bf16, but for the rounding of what
    /// comes back, which the graph of the whole does not do.
    #[test]
    fn chunks_give_the_values_and_gradients_of_the_whole() {
        let mask = PrefixMask::new((0..14).map(|i| 1 + i * 5 % 9).collect(), 2, 9);
        for (mask, precision, tolerance) in [
            (None, Precision::F32, 1e-5),
            (Some(&mask), Precision::F32, 1e-5),
            (Some(&mask), Precision::Bf16, 2e-2),
        ] {
            let whole = |precision| {
                run(|inputs| {
                    let bias = mask.map(|mask| mask.bias(&Device::flex()));
                    let form = Form {
                        bias,
                        chunk: 7,
                        precision,
                    };
                    form.plain(inputs)
                })
            };
            let expected = whole(precision);
            assert_eq!(
                whole(Precision::F32) == expected,
                precision == Precision::F32
            );
            for chunk in [1, 2, 3, 7] {
                let most = chunk * 2 * 3 * 9;
                let found = run(|[query, key, value]| {
                    with_precision(precision, || by_chunks(query, key, value, mask, most))
                });
                for (found, expected) in found.iter().zip(&expected) {
                    assert_eq!(found.len(), expected.len());
                    let largest = expected.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
                    for (found, expected) in found.iter().zip(expected) {
                        let close = (found - expected).abs() <= tolerance * largest;
                        assert!(
                            close,
                            "{precision:?}, chunks of {chunk}: {found} {expected}"
                        );
                    }
                }
            }
        }
    }
}
