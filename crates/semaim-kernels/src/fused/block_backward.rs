//! The backward pass of a block: each group of samples through the block in reverse, then the weights' gradients.

use super::affine::{Packed, Side};
use super::attention::HeadGradients;
use super::block::{
    Activations, FC1, FC2, Input, K, PROJ, Q, SampleGroup, SavedActivations, Sizes, V, Weights,
    activation_sizes, attention_half, head, mlp_half, parts, with_activations,
};
use super::matmul::{Finish, Panels, Rows, RowsMut, pack_columns, packed_len, product};
use super::parallel;
use super::pool::PooledBuf;
use super::rows::{
    Moments, Norm, add_columns, gelu_backward, norm_backward, norm_moments, norm_packed, scaled,
};
use super::scratch::{UninitBuf, UninitSlice, with_scratch};
use super::weight_gradient::{self, Group};

/// Gradients of all that went into a block.
#[derive(Debug)]
pub(crate) struct Gradients {
    pub(crate) x: Vec<f32>,
    /// Empty where the block looked at its own input.
    pub(crate) context: Vec<f32>,
    pub(crate) vectors: Vectors,
    /// Of queries, keys and values, `[3 * width, width]` together.
    pub(crate) qkv: Vec<f32>,
    pub(crate) proj: Vec<f32>,
    pub(crate) fc1: Vec<f32>,
    pub(crate) fc2: Vec<f32>,
}

/// Gradients of the norms and biases, from one group or from all.
#[derive(Clone, Debug)]
pub(crate) struct Vectors {
    pub(crate) norm1: [Vec<f32>; 2],
    pub(crate) norm2: [Vec<f32>; 2],
    /// Of queries, keys and values, `[3 * width]` together.
    pub(crate) qkv: Vec<f32>,
    pub(crate) proj: Vec<f32>,
    pub(crate) fc1: Vec<f32>,
    pub(crate) fc2: Vec<f32>,
}

impl Vectors {
    fn zeros(sizes: &Sizes) -> Self {
        let zeros = |count: usize| vec![0.0; count];
        let width = sizes.width;
        Self {
            norm1: [zeros(width), zeros(width)],
            norm2: [zeros(width), zeros(width)],
            qkv: zeros(3 * width),
            proj: zeros(width),
            fc1: zeros(sizes.hidden),
            fc2: zeros(width),
        }
    }

    fn all(&mut self) -> [&mut Vec<f32>; 8] {
        let [scale1, shift1] = &mut self.norm1;
        let [scale2, shift2] = &mut self.norm2;
        let [qkv, proj, fc1, fc2] = [&mut self.qkv, &mut self.proj, &mut self.fc1, &mut self.fc2];
        [scale1, shift1, scale2, shift2, qkv, proj, fc1, fc2]
    }

    fn add(&mut self, mut other: Self) {
        for (sum, part) in self.all().into_iter().zip(other.all()) {
            let width = part.len();
            add_columns(Rows::dense(part, width), sum);
        }
    }
}

/// What a group leaves for the weights' gradients. Gradients are in rows, inputs of layers in panels.
struct BackwardBuffers<T> {
    /// Gradient of the MLP branch; only where drop_path have factors.
    mlp_branch: T,
    hidden: T,
    active: T,
    normal2: T,
    /// Gradient at the middle of the block.
    middle: T,
    /// Gradient of the attention branch; only where drop_path have factors.
    attention_branch: T,
    attn_out: T,
    q: T,
    k: T,
    v: T,
    normal1: T,
    /// Of the context, where there is one.
    normal_context: T,
}

impl<T> BackwardBuffers<T> {
    fn from_array(array: [T; 12]) -> Self {
        let [
            mlp_branch,
            hidden,
            active,
            normal2,
            middle,
            attention_branch,
            attn_out,
            q,
            k,
            v,
            normal1,
            normal_context,
        ] = array;
        Self {
            mlp_branch,
            hidden,
            active,
            normal2,
            middle,
            attention_branch,
            attn_out,
            q,
            k,
            v,
            normal1,
            normal_context,
        }
    }
}

/// Numbers that a group of this many samples leaves in each of [`BackwardBuffers`].
fn buffer_sizes(sizes: &Sizes, input: &Input<'_>, samples: usize) -> [usize; 12] {
    let Sizes { width, hidden, .. } = *sizes;
    let (query_len, key_len) = (samples * sizes.query_len, samples * sizes.key_len);
    let only_if = |needed: bool, size: usize| if needed { size } else { 0 };
    let factors = input.drop_path.is_some();
    [
        only_if(factors, query_len * width),
        query_len * hidden,
        packed_len(query_len, hidden),
        packed_len(query_len, width),
        query_len * width,
        only_if(factors, query_len * width),
        packed_len(query_len, width),
        query_len * width,
        key_len * width,
        key_len * width,
        packed_len(query_len, width),
        only_if(input.context.is_some(), packed_len(key_len, width)),
    ]
}

/// The gradients of a block from the gradient of its output, `[samples, query_len, width]`.
pub(crate) fn backward(
    input: &Input<'_>,
    weights: &Weights<'_>,
    kept: &SavedActivations,
    dout: &[f32],
) -> Gradients {
    let sizes = Sizes::of(input, weights);
    let Sizes { width, hidden, .. } = sizes;
    let back = Packed::of(&weights.layers(), Side::Backward);
    // Only what has to be computed again needs the weights as the forward pass does.
    let again = kept
        .h
        .is_empty()
        .then(|| Packed::of(&weights.layers(), Side::Forward));
    let parts = parts(input, &sizes);
    let group_sizes: Vec<[usize; 12]> = parts
        .iter()
        .map(|part| buffer_sizes(&sizes, input, part.samples))
        .collect();
    let mut left: [PooledBuf; 12] =
        std::array::from_fn(|i| PooledBuf::new(group_sizes.iter().map(|size| size[i]).sum()));
    let mut dx = UninitBuf::new(input.x.len());
    let mut dcontext = UninitBuf::new(input.context.map_or(0, <[f32]>::len));
    let per_group = sizes.per_group(input);
    let vectors = {
        let mut pieces: Vec<_> = left
            .iter_mut()
            .enumerate()
            .map(|(i, lent)| {
                lent.pieces_of(group_sizes.iter().map(|size| size[i]))
                    .into_iter()
            })
            .collect();
        let mut contexts = dcontext.pieces(per_group * sizes.key_len * width);
        let tasks: Vec<_> = parts
            .iter()
            .zip(dx.pieces(per_group * sizes.query_len * width))
            .zip(dout.chunks((per_group * sizes.query_len * width).max(1)))
            .enumerate()
            .map(|(group, ((part, dx), dout))| {
                let left: Vec<&mut [f32]> = pieces.iter_mut().filter_map(Iterator::next).collect();
                (group * per_group, part, dx, contexts.next(), dout, left)
            })
            .collect();
        let sums = parallel::results(tasks, |(first, part, dx, dcontext, dout, left)| {
            let mut left = left.into_iter();
            let mut task = GroupTask {
                part,
                sizes: &sizes,
                weights,
                back: &back,
                dout: Rows::dense(dout, width),
                left: BackwardBuffers::from_array(std::array::from_fn(|_| {
                    left.next().unwrap_or_default()
                })),
                vectors: Vectors::zeros(&sizes),
            };
            let (dx, dcontext) = (dx.zeros(), dcontext.map(UninitSlice::zeros));
            with_saved_or_recomputed(
                part,
                &sizes,
                weights,
                kept,
                again.as_ref(),
                first,
                |steps| {
                    task.run(&steps, dx, dcontext);
                },
            );
            task.vectors
        });
        sums.into_iter()
            .fold(Vectors::zeros(&sizes), |mut sum, part| {
                sum.add(part);
                sum
            })
    };
    let left = BackwardBuffers::from_array(left);
    let (mut qkv, mut proj) = (
        UninitBuf::new(3 * width * width),
        UninitBuf::new(width * width),
    );
    let (mut fc1, mut fc2) = (
        UninitBuf::new(hidden * width),
        UninitBuf::new(width * hidden),
    );
    {
        let groups = Groups {
            sizes: &sizes,
            parts: &parts,
            group_sizes: &group_sizes,
        };
        let has_factors = input.drop_path.is_some();
        let mlp_branch: &[f32] = if has_factors { &left.mlp_branch } else { dout };
        let attention_branch: &[f32] = if has_factors {
            &left.attention_branch
        } else {
            &left.middle
        };
        let (key_normal, key_index) = match input.context {
            Some(_) => (&left.normal_context, 11),
            None => (&left.normal1, 10),
        };
        let q = groups.of(&left.q, width, Tokens::Query, &left.normal1, 10, width);
        let k = groups.of(&left.k, width, Tokens::Key, key_normal, key_index, width);
        let v = groups.of(&left.v, width, Tokens::Key, key_normal, key_index, width);
        let for_proj = groups.of(
            attention_branch,
            width,
            Tokens::Query,
            &left.attn_out,
            6,
            width,
        );
        let for_fc1 = groups.of(&left.hidden, hidden, Tokens::Query, &left.normal2, 3, width);
        let for_fc2 = groups.of(mlp_branch, width, Tokens::Query, &left.active, 2, hidden);
        let sizes_of = |outputs, inputs| weight_gradient::piece_sizes(outputs, inputs);
        let mut qkv = qkv
            .pieces_of((0..3).flat_map(|_| sizes_of(width, width)))
            .into_iter();
        let mut tasks = Vec::new();
        for groups in [&q, &k, &v] {
            let count = sizes_of(width, width).count();
            tasks.extend(weight_gradient::tasks(
                groups,
                width,
                width,
                qkv.by_ref().take(count),
            ));
        }
        tasks.extend(weight_gradient::tasks(
            &for_proj,
            width,
            width,
            proj.pieces_of(sizes_of(width, width)),
        ));
        tasks.extend(weight_gradient::tasks(
            &for_fc1,
            hidden,
            width,
            fc1.pieces_of(sizes_of(hidden, width)),
        ));
        tasks.extend(weight_gradient::tasks(
            &for_fc2,
            width,
            hidden,
            fc2.pieces_of(sizes_of(width, hidden)),
        ));
        weight_gradient::largest_first(&mut tasks);
        parallel::each(tasks, weight_gradient::run);
    }
    // SAFETY: each task has filled its pieces, and the pieces cover the blanks.
    let [x, context, qkv, proj, fc1, fc2] =
        [dx, dcontext, qkv, proj, fc1, fc2].map(|blank| unsafe { blank.filled() });
    Gradients {
        x,
        context,
        vectors,
        qkv,
        proj,
        fc1,
        fc2,
    }
}

/// Which tokens rows stand for.
#[derive(Clone, Copy, Debug)]
enum Tokens {
    Query,
    Key,
}

/// Cuts what the groups left into one piece per group again.
struct Groups<'a> {
    sizes: &'a Sizes,
    parts: &'a [SampleGroup<'a>],
    group_sizes: &'a [[usize; 12]],
}

impl Groups<'_> {
    /// `dy` in rows of `dy_width`, `x` in panels of `x_width` columns, the `index`-th of [`buffer_sizes`].
    fn of<'b>(
        &self,
        dy: &'b [f32],
        dy_width: usize,
        tokens: Tokens,
        x: &'b [f32],
        index: usize,
        x_width: usize,
    ) -> Vec<Group<'b>> {
        let per_sample = match tokens {
            Tokens::Query => self.sizes.query_len,
            Tokens::Key => self.sizes.key_len,
        };
        let (mut row, mut number) = (0, 0);
        self.parts
            .iter()
            .zip(self.group_sizes)
            .map(|(part, sizes)| {
                let rows = part.samples * per_sample;
                let group = Group {
                    dy: Rows::dense(&dy[row * dy_width..][..rows * dy_width], dy_width),
                    x: Panels::new(&x[number..][..sizes[index]], rows, x_width),
                };
                row += rows;
                number += sizes[index];
                group
            })
            .collect()
    }
}

/// A group's steps for reading.
struct ActivationsRef<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    attn_out: &'a [f32],
    lse: &'a [f32],
    y: &'a [f32],
    h: &'a [f32],
}

/// Finds the steps of the group that begins with sample `first`, computing again what was not kept.
fn with_saved_or_recomputed(
    part: &SampleGroup<'_>,
    sizes: &Sizes,
    weights: &Weights<'_>,
    kept: &SavedActivations,
    again: Option<&Packed>,
    first: usize,
    f: impl FnOnce(ActivationsRef<'_>),
) {
    let per_sample = activation_sizes(sizes);
    let from_kept = |values: &'_ [f32], i: usize| -> std::ops::Range<usize> {
        if values.is_empty() {
            0..0
        } else {
            first * per_sample[i]..(first + part.samples) * per_sample[i]
        }
    };
    let SavedActivations {
        q,
        k,
        v,
        attn_out,
        lse,
        y,
        h,
    } = kept;
    let known = ActivationsRef {
        q: &q[from_kept(q, 0)],
        k: &k[from_kept(k, 1)],
        v: &v[from_kept(v, 2)],
        attn_out: &attn_out[from_kept(attn_out, 3)],
        lse: &lse[from_kept(lse, 4)],
        y: &y[from_kept(y, 5)],
        h: &h[from_kept(h, 6)],
    };
    let Some(packed) = again else { return f(known) };
    if !y.is_empty() {
        return with_scratch([part.samples * per_sample[6]], |[h]| {
            mlp_half(sizes, weights, packed, known.y, h, None);
            f(ActivationsRef { h, ..known });
        });
    }
    with_activations(part, &per_sample, Vec::new(), |mut steps| {
        attention_half(part, sizes, weights, packed, &mut steps);
        mlp_half(sizes, weights, packed, steps.y, steps.h, None);
        let Activations {
            q,
            k,
            v,
            attn_out,
            lse,
            y,
            h,
        } = steps;
        f(ActivationsRef {
            q,
            k,
            v,
            attn_out,
            lse,
            y,
            h,
        });
    });
}

/// One group on its way back.
struct GroupTask<'a> {
    part: &'a SampleGroup<'a>,
    sizes: &'a Sizes,
    weights: &'a Weights<'a>,
    back: &'a Packed,
    dout: Rows<'a>,
    left: BackwardBuffers<&'a mut [f32]>,
    vectors: Vectors,
}

impl GroupTask<'_> {
    fn run(&mut self, steps: &ActivationsRef<'_>, dx: &mut [f32], dcontext: Option<&mut [f32]>) {
        self.mlp(steps);
        self.attention(steps);
        self.inputs(dx, dcontext);
    }

    /// `dy_in W`, to `out` or added to it.
    fn through(&self, layer: usize, dy: &[f32], finish: Finish<'_>, out: &mut RowsMut<'_>) {
        let width = self.weights.layers()[layer].outputs();
        product(Rows::dense(dy, width), self.back.layer(layer), finish, out);
    }

    /// From the block's end to its middle: `left.middle`.
    fn mlp(&mut self, steps: &ActivationsRef<'_>) {
        let Sizes { width, hidden, .. } = *self.sizes;
        let (rows, weights) = (self.dout.count, self.weights);
        let mut branch = self.dout;
        if !self.left.mlp_branch.is_empty() {
            scaled(
                self.dout,
                self.part.factors[1],
                &mut RowsMut::dense(self.left.mlp_branch, width),
            );
            branch = Rows::dense(self.left.mlp_branch, width);
        }
        add_columns(branch, &mut self.vectors.fc2);
        let mut dh = RowsMut::dense(self.left.hidden, hidden);
        product(branch, self.back.layer(FC2), Finish::PLAIN, &mut dh);
        gelu_backward(Rows::dense(steps.h, hidden), &mut dh, self.left.active);
        let dh = Rows::dense(self.left.hidden, hidden);
        add_columns(dh, &mut self.vectors.fc1);
        let y = Rows::dense(steps.y, width);
        let moments = moments_of(y, weights.norm2, self.left.normal2);
        with_scratch([rows * width], |[dnormal]| {
            product(
                dh,
                self.back.layer(FC1),
                Finish::PLAIN,
                &mut RowsMut::dense(dnormal, width),
            );
            let [scale, shift] = &mut self.vectors.norm2;
            let mut middle = RowsMut::dense(self.left.middle, width);
            let dnormal = Rows::dense(dnormal, width);
            norm_backward(
                y,
                dnormal,
                weights.norm2,
                &moments,
                Some(self.dout),
                &mut middle,
                scale,
                shift,
            );
        });
    }

    /// From the middle to the queries, keys and values.
    fn attention(&mut self, steps: &ActivationsRef<'_>) {
        let Sizes {
            query_len,
            key_len,
            width,
            heads,
            ..
        } = *self.sizes;
        let has_factors = !self.left.attention_branch.is_empty();
        if has_factors {
            let mut out = RowsMut::dense(self.left.attention_branch, width);
            scaled(
                Rows::dense(self.left.middle, width),
                self.part.factors[0],
                &mut out,
            );
        }
        let attn_out = Rows::dense(steps.attn_out, width);
        pack_columns(attn_out, self.left.attn_out);
        with_scratch([self.left.middle.len()], |[dmixed]| {
            let branch = if has_factors {
                &*self.left.attention_branch
            } else {
                &*self.left.middle
            };
            add_columns(Rows::dense(branch, width), &mut self.vectors.proj);
            self.through(
                PROJ,
                branch,
                Finish::PLAIN,
                &mut RowsMut::dense(dmixed, width),
            );
            let dmixed = Rows::dense(dmixed, width);
            let mut dq = RowsMut::dense(self.left.q, width);
            let mut dk = RowsMut::dense(self.left.k, width);
            let mut dv = RowsMut::dense(self.left.v, width);
            let head_width = width / heads;
            for sample in 0..self.part.samples {
                for i in 0..heads {
                    let column = i * head_width;
                    let lse = &steps.lse[(sample * heads + i) * query_len..][..query_len];
                    let to = HeadGradients {
                        q: dq.part(sample * query_len, query_len, column, head_width),
                        k: dk.part(sample * key_len, key_len, column, head_width),
                        v: dv.part(sample * key_len, key_len, column, head_width),
                    };
                    let out = attn_out.part(sample * query_len, query_len, column, head_width);
                    let dout = dmixed.part(sample * query_len, query_len, column, head_width);
                    let head = head(
                        self.part,
                        self.sizes,
                        [steps.q, steps.k, steps.v],
                        sample,
                        i,
                    );
                    head.backward(out, lse, dout, to);
                }
            }
        });
        let [q, rest] = split(&mut self.vectors.qkv, width);
        let [k, v] = split(rest, width);
        for (rows, sums) in [(&*self.left.q, q), (&*self.left.k, k), (&*self.left.v, v)] {
            add_columns(Rows::dense(rows, width), sums);
        }
    }

    /// From queries, keys and values to the block's inputs.
    fn inputs(&mut self, dx: &mut [f32], dcontext: Option<&mut [f32]>) {
        let width = self.sizes.width;
        let (part, norm1) = (self.part, self.weights.norm1);
        let moments = moments_of(part.x, norm1, self.left.normal1);
        let longest = self.left.q.len().max(self.left.k.len());
        with_scratch([longest], |[dnormal]| {
            let count = part.x.count;
            let mut out = RowsMut::new(dnormal, count, width, width);
            self.through(Q, self.left.q, Finish::PLAIN, &mut out);
            if part.context.is_none() {
                self.through(K, self.left.k, Finish::ADD, &mut out);
                self.through(V, self.left.v, Finish::ADD, &mut out);
            }
            let [scale, shift] = &mut self.vectors.norm1;
            let (dnormal_x, middle) = (
                Rows::new(dnormal, count, width, width),
                Rows::dense(self.left.middle, width),
            );
            let mut dx = RowsMut::dense(dx, width);
            norm_backward(
                part.x,
                dnormal_x,
                norm1,
                &moments,
                Some(middle),
                &mut dx,
                scale,
                shift,
            );
            let (Some(context), Some(dcontext)) = (part.context, dcontext) else {
                return;
            };
            let moments = moments_of(context, norm1, self.left.normal_context);
            let mut out = RowsMut::new(dnormal, context.count, width, width);
            self.through(K, self.left.k, Finish::PLAIN, &mut out);
            self.through(V, self.left.v, Finish::ADD, &mut out);
            let dnormal = Rows::new(dnormal, context.count, width, width);
            let [scale, shift] = &mut self.vectors.norm1;
            let mut dcontext = RowsMut::dense(dcontext, width);
            norm_backward(
                context,
                dnormal,
                norm1,
                &moments,
                None,
                &mut dcontext,
                scale,
                shift,
            );
        });
    }
}

/// The moments of a layer norm's rows; its output is written to `packed` in panels.
fn moments_of(x: Rows<'_>, weights: Norm<'_>, packed: &mut [f32]) -> Vec<Moments> {
    let mut moments = vec![Moments::default(); x.count];
    norm_moments(x, weights.epsilon, &mut moments);
    norm_packed(x, weights, &moments, packed);
    moments
}

fn split(values: &mut [f32], at: usize) -> [&mut [f32]; 2] {
    let (first, second) = values.split_at_mut(at);
    [first, second]
}
