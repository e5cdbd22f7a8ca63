//! How far off predictions are.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use crate::choice::{Kernels, chosen};
use crate::composed;
pub use crate::fused::costs::Cost;
use crate::fused::costs::{backward, forward};
use crate::fused::graph::{Gradient, Input, Saved, numbers, record, sizes, tensor};

/// The cost of each row, `[batch, tokens]`, for predictions and truth `[batch, tokens, width]`. The truth is taken for
/// constant.
pub fn cost(cost: Cost, predictions: Tensor<3>, truth: Tensor<3>) -> Tensor<2> {
    if chosen() == Kernels::Fused
        && let Some(out) = fused(cost, &predictions, &truth)
    {
        return out;
    }
    composed::cost(cost, predictions, truth)
}

fn fused(cost: Cost, predictions: &Tensor<3>, truth: &Tensor<3>) -> Option<Tensor<2>> {
    assert_eq!(
        predictions.dims(),
        truth.dims(),
        "shapes of predictions and truth"
    );
    let [batch, tokens, width] = predictions.dims();
    let inputs = vec![Input::of(predictions)?, Input::of(truth)?];
    Some(record(inputs, |inputs, wanted| {
        let costs = forward(cost, numbers(&inputs[0]), numbers(&inputs[1]), width);
        let saved = wanted.then(|| {
            let inputs = inputs.to_vec();
            Arc::new(SavedCost { cost, inputs }) as Arc<dyn Saved>
        });
        (tensor(costs, &[batch, tokens]), saved)
    }))
}

#[derive(Debug)]
struct SavedCost {
    cost: Cost,
    inputs: Vec<FlexTensor>,
}

impl Saved for SavedCost {
    fn backward(&self, dout: &FlexTensor, _wanted: &[bool]) -> Vec<Gradient> {
        let shape = sizes(&self.inputs[0]);
        let width = shape.last().copied().unwrap_or(0);
        let [predictions, truth] = [numbers(&self.inputs[0]), numbers(&self.inputs[1])];
        let gradient = backward(self.cost, predictions, truth, numbers(dout), width);
        vec![Some(tensor(gradient, &shape)), None]
    }
}
