//! The fused operations. [`graph`] and the operations on tensors ([`block_op`], [`ops`], [`update`], and those of dense heads:
//! [`batch_norm`], [`conv3x3`], [`roi_align`], [`pixel_loss`]) know the framework; the rest works on slices.

pub(crate) mod affine;
pub(crate) mod attention;
pub(crate) mod batch_norm;
pub(crate) mod block;
pub(crate) mod block_backward;
pub(crate) mod block_op;
pub(crate) mod conv3x3;
pub(crate) mod graph;
pub(crate) mod layers;
pub(crate) mod losses;
pub(crate) mod matmul;
pub(crate) mod ops;
pub(crate) mod parallel;
pub(crate) mod patches;
pub(crate) mod pixel_loss;
pub(crate) mod pool;
pub(crate) mod roi_align;
pub(crate) mod rows;
pub(crate) mod scratch;
pub(crate) mod simd;
pub(crate) mod special;
pub(crate) mod tiling;
pub(crate) mod update;
pub(crate) mod weight_gradient;
