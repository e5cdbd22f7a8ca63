//! What is done row by row: layer norm, GELU, sums over rows.

use super::matmul::{PANEL, Rows, RowsMut};
use super::simd::{Arithmetic, multiversion};
use super::special::{exp, normal_below, normal_density};

/// Mean and one over the standard deviation of a row.
pub(crate) type Moments = [f32; 2];

/// Scale, shift and epsilon of a layer norm; scale and shift are `[width]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm<'a> {
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) epsilon: f32,
}

/// Partial sums that fill a vector register or two.
const LANES: usize = 16;

#[inline(always)]
fn total(sums: [f32; LANES]) -> f32 {
    let mut halves: [f32; LANES / 2] = std::array::from_fn(|i| sums[i] + sums[i + LANES / 2]);
    let mut width = LANES / 4;
    while width > 0 {
        for i in 0..width {
            halves[i] += halves[i + width];
        }
        width /= 2;
    }
    halves[0]
}

/// Sum of `f(i)` for `i` below `count`, in lanes.
#[inline(always)]
pub(crate) fn sum_of(count: usize, mut f: impl FnMut(usize, f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let whole = count / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum = f(start + lane, *sum);
        }
    }
    let mut sum = total(sums);
    for i in whole..count {
        sum = f(i, sum);
    }
    sum
}

#[inline(always)]
fn moments_of<A: Arithmetic>(x: &[f32], epsilon: f32) -> Moments {
    let count = x.len() as f32;
    let mean = sum_of(x.len(), |i, sum| sum + x[i]) / count;
    let square = sum_of(x.len(), |i, sum| {
        let centered = x[i] - mean;
        A::mul_add(centered, centered, sum)
    });
    [mean, 1.0 / (square / count + epsilon).sqrt()]
}

#[inline(always)]
fn normalized<A: Arithmetic>(x: f32, [mean, scale]: Moments, weight: f32, bias: f32) -> f32 {
    A::mul_add((x - mean) * scale, weight, bias)
}

multiversion! {
    /// Layer norm of each row, and the moments it used.
    pub(crate) fn norm = norm_body(x: Rows<'_>, norm: Norm<'_>, moments: &mut [Moments], out: &mut RowsMut<'_>);
}

#[inline(always)]
fn norm_body<A: Arithmetic>(
    x: Rows<'_>,
    norm: Norm<'_>,
    moments: &mut [Moments],
    out: &mut RowsMut<'_>,
) {
    for (i, moments) in moments.iter_mut().enumerate().take(x.count) {
        let row = x.row(i);
        *moments = moments_of::<A>(row, norm.epsilon);
        let weights = norm.weight.iter().zip(norm.bias);
        for ((y, &x), (&weight, &bias)) in out.row(i).iter_mut().zip(row).zip(weights) {
            *y = normalized::<A>(x, *moments, weight, bias);
        }
    }
}

multiversion! {
    /// The moments of each row.
    pub(crate) fn norm_moments = norm_moments_body(x: Rows<'_>, epsilon: f32, moments: &mut [Moments]);
}

#[inline(always)]
fn norm_moments_body<A: Arithmetic>(x: Rows<'_>, epsilon: f32, moments: &mut [Moments]) {
    for (i, moments) in moments.iter_mut().enumerate().take(x.count) {
        *moments = moments_of::<A>(x.row(i), epsilon);
    }
}

multiversion! {
    /// Layer norm of each row with known moments, written in panels as by [`super::matmul::pack_columns`].
    pub(crate) fn norm_packed = norm_packed_body(x: Rows<'_>, norm: Norm<'_>, moments: &[Moments], out: &mut [f32]);
}

#[inline(always)]
fn norm_packed_body<A: Arithmetic>(
    x: Rows<'_>,
    norm: Norm<'_>,
    moments: &[Moments],
    out: &mut [f32],
) {
    for (i, &moments) in moments.iter().enumerate().take(x.count) {
        let row = x.row(i);
        for (panel, start) in (0..x.width).step_by(PANEL).enumerate() {
            let width = PANEL.min(x.width - start);
            let out = &mut out[(panel * x.count + i) * PANEL..][..PANEL];
            if width == PANEL {
                let values = row[start..][..PANEL].iter();
                let weights = norm.weight[start..][..PANEL]
                    .iter()
                    .zip(&norm.bias[start..][..PANEL]);
                for ((y, &x), (&weight, &bias)) in out.iter_mut().zip(values).zip(weights) {
                    *y = normalized::<A>(x, moments, weight, bias);
                }
            } else {
                out.fill(0.0);
                for (j, y) in out.iter_mut().enumerate().take(width) {
                    let j = start + j;
                    *y = normalized::<A>(row[j], moments, norm.weight[j], norm.bias[j]);
                }
            }
        }
    }
}

multiversion! {
    /// The backward pass of a layer norm: `dx = base + ∂/∂x`, and what it adds to the gradients of scale and shift.
    pub(crate) fn norm_backward = norm_backward_body(
        x: Rows<'_>,
        dy: Rows<'_>,
        norm: Norm<'_>,
        moments: &[Moments],
        base: Option<Rows<'_>>,
        dx: &mut RowsMut<'_>,
        dweight: &mut [f32],
        dbias: &mut [f32],
    );
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn norm_backward_body<A: Arithmetic>(
    x: Rows<'_>,
    dy: Rows<'_>,
    norm: Norm<'_>,
    moments: &[Moments],
    base: Option<Rows<'_>>,
    dx: &mut RowsMut<'_>,
    dweight: &mut [f32],
    dbias: &mut [f32],
) {
    let count = x.width;
    let weight = &norm.weight[..count];
    let (dweight, dbias) = (&mut dweight[..count], &mut dbias[..count]);
    for (r, &[mean, scale]) in moments.iter().enumerate().take(x.count) {
        let (x, dy, dx) = (x.row(r), dy.row(r), dx.row(r));
        let unit = |j: usize| (x[j] - mean) * scale;
        let along = sum_of(count, |j, sum| A::mul_add(dy[j], weight[j], sum)) / count as f32;
        let across =
            sum_of(count, |j, sum| A::mul_add(dy[j] * weight[j], unit(j), sum)) / count as f32;
        for j in 0..count {
            dx[j] = scale * (A::mul_add(dy[j], weight[j], -along) - unit(j) * across);
            dweight[j] = A::mul_add(dy[j], unit(j), dweight[j]);
            dbias[j] += dy[j];
        }
        if let Some(base) = base {
            for (dx, base) in dx.iter_mut().zip(base.row(r)) {
                *dx += base;
            }
        }
    }
}

multiversion! {
    /// The exact GELU, `x Φ(x)`.
    pub(crate) fn gelu = gelu_body(h: Rows<'_>, out: &mut RowsMut<'_>);
}

#[inline(always)]
fn gelu_body<A: Arithmetic>(h: Rows<'_>, out: &mut RowsMut<'_>) {
    for i in 0..h.count {
        for (a, &x) in out.row(i).iter_mut().zip(h.row(i)) {
            *a = x * normal_below::<A>(x);
        }
    }
}

multiversion! {
    /// The backward pass of GELU: `g` becomes `g * GELU'(h)`; GELU(h) itself is written in panels, as the gradient of
    /// the next weights needs it.
    pub(crate) fn gelu_backward = gelu_backward_body(h: Rows<'_>, g: &mut RowsMut<'_>, packed: &mut [f32]);
}

#[inline(always)]
fn gelu_backward_body<A: Arithmetic>(h: Rows<'_>, g: &mut RowsMut<'_>, packed: &mut [f32]) {
    for i in 0..h.count {
        let (h_row, g) = (h.row(i), g.row(i));
        for (panel, start) in (0..h.width).step_by(PANEL).enumerate() {
            let width = PANEL.min(h.width - start);
            let out = &mut packed[(panel * h.count + i) * PANEL..][..PANEL];
            let (h, g) = (&h_row[start..][..width], &mut g[start..][..width]);
            if width < PANEL {
                out.fill(0.0);
            }
            for ((a, g), &x) in out.iter_mut().zip(g).zip(h) {
                let below = normal_below::<A>(x);
                *a = x * below;
                *g *= A::mul_add(x, normal_density::<A>(x), below);
            }
        }
    }
}

multiversion! {
    /// Adds each column of `x` to `sums`.
    pub(crate) fn add_columns = add_columns_body(x: Rows<'_>, sums: &mut [f32]);
}

#[inline(always)]
fn add_columns_body<A: Arithmetic>(x: Rows<'_>, sums: &mut [f32]) {
    for i in 0..x.count {
        for (sum, &x) in sums.iter_mut().zip(x.row(i)) {
            *sum += x;
        }
    }
}

multiversion! {
    /// Copies rows, multiplied by a factor.
    pub(crate) fn scaled = scaled_body(x: Rows<'_>, factor: f32, out: &mut RowsMut<'_>);
}

#[inline(always)]
fn scaled_body<A: Arithmetic>(x: Rows<'_>, factor: f32, out: &mut RowsMut<'_>) {
    for i in 0..x.count {
        for (out, &x) in out.row(i).iter_mut().zip(x.row(i)) {
            *out = factor * x;
        }
    }
}

multiversion! {
    /// The dot product of two rows.
    pub(crate) fn dot = dot_body(a: &[f32], b: &[f32]) -> f32;
}

#[inline(always)]
fn dot_body<A: Arithmetic>(a: &[f32], b: &[f32]) -> f32 {
    let count = a.len().min(b.len());
    let (a, b) = (&a[..count], &b[..count]);
    sum_of(count, |i, sum| A::mul_add(a[i], b[i], sum))
}

multiversion! {
    /// Softmax numerators of scores in place, the largest made 1; the rest of the row, from `prefix_len` on, becomes zero.
    /// Returns the largest score and the sum of the numerators.
    pub(crate) fn softmax_numerators = softmax_numerators_body(row: &mut [f32], prefix_len: usize) -> (f32, f32);
}

#[inline(always)]
pub(crate) fn softmax_numerators_body<A: Arithmetic>(
    row: &mut [f32],
    prefix_len: usize,
) -> (f32, f32) {
    let (scores, hidden) = row.split_at_mut(prefix_len);
    hidden.fill(0.0);
    let (lanes, rest) = scores.as_chunks::<LANES>();
    let mut largest = [f32::NEG_INFINITY; LANES];
    for chunk in lanes {
        for (largest, &score) in largest.iter_mut().zip(chunk) {
            *largest = if score > *largest { score } else { *largest };
        }
    }
    let largest = largest
        .iter()
        .chain(rest)
        .copied()
        .fold(f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = exp::<A>(*score - largest);
    }
    let sum = sum_of(scores.len(), |i, sum| sum + scores[i]);
    (largest, sum)
}

multiversion! {
    /// Probabilities from scores in place, given the logarithm of the sum of their exponentials; zero from `prefix_len` on.
    pub(crate) fn probabilities = probabilities_body(row: &mut [f32], prefix_len: usize, lse: f32);
}

#[inline(always)]
fn probabilities_body<A: Arithmetic>(row: &mut [f32], prefix_len: usize, lse: f32) {
    let (scores, hidden) = row.split_at_mut(prefix_len);
    hidden.fill(0.0);
    for score in scores.iter_mut() {
        *score = exp::<A>(*score - lse);
    }
}

multiversion! {
    /// The backward pass of softmax: `d = p * (d - delta) * scale` in place.
    pub(crate) fn softmax_backward = softmax_backward_body(p: &[f32], d: &mut [f32], delta: f32, scale: f32);
}

#[inline(always)]
fn softmax_backward_body<A: Arithmetic>(p: &[f32], d: &mut [f32], delta: f32, scale: f32) {
    for (d, &p) in d.iter_mut().zip(p) {
        *d = p * (*d - delta) * scale;
    }
}
