//! The matrix products of a model alone: what no implementation with these products can be faster than.

use std::time::{Duration, Instant};

use crate::fused::affine::{Affine, Packed, Side};
use crate::fused::attention::{STRIPE, block};
use crate::fused::matmul::{
    Finish, Lhs, PANEL, PanelFormat, Panels, Rows, RowsMut, packed_len, product,
};
use crate::fused::parallel;
use crate::fused::scratch::{UninitBuf, with_scratch};
use crate::fused::tiling::{GROUP_ROWS, padded_stride};
use crate::fused::weight_gradient::{self, Group};

/// Some of a model's products, as they follow each other.
#[derive(Clone, Debug, PartialEq)]
pub enum GemmWorkload {
    /// One after the other for each group of rows, as the fused operations make them: what one product leaves in the
    /// cache the next finds there.
    Chain {
        /// Rows of all samples.
        rows: usize,
        /// Rows of one sample, which stay together; 1 where rows stand alone.
        sample: usize,
        /// Depth and columns of each linear product.
        layers: Vec<[usize; 2]>,
        /// Attention in between.
        attention: Option<Attention>,
    },
    /// The gradient of weights `[outputs, inputs]`, for several weights at once.
    WeightGradients {
        /// Rows of all samples.
        rows: usize,
        /// As above.
        sample: usize,
        /// Outputs and inputs of each layer.
        layers: Vec<[usize; 2]>,
    },
}

/// Scores and mixed values of a block's attention, or all five products of its backward pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// Heads of a sample.
    pub heads: usize,
    /// Tokens of a sample.
    pub tokens: usize,
    /// Width of a head.
    pub width: usize,
    /// Whether a token sees only what stands before it.
    pub causal: bool,
    /// Whether this is the backward pass.
    pub backward: bool,
}

impl Attention {
    /// Multiplications and additions for one sample. Of what a token does not see nothing is counted.
    fn flop(&self) -> f64 {
        let tokens = self.tokens as f64;
        let pairs = if self.causal {
            tokens * (tokens + 1.0) / 2.0
        } else {
            tokens * tokens
        };
        let products = if self.backward { 5.0 } else { 2.0 };
        2.0 * products * self.heads as f64 * pairs * self.width as f64
    }
}

impl GemmWorkload {
    /// Multiplications and additions.
    pub fn flop(&self) -> f64 {
        let linear = |rows: usize, layers: &[[usize; 2]]| -> f64 {
            layers
                .iter()
                .map(|[a, b]| 2.0 * rows as f64 * *a as f64 * *b as f64)
                .sum()
        };
        match self {
            Self::Chain {
                rows,
                layers,
                attention,
                ..
            } => {
                let attention =
                    attention.map_or(0.0, |a| a.flop() * (rows / a.tokens.max(1)) as f64);
                linear(*rows, layers) + attention
            }
            Self::WeightGradients { rows, layers, .. } => linear(*rows, layers),
        }
    }

    /// How long they take, on all threads of the pool, once everything is in its place.
    pub fn measure(&self) -> Duration {
        match self {
            Self::Chain {
                rows,
                sample,
                layers,
                attention,
            } => chain(&sizes(*rows, *sample), layers, *attention),
            Self::WeightGradients {
                rows,
                sample,
                layers,
            } => weight_gradients(&sizes(*rows, *sample), layers),
        }
    }
}

/// Numbers that are neither zero nor large.
fn some(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 37 % 101) as f32 - 50.0) / 64.0)
        .collect()
}

/// Rows of each task, as the fused operations cut them.
fn sizes(rows: usize, sample: usize) -> Vec<usize> {
    let group = (GROUP_ROWS / sample.max(1)).max(1) * sample.max(1);
    (0..rows)
        .step_by(group)
        .map(|first| group.min(rows - first))
        .collect()
}

fn chain(groups: &[usize], layers: &[[usize; 2]], attention: Option<Attention>) -> Duration {
    let weights: Vec<(Vec<f32>, Vec<f32>)> = layers
        .iter()
        .map(|&[depth, columns]| (some(depth * columns), some(columns)))
        .collect();
    let affine: Vec<Affine<'_>> = weights
        .iter()
        .map(|(weight, bias)| Affine { weight, bias })
        .collect();
    let packed = Packed::of(&affine, Side::Forward, PanelFormat::F32);
    let longest = groups.first().copied().unwrap_or(0);
    let deepest = layers.iter().map(|[depth, _]| *depth).max().unwrap_or(0);
    let widest = layers
        .iter()
        .map(|[_, columns]| *columns)
        .max()
        .unwrap_or(0);
    let inputs = some(longest * padded_stride(deepest));
    let heads = attention.map(HeadProducts::new);
    let start = Instant::now();
    parallel::each(groups.to_vec(), |rows| {
        with_scratch(
            [longest * padded_stride(deepest), longest * widest],
            |[x, out]| {
                x.copy_from_slice(&inputs);
                for (i, &[depth, columns]) in layers.iter().enumerate() {
                    let mut out = RowsMut::new(out, rows, columns, columns);
                    product(
                        Rows::new(x, rows, depth, padded_stride(depth)),
                        packed.layer(i),
                        Finish::PLAIN,
                        &mut out,
                    );
                }
            },
        );
        if let Some(heads) = &heads {
            for _ in 0..rows / heads.attention.tokens.max(1) * heads.attention.heads {
                heads.run();
            }
        }
    });
    start.elapsed()
}

fn weight_gradients(groups: &[usize], layers: &[[usize; 2]]) -> Duration {
    let rows: usize = groups.iter().sum();
    let numbers: Vec<(Vec<f32>, Vec<f32>)> = layers
        .iter()
        .map(|&[outputs, inputs]| {
            let packed = groups.iter().map(|&rows| packed_len(rows, inputs)).sum();
            (some(rows * outputs), some(packed))
        })
        .collect();
    let mut blanks: Vec<UninitBuf> = layers
        .iter()
        .map(|[outputs, inputs]| UninitBuf::new(outputs * inputs))
        .collect();
    let mut tasks = Vec::new();
    for ((&[outputs, inputs], (dy, x)), out) in layers.iter().zip(&numbers).zip(&mut blanks) {
        let (mut row, mut number) = (0, 0);
        let groups: Vec<Group<'_>> = groups
            .iter()
            .map(|&rows| {
                let size = packed_len(rows, inputs);
                let group = Group {
                    dy: Rows::dense(&dy[row * outputs..][..rows * outputs], outputs),
                    x: Panels::new(&x[number..][..size], rows, inputs).into(),
                };
                row += rows;
                number += size;
                group
            })
            .collect();
        let pieces = out.pieces_of(weight_gradient::piece_sizes(outputs, inputs));
        tasks.extend(weight_gradient::tasks(&groups, outputs, inputs, pieces));
    }
    weight_gradient::largest_first(&mut tasks);
    let start = Instant::now();
    parallel::each(tasks, weight_gradient::run);
    start.elapsed()
}

/// The products of one head, on numbers that lie ready.
struct HeadProducts {
    attention: Attention,
    x: Vec<f32>,
    weights: Vec<f32>,
    by_width: Vec<f32>,
    by_token: Vec<f32>,
}

impl HeadProducts {
    fn new(attention: Attention) -> Self {
        let Attention { tokens, width, .. } = attention;
        Self {
            attention,
            x: some(tokens * width),
            weights: some(tokens * tokens.next_multiple_of(PANEL)),
            by_width: some(packed_len(width, tokens)),
            by_token: some(packed_len(tokens, width)),
        }
    }

    /// The products in the blocks and stripes of [`crate::fused::attention`].
    fn run(&self) {
        let Attention {
            tokens,
            width,
            causal,
            backward,
            ..
        } = self.attention;
        let stride = tokens.next_multiple_of(PANEL);
        let by_width = Panels::new(&self.by_width, width, stride);
        let by_token = Panels::new(&self.by_token, tokens, width);
        let x = Rows::dense(&self.x, width);
        let weights = Rows::new(&self.weights, tokens, tokens, stride);
        let block = block(PanelFormat::F32);
        with_scratch([block * stride, tokens * width], |[scores, mixed]| {
            for row in (0..tokens).step_by(block) {
                let count = block.min(tokens - row);
                let key_len = if causal { row + count } else { tokens };
                let compared = key_len.next_multiple_of(PANEL);
                for _ in 0..if backward { 2 } else { 1 } {
                    let mut out = RowsMut::new(scores, count, compared, stride);
                    product(
                        x.part(row, count, 0, width),
                        by_width.first_columns(compared),
                        Finish::PLAIN,
                        &mut out,
                    );
                }
                let mut out = RowsMut::new(&mut mixed[row * width..], count, width, width);
                product(
                    weights.part(row, count, 0, key_len),
                    by_token.rows(0, key_len),
                    Finish::PLAIN,
                    &mut out,
                );
            }
            if !backward {
                return;
            }
            for stripe in (0..tokens).step_by(STRIPE) {
                let end = tokens.min(stripe + STRIPE);
                let (size, key_len) = if causal {
                    (block, end)
                } else {
                    (tokens, tokens)
                };
                for key in (0..key_len).step_by(size) {
                    let keys = size.min(key_len - key);
                    let first = if causal { stripe.max(key) } else { stripe };
                    let left = weights.part(first, end - first, key, keys);
                    for _ in 0..2 {
                        let mut out = RowsMut::new(&mut mixed[key * width..], keys, width, width);
                        let right = by_token.rows(first, end - first);
                        product(Lhs::Transposed(left), right, Finish::PLAIN, &mut out);
                    }
                }
            }
        });
    }
}
