//! What the backward pass reads of the forward pass: saved, or computed again.

use crate::fused::affine::Packed;
use crate::fused::block::{
    Activations, SampleGroup, SavedActivations, Sizes, Weights, activation_sizes, attention_branch,
    mlp_branch, with_activations,
};
use crate::fused::scratch::with_scratch;

/// A group's activations, to be read.
pub(super) struct ActivationsRef<'a> {
    pub(super) q: &'a [f32],
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    pub(super) attn_out: &'a [f32],
    pub(super) lse: &'a [f32],
    pub(super) y: &'a [f32],
    pub(super) h: &'a [f32],
}

/// Finds the activations of the group that begins with sample `first`, computing again what was not saved.
pub(super) fn with_saved_or_recomputed(
    group: &SampleGroup<'_>,
    sizes: &Sizes,
    weights: &Weights<'_>,
    saved: &SavedActivations,
    again: Option<&Packed>,
    first: usize,
    f: impl FnOnce(ActivationsRef<'_>),
) {
    let per_sample = activation_sizes(sizes);
    let range = |values: &'_ [f32], i: usize| -> std::ops::Range<usize> {
        if values.is_empty() {
            0..0
        } else {
            first * per_sample[i]..(first + group.samples) * per_sample[i]
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
    } = saved;
    let saved_ref = ActivationsRef {
        q: &q[range(q, 0)],
        k: &k[range(k, 1)],
        v: &v[range(v, 2)],
        attn_out: &attn_out[range(attn_out, 3)],
        lse: &lse[range(lse, 4)],
        y: &y[range(y, 5)],
        h: &h[range(h, 6)],
    };
    let Some(packed) = again else {
        return f(saved_ref);
    };
    if !y.is_empty() {
        return with_scratch([group.samples * per_sample[6]], |[h]| {
            mlp_branch(group, sizes, weights, packed, saved_ref.y, h, None);
            f(ActivationsRef { h, ..saved_ref });
        });
    }
    with_activations(group, &per_sample, Vec::new(), |mut activations| {
        attention_branch(group, sizes, weights, packed, &mut activations);
        mlp_branch(
            group,
            sizes,
            weights,
            packed,
            activations.y,
            activations.h,
            None,
        );
        let Activations {
            q,
            k,
            v,
            attn_out,
            lse,
            y,
            h,
        } = activations;
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
