//! Every fused operation against the composed one: results and every gradient, on random sizes.

mod block;
mod compare;
mod draw;
