//! The fused block as an operation on tensors.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::affine::Affine;
use super::block::{self, SavedActivations, Weights};
use super::block_backward;
use super::graph::{Gradient, Input, Saved, as_f32_slice, custom_op, sizes, tensor};
use super::matmul::PanelFormat;
use super::rows::Norm;
use crate::precision::Precision;
use crate::types::{
    Activation, BlockWeights, DropPathScales, LinearWeights, NormWeights, PrefixMask, Projections,
    Recompute,
};

/// See [`crate::block()`]; `None` if this is not for the CPU backend, or for an activation that only other people's frozen
/// encoders have.
pub(crate) fn block(
    x: &Tensor<3>,
    context: Option<&Tensor<3>>,
    mask: Option<&PrefixMask>,
    weights: &BlockWeights,
    drop_path: Option<&DropPathScales>,
    recompute: Recompute,
) -> Option<Tensor<3>> {
    if weights.activation != Activation::Gelu {
        return None;
    }
    let prefix_lens = match mask {
        Some(mask) => Some(mask.on_host()?),
        None => None,
    };
    let mut inputs = vec![Input::of(x)?];
    if let Some(context) = context {
        inputs.push(Input::of(context)?);
    }
    push_norm(&mut inputs, &weights.norm1)?;
    let joint = match &weights.projections {
        Projections::Joint(qkv) => {
            push_linear(&mut inputs, qkv)?;
            true
        }
        Projections::Separate(layers) => {
            for layer in layers.iter() {
                push_linear(&mut inputs, layer)?;
            }
            false
        }
    };
    push_linear(&mut inputs, &weights.proj)?;
    push_norm(&mut inputs, &weights.norm2)?;
    push_linear(&mut inputs, &weights.fc1)?;
    push_linear(&mut inputs, &weights.fc2)?;
    let operation = Operation {
        form: Form {
            context: context.is_some(),
            joint,
            samples: x.dims()[0],
            heads: weights.num_heads,
            epsilons: [&weights.norm1, &weights.norm2].map(|norm| norm.epsilon as f32),
        },
        prefix_lens,
        drop_path: drop_path.cloned(),
        format: Precision::format(),
    };
    operation.check(
        &x.dims(),
        context.map(|context| context.dims()),
        weights,
        mask,
    );
    Some(custom_op(inputs, |inputs, wanted| {
        let keep = wanted.then_some(recompute);
        let (out, activations) = block::forward(
            &operation.input(inputs),
            &operation.form.weights(inputs),
            keep,
        );
        let out = tensor(out, &sizes(&inputs[0]));
        let saved = wanted.then(|| {
            let inputs = inputs.to_vec();
            Arc::new(SavedBlock {
                operation,
                inputs,
                activations,
            }) as Arc<dyn Saved>
        });
        (out, saved)
    }))
}

fn push_norm(inputs: &mut Vec<Input>, norm: &NormWeights) -> Option<()> {
    inputs.push(Input::of(&norm.weight)?);
    inputs.push(Input::of(&norm.bias)?);
    Some(())
}

fn push_linear(inputs: &mut Vec<Input>, linear: &LinearWeights) -> Option<()> {
    inputs.push(Input::of(&linear.weight)?);
    inputs.push(Input::of(&linear.bias)?);
    Some(())
}

/// How a block's inputs are listed: x, context, norm1, projections, proj, norm2, fc1, fc2, weight before bias.
#[derive(Clone, Copy, Debug)]
struct Form {
    context: bool,
    joint: bool,
    samples: usize,
    heads: usize,
    /// Of the two norms.
    epsilons: [f32; 2],
}

impl Form {
    fn weights<'a>(&self, inputs: &'a [FlexTensor]) -> Weights<'a> {
        let mut rest = inputs[1 + usize::from(self.context)..]
            .iter()
            .map(as_f32_slice);
        let mut next = || rest.next().unwrap_or_default();
        let norm = |weight, bias, epsilon| Norm {
            weight,
            bias,
            epsilon,
        };
        let [epsilon1, epsilon2] = self.epsilons;
        let affine = |weight, bias| Affine { weight, bias };
        let norm1 = norm(next(), next(), epsilon1);
        let [q, k, v] = if self.joint {
            let (weight, bias) = (next(), next());
            let (outputs, numbers) = (bias.len() / 3, weight.len() / 3);
            [0, 1, 2].map(|i| {
                affine(
                    &weight[i * numbers..][..numbers],
                    &bias[i * outputs..][..outputs],
                )
            })
        } else {
            [
                affine(next(), next()),
                affine(next(), next()),
                affine(next(), next()),
            ]
        };
        Weights {
            norm1,
            q,
            k,
            v,
            proj: affine(next(), next()),
            norm2: norm(next(), next(), epsilon2),
            fc1: affine(next(), next()),
            fc2: affine(next(), next()),
        }
    }
}

#[derive(Debug)]
struct Operation {
    form: Form,
    prefix_lens: Option<Arc<Vec<u32>>>,
    drop_path: Option<DropPathScales>,
    format: PanelFormat,
}

impl Operation {
    fn input<'a>(&'a self, inputs: &'a [FlexTensor]) -> block::Input<'a> {
        block::Input {
            samples: self.form.samples,
            heads: self.form.heads,
            x: as_f32_slice(&inputs[0]),
            context: self.form.context.then(|| as_f32_slice(&inputs[1])),
            prefix_lens: self.prefix_lens.as_ref().map(|lens| lens.as_slice()),
            drop_path: self
                .drop_path
                .as_ref()
                .map(|b| [b.attention.as_slice(), b.mlp.as_slice()]),
            format: self.format,
        }
    }

    /// What the framework's own operations would refuse.
    fn check(
        &self,
        x: &[usize; 3],
        context: Option<[usize; 3]>,
        weights: &BlockWeights,
        mask: Option<&PrefixMask>,
    ) {
        let [samples, query_len, width] = *x;
        let key_len = context.map_or(query_len, |[other, key_len, context_width]| {
            assert_eq!(
                (other, context_width),
                (samples, width),
                "shapes of a block's two streams"
            );
            key_len
        });
        let linear = |layer: &LinearWeights, outputs: usize, inputs: usize| {
            assert_eq!(layer.weight.dims(), [outputs, inputs], "shape of a weight");
            assert_eq!(layer.bias.dims(), [outputs], "shape of a bias");
        };
        match &weights.projections {
            Projections::Joint(qkv) => linear(qkv, 3 * width, width),
            Projections::Separate(layers) => {
                layers.iter().for_each(|layer| linear(layer, width, width))
            }
        }
        let hidden = weights.fc1.bias.dims()[0];
        linear(&weights.proj, width, width);
        linear(&weights.fc1, hidden, width);
        linear(&weights.fc2, width, hidden);
        for norm in [&weights.norm1, &weights.norm2] {
            assert_eq!(
                (norm.weight.dims(), norm.bias.dims()),
                ([width], [width]),
                "shape of a norm"
            );
        }
        assert!(
            self.form.heads > 0 && width.is_multiple_of(self.form.heads),
            "heads of a block"
        );
        if let Some(mask) = mask {
            assert_eq!(
                mask.shape(),
                [samples, query_len, key_len],
                "mask of a block"
            );
        }
        if let Some(DropPathScales { attention, mlp }) = &self.drop_path {
            assert_eq!(
                (attention.len(), mlp.len()),
                (samples, samples),
                "drop path factors of a block"
            );
        }
    }
}

#[derive(Debug)]
struct SavedBlock {
    operation: Operation,
    inputs: Vec<FlexTensor>,
    activations: SavedActivations,
}

impl Saved for SavedBlock {
    fn backward(&self, dout: &FlexTensor, _wanted: &[bool]) -> Vec<Gradient> {
        let Self {
            operation,
            inputs,
            activations,
        } = self;
        let form = operation.form;
        let weights = form.weights(inputs);
        let gradients = block_backward::backward(
            &operation.input(inputs),
            &weights,
            activations,
            as_f32_slice(dout),
        );
        let vectors = gradients.vectors;
        let [scale1, shift1] = vectors.norm1;
        let [scale2, shift2] = vectors.norm2;
        let mut values = vec![gradients.x];
        if form.context {
            values.push(gradients.context);
        }
        values.extend([scale1, shift1, gradients.qkv, vectors.qkv]);
        values.extend([gradients.proj, vectors.proj, scale2, shift2]);
        values.extend([gradients.fc1, vectors.fc1, gradients.fc2, vectors.fc2]);
        let projections = 3 + usize::from(form.context);
        let mut shapes: Vec<Vec<usize>> = inputs.iter().map(sizes).collect();
        if !form.joint {
            let width = shapes[projections - 1][0];
            shapes.splice(
                projections..projections + 6,
                [vec![3 * width, width], vec![3 * width]],
            );
        }
        let mut all: Vec<Gradient> = values
            .into_iter()
            .zip(&shapes)
            .map(|(values, shape)| Some(tensor(values, shape)))
            .collect();
        if !form.joint {
            // Views of one gradient, not copies.
            let parts = |i: usize, part: usize| {
                let third = shapes[i][0] / 3;
                all[i]
                    .as_ref()
                    .map(|whole| whole.narrow(0, part * third, third))
            };
            let parts: Vec<Gradient> = (0..3)
                .flat_map(|part| [parts(projections, part), parts(projections + 1, part)])
                .collect();
            all.splice(projections..projections + 2, parts);
        }
        all
    }
}
