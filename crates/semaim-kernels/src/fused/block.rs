//! One transformer block, forward and backward, a group of samples per task.
//!
//! A task takes a few samples (about [`GROUP_ROWS`] rows) through the whole block on one thread: there is nothing to
//! wait for, and what one step writes the next one finds in the cache. Only the weights' gradients are formed
//! afterwards, over all groups.

use super::affine::{Affine, Packed, Side};
use super::attention::Head;
use super::matmul::{Base, Finish, PanelFormat, Rows, RowsMut, product};
use super::parallel;
use super::pool::PooledBuf;
use super::rows::{Moments, Norm, gelu, norm, scaled};
use super::scratch::{UninitBuf, with_scratch};
use super::tiling::{GROUP_ROWS, padded_stride};
use crate::types::Recompute;

/// The weights of a block. Queries, keys and values are three layers, also where a checkpoint has them as one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights<'a> {
    pub(crate) norm1: Norm<'a>,
    pub(crate) q: Affine<'a>,
    pub(crate) k: Affine<'a>,
    pub(crate) v: Affine<'a>,
    pub(crate) proj: Affine<'a>,
    pub(crate) norm2: Norm<'a>,
    pub(crate) fc1: Affine<'a>,
    pub(crate) fc2: Affine<'a>,
}

impl<'a> Weights<'a> {
    pub(super) fn layers(&self) -> [Affine<'a>; 6] {
        [self.q, self.k, self.v, self.proj, self.fc1, self.fc2]
    }
}

/// What a block is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    pub(crate) samples: usize,
    pub(crate) heads: usize,
    /// `[samples, query_len, width]`.
    pub(crate) x: &'a [f32],
    /// The tokens attended to, `[samples, key_len, width]`; `None`: `x` itself.
    pub(crate) context: Option<&'a [f32]>,
    /// How many of the keys each query attends to, `[samples, query_len]`; `None`: all.
    pub(crate) prefix_lens: Option<&'a [u32]>,
    /// Factors of the two drop_path, `[samples]` each; `None`: 1.
    pub(crate) drop_path: Option<[&'a [f32]; 2]>,
    /// In which precision products are formed.
    pub(crate) format: PanelFormat,
}

/// The sizes of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) samples: usize,
    pub(super) query_len: usize,
    pub(super) key_len: usize,
    pub(super) width: usize,
    pub(super) heads: usize,
    pub(super) hidden: usize,
}

impl Sizes {
    pub(super) fn of(input: &Input<'_>, weights: &Weights<'_>) -> Self {
        let (width, samples) = (weights.proj.outputs(), input.samples);
        let tokens = |values: &[f32]| values.len() / (samples * width).max(1);
        Self {
            samples,
            query_len: tokens(input.x),
            key_len: tokens(input.context.unwrap_or(input.x)),
            width,
            heads: input.heads,
            hidden: weights.fc1.outputs(),
        }
    }

    /// Samples per task. It depends on nothing but the sizes: gradients are summed group by group.
    pub(super) fn per_group(&self, input: &Input<'_>) -> usize {
        match input.drop_path {
            // Each sample has factors of its own.
            Some(_) => 1,
            None => (GROUP_ROWS / self.query_len.max(1)).max(1),
        }
    }
}

/// What the forward pass keeps for the backward pass; empty where it is to be computed again.
#[derive(Debug, Default)]
pub(crate) struct SavedActivations {
    pub(super) q: PooledBuf,
    pub(super) k: PooledBuf,
    pub(super) v: PooledBuf,
    pub(super) attn_out: PooledBuf,
    pub(super) lse: PooledBuf,
    pub(super) y: PooledBuf,
    pub(super) h: PooledBuf,
}

/// What a block computes on its way, for one group; shapes `[rows, …]` without gaps.
pub(super) struct Activations<'a> {
    pub(super) q: &'a mut [f32],
    pub(super) k: &'a mut [f32],
    pub(super) v: &'a mut [f32],
    pub(super) attn_out: &'a mut [f32],
    pub(super) lse: &'a mut [f32],
    pub(super) y: &'a mut [f32],
    pub(super) h: &'a mut [f32],
}

/// Numbers per sample of each of the [`Activations`].
pub(super) fn activation_sizes(sizes: &Sizes) -> [usize; 7] {
    let Sizes {
        query_len,
        key_len,
        width,
        ..
    } = *sizes;
    [
        query_len * width,
        key_len * width,
        key_len * width,
        query_len * width,
        query_len * sizes.heads,
        query_len * width,
        query_len * sizes.hidden,
    ]
}

// Places in `Weights::layers`.
pub(super) const Q: usize = 0;
pub(super) const K: usize = 1;
pub(super) const V: usize = 2;
pub(super) const PROJ: usize = 3;
pub(super) const FC1: usize = 4;
pub(super) const FC2: usize = 5;

/// One group of samples of a block's input.
#[derive(Clone, Copy)]
pub(super) struct SampleGroup<'a> {
    pub(super) samples: usize,
    pub(super) x: Rows<'a>,
    pub(super) context: Option<Rows<'a>>,
    prefix_lens: Option<&'a [u32]>,
    /// Factors of the two drop_path; groups of more than one sample have none.
    pub(super) factors: [f32; 2],
}

impl SampleGroup<'_> {
    /// Whether drop path leaves the attention branch out.
    pub(super) fn drops_attention(&self) -> bool {
        self.factors[0] == 0.0
    }

    /// Whether drop path leaves the MLP branch out.
    pub(super) fn drops_mlp(&self) -> bool {
        self.factors[1] == 0.0
    }
}

pub(super) fn sample_groups<'a>(input: &Input<'a>, sizes: &Sizes) -> Vec<SampleGroup<'a>> {
    let per_group = sizes.per_group(input);
    (0..sizes.samples)
        .step_by(per_group)
        .map(|first| {
            let samples = per_group.min(sizes.samples - first);
            let rows = |values: &'a [f32], tokens: usize| {
                let numbers = tokens * sizes.width;
                Rows::dense(&values[first * numbers..][..samples * numbers], sizes.width)
            };
            SampleGroup {
                samples,
                x: rows(input.x, sizes.query_len),
                context: input.context.map(|context| rows(context, sizes.key_len)),
                prefix_lens: input
                    .prefix_lens
                    .map(|all| &all[first * sizes.query_len..][..samples * sizes.query_len]),
                factors: input
                    .drop_path
                    .map_or([1.0; 2], |[attention, mlp]| [attention[first], mlp[first]]),
            }
        })
        .collect()
}

/// The head `head` of sample `sample` of a group.
pub(super) fn head<'a>(
    group: &SampleGroup<'a>,
    sizes: &Sizes,
    [q, k, v]: [&'a [f32]; 3],
    format: PanelFormat,
    sample: usize,
    head: usize,
) -> Head<'a> {
    let Sizes {
        query_len,
        key_len,
        width,
        heads,
        ..
    } = *sizes;
    let column = head * (width / heads);
    let view = |values, tokens| {
        Rows::dense(values, width).part(sample * tokens, tokens, column, width / heads)
    };
    Head {
        q: view(q, query_len),
        k: view(k, key_len),
        v: view(v, key_len),
        prefix_lens: group
            .prefix_lens
            .map(|all| &all[sample * query_len..][..query_len]),
        format,
    }
}

/// From a group's input to the middle of the block, `y`. Of a branch that is left out nothing else is written.
pub(super) fn attention_branch(
    group: &SampleGroup<'_>,
    sizes: &Sizes,
    weights: &Weights<'_>,
    packed: &Packed,
    activations: &mut Activations<'_>,
) {
    let Sizes {
        query_len,
        width,
        heads,
        ..
    } = *sizes;
    if group.drops_attention() {
        return scaled(group.x, 1.0, &mut RowsMut::dense(activations.y, width));
    }
    let longest = group
        .x
        .count
        .max(group.context.map_or(0, |context| context.count));
    with_scratch([longest * width], |[normal]| {
        let mut moments = vec![Moments::default(); longest];
        let count = group.x.count;
        norm(
            group.x,
            weights.norm1,
            &mut moments[..count],
            &mut RowsMut::new(normal, count, width, width),
        );
        let x = Rows::new(normal, count, width, width);
        let linear = |x: Rows<'_>, layer: usize, bias, out: &mut [f32]| {
            product(
                x,
                packed.layer(layer),
                Finish::bias(bias),
                &mut RowsMut::dense(out, width),
            );
        };
        linear(x, Q, weights.q.bias, activations.q);
        let count = group.context.map_or(count, |context| context.count);
        if let Some(context) = group.context {
            norm(
                context,
                weights.norm1,
                &mut moments[..count],
                &mut RowsMut::new(normal, count, width, width),
            );
        }
        let context = Rows::new(normal, count, width, width);
        linear(context, K, weights.k.bias, activations.k);
        linear(context, V, weights.v.bias, activations.v);
    });
    for sample in 0..group.samples {
        for i in 0..heads {
            let head_width = width / heads;
            let lse = &mut activations.lse[(sample * heads + i) * query_len..][..query_len];
            let mut attn_out = RowsMut::dense(activations.attn_out, width);
            let mut out = attn_out.part(sample * query_len, query_len, i * head_width, head_width);
            head(
                group,
                sizes,
                [activations.q, activations.k, activations.v],
                packed.format(),
                sample,
                i,
            )
            .forward(&mut out, lse);
        }
    }
    let finish = Finish {
        base: Base::Rows(group.x),
        bias: weights.proj.bias,
        scale: group.factors[0],
    };
    let attn_out = Rows::dense(activations.attn_out, width);
    product(
        attn_out,
        packed.layer(PROJ),
        finish,
        &mut RowsMut::dense(activations.y, width),
    );
}

/// From the middle of the block, `y`, to the hidden layer `h`, and to the block's end if it is wanted. Of a branch that is
/// left out the hidden layer is not written.
pub(super) fn mlp_branch(
    group: &SampleGroup<'_>,
    sizes: &Sizes,
    weights: &Weights<'_>,
    packed: &Packed,
    y: &[f32],
    h: &mut [f32],
    end: Option<&mut [f32]>,
) {
    let Sizes { width, hidden, .. } = *sizes;
    let y = Rows::dense(y, width);
    if group.drops_mlp() {
        if let Some(out) = end {
            scaled(y, 1.0, &mut RowsMut::dense(out, width));
        }
        return;
    }
    with_scratch([y.count * width], |[normal]| {
        let mut moments = vec![Moments::default(); y.count];
        norm(
            y,
            weights.norm2,
            &mut moments,
            &mut RowsMut::dense(normal, width),
        );
        let normal = Rows::dense(normal, width);
        let finish = Finish::bias(weights.fc1.bias);
        product(
            normal,
            packed.layer(FC1),
            finish,
            &mut RowsMut::dense(h, hidden),
        );
    });
    let Some(out) = end else { return };
    let stride = padded_stride(hidden);
    with_scratch([y.count * stride], |[active]| {
        gelu(
            Rows::dense(h, hidden),
            &mut RowsMut::new(active, y.count, hidden, stride),
        );
        let finish = Finish {
            base: Base::Rows(y),
            bias: weights.fc2.bias,
            scale: group.factors[1],
        };
        let active = Rows::new(active, y.count, hidden, stride);
        product(
            active,
            packed.layer(FC2),
            finish,
            &mut RowsMut::dense(out, width),
        );
    });
}

/// The block's output `[samples, query_len, width]`, and what its backward pass needs, if it is to be kept.
pub(crate) fn forward(
    input: &Input<'_>,
    weights: &Weights<'_>,
    keep: Option<Recompute>,
) -> (Vec<f32>, SavedActivations) {
    let sizes = Sizes::of(input, weights);
    let packed = Packed::of(&weights.layers(), Side::Forward, input.format);
    let per_sample = activation_sizes(&sizes);
    let saved = match keep {
        None | Some(Recompute::Block) => [false; 7],
        Some(Recompute::Mlp) => [true, true, true, true, true, true, false],
        Some(Recompute::None) => [true; 7],
    };
    let per_group = sizes.per_group(input);
    let mut out = UninitBuf::new(sizes.samples * sizes.query_len * sizes.width);
    let mut activations: [PooledBuf; 7] = std::array::from_fn(|i| {
        PooledBuf::new(if saved[i] {
            sizes.samples * per_sample[i]
        } else {
            0
        })
    });
    {
        let mut pieces: Vec<_> = activations
            .iter_mut()
            .zip(per_sample)
            .map(|(activations, size)| activations.chunks_mut((per_group * size).max(1)))
            .collect();
        let tasks: Vec<_> = sample_groups(input, &sizes)
            .into_iter()
            .zip(out.pieces(per_group * sizes.query_len * sizes.width))
            .map(|(group, out)| {
                let pieces: Vec<Option<&mut [f32]>> =
                    pieces.iter_mut().map(Iterator::next).collect();
                (group, out, pieces)
            })
            .collect();
        drop(pieces);
        parallel::each(tasks, |(group, out, pieces)| {
            let out = out.zeros();
            with_activations(&group, &per_sample, pieces, |mut activations| {
                attention_branch(&group, &sizes, weights, &packed, &mut activations);
                let end = Some(&mut *out);
                mlp_branch(
                    &group,
                    &sizes,
                    weights,
                    &packed,
                    activations.y,
                    activations.h,
                    end,
                );
            });
        });
    }
    // SAFETY: each task has filled its piece, and there is a task for every group.
    let out = unsafe { out.filled() };
    let [q, k, v, attn_out, lse, y, h] = activations;
    let saved = SavedActivations {
        q,
        k,
        v,
        attn_out,
        lse,
        y,
        h,
    };
    (out, saved)
}

/// Lends a group's activations: the saved pieces where there are any, scratch otherwise.
pub(super) fn with_activations<R>(
    group: &SampleGroup<'_>,
    per_sample: &[usize; 7],
    pieces: Vec<Option<&mut [f32]>>,
    f: impl FnOnce(Activations<'_>) -> R,
) -> R {
    let mut pieces = pieces.into_iter();
    let saved: [Option<&mut [f32]>; 7] = std::array::from_fn(|_| pieces.next().flatten());
    let missing: [usize; 7] = std::array::from_fn(|i| match saved[i] {
        Some(_) => 0,
        None => group.samples * per_sample[i],
    });
    with_scratch(missing, |scratch| {
        let mut activations = saved
            .into_iter()
            .zip(scratch)
            .map(|(saved, scratch)| saved.unwrap_or(scratch));
        let mut next = || activations.next().unwrap_or_default();
        f(Activations {
            q: next(),
            k: next(),
            v: next(),
            attn_out: next(),
            lse: next(),
            y: next(),
            h: next(),
        })
    })
}
