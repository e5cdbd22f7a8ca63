//! The operations that pre-training and evaluation spend their time in, in two forms.
//!
//! * **Composed**: written out in the framework's own operations ([`composed`]). It runs on every device, and says in
//!   a few lines what is computed.
//! * **Fused**: written by hand for the CPU, forward and backward. A whole transformer block is one operation: each
//!   thread takes a few samples through all of it, so that what one step writes the next finds in the cache; nothing is
//!   computed for tokens that are not seen, and no matrix of attention weights is kept.
//!
//! Callers do not know which form runs: [`block()`], [`layer_norm`], [`linear`], [`mlp`], [`cost()`], [`patches()`],
//! [`pixel_patches`], [`adamw`], [`moving_average`] and [`sum_of_squares`] take the fused one for 32-bit tensors on the
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
//! use semaim_kernels::{Cost, cost};
//!
//! let device = Device::flex();
//! let predictions = Tensor::<3>::ones([2, 4, 8], &device);
//! let truth = Tensor::<3>::zeros([2, 4, 8], &device);
//! let costs = cost(Cost::Squared, predictions, truth);
//! assert_eq!(costs.dims(), [2, 4]);
//! assert_eq!(costs.into_data().try_to_vec::<f32>().ok(), Some(vec![1.0; 8]));
//! ```
//!
//! # From top to bottom
//! The public operations are in files of their own beside this one. What they call lies in `fused`: `block` and
//! `block_backward` (a block, group by group), `attention` (one head), `weight_gradient`, `layers`, `costs`, `patches`
//! and `update` work on slices; `matmul`, `rows` and `special` are the arithmetic below; `cpu` compiles it for each
//! instruction set; `parallel`, `scratch` and `pool` hand out threads and memory; `graph`, `block_op` and `layer_op`
//! put it all into the framework's graph.

mod block;
pub mod bound;
mod choice;
pub mod composed;
mod cost;
mod fused;
mod layers;
mod memory;
mod optimiser;
mod patches;
mod visible;
mod weights;

pub use block::{Branches, Recompute, block};
pub use choice::{Kernels, choose, chosen};
pub use cost::{Cost, cost};
pub use fused::cpu::Cpu;
pub use layers::{layer_norm, linear, mlp};
pub use memory::keep_memory;
pub use optimiser::{AdamWStep, Moments, adamw, moving_average, sum_of_squares};
pub use patches::{Channels, PixelPatches, patches, pixel_patches};
pub use visible::Visible;
pub use weights::{
    Activation, BlockWeights, LAYER_NORM_EPSILON, LinearWeights, NormWeights, Projections,
};
