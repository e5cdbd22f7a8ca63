//! Every fused operation against the composed one: results and every gradient, on random sizes.
#![allow(clippy::unwrap_used)]

mod block;
mod compare;
mod draw;
