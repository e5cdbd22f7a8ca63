//! Weights that do not learn.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use semaim::parameters::{NamedMapper, map_named};

use crate::error::TrainError;

/// A model in which the weights of which `is_frozen(name, axes)` says so record no gradients, and so stay as they are.
pub fn frozen<M: Module>(model: M, is_frozen: impl Fn(&str, usize) -> bool) -> M {
    struct Freeze<F>(F);
    impl<F: Fn(&str, usize) -> bool> NamedMapper for Freeze<F> {
        fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match (self.0)(name, D) {
                true => param.set_require_grad(false),
                false => param,
            }
        }
    }
    map_named(model, &mut Freeze(is_frozen))
}

/// A model whose embedding and first `blocks` blocks of `depth` stay as they are (`train.freeze_blocks`); 0: all learns.
/// `layer` gives the layer of a weight, as [`crate::param_groups::layer`] does.
///
/// # Errors
/// [`TrainError::FrozenBlocks`] when there are not so many blocks.
pub fn with_frozen_blocks<M: Module>(
    model: M,
    blocks: usize,
    depth: usize,
    layer: impl Fn(&str, usize) -> usize,
) -> Result<M, TrainError> {
    if blocks > depth {
        return Err(TrainError::FrozenBlocks { blocks, depth });
    }
    Ok(match blocks {
        0 => model,
        blocks => frozen(model, |name, _| layer(name, depth) <= blocks),
    })
}
