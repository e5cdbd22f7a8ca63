//! Gradients of weight matrices: `dW [out, in] = dYᵀ X`, summed over all rows of a batch.
//!
//! The rows come in the groups that the rest of the backward pass worked on. Each number of the result is summed group
//! after group, row after row, whatever the number of threads and the cut into tasks.

use super::matmul::{Right, Rows, RowsMut, sum_of_transposed};
use super::scratch::UninitSlice;

/// One group's rows: the gradient `dy [rows, out]`, and `x [rows, in]` in panels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group<'a> {
    pub(crate) dy: Rows<'a>,
    pub(crate) x: Right<'a>,
}

/// Some rows of one weight's gradient.
pub(crate) struct Task<'a> {
    groups: Vec<Group<'a>>,
    first: usize,
    inputs: usize,
    out: UninitSlice<'a>,
    cost: usize,
}

/// Outputs of a weight that one task is given; fewer where a weight has few, so that there is enough to share out.
fn outputs_per_task(outputs: usize) -> usize {
    if outputs < 768 { 96 } else { 192 }
}

/// Inputs that are worked on at a time, so that the part of the result stays in a core's own cache.
const INPUTS: usize = 768;

/// Numbers of the pieces that a weight's gradient is cut into.
pub(crate) fn piece_sizes(outputs: usize, inputs: usize) -> impl Iterator<Item = usize> {
    let size = outputs_per_task(outputs);
    (0..outputs)
        .step_by(size)
        .map(move |first| size.min(outputs - first) * inputs)
}

/// The tasks of one weight, whose gradient goes to `pieces` of [`piece_sizes`].
pub(crate) fn tasks<'a>(
    groups: &[Group<'a>],
    outputs: usize,
    inputs: usize,
    pieces: impl IntoIterator<Item = UninitSlice<'a>>,
) -> Vec<Task<'a>> {
    let size = outputs_per_task(outputs);
    let firsts = (0..outputs).step_by(size);
    firsts
        .zip(pieces)
        .map(|(first, out)| Task {
            groups: groups.to_vec(),
            first,
            inputs,
            out,
            cost: size.min(outputs - first) * inputs,
        })
        .collect()
}

/// The largest first, so that no thread is left with one at the end.
pub(crate) fn largest_first(tasks: &mut [Task<'_>]) {
    tasks.sort_by_key(|task| std::cmp::Reverse(task.cost));
}

/// Computes one task.
pub(crate) fn run(task: Task<'_>) {
    let Task {
        groups,
        first,
        inputs,
        out,
        ..
    } = task;
    let out = out.zeros();
    let outputs = out.len() / inputs;
    let mut out = RowsMut::dense(out, inputs);
    for input in (0..inputs).step_by(INPUTS) {
        let width = INPUTS.min(inputs - input);
        let mut out = out.part(0, outputs, input, width);
        let parts = groups.iter().map(|group| {
            let dy = group.dy.part(0, group.dy.count, first, outputs);
            (dy, group.x.columns(input, width))
        });
        sum_of_transposed(parts, &mut out);
    }
}
