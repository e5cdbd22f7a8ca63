//! Weight files: safetensors in and out, written so that a crash never leaves half a file behind.
//!
//! * [`atomic`]: write to a temporary name, flush to the disk, rename.
//! * [`tensors`]: a safetensors file as named `f32` tensors with metadata and a checksum.
//! * [`encoder`]: an encoder under timm's names.
//! * [`classifier`]: an encoder with a head, likewise.

pub mod atomic;
pub mod classifier;
pub mod encoder;
pub mod tensors;
