//! Fused operations in the framework's graph: one node per operation, whatever goes on inside it.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Bytes, DType, Shape, Tensor};

/// A tensor of the CPU backend in a graph.
type TrackedTensor = FloatTensor<Autodiff<Flex>>;

/// A tensor of the CPU backend that goes into a fused operation.
#[derive(Debug)]
pub(crate) enum Input {
    /// Without a graph.
    Plain(FlexTensor),
    /// Part of a graph.
    Tracked(TrackedTensor),
}

impl Input {
    /// The tensor, if it is of 32-bit numbers on the CPU backend.
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        let input = if tensor.is_autodiff() {
            Self::Tracked(tensor.clone().try_into_primitive::<Autodiff<Flex>>().ok()?)
        } else {
            Self::Plain(tensor.clone().try_into_primitive::<Flex>().ok()?)
        };
        (input.values().dtype() == DType::F32).then_some(input)
    }

    fn values(&self) -> &FlexTensor {
        match self {
            Self::Plain(tensor) => tensor,
            Self::Tracked(tensor) => tensor.primitive(),
        }
    }
}

/// What an operation keeps from its forward pass.
pub(crate) trait Saved: Debug + Send + Sync {
    /// The gradients of the operation's inputs, in their order, from the gradient of its output. An input's gradient
    /// that is not wanted may be left out.
    fn backward(&self, dout: &FlexTensor, wanted: &[bool]) -> Vec<Gradient>;
}

/// The gradient of an input, or that there is none.
pub(crate) type Gradient = Option<FlexTensor>;

/// Runs an operation and records it if an input is part of a graph.
///
/// `run` is given contiguous inputs and whether its backward pass will be wanted.
pub(crate) fn custom_op<const D: usize>(
    inputs: Vec<Input>,
    run: impl FnOnce(&[FlexTensor], bool) -> (FlexTensor, Option<Arc<dyn Saved>>),
) -> Tensor<D> {
    let values: Vec<FlexTensor> = inputs
        .iter()
        .map(|input| input.values().to_contiguous())
        .collect();
    if inputs.iter().all(|input| matches!(input, Input::Plain(_))) {
        drop(inputs);
        return Tensor::from_primitive::<Flex>(run(&values, false).0);
    }
    let tracked: Vec<TrackedTensor> = inputs
        .into_iter()
        .map(|input| match input {
            Input::Plain(tensor) => TrackedTensor::new(tensor),
            Input::Tracked(tensor) => tensor,
        })
        .collect();
    // The number of inputs of a node is part of its type: where there are fewer, one without a graph fills up.
    assert!(tracked.len() <= MAX_INPUTS, "inputs of a fused operation");
    let none = TrackedTensor::new(tensor(Vec::new(), &[0]));
    let nodes: [_; MAX_INPUTS] = std::array::from_fn(|i| tracked.get(i).unwrap_or(&none).node());
    let step = FusedStep.prepare::<NoCheckpointing>(nodes).compute_bound();
    let out = match step.stateful() {
        OpsKind::Tracked(step) => {
            let (out, saved) = run(&values, true);
            step.finish(State(saved), out)
        }
        OpsKind::UnTracked(step) => step.finish(run(&values, false).0),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(out)
}

/// Most inputs that a fused operation has: a query block's two streams and sixteen weights.
const MAX_INPUTS: usize = 18;

#[derive(Clone, Debug)]
struct State(Option<Arc<dyn Saved>>);

/// The node of every fused operation.
#[derive(Debug)]
struct FusedStep;

impl Backward<Flex, MAX_INPUTS> for FusedStep {
    type State = State;

    fn backward(
        self,
        ops: Ops<State, MAX_INPUTS>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dout = grads.consume::<Flex>(&ops.node).to_contiguous();
        let Some(saved) = ops.state.0 else { return };
        let wanted = ops.parents.each_ref().map(Option::is_some);
        for (parent, gradient) in ops.parents.into_iter().zip(saved.backward(&dout, &wanted)) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// The numbers of a contiguous tensor.
pub(crate) fn as_f32_slice(tensor: &FlexTensor) -> &[f32] {
    match tensor.as_slice::<f32>() {
        Some(numbers) => numbers,
        None => unreachable!("fused operations are given contiguous tensors of f32"),
    }
}

/// Sizes of the axes.
pub(crate) fn sizes(tensor: &FlexTensor) -> Vec<usize> {
    tensor.layout().shape().to_vec()
}

/// A tensor of these numbers.
pub(crate) fn tensor(numbers: Vec<f32>, shape: &[usize]) -> FlexTensor {
    let layout = Layout::contiguous(Shape::from(shape.to_vec()));
    FlexTensor::new(Bytes::from_elems(numbers), layout, DType::F32)
}
