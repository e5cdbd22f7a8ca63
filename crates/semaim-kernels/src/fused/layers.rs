//! Layer norm, linear layer and MLP by themselves, some rows per task.

use super::affine::{Affine, Packed, Side};
use super::matmul::{Finish, PanelFormat, Rows, RowsMut, product};
use super::parallel;
use super::pool::PooledBuf;
use super::rows::{
    Moments, Norm, add_columns, gelu, gelu_backward, norm, norm_backward, norm_moments,
};
use super::scratch::{UninitBuf, UninitSlice, with_scratch};
use super::tiling::{GROUP_ROWS, padded_stride};
use super::weight_gradient::{self, Group};

/// Rows per task.
const ROWS: usize = GROUP_ROWS;

/// Adds up what tasks gave for vectors, in the order of the tasks.
fn sum(parts: Vec<Vec<f32>>, width: usize) -> Vec<f32> {
    parts.into_iter().fold(vec![0.0; width], |mut sum, part| {
        add_columns(Rows::dense(&part, width), &mut sum);
        sum
    })
}

/// Layer norm of `x [rows, width]`.
pub(crate) fn norm_forward(x: &[f32], weights: Norm<'_>) -> Vec<f32> {
    let width = weights.weight.len();
    let mut out = UninitBuf::new(x.len());
    let tasks: Vec<_> = x
        .chunks(ROWS * width)
        .zip(out.pieces(ROWS * width))
        .collect();
    parallel::each(tasks, |(x, out)| {
        let x = Rows::dense(x, width);
        let mut moments = vec![Moments::default(); x.count];
        norm(
            x,
            weights,
            &mut moments,
            &mut RowsMut::dense(out.zeros(), width),
        );
    });
    // SAFETY: each task has filled its piece.
    unsafe { out.filled() }
}

/// Gradients of a layer norm's input, scale and shift.
pub(crate) fn norm_back(x: &[f32], weights: Norm<'_>, dout: &[f32]) -> [Vec<f32>; 3] {
    let width = weights.weight.len();
    let mut dx = UninitBuf::new(x.len());
    let size = ROWS * width;
    let tasks: Vec<_> = x
        .chunks(size)
        .zip(dout.chunks(size))
        .zip(dx.pieces(size))
        .collect();
    let parts = parallel::results(tasks, |((x, dout), dx)| {
        let (x, dout) = (Rows::dense(x, width), Rows::dense(dout, width));
        let mut moments = vec![Moments::default(); x.count];
        norm_moments(x, weights.epsilon, &mut moments);
        let mut dx = RowsMut::dense(dx.zeros(), width);
        let mut sums = vec![0.0; 2 * width];
        let (scale, shift) = sums.split_at_mut(width);
        norm_backward(x, dout, weights, &moments, None, &mut dx, scale, shift);
        sums
    });
    let mut scale = sum(parts, 2 * width);
    let shift = scale.split_off(width);
    // SAFETY: each task has filled its piece.
    [unsafe { dx.filled() }, scale, shift]
}

/// `x Wᵀ + b` for `x [rows, in]`.
pub(crate) fn linear_forward(x: &[f32], layer: Affine<'_>, format: PanelFormat) -> Vec<f32> {
    let (inputs, outputs) = (layer.inputs(), layer.outputs());
    let packed = Packed::of(&[layer], Side::Forward, format);
    let mut out = UninitBuf::new(x.len() / inputs * outputs);
    let tasks: Vec<_> = x
        .chunks(ROWS * inputs)
        .zip(out.pieces(ROWS * outputs))
        .collect();
    parallel::each(tasks, |(x, out)| {
        let mut out = RowsMut::dense(out.zeros(), outputs);
        product(
            Rows::dense(x, inputs),
            packed.layer(0),
            Finish::bias(layer.bias),
            &mut out,
        );
    });
    // SAFETY: each task has filled its piece.
    unsafe { out.filled() }
}

/// The gradients of weights of one layer.
#[derive(Debug)]
pub(crate) struct LayerGradients {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// Gradients of a linear layer; the input's only if it is wanted.
pub(crate) fn linear_back(
    x: &[f32],
    layer: Affine<'_>,
    dout: &[f32],
    wants_dx: bool,
    format: PanelFormat,
) -> (Option<Vec<f32>>, LayerGradients) {
    let (inputs, outputs) = (layer.inputs(), layer.outputs());
    let back = wants_dx.then(|| Packed::of(&[layer], Side::Backward, format));
    let mut dx = UninitBuf::new(if wants_dx { x.len() } else { 0 });
    let chunks: Vec<&[f32]> = x.chunks(ROWS * inputs).collect();
    let mut packed = PooledBuf::new(
        chunks
            .iter()
            .map(|x| format.packed_len(x.len() / inputs, inputs))
            .sum(),
    );
    let bias = {
        let mut dx = dx.pieces(ROWS * inputs);
        let pieces = packed.pieces_of(
            chunks
                .iter()
                .map(|x| format.packed_len(x.len() / inputs, inputs)),
        );
        let tasks: Vec<_> = chunks
            .iter()
            .zip(dout.chunks(ROWS * outputs))
            .zip(pieces)
            .map(|((x, dout), packed)| (*x, dout, packed, dx.next()))
            .collect();
        let parts = parallel::results(
            tasks,
            |(x, dout, packed, dx): (_, _, &mut [f32], Option<UninitSlice<'_>>)| {
                let dout = Rows::dense(dout, outputs);
                format.pack_columns(Rows::dense(x, inputs), packed);
                if let (Some(back), Some(dx)) = (&back, dx) {
                    product(
                        dout,
                        back.layer(0),
                        Finish::PLAIN,
                        &mut RowsMut::dense(dx.zeros(), inputs),
                    );
                }
                let mut sums = vec![0.0; outputs];
                add_columns(dout, &mut sums);
                sums
            },
        );
        sum(parts, outputs)
    };
    let groups = groups(format, dout, outputs, &packed, inputs);
    let weight = weight_gradients(&[(groups, outputs, inputs)])
        .pop()
        .unwrap_or_default();
    // SAFETY: as above.
    (
        wants_dx.then(|| unsafe { dx.filled() }),
        LayerGradients { weight, bias },
    )
}

/// Pairs rows of gradients with inputs in panels, [`ROWS`] at a time.
fn groups<'a>(
    format: PanelFormat,
    dy: &'a [f32],
    outputs: usize,
    mut packed: &'a [f32],
    inputs: usize,
) -> Vec<Group<'a>> {
    dy.chunks(ROWS * outputs)
        .map(|dy| {
            let rows = dy.len() / outputs;
            let (mine, rest) = packed.split_at(format.packed_len(rows, inputs));
            packed = rest;
            Group {
                dy: Rows::dense(dy, outputs),
                x: format.panels(mine, rows, inputs),
            }
        })
        .collect()
}

/// Gradients of weights `[outputs, inputs]` from their groups.
fn weight_gradients(weights: &[(Vec<Group<'_>>, usize, usize)]) -> Vec<Vec<f32>> {
    let mut blanks: Vec<UninitBuf> = weights
        .iter()
        .map(|(_, outputs, inputs)| UninitBuf::new(outputs * inputs))
        .collect();
    let mut tasks: Vec<_> = weights
        .iter()
        .zip(&mut blanks)
        .flat_map(|((groups, outputs, inputs), blank)| {
            let pieces = blank.pieces_of(weight_gradient::piece_sizes(*outputs, *inputs));
            weight_gradient::tasks(groups, *outputs, *inputs, pieces)
        })
        .collect();
    weight_gradient::largest_first(&mut tasks);
    parallel::each(tasks, weight_gradient::run);
    // SAFETY: each task has filled its piece.
    blanks
        .into_iter()
        .map(|blank| unsafe { blank.filled() })
        .collect()
}

/// `fc2(GELU(fc1(x)))` for `x [rows, in]`; and the hidden layer before GELU, if it is to be kept.
pub(crate) fn mlp_forward(
    x: &[f32],
    [fc1, fc2]: [Affine<'_>; 2],
    keep: bool,
    format: PanelFormat,
) -> (Vec<f32>, PooledBuf) {
    let (inputs, hidden, outputs) = (fc1.inputs(), fc1.outputs(), fc2.outputs());
    let packed = Packed::of(&[fc1, fc2], Side::Forward, format);
    let rows = x.len() / inputs;
    let mut out = UninitBuf::new(rows * outputs);
    let mut kept = PooledBuf::new(if keep { rows * hidden } else { 0 });
    {
        let mut kept = kept.chunks_mut(ROWS * hidden);
        let tasks: Vec<_> = x
            .chunks(ROWS * inputs)
            .zip(out.pieces(ROWS * outputs))
            .map(|(x, out)| (Rows::dense(x, inputs), out, kept.next()))
            .collect();
        parallel::each(tasks, |(x, out, kept)| {
            let stride = padded_stride(hidden);
            let missing = if kept.is_some() { 0 } else { x.count * hidden };
            with_scratch([missing, x.count * stride], |[scratch, active]| {
                let h = kept.unwrap_or(scratch);
                product(
                    x,
                    packed.layer(0),
                    Finish::bias(fc1.bias),
                    &mut RowsMut::dense(h, hidden),
                );
                gelu(
                    Rows::dense(h, hidden),
                    &mut RowsMut::new(active, x.count, hidden, stride),
                );
                let active = Rows::new(active, x.count, hidden, stride);
                let mut out = RowsMut::dense(out.zeros(), outputs);
                product(active, packed.layer(1), Finish::bias(fc2.bias), &mut out);
            });
        });
    }
    // SAFETY: each task has filled its piece.
    (unsafe { out.filled() }, kept)
}

/// Gradients of an MLP's input and of its two layers.
pub(crate) fn mlp_back(
    x: &[f32],
    [fc1, fc2]: [Affine<'_>; 2],
    h: &[f32],
    dout: &[f32],
    format: PanelFormat,
) -> (Vec<f32>, [LayerGradients; 2]) {
    let (inputs, hidden, outputs) = (fc1.inputs(), fc1.outputs(), fc2.outputs());
    let back = Packed::of(&[fc1, fc2], Side::Backward, format);
    let rows = x.len() / inputs;
    let counts: Vec<usize> = x.chunks(ROWS * inputs).map(|x| x.len() / inputs).collect();
    let packed_sizes = |width: usize| {
        counts
            .iter()
            .map(move |&count| format.packed_len(count, width))
    };
    let mut dx = UninitBuf::new(x.len());
    let mut dh = PooledBuf::new(rows * hidden);
    let mut active = PooledBuf::new(packed_sizes(hidden).sum());
    let mut packed = PooledBuf::new(packed_sizes(inputs).sum());
    let parts = {
        let tasks: Vec<_> = x
            .chunks(ROWS * inputs)
            .zip(h.chunks(ROWS * hidden))
            .zip(dout.chunks(ROWS * outputs))
            .zip(dx.pieces(ROWS * inputs))
            .zip(dh.chunks_mut(ROWS * hidden))
            .zip(active.pieces_of(packed_sizes(hidden)))
            .zip(packed.pieces_of(packed_sizes(inputs)))
            .collect();
        parallel::results(tasks, |((((((x, h), dout), dx), dh), active), packed)| {
            let dout = Rows::dense(dout, outputs);
            let mut dh = RowsMut::dense(dh, hidden);
            product(dout, back.layer(1), Finish::PLAIN, &mut dh);
            format.fill([dout.count, hidden], active, |active| {
                gelu_backward(Rows::dense(h, hidden), &mut dh, active);
            });
            let dh = dh.read();
            product(
                dh,
                back.layer(0),
                Finish::PLAIN,
                &mut RowsMut::dense(dx.zeros(), inputs),
            );
            format.pack_columns(Rows::dense(x, inputs), packed);
            let mut sums = vec![0.0; hidden + outputs];
            let (first, second) = sums.split_at_mut(hidden);
            add_columns(dh, first);
            add_columns(dout, second);
            sums
        })
    };
    // SAFETY: each task has filled its piece.
    let dx = unsafe { dx.filled() };
    let mut weights = weight_gradients(&[
        (groups(format, &dh, hidden, &packed, inputs), hidden, inputs),
        (
            groups(format, dout, outputs, &active, hidden),
            outputs,
            hidden,
        ),
    ]);
    let mut bias1 = sum(parts, hidden + outputs);
    let bias2 = bias1.split_off(hidden);
    let weight2 = weights.pop().unwrap_or_default();
    let weight1 = weights.pop().unwrap_or_default();
    let layers = [
        LayerGradients {
            weight: weight1,
            bias: bias1,
        },
        LayerGradients {
            weight: weight2,
            bias: bias2,
        },
    ];
    (dx, layers)
}
