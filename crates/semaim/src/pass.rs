//! How a forward pass is made.

use semaim_kernels::{Branches, Recompute};

use crate::drop_path::DropPath;

/// How a forward pass is made; the default is for evaluation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pass<'a> {
    /// Residual branches that are left out.
    pub drop_path: Option<&'a DropPath>,
    /// What the backward pass computes again instead of keeping it.
    pub recompute: Recompute,
}

impl Pass<'_> {
    /// The factors of one block's residual branches.
    pub(crate) fn branches(&self, block: usize) -> Option<&Branches> {
        self.drop_path.and_then(|drawn| drawn.block(block))
    }
}
