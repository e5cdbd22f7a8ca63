//! One transformer block, forward and backward, a group of samples per task.
//!
//! A task takes a few samples (about [`GROUP_ROWS`] rows) through the whole block on one thread: there is nothing to
//! wait for, and what one step writes the next one finds in the cache. Only the weights' gradients are formed
//! afterwards, over all groups.

use super::attention::Head;
use serde::{Deserialize, Serialize};

use super::affine::{Affine, Packed, Side};
use super::layers::apart;
use super::matmul::{Base, Finish, Rows, RowsMut, product};
use super::parallel;
use super::pool::Lent;
use super::rows::{Moments, Norm, gelu, norm};
use super::scratch::{Blank, with_scratch};

/// Rows that a task should have at least, if the batch has them: enough to use each panel of the weights well.
pub(crate) const GROUP_ROWS: usize = 192;

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
    /// `[samples, looking, width]`.
    pub(crate) x: &'a [f32],
    /// The tokens looked at, `[samples, seen, width]`; `None`: `x` itself.
    pub(crate) context: Option<&'a [f32]>,
    /// How many of the seen tokens each looking token sees, `[samples, looking]`; `None`: all.
    pub(crate) visible: Option<&'a [u32]>,
    /// Factors of the two branches, `[samples]` each; `None`: 1.
    pub(crate) branches: Option<[&'a [f32]; 2]>,
}

/// The sizes of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) samples: usize,
    pub(super) looking: usize,
    pub(super) seen: usize,
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
            looking: tokens(input.x),
            seen: tokens(input.context.unwrap_or(input.x)),
            width,
            heads: input.heads,
            hidden: weights.fc1.outputs(),
        }
    }

    /// Samples per task. It depends on nothing but the sizes: gradients are summed group by group.
    pub(super) fn per_group(&self, input: &Input<'_>) -> usize {
        match input.branches {
            // Each sample has factors of its own.
            Some(_) => 1,
            None => (GROUP_ROWS / self.looking.max(1)).max(1),
        }
    }
}

/// What the forward pass keeps for the backward pass; empty where it is to be computed again.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(super) q: Lent,
    pub(super) k: Lent,
    pub(super) v: Lent,
    pub(super) mixed: Lent,
    pub(super) log_sums: Lent,
    pub(super) y: Lent,
    pub(super) h: Lent,
}

/// What the backward pass computes again instead of keeping it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recompute {
    /// Nothing.
    #[default]
    None,
    /// The hidden layer of the MLP, the largest part of what would be kept.
    Mlp,
    /// The whole block, from its input.
    Block,
}

/// What a block computes on its way, for one group; shapes `[rows, …]` without gaps.
pub(super) struct Steps<'a> {
    pub(super) q: &'a mut [f32],
    pub(super) k: &'a mut [f32],
    pub(super) v: &'a mut [f32],
    pub(super) mixed: &'a mut [f32],
    pub(super) log_sums: &'a mut [f32],
    pub(super) y: &'a mut [f32],
    pub(super) h: &'a mut [f32],
}

/// Numbers per sample of each of the [`Steps`].
pub(super) fn step_sizes(sizes: &Sizes) -> [usize; 7] {
    let Sizes {
        looking,
        seen,
        width,
        ..
    } = *sizes;
    [
        looking * width,
        seen * width,
        seen * width,
        looking * width,
        looking * sizes.heads,
        looking * width,
        looking * sizes.hidden,
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
pub(super) struct Part<'a> {
    pub(super) samples: usize,
    pub(super) x: Rows<'a>,
    pub(super) context: Option<Rows<'a>>,
    visible: Option<&'a [u32]>,
    /// Factors of the two branches; groups of more than one sample have none.
    pub(super) factors: [f32; 2],
}

pub(super) fn parts<'a>(input: &Input<'a>, sizes: &Sizes) -> Vec<Part<'a>> {
    let per_group = sizes.per_group(input);
    (0..sizes.samples)
        .step_by(per_group)
        .map(|first| {
            let samples = per_group.min(sizes.samples - first);
            let rows = |values: &'a [f32], tokens: usize| {
                let numbers = tokens * sizes.width;
                Rows::dense(&values[first * numbers..][..samples * numbers], sizes.width)
            };
            Part {
                samples,
                x: rows(input.x, sizes.looking),
                context: input.context.map(|context| rows(context, sizes.seen)),
                visible: input
                    .visible
                    .map(|all| &all[first * sizes.looking..][..samples * sizes.looking]),
                factors: input
                    .branches
                    .map_or([1.0; 2], |[attention, mlp]| [attention[first], mlp[first]]),
            }
        })
        .collect()
}

/// The head `head` of sample `sample` of a group.
pub(super) fn head<'a>(
    part: &Part<'a>,
    sizes: &Sizes,
    [q, k, v]: [&'a [f32]; 3],
    sample: usize,
    head: usize,
) -> Head<'a> {
    let Sizes {
        looking,
        seen,
        width,
        heads,
        ..
    } = *sizes;
    let column = head * (width / heads);
    let view = |values, tokens| {
        Rows::dense(values, width).part(sample * tokens, tokens, column, width / heads)
    };
    Head {
        q: view(q, looking),
        k: view(k, seen),
        v: view(v, seen),
        visible: part.visible.map(|all| &all[sample * looking..][..looking]),
    }
}

/// From a group's input to the middle of the block.
pub(super) fn attention_half(
    part: &Part<'_>,
    sizes: &Sizes,
    weights: &Weights<'_>,
    packed: &Packed,
    steps: &mut Steps<'_>,
) {
    let Sizes {
        looking,
        width,
        heads,
        ..
    } = *sizes;
    let longest = part
        .x
        .count
        .max(part.context.map_or(0, |context| context.count));
    with_scratch([longest * width], |[normal]| {
        let mut moments = vec![Moments::default(); longest];
        let count = part.x.count;
        norm(
            part.x,
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
        linear(x, Q, weights.q.bias, steps.q);
        let count = part.context.map_or(count, |context| context.count);
        if let Some(context) = part.context {
            norm(
                context,
                weights.norm1,
                &mut moments[..count],
                &mut RowsMut::new(normal, count, width, width),
            );
        }
        let context = Rows::new(normal, count, width, width);
        linear(context, K, weights.k.bias, steps.k);
        linear(context, V, weights.v.bias, steps.v);
    });
    for sample in 0..part.samples {
        for i in 0..heads {
            let head_width = width / heads;
            let log_sums = &mut steps.log_sums[(sample * heads + i) * looking..][..looking];
            let mut mixed = RowsMut::dense(steps.mixed, width);
            let mut out = mixed.part(sample * looking, looking, i * head_width, head_width);
            head(part, sizes, [steps.q, steps.k, steps.v], sample, i).forward(&mut out, log_sums);
        }
    }
    let finish = Finish {
        base: Base::Rows(part.x),
        bias: weights.proj.bias,
        scale: part.factors[0],
    };
    let mixed = Rows::dense(steps.mixed, width);
    product(
        mixed,
        packed.layer(PROJ),
        finish,
        &mut RowsMut::dense(steps.y, width),
    );
}

/// From the middle of the block, `y`, to the hidden layer `h`, and to the block's end if it is wanted.
pub(super) fn mlp_half(
    sizes: &Sizes,
    weights: &Weights<'_>,
    packed: &Packed,
    y: &[f32],
    h: &mut [f32],
    end: Option<(f32, &mut [f32])>,
) {
    let Sizes { width, hidden, .. } = *sizes;
    let y = Rows::dense(y, width);
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
    let Some((factor, out)) = end else { return };
    let stride = apart(hidden);
    with_scratch([y.count * stride], |[active]| {
        gelu(
            Rows::dense(h, hidden),
            &mut RowsMut::new(active, y.count, hidden, stride),
        );
        let finish = Finish {
            base: Base::Rows(y),
            bias: weights.fc2.bias,
            scale: factor,
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

/// The block's output `[samples, looking, width]`, and what its backward pass needs, if it is to be kept.
pub(crate) fn forward(
    input: &Input<'_>,
    weights: &Weights<'_>,
    keep: Option<Recompute>,
) -> (Vec<f32>, Kept) {
    let sizes = Sizes::of(input, weights);
    let packed = Packed::of(&weights.layers(), Side::Forward);
    let per_sample = step_sizes(&sizes);
    let kept = match keep {
        None | Some(Recompute::Block) => [false; 7],
        Some(Recompute::Mlp) => [true, true, true, true, true, true, false],
        Some(Recompute::None) => [true; 7],
    };
    let per_group = sizes.per_group(input);
    let mut out = Blank::new(sizes.samples * sizes.looking * sizes.width);
    let mut steps: [Lent; 7] = std::array::from_fn(|i| {
        Lent::new(if kept[i] {
            sizes.samples * per_sample[i]
        } else {
            0
        })
    });
    {
        let mut pieces: Vec<_> = steps
            .iter_mut()
            .zip(per_sample)
            .map(|(steps, size)| steps.chunks_mut((per_group * size).max(1)))
            .collect();
        let tasks: Vec<_> = parts(input, &sizes)
            .into_iter()
            .zip(out.pieces(per_group * sizes.looking * sizes.width))
            .map(|(part, out)| {
                let pieces: Vec<Option<&mut [f32]>> =
                    pieces.iter_mut().map(Iterator::next).collect();
                (part, out, pieces)
            })
            .collect();
        drop(pieces);
        parallel::each(tasks, |(part, out, pieces)| {
            let out = out.zeros();
            with_steps(&part, &per_sample, pieces, |mut steps| {
                attention_half(&part, &sizes, weights, &packed, &mut steps);
                let end = Some((part.factors[1], &mut *out));
                mlp_half(&sizes, weights, &packed, steps.y, steps.h, end);
            });
        });
    }
    // SAFETY: each task has filled its piece, and there is a task for every group.
    let out = unsafe { out.filled() };
    let [q, k, v, mixed, log_sums, y, h] = steps;
    let kept = Kept {
        q,
        k,
        v,
        mixed,
        log_sums,
        y,
        h,
    };
    (out, kept)
}

/// Lends a group's steps: the kept pieces where there are any, scratch otherwise.
pub(super) fn with_steps<R>(
    part: &Part<'_>,
    per_sample: &[usize; 7],
    pieces: Vec<Option<&mut [f32]>>,
    f: impl FnOnce(Steps<'_>) -> R,
) -> R {
    let mut pieces = pieces.into_iter();
    let kept: [Option<&mut [f32]>; 7] = std::array::from_fn(|_| pieces.next().flatten());
    let missing: [usize; 7] = std::array::from_fn(|i| match kept[i] {
        Some(_) => 0,
        None => part.samples * per_sample[i],
    });
    with_scratch(missing, |scratch| {
        let mut steps = kept
            .into_iter()
            .zip(scratch)
            .map(|(kept, scratch)| kept.unwrap_or(scratch));
        let mut next = || steps.next().unwrap_or_default();
        f(Steps {
            q: next(),
            k: next(),
            v: next(),
            mixed: next(),
            log_sums: next(),
            y: next(),
            h: next(),
        })
    })
}
