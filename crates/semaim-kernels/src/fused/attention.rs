//! Attention of one head of one sample, without a matrix of weights that outlives a few rows.
//!
//! Tokens stand in the order of their ranks, so what a token sees is a prefix: `visible[i]` tokens. A block of looking
//! tokens is compared with the longest prefix among them and no further, which for the two streams of the method
//! leaves out half of all scores. Only the logarithm of each row's sum of exponentials is kept; the backward pass
//! computes the weights again (Dao et al., 2022, section 3).

use super::matmul::{
    Finish, PANEL, Panels, Rows, RowsMut, pack_columns, pack_rows, packed_len, product,
    product_transposed,
};
use super::rows::{dot, probabilities, softmax_backward, softmax_numerators};
use super::scratch::with_scratch;

/// Looking tokens that are compared at once: whole tiles on every instruction set.
const BLOCK: usize = 12;

/// One head's queries `[looking, head_width]`, keys and values `[seen, head_width]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) q: Rows<'a>,
    pub(crate) k: Rows<'a>,
    pub(crate) v: Rows<'a>,
    /// How many of the seen tokens each looking token sees, at least one and at most all; `None`: all.
    pub(crate) visible: Option<&'a [u32]>,
}

/// Where one head's gradients go; shapes as in [`Head`].
#[derive(Debug)]
pub(crate) struct HeadGradients<'a> {
    pub(crate) q: RowsMut<'a>,
    pub(crate) k: RowsMut<'a>,
    pub(crate) v: RowsMut<'a>,
}

impl Head<'_> {
    fn scale(&self) -> f32 {
        (self.q.width as f32).powf(-0.5)
    }

    fn visible_to(&self, row: usize) -> usize {
        self.visible
            .map_or(self.k.count, |visible| visible[row] as usize)
    }

    /// The longest prefix that any of the rows sees.
    fn seen_by(&self, row: usize, count: usize) -> usize {
        (row..row + count)
            .map(|i| self.visible_to(i))
            .max()
            .unwrap_or(0)
    }

    /// The blocks of looking tokens, as (first, count).
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let looking = self.q.count;
        (0..looking)
            .step_by(BLOCK)
            .map(move |row| (row, BLOCK.min(looking - row)))
    }

    /// Mixes the values: `out [looking, head_width]`, and per looking token the logarithm of the sum of the
    /// exponentials of its scores.
    pub(crate) fn forward(&self, out: &mut RowsMut<'_>, log_sums: &mut [f32]) {
        let (seen, width) = (self.k.count, self.q.width);
        let stride = seen.next_multiple_of(PANEL);
        let sizes = [
            packed_len(width, seen),
            packed_len(seen, width),
            BLOCK * stride,
        ];
        with_scratch(sizes, |[keys, values, scores]| {
            pack_rows(self.k, keys);
            pack_columns(self.v, values);
            let (keys, values) = (
                Panels::new(keys, width, seen),
                Panels::new(values, seen, width),
            );
            let scale = Finish {
                scale: self.scale(),
                ..Finish::PLAIN
            };
            for (row, count) in self.blocks() {
                let longest = self.seen_by(row, count);
                let mut block = RowsMut::new(scores, count, longest, stride);
                product(
                    self.q.part(row, count, 0, width),
                    keys.first_columns(longest),
                    scale,
                    &mut block,
                );
                let mut shares = [0.0; BLOCK];
                for (i, share) in shares.iter_mut().enumerate().take(count) {
                    let (largest, sum) = softmax_numerators(block.row(i), self.visible_to(row + i));
                    *share = 1.0 / sum;
                    log_sums[row + i] = largest + sum.ln();
                }
                let weights = Rows::new(scores, count, longest, stride);
                let mut mixed = out.part(row, count, 0, width);
                product(weights, values.rows(0, longest), Finish::PLAIN, &mut mixed);
                for (i, share) in shares.iter().enumerate().take(count) {
                    mixed.row(i).iter_mut().for_each(|value| *value *= share);
                }
            }
        });
    }

    /// The backward pass, from what [`Head::forward`] gave and the gradient `dout [looking, head_width]`.
    pub(crate) fn backward(
        &self,
        out: Rows<'_>,
        log_sums: &[f32],
        dout: Rows<'_>,
        to: HeadGradients<'_>,
    ) {
        let (looking, seen, width) = (self.q.count, self.k.count, self.q.width);
        let stride = seen.next_multiple_of(PANEL);
        let by_row = packed_len(width, seen);
        let sizes = [
            by_row,
            by_row,
            packed_len(seen, width),
            packed_len(looking, width),
            packed_len(looking, width),
            looking * stride,
            looking * stride,
        ];
        with_scratch(
            sizes,
            |[k_rows, v_rows, k_columns, q_columns, dout_columns, p, ds]| {
                pack_rows(self.k, k_rows);
                pack_rows(self.v, v_rows);
                pack_columns(self.k, k_columns);
                pack_columns(self.q, q_columns);
                pack_columns(dout, dout_columns);
                let by_width = |values| Panels::new(values, width, seen);
                let (k_rows, v_rows) = (by_width(k_rows), by_width(v_rows));
                let k_columns = Panels::new(k_columns, seen, width);
                let by_looking = |values| Panels::new(values, looking, width);
                let (q_columns, dout_columns) = (by_looking(q_columns), by_looking(dout_columns));
                let HeadGradients {
                    q: mut dq,
                    k: mut dk,
                    v: mut dv,
                } = to;
                let scale = self.scale();
                // Up to here a row holds its weights or zeros; it never becomes less from one block to the next.
                let mut filled = 0;
                for (row, count) in self.blocks() {
                    let longest = self.seen_by(row, count);
                    filled = longest.next_multiple_of(PANEL).max(filled).min(stride);
                    let start = row * stride;
                    let (p, ds) = (
                        &mut p[start..][..count * stride],
                        &mut ds[start..][..count * stride],
                    );
                    let scores = Finish {
                        scale,
                        ..Finish::PLAIN
                    };
                    let block = |values| RowsMut::new(values, count, longest, stride);
                    let q = self.q.part(row, count, 0, width);
                    product(
                        q,
                        k_rows.first_columns(longest),
                        scores,
                        &mut block(&mut *p),
                    );
                    let dout_block = dout.part(row, count, 0, width);
                    product(
                        dout_block,
                        v_rows.first_columns(longest),
                        Finish::PLAIN,
                        &mut block(&mut *ds),
                    );
                    for i in 0..count {
                        let visible = self.visible_to(row + i);
                        let (p, ds) = (
                            &mut p[i * stride..][..filled],
                            &mut ds[i * stride..][..filled],
                        );
                        probabilities(p, visible, log_sums[row + i]);
                        let delta = dot(dout.row(row + i), out.row(row + i));
                        softmax_backward(&p[..visible], &mut ds[..visible], delta, scale);
                        ds[visible..].fill(0.0);
                    }
                    let ds = Rows::new(ds, count, longest, stride);
                    product(
                        ds,
                        k_columns.rows(0, longest),
                        Finish::PLAIN,
                        &mut dq.part(row, count, 0, width),
                    );
                }
                let (p, ds) = (
                    Rows::new(p, looking, seen, stride),
                    Rows::new(ds, looking, seen, stride),
                );
                for (key, keys) in self.key_groups() {
                    let first = self.first_to_see(key);
                    let rest = looking - first;
                    for (left, right, to) in [(ds, q_columns, &mut dk), (p, dout_columns, &mut dv)]
                    {
                        let left = left.part(first, rest, key, keys);
                        let mut to = to.part(key, keys, 0, width);
                        product_transposed(left, right.rows(first, rest), Finish::PLAIN, &mut to);
                    }
                }
            },
        );
    }

    /// Groups of seen tokens, as (first, count): all at once where all are visible.
    fn key_groups(&self) -> impl Iterator<Item = (usize, usize)> {
        let seen = self.k.count;
        let size = if self.visible.is_some() { PANEL } else { seen };
        (0..seen)
            .step_by(size.max(1))
            .map(move |key| (key, size.min(seen - key)))
    }

    /// The first block's beginning whose rows see a token or are filled with zeros there.
    fn first_to_see(&self, key: usize) -> usize {
        let looking = self.q.count;
        match (0..looking).find(|&row| self.visible_to(row) > key) {
            Some(row) => row / BLOCK * BLOCK,
            None => looking,
        }
    }
}
