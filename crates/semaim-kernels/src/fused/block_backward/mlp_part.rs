//! The second half of a block on its way back: the MLP and its norm.

use super::activations::ActivationsRef;
use super::{GroupTask, moments_of};
use crate::fused::block::{FC1, FC2, Sizes};
use crate::fused::matmul::{Finish, Rows, RowsMut, product};
use crate::fused::rows::{add_columns, gelu_backward, norm_backward, scaled};
use crate::fused::scratch::with_scratch;

impl GroupTask<'_> {
    /// From the block's end to its middle: `buffers.middle`. A branch that is left out leaves nothing else.
    pub(super) fn mlp(&mut self, activations: &ActivationsRef<'_>) {
        let Sizes { width, hidden, .. } = *self.sizes;
        if self.group.drops_mlp() {
            return scaled(
                self.dout,
                1.0,
                &mut RowsMut::dense(self.buffers.middle, width),
            );
        }
        let (rows, weights) = (self.dout.count, self.weights);
        let mut branch = self.dout;
        if !self.buffers.mlp_branch.is_empty() {
            scaled(
                self.dout,
                self.group.factors[1],
                &mut RowsMut::dense(self.buffers.mlp_branch, width),
            );
            branch = Rows::dense(self.buffers.mlp_branch, width);
        }
        add_columns(branch, &mut self.vectors.fc2);
        let mut dh = RowsMut::dense(self.buffers.hidden, hidden);
        product(branch, self.back.layer(FC2), Finish::PLAIN, &mut dh);
        let format = self.back.format();
        format.fill([rows, hidden], self.buffers.active, |active| {
            gelu_backward(Rows::dense(activations.h, hidden), &mut dh, active);
        });
        let dh = Rows::dense(self.buffers.hidden, hidden);
        add_columns(dh, &mut self.vectors.fc1);
        let y = Rows::dense(activations.y, width);
        let moments = moments_of(y, weights.norm2, format, self.buffers.normal2);
        with_scratch([rows * width], |[dnormal]| {
            product(
                dh,
                self.back.layer(FC1),
                Finish::PLAIN,
                &mut RowsMut::dense(dnormal, width),
            );
            let [scale, shift] = &mut self.vectors.norm2;
            let mut middle = RowsMut::dense(self.buffers.middle, width);
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
}
