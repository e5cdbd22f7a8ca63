//! Attention of one head of one sample, without a matrix of weights that outlives a few rows.
//!
//! Tokens stand in the order of their ranks, so what a query attends to is a prefix of the keys: `prefix_lens[i]` of them. A block of
//! tokens is compared with the longest prefix among them and no further, which for the two streams of the method
//! leaves out half of all scores. Only the logarithm of each row's sum of exponentials is kept; the backward pass
//! computes the weights again (Dao et al., 2022, section 3).

use std::ops::Range;

use super::matmul::{Finish, Lhs, PANEL, PanelFormat, Right, Rows, RowsMut, product};
use super::rows::{dot, probabilities, softmax_backward, softmax_numerators};
use super::scratch::with_scratch;

/// The most queries that are compared at once.
const LARGEST_BLOCK: usize = 32;

/// Queries whose weights are held at once in the backward pass; a multiple of every block.
pub(crate) const STRIPE: usize = 96;

/// Queries that are compared at once: whole tiles of the products.
pub(crate) fn block(format: PanelFormat) -> usize {
    match format {
        PanelFormat::F32 => 12,
        PanelFormat::Bf16(_) => LARGEST_BLOCK,
    }
}

/// One head's queries `[query_len, head_width]`, keys and values `[key_len, head_width]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) q: Rows<'a>,
    pub(crate) k: Rows<'a>,
    pub(crate) v: Rows<'a>,
    /// How many of the keys each query attends to, at least one and at most all; `None`: all.
    pub(crate) prefix_lens: Option<&'a [u32]>,
    /// In which precision products are formed.
    pub(crate) format: PanelFormat,
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

    fn prefix_len(&self, row: usize) -> usize {
        self.prefix_lens
            .map_or(self.k.count, |prefix_lens| prefix_lens[row] as usize)
    }

    /// The longest prefix of any of the rows.
    fn longest_prefix(&self, row: usize, count: usize) -> usize {
        (row..row + count)
            .map(|i| self.prefix_len(i))
            .max()
            .unwrap_or(0)
    }

    /// The blocks of queries among `rows`, as (first, count).
    fn blocks(&self, rows: Range<usize>) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (end, size) = (rows.end, block(self.format));
        rows.step_by(size)
            .map(move |row| (row, size.min(end - row)))
    }

    /// The weighted values `out [query_len, head_width]`, and per query the logarithm of the sum of the
    /// exponentials of its scores.
    pub(crate) fn forward(&self, out: &mut RowsMut<'_>, lse: &mut [f32]) {
        let (key_len, width) = (self.k.count, self.q.width);
        let stride = key_len.next_multiple_of(PANEL);
        let format = self.format;
        let sizes = [
            format.packed_len(width, key_len),
            format.packed_len(key_len, width),
            block(format) * stride,
        ];
        with_scratch(sizes, |[keys, values, scores]| {
            format.pack_rows(self.k, keys);
            format.pack_columns(self.v, values);
            let (keys, values) = (
                format.panels(keys, width, stride),
                format.panels(values, key_len, width),
            );
            let scale = Finish {
                scale: self.scale(),
                ..Finish::PLAIN
            };
            for (row, count) in self.blocks(0..self.q.count) {
                let longest = self.longest_prefix(row, count);
                // Whole panels: what is too much becomes zero below.
                let compared = longest.next_multiple_of(PANEL);
                let mut block = RowsMut::new(scores, count, compared, stride);
                product(
                    self.q.part(row, count, 0, width),
                    keys.columns(0, compared),
                    scale,
                    &mut block,
                );
                let mut inv_sums = [0.0; LARGEST_BLOCK];
                for (i, inv_sum) in inv_sums.iter_mut().enumerate().take(count) {
                    let (largest, sum) = softmax_numerators(block.row(i), self.prefix_len(row + i));
                    *inv_sum = 1.0 / sum;
                    lse[row + i] = largest + sum.ln();
                }
                let weights = Rows::new(scores, count, longest, stride);
                let mut attn_out = out.part(row, count, 0, width);
                product(
                    weights,
                    values.rows(0, longest),
                    Finish::PLAIN,
                    &mut attn_out,
                );
                for (i, inv_sum) in inv_sums.iter().enumerate().take(count) {
                    attn_out
                        .row(i)
                        .iter_mut()
                        .for_each(|value| *value *= inv_sum);
                }
            }
        });
    }

    /// The backward pass, from what [`Head::forward`] gave and the gradient `dout [query_len, head_width]`.
    pub(crate) fn backward(
        &self,
        out: Rows<'_>,
        lse: &[f32],
        dout: Rows<'_>,
        to: HeadGradients<'_>,
    ) {
        let (query_len, key_len, width) = (self.q.count, self.k.count, self.q.width);
        let stride = key_len.next_multiple_of(PANEL);
        let format = self.format;
        let by_row = format.packed_len(width, key_len);
        let sizes = [
            by_row,
            by_row,
            format.packed_len(key_len, width),
            format.packed_len(query_len, width),
            format.packed_len(query_len, width),
            STRIPE.min(query_len) * stride,
            STRIPE.min(query_len) * stride,
        ];
        with_scratch(
            sizes,
            |[k_rows, v_rows, k_columns, q_columns, dout_columns, p, ds]| {
                format.pack_rows(self.k, k_rows);
                format.pack_rows(self.v, v_rows);
                format.pack_columns(self.k, k_columns);
                format.pack_columns(self.q, q_columns);
                format.pack_columns(dout, dout_columns);
                let by_width = |values| format.panels(values, width, stride);
                let by_query = |values| format.panels(values, query_len, width);
                let packed = PackedHead {
                    k_rows: by_width(k_rows),
                    v_rows: by_width(v_rows),
                    k_columns: format.panels(k_columns, key_len, width),
                };
                let (q_columns, dout_columns) = (by_query(q_columns), by_query(dout_columns));
                let HeadGradients {
                    q: mut dq,
                    k: mut dk,
                    v: mut dv,
                } = to;
                let mut finish = Finish::PLAIN;
                // The first stripe's products write, the others' add. With nothing to see there are none.
                for first in (0..query_len.max(1)).step_by(STRIPE) {
                    let rows = first..query_len.min(first + STRIPE);
                    let (p, ds) = (
                        &mut p[..rows.len() * stride],
                        &mut ds[..rows.len() * stride],
                    );
                    self.stripe(rows.clone(), out, lse, dout, &packed, [p, ds], &mut dq);
                    let view = |values| Rows::new(values, rows.len(), key_len, stride);
                    for (left, right, to) in [
                        (view(ds), q_columns, &mut dk),
                        (view(p), dout_columns, &mut dv),
                    ] {
                        for (key, keys) in self.key_groups() {
                            let from = self.first_to_see(key, rows.clone());
                            let count = rows.end - from;
                            let left = left.part(from - first, count, key, keys);
                            let mut to = to.part(key, keys, 0, width);
                            product(
                                Lhs::Transposed(left),
                                right.rows(from, count),
                                finish,
                                &mut to,
                            );
                        }
                    }
                    finish = Finish::ADD;
                }
            },
        );
    }

    /// Weights `p` and gradients of scores `ds`, `[rows, stride]` each, for a stripe of queries, and the
    /// gradients `dq` of their queries. In `p` and `ds` a row is filled as far as any row of its block or of an earlier
    /// one sees, to the end of a group of keys.
    #[allow(clippy::too_many_arguments)]
    fn stripe(
        &self,
        rows: Range<usize>,
        out: Rows<'_>,
        lse: &[f32],
        dout: Rows<'_>,
        packed: &PackedHead<'_>,
        [p, ds]: [&mut [f32]; 2],
        dq: &mut RowsMut<'_>,
    ) {
        let (width, stride) = (self.q.width, self.k.count.next_multiple_of(PANEL));
        let scale = self.scale();
        // Up to here a row holds its weights or zeros; it never becomes less from one block to the next.
        let mut filled = 0;
        for (row, count) in self.blocks(rows.clone()) {
            let longest = self.longest_prefix(row, count);
            let compared = longest.next_multiple_of(PANEL);
            filled = longest
                .next_multiple_of(block(self.format))
                .min(stride)
                .max(compared)
                .max(filled);
            let start = (row - rows.start) * stride;
            let (p, ds) = (
                &mut p[start..][..count * stride],
                &mut ds[start..][..count * stride],
            );
            let scores = Finish {
                scale,
                ..Finish::PLAIN
            };
            for (left, right, finish, to) in [
                (self.q, packed.k_rows, scores, &mut *p),
                (dout, packed.v_rows, Finish::PLAIN, &mut *ds),
            ] {
                let mut to = RowsMut::new(to, count, compared, stride);
                let left = left.part(row, count, 0, width);
                product(left, right.columns(0, compared), finish, &mut to);
            }
            for i in 0..count {
                let prefix_lens = self.prefix_len(row + i);
                let (p, ds) = (
                    &mut p[i * stride..][..filled],
                    &mut ds[i * stride..][..filled],
                );
                probabilities(p, prefix_lens, lse[row + i]);
                let delta = dot(dout.row(row + i), out.row(row + i));
                softmax_backward(&p[..prefix_lens], &mut ds[..prefix_lens], delta, scale);
                ds[prefix_lens..].fill(0.0);
            }
            let ds = Rows::new(ds, count, longest, stride);
            product(
                ds,
                packed.k_columns.rows(0, longest),
                Finish::PLAIN,
                &mut dq.part(row, count, 0, width),
            );
        }
    }

    /// Groups of keys, as (first, count): all at once without a mask.
    fn key_groups(&self) -> impl Iterator<Item = (usize, usize)> {
        let key_len = self.k.count;
        let size = if self.prefix_lens.is_some() {
            block(self.format)
        } else {
            key_len
        };
        (0..key_len)
            .step_by(size.max(1))
            .map(move |key| (key, size.min(key_len - key)))
    }

    /// The beginning of the first block among `rows` that attends to a key; the end of `rows` where none does.
    fn first_to_see(&self, key: usize, rows: Range<usize>) -> usize {
        let (start, end) = (rows.start, rows.end);
        match rows.clone().find(|&row| self.prefix_len(row) > key) {
            Some(row) => start + (row - start) / block(self.format) * block(self.format),
            None => end,
        }
    }
}

/// What all stripes of a head's backward pass read.
struct PackedHead<'a> {
    k_rows: Right<'a>,
    v_rows: Right<'a>,
    k_columns: Right<'a>,
}
