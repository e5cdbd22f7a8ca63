//! The 3×3 convolution as products of shifted maps: each row of kernels is one product over three neighbors of every
//! position, which are gathered a few positions at a time and never all at once. With many channels two outputs share
//! products (`winograd`).

mod winograd;

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::affine::{Affine, Packed, Side};
use super::graph::{Gradient, Input, Saved, as_f32_slice, custom_op, sizes, tensor};
use super::matmul::{
    Finish, PanelFormat, Panels, Rows, RowsMut, Tiles, pack_columns, pack_tiles, packed_len,
    product,
};
use super::parallel;
use super::rows::add_columns;
use super::scratch::{UninitBuf, with_scratch};

/// Positions that are gathered at a time, for a product.
const ROWS: usize = 96;

/// Positions that are gathered at a time, for the gradient of the kernels.
const GRADIENT_ROWS: usize = 192;

/// Outputs of the kernels' gradient that one task is given.
const GRADIENT_OUTPUTS: usize = 128;

/// Maps one after the other, `[batch · rows · columns, channels]`.
#[derive(Clone, Copy)]
struct Maps<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    channels: usize,
}

impl Maps<'_> {
    fn positions(&self) -> usize {
        self.values.len() / self.channels.max(1)
    }

    /// The neighbors of `out.len() / (width · channels)` positions from `first`, `width` in a row each: the first of them
    /// `down` rows below and `right` columns to the right. Outside the map they are zeros.
    fn gather(&self, first: usize, down: isize, right: isize, width: usize, out: &mut [f32]) {
        let c = self.channels;
        let area = self.rows * self.columns;
        for (position, out) in (first..).zip(out.chunks_exact_mut((width * c).max(1))) {
            let (map, place) = (position / area, position % area);
            let row = (place / self.columns) as isize + down;
            if row < 0 || row >= self.rows as isize {
                out.fill(0.0);
                continue;
            }
            let from = (place % self.columns) as isize + right;
            let start = (map * area + row as usize * self.columns) * c;
            let row = &self.values[start..][..self.columns * c];
            let inside = |column: isize| column.clamp(0, self.columns as isize) as usize;
            let (begin, end) = (inside(from), inside(from + width as isize));
            let before = ((begin as isize - from) as usize).min(width) * c;
            let (zeros, out) = out.split_at_mut(before);
            let (copied, after) = out.split_at_mut((end - begin) * c);
            zeros.fill(0.0);
            copied.copy_from_slice(&row[begin * c..end * c]);
            after.fill(0.0);
        }
    }
}

/// `kernels [out, in, 3, 3]` as a linear layer over neighbors, `[out, 3 · 3 · in]`.
fn over_neighbors(kernels: &[f32], outputs: usize, inputs: usize) -> Vec<f32> {
    let mut layer = vec![0.0; kernels.len()];
    for output in 0..outputs {
        for input in 0..inputs {
            for tap in 0..9 {
                layer[(output * 9 + tap) * inputs + input] =
                    kernels[(output * inputs + input) * 9 + tap];
            }
        }
    }
    layer
}

/// The layer that gives the input's gradient: from outputs to inputs, turned by half a turn, `[in, 3 · 3 · out]`.
fn turned(kernels: &[f32], outputs: usize, inputs: usize) -> Vec<f32> {
    let mut layer = vec![0.0; kernels.len()];
    for output in 0..outputs {
        for input in 0..inputs {
            for tap in 0..9 {
                layer[(input * 9 + 8 - tap) * outputs + output] =
                    kernels[(output * inputs + input) * 9 + tap];
            }
        }
    }
    layer
}

/// `layer [out, 3 · 3 · in]` at every position.
fn convolve(x: Maps<'_>, layer: Affine<'_>) -> Vec<f32> {
    let outputs = layer.outputs();
    if winograd::pays(x, outputs) {
        return winograd::convolve(x, layer);
    }
    let packed = Packed::of(&[layer], Side::Forward, PanelFormat::F32);
    let width = 3 * x.channels;
    let mut out = UninitBuf::new(x.positions() * outputs);
    let tasks: Vec<_> = (0..)
        .step_by(ROWS)
        .zip(out.pieces(ROWS * outputs))
        .collect();
    parallel::each(tasks, |(first, out)| {
        let mut out = RowsMut::dense(out.zeros(), outputs);
        with_scratch([out.count * width], |[neighbors]| {
            for tap in 0..3 {
                x.gather(first, tap as isize - 1, -1, 3, neighbors);
                let finish = match tap {
                    0 => Finish::bias(layer.bias),
                    _ => Finish::ADD,
                };
                product(
                    Rows::dense(neighbors, width),
                    packed.layer(0).rows(tap * width, width),
                    finish,
                    &mut out,
                );
            }
        });
    });
    // SAFETY: each task has filled its piece.
    unsafe { out.filled() }
}

/// The gradient of the kernels, `[out, in, 3, 3]`.
fn kernel_gradient(x: Maps<'_>, dout: &[f32], outputs: usize) -> Vec<f32> {
    let inputs = x.channels;
    if winograd::pays(x, outputs) {
        return winograd::kernel_gradient(x, dout, outputs);
    }
    let slices: Vec<(usize, usize)> = (0..9)
        .flat_map(|tap| {
            (0..outputs)
                .step_by(GRADIENT_OUTPUTS)
                .map(move |output| (tap, output))
        })
        .collect();
    let count = |output: usize| GRADIENT_OUTPUTS.min(outputs - output);
    let mut taps = UninitBuf::new(9 * outputs * inputs);
    let pieces = taps.pieces_of(slices.iter().map(|&(_, output)| count(output) * inputs));
    let tasks: Vec<_> = slices.iter().copied().zip(pieces).collect();
    parallel::each(tasks, |((tap, output), piece)| {
        let count = count(output);
        let mut gradient = RowsMut::dense(piece.zeros(), inputs);
        let (down, right) = (tap as isize / 3 - 1, tap as isize % 3 - 1);
        for first in (0..x.positions()).step_by(GRADIENT_ROWS) {
            let rows = GRADIENT_ROWS.min(x.positions() - first);
            let sizes = [rows * inputs, packed_len(rows, inputs), rows * count];
            with_scratch(sizes, |[neighbors, panels, tiles]| {
                x.gather(first, down, right, 1, neighbors);
                pack_columns(Rows::dense(neighbors, inputs), panels);
                let dout = Rows::dense(&dout[first * outputs..][..rows * outputs], outputs);
                pack_tiles(dout.part(0, rows, output, count), tiles);
                product(
                    Tiles::new(tiles, rows, count),
                    Panels::new(panels, rows, inputs),
                    Finish::ADD,
                    &mut gradient,
                );
            });
        }
    });
    // SAFETY: each task has filled its piece.
    let taps = unsafe { taps.filled() };
    let mut kernels = vec![0.0; taps.len()];
    for (tap, taps) in taps.chunks_exact((outputs * inputs).max(1)).enumerate() {
        for (kernel, value) in kernels.chunks_exact_mut(9).zip(taps) {
            kernel[tap] = *value;
        }
    }
    kernels
}

/// See [`crate::conv3x3()`]; `None` if this is not for the CPU backend.
pub(crate) fn conv3x3(
    x: &Tensor<3>,
    map: [usize; 2],
    kernels: &Tensor<4>,
    bias: Option<&Tensor<1>>,
) -> Option<Tensor<3>> {
    let mut inputs = vec![Input::of(x)?, Input::of(kernels)?];
    if let Some(bias) = bias {
        inputs.push(Input::of(bias)?);
    }
    Some(custom_op(inputs, |inputs, wanted| {
        let saved = SavedConv {
            inputs: inputs.to_vec(),
            map,
        };
        let (x, outputs) = (saved.maps(), saved.outputs());
        let layer = over_neighbors(as_f32_slice(&inputs[1]), outputs, x.channels);
        let zeros = vec![0.0; outputs];
        let bias = inputs.get(2).map_or(zeros.as_slice(), as_f32_slice);
        let out = convolve(
            x,
            Affine {
                weight: &layer,
                bias,
            },
        );
        let mut shape = sizes(&inputs[0]);
        shape[2] = outputs;
        let out = tensor(out, &shape);
        (out, wanted.then(|| Arc::new(saved) as Arc<dyn Saved>))
    }))
}

#[derive(Debug)]
struct SavedConv {
    /// Maps, kernels and perhaps a bias.
    inputs: Vec<FlexTensor>,
    map: [usize; 2],
}

impl SavedConv {
    fn maps(&self) -> Maps<'_> {
        Maps {
            values: as_f32_slice(&self.inputs[0]),
            rows: self.map[0],
            columns: self.map[1],
            channels: sizes(&self.inputs[0])[2],
        }
    }

    fn outputs(&self) -> usize {
        sizes(&self.inputs[1])[0]
    }
}

impl Saved for SavedConv {
    fn backward(&self, dout: &FlexTensor, wanted: &[bool]) -> Vec<Gradient> {
        let (x, outputs) = (self.maps(), self.outputs());
        let dout = as_f32_slice(dout);
        let dx = wanted[0].then(|| {
            let layer = turned(as_f32_slice(&self.inputs[1]), outputs, x.channels);
            let layer = Affine {
                weight: &layer,
                bias: &vec![0.0; x.channels],
            };
            let dout = Maps {
                values: dout,
                channels: outputs,
                ..x
            };
            tensor(convolve(dout, layer), &sizes(&self.inputs[0]))
        });
        let kernels = wanted[1].then(|| {
            let gradient = kernel_gradient(x, dout, outputs);
            tensor(gradient, &sizes(&self.inputs[1]))
        });
        let mut gradients = vec![dx, kernels];
        if self.inputs.len() > 2 {
            let mut sums = vec![0.0; outputs];
            add_columns(Rows::dense(dout, outputs), &mut sums);
            gradients.push(Some(tensor(sums, &[outputs])));
        }
        gradients
    }
}
