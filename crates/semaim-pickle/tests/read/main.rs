//! Whole files: those that PyTorch wrote, and those that it would not write.

// A test says what is wrong by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arrays;
mod bad;
mod good;
mod recorded;
#[path = "../support/mod.rs"]
mod support;
