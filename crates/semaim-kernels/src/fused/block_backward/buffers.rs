//! What the backward pass of each group leaves for the weights' gradients.

use crate::fused::block::{Input, SampleGroup, Sizes};
use crate::fused::matmul::{PanelFormat, Rows};
use crate::fused::pool::PooledBuf;
use crate::fused::weight_gradient::Group;

/// What groups leave. Gradients are in rows, inputs of layers in panels.
pub(super) struct BackwardBuffers<T> {
    /// Gradient of the MLP branch; only with drop path.
    pub(super) mlp_branch: T,
    pub(super) hidden: T,
    pub(super) active: T,
    pub(super) normal2: T,
    /// Gradient at the middle of the block.
    pub(super) middle: T,
    /// Gradient of the attention branch; only with drop path.
    pub(super) attention_branch: T,
    pub(super) attn_out: T,
    pub(super) q: T,
    pub(super) k: T,
    pub(super) v: T,
    pub(super) normal1: T,
    /// Of the context, where there is one.
    pub(super) normal_context: T,
}

impl<T> BackwardBuffers<T> {
    /// All of them by a function of their places.
    fn from_fn(mut buffer: impl FnMut(usize) -> T) -> Self {
        Self {
            mlp_branch: buffer(0),
            hidden: buffer(1),
            active: buffer(2),
            normal2: buffer(3),
            middle: buffer(4),
            attention_branch: buffer(5),
            attn_out: buffer(6),
            q: buffer(7),
            k: buffer(8),
            v: buffer(9),
            normal1: buffer(10),
            normal_context: buffer(11),
        }
    }

    /// The same in the order of their places.
    fn into_array(self) -> [T; 12] {
        [
            self.mlp_branch,
            self.hidden,
            self.active,
            self.normal2,
            self.middle,
            self.attention_branch,
            self.attn_out,
            self.q,
            self.k,
            self.v,
            self.normal1,
            self.normal_context,
        ]
    }
}

impl BackwardBuffers<usize> {
    /// Numbers that a group of this many samples leaves in each buffer.
    fn sizes(sizes: &Sizes, input: &Input<'_>, samples: usize) -> Self {
        let Sizes { width, hidden, .. } = *sizes;
        let (queries, keys) = (samples * sizes.query_len, samples * sizes.key_len);
        let only_if = |needed: bool, size: usize| if needed { size } else { 0 };
        let drop_path = input.drop_path.is_some();
        let packed_len = |rows, columns| input.format.packed_len(rows, columns);
        Self {
            mlp_branch: only_if(drop_path, queries * width),
            hidden: queries * hidden,
            active: packed_len(queries, hidden),
            normal2: packed_len(queries, width),
            middle: queries * width,
            attention_branch: only_if(drop_path, queries * width),
            attn_out: packed_len(queries, width),
            q: queries * width,
            k: keys * width,
            v: keys * width,
            normal1: packed_len(queries, width),
            normal_context: only_if(input.context.is_some(), packed_len(keys, width)),
        }
    }
}

/// The buffers of all groups.
pub(super) struct AllBuffers {
    buffers: [PooledBuf; 12],
    /// By group.
    sizes: Vec<[usize; 12]>,
}

impl AllBuffers {
    pub(super) fn new(sizes: &Sizes, input: &Input<'_>, groups: &[SampleGroup<'_>]) -> Self {
        let sizes: Vec<[usize; 12]> = groups
            .iter()
            .map(|group| BackwardBuffers::sizes(sizes, input, group.samples).into_array())
            .collect();
        Self {
            buffers: std::array::from_fn(|i| PooledBuf::new(sizes.iter().map(|s| s[i]).sum())),
            sizes,
        }
    }

    /// To be written: the buffers of each group.
    pub(super) fn by_group(&mut self) -> impl Iterator<Item = BackwardBuffers<&mut [f32]>> {
        let mut pieces: Vec<_> = self
            .buffers
            .iter_mut()
            .enumerate()
            .map(|(i, buffer)| {
                buffer
                    .pieces_of(self.sizes.iter().map(|s| s[i]))
                    .into_iter()
            })
            .collect();
        (0..self.sizes.len())
            .map(move |_| BackwardBuffers::from_fn(|i| pieces[i].next().unwrap_or_default()))
    }

    /// To be read: each buffer for all groups, one after the other.
    pub(super) fn all(&self) -> BackwardBuffers<&[f32]> {
        BackwardBuffers::from_fn(|i| &*self.buffers[i])
    }
}

/// Pairs rows `dy` of `outputs` numbers with panels `x` of `inputs` columns, for groups of so many rows that have a part in
/// a gradient.
pub(super) fn pair<'a>(
    format: PanelFormat,
    groups: impl Iterator<Item = (usize, bool)>,
    (mut dy, outputs): (&'a [f32], usize),
    (mut x, inputs): (&'a [f32], usize),
) -> Vec<Group<'a>> {
    let mut pairs = Vec::new();
    for (rows, has_part) in groups {
        let (my_dy, my_x);
        (my_dy, dy) = dy.split_at(rows * outputs);
        (my_x, x) = x.split_at(format.packed_len(rows, inputs));
        if has_part {
            pairs.push(Group {
                dy: Rows::dense(my_dy, outputs),
                x: format.panels(my_x, rows, inputs),
            });
        }
    }
    pairs
}
