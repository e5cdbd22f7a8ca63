//! Every fused operation against the composed one: results and every gradient, on random sizes; and every gradient
//! against differences.
#![allow(clippy::unwrap_used, clippy::panic)]

mod activations;
mod block;
mod draw;
mod layers;
mod loss;
mod operation;
mod optimizer;
mod patches;
