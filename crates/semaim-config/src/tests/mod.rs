//! Tests of the whole: layers in, a configuration or errors out.

mod layering;
mod refusals;
mod sample;
