//! Kernels.
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
pub use weights::{BlockWeights, LAYER_NORM_EPSILON, LinearWeights, NormWeights, Projections};
