//! Gradients of weights that move alike, put together, so that a device is asked once for many weights and not once for each.
//!
//! A transformer has hundreds of weights, most of them small; one kernel takes longer to be started than to move such a weight. The
//! parts of what is put together begin where a device allows views, so that taking them apart copies nothing.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use semaim::parameters::{NamedVisitor, device_of, flat_weights, visit_named};
use semaim_kernels::{AdamWStep, KernelLimits, Moments, UnreadStep, kernel_limits, sum_of_squares};

use super::{Buffers, Optimizer, UpdateRule};
use crate::gradients::Gradients;
use crate::param_groups::ParamGroup;

/// Most weights in one piece.
const MOST_WEIGHTS: usize = 16;
/// Most numbers in one piece, 16 MiB: what is larger takes its time however it is started.
const MOST_NUMBERS: usize = 1 << 22;
/// What the kernel of an update reads and writes beside the weights of a piece: gradients, both moments, factor and decision; the
/// new weights and moments; sizes; and one to spare.
const OTHER_TENSORS: usize = 10;

/// Where a weight is in a piece.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) start: usize,
    pub(super) len: usize,
}

impl Part {
    /// What is the weight's of a tensor of its piece, a view of it.
    fn of(&self, whole: &Tensor<1>) -> Tensor<1> {
        whole.clone().narrow(0, self.start, self.len)
    }

    /// The weight's own moments.
    pub(super) fn moments(&self, of_piece: &Moments) -> Moments {
        Moments {
            first: self.of(&of_piece.first),
            second: self.of(&of_piece.second),
        }
    }
}

/// Gradients of weights that move alike, one after the other.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) group: ParamGroup,
    pub(super) parts: Vec<Part>,
    /// `[values]` of all parts.
    pub(super) gradient: Tensor<1>,
}

/// Gradients, where possible in pieces.
#[derive(Debug)]
pub struct Gathered {
    pub(super) pieces: Vec<Piece>,
    /// What is in no piece.
    pub(super) single: Gradients,
}

impl Gathered {
    /// The Euclidean norm over all weights together, `[1]`, left on the device; `None` where there are no gradients.
    pub fn unread_norm(&self) -> Option<Tensor<1>> {
        let pieces = self.pieces.iter().map(|piece| &piece.gradient);
        let single = self.single.iter().map(|(_, gradient)| gradient);
        let squares = pieces
            .chain(single)
            .map(|gradient| sum_of_squares(gradient.clone()));
        // Sums of sums, which a device that fuses makes in one go.
        squares.reduce(|a, b| a + b).map(Tensor::sqrt)
    }
}

impl Optimizer {
    /// Puts the gradients of weights that move alike together, as far as the device of `model` allows.
    pub fn gather<M: Module>(&self, model: &M, gradients: Gradients) -> Gathered {
        let limits = kernel_limits(&device_of(model));
        let most = MOST_WEIGHTS.min(limits.tensors.saturating_sub(OTHER_TENSORS));
        let mut gather = Gather {
            optimizer: self,
            limits,
            most,
            gradients,
            open: Vec::new(),
            gathered: Gathered {
                pieces: Vec::new(),
                single: Gradients::default(),
            },
        };
        if matches!(self.rule, UpdateRule::AdamW { .. }) && most > 1 {
            visit_named(model, &mut gather);
        }
        gather.finish()
    }
}

/// Weights of one group that still has room.
struct Open {
    group: ParamGroup,
    names: Vec<String>,
    gradients: Vec<Tensor<1>>,
    numbers: usize,
}

impl Open {
    fn new(group: ParamGroup) -> Self {
        Self {
            group,
            names: Vec::new(),
            gradients: Vec::new(),
            numbers: 0,
        }
    }
}

struct Gather<'a> {
    optimizer: &'a Optimizer,
    limits: KernelLimits,
    most: usize,
    gradients: Gradients,
    open: Vec<Open>,
    gathered: Gathered,
}

impl Gather<'_> {
    fn close(&mut self, open: Open) {
        let mut start = 0;
        let parts = open.names.into_iter().zip(&open.gradients);
        let parts: Vec<Part> = parts
            .map(|(name, gradient)| {
                let part = Part {
                    name,
                    start,
                    len: gradient.dims()[0],
                };
                start += part.len;
                part
            })
            .collect();
        self.gathered.pieces.push(Piece {
            group: open.group,
            parts,
            gradient: joined(open.gradients),
        });
    }

    fn finish(mut self) -> Gathered {
        for open in std::mem::take(&mut self.open) {
            self.close(open);
        }
        self.gathered.single = self.gradients;
        self.gathered
    }
}

impl NamedVisitor for Gather<'_> {
    fn visit<const D: usize>(&mut self, name: &str, _: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get(name) else {
            return;
        };
        let len = gradient.dims()[0];
        if len > MOST_NUMBERS || !len.is_multiple_of(self.limits.alignment) {
            return;
        }
        let Some(gradient) = self.gradients.remove(name) else {
            return;
        };
        let group = self.optimizer.param_groups.of(name, D);
        let place = self.open.iter().position(|open| open.group == group);
        let mut open = match place {
            Some(place) => self.open.remove(place),
            None => Open::new(group),
        };
        if open.names.len() == self.most || open.numbers + len > MOST_NUMBERS {
            self.close(std::mem::replace(&mut open, Open::new(group)));
        }
        open.names.push(name.to_string());
        open.gradients.push(gradient);
        open.numbers += len;
        self.open.push(open);
    }
}

/// One after the other.
fn joined(mut tensors: Vec<Tensor<1>>) -> Tensor<1> {
    match tensors.len() {
        1 => tensors.remove(0),
        _ => Tensor::cat(tensors, 0),
    }
}

impl Optimizer {
    /// Moves the weights of pieces; gives those that moved, `[values]` each.
    pub(super) fn move_pieces<M: Module>(
        &mut self,
        model: &M,
        pieces: Vec<Piece>,
        unread: &UnreadStep,
        lr: f64,
    ) -> BTreeMap<String, Tensor<1>> {
        let mut moved = BTreeMap::new();
        let is_there = |parts: &Vec<Part>| pieces.iter().any(|piece| piece.parts == *parts);
        if !self.joint.keys().all(is_there) {
            self.take_apart();
        }
        let UpdateRule::AdamW { betas, epsilon } = self.rule else {
            return moved;
        };
        let mut weights = flat_weights(model);
        for piece in pieces {
            // Of the steps in which they learn.
            let count = self.steps.saturating_sub(piece.group.waits);
            if count == 0 {
                continue;
            }
            let step = AdamWStep {
                lr: lr * piece.group.lr_scale,
                weight_decay: piece.group.weight_decay,
                betas,
                epsilon,
                count,
                gradient_factor: 1.0,
            };
            let names = piece.parts.iter().map(|part| &part.name);
            let weights = names.filter_map(|name| Some(weights.remove(name)?.values.detach()));
            let before = joined(weights.collect());
            let moments = self.joint_moments(&piece.parts);
            let (after, moments) = unread.adamw(before, piece.gradient, moments, step);
            for part in &piece.parts {
                moved.insert(part.name.clone(), part.of(&after));
            }
            self.joint.insert(piece.parts, moments);
        }
        moved
    }

    /// The moments of a piece as they are before a step; `None` before its first.
    fn joint_moments(&mut self, parts: &[Part]) -> Option<Moments> {
        if let Some(moments) = self.joint.remove(parts) {
            return Some(moments);
        }
        let found: Vec<_> = parts
            .iter()
            .map(|part| match self.buffers.remove(&part.name)? {
                Buffers::AdamW(moments) => Some(moments),
                Buffers::Sgd(_) => None,
            })
            .collect();
        let device = found.iter().flatten().next()?.first.device();
        let (firsts, seconds) = found
            .into_iter()
            .zip(parts)
            .map(|(moments, part)| match moments {
                Some(moments) => (moments.first, moments.second),
                None => {
                    let zeros = Tensor::zeros([part.len], &device);
                    (zeros.clone(), zeros)
                }
            })
            .unzip();
        Some(Moments {
            first: joined(firsts),
            second: joined(seconds),
        })
    }

    /// Gives each weight its own moments again.
    pub(super) fn take_apart(&mut self) {
        for (parts, moments) in std::mem::take(&mut self.joint) {
            for part in parts {
                let own = part.moments(&moments);
                self.buffers.insert(part.name, Buffers::AdamW(own));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};
    use semaim::parameters::{Weights, to_host, weights};

    use crate::param_groups::ParamGroups;

    /// 40 weights of one axis and 3 of two, named as in a model of three blocks.
    #[derive(Module, Debug)]
    struct Model {
        blocks: Vec<Block>,
        norm: Param<Tensor<1>>,
    }

    #[derive(Module, Debug)]
    struct Block {
        biases: Vec<Param<Tensor<1>>>,
        weight: Param<Tensor<2>>,
    }

    const BLOCKS: usize = 3;

    fn model() -> Model {
        let device = Device::flex();
        let biases = || (0..13).map(|i| Param::from_tensor(numbers([3 + i % 2], i, &device)));
        let block = |i| Block {
            biases: biases().collect(),
            weight: Param::from_tensor(numbers([2, 3], i, &device)),
        };
        Model {
            blocks: (0..BLOCKS).map(block).collect(),
            norm: Param::from_tensor(numbers([5], 40, &device)),
        }
    }

    fn numbers<const D: usize>(shape: [usize; D], item: usize, device: &Device) -> Tensor<D> {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|i| ((i * 7919 + item * 104_729) % 2003) as f32 / 1001.5 - 1.0)
            .collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// A gradient for each weight of which `has` says that it has one.
    fn gradients(model: &Model, step: usize, has: impl Fn(&str) -> bool) -> Gradients {
        let weights = flat_weights(model).into_iter().enumerate();
        let gradients = weights.map(|(i, (name, weight))| {
            let gradient = numbers(weight.values.dims(), 100 * step + i, &Device::flex());
            (name, gradient)
        });
        Gradients::from_iter(gradients.filter(|(name, _)| has(name)))
    }

    fn optimizer() -> Optimizer {
        let rule = UpdateRule::AdamW {
            betas: [0.9, 0.95],
            epsilon: 1e-8,
        };
        let groups = ParamGroups::Pretrain {
            weight_decay: 0.1,
            layer_decay: 0.5,
            depth: BLOCKS,
            waits: 0,
            queries_trained: false,
        };
        Optimizer::new(rule, groups)
    }

    fn unread() -> UnreadStep {
        let device = Device::flex();
        UnreadStep {
            factor: Tensor::from_floats([0.5], &device),
            left_out: Tensor::<1>::from_floats([0.0], &device).greater_elem(0.5),
        }
    }

    /// What would be saved.
    fn state(optimizer: &Optimizer) -> Weights {
        let state = optimizer.state().into_iter();
        let state = state.map(|(name, values)| {
            let weight = to_host(&name, values).unwrap();
            (name, weight)
        });
        state.collect()
    }

    /// Five steps, with a gradient less in the third; saved and restored before the last if so wanted.
    fn descend(together: bool, restored: bool) -> (Weights, Weights) {
        let (mut model, mut optimizer) = (model(), optimizer());
        for step in 0..5 {
            if restored && step == 4 {
                let state = state(&optimizer);
                let mut other = self::optimizer();
                other
                    .restore(optimizer.steps(), &state, &Device::flex())
                    .unwrap();
                optimizer = other;
            }
            let gradients = gradients(&model, step, |name| {
                step != 2 || name != "blocks.1.biases.4"
            });
            let gathered = match together {
                true => optimizer.gather(&model, gradients),
                false => Gathered {
                    pieces: Vec::new(),
                    single: gradients,
                },
            };
            optimizer.step_unread(&mut model, gathered, &unread(), 0.1);
        }
        (weights(&model).unwrap(), state(&optimizer))
    }

    #[test]
    fn together_and_one_by_one_come_to_the_same_bytes() {
        let expected = descend(false, false);
        assert!(descend(true, false) == expected);
        assert!(descend(true, true) == expected);
    }

    #[test]
    fn weights_that_move_alike_share_pieces() {
        let (model, optimizer) = (model(), optimizer());
        let gathered = optimizer.gather(&model, gradients(&model, 0, |_| true));
        assert_eq!(gathered.single.iter().count(), 0);
        // In each block biases and a weight that decays; the last norm.
        assert_eq!(gathered.pieces.len(), 2 * BLOCKS + 1);
        for piece in &gathered.pieces {
            let mut start = 0;
            for part in &piece.parts {
                assert_eq!(part.start, start);
                start += part.len;
                let axes = if part.name.ends_with(".weight") { 2 } else { 1 };
                assert_eq!(optimizer.param_groups.of(&part.name, axes), piece.group);
            }
            assert_eq!(piece.gradient.dims(), [start]);
        }
        let all = gradients(&model, 0, |_| true);
        let norm = gathered.unread_norm().unwrap().into_data();
        let norm: Vec<f32> = norm.try_to_vec().unwrap();
        assert!((f64::from(norm[0]) - all.norm().unwrap()).abs() < 1e-5);
    }

    #[test]
    fn nothing_of_a_step_that_is_left_out_stays() {
        let (mut model, mut optimizer) = (model(), optimizer());
        let gathered = optimizer.gather(&model, gradients(&model, 0, |_| true));
        optimizer.step_unread(&mut model, gathered, &unread(), 0.1);
        let before = (weights(&model).unwrap(), state(&optimizer));
        let gathered = optimizer.gather(&model, gradients(&model, 1, |_| true));
        let left_out = UnreadStep {
            factor: Tensor::from_floats([f32::NAN], &Device::flex()),
            left_out: unread().left_out.bool_not(),
        };
        optimizer.step_unread(&mut model, gathered, &left_out, 0.1);
        assert!((weights(&model).unwrap(), state(&optimizer)) == before);
    }
}
