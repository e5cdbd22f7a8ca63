//! The fused operations. All but [`graph`] and the operations on tensors ([`block_op`], [`layer_op`]) works on slices
//! and knows nothing of the framework.

pub(crate) mod affine;
pub(crate) mod attention;
pub(crate) mod block;
pub(crate) mod block_backward;
pub(crate) mod block_op;
pub(crate) mod costs;
pub(crate) mod cpu;
pub(crate) mod graph;
pub(crate) mod layer_op;
pub(crate) mod layers;
pub(crate) mod line;
pub(crate) mod matmul;
pub(crate) mod parallel;
pub(crate) mod patches;
pub(crate) mod pool;
pub(crate) mod rows;
pub(crate) mod scratch;
pub(crate) mod special;
pub(crate) mod update;
pub(crate) mod weight_gradient;
