//! The first half of a block on its way back: attention, its projections and their norm.

use super::activations::ActivationsRef;
use super::{GroupTask, moments_of};
use crate::fused::attention::HeadGradients;
use crate::fused::block::{K, PROJ, Q, Sizes, V, head};
use crate::fused::matmul::{Finish, Rows, RowsMut, product};
use crate::fused::rows::{add_columns, norm_backward, scaled};
use crate::fused::scratch::with_scratch;

impl GroupTask<'_> {
    /// From the middle to the queries, keys and values; not for a branch that is left out.
    pub(super) fn attention(&mut self, activations: &ActivationsRef<'_>) {
        let Sizes {
            query_len,
            key_len,
            width,
            heads,
            ..
        } = *self.sizes;
        let has_factors = !self.buffers.attention_branch.is_empty();
        if has_factors {
            let mut out = RowsMut::dense(self.buffers.attention_branch, width);
            scaled(
                Rows::dense(self.buffers.middle, width),
                self.group.factors[0],
                &mut out,
            );
        }
        let attn_out = Rows::dense(activations.attn_out, width);
        self.back
            .format()
            .pack_columns(attn_out, self.buffers.attn_out);
        with_scratch([self.buffers.middle.len()], |[dattn_out]| {
            let branch = if has_factors {
                &*self.buffers.attention_branch
            } else {
                &*self.buffers.middle
            };
            add_columns(Rows::dense(branch, width), &mut self.vectors.proj);
            self.through(
                PROJ,
                branch,
                Finish::PLAIN,
                &mut RowsMut::dense(dattn_out, width),
            );
            let dattn_out = Rows::dense(dattn_out, width);
            let mut dq = RowsMut::dense(self.buffers.q, width);
            let mut dk = RowsMut::dense(self.buffers.k, width);
            let mut dv = RowsMut::dense(self.buffers.v, width);
            let head_width = width / heads;
            for sample in 0..self.group.samples {
                for i in 0..heads {
                    let column = i * head_width;
                    let lse = &activations.lse[(sample * heads + i) * query_len..][..query_len];
                    let to = HeadGradients {
                        q: dq.part(sample * query_len, query_len, column, head_width),
                        k: dk.part(sample * key_len, key_len, column, head_width),
                        v: dv.part(sample * key_len, key_len, column, head_width),
                    };
                    let out = attn_out.part(sample * query_len, query_len, column, head_width);
                    let dout = dattn_out.part(sample * query_len, query_len, column, head_width);
                    let head = head(
                        self.group,
                        self.sizes,
                        [activations.q, activations.k, activations.v],
                        self.back.format(),
                        sample,
                        i,
                    );
                    head.backward(out, lse, dout, to);
                }
            }
        });
        let (q, rest) = self.vectors.qkv.split_at_mut(width);
        let (k, v) = rest.split_at_mut(width);
        for (rows, sums) in [
            (&*self.buffers.q, q),
            (&*self.buffers.k, k),
            (&*self.buffers.v, v),
        ] {
            add_columns(Rows::dense(rows, width), sums);
        }
    }

    /// From queries, keys and values to the block's inputs.
    pub(super) fn inputs(&mut self, dx: &mut [f32], dcontext: Option<&mut [f32]>) {
        let width = self.sizes.width;
        let (group, norm1) = (self.group, self.weights.norm1);
        if group.drops_attention() {
            // The context's gradient is zero, as it came.
            return scaled(
                Rows::dense(self.buffers.middle, width),
                1.0,
                &mut RowsMut::dense(dx, width),
            );
        }
        let moments = moments_of(group.x, norm1, self.back.format(), self.buffers.normal1);
        let longest = self.buffers.q.len().max(self.buffers.k.len());
        with_scratch([longest], |[dnormal]| {
            let count = group.x.count;
            let mut out = RowsMut::new(dnormal, count, width, width);
            self.through(Q, self.buffers.q, Finish::PLAIN, &mut out);
            if group.context.is_none() {
                self.through(K, self.buffers.k, Finish::ADD, &mut out);
                self.through(V, self.buffers.v, Finish::ADD, &mut out);
            }
            let [scale, shift] = &mut self.vectors.norm1;
            let (dnormal_x, middle) = (
                Rows::new(dnormal, count, width, width),
                Rows::dense(self.buffers.middle, width),
            );
            let mut dx = RowsMut::dense(dx, width);
            norm_backward(
                group.x,
                dnormal_x,
                norm1,
                &moments,
                Some(middle),
                &mut dx,
                scale,
                shift,
            );
            let (Some(context), Some(dcontext)) = (group.context, dcontext) else {
                return;
            };
            let moments = moments_of(
                context,
                norm1,
                self.back.format(),
                self.buffers.normal_context,
            );
            let mut out = RowsMut::new(dnormal, context.count, width, width);
            self.through(K, self.buffers.k, Finish::PLAIN, &mut out);
            self.through(V, self.buffers.v, Finish::ADD, &mut out);
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

    /// `dy W`, to `out` or added to it.
    fn through(&self, layer: usize, dy: &[f32], finish: Finish<'_>, out: &mut RowsMut<'_>) {
        let width = self.weights.layers()[layer].outputs();
        product(Rows::dense(dy, width), self.back.layer(layer), finish, out);
    }
}
