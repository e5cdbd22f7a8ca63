//! The operations that pre-training and evaluation spend their time in, in two forms.
//!
//! * **Composed**: written out in the framework's own operations ([`composed`]). It runs on every device, and says in
//!   a few lines what is computed.
//! * **Fused**: written by hand for the CPU, forward and backward. A whole transformer block is one operation: each
//!   thread takes a few samples through all of it, so that what one step writes the next finds in the cache; nothing is
//!   computed for tokens that are masked, and no matrix of attention weights is kept.
//!
//! Callers do not know which form runs: [`block()`], [`layer_norm`], [`linear`], [`mlp`], [`loss()`], [`patches()`],
//! [`pixel_patches`], [`adamw`], [`moving_average`], [`sum_of_squares`], and what dense heads need take the fused one for 32-bit tensors on the
//! CPU and the composed one everywhere else. [`choose`] makes the whole process use the composed form.
//!
//! Fused operations give the same bytes for any number of threads: tasks are cut by the sizes of tensors alone, and what
//! they give is added up in a fixed order. Every kernel is compiled for AVX-512, for AVX2 with FMA and for what the
//! target guarantees (NEON on AArch64), and the best that the machine has is chosen at run time, see [`Cpu`]. Results
//! differ by rounding from one of these to another.
//!
//! Shapes that do not fit together are mistakes of the caller and panic, as in the framework's own operations.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use semaim_kernels::{Loss, loss};
//!
//! let device = Device::flex();
//! let predictions = Tensor::<3>::ones([2, 4, 8], &device);
//! let targets = Tensor::<3>::zeros([2, 4, 8], &device);
//! let losses = loss(Loss::L2, predictions, targets);
//! assert_eq!(losses.dims(), [2, 4]);
//! assert_eq!(losses.into_data().try_to_vec::<f32>().ok(), Some(vec![1.0; 8]));
//! ```
//!
//! # From top to bottom
//! `types` holds what operations take, `ops` the operations and the choice of their form, [`composed`] the composed form.
//! In `fused`, `block` and `block_backward` (a block, group by group), `attention` (one head), `weight_gradient`,
//! `layers`, `losses`, `patches` and `update` work on slices; `matmul`, `rows` and `special` are the arithmetic below;
//! `simd` compiles it for each instruction set; `parallel`, `tiling`, `scratch` and `pool` share out rows, threads and
//! memory; `graph`, `block_op` and `ops` put it all into the framework's graph. `conv3x3`, `batch_norm`, `roi_align` and
//! `pixel_loss` are of the heads of detectors and segmenters, each with its operation on tensors.

mod allocator;
mod batch_norm;
mod bilinear;
mod bytes;
mod chunked_attention;
pub mod composed;
mod conv3x3;
pub mod device;
mod fused;
mod gelu;
mod kernel_limits;
mod launches;
mod ops;
mod pixel_loss;
mod precision;
mod roi_align;
pub mod roofline;
pub mod self_test;
mod types;
mod unread;

pub use allocator::keep_memory;
pub use batch_norm::{BatchNormed, batch_norm};
pub use bilinear::{Neighbors, bilinear, neighbors};
pub use bytes::PackedBytes;
pub use conv3x3::conv3x3;
pub use fused::matmul::Bf16Unit;
pub use fused::simd::Cpu;
pub use gelu::gelu;
pub use kernel_limits::{KernelLimits, kernel_limits};
pub use launches::{Launches, count_launches};
pub use ops::{
    Kernels, adamw, block, choose, chosen, kernels_on, layer_norm, linear, loss, mlp,
    moving_average, patches, pixel_patches, sum_of_squares,
};
pub use pixel_loss::{PixelLabels, pixel_cross_entropy};
pub use precision::{NoBf16, Precision, with_precision};
pub use roi_align::{Region, RoiAlign, roi_align};
pub use types::{
    Activation, AdamWStep, BlockWeights, Channels, DropPathScales, LAYER_NORM_EPSILON,
    LinearWeights, Loss, Moments, NormWeights, PixelPatches, PrefixMask, Projections, Recompute,
};
pub use unread::UnreadStep;
