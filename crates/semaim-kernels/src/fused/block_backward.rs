//! The backward pass of a block: each group of samples through the block in reverse, then the weights' gradients.

mod activations;
mod attention_part;
mod buffers;
mod mlp_part;

use self::activations::{ActivationsRef, with_saved_or_recomputed};
use self::buffers::{AllBuffers, BackwardBuffers, pair};
use super::affine::{Packed, Side};
use super::block::{Input, SampleGroup, SavedActivations, Sizes, Weights, sample_groups};
use super::matmul::{PanelFormat, Rows};
use super::parallel;
use super::rows::{Moments, Norm, add_columns, norm_moments, norm_packed};
use super::scratch::{UninitBuf, UninitSlice};
use super::weight_gradient;

/// Gradients of all that went into a block.
#[derive(Debug)]
pub(crate) struct Gradients {
    pub(crate) x: Vec<f32>,
    /// Empty where the block attended to its own input.
    pub(crate) context: Vec<f32>,
    pub(crate) vectors: VectorGradients,
    /// Of queries, keys and values, `[3 * width, width]` together.
    pub(crate) qkv: Vec<f32>,
    pub(crate) proj: Vec<f32>,
    pub(crate) fc1: Vec<f32>,
    pub(crate) fc2: Vec<f32>,
}

/// Gradients of the norms and biases, from one group or from all.
#[derive(Clone, Debug)]
pub(crate) struct VectorGradients {
    pub(crate) norm1: [Vec<f32>; 2],
    pub(crate) norm2: [Vec<f32>; 2],
    /// Of queries, keys and values, `[3 * width]` together.
    pub(crate) qkv: Vec<f32>,
    pub(crate) proj: Vec<f32>,
    pub(crate) fc1: Vec<f32>,
    pub(crate) fc2: Vec<f32>,
}

impl VectorGradients {
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

/// The gradients of a block from the gradient of its output, `[samples, query_len, width]`.
pub(crate) fn backward(
    input: &Input<'_>,
    weights: &Weights<'_>,
    saved: &SavedActivations,
    dout: &[f32],
) -> Gradients {
    let sizes = Sizes::of(input, weights);
    let groups = sample_groups(input, &sizes);
    let mut buffers = AllBuffers::new(&sizes, input, &groups);
    let (x, context, vectors) =
        group_gradients(input, weights, &sizes, &groups, saved, dout, &mut buffers);
    let [qkv, proj, fc1, fc2] = weight_gradients(input, &sizes, &groups, &buffers.all(), dout);
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

/// Takes each group through the block in reverse: gradients of the inputs, of the norms and biases, and what the
/// weights' gradients are made of.
fn group_gradients(
    input: &Input<'_>,
    weights: &Weights<'_>,
    sizes: &Sizes,
    groups: &[SampleGroup<'_>],
    saved: &SavedActivations,
    dout: &[f32],
    buffers: &mut AllBuffers,
) -> (Vec<f32>, Vec<f32>, VectorGradients) {
    let back = Packed::of(&weights.layers(), Side::Backward, input.format);
    // Only what has to be computed again needs the weights as the forward pass does.
    let again = saved
        .h
        .is_empty()
        .then(|| Packed::of(&weights.layers(), Side::Forward, input.format));
    let mut dx = UninitBuf::new(input.x.len());
    let mut dcontext = UninitBuf::new(input.context.map_or(0, <[f32]>::len));
    let per_group = sizes.per_group(input);
    let numbers = per_group * sizes.query_len * sizes.width;
    let sums = {
        let mut contexts = dcontext.pieces(per_group * sizes.key_len * sizes.width);
        let tasks: Vec<_> = groups
            .iter()
            .zip(dx.pieces(numbers))
            .zip(dout.chunks(numbers.max(1)))
            .zip(buffers.by_group())
            .enumerate()
            .map(|(i, (((group, dx), dout), buffers))| {
                let task = GroupTask {
                    group,
                    sizes,
                    weights,
                    back: &back,
                    dout: Rows::dense(dout, sizes.width),
                    buffers,
                    vectors: VectorGradients::zeros(sizes),
                };
                (i * per_group, task, dx, contexts.next())
            })
            .collect();
        parallel::results(tasks, |(first, mut task, dx, dcontext)| {
            let (dx, dcontext) = (dx.zeros(), dcontext.map(UninitSlice::zeros));
            let (group, again) = (task.group, again.as_ref());
            with_saved_or_recomputed(group, sizes, weights, saved, again, first, |activations| {
                task.run(&activations, dx, dcontext);
            });
            task.vectors
        })
    };
    let vectors = sums
        .into_iter()
        .fold(VectorGradients::zeros(sizes), |mut sum, part| {
            sum.add(part);
            sum
        });
    // SAFETY: each task has filled its pieces, and the pieces cover the buffers.
    let [dx, dcontext] = [dx, dcontext].map(|buffer| unsafe { buffer.filled() });
    (dx, dcontext, vectors)
}

/// Gradients of queries, keys and values together, of the projection, and of the MLP's two layers.
fn weight_gradients(
    input: &Input<'_>,
    sizes: &Sizes,
    groups: &[SampleGroup<'_>],
    left: &BackwardBuffers<&[f32]>,
    dout: &[f32],
) -> [Vec<f32>; 4] {
    let Sizes { width, hidden, .. } = *sizes;
    let (mlp_branch, attention_branch) = match input.drop_path {
        Some(_) => (left.mlp_branch, left.attention_branch),
        None => (dout, left.middle),
    };
    let normal_keys = match input.context {
        Some(_) => left.normal_context,
        None => left.normal1,
    };
    // Rows of each group, and whether it has any part in the gradient.
    let of_attention = |tokens: usize| {
        let rows =
            move |group: &SampleGroup<'_>| (group.samples * tokens, !group.drops_attention());
        groups.iter().map(rows)
    };
    let of_mlp = groups
        .iter()
        .map(|group| (group.samples * sizes.query_len, !group.drops_mlp()));
    let mut out = [
        UninitBuf::new(3 * width * width),
        UninitBuf::new(width * width),
        UninitBuf::new(hidden * width),
        UninitBuf::new(width * hidden),
    ];
    let [qkv, proj, fc1, fc2] = &mut out;
    let square = || weight_gradient::piece_sizes(width, width);
    let mut qkv = qkv.pieces_of((0..3).flat_map(|_| square())).into_iter();
    let mut tasks = Vec::new();
    for pairs in [
        pair(
            input.format,
            of_attention(sizes.query_len),
            (left.q, width),
            (left.normal1, width),
        ),
        pair(
            input.format,
            of_attention(sizes.key_len),
            (left.k, width),
            (normal_keys, width),
        ),
        pair(
            input.format,
            of_attention(sizes.key_len),
            (left.v, width),
            (normal_keys, width),
        ),
    ] {
        let pieces = qkv.by_ref().take(square().count());
        tasks.extend(weight_gradient::tasks(&pairs, width, width, pieces));
    }
    for (pairs, outputs, inputs, out) in [
        (
            pair(
                input.format,
                of_attention(sizes.query_len),
                (attention_branch, width),
                (left.attn_out, width),
            ),
            width,
            width,
            proj,
        ),
        (
            pair(
                input.format,
                of_mlp.clone(),
                (left.hidden, hidden),
                (left.normal2, width),
            ),
            hidden,
            width,
            fc1,
        ),
        (
            pair(
                input.format,
                of_mlp,
                (mlp_branch, width),
                (left.active, hidden),
            ),
            width,
            hidden,
            fc2,
        ),
    ] {
        let pieces = out.pieces_of(weight_gradient::piece_sizes(outputs, inputs));
        tasks.extend(weight_gradient::tasks(&pairs, outputs, inputs, pieces));
    }
    weight_gradient::largest_first(&mut tasks);
    parallel::each(tasks, weight_gradient::run);
    // SAFETY: each task has filled its piece, and the pieces cover the buffers.
    out.map(|buffer| unsafe { buffer.filled() })
}

/// One group on its way back.
struct GroupTask<'a> {
    group: &'a SampleGroup<'a>,
    sizes: &'a Sizes,
    weights: &'a Weights<'a>,
    back: &'a Packed,
    dout: Rows<'a>,
    buffers: BackwardBuffers<&'a mut [f32]>,
    vectors: VectorGradients,
}

impl GroupTask<'_> {
    fn run(
        &mut self,
        activations: &ActivationsRef<'_>,
        dx: &mut [f32],
        dcontext: Option<&mut [f32]>,
    ) {
        self.mlp(activations);
        if !self.group.drops_attention() {
            self.attention(activations);
        }
        self.inputs(dx, dcontext);
    }
}

/// The moments of a layer norm's rows; its output is written to `packed` in panels.
fn moments_of(
    x: Rows<'_>,
    weights: Norm<'_>,
    format: PanelFormat,
    packed: &mut [f32],
) -> Vec<Moments> {
    let mut moments = vec![Moments::default(); x.count];
    norm_moments(x, weights.epsilon, &mut moments);
    format.fill([x.count, x.width], packed, |packed| {
        norm_packed(x, weights, &moments, packed);
    });
    moments
}
